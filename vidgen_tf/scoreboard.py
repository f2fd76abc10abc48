"""The scoreboard: every family on the same clips, trained for the same time, scored by the same measures.

Each row is a small recipe, data in `data/scoreboard_recipes.json`: parts that are trained one after the other, each for its share
of the minutes, the last one the generator. Rows of likelihood have a second, shorter training (a fifth of the minutes, besides) on a
world whose exact likelihood is known, since on the shapes nobody knows it. Rows that are not trained are the controls, real clips in
the place of made ones and three ways to spoil them, and a renderer.

What counts as time: training steps, the making of their data included. The first step of each part, in which TensorFlow compiles it,
and the writing of checkpoints do not count. The learning rate falls along a cosine to zero at the end of the time. So what a row
reaches depends on the machine, as it should; two runs differ.

Each row has a process of its own, so that its peak memory is its own, and a checkpoint, from which the same command goes on.
A row that is done is written to `scoreboard.json` in one piece.
"""

import contextlib
import json
import math
import os
import platform
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vidgen_tf import presets, scale_out
from vidgen_tf.clips import (
    check_clips,
    check_count,
    check_number,
    check_path,
    reason_of,
    to_float,
    to_uint8,
    whole_or_absent,
)
from vidgen_tf.metrics import (
    bootstrap_interval,
    coverage,
    flicker,
    frechet_distance,
    frozen,
    mean_clip,
    polynomial_mmd,
    shuffled,
)
from vidgen_tf.quiet import keras, tf

RECIPES, SHIPPED = (Path(__file__).parent / "data" / name for name in ("scoreboard_recipes.json", "scoreboard.json"))
CONTROLS = {  # name: what is done with real clips that were not seen before
    "real clips": lambda clips: clips,
    "frozen": frozen,
    "shuffled": lambda clips: shuffled(clips, seed=0),
    "mean clip": mean_clip,
}
COLUMNS = ("frechet", "mmd", "coverage", "permanence", "flicker", "caption", "held_out_caption")
REAL, OTHERS, ASKED, HELD_OUT, EXACT = range(9001, 9006)  # seeds of what no training sees
FOREVER = 2**62  # steps
SHOWN = 4  # clips of each row that are kept
MOST = 2**28  # bytes that these may be in all
WITHIN = 0.9  # share of an interval
DEVIATIONS = 1.645  # that many standard errors on either side have this share


def recipes(path: str | os.PathLike | None = None) -> dict:
    """The recipes of a scoreboard; None gives those that ship.

    Raises:
        ValueError: for a file that holds none.
    """
    path = RECIPES if path is None else check_path(path)
    found = _read(
        path, {"world", "train_config", "test_config", "judge", "clips", "held_out", "rounds", "seed", "rows"}
    )
    rows = found["rows"] if isinstance(found["rows"], list) else [None]
    if not all(
        isinstance(row, dict) and isinstance(row.get("name"), str) and {"parts", "family"} & set(row) for row in rows
    ):
        raise ValueError(f"{path.name} is damaged: its rows are no list of recipes with names; give another one.")
    return found


def read_scoreboard(path: str | os.PathLike | None = None) -> dict:
    """A scoreboard that was measured before.

    Args:
        path: of the file, `scoreboard.json` in the folder that was named; None for the one that ships.

    Returns:
        "minutes" that each row was trained, "hardware", and "rows": name to dictionary. In it are those of these that are known
        and have a meaning: "frechet" and "mmd", each (value, low, high) with an interval of 90 %; "coverage", "permanence",
        "caption", "held_out_caption", shares; "flicker"; "likelihood", a dictionary in nats a clip; "parameters", trained weights of
        all parts; "clips_per_second" of the last part's training; "seconds_per_clip" to generate; "memory", GiB at the peak;
        "seconds", trained; "steps" of the last part; "failed", why there is nothing else; "note".

    Raises:
        ValueError: for a file that is missing or damaged.
    """
    path = SHIPPED if path is None else check_path(path)
    found = _read(path, {"minutes", "hardware", "rows"})
    try:
        _number(found["minutes"])
        for row in found["rows"].values():
            _check_row(row)
    except Exception as error:  # of a file that anybody may have changed
        raise ValueError(f"{path.name} is damaged ({reason_of(error)}); remove it to begin anew.") from None
    return found


