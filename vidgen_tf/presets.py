"""Presets: a name, a recipe, and trained weights that ship with the kit.

`presets/NAME.json` holds the recipe (family, worlds to train and test on, seed, steps, learning rate: data, not
code) and the record of the run that made the weights: minutes, hardware, scores, and the hash of
`presets/NAME.npz`, which holds the weights as float16 arrays. Loading executes nothing: no pickle, and only
classes that the package itself names.
A recipe trains on an endless stream of clips of its world, or, with `train_on`, on so many clips of one seed.
`python -m vidgen_tf train NAME` follows the recipe again: Adam or Muon, with a learning rate that falls along a cosine from
the recipe's to zero, after `warmup_steps` in which it rises to that from a twentieth, where the recipe has them. With `precision`
the networks count in that in training ("mixed_bfloat16" is faster on processors that know it, slower on others);
scores are those of float32. With `stages` training goes in parts, each with an optimizer of its own: each names its `steps`, what
is other than in the recipe, and maybe weights to `hold`, by words of their paths: these stay as they are in that part.
"""

import functools
import hashlib
import io
import json
import os
import platform
import shutil
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import date
from pathlib import Path

import numpy as np

from vidgen_tf import scale_out
from vidgen_tf.clips import check_count, reason_of, whole_or_absent
from vidgen_tf.metrics import frechet_distance, frozen, intersection_over_union, psnr, warping_error
from vidgen_tf.quiet import keras, tf, weights_up_to

FOLDER = Path(__file__).parent / "presets"
MOST = 10**8  # weights of a network that a card may ask for
NEEDED = (
    "family",
    "config",
    "world",
    "world_config",
    "test_config",
    "data",
    "batch_size",
    "steps",
    "optimizer",
    "seed",
)


def names() -> list[str]:
    """The presets that ship, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def card(name: str) -> dict:
    """Recipe and record of a preset as a dictionary.

    Raises:
        ValueError: for an unknown name, or a damaged card.
    """
    if name not in names():
        known = textwrap.shorten(", ".join(names()), 160, placeholder=" … (python -m vidgen_tf list names them all)")
        raise ValueError(f"There is no preset {name!r:.60}; known: {known}.")
    try:
        found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        found["recipe"]["config"].items(), found["record"].items()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{name}.json is damaged: it holds no recipe and record; get the file anew.") from None
    return found


def build(recipe: dict) -> keras.Model:
    """The model of a recipe, untrained; an argument {"preset": name} is that preset, trained."""
    is_preset = lambda value: isinstance(value, dict) and set(value) == {"preset"}  # noqa: E731
    config = {name: load(value["preset"]) if is_preset(value) else value for name, value in recipe["config"].items()}
    return family_of(recipe)(**config)


def family_of(recipe: dict) -> type[keras.Model]:
    """The kind of model that a recipe names; ValueError for the name of anything else."""
    import vidgen_tf

    family = getattr(vidgen_tf, str(recipe.get("family")), None)
    if not (isinstance(family, type) and issubclass(family, keras.Model)):
        raise ValueError(f"The family is {recipe.get('family')!r:.60}, but the name of a kind of model was expected.")
    return family


def world_of(name: str, config: dict):
    """The world that a recipe names, or shards; ValueError for the name of anything else."""
    import vidgen_tf

    world = getattr(vidgen_tf, str(name), None)
    if not (isinstance(world, type) and hasattr(world, "dataset")):
        raise ValueError(f"The world is {name!r:.60}, but the name of a kind of world was expected.")
    return world(**config)


def load(name: str) -> keras.Model:
    """The trained model of a preset.

    Raises:
        ValueError: for an unknown name, a recipe that does not work, or weights whose hash is not the one on the card.
    """
    record = card(name)
    try:
        with weights_up_to(MOST):
            model = build(record["recipe"])
    except Exception as error:  # on broken recipes Keras and TensorFlow raise nearly everything
        raise ValueError(f"{name}.json has a recipe that does not work: {reason_of(error)}") from None
    set_weights(model, FOLDER / f"{name}.npz", record["record"].get("sha256") or "none")
    return model


def set_weights(model: keras.Model, path: Path, sha256: str | None = None) -> None:
    """Puts the arrays of an npz file into a model, if the file is whole and fits.

    Raises:
        ValueError: for a damaged or foreign file.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing; get the file anew.")
    if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ValueError(f"{path.name} is damaged: its hash is not the one on its card; get the file anew.")
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > 8 * model.count_params() + 1000 * len(file.files):
                raise ValueError("it unfolds to more than the model holds")
            weights = [np.asarray(file[f"{index:03d}"]) for index in range(len(file.files))]
    except Exception as error:  # on broken files zipfile, zlib and NumPy raise nearly everything
        raise ValueError(f"{path.name} is no file of weights ({reason_of(error)}).") from None
    if not all(weight.dtype.kind == "f" and np.isfinite(weight).all() for weight in weights):
        raise ValueError(f"{path.name} holds values that are no finite numbers, so it has no weights to use.")
    if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in model.preset_weights]:
        raise ValueError(f"{path.name} holds weights of other shapes than {type(model).__name__} has here.")
    model.set_preset_weights([weight.astype(np.float32) for weight in weights])


