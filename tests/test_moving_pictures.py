"""Moving pictures: the published rule step by step, files in MNIST's format, and the least that greys can cost."""

import gzip
import importlib.util
import math
import struct

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.clips import check_clips, to_float
from vidgen_tf.metrics import frozen
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.moving_pictures import SOURCES, MovingPictures
from vidgen_tf.worlds.pictures import DATA, PRODUCTS, Pictures


def digits(**options) -> MovingPictures:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn, which carries the digits, is not installed")
    return MovingPictures("digits", **options)


def idx(count: int = 10, *, magic: int = 2051, side: int = 28, promised: int | None = None) -> bytes:
    """A file in the format of MNIST whose picture i is of grey i + 1."""
    pixels = np.repeat(np.arange(1, count + 1, dtype=np.uint8), side**2)
    return struct.pack(">4i", magic, count if promised is None else promised, side, side) + pixels.tobytes()


@pytest.fixture
def own(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx())
    return tmp_path / "train-images-idx3-ubyte"


def published(x: float, y: float, way_x: float, way_y: float, frames: int, free: int) -> list[tuple[int, int]]:
    """The published rule for one picture, in plain floats: columns and rows (frames, 2)."""
    shown = []
    for _ in range(frames):
        x, y = x + 0.1 * way_x, y + 0.1 * way_y
        if x <= 0:
            x, way_x = 0.0, -way_x
        if x >= 1:
            x, way_x = 1.0, -way_x
        if y <= 0:
            y, way_y = 0.0, -way_y
        if y >= 1:
            y, way_y = 1.0, -way_y
        shown.append((int(free * x), int(free * y)))
    return shown