def _number(value) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r:.40} stands where a number was expected")
    float(value)  # whole numbers in JSON have no end


def _check_row(row: dict) -> None:
    """Any error if what is known of a row has not the form that `read_scoreboard` promises."""
    for name in TITLES.keys() & row.keys():
        value = row[name]
        if name in ("frechet", "mmd"):
            numbers = value
            _, _, _ = value
        elif name == "likelihood":
            numbers = [value[part] for part in ("below", "error", "limit")]
        else:
            numbers = [] if (name, value) == ("memory", None) else [value]
        for number in numbers:
            _number(number)
    if not all(isinstance(row.get(name, ""), str) for name in ("failed", "note")):
        raise ValueError("a note is no text")


def scoreboard_clips(path: str | os.PathLike | None = None) -> dict[str, np.ndarray]:
    """The first four clips of each row of a scoreboard, to look at.

    Args:
        path: of the file, `scoreboard.npz` beside `scoreboard.json`; None for the one that ships.

    Returns:
        Names of rows to float32 (4, time, height, width, channels) in [-1, 1]; none for a row that failed.

    Raises:
        ValueError: for a file that is missing or damaged.
    """
    return {
        name: to_float(clips) for name, clips in _clips(SHIPPED.with_suffix(".npz") if path is None else path).items()
    }


def _clips(path: Path) -> dict[str, np.ndarray]:
    path = check_path(path)
    if not path.is_file():
        raise ValueError(f"There is no file {path.name}; python -m vidgen_tf scoreboard makes a scoreboard.")
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > MOST:
                raise ValueError(f"it unfolds to more than {MOST >> 20} MiB")
            found = {name: np.asarray(file[name]) for name in file.files}
    except Exception as error:  # on broken files zipfile, zlib and NumPy raise nearly everything
        raise ValueError(f"{path.name} is damaged ({reason_of(error)}); remove it, and scoreboard.json.") from None
    return {name: clips for name, clips in found.items() if clips.dtype == np.uint8 and clips.ndim == 5 and len(clips)}


def _read(path: Path, names: set[str]) -> dict:
    again = "remove it to begin anew, or give another one"
    if not path.is_file():
        raise ValueError(f"There is no file {path.name}; python -m vidgen_tf scoreboard makes a scoreboard.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is damaged ({reason_of(error)}); {again}.") from None
    found = found if isinstance(found, dict) else {}
    if not names <= set(found):
        raise ValueError(f"{path.name} is damaged: it lacks {sorted(names - set(found))[0]!r}; {again}.")
    return found


