"""The scoreboard: each family has a row, rows are resumed, whole or absent, and scores order what can be ordered."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import one_sentence, refuses, tree

import vidgen_tf as vg
from vidgen_tf import scoreboard
from vidgen_tf.__main__ import main
from vidgen_tf.scoreboard import CONTROLS, Clock, Examiner, recipes, run_scoreboard, table_of

CLIP = [16, 32, 32, 3]
ADAM = {"name": "Adam", "learning_rate": 0.002}
TINY = 0.002  # minutes
FILES = {"scoreboard.json", "scoreboard.npz"}


def part(family: str, config: dict, share: float = 1.0, **more) -> dict:
    return {"family": family, "config": config, "share": share, "batch_size": 4, "optimizer": ADAM} | more


ROLL = {"name": "roll", "parts": [part("NextFrame", {"clip_shape": CLIP, "width": 4, "depth": 1, "windows": 1})]}
TWO = {
    "name": "two parts",
    "parts": [
        part("VQVAE", {"clip_shape": CLIP, "block": 8, "patch": 16, "codes": 8, "width": 4}, 0.5),
        part(
            "TokenVideo",
            {"clip_shape": CLIP, "condition": {"words_of": "Shapes"}, "tokenizer": {"part": 0}, "width": 16, "blocks": 1, "heads": 2},
            0.5,
            captions=True,
        ),
    ],
}  # fmt: skip
EXACT = {
    "name": "exact",
    "parts": [part("DenseFrameGenerator", {"clip_shape": CLIP, "clip_count": 6, "latent_size": 4, "hidden": [8]}, numbered=6)],
    "likelihood": {
        "world": "LinearGaussian", "world_config": {}, "clips": 16, "share": 0.2, "measure": "log_prob",
        "parts": [part("NormalizingFlow", {"clip_shape": [8, 12, 12, 1], "levels": 2, "steps": 1, "width": 4, "dequantise": False})],
    },
}  # fmt: skip
SCENE = {
    "name": "scene", "family": "PathTracer", "config": {"clip_shape": CLIP, "samples": 1, "bounces": 1}, "scenes": True,
    "clips": 8, "columns": ["caption", "permanence"], "caption": "caption_but_size",
}  # fmt: skip
WILD = {"name": "wild"} | {"parts": [ROLL["parts"][0] | {"optimizer": ADAM | {"learning_rate": 1e30}}]}


@pytest.fixture
def tiny(tmp_path):
    """A folder, and beside it a file of recipes so small that a row takes seconds."""
    small = recipes() | {"clips": 10, "held_out": 8, "rounds": 10, "rows": [ROLL, TWO, EXACT, SCENE, WILD]}
    (tmp_path / "recipes.json").write_text(json.dumps(small))
    (tmp_path / "board").mkdir()
    return tmp_path / "board", tmp_path / "recipes.json"


def run(tiny, *only: str, minutes: float = TINY, **options) -> dict:
    folder, file = tiny
    return run_scoreboard(minutes, folder, only, recipes_file=file, here=True, **options)["rows"]


# ------------------------------------------------------------------------------------------------ the recipes


def families_in(rows: list[dict]) -> set[str]:
    return {each["family"] for row in rows for each in row.get("parts", [row])}


def test_every_family_has_a_row_or_a_reason_why_not():
    kinds = [value for value in (getattr(vg, name) for name in vg.__all__) if isinstance(value, type)]
    families = {kind.__name__ for kind in kinds if issubclass(kind, vg.VideoModel) and kind is not vg.VideoModel}
    board = recipes()
    assert len(families) >= 12
    assert families - families_in(board["rows"]) == set(board["left_out"])
    assert all(len(reason) > 40 for reason in board["left_out"].values())


def test_recipes_fit_the_models_and_share_out_the_time():
    for row in recipes()["rows"]:
        parts = row.get("parts", [row | {"share": 1}])
        assert scoreboard.untrained(parts)[-1].clip_shape == tuple(CLIP)
        assert sum(each["share"] for each in parts) == pytest.approx(1)
        if "likelihood" in row:
            asked = row["likelihood"]
            model, world = (
                scoreboard.untrained(asked["parts"])[-1],
                getattr(vg, asked["world"])(**asked["world_config"]),
            )
            assert model.clip_shape == world.clip_shape
            assert hasattr(model, asked["measure"])
            assert sum(each["share"] for each in asked["parts"]) == pytest.approx(1)


def test_names_are_names_of_files():
    names = [row["name"] for row in recipes()["rows"]]
    assert len({*names, *CONTROLS}) == len(names) + len(CONTROLS)
    assert all(name.replace(" ", "").replace("-", "").isalpha() for name in names)


# ------------------------------------------------------------------------------------------------ rows


def test_a_row_has_its_numbers_and_is_not_done_twice(tiny, monkeypatch):
    row = run(tiny, "roll")["roll"]
    assert set(tree(tiny[0])) == FILES  # no checkpoint is left
    assert row["seconds"] >= 60 * TINY
    assert row["steps"] >= 2
    assert row["parameters"] == sum(np.prod(w.shape) for w in scoreboard._built(ROLL["parts"][0], []).trainable_weights)
    assert row["clips_per_second"] > 0
    assert row["seconds_per_clip"] > 0
    assert 0.1 < row["memory"] < 100
    for name in ("frechet", "mmd"):
        value, low, high = row[name]
        assert low <= value <= high
    assert "caption" not in row
    clips = vg.scoreboard_clips(tiny[0] / "scoreboard.npz")["roll"]
    assert clips.shape == (4, *CLIP)
    assert np.abs(clips).max() <= 1
    monkeypatch.setattr(scoreboard, "_row", None)
    assert run(tiny, "roll") == {"roll": row}


def test_parts_share_the_time_and_sentences_are_scored(tiny):
    row = run(tiny, "two parts")["two parts"]
    assert 0 <= row["caption"] <= 1
    assert 0 <= row["held_out_caption"] <= 1
    tokenizer = scoreboard._built(TWO["parts"][0], [])
    assert row["parameters"] > sum(int(np.prod(weight.shape)) for weight in tokenizer.trainable_weights)


def test_likelihood_stands_beside_its_limit(tiny):
    found = run(tiny, "exact")["exact"]["likelihood"]
    assert found["below"] == pytest.approx(found["limit"] - found["nats"], rel=1e-6)
    assert found["below"] > 3 * found["error"] > 0  # hardly trained: far below the exact likelihood
    assert found["limit"] == pytest.approx(vg.LinearGaussian().sample(16, scoreboard.EXACT).truth["log_prob"].mean())


def test_a_renderer_is_scored_by_what_has_a_meaning(tiny):
    row = run(tiny, "scene")["scene"]
    assert {"caption", "permanence", "seconds_per_clip", "held_out_caption"} <= set(row)
    assert not {"frechet", "mmd", "coverage", "flicker", "seconds"} & set(row)


def test_a_training_that_goes_wrong_is_a_result(tiny):
    row = run(tiny, "wild", minutes=0.01)["wild"]
    one_sentence(row["failed"])
    assert "frechet" not in row
    assert vg.scoreboard_clips(tiny[0] / "scoreboard.npz") == {}
    assert row["failed"] in table_of({"rows": {"wild": row}})


def test_another_recipe_is_another_row(tiny):
    run(tiny, "roll")
    other = json.loads(tiny[1].read_text())
    other["rows"][0]["parts"][0]["config"]["width"] = 5
    tiny[1].write_text(json.dumps(other))
    weights = sum(np.prod(w.shape) for w in scoreboard._built(other["rows"][0]["parts"][0], []).trainable_weights)
    assert run(tiny, "roll")["roll"]["parameters"] == weights


# ------------------------------------------------------------------------------------------------ stopped and resumed


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_row_goes_on_from_where_it_was_stopped(tiny, monkeypatch, stage):
    keep, taken = Clock.keep, []

    def stop_after(clock):
        keep(clock)
        if clock.stage == stage:
            raise KeyboardInterrupt

    monkeypatch.setattr(Clock, "keep", stop_after)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, "two parts", every=0)
    assert set(tree(tiny[0])) == {"two-parts.checkpoint"}
    monkeypatch.setattr(Clock, "keep", keep)
    take_up = Clock.take_up
    monkeypatch.setattr(Clock, "take_up", lambda clock, *rest: (taken.append(clock.stage), take_up(clock, *rest)))
    row = run(tiny, "two parts")["two parts"]
    assert (
        taken == {0: [0, 0], 1: [1], 2: [2]}[stage]
    )  # what was reached before each part, from the one that was cut off
    assert row["seconds"] >= 60 * TINY
    assert set(tree(tiny[0])) == FILES


def test_a_process_that_was_killed_goes_on(tiny):
    folder, file = tiny
    command = [
        sys.executable,
        "-m",
        "vidgen_tf",
        "scoreboard",
        "--minutes",
        "0.05",
        "--out",
        str(folder),
        "--only",
        "roll",
    ]
    command += ["--recipes", str(file), "--every", "0"]
    process = subprocess.Popen([*command, "--here"])
    checkpoint, patience = folder / "roll.checkpoint", time.monotonic() + 300
    while not checkpoint.exists() and time.monotonic() < patience:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert not (folder / "scoreboard.json").exists()
    with np.load(checkpoint) as kept:
        done = kept["place"][1]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    row = vg.read_scoreboard(folder / "scoreboard.json")["rows"]["roll"]
    assert row["steps"] > done
    assert row["seconds"] >= 3
    assert "| roll |" in told
    assert {path.name for path in folder.iterdir()} == FILES | {"scoreboard.png"}


def test_the_rate_falls_with_the_time():
    class Model:
        optimizer = None

    class Rates(Clock):
        def __init__(self):
            self.begin, self.end, self.rate, self.warmup, self.done = 10.0, 20.0, 1.0, 4, 100

    clock, optimizer = Rates(), scoreboard.keras.optimizers.Adam(0.5)
    clock._model = Model()
    clock._model.optimizer = optimizer
    for seconds, wanted in ((10, 1), (15, 0.5), (20, 0), (25, 0)):
        clock.seconds = seconds
        clock._set_rate()
        assert float(optimizer.learning_rate) == pytest.approx(wanted, abs=1e-6)
    clock.seconds, clock.done = 10, 0
    clock._set_rate()
    assert float(optimizer.learning_rate) == pytest.approx(0.2)


# ------------------------------------------------------------------------------------------------ what cannot work


@pytest.mark.parametrize("content", ["{", "[]", '{"minutes": 1}', "\x00\x01", ""])
def test_a_damaged_result_is_one_sentence_and_stays_as_it_is(tiny, content):
    (tiny[0] / "scoreboard.json").write_text(content)
    with refuses("scoreboard.json", "damaged", "remove"):
        run(tiny, "roll")
    assert (tiny[0] / "scoreboard.json").read_text() == content


def test_a_damaged_checkpoint_is_one_sentence(tiny):
    (tiny[0] / "roll.checkpoint").write_bytes(b"broken")
    with refuses("roll.checkpoint", "damaged"):
        run(tiny, "roll")
    assert set(tree(tiny[0])) == {"roll.checkpoint"}


def test_damaged_and_absent_clips_are_one_sentence(tiny):
    with refuses("scoreboard.npz", "no file"):
        vg.scoreboard_clips(tiny[0] / "scoreboard.npz")
    (tiny[0] / "scoreboard.npz").write_bytes(b"broken")
    with refuses("scoreboard.npz", "damaged"):
        vg.scoreboard_clips(tiny[0] / "scoreboard.npz")


def test_other_minutes_are_another_scoreboard(tiny):
    (tiny[0] / "scoreboard.json").write_text(json.dumps({"minutes": 10.0, "hardware": "", "rows": {}}))
    with refuses("10 minutes", "another folder"):
        run(tiny, "roll")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--minutes", "0"], ["minutes", "0"]),
        (["--minutes", "nan"], ["minutes", "nan"]),
        (["--minutes", "-1"], ["minutes", "-1"]),
        (["--only", "nonsense"], ["'nonsense'", "real clips"]),
        (["--recipes", "absent.json"], ["absent.json"]),
        (["--recipes", "broken.json"], ["broken.json", "damaged"]),
        (["--every", "-1", "--only", "frozen", "--here"], ["every", "-1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text('{"rows": []}')
    assert main(["scoreboard", "--out", "new", *arguments]) == 1
    one_sentence(capsys.readouterr().err, *words)


def test_the_folder_must_exist(tiny):
    with refuses("no folder", error=FileNotFoundError):
        run_scoreboard(1, tiny[0] / "absent")


def test_a_single_name_is_no_list(tiny):
    with refuses("only", "list"):
        run_scoreboard(1, tiny[0], "frozen")


# ------------------------------------------------------------------------------------------------ scores


@pytest.fixture(scope="module")
def examiner():
    return Examiner(64, recipes() | {"rounds": 20})


def test_controls_are_ordered_as_they_must_be(examiner):
    scores = {name: examiner.score(*examiner.control(name)) for name in CONTROLS}
    real = scores["real clips"]
    for name in ("frozen", "shuffled", "mean clip"):
        assert scores[name]["frechet"][0] > 1.3 * real["frechet"][0]  # few clips: much of both is bias
        assert scores[name]["mmd"][1] > real["mmd"][2]  # the intervals are apart
    assert scores["frozen"]["flicker"] == scores["mean clip"]["flicker"] * 0 == 0
    assert scores["shuffled"]["flicker"] > 2 * real["flicker"]
    assert real["permanence"] > 0.95 > 0.5 > scores["shuffled"]["permanence"]
    assert scores["mean clip"]["coverage"] < 0.1 < real["coverage"]
    assert real["caption"] > 0.95
    assert scores["frozen"]["caption"] < 0.3


def test_a_copy_has_no_distance(examiner):
    found = examiner.score(examiner.real.clips, examiner.real.captions)
    assert found["frechet"][0] < 1e-6
    assert found["coverage"] == 1


def test_held_out_captions_are_none_of_training():
    known = set(scoreboard.captions_for(recipes(), scoreboard.ASKED, 300))
    assert len(known) > 250
    assert not known & set(scoreboard.captions_for(recipes(), scoreboard.HELD_OUT, 300))


@pytest.mark.parametrize("count", [7, 65])
def test_too_few_and_too_many_clips_are_refused(examiner, count):
    with refuses(str(count), "8 to 64"):
        examiner.score(np.resize(examiner.real.clips, (count, *CLIP)))


# ------------------------------------------------------------------------------------------------ showing


def test_the_table_and_the_picture_show_every_row():
    full = {"frechet": [30.0, 20.0, 45.0], "permanence": 0.4, "seconds_per_clip": 0.02, "memory": 1.5, "caption": 0.5}
    board = {
        "rows": {"frozen": {"frechet": [100.0, 90.0, 110.0], "permanence": 1.0}, "one": full, "none": {"failed": "no."}}
    }
    told = table_of(board, {"rows": {"one": full | {"permanence": 0.6}}})
    lines = told.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["frozen", "one", "… shipped", "none"]
    assert "30.0 (20.0–45.0)" in told
    assert len({line.count("|") for line in lines[:5]}) == 1
    figure = vg.draw_scoreboard(board)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("one") == texts.count("frozen") == 2
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