def _fixed(world, recipe: dict, part: str, first: int = 0) -> tf.data.Dataset:
    """The clips that a recipe names by count and seed, with what they were made for if it asks for that, in batches and an
    order by chance, again and again, from batch number `first` on."""
    sample = world.sample(*recipe[part])
    clips, asked = sample.clips, _asked(sample, recipe)
    order = tf.data.Dataset.range(len(clips)).shuffle(len(clips), seed=recipe["seed"]).repeat()
    order = order.batch(recipe["batch_size"]).skip(first)

    def look_up(numbers):
        found = tf.numpy_function(clips.__getitem__, [numbers], tf.float32)
        found = tf.ensure_shape(found, (None, *clips.shape[1:]))
        return found if asked is None else (found, tf.gather(asked, numbers))

    return order.map(look_up).prefetch(2)


def _asked(sample, recipe: dict):
    """What the clips of a sample were made for, by the recipe's data: captions, or some of the truth; None if neither."""
    data = recipe["data"]
    return sample.truth[data["truth"]] if "truth" in data else sample.captions if data.get("captions") else None


def scores_of(model: keras.Model, recipe: dict) -> dict[str, float]:
    """How good a trained model is on its recipe's test world. With `test_steps`: what `evaluate` says over as many batches;
    with `test_on`, (clips, seed), over those clips.
    With `test_clips`: what the world says of as many new clips; with `seen_clips`, "seen_…", of as many for what the world
    that it was trained on asks for; and if the recipe names a judge, Fréchet distances in its
    features, to as many real clips: "frechet" of the new clips, and, to compare, "frechet_frozen" of real clips that
    stand still, and "frechet_real" of other real clips: chance alone.
    With `test_known`: how well as many clips go on from a first frame of that world: "known_psnr", dB to the clips that it is
    from, and what the world says of them, "known_…".
    With `test_sketches`: how well clips for as many drawings keep their outlines, beside what the world says of them. With
    `test_painted`: distances and flicker of as many clips in each style of the model."""
    world = world_of(recipe["world"], recipe["test_config"])
    seed = recipe["seed"] + 1
    scores = {}
    if not getattr(model, "compiled", False):
        model.compile()
    if "test_steps" in recipe:
        data = world.dataset(recipe["batch_size"], seed, **recipe["data"])
        scores |= model.evaluate(data, steps=recipe["test_steps"], verbose=0, return_dict=True)
    if "test_on" in recipe:
        clips = world.sample(*recipe["test_on"]).clips
        scores |= model.evaluate(clips, batch_size=recipe["batch_size"], verbose=0, return_dict=True)
    if "test_clips" in recipe:
        count = recipe["test_clips"]
        asked = _asked(world.sample(count, seed), recipe) if model.conditional else None
        clips = model.generate(count, asked, seed=seed)
        scores |= world.scores(clips, () if asked is None else asked)
        if "seen_clips" in recipe:
            known = world_of(recipe["world"], recipe["world_config"])
            asked = _asked(known.sample(recipe["seen_clips"], seed), recipe)
            found = known.scores(model.generate(len(asked), asked, seed=seed), asked)
            scores |= {f"seen_{key}": value for key, value in found.items()}
        if "judge" in recipe:
            features = load(recipe["judge"]).features
            real, others = (world.sample(count, seed + more).clips for more in (1, 2))
            real = features(real)
            for key, compared in {"frechet": clips, "frechet_frozen": frozen(others), "frechet_real": others}.items():
                scores[key] = frechet_distance(real, features(compared))
    if "test_known" in recipe:
        scores |= _continued(model, world, recipe, seed)
    if "test_sketches" in recipe:
        scores |= _sketched(model, world, recipe["test_sketches"], seed)
    if "test_painted" in recipe:
        scores |= _painted(model, world.sample(recipe["test_painted"], seed))
    return scores