def run_scoreboard(
    minutes: float,
    folder: str | os.PathLike,
    only: Sequence[str] = (),
    *,
    recipes_file: str | os.PathLike | None = None,
    here: bool = False,
    every: float = 30.0,
) -> dict:
    """Trains and scores all rows that are not done yet; goes on where it was stopped.

    Args:
        minutes: that each row is trained.
        folder: for `scoreboard.json` and checkpoints; it must exist.
        only: names of rows; all if none is given.
        recipes_file: with other recipes than those that ship.
        here: in this process, not in one for each row; then the peak memory is that of this process up to now.
        every: seconds between two times that a checkpoint is written.

    Returns:
        The scoreboard as `read_scoreboard` gives it, with all rows that are done.

    Raises:
        ValueError: for other arguments, a file that is damaged or of other minutes, or rows whose process ended too early.
        FileNotFoundError: where the folder is missing.
    """
    board, rows = check_plan(minutes, only, recipes_file)
    check_number(every, "every")
    folder = check_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} to write a scoreboard in; make it first.")
    path, lost = folder / "scoreboard.json", []
    pictures = path.with_suffix(".npz")
    if pictures.exists():
        _clips(pictures)  # a damaged file is found out before training
    for name in list(only) or rows:
        table = _table(path, minutes)
        mark = _mark(board, rows[name])
        if table["rows"].get(name, {}).get("recipe") == mark:
            continue
        if here:
            found, shown = _row(rows[name], board, minutes, folder, every)
            done = table["rows"] | {name: {"recipe": mark} | found}
            table["rows"] = {known: done[known] for known in rows if known in done}
            clips_of = (_clips(pictures) if pictures.exists() else {}) | {name: to_uint8(shown)}
            with whole_or_absent(pictures) as clips, whole_or_absent(path) as part:
                with clips.open("wb") as file:
                    np.savez_compressed(file, **{known: clips_of[known] for known in rows if known in clips_of})
                part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
            for checkpoint in _checkpoints(folder, name):
                checkpoint.unlink(missing_ok=True)
            continue
        command = [sys.executable, "-m", "vidgen_tf", "scoreboard", "--here", "--only", name]
        command += ["--minutes", repr(float(minutes)), "--out", str(folder), "--every", repr(float(every))]
        command += [] if recipes_file is None else ["--recipes", str(recipes_file)]
        print(f"{name} …", flush=True)
        if subprocess.run(command, check=False).returncode:
            lost.append(name)
    if lost:
        raise ValueError(f"These rows ended too early: {', '.join(lost)}; the same command goes on with them.")
    return _table(path, minutes)


def check_plan(minutes: float, only: Sequence[str] = (), recipes_file: str | os.PathLike | None = None) -> tuple:
    """The recipes, and all rows by their names, if the arguments of `run_scoreboard` are right; else ValueError."""
    if not check_number(minutes, "minutes", below=10_000):
        raise ValueError("minutes is 0, but a number above 0 was expected, such as 10, or 0.1 to try it out.")
    board = recipes(recipes_file)
    rows = {name: {"name": name} for name in CONTROLS} | {row["name"]: row for row in board["rows"]}
    if isinstance(only, str):
        raise ValueError(f"only is {only!r:.40}, but a list of names of rows was expected; put it into brackets.")
    if unknown := [name for name in only if name not in rows]:
        raise ValueError(f"There is no row {unknown[0]!r:.40}; known: {', '.join(rows)}.")
    return board, rows


def _table(path: Path, minutes: float) -> dict:
    """What is done already, or an empty scoreboard."""
    if not path.exists():
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return {"minutes": float(minutes), "hardware": f"{platform.machine()}, {cores} cores", "rows": {}}
    table = read_scoreboard(path)
    if table["minutes"] != minutes:
        raise ValueError(
            f"{path.name} holds rows of {table['minutes']:g} minutes, not of {minutes:g}; give another folder."
        )
    return table


def _mark(board: dict, row: dict) -> int:
    """A number that changes with the recipe of a row."""
    all_of_it = {name: value for name, value in board.items() if name not in ("rows", "left_out")} | {"row": row}
    return zlib.crc32(json.dumps(all_of_it, sort_keys=True).encode())


def _checkpoints(folder: Path, name: str) -> tuple[Path, Path]:
    stem = name.replace(" ", "-")
    return folder / f"{stem}.checkpoint", folder / f"{stem}.likelihood.checkpoint"


# ------------------------------------------------------------------------------------------------ a row


