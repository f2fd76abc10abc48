"""The command line: files that open, one sentence where it fails, and nothing left behind."""

import os
import subprocess
import sys

import av
import pytest
from conftest import one_sentence, tree
from PIL import Image

import vidgen_tf
from vidgen_tf import presets
from vidgen_tf.__main__ import main
from vidgen_tf.clips import read_clip
from vidgen_tf.worlds.footage import SOURCES
from vidgen_tf.worlds.shapes import Shapes, agrees


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fails(capsys, *arguments: str) -> str:
    """What a command that must fail writes: one sentence on the error stream."""
    assert main(list(arguments)) == 1
    written = capsys.readouterr().err
    one_sentence(written)
    return written


def test_list_names_all_there_is(capsys):
    assert main(["list"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name, source in SOURCES.items():
        (line,) = [line for line in out.splitlines() if line.split()[0] == name]
        assert source.credit in line
        assert source.licence in line
        assert (source.package or "ships") in line
    for name in presets.names():
        (line,) = [line for line in out.splitlines() if line.split()[0] == f"{name}:"]
        recipe = presets.card(name)["recipe"]
        finite = not getattr(vidgen_tf, recipe["world"]).endless  # else another seed gives clips never seen
        assert ("held-in" in line) == (finite and recipe["test_config"] == recipe["world_config"])
        for score in presets.card(name)["record"]["scores"].values():
            assert f"{score:g}" in line


def test_list_names_families_and_worlds(capsys):
    main(["list"])
    out = capsys.readouterr().out
    for name in ("DenseFrameGenerator", "Shapes", "Footage"):
        assert f"  {name}: " in out


def test_demo_trains_as_many_steps_as_it_says(here, capsys):
    assert main(["demo", "--steps", "11"]) == 0
    out = capsys.readouterr().out
    epochs, steps = out.count("Epoch "), int(out.split(" steps …")[0].split()[-1])
    assert out.count(f"{steps // epochs}/{steps // epochs} - ") == epochs


def test_demo_writes_three_files_and_says_where(here, capsys):
    assert main(["demo", "--steps", "2"]) == 0
    out = capsys.readouterr().out
    assert set(tree(here)) == {"out", "out/filmstrip.png", "out/animation.png", "out/new_frames.mp4"}
    for name in ("filmstrip.png", "animation.png", "new_frames.mp4"):
        assert os.path.join("out", name) in out
    with Image.open(here / "out" / "filmstrip.png") as image:
        assert image.n_frames == 1
        assert image.width > 400
    with Image.open(here / "out" / "animation.png") as image:
        assert image.n_frames == 50
        assert image.size == (256, 256)
    with av.open(str(here / "out" / "new_frames.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.average_rate, stream.width, stream.height) == (100, 25, 64, 64)
    assert SOURCES["bunny"].credit in out  # the licence asks for it


@pytest.mark.parametrize("name", ["new.mp4", "new.gif", "new.png", "new"])
def test_generate_writes_a_clip_of_a_preset(here, capsys, name):
    assert main(["generate", "--preset", "dense-bunny", "--out", name, "--seed", "3"]) == 0
    assert name in capsys.readouterr().out
    assert read_clip(name).shape == (100, 32, 32, 3)
    if name == "new.png":
        first = (here / name).read_bytes()
        main(["generate", "--preset", "dense-bunny", "--out", name, "--seed", "3"])
        assert (here / name).read_bytes() == first
        main(["generate", "--preset", "dense-bunny", "--out", name, "--seed", "4"])
        assert (here / name).read_bytes() != first


@pytest.mark.parametrize("prompt", ["a red circle moves left", " A  red circle moves left. "])
def test_generate_makes_what_a_prompt_says(here, capsys, prompt):
    assert main(["generate", prompt, "--preset", "gan-shapes", "--out", "new", "--seed", "3"]) == 0
    reading = Shapes().read(read_clip("new")[None])
    assert agrees(["a red circle moves left"], reading, ("color", "shape")).all()


def test_generate_takes_the_frame_rate(here):
    main(["generate", "--preset", "dense-bunny", "--out", "new.mp4", "--fps", "7.5"])
    with av.open("new.mp4") as container:
        assert float(container.streams.video[0].average_rate) == 7.5


def test_train_follows_the_recipe(here, capsys):
    assert main(["train", "dense-bunny", "--out", "weights", "--steps", "2"]) == 0
    assert "weights" in capsys.readouterr().out
    assert set(tree(here)) == {"weights", "weights/dense-bunny.json", "weights/dense-bunny.npz"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "--preset", "nonsense", "--out", "a.mp4"], ["'nonsense'", "dense-bunny"]),
        (["generate", "--preset", "dense-bunny", "--out", "a.txt"], ["a.txt", ".mp4"]),
        (["generate", "--preset", "dense-bunny", "--out", "absent/a.mp4"], ["absent"]),
        (["generate", "--preset", "dense-bunny", "--out", "file/a.mp4"], ["file"]),
        (["generate", "--preset", "dense-bunny", "--out", "mine"], ["mine", "other things"]),
        (["generate", "--preset", "dense-bunny", "--out", "a.mp4", "--seed", "-1"], ["seed", "-1"]),
        (["generate", "--preset", "dense-bunny", "--out", "a.mp4", "--fps", "0"], ["fps", "0"]),
        (["generate", "--preset", "dense-bunny", "--out", "a.mp4", "--fps", "nan"], ["fps", "nan"]),
        (["generate", "--out", "a.mp4"], ["prompt", "--preset"]),
        (["generate", "", "--preset", "gan-shapes", "--out", "a.mp4"], ["empty"]),
        (["generate", "a red dog barks", "--preset", "gan-shapes", "--out", "a.mp4"], ["'dog'", "known", "circle"]),
        (["generate", "a red circle", "--preset", "gan-shapes", "--out", "a.mp4"], ["motion"]),
        (["generate", "a red circle moves left", "--preset", "dense-bunny", "--out", "a.mp4"], ["sentences"]),
        (
            ["generate", "a red circle moves left", "--preset", "gan-shapes", "--out", "a.mp4", "--steps", "4"],
            ["one go"],
        ),
        (["generate", "--preset", "dense-bunny", "--out", "a.mp4", "--steps", "4"], ["prompt"]),
        (["train", "nonsense", "--out", "new"], ["'nonsense'", "dense-bunny"]),
        (["train", "dense-bunny", "--out", "new", "--steps", "0"], ["steps", "0"]),
        (["train", "dense-bunny", "--out", "file"], ["file"]),
        (["demo", "--out", "new", "--steps", "0"], ["steps", "0"]),
        (["demo", "--out", "new", "--steps", "-3"], ["steps", "-3"]),
        (["demo", "--out", "file"], ["file"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(here, capsys, arguments, words):
    (here / "file").write_text("mine")
    (here / "mine").mkdir()
    (here / "mine" / "thesis.tex").write_text("years of work")
    before = tree(here)
    written = fails(capsys, *arguments)
    assert all(word in written for word in words), written
    assert tree(here) == before


def test_an_interrupt_is_one_sentence(here, capsys, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets, "load", interrupted)
    fails(capsys, "generate", "--preset", "dense-bunny", "--out", "a.mp4")
    assert tree(here) == {}


def test_a_missing_word_is_explained(capsys):
    for arguments in ([], ["nonsense"], ["generate"], ["train"], ["demo", "--steps", "many"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "usage: python -m vidgen_tf" in capsys.readouterr().err


def test_as_a_program_it_says_nothing_but_its_answer():
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS"))}
    done = subprocess.run(
        [sys.executable, "-m", "vidgen_tf", "list"], capture_output=True, text=True, env=clean, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Families")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "a.txt"], ["a.txt", ".mp4"]),
        (["--out", "absent/a.mp4"], ["absent"]),
        (["--out", "a.mp4", "--fps", "nan"], ["fps", "nan"]),
        (["--out", "a.mp4", "--seed", "-1"], ["seed", "-1"]),
        (["--out", "a.mp4", "--steps", "0"], ["steps", "0"]),
        (["--out", "a.mp4", "--guidance", "0.5"], ["guidance", "0.5"]),
        (["--out", "a.mp4", "--guidance", "1e30"], ["guidance", "1e+30"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_cannot_work_is_found_out_before_a_model_is_loaded(here, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr(presets, "load", None)
    written = fails(capsys, "generate", "a red circle moves left", *arguments)
    assert all(word in written for word in words), written


def test_list_says_held_out_only_of_another_world(capsys):
    main(["list"])
    lines = capsys.readouterr().out.splitlines()
    for name in presets.names():
        (line,) = [line for line in lines if line.split()[0] == f"{name}:"]
        recipe = presets.card(name)["recipe"]
        if presets.card(name)["record"].get("scores"):
            assert ("held-out" in line) == (recipe["test_config"] != recipe["world_config"])