def _continued(model: keras.Model, world, recipe: dict, seed: int) -> dict[str, float]:
    import vidgen_tf

    sample = world.sample(recipe["test_known"], seed)
    asked = _asked(sample, recipe)
    first = vidgen_tf.known_frames(model.clip_shape, [0])
    clips = model.generate(len(sample.clips), asked, seed=seed, known=sample.clips, mask=first)
    found = world.scores(clips, () if asked is None else asked)
    found["psnr"] = psnr(sample.clips[:, 1:], clips[:, 1:]).mean()
    return {f"known_{name}": value for name, value in found.items()}


def _sketched(model: keras.Model, world, count: int, seed: int) -> dict[str, float]:
    """What the world says of clips for drawings of its own; "outline": intersection over union of the region of the first
    frame with the drawn one, the mean; "outlines": the share of clips in which that is 0.8 or more."""
    import vidgen_tf

    sample, size = world.sample(count, seed), model.clip_shape[1]
    regions = np.stack([vidgen_tf.region_of(each, size) for each in vidgen_tf.drawn(sample.truth, size, seed)])
    clips = model.generate(count, sample.captions, seed=seed, region=regions)
    same = intersection_over_union(np.asarray(model.regions_of(clips))[..., 0] > 0.5, regions > 0.5)
    return world.scores(clips, sample.captions) | {"outline": same.mean(), "outlines": (same >= 0.8).mean()}


def _painted(model: keras.Model, sample) -> dict[str, float]:
    """For each style of the model, over all clips: how far they are from it ("style_…") and from what they showed
    ("content_…"), and their warping error along the flow that the sample knows, as a multiple of the sources' ("flicker_…")."""
    import vidgen_tf

    scores, along = {}, (sample.truth["flow"], sample.truth["seen"])
    for name in model.styles:
        picture = vidgen_tf.style_picture(name)
        clips = model.stylize(sample.clips, picture)
        scores[f"style_{name}"] = model.features.style_distance(clips, picture).mean()
        scores[f"content_{name}"] = model.features.content_distance(clips, sample.clips).mean()
        scores[f"flicker_{name}"] = warping_error(clips, *along).mean() / warping_error(sample.clips, *along).mean()
    return scores


def optimizer_of(recipe: dict, steps: int) -> keras.optimizers.Optimizer:
    """What a recipe trains with: Adam, or Muon (K. Jordan and others, 2024, https://kellerjordan.github.io/posts/muon),
    whose steps for matrices have singular values of one size, so that rare directions are learned as fast as others."""
    options = dict(recipe["optimizer"])
    kind = {"Adam": keras.optimizers.Adam, "Muon": keras.optimizers.Muon}[options.pop("name")]
    most, warmup = options.pop("learning_rate"), min(recipe.get("warmup_steps", 0), steps - 1)
    warm = {"warmup_target": most, "warmup_steps": warmup} if warmup else {}
    return kind(
        keras.optimizers.schedules.CosineDecay(most / 20 if warmup else most, steps - warmup, **warm), **options
    )