def _row(row: dict, board: dict, minutes: float, folder: Path, every: float) -> tuple[dict, np.ndarray]:
    """All numbers of a row, and some of its clips to look at."""
    found = {"date": date.today().isoformat(), "note": row.get("note", "")}
    count = row.get("clips", board["clips"])
    if row["name"] in CONTROLS:
        examiner = Examiner(count, board)
        clips, captions = examiner.control(row["name"])
        return found | examiner.score(clips, captions), clips[:SHOWN]
    usual, exact = _checkpoints(folder, row["name"])
    try:
        if "parts" in row:
            model, facts = _trained(row["parts"], board, minutes, usual, every)
            told = row["parts"][-1].get("captions", False)
        else:
            model, facts, told = _built(row, []), {"parameters": 0}, row.get("scenes", False)
        asked = captions_for(board, ASKED, count) if told else ()
        _made(model, row, asked[:2], 2, 0)  # what is compiled is not counted
        begun = time.perf_counter()
        clips = _made(model, row, asked, count, 1)
        facts |= {"seconds_per_clip": (time.perf_counter() - begun) / count, "memory": _peak_memory()}
        examiner = Examiner(count, board)  # only now: its memory is not that of the family
        caption = row.get("caption", "caption")
        found |= facts | examiner.score(clips, asked, row.get("columns", COLUMNS), caption)
        if told:
            asked = captions_for(board, HELD_OUT, min(board["held_out"], count))
            others = _made(model, row, asked, len(asked), 2)
            found["held_out_caption"] = examiner.score(others, asked, ("caption",), caption)["caption"]
        if "likelihood" in row:
            found["likelihood"] = _likelihood(row["likelihood"], board, minutes, exact, every)
    except FailedTrainingError as error:
        return found | {"failed": str(error)}, np.empty((0, 1, 1, 1, 1), np.float32)
    return found, clips[:SHOWN]


class FailedTrainingError(Exception):
    """A training went wrong, or what came out makes no clips: a result, too."""


@contextlib.contextmanager
def _may_fail():
    try:
        yield
    except ValueError as error:
        raise FailedTrainingError(str(error)) from error


