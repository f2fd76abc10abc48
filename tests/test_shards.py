"""Shards hold what the videos show, come back in an order that a seed decides, and are checked."""

import json
import shutil

import numpy as np
import pytest
from conftest import noise, refuses, smooth, tree

from vidgen_tf import presets
from vidgen_tf.__main__ import main
from vidgen_tf.clips import films, read_clip, to_uint8, write_clip
from vidgen_tf.shards import Shards, write_shards


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three videos and a folder of pictures, of 5, 2, 4 and 4 clips of 4 frames."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, (name, frames) in enumerate({"a.mp4": 21, "b.gif": 9, "c.png": 16, "d": 16}.items()):
        write_clip(folder / name, np.roll(smooth(frames, 16, 24), seed, axis=-1))
    (folder / "a.txt").write_text("a thing\n  moves\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shards(videos, tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards") / "clips", videos, 4, 8, in_shard=3)


@pytest.fixture
def copy(shards, tmp_path):
    """The shards, to be damaged."""
    return shutil.copytree(shards, tmp_path / "copy")


def rows_of(clips) -> set[bytes]:
    return {to_uint8(np.asarray(clip)).tobytes() for clip in clips}


def test_shards_hold_the_clips_of_the_videos_in_order(shards, videos):
    names = [f"{number:05d}.npy" for number in range(5)]
    assert set(tree(shards)) == {*names, "index.json"}
    found = np.concatenate([np.load(shards / name) for name in names])
    assert found.shape == (15, 4, 8, 8, 3)
    assert found.dtype == np.uint8
    films_of = [read_clip(videos / name, size=8) for name in ("a.mp4", "b.gif", "c.png", "d")]
    np.testing.assert_array_equal(
        found, to_uint8(np.concatenate([f[: len(f) // 4 * 4].reshape(-1, 4, 8, 8, 3) for f in films_of]))
    )
    index = json.loads((shards / "index.json").read_text())
    said = [caption for shard in index["shards"] for caption in shard["captions"]]
    assert said == ["a thing moves"] * 5 + [""] * 10
    assert Shards(shards).count == 15


@pytest.mark.parametrize("every", [1, 3, 4, 7])
def test_films_begin_at_every_so_many_frames(videos, every):
    whole = to_uint8(read_clip(videos / "a.mp4", size=(8, 10)))
    found = list(films(videos / "a.mp4", 4, (8, 10), every))
    assert len(found) == len(range(0, len(whole) - 3, every))
    for number, clip in enumerate(found):
        np.testing.assert_array_equal(clip, whole[every * number :][:4])


def test_the_stream_shows_all_clips_once_in_each_round_in_an_order_that_the_seed_decides(shards):
    world = Shards(shards)
    first, again, other = (list(world.dataset(5, seed).take(6)) for seed in (1, 1, 2))
    assert first[0].shape == (5, 4, 8, 8, 3)
    assert first[0].dtype == "float32"
    everything = rows_of(np.concatenate(first[:3]))
    assert len(everything) == 15
    assert rows_of(np.concatenate(first[3:])) == everything
    assert not np.array_equal(first[:3], first[3:])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("first", [1, 3, 4, 11])
def test_it_can_begin_at_any_batch(shards, first):
    world = Shards(shards)
    for (later, says), (clips, said) in zip(
        world.dataset(4, 5, captions=True, first=first).take(2),
        world.dataset(4, 5, captions=True).skip(first),
        strict=False,
    ):
        np.testing.assert_array_equal(later, clips)
        np.testing.assert_array_equal(says, said)


def test_machines_read_their_own_parts(shards):
    world = Shards(shards)
    whole = list(world.dataset(6, 5).take(4))
    parts = [list(world.dataset(6, 5, part=(number, 3)).take(4)) for number in range(3)]
    for batch, *cut in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(batch, np.concatenate(cut))


def test_captions_stay_with_their_clips(shards):
    known = rows_of(np.load(shards / "00000.npy")[:3] / np.float32(127.5) - np.float32(1))
    seen = 0
    for clips, said in Shards(shards).dataset(5, 3, captions=True).take(3):
        for clip, caption in zip(clips, said, strict=True):
            if rows_of([clip]) <= known:
                assert caption == b"a thing moves"
                seen += 1
    assert seen == 3


def test_test_clips_are_others_than_training_clips(shards):
    train, test = (Shards(shards, part=part, held=0.3) for part in ("train", "test"))
    assert (train.count, test.count) == (10, 5)
    seen = [rows_of(next(iter(world.dataset(world.count, 0)))) for world in (train, test)]
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "other"])
def test_a_corrupt_shard_is_named_and_stops_or_is_skipped(copy, damage):
    path = copy / "00003.npy"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"flip": bytes(content), "cut": content[:-1], "other": b"text"}[damage])
    with refuses("00003.npy", "skip"):
        Shards(copy)
    with pytest.warns(UserWarning, match=r"00003.npy .* is left out"):
        world = Shards(copy, corrupt="skip")
    assert world.skipped == ["00003.npy"]
    assert world.count == 12
    assert len(rows_of(next(iter(world.dataset(12, 0))))) == 12