def stages_of(recipe: dict, steps: int) -> list[tuple[dict, int]]:
    """The parts of a training of so many steps in all: what holds in each, and its steps, in proportion to the recipe's."""
    stages = recipe.get("stages", [{"steps": recipe["steps"]}])
    ends = np.cumsum([0] + [stage["steps"] for stage in stages])
    shares = np.diff(np.round(ends * (steps / ends[-1])).astype(int)).tolist()
    parts = [recipe | stage | {"optimizer": recipe["optimizer"] | stage.get("optimizer", {})} for stage in stages]
    return [(part, share) for part, share in zip(parts, shares, strict=True) if share]


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """One process after the other, so that card and weights fit; the sign of one that was killed counts for half a minute."""
    sign = folder / f".{name}.writing"
    for _ in range(300):
        with suppress(FileExistsError):
            sign.mkdir()
            break
        time.sleep(0.1)
    try:
        yield
    finally:
        shutil.rmtree(sign, ignore_errors=True)


def train(
    name: str, folder: Path, *, steps: int | None = None, verbose: int = 2, callbacks: Sequence = (),
    where: tf.distribute.Strategy | None = None, precision: str | None = None, xla: bool | None = None, every: float = 60.0,
) -> keras.Model:  # fmt: skip
    """Follows a preset's recipe and writes `NAME.json` and `NAME.npz` into a folder.

    While it trains, `NAME.checkpoint` in that folder holds all that is needed to go on: the same call takes it up, and ends
    with the same bits as a training that was never cut off.

    Args:
        name: of a preset that has a card.
        folder: where to; it must exist, but only the chief of several workers looks at it.
        steps: fewer or more steps than the recipe's; None takes the recipe's.
        verbose, callbacks: as in `fit`.
        where: on which devices and machines, as `scale_out.strategy` says; None for one device.
        precision: what networks count in while they train, "float32" or "mixed_bfloat16"; None takes what the recipe says, else
            `scale_out.best_precision` for families that know it (`mixed`).
        xla: whether each step is compiled by XLA, on one device; None lets Keras choose: with a GPU, but no GANs.
        every: seconds between two times that the checkpoint is written.

    Returns:
        The trained model with the rounded weights; for a worker that is not the chief as it was trained.

    Raises:
        ValueError: for an unknown name, a recipe that lacks something, steps below 1, a precision that the family does not know,
            batches that cannot be dealt out evenly, XLA on several devices, or a checkpoint that is damaged or of another training.
        FileNotFoundError: where the folder is missing; found out before training.
        OSError: where the folder has too little space for the weights; found out before training.
        scale_out.LostWorkerError: where another worker is gone.
    """
    recipe, folder = card(name)["recipe"], Path(folder)
    if missing := [key for key in NEEDED if key not in recipe]:
        raise ValueError(
            f"{name}.json cannot be trained: its recipe does not say {', '.join(missing)}; add that to it."
        )
    if scale_out.is_chief(where) and not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} to write {name} in; make it first.")
    steps = check_count(recipe["steps"] if steps is None else steps, "steps")
    if precision not in (None, "float32", "mixed_bfloat16"):
        raise ValueError(f"precision is {precision!r:.40}, but None, 'float32' or 'mixed_bfloat16' was expected.")
    if where is not None:
        scale_out.check_dealt(recipe["batch_size"], where.num_replicas_in_sync)
        if xla:
            raise ValueError("XLA compiles steps of one device only; leave it out on several.")
    mixed = getattr(family_of(recipe), "mixed", False)
    if precision == "mixed_bfloat16" and not mixed:
        raise ValueError(f"{recipe['family']} trains in float32 only; leave the precision out.")
    usual = keras.mixed_precision.dtype_policy().name
    precision = precision or recipe.get("precision") or (scale_out.best_precision() if mixed else None) or usual
    keras.utils.set_random_seed(recipe["seed"])
    with scale_out.others_may_die(where), nullcontext() if where is None else where.scope():
        keras.mixed_precision.set_dtype_policy(precision)
        try:
            model = build(recipe)
        finally:
            keras.mixed_precision.set_dtype_policy(usual)
        needed = 20 * model.count_params() + 10_000  # bytes: a checkpoint has up to five numbers for each weight
        if scale_out.is_chief(where) and (free := shutil.disk_usage(folder).free) < needed:
            raise OSError(f"{folder} has {free:,} bytes free, but training needs {needed:,}; free some space first.")
        kept = scale_out.Checkpoint(folder / f"{name}.checkpoint", {"recipe": recipe, "steps": steps}, every, where)
        for number, (part, share) in enumerate(stages_of(recipe, steps)):
            if number >= kept.stage:
                _train_part(model, part, share, number, kept, verbose, callbacks, xla)
        kept.check_taken()
    if not scale_out.is_chief(where):
        return model
    minutes = kept.spent() / 60
    halves = [weight.numpy().astype(np.float16) for weight in model.preset_weights]
    model = build(recipe) if where is not None or precision != usual else model
    model.set_preset_weights(
        [half.astype(np.float32) for half in halves]
    )  # the scores are those of the rounded weights
    file = io.BytesIO()
    np.savez_compressed(file, **{f"{index:03d}": half for index, half in enumerate(halves)})
    record = {
        "date": date.today().isoformat(),
        "steps": steps,
        "minutes": round(minutes, 2),
        "hardware": _hardware(where),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "scores": {key: float(f"{value:.4g}") for key, value in scores_of(model, recipe).items()},
        "sha256": hashlib.sha256(file.getvalue()).hexdigest(),
    }
    card_file, weight_file = folder / f"{name}.json", folder / f"{name}.npz"
    with _alone(folder, name), whole_or_absent(weight_file) as weights, whole_or_absent(card_file) as text:
        weights.write_bytes(file.getvalue())
        text.write_text(json.dumps({"recipe": recipe, "record": record}, indent=2) + "\n", encoding="utf-8")
    kept.remove()
    return model