def _made(model, row: dict, asked: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Clips as the row asks for them."""
    import vidgen_tf

    if row.get("scenes"):
        asked = vidgen_tf.scenes_of(list(asked), seed=seed, frames=model.clip_shape[0])
    with _may_fail():
        return model.generate(count, list(asked) or None, seed=seed)


def _peak_memory() -> float | None:
    """GiB that this process had at most; None where nobody tells."""
    with contextlib.suppress(ImportError):
        import resource

        unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return None


def _likelihood(asked: dict, board: dict, minutes: float, path: Path, every: float) -> dict:
    """What clips cost that the model never saw, beside what they must cost."""
    model, _ = _trained(asked["parts"], board | asked, asked["share"] * minutes, path, every)
    held = _world(asked["world"], asked["world_config"]).sample(asked["clips"], EXACT)
    exact, given = held.truth["log_prob"], np.asarray(getattr(model, asked["measure"])(held.clips), np.float64)
    below = exact - given
    return {
        "world": asked["world"], "measure": asked["measure"], "nats": float(given.mean()), "limit": float(exact.mean()),
        "below": float(below.mean()), "error": float(below.std(ddof=1) / math.sqrt(len(below))),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ training


class Clock(scale_out.Checkpoint):
    """A checkpoint that counts the seconds of training steps and stops each part of a training when its time is over.

    Args:
        path, run, every: as in `scale_out.Checkpoint`.
    """

    def __init__(self, path: Path, run: dict, every: float):
        super().__init__(path, run, every)
        self.begin, self.end, self.rate, self.warmup = 0.0, 1.0, 1e-3, 0

    def spent(self) -> float:
        """Seconds of training steps, those before it was cut off included."""
        return self.seconds

    def on_train_begin(self, logs=None):
        self.compiled = False
        if self.stage and not self.done:
            self.keep()  # with the parts before this one, which are inside of it
        self._set_rate()

    def on_train_batch_begin(self, batch, logs=None):
        self.moment = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds += time.perf_counter() - self.moment if self.compiled else 0.0
        self.compiled = True
        self.model.stop_training = self.seconds >= self.end
        super().on_train_batch_end(batch, logs)
        self._set_rate()

    def _set_rate(self) -> None:
        share = min(1.0, max(0.0, (self.seconds - self.begin) / (self.end - self.begin)))
        rate = self.rate * min(1.0, (self.done + 1) / (self.warmup + 1)) * (1 + math.cos(math.pi * share)) / 2
        for value in vars(self.model).values():
            if isinstance(value, keras.optimizers.Optimizer):
                value.learning_rate = rate


def _trained(parts: list[dict], board: dict, minutes: float, path: Path, every: float) -> tuple[keras.Model, dict]:
    """The model of the last part, trained, from where it was stopped; and what the training was."""
    kept = Clock(path, {"parts": parts, "minutes": minutes, "world": board["world"]}, every)
    models, ends = [], 60 * minutes * np.cumsum([0.0] + [part["share"] for part in parts])
    keras.utils.set_random_seed(board["seed"])
    last = len(parts) - 1
    for number, part in enumerate(parts):
        models.append(_built(part, models))
        if number < min(kept.stage, last):
            continue  # its weights are in the checkpoint of a later part
        options = dict(part["optimizer"])
        kept.rate, kept.warmup = options["learning_rate"], part.get("warmup_steps", 0)
        kept.begin, kept.end = ends[number], ends[number + 1]
        kind = {"Adam": keras.optimizers.Adam, "Muon": keras.optimizers.Muon}[options.pop("name")]
        models[-1].compile(kind(**options))
        kept.take_up(models[-1], number, FOREVER)
        if kept.stage <= last:
            with _may_fail():
                models[-1].fit(_stream(part, board, kept.done), steps_per_epoch=FOREVER, verbose=0, callbacks=[kept])
    if kept.stage > last + 1:
        raise ValueError(f"{path.name} is damaged: this training has no such part; remove it to begin anew.")
    if kept.stage <= last:
        kept.stage = last + 1  # all is trained; what follows can be done again
        kept.keep()
    spent = kept.seconds - ends[-2]
    weights = sum(int(np.prod(weight.shape)) for model in models for weight in model.trainable_weights)
    facts = {"parameters": weights, "seconds": kept.seconds, "steps": kept.done}
    if spent > 0:
        facts["clips_per_second"] = parts[-1]["batch_size"] * (kept.done - 1) / spent
    return models[-1], facts


def _built(part: dict, models: list) -> keras.Model:
    """The model of a part; {"part": n} stands for an earlier one, {"words_of": world} for the words of a world."""
    import vidgen_tf

    def value_of(value):
        if isinstance(value, dict) and set(value) == {"part"}:
            return models[value["part"]]
        if isinstance(value, dict) and set(value) == {"words_of"}:
            return getattr(vidgen_tf, value["words_of"]).words
        return value

    return presets.family_of(part)(**{name: value_of(value) for name, value in part["config"].items()})


def untrained(parts: list[dict]) -> list[keras.Model]:
    """The models of the parts of a recipe, the generator last."""
    models = []
    for part in parts:
        models.append(_built(part, models))
    return models


def _world(name: str, config: dict):
    return presets.world_of(name, config)


def _stream(part: dict, board: dict, first: int) -> tf.data.Dataset:
    """Endless batches: of fresh clips, with captions if it asks for them; or of so many numbered clips, with their numbers."""
    world = _world(board["world"], board.get("world_config", board["train_config"]))
    if "numbered" not in part:
        captions = part.get("captions", False)
        return world.dataset(part["batch_size"], board["seed"], captions=captions, first=first)
    count = part["numbered"]
    pairs = tf.data.Dataset.from_tensor_slices((world.sample(count, board["seed"]).clips, np.arange(count)))
    return pairs.shuffle(count, seed=board["seed"] + first).repeat().batch(part["batch_size"]).prefetch(2)


# ------------------------------------------------------------------------------------------------ scoring


def captions_for(board: dict, seed: int, count: int) -> tuple[str, ...]:
    """Sentences of as many clips: for the seed HELD_OUT such as no training clip has, else such as all have."""
    config = board["test_config" if seed == HELD_OUT else "train_config"]
    return _world(board["world"], config).sample_captions(count, seed)


class Examiner:
    """Scores clips of the scoreboard's world, always against the same real clips.

    Args:
        count: how many clips a set has; None takes what the recipes say. Distances depend on it, so compare at one count.
        board: the recipes; None takes those that ship.

    Attributes:
        real: the sample that all sets are compared with.

    Raises:
        ValueError: for a count below 8.
    """

    def __init__(self, count: int | None = None, board: dict | None = None):
        self.board = recipes() if board is None else board
        self.count = check_count(self.board["clips"] if count is None else count, "count", least=8)
        self.world = _world(self.board["world"], self.board["train_config"])
        self.real = self.world.sample(self.count, REAL)
        self.judge = presets.load(self.board["judge"])
        self._features = None

    def features(self, clips: np.ndarray) -> np.ndarray:
        """What the judge says of clips (count, *clip_shape): float32 (count, feature_size)."""
        return self.judge.features(clips)

    def control(self, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Clips of a control, out of CONTROLS, and the captions of the real clips that they come from."""
        sample = self.world.sample(self.count, OTHERS)
        return CONTROLS[name](sample.clips), sample.captions

    def score(
        self,
        clips: np.ndarray,
        captions: Sequence[str] = (),
        columns: Sequence[str] = COLUMNS,
        caption: str = "caption",
    ) -> dict:
        """The columns of the scoreboard that can be read from clips.

        Args:
            clips: float32 (n, *clip_shape), n up to `count`; fewer are compared with as many real ones.
            captions: that they were made for, if they were.
            columns: which columns, out of COLUMNS.
            caption: which of the world's scores is the column "caption".

        Returns:
            "frechet", "mmd": [value, low, high], the interval of 90 %, the first by the bootstrap, the second by the jackknife's
            standard error; "coverage", "permanence", "caption": shares from 0 to 1; "flicker": in units of the value range,
            the mean over clips.

        Raises:
            ValueError: for clips that do not fit, or more than the examiner's count.
        """
        clips = check_clips(clips, self.judge.clip_shape)
        if not 8 <= len(clips) <= self.count:
            raise ValueError(
                f"{len(clips)} clips came, but 8 to {self.count}, as many as there are real ones, were expected."
            )
        found, ruled = {}, self.world.scores(clips, captions)
        if {"frechet", "mmd", "coverage"} & set(columns):
            if self._features is None:
                self._features = self.features(self.real.clips)
            real, made = self._features[: len(clips)], self.features(clips)
            ends = bootstrap_interval(frechet_distance, real, made, rounds=self.board["rounds"], share=WITHIN)
            value, error = polynomial_mmd(real, made)
            found["frechet"] = [frechet_distance(real, made), *ends]
            found["mmd"] = [value, value - DEVIATIONS * error, value + DEVIATIONS * error]
            found["coverage"] = coverage(real, made)
        found |= {"flicker": float(flicker(clips).mean()), "permanence": ruled["permanence"]}
        if len(captions):
            found["caption"] = ruled[caption]
        return {name: found[name] for name in COLUMNS if name in found and name in columns}


# ------------------------------------------------------------------------------------------------ showing

TITLES = {  # column: title, and how a value is written
    "frechet": ("Fréchet", lambda value: f"{value[0]:.1f} ({value[1]:.1f}–{value[2]:.1f})"),
    "mmd": ("MMD", lambda value: f"{value[0]:.1f} ({value[1]:.1f}–{value[2]:.1f})"),
    "caption": ("said %", lambda value: f"{100 * value:.0f}"),
    "held_out_caption": ("new %", lambda value: f"{100 * value:.0f}"),
    "permanence": ("lasting %", lambda value: f"{100 * value:.0f}"),
    "flicker": ("flicker", lambda value: f"{value:.3f}"),
    "coverage": ("covered %", lambda value: f"{100 * value:.0f}"),
    "likelihood": ("nats short of limit", lambda value: f"{value['below']:.3g} ± {value['error']:.1g} of {value['limit']:.4g}"),
    "parameters": ("weights", lambda value: f"{value / 1e6:.2f} M" if value else "0"),
    "clips_per_second": ("clips/s", lambda value: f"{value:.0f}"),
    "seconds_per_clip": ("s/clip", lambda value: f"{value:.3g}"),
    "memory": ("GiB", lambda value: f"{value:.1f}"),
}  # fmt: skip


def table_of(board: dict, beside: dict | None = None) -> str:
    """A scoreboard as a table of Markdown; `beside` is another one, whose numbers stand below in the rows of the first."""
    lines = ["| row | " + " | ".join(title for title, _ in TITLES.values()) + " |", "|---" * (1 + len(TITLES)) + "|"]
    for name, row in board["rows"].items():
        for told, found in ((name, row), ("… shipped", (beside or {"rows": {}})["rows"].get(name))):
            if found is not None:
                cells = [write(found[key]) if found.get(key) is not None else "" for key, (_, write) in TITLES.items()]
                lines.append(f"| {told} | " + (found.get("failed") or " | ".join(cells)) + " |")
    return "\n".join(lines)


def draw_scoreboard(board: dict, beside: dict | None = None) -> Figure:
    """Quality against cost: Fréchet distance, and the share of clips in which things last, against seconds to make a clip.

    Args:
        board: a scoreboard, as `read_scoreboard` gives it.
        beside: another one, drawn paler, such as the one that ships.

    Returns:
        A matplotlib Figure of two panels. Controls are lines: they cost nothing.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(14, 5.4), layout="constrained")
    names = {axes: [] for axes in panels}
    for table, color, pale in ((board, "C0", 1.0), (beside, "C1", 0.5)):
        for name, row in (table or {"rows": {}})["rows"].items():
            for axes, key in zip(panels, ("frechet", "permanence"), strict=True):
                if key not in row:
                    continue
                middle, low, high = row[key] if key == "frechet" else (100 * row[key],) * 3
                if name in CONTROLS:
                    axes.axhline(middle, color="0.6", lw=1, ls=":")
                    names[axes].append((name, None, middle, {"color": "0.4"}))
                elif cost := row.get("seconds_per_clip"):
                    ends = [[max(0, middle - low)], [max(0, high - middle)]]
                    axes.errorbar(cost, middle, ends, fmt="o", color=color, alpha=pale)
                    names[axes].append((name, cost, middle, {"alpha": pale}))
    panels[0].set(title="Distance from real clips", ylabel="Fréchet distance (less is better)", yscale="log")
    panels[1].set(title="Things that last", ylabel="clips in which things last, %", ylim=(-6, 109))
    for axes in panels:
        axes.margins(x=0.25)  # names stand beside their points, controls at the left
        axes.set(xscale="log", xlabel="seconds to make a clip (less is better)")
    figure.draw_without_rendering()  # now all places are known
    for axes in panels:
        _put_names(axes, names[axes])
    return figure


def _put_names(axes, names: list[tuple]) -> None:
    """Writes names beside (x, y), or at the left end where x is None, on the first side where no name or point is yet."""
    from matplotlib.transforms import Bbox

    spots = [axes.transData.transform((x, y)) for _, x, y, _ in names if x is not None]
    taken = [Bbox.from_bounds(*(spot - 4), 8, 8) for spot in spots]
    for name, x, y, style in names:
        sides = ((6, 4), (6, -12), (-6, 4), (-6, -12)) if x is not None else ((4, 2), (4, -11), (80, 2))
        place = {"xycoords": "data" if x is not None else ("axes fraction", "data"), "textcoords": "offset points"}
        for side in sides:
            where = {"ha": "left" if side[0] > 0 else "right", "xytext": side, "fontsize": 10} | place
            text = axes.annotate(name, (0 if x is None else x, y), **where, **style)
            box = text.get_window_extent()
            if side == sides[-1] or not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        taken.append(box)