def test_nothing_outside_of_the_folder_is_read(copy):
    index = json.loads((copy / "index.json").read_text())
    index["shards"][0]["file"] = "../secret.npy"
    shutil.copy(copy / "00000.npy", copy.parent / "secret.npy")
    (copy / "index.json").write_text(json.dumps(index))
    with refuses("../secret.npy", "missing"):
        Shards(copy)


@pytest.mark.parametrize(
    "content", [None, "", "{}", "[]", '{"clip_shape": [4, 8, 8, 3]}', '{"clip_shape": 4, "shards": []}']
)
def test_a_folder_without_a_sound_index_is_refused(copy, content):
    (copy / "index.json").unlink()
    if content is not None:
        (copy / "index.json").write_text(content)
    with refuses("index.json", "anew"):
        Shards(copy)


def test_bad_arguments_are_refused(shards, videos, tmp_path):
    world = Shards(shards)
    for options, word in (
        ({"batch_size": 0}, "batch_size"), ({"seed": -1}, "seed"), ({"first": -1}, "first"), ({"truth": "flow"}, "flow"),
        ({"part": (0, 3)}, "3 machines"),
    ):  # fmt: skip
        with refuses(word):
            world.dataset(**({"batch_size": 4, "seed": 0} | options))
    for options, word in (({"corrupt": "ignore"}, "'ignore'"), ({"part": "some"}, "'some'")):
        with refuses(word):
            Shards(shards, **options)
    for options, word in (
        ({"frames": 0}, "frames"), ({"frames": 22}, "22 frames"), ({"size": None}, "size"), ({"every": -2}, "every"),
        ({"in_shard": 0}, "in_shard"), ({"broken": "ignore"}, "'ignore'"),
    ):  # fmt: skip
        with refuses(word):
            write_shards(tmp_path / "new", videos, **({"size": 8} | options))
    with refuses("already there"):
        write_shards(shards, videos)
    with refuses("absent", error=FileNotFoundError):
        write_shards(tmp_path / "new", tmp_path / "absent")
    assert tree(tmp_path) == {}


def test_a_broken_video_is_named_and_stops_or_is_skipped(tmp_path):
    (tmp_path / "videos").mkdir()
    for name, seed in (("a.png", 0), ("b.png", 1), ("c.png", 2)):
        write_clip(tmp_path / "videos" / name, noise(8, 8, 8, 3, seed=seed))
    whole = (tmp_path / "videos" / "b.png").read_bytes()
    (tmp_path / "videos" / "b.png").write_bytes(whole[: len(whole) // 2])
    with refuses("b.png", "broken"):
        write_shards(tmp_path / "new", tmp_path / "videos", 2, 8)
    assert not (tmp_path / "new").exists()
    with pytest.warns(UserWarning, match=r"Left out from here on: .*b.png"):
        write_shards(tmp_path / "new", tmp_path / "videos", 2, 8, broken="skip")
    assert 8 <= Shards(tmp_path / "new").count < 12


def test_a_recipe_may_train_on_shards_and_goes_on(shards, tmp_path, monkeypatch, capsys):
    recipe = {
        "family": "DenseGAN", "config": {"clip_shape": [4, 8, 8, 3], "latent_size": 4, "hidden": [8], "loss": "relativistic"},
        "world": "Shards", "world_config": {"folder": str(shards), "part": "train"},
        "test_config": {"folder": str(shards), "part": "test"}, "data": {}, "seed": 2, "batch_size": 4, "steps": 6,
        "optimizer": {"name": "Adam", "learning_rate": 0.01}, "test_steps": 1,
    }  # fmt: skip
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "filmed.json").write_text(json.dumps({"recipe": recipe, "record": {}}))
    monkeypatch.setattr(presets, "FOLDER", tmp_path / "presets")
    assert main(["train", "filmed", "--out", str(tmp_path / "out")]) == 0
    assert set(tree(tmp_path / "out")) == {"filmed.json", "filmed.npz"}


def test_the_command_line_writes_shards(videos, tmp_path, capsys):
    out = tmp_path / "new"
    assert main(["shards", str(videos), "--out", str(out), "--frames", "4", "--size", "8"]) == 0
    assert "15 clips" in capsys.readouterr().out
    assert Shards(out).clip_shape == (4, 8, 8, 3)
    assert main(["shards", str(videos), "--out", str(out)]) == 1
    assert "already there" in capsys.readouterr().err