def _train_part(
    model, part: dict, share: int, number: int, kept: scale_out.Checkpoint, verbose, callbacks, xla
) -> None:
    """One of the parts of a training, from where it was cut off."""
    world = world_of(part["world"], part["world_config"])
    held = [weight for weight in model.trainable_variables if any(word in weight.path for word in part.get("hold", ()))]
    for weight in held:
        weight.trainable = False
    model.compile(scale_out.joint(optimizer_of(part, share)), **({} if xla is None else {"jit_compile": xla}))
    kept.take_up(model, number, share)
    left = share - kept.done
    if "train_on" in part:
        data = _fixed(world, part, "train_on", kept.done)
    else:
        seed = part["seed"] + 10 * number
        stream = functools.partial(world.dataset, part["batch_size"], seed, first=kept.done, **part["data"])
        data = stream()
    epochs = next(n for n in range(max(1, left // 200), 0, -1) if left % n == 0)  # a line on the screen for each
    options = {"epochs": epochs, "steps_per_epoch": left // epochs, "shuffle": False, "verbose": verbose}
    if "train_on" not in part and world.divisible and scale_out.several_machines(kept.where):
        options["parts"] = lambda machine, machines: stream(part=(machine, machines))
    model.fit(data, **options, callbacks=[*callbacks, kept])
    for weight in held:
        weight.trainable = True


def _hardware(where: tf.distribute.Strategy | None) -> str:
    """What a record says about the machine."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    replicas = "" if where is None else f", {where.num_replicas_in_sync} replicas"
    return f"{platform.machine()}, {os.cpu_count()} cores, {gpus} GPUs{replicas}"