# ------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize("pictures", [1, 2, 3])
def test_a_sample_keeps_the_contract(pictures):
    world = MovingPictures(pictures=pictures)
    sample = world.sample(30, 4)
    assert isinstance(sample, Sample)
    check_clips(sample.clips)
    assert sample.clips.shape == (30, *world.clip_shape) == (30, 20, 64, 64, 1)
    assert {name: (values.dtype, values.shape) for name, values in sample.truth.items()} == {
        "picture": (np.int64, (30, pictures)),
        "label": (np.int64, (30, pictures)),
        "position": (np.int64, (30, 20, pictures, 2)),
        "velocity": (np.float64, (30, 20, pictures, 2)),
    }
    assert world.endless
    assert len(world) == len(world.stills) == 6000


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (MovingPictures().sample(20, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert first.captions == again.captions
    assert (first.truth["picture"] != other.truth["picture"]).any()
    assert (first.truth["velocity"] != other.truth["velocity"]).all()


@pytest.mark.parametrize(("size", "pictures"), [(64, 2), (40, 1), (29, 3)])
def test_pictures_go_by_the_published_rule(size, pictures):
    world = MovingPictures(frames=50, size=size, pictures=pictures)
    start = np.random.default_rng(1).random((40, pictures, 2))
    position, velocity = world._ways(start, np.random.default_rng(2))
    way = np.random.default_rng(2).standard_normal((40, pictures, 2))
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    for clip, k in np.ndindex(40, pictures):
        expected = published(*start[clip, k], *way[clip, k], 50, size - 28)
        np.testing.assert_array_equal(position[clip, :, k], expected)
    np.testing.assert_allclose(np.linalg.norm(velocity, axis=-1), 0.1 * (size - 28), rtol=1e-12)
    assert position.min() == 0
    assert position.max() == size - 28


def test_velocity_is_that_with_which_a_picture_leaves_the_frame():
    truth = MovingPictures(frames=30).sample(200, 0).truth
    position, velocity = truth["position"], truth["velocity"]
    moved = np.diff(position, axis=1)
    inside = (position[:, 1:] > 0) & (position[:, 1:] < 35)  # has not stopped at a side
    assert np.abs(moved - velocity[:, :-1])[inside].max() < 1  # places are cut down to whole pixels
    turned = np.sign(velocity[:, 1:]) != np.sign(velocity[:, :-1])
    assert np.isin(position[:, 1:][turned], [0, 36]).all()
    assert 0.05 < turned.mean() < 0.15


def test_directions_and_pictures_are_drawn_evenly():
    truth = MovingPictures(frames=2, size=29).sample(10_000, 3).truth
    x, y = np.moveaxis(truth["velocity"][:, 0], -1, 0)
    octants = np.bincount(((np.arctan2(y, x) + math.pi) / (math.pi / 4)).astype(int).ravel() % 8, minlength=8)
    assert np.sum((octants - 2500) ** 2 / 2500) < 25  # of 7 degrees of freedom
    kinds = np.bincount(truth["label"].ravel())
    assert np.sum((kinds - 2000) ** 2 / 2000) < 30  # of 9
    assert len(np.unique(truth["picture"])) > 5700  # of 6000, 214 stay undrawn on average


@pytest.mark.parametrize("pictures", [1, 2, 4])
def test_of_crossing_pictures_the_brighter_pixel_is_seen(pictures):
    world = MovingPictures(frames=6, size=40, pictures=pictures)
    sample = world.sample(10, 2)
    for clip, picture, position in zip(sample.clips, sample.truth["picture"], sample.truth["position"], strict=True):
        for t in range(6):
            expected = np.zeros((40, 40), np.uint8)
            for number, (left, top) in zip(picture, position[t], strict=True):
                place = expected[top : top + 28, left : left + 28]
                np.maximum(place, world.stills[number], out=place)
            np.testing.assert_array_equal(clip[t, :, :, 0], to_float(expected))


def test_labels_are_those_of_the_pictures_and_captions_name_them():
    world = MovingPictures(part="test", pictures=2)
    sample = world.sample(500, 1)
    with np.load(DATA / "products.npz") as stored:
        np.testing.assert_array_equal(sample.truth["label"], stored["labels"][6000:][sample.truth["picture"]])
    for caption, (one, other) in zip(sample.captions, sample.truth["label"], strict=True):
        assert caption.replace("an ", "a ") == f"a {PRODUCTS[one]} and a {PRODUCTS[other]} move"
    assert any("an ankle boot" in caption for caption in sample.captions)
    assert not any("a ankle" in caption or "an bag" in caption for caption in sample.captions)
    one, three = (MovingPictures(pictures=pictures).sample(1, 0) for pictures in (1, 3))
    assert one.captions[0] == f"a {PRODUCTS[one.truth['label'][0, 0]]} moves"
    assert three.captions[0].count(" a ") + three.captions[0].count(" an ") == 2
    assert ", a" in three.captions[0]
    assert three.captions[0].endswith(" move")


# ------------------------------------------------------------------------------------------- sources


def test_products_are_those_that_ship_and_split_as_in_pictures():
    for part in ("train", "test", "all"):
        world, stills = MovingPictures(part=part), Pictures(part=part)
        np.testing.assert_array_equal(to_float(world.stills), stills.clips[:, 0, :, :, 0])
        assert (world.labels, world.licence, world.credit) == (PRODUCTS, stills.licence, stills.credit)


def test_digits_are_split_and_are_the_enlarged_ones_of_the_package():
    train, test, whole = (digits(part=part) for part in ("train", "test", "all"))
    assert (len(train), len(test), len(whole)) == (1500, 297, 1797)
    np.testing.assert_array_equal(np.concatenate([train.stills, test.stills]), whole.stills)
    assert len({still.tobytes() for still in whole.stills}) == 1797
    assert (whole.stills[:, 4:24, 4:24] == 0).mean() < 0.6
    empty = whole.stills.copy()
    empty[:, 4:24, 4:24] = 0
    assert not empty.any()
    spec = importlib.util.find_spec("sklearn")
    table = np.loadtxt(f"{spec.submodule_search_locations[0]}/datasets/data/digits.csv.gz", delimiter=",")
    means = whole.stills[:, 4:24, 4:24].reshape(-1, 4, 5, 4, 5).mean(axis=(2, 4))  # 5×5 pixels for 2×2 of the package
    given = table[:, :64].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)) * 255 / 16
    assert np.abs(means - given).mean() < 6
    assert np.corrcoef(means.ravel(), given.ravel())[0, 1] > 0.99
    np.testing.assert_array_equal(whole._label, table[:, 64])
    assert "scikit-learn" in whole.credit
    assert (whole.licence, whole.credit) == SOURCES["digits"][1:]
    sample = test.sample(200, 0)
    assert sample.captions[0] == " and ".join(
        f"{'an' if label == 8 else 'a'} {label}" for label in sample.truth["label"][0]
    ) + (" move")
    assert any("an 8" in caption for caption in sample.captions)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refuses("scikit-learn", "pip install scikit-learn", error=ModuleNotFoundError):
        MovingPictures("digits")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_of_your_own_is_read_zipped_or_not(tmp_path, zipped):
    path = tmp_path / "some-pictures"  # the ending does not matter
    path.write_bytes(gzip.compress(idx()) if zipped else idx())
    train, test, whole = (MovingPictures(path, part=part) for part in ("train", "test", "all"))
    assert (len(train), len(test)) == (9, 1)
    np.testing.assert_array_equal(whole.stills, np.arange(1, 11)[:, None, None] * np.ones((28, 28)))
    np.testing.assert_array_equal(np.concatenate([train.stills, test.stills]), whole.stills)
    assert (whole.licence, whole.credit, whole.labels) == ("your own", "your own", ())
    sample = MovingPictures(str(path), frames=2).sample(3, 0)
    assert list(sample.truth) == ["picture", "position", "velocity"]
    assert sample.captions == ("2 pictures move",) * 3
    assert MovingPictures(path, frames=2, pictures=1).sample(2, 0).captions == ("a picture moves",) * 2
    level = np.rint((sample.clips.max(axis=(1, 2, 3, 4)) + 1) * 127.5)
    np.testing.assert_array_equal(level, sample.truth["picture"].max(axis=1) + 1)


