"""Adverts: a product stays the same, and colour, pace and mood are read back exactly."""

from itertools import product

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.clips import check_clips, to_uint8
from vidgen_tf.metrics import frozen, shuffled
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.adverts import (
    COLORS,
    COVER,
    DARK,
    GROUNDS,
    LABELS,
    LEAST_COSINE,
    LIGHTS,
    MOODS,
    SHELVES,
    SWAY,
    TINTS,
    WAYS,
    Adverts,
    caption_of,
    photograph,
)
from vidgen_tf.worlds.pictures import PRODUCTS

LOOKS = np.array(list(product(range(6), range(3), range(3))))  # all of colour, pace and mood


@pytest.fixture(scope="module")
def world():
    return Adverts("test")


def test_a_sample_keeps_the_contract(world):
    sample = world.sample(60, 4)
    assert isinstance(sample, Sample)
    check_clips(sample.clips)
    assert sample.clips.shape == (60, *world.clip_shape) == (60, 16, 32, 32, 3)
    shapes = {name: values.shape for name, values in sample.truth.items()}
    assert shapes == {"labels": (60, 4), "picture": (60,), "kind": (60,), "first": (60,)}
    labels, picture = sample.truth["labels"], sample.truth["picture"]
    np.testing.assert_array_equal(labels[:, 0], world.shelf[picture])
    np.testing.assert_array_equal(sample.truth["kind"], world.kinds[picture])
    assert sample.captions == tuple(map(caption_of, labels))
    assert set(sample.truth["first"]) == {1}
    assert set(Adverts("test", both=True).sample(60, 4).truth["first"]) == {-1, 1}
    drawn = world.render(world.stills[picture], labels[:, 1:], sample.truth["first"])
    np.testing.assert_array_equal(sample.clips, drawn)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(world):
    first, again, other = (world.sample(5, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert (first.clips != other.clips).any()


def test_parts_hold_the_pictures_that_ship(world):
    train = Adverts()
    assert (len(train), len(world)) == (6000, 1000)
    assert (train.stills.dtype, train.stills.shape) == (np.uint8, (6000, 24, 24))
    assert train.licence == "MIT"
    assert [name for kinds in SHELVES.values() for name in kinds] != list(PRODUCTS)
    assert {name for kinds in SHELVES.values() for name in kinds} == set(PRODUCTS)
    assert np.bincount(world.shelf).tolist() == [400, 100, 100, 300, 100]


def test_shelves_are_equally_likely(world):
    labels = world.sample(1000, 1).truth["labels"]
    for column, names in enumerate(LABELS.values()):
        counts, even = np.bincount(labels[:, column], minlength=len(names)), 1000 / len(names)
        assert np.abs(counts - even).max() < 5 * np.sqrt(even)


def test_captions_are_english():
    assert caption_of([4, 0, 2, 2]) == "a red bag, fast, at night"
    assert caption_of([3, 4, 0, 1]) == "blue shoes, still, in warm light"


def test_frame_0_is_the_photograph_and_no_label_changes_it(world):
    clips = world.render(np.repeat(world.stills[:1], 54, axis=0), LOOKS)
    np.testing.assert_array_equal(
        to_uint8(clips[:, 0, 4:28, 4:28]), np.broadcast_to(world.stills[0][..., None], (54, 24, 24, 3))
    )
    assert (clips[:, 0, :4] == -1).all()
    assert (clips[:, 0, :, 28:] == -1).all()
    np.testing.assert_array_equal(photograph(world.stills[:1])[0, 0], clips[0, 0])
    assert (photograph(world.stills[:3])[:, 1:] == 0).all()


def test_a_pixel_is_what_the_docstring_says(world):
    still = np.zeros((1, 24, 24), np.uint8)
    still[0, 10, 5], still[0, 12, 5] = 255, 20  # full ink, and a little
    clip = (world.render(still, [[3, 2, 1]], -1)[0].astype(float) + 1) / 2
    for frame, (row, grey) in product((1, 6, 15), ((14, 1.0), (16, 20 / 255))):
        column = 9 - round(SWAY * np.sin(2 * np.pi * 2 * frame / 16))
        light, top, bottom = (np.array(each) for each in MOODS["warm"])
        ground = top + (bottom - top) * row / 31
        shown = light * np.array(COLORS["cyan"]) * (DARK + (1 - DARK) * grey)
        cover = min(1, COVER * grey)
        np.testing.assert_allclose(clip[frame, row, column], ground + cover * (shown - ground), atol=1e-6)
        np.testing.assert_allclose(clip[frame, row, column + 1], ground, atol=1e-6)


def test_ways_are_still_slow_and_fast():
    assert WAYS.shape == (3, 16)
    assert (WAYS[:, 0] == 0).all()
    assert (WAYS[0] == 0).all()
    assert np.abs(WAYS[1:]).max(axis=1).tolist() == [SWAY, SWAY]
    np.testing.assert_array_equal(WAYS[2], WAYS[1][np.arange(16) * 2 % 16])


@pytest.mark.parametrize("part", ["train", "test"])
def test_read_finds_all_labels_of_real_adverts_exactly(part):
    world = Adverts(part, both=True)
    sample = world.sample(300, 7)
    found, labels = world.read(sample.clips), sample.truth["labels"]
    for column, name in enumerate(("color", "pace", "mood")):
        np.testing.assert_array_equal(found[name], labels[:, column + 1])
    moves = labels[:, 2] > 0
    np.testing.assert_array_equal(found["first"][moves], sample.truth["first"][moves])
    np.testing.assert_array_equal(found["picture"], world.stills[sample.truth["picture"]])
    assert found["error"].max() == 0
    way = WAYS[labels[:, 2]] * sample.truth["first"][:, None]
    assert (
        np.abs(found["center"] - way[:, 1:]).max() < 0.75
    )  # its shade is unlike from side to side where it is near the ground


def test_read_finds_all_looks_of_one_product(world):
    found = world.read(world.render(np.repeat(world.stills[3:4], 54, axis=0), LOOKS))
    np.testing.assert_array_equal(np.stack([found[name] for name in ("color", "pace", "mood")], axis=1), LOOKS)


def test_read_finds_labels_through_noise(world):
    sample = world.sample(100, 2)
    spoilt = np.clip(sample.clips + np.random.default_rng(0).normal(0, 0.1, sample.clips.shape), -1, 1)
    scores = world.scores(spoilt.astype(np.float32), sample.truth["labels"])
    assert scores["profile"] >= 0.98
    assert 0.05 < scores["error"] < 0.2


def test_read_takes_nothing_for_an_advert_that_is_none(world):
    clips = world.sample(40, 3).clips
    nothing = np.zeros((1, *world.clip_shape), np.float32)
    bare = np.repeat(2 * np.broadcast_to(GROUNDS[:1, None], (1, 16, 32, 32, 3)) - 1, 2, axis=0).astype(np.float32)
    for name, made in {
        "nothing": nothing,
        "the photograph": frozen(clips),
        "bare ground": bare,
        "noise": noise(4, *world.clip_shape),
        "mean": clips.mean(axis=0, keepdims=True),
    }.items():
        found = world.read(made)
        assert (np.stack([found[name] for name in ("color", "pace", "mood")]) == -1).any(axis=0).all(), name
        assert np.isnan(found["error"]).all(), name
        assert world.scores(made) == {"readable": 0.0, "error": 2.0}


def test_read_is_not_fooled_by_frames_in_another_order_or_another_product(world):
    sample = world.sample(60, 9)
    fast = sample.truth["labels"][:, 2] > 0
    found = world.read(shuffled(sample.clips, 0))
    assert (found["pace"] == sample.truth["labels"][:, 2])[fast].mean() < 0.1
    changed = sample.clips.copy()
    changed[:, 0] = np.roll(sample.clips[:, 0], 1, axis=0)  # the photograph of another advert
    assert np.median(world.read(changed)["error"]) > 0.2


def test_a_grey_product_has_no_colour(world):
    clip = (world.render(world.stills[:1], [[0, 0, 0]]) + 1) / 2
    ground = GROUNDS[:1, None]
    product_here = np.abs(clip[:, 1:] - ground).sum(axis=-1, keepdims=True) > 0.1
    clip[:, 1:] = np.where(product_here, 0.3, ground)
    found = world.read((2 * clip - 1).astype(np.float32))
    assert (found["color"], found["pace"], found["mood"]) == (-1, 0, 0)


def test_a_product_off_its_way_has_no_pace_and_a_speck_is_no_product(world):
    clips = world.render(world.stills[:3], [[0, 0, 0]] * 3)
    for jumps, pace in (((1, 0, -1, 0), 0), ((1, -1, 2, -2), -1)):  # 0.7 and 1.6 pixels, root mean square
        moved = clips.copy()
        for frame in range(1, 16):
            moved[:, frame] = np.roll(clips[:, frame], jumps[frame % 4], axis=2)
        assert set(world.read(moved)["pace"]) == {pace}
    still = np.zeros((2, 24, 24), np.uint8)
    still[0, 8:10, 8:12], still[1, 8:12, 8:12] = 255, 255  # 8 pixels, and 16
    found = world.read(world.render(still, [[0, 0, 0]] * 2))
    assert np.isnan(found["center"][0]).all()
    assert np.isfinite(found["center"][1]).all()
    assert found["pace"].tolist() == [-1, 0]


def test_colours_and_grounds_are_far_apart():
    lengths = np.linalg.norm(TINTS, axis=1)
    cosine = (TINTS / lengths[:, None]) @ (TINTS / lengths[:, None]).T - np.eye(6)
    assert cosine.max() == pytest.approx(0.90, abs=0.005)
    assert (TINTS.sum(axis=1) / lengths / np.sqrt(3)).max() == pytest.approx(0.90, abs=0.005)
    assert LEAST_COSINE > 0.92
    apart = np.sqrt(np.mean((GROUNDS[:, None] - GROUNDS[None]) ** 2, axis=(2, 3, 4)))[np.triu_indices(3, 1)]
    assert apart.min() > 0.2
    assert (LIGHTS > 0).all()


def test_scores_count_what_is_as_asked(world):
    sample = world.sample(4, 0)
    asked = sample.truth["labels"].copy()
    asked[0, 1] = (asked[0, 1] + 1) % 6
    asked[1, 2:] = (asked[1, 2:] + 1) % 3
    scores = world.scores(sample.clips, asked)
    assert scores == {"readable": 1.0, "error": 0.0, "color": 0.75, "pace": 0.75, "mood": 0.75, "profile": 0.5}
    with refuses("labels", "(4, 4)", "(3, 4)"):
        world.scores(sample.clips[:3], asked)
    with refuses("(5, 32, 32, 3)"):
        world.scores(sample.clips[:, :5], asked)
    assert world.scores(noise(2, 16, 32, 32, 3)) == {"readable": 0.0, "error": 2.0}


def test_a_dataset_pairs_clips_with_their_labels(world):
    clips, labels = next(iter(world.dataset(6, seed=1, truth="labels")))
    assert world.scores(clips.numpy(), labels.numpy())["profile"] == 1


@pytest.mark.parametrize("part", ["all", "", None, 1])
def test_another_part_is_refused(part):
    with refuses("part", repr(part), "'train' or 'test'"):
        Adverts(part)


@pytest.mark.parametrize("bad", [0, 1, "yes", None])
def test_both_is_true_or_false(bad):
    with refuses("both", repr(bad), "True or False"):
        Adverts("test", both=bad)


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_counts_are_refused(world, bad):
    with refuses("count", repr(bad)):
        world.sample(bad, 0)


def test_more_than_fits_is_refused(world):
    with refuses("a sample", "fit"):
        world.sample(10**7, 0)


@pytest.mark.parametrize("bad", [np.zeros((24, 24), np.uint8), np.zeros((2, 28, 28), np.uint8), np.zeros((2, 24, 24))])
def test_pictures_of_another_kind_are_refused(world, bad):
    with refuses("stills", str(bad.shape), "(count, 24, 24)"):
        world.render(bad, np.zeros((2, 3), int))
    with refuses("stills", str(bad.shape), "(count, 24, 24)"):
        photograph(bad)


@pytest.mark.parametrize(
    "bad", [[[0, 0, 0]], [[0, 0, 3], [0, 0, 0]], [[-1, 0, 0], [0, 0, 0]], np.zeros((2, 3)), [0, 0, 0]]
)
def test_looks_that_are_none_are_refused(world, bad):
    with refuses("looks", "(2, 3)", "colour, pace and mood"):
        world.render(world.stills[:2], bad)


@pytest.mark.parametrize("bad", [0, [1, 1, 1], [1, 2], 0.5])
def test_another_beginning_is_refused(world, bad):
    with refuses("first", "right"):
        world.render(world.stills[:2], [[0, 0, 0], [0, 0, 0]], bad)


def test_other_clips_are_refused(world):
    with refuses("(16, 8, 8, 3)", "(16, 32, 32, 3)"):
        world.read(noise(3, 16, 8, 8, 3))
    with refuses("float32"):
        world.scores(noise(3, 16, 32, 32, 3).astype(float))