@pytest.mark.parametrize(("count", "train"), [(2, 1), (3, 2), (10, 9), (16, 14)])
def test_both_parts_have_a_picture_where_there_are_two(own, count, train):
    own.write_bytes(idx(count))
    assert len(MovingPictures(own)) == train
    assert len(MovingPictures(own, part="test")) == count - train


def test_one_picture_is_for_training_and_none_for_testing(own):
    own.write_bytes(idx(1))
    assert len(MovingPictures(own)) == 1
    with refuses("1 picture", "'test'", "part='all'"):
        MovingPictures(own, part="test")


WRONG = {
    "empty": (b"", "no file of 28×28 pictures"),
    "short head": (idx()[:12], "no file of 28×28 pictures"),
    "labels": (idx(magic=2049), "no file of 28×28 pictures"),
    "other sides": (idx(side=32), "no file of 28×28 pictures"),
    "no pictures": (idx(0), "promises 0 pictures"),
    "cut short": (idx()[:-100], "promises 10 pictures and holds 9"),
    "longer": (idx() + b"x", "promises 10 pictures and holds more"),
    "too many": (idx(promised=2**31 - 1), "fit"),
    "negative": (idx(promised=-1), "fit"),
    "zip cut short": (gzip.compress(idx())[:-20], "cannot be read"),
    "zip spoilt": (gzip.compress(idx())[:20] + b"spoilt" + gzip.compress(idx())[26:], "cannot be read"),
    "zip of other pictures": (gzip.compress(idx())[:-8] + gzip.compress(idx(9))[-8:], "cannot be read"),
    "no zip": (b"\x1f\x8bspoilt", "cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_files_and_others_are_named(own, name):
    content, words = WRONG[name]
    own.write_bytes(content)
    with refuses("train-images-idx3-ubyte", words):
        MovingPictures(own)


def test_a_zip_that_unfolds_to_more_than_it_promises_is_not_read_to_its_end(own, monkeypatch):
    own.write_bytes(gzip.compress(idx() + bytes(10**7)))
    read, really = [], gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size: read.append(size) or really(file, size))
    with refuses("promises 10 pictures and holds more"):
        MovingPictures(own)
    assert read == [16, 10 * 784 + 1]


# ------------------------------------------------------------------------------------------- reading


def test_the_centre_of_one_picture_moves_as_the_picture_does():
    world = MovingPictures(pictures=1)
    sample = world.sample(50, 1)
    found = world.read(sample.clips)
    assert {name: values.shape for name, values in found.items()} == {
        "ink": (50, 20),
        "center": (50, 20, 2),
        "velocity": (50, 19, 2),
    }
    position = sample.truth["position"][:, :, 0]
    offset = found["center"] - position  # the same in all frames
    np.testing.assert_allclose(offset, np.broadcast_to(offset[:, :1], offset.shape), atol=1e-4)
    np.testing.assert_allclose(found["velocity"], np.diff(position, axis=1), atol=1e-4)
    still = world.stills[sample.truth["picture"][:, 0]] / 255
    np.testing.assert_allclose(found["ink"], np.repeat(still.sum(axis=(1, 2))[:, None], 20, axis=1), rtol=1e-4)
    y, x = np.mgrid[:28, :28] + 0.5
    for axis, places in enumerate((x, y)):
        np.testing.assert_allclose(
            offset[:, 0, axis], (still * places).sum(axis=(1, 2)) / found["ink"][:, 0], atol=1e-3
        )


def test_of_two_pictures_it_is_the_weighted_mean_while_none_hides_the_other():
    world = MovingPictures()
    sample = world.sample(100, 1)
    found, truth = world.read(sample.clips), sample.truth
    stills = world.stills[truth["picture"]] / 255  # (count, 2, 28, 28)
    ink = stills.sum(axis=(2, 3))
    y, x = np.mgrid[:28, :28] + 0.5
    inner = np.stack([(stills * places).sum(axis=(2, 3)) / ink for places in (x, y)], axis=-1)  # (count, 2, 2)
    center = truth["position"] + inner[:, None]
    mean = (center * ink[:, None, :, None]).sum(axis=2) / ink.sum(axis=1)[:, None, None]
    apart = np.abs(np.diff(truth["position"], axis=2)[:, :, 0]).max(axis=-1) >= 28
    assert 0.05 < apart.mean() < 0.5
    np.testing.assert_allclose(found["center"][apart], mean[apart], atol=1e-3)
    whole = np.broadcast_to(ink.sum(axis=1)[:, None], apart.shape)
    np.testing.assert_allclose(found["ink"][apart], whole[apart], rtol=1e-5)
    assert (found["ink"] <= whole * (1 + 1e-5)).all()
    assert (found["ink"] < 0.9 * whole).mean() > 0.1


def test_where_there_is_no_ink_nothing_is_read():
    world = MovingPictures()
    clips = -np.ones((2, 3, 64, 64, 1), np.float32)
    clips[1, 1, 10, 20] = 1
    found = world.read(clips)
    assert np.isnan(found["center"][0]).all()
    assert np.isnan(found["velocity"]).all()
    np.testing.assert_array_equal(found["center"][1, 1], [20.5, 10.5])
    assert found["ink"].tolist() == [[0, 0, 0], [0, 1, 0]]
    assert world.scores(clips) == {"ink_kept": 0.0, "speed": 0.0, "grey_nats": 0.0}


def test_scores_of_real_clips_and_of_others():
    for pictures, speed in ((1, 3.47), (2, 2.48)):
        world = MovingPictures(pictures=pictures)
        clips = world.sample(300, 0).clips
        real = world.scores(clips)
        assert real["ink_kept"] == pytest.approx(1, abs=0.03)
        assert real["speed"] == pytest.approx(speed, abs=0.1)
        assert real["grey_nats"] == pytest.approx(MovingPictures.bound(clips).mean())
    assert world.scores(frozen(clips)) == {"ink_kept": 1.0, "speed": 0.0, "grey_nats": pytest.approx(340, rel=0.05)}
    fading = clips.copy()
    fading[:, -1] = (fading[:, -1] - 1) / 2
    assert world.scores(fading)["ink_kept"] == pytest.approx(real["ink_kept"] / 2, rel=1e-4)
    blurred = (clips[:, :-1] + clips[:, 1:]) / 2
    assert world.scores(blurred)["grey_nats"] > 1.2 * real["grey_nats"]


# ------------------------------------------------------------------------------------------- cross-entropy


def test_cross_entropy_is_the_sum_over_all_pixels():
    clips, predicted = noise(2, 3, 4, 5, 1), noise(2, 3, 4, 5, 1, seed=1) * np.float32(0.9)
    clips[0, 0, 0, 0] = 1
    clips[0, 0, 0, 1] = -1
    expected = np.zeros((2, 3))
    for place in np.ndindex(2, 3, 4, 5, 1):
        z, p = (float(clips[place]) + 1) / 2, (float(predicted[place]) + 1) / 2
        expected[place[:2]] -= (z * math.log(p) if z else 0) + ((1 - z) * math.log(1 - p) if z < 1 else 0)
    np.testing.assert_allclose(MovingPictures.cross_entropy(clips, predicted), expected, rtol=1e-9)


def test_no_prediction_costs_less_than_the_bound_and_the_greys_themselves_attain_it():
    clips = MovingPictures().sample(20, 0).clips
    bound = MovingPictures.bound(clips)
    assert bound.shape == (20, 20)
    np.testing.assert_array_equal(MovingPictures.cross_entropy(clips, clips), bound)
    z = (clips.astype(float) + 1) / 2
    inner = np.where((z > 0) & (z < 1), z, 0.5)
    entropy = -(inner * np.log(inner) + (1 - inner) * np.log(1 - inner))
    np.testing.assert_allclose(bound, np.where((z > 0) & (z < 1), entropy, 0).sum(axis=(2, 3, 4)), rtol=1e-9)
    for share in (0.5, 0.9, 0.99, 0.999):
        others = share * clips + np.float32(1 - share) * noise(*clips.shape)
        assert (MovingPictures.cross_entropy(clips, others.astype(np.float32)) > bound).all()
    grid = np.linspace(-0.998, 0.998, 999, dtype=np.float32)
    for grey in (-0.5, 0.0, 0.75):
        costs = [
            MovingPictures.cross_entropy(*(np.full((1, 1, 1, 1, 1), v, np.float32) for v in (grey, p))) for p in grid
        ]
        assert grid[int(np.argmin(costs))] == pytest.approx(grey, abs=0.002)


def test_what_is_black_and_white_costs_nothing_and_grey_ln_2_a_pixel():
    clips = np.sign(noise(2, 3, 4, 5, 1)) + 0
    assert (MovingPictures.bound(clips) == 0).all()
    np.testing.assert_allclose(MovingPictures.bound(0 * clips), 20 * math.log(2))
    wrong = MovingPictures.cross_entropy(clips, -clips)
    assert (wrong == np.inf).all()
    np.testing.assert_allclose(MovingPictures.cross_entropy(clips, 0 * clips), 20 * math.log(2))


def test_the_bounds_of_the_sources():
    assert MovingPictures.bound(MovingPictures().sample(300, 0).clips).mean() == pytest.approx(340, rel=0.04)
    assert MovingPictures.bound(digits().sample(300, 0).clips).mean() == pytest.approx(212, rel=0.04)
    assert "340 nats" in MovingPictures.bound.__doc__
    assert "212" in MovingPictures.bound.__doc__


# ------------------------------------------------------------------------------------------- the contract


def test_a_dataset_pairs_clips_with_their_positions():
    world = MovingPictures(frames=3, pictures=1)
    clips, truth = next(iter(world.dataset(6, seed=1, truth=["position", "label"])))
    moved = world.read(clips.numpy())["velocity"]
    np.testing.assert_allclose(moved, np.diff(truth["position"].numpy()[:, :, 0], axis=1), atol=1e-4)
    again, captions = next(iter(world.dataset(6, seed=1, captions=True)))
    np.testing.assert_array_equal(clips, again)
    assert PRODUCTS[truth["label"].numpy()[0, 0]] in captions.numpy()[0].decode()


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    for name, least in (("frames", 2), ("size", 29), ("pictures", 1)):
        with refuses(name, repr(bad), f"at least {least}"):
            MovingPictures(**{name: bad})
    with refuses("count", repr(bad)):
        MovingPictures().sample(bad, 0)
    if bad != 0:
        with refuses("seed", repr(bad)):
            MovingPictures().sample(2, bad)


def test_unknown_sources_and_what_does_not_fit_are_refused(tmp_path):
    with refuses("part", "'future'", "'train', 'test' or 'all'"):
        MovingPictures(part="future")
    with refuses("'produkts'", "products, digits"):
        MovingPictures("produkts")
    with refuses("no file", str(tmp_path)):
        MovingPictures(tmp_path)
    with refuses("path", "''"):
        MovingPictures("")
    with refuses("size", "28", "at least 29"):
        MovingPictures(size=28)
    with refuses("size", "8193", "8192"):
        MovingPictures(size=8193)
    with refuses("a clip", "fit"):
        MovingPictures(frames=10**6)
    with refuses("a sample", "fit"):
        MovingPictures().sample(10**4, 0)
    with refuses("the positions", "fit"):
        MovingPictures(pictures=10**7).sample(100, 0)


@pytest.mark.parametrize("verb", ["read", "scores"])
def test_other_clips_are_refused(verb):
    act = getattr(MovingPictures(), verb)
    with refuses("(32, 32, 1)", "(64, 64, 1)", "their size"):
        act(noise(2, 3, 32, 32, 1))
    with refuses("float32"):
        act(noise(2, 3, 64, 64, 1).astype(float))


def test_cross_entropy_refuses_clips_of_two_shapes():
    with refuses("(2, 3, 8, 8, 1)", "(2, 2, 8, 8, 1)", "same frames"):
        MovingPictures.cross_entropy(noise(2, 3, 8, 8, 1), noise(2, 2, 8, 8, 1))
    with refuses("predicted", "float32"):
        MovingPictures.cross_entropy(noise(2, 3, 8, 8, 1), noise(2, 3, 8, 8, 1).astype(float))
    with refuses("clips", "5 axes"):
        MovingPictures.bound(noise(3, 8, 8, 1))
