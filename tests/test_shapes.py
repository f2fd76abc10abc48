"""The world of shapes: its bits, its grammar, its truth and its reading, each against mathematics or another."""

import hashlib
import itertools
import math

import numpy as np
import pytest

from vidgen_tf.clips import check_clips
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.shapes import (
    BACKGROUNDS,
    COLORS,
    HELD_OUT,
    MOTIONS,
    PAIRS,
    PALETTE,
    SHAPES,
    SIZES,
    Shapes,
    Thing,
    agrees,
    caption_of,
    labels_of,
    parse,
)

LABELS = ("color", "shape", "size", "motion")
WORLD = Shapes()


@pytest.fixture(scope="module")
def sample() -> Sample:
    return WORLD.sample(1500, seed=11)


@pytest.fixture(scope="module")
def reading(sample) -> dict[str, np.ndarray]:
    return WORLD.read(sample.clips)


def one(caption: str, count: int = 12, world: Shapes = WORLD) -> Sample:
    return world.render([caption] * count, seed=3)


def coverage(sample: Sample) -> np.ndarray:
    """How much of each pixel the only thing of a clip covers, from its colours alone: (n, time, height, width)."""
    ground = sample.clips[:, :, :1, :1, :]  # things that stay away from the upper left pixel
    ink = PALETTE[sample.truth["color"][:, 0]][:, None, None, None]
    strongest = np.argmax(np.abs(ink - ground), axis=-1)[..., None]
    return np.take_along_axis((sample.clips - ground) / (ink - ground), strongest, -1)[..., 0]


def free_corner(sample: Sample) -> np.ndarray:
    """Which clips leave the upper left pixel free in all frames."""
    near = np.hypot(*np.moveaxis(sample.truth["position"][:, :, 0], -1, 0)) - sample.truth["radius"][:, :, 0]
    return (near > 2).all(1)


def pick(sample: Sample, which: np.ndarray) -> Sample:
    return Sample(sample.clips[which], (), {name: values[which] for name, values in sample.truth.items()})


# --------------------------------------------------------------------------------------------------- bits


def digest(sample: Sample) -> str:
    """One hash over clips, captions and truth, the same on little and big endian machines."""
    state = hashlib.sha256("\n".join(sample.captions).encode())
    for values in (sample.clips, *(sample.truth[name] for name in sorted(sample.truth))):
        values = np.where(np.isnan(values), -1, values).astype(values.dtype) if values.dtype.kind == "f" else values
        state.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return state.hexdigest()


def test_bits_are_pinned():
    """Every machine must give these bits; if the drawing is changed on purpose, change the hash with it."""
    assert digest(WORLD.sample(40, seed=7)) == "58e4772100bf4b982bd475fbeafa689f20e74453161b599c22b12b9a8590efa2"


def test_same_seed_same_bits_other_seed_others():
    first, again, other = WORLD.sample(20, seed=5), Shapes().sample(20, seed=5), WORLD.sample(20, seed=6)
    assert digest(first) == digest(again)
    assert first.captions != other.captions
    assert not np.array_equal(first.clips, other.clips)
    same_words, other_dice = WORLD.render(first.captions, seed=5), WORLD.render(first.captions, seed=6)
    assert digest(same_words) == digest(first)
    assert not np.array_equal(other_dice.clips, first.clips)


def test_a_longer_sample_begins_with_the_shorter_one():
    short, long = WORLD.sample(3, seed=2), WORLD.sample(150, seed=2)  # more than one chunk
    assert long.captions[:3] == short.captions
    np.testing.assert_array_equal(long.clips[:3], short.clips)
    for name in short.truth:
        np.testing.assert_array_equal(long.truth[name][:3], short.truth[name])


@pytest.mark.parametrize(("frames", "size"), [(16, 32), (8, 24), (9, 40)])
def test_convention(frames, size):
    world = Shapes(frames, size)
    made = world.sample(6, seed=0)
    assert check_clips(made.clips).shape == (6, *world.clip_shape) == (6, frames, size, size, 3)
    assert len(made.captions) == 6
    shapes = {
        "count": (6,), "background": (6,), "color": (6, 2), "shape": (6, 2), "size": (6, 2), "motion": (6, 2),
        "position": (6, frames, 2, 2), "velocity": (6, frames - 1, 2, 2), "radius": (6, frames, 2),
        "angle": (6, frames, 2), "mask": (6, frames, size, size), "flow": (6, frames - 1, size, size, 2),
    }  # fmt: skip
    assert {name: values.shape for name, values in made.truth.items()} == shapes
    assert {values.dtype.str[1:] for values in made.truth.values()} == {"i8", "f4", "u1"}


def test_dataset_streams_fresh_batches():
    streams = [[batch.numpy() for batch in WORLD.dataset(4, seed=seed).take(2)] for seed in (1, 1, 2)]
    assert streams[0][0].shape == (4, 16, 32, 32, 3)
    np.testing.assert_array_equal(streams[0], streams[1])
    assert not np.array_equal(streams[0][0], streams[0][1])
    assert not np.array_equal(streams[0][0], streams[2][0])
    clips, captions = next(iter(WORLD.dataset(4, seed=1, captions=True)))
    np.testing.assert_array_equal(clips, streams[0][0])
    assert all(parse(caption.decode()) for caption in captions.numpy())


# ------------------------------------------------------------------------------------------------ grammar


def test_every_sentence_is_parsed_back():
    things = [
        Thing(color, shape, motion, size)
        for color, shape, motion, size in itertools.product(COLORS, SHAPES, MOTIONS, SIZES)
        if (shape, motion) != ("circle", "rotates")
    ]
    for thing, other in zip(things, reversed(things), strict=True):
        assert parse(caption_of([thing])) == (thing,)
        if thing.color != other.color:
            assert parse(caption_of([thing, other])) == (thing, other)
    assert set(" ".join(map(str, things)).split()) | {"and"} == set(WORLD.words)
    assert len(set(WORLD.words)) == len(WORLD.words)


def test_sentences_read_like_english():
    assert parse("a red circle moves left") == (Thing("red", "circle", "moves left"),)
    assert parse("  A small blue  square bounces. ") == (Thing("blue", "square", "bounces", "small"),)
    two = (Thing("red", "circle", "grows"), Thing("blue", "square", "moves up", "large"))
    assert caption_of(two) == "a red circle grows and a large blue square moves up"


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("a purple circle moves left", "'purple' is not a known size or colour; known: small, large, red, yellow"),
        ("a tiny red circle moves left", "'tiny' is not a known size or colour"),
        ("a large tiny circle moves left", "'tiny' is not a known colour; known: red"),
        ("a red hexagon moves left", "'hexagon' is not a known shape; known: circle, square, triangle, cross"),
        ("a red circle flies", "'flies' is not a known motion; known: moves left"),
        ("a red circle moves left quickly", "'moves left quickly' is not a known motion"),
        ("a red circle", "lacks a motion"),
        ("the red circle moves left", "'the' is not a known first word"),
        ("<b>a red circle moves left</b>", "'<b>a' is not a known first word"),
        ("a red circle moves left and", "moves left and' is not a known motion"),
        ("a red circle moves left and ", "is not a known motion"),
        ("a red circle rotates", "looks as if it stood still"),
        ("a red circle grows and a red square grows", "two colours were expected"),
        ("a red circle grows and a blue circle grows and a green circle grows", "speaks of 3 things"),
        ("", "the caption is ''"),
        ("   ", "a sentence such as"),
        (None, "the caption is None"),
        (7, "the caption is 7"),
        ("a " + "x" * 10_000, "is not a known size or colour"),
    ],
)
def test_other_sentences_are_refused_in_one_sentence(caption, message):
    with pytest.raises(ValueError, match=r"\.") as error:
        parse(caption)
    text = str(error.value)
    assert message in text
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 250
    with pytest.raises(ValueError, match=r"\."):
        WORLD.render([caption], seed=0)


# -------------------------------------------------------------------------------------------------- truth


def test_captions_say_the_truth(sample):
    labels = labels_of(sample.captions)
    for name in ("count", *LABELS):
        np.testing.assert_array_equal(labels[name], sample.truth[name])


def test_render_gives_what_was_asked():
    asked = ("a blue square moves up and a red circle grows", "A large yellow cross rotates.", "a cyan circle bounces")
    made = WORLD.render(asked, seed=9)
    assert made.captions == (asked[0], "a large yellow cross rotates", asked[2])
    assert made.truth["color"].tolist() == [
        [COLORS.index("blue"), COLORS.index("red")], [COLORS.index("yellow"), -1], [COLORS.index("cyan"), -1],
    ]  # fmt: skip
    assert agrees(asked, WORLD.read(made.clips)).all()
    assert WORLD.render(asked[1], seed=9).clips.shape[0] == 1
    held_out = WORLD.render(["a red circle moves left"] * 30, seed=1)
    assert agrees(["a red circle moves left"] * 30, WORLD.read(held_out.clips)).all()
    assert not agrees(["a red circle moves right"] * 30, WORLD.read(held_out.clips)).any()


def test_every_label_occurs_about_equally_often(sample):
    truth = sample.truth
    there = truth["shape"] >= 0
    pairs = 4 * 9 - 1  # shape and motion, without the rotating circle
    chances = {
        "color": np.full(6, 1 / 6),
        "size": np.full(3, 1 / 3),
        "shape": np.array([8, 9, 9, 9]) / pairs,
        "motion": np.array([4] * 8 + [3]) / pairs,
    }
    for name, chance in chances.items():
        share = np.bincount(truth[name][there], minlength=len(chance)) / there.sum()
        spread = np.sqrt(chance * (1 - chance) / there.sum())
        assert np.all(np.abs(share - chance) < 4 * spread), name
    for values, kinds in ((truth["count"] - 1, 2), (truth["background"], len(BACKGROUNDS))):
        share = np.bincount(values, minlength=kinds) / len(values)
        assert np.all(np.abs(share - 1 / kinds) < 4 * 0.5 / math.sqrt(len(values)))
    both = truth["count"] == 2
    assert np.all(truth["color"][both, 0] != truth["color"][both, 1])
    assert np.mean(truth["color"][both, 0] < truth["color"][both, 1]) == pytest.approx(0.5, abs=0.08)


def test_objects_limits_what_is_sampled():
    assert set(Shapes(objects=(1,)).sample(30, seed=0).truth["count"]) == {1}
    assert set(Shapes(objects=[2]).sample(30, seed=0).truth["count"]) == {2}


def test_things_stay_inside_the_frame(sample):
    truth = sample.truth
    edge = np.concatenate(
        [truth["position"] - truth["radius"][..., None], truth["position"] + truth["radius"][..., None]]
    )
    assert np.nanmin(edge) > -1e-4
    assert np.nanmax(edge) < 32 + 1e-4
    absent = truth["count"] == 1
    assert np.isnan(truth["position"][absent, :, 1]).all()
    assert np.isfinite(truth["position"][absent, :, 0]).all()
    assert np.isfinite(truth["position"][~absent]).all()


def test_velocity_is_the_difference_of_positions(sample):
    np.testing.assert_array_equal(sample.truth["velocity"], np.diff(sample.truth["position"], axis=1))


@pytest.mark.parametrize(("motion", "x", "y"), [("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1)])
def test_straight_motions_go_where_they_say(motion, x, y):
    made = one(f"a red triangle moves {motion}")
    velocity = made.truth["velocity"][:, :, 0]
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    assert speed.min() > 0.4
    assert np.ptp(speed, axis=1).max() < 1e-4
    np.testing.assert_allclose(velocity / speed, np.broadcast_to([x, y], velocity.shape), atol=1e-5)
    moved = np.stack(
        [np.argwhere(clip[-1] == 1).mean(0) - np.argwhere(clip[0] == 1).mean(0) for clip in made.truth["mask"]]
    )
    assert np.all(moved @ [y, x] > 5)  # what is seen moves there too: argwhere is (row, column)


def test_bouncing_bounces():
    truth = one("a red square bounces", count=300).truth
    velocity, position = truth["velocity"][:, :, 0], truth["position"][:, :, 0]
    steady = np.median(np.abs(velocity), axis=1, keepdims=True)
    assert np.all(np.abs(velocity) < 1.01 * steady + 1e-3)  # it never jumps
    turned = (velocity[:, 1:] * velocity[:, :-1] < 0) & (steady > 0.05)
    assert turned.any((1, 2)).all()  # each clip meets a wall ...
    middle = turned.any(2)[:, 2:-2].any(1)
    assert middle.all()  # ... well before its end ...
    free = truth["radius"][:, :, 0, None]
    gap = np.minimum(position - free, 32 - free - position).min(1)
    assert np.all(gap.min(-1) < steady.max((1, 2)))  # ... and turns at the wall, not before it


def test_circling_keeps_its_distance():
    position = one("a red cross circles", count=100).truth["position"][:, :, 0].astype(float)
    a, b, c = position[:, 0], position[:, 5], position[:, 10]
    first, second = b - a, c - a
    twice = 2 * (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    u, v = (first**2).sum(-1), (second**2).sum(-1)
    middle = a + np.stack([second[:, 1] * u - first[:, 1] * v, first[:, 0] * v - second[:, 0] * u], -1) / twice[:, None]
    distance = np.linalg.norm(position - middle[:, None], axis=-1)
    assert np.ptp(distance, axis=1).max() < 1e-3
    assert distance.min() > 3
    arms = position - middle[:, None]
    angle = np.unwrap(np.arctan2(arms[..., 1], arms[..., 0]))
    turns = np.abs(angle[:, -1] - angle[:, 0]) / (2 * math.pi)
    assert turns.min() > 0.79
    assert turns.max() < 1.31


def test_size_and_angle_change_when_they_should(sample):
    truth = sample.truth
    growth = (truth["radius"][:, -1] / truth["radius"][:, 0]).round(3)
    turned = truth["angle"][:, -1] - truth["angle"][:, 0]
    for motion, name in enumerate(MOTIONS):
        here = truth["motion"] == motion
        expected = {"grows": 1.985, "shrinks": 0.504}.get(name, 1.0)
        np.testing.assert_allclose(growth[here], expected, atol=2e-3)
        if name == "rotates":
            assert np.all((np.abs(turned[here]) > 1.56) & (np.abs(turned[here]) < 3.15))
        else:
            assert np.all(turned[here] == 0)


# ------------------------------------------------------------------------------------------------- pixels


def test_coverage_sums_to_the_area(sample):
    alone = pick(sample, (sample.truth["count"] == 1) & free_corner(sample))
    cover = coverage(alone)
    assert cover.min() > -1e-5
    assert cover.max() < 1 + 1e-5
    arm = 0.3
    unit = np.array([math.pi, 2, 0.75 * math.sqrt(3), 8 * arm * math.sqrt(1 - arm**2) - 4 * arm**2])
    expected = unit[alone.truth["shape"][:, :1]] * alone.truth["radius"][:, :, 0] ** 2
    error = np.abs(cover.sum((2, 3)) / expected - 1)
    assert np.mean(error) < 0.01
    assert np.percentile(error, 99) < 0.04
    hard = np.abs((cover > 0.5).sum((2, 3)) / expected - 1)
    assert np.mean(error) < np.mean(hard) / 4  # which a hard edge cannot do
    edge = (cover > 0.02) & (cover < 0.98)
    assert edge.sum() / (cover > 0.02).sum() > 0.2


def test_mask_is_where_most_of_the_pixel_is_covered(sample):
    alone = pick(sample, (sample.truth["count"] == 1) & free_corner(sample))
    cover = coverage(alone)
    sure = np.abs(cover - 0.5) > 1e-4
    np.testing.assert_array_equal((alone.truth["mask"] == 1)[sure], (cover > 0.5)[sure])
    circle = alone.truth["shape"][:, 0] == SHAPES.index("circle")
    area = (alone.truth["mask"][circle] == 1).sum((2, 3))
    ratio = area / (math.pi * alone.truth["radius"][circle, :, 0] ** 2)
    assert ratio.mean() == pytest.approx(1, abs=0.01)


def test_center_of_the_pixels_is_the_position(sample):
    alone = pick(sample, (sample.truth["count"] == 1) & free_corner(sample))
    cover, grid = coverage(alone), np.arange(32) + 0.5
    area = cover.sum((2, 3))
    x, y = (cover.sum(2) * grid).sum(-1) / area, (cover.sum(3) * grid).sum(-1) / area
    error = np.abs(np.stack([x, y], -1) - alone.truth["position"][:, :, 0])
    assert error.mean() < 0.03
    assert error.max() < 0.25


def test_the_second_thing_lies_over_the_first():
    made = WORLD.render(["a large red square grows and a large blue square grows"] * 60, seed=0)
    position, radius = made.truth["position"], made.truth["radius"]
    grid = np.arange(32) + 0.5
    x = (
        np.abs(grid[None, None, None, None, :] - position[..., 0, None, None])
        < radius[..., None, None] / math.sqrt(2) - 0.6
    )
    y = (
        np.abs(grid[None, None, None, :, None] - position[..., 1, None, None])
        < radius[..., None, None] / math.sqrt(2) - 0.6
    )
    both = (x & y).all(2)
    assert both.sum() > 20
    assert np.all(made.truth["mask"][both] == 2)
    np.testing.assert_allclose(
        made.clips[both], np.broadcast_to(PALETTE[COLORS.index("blue")], (both.sum(), 3)), atol=1e-5
    )


def warp(frames: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Frames (n, height, width, channels) sampled bilinearly at (x - dx, y - dy); an independent implementation."""
    rows, columns = np.meshgrid(np.arange(frames.shape[1]), np.arange(frames.shape[2]), indexing="ij")
    y = np.clip(rows - flow[..., 1], 0, frames.shape[1] - 1)
    x = np.clip(columns - flow[..., 0], 0, frames.shape[2] - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, frames.shape[1] - 1), np.minimum(left + 1, frames.shape[2] - 1)
    down, across = (y - top)[..., None], (x - left)[..., None]
    n = np.arange(len(frames))[:, None, None]
    upper = frames[n, top, left] * (1 - across) + frames[n, top, right] * across
    lower = frames[n, bottom, left] * (1 - across) + frames[n, bottom, right] * across
    return upper * (1 - down) + lower * down


@pytest.fixture(scope="module")
def fast() -> Sample:
    """Clips whose things move some pixels from frame to frame."""
    return Shapes(frames=8, size=64, objects=(1,)).sample(240, seed=1)


@pytest.mark.parametrize("motion", range(len(MOTIONS)), ids=MOTIONS)
def test_flow_warps_each_frame_into_the_next(fast, motion):
    which = fast.truth["motion"][:, 0] == motion
    clips, flow = fast.clips[which], fast.truth["flow"][which].reshape(-1, 64, 64, 2)
    before, after = clips[:, :-1].reshape(-1, 64, 64, 3), clips[:, 1:].reshape(-1, 64, 64, 3)
    seen = (fast.truth["mask"][which][:, 1:] == 1).reshape(-1, 64, 64)
    still = np.abs(before - after)[seen].mean()
    right, mirrored = (np.abs(warp(before, sign * flow) - after)[seen].mean() for sign in (1, -1))
    assert right < 0.03
    if MOTIONS[motion] == "shrinks":  # what is still seen was inside of the thing before, wherever it was
        assert right < 0.7 * still
    else:
        assert right < still / 4
        assert mirrored > 1.2 * still


def test_flow_is_the_motion_of_every_point(sample):
    """The point seen at p in frame t + 1 sat at c + r R(angle) q, with the q that p has in frame t + 1."""
    truth = sample.truth
    n, t, row, column = (index[::97] for index in np.nonzero(truth["mask"][:300, 1:]))
    thing = truth["mask"][n, t + 1, row, column] - 1

    def body(time):
        center, radius = truth["position"][n, time, thing].astype(float), truth["radius"][n, time, thing].astype(float)
        angle = truth["angle"][n, time, thing].astype(float)
        return center @ [1, 1j], radius * np.exp(1j * angle)

    (center_before, scale_before), (center_after, scale_after) = body(t), body(t + 1)
    point = (column + 0.5) + 1j * (row + 0.5)
    origin = center_before + scale_before * (point - center_after) / scale_after
    np.testing.assert_allclose(truth["flow"][n, t, row, column] @ [1, 1j], point - origin, atol=1e-3)
    assert np.all(truth["flow"][truth["mask"][:, 1:] == 0] == 0)


# ------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("label", [(), *((name,) for name in LABELS), LABELS], ids=str)
def test_reading_agrees_with_the_captions(sample, reading, label):
    assert agrees(sample.captions, reading, label).mean() >= 0.99
    np.testing.assert_array_equal(agrees(sample.captions, reading, label), agrees(sample.truth, reading, label))


@pytest.mark.parametrize(("frames", "size"), [(8, 32), (24, 24), (8, 64)])
def test_reading_works_for_other_clips(frames, size):
    world = Shapes(frames, size)
    made = world.sample(200, seed=4)
    assert agrees(made.captions, world.read(made.clips)).mean() >= 0.98  # 4 of 200


def test_reading_stands_noise_blur_and_paleness(sample):
    some = pick(sample, np.arange(300))
    noisy = some.clips + np.random.default_rng(0).normal(0, 0.05, some.clips.shape)
    blurred = some.clips.astype(float)
    for axis in (2, 3):
        blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    for clips in (noisy, blurred, 0.5 * some.clips):
        read = WORLD.read(np.clip(clips, -1, 1).astype(np.float32))
        assert agrees(some.truth, read).mean() >= 0.98


def test_reading_finds_positions_and_is_in_the_order_of_colors(sample, reading):
    truth = sample.truth
    order = np.argsort(np.where(truth["color"] < 0, len(COLORS), truth["color"]), axis=1)
    np.testing.assert_array_equal(np.take_along_axis(truth["color"], order, 1), reading["color"])
    alone = truth["count"] == 1
    error = np.abs(reading["position"] - truth["position"])[alone, :, 0]
    assert np.nanmean(error) < 0.08
    assert np.nanmax(error) < 0.6
    assert reading["present"][alone, :, 0].all()
    assert not reading["present"][alone, :, 1].any()
    assert np.array_equal(np.isfinite(reading["position"][..., 0]), reading["present"])


def test_one_chunk_reads_like_many(sample, reading):
    alone = WORLD.read(sample.clips[700:703])
    for name in reading:
        np.testing.assert_array_equal(alone[name], reading[name][700:703])


def test_reading_sees_what_is_wrong_with_a_clip():
    made = WORLD.render(["a red square moves right and a blue cross grows"] * 20, seed=2)
    asked = made.captions
    frozen = WORLD.read(np.repeat(made.clips[:, :1], 16, axis=1))
    assert np.all(frozen["motion"] == -1)
    assert agrees(asked, frozen, ("color",)).all()
    shuffled = WORLD.read(made.clips[:, np.random.default_rng(0).permutation(16)])
    assert not agrees(asked, shuffled, ("motion",)).any()
    backwards = WORLD.read(made.clips[:, ::-1])
    assert agrees(["a red square moves left and a blue cross shrinks"] * 20, backwards).all()
    assert agrees(["a blue cross shrinks and a red square moves left"] * 20, backwards).all()
    mirrored = WORLD.read(made.clips[:, :, :, ::-1])
    assert agrees(["a red square moves left and a blue cross grows"] * 20, mirrored).all()
    swapped = WORLD.read(made.clips.swapaxes(2, 3))
    assert agrees(["a red square moves down and a blue cross grows"] * 20, swapped).all()
    recolored = WORLD.read(made.clips[..., ::-1])
    assert not agrees(asked, recolored, ("color", "motion")).any()
    vanished = made.clips.copy()
    vanished[:, 4:] = made.clips[:, 4:, :1, :1]
    assert np.all(WORLD.read(vanished)["count"] == 0)


def test_agreement_needs_every_label_of_the_same_thing():
    made = WORLD.render(["a red square moves right and a blue cross grows"], seed=2)
    read = WORLD.read(made.clips)
    assert agrees(["a blue cross grows and a red square moves right"], read).all()
    for wrong in (
        "a red square moves right",
        "a red cross moves right and a blue square grows",
        "a red square grows and a blue cross moves right",
        "a small red square moves right and a blue cross grows",
        "a red square moves right and a green cross grows",
    ):
        assert not agrees([wrong], read).any(), wrong
    third = made.clips.copy()
    third[:, :, :6, :6] = PALETTE[COLORS.index("green")]  # where neither of the two comes
    assert agrees(made.captions, read, ()).all()
    assert WORLD.read(third)["count"].tolist() == [3]
    assert not agrees(made.captions, WORLD.read(third), ()).any()
    assert not agrees(made.captions, WORLD.read(third)).any()
    with pytest.raises(ValueError, match="2 clips are wanted and 1 were read"):
        agrees(made.captions * 2, read)


@pytest.mark.parametrize("kind", ["noise", "gray", "white", "black", "dots", "red"])
def test_reading_garbage_is_honest(kind):
    dice = np.random.default_rng(0)
    clips = np.zeros((3, 16, 32, 32, 3), np.float32)
    clips += {"noise": dice.uniform(-1, 1, clips.shape), "white": 1, "black": -1}.get(kind, 0)
    clips[..., 0] += {"dots": dice.random(clips.shape[:-1]) < 0.05, "red": 1}.get(kind, 0)
    read = WORLD.read(np.clip(clips, -1, 1).astype(np.float32))
    if kind == "red":
        assert np.all(read["motion"] == -1)
    else:
        assert np.all(read["count"] == 0)
        assert all(np.all(read[name] == -1) for name in LABELS)
        assert not read["present"].any()
        assert np.isnan(read["position"]).all()
        assert not agrees(["a red circle moves left"] * 3, read).any()


# ------------------------------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Shapes(frames=7), "frames is 7, but a whole number of at least 8"),
        (lambda: Shapes(frames=16.0), "frames is 16.0"),
        (lambda: Shapes(size=23), "size is 23, but a whole number of at least 24"),
        (lambda: Shapes(size="32"), "size is '32'"),
        (lambda: Shapes(objects=(1, 3)), "(1,), (2,) or (1, 2) was expected"),
        (lambda: Shapes(objects=()), "(1,), (2,) or (1, 2) was expected"),
        (lambda: Shapes(objects=2), "(1,), (2,) or (1, 2) was expected"),
        (lambda: WORLD.sample(0, seed=0), "count is 0"),
        (lambda: WORLD.sample(-3, seed=0), "count is -3"),
        (lambda: WORLD.sample(2.5, seed=0), "count is 2.5"),
        (lambda: WORLD.sample(2, seed=-1), "seed is -1"),
        (lambda: WORLD.sample(2, seed=0.5), "seed is 0.5"),
        (lambda: WORLD.sample(2, seed=None), "seed is None"),
        (lambda: WORLD.render([], seed=0), "the number of captions is 0"),
        (lambda: WORLD.render(["a red circle grows"], seed="x"), "seed is 'x'"),
        (lambda: WORLD.dataset(0, seed=0), "batch_size is 0"),
        (lambda: WORLD.read(np.zeros((16, 32, 32, 3), np.float32)), "5 axes"),
        (lambda: WORLD.read(np.zeros((1, 16, 32, 32, 1), np.float32)), "clips have shape (1, 16, 32, 32, 1)"),
        (lambda: WORLD.read(np.zeros((1, 16, 40, 40, 3), np.float32)), "32, 32, 3) was expected"),
        (lambda: WORLD.read(np.zeros((1, 4, 32, 32, 3), np.float32)), "at least 8 frames"),
        (lambda: WORLD.read(np.full((1, 16, 32, 32, 3), np.nan, np.float32)), "without NaN"),
        (lambda: WORLD.read(np.full((1, 16, 32, 32, 3), 2, np.float32)), "[-1, 1]"),
        (lambda: WORLD.read(np.zeros((1, 16, 32, 32, 3))), "type float64"),
    ],
)
def test_bad_arguments_raise_one_sentence(call, message):
    with pytest.raises(ValueError, match=r"\.") as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------- held out


def held_out_things(captions) -> np.ndarray:
    """How many things of each caption are kept out of training."""
    labels = labels_of(captions)
    found = HELD_OUT[labels["color"], labels["shape"], labels["motion"]] & (labels["color"] >= 0)
    return found.sum(axis=1)


def test_a_tenth_of_all_things_is_kept_out_of_training_but_no_pair_of_words():
    possible = np.zeros(HELD_OUT.shape, bool)
    possible[:, PAIRS[:, 0], PAIRS[:, 1]] = True
    out, kept = HELD_OUT & possible, ~HELD_OUT & possible
    assert (out.sum(), possible.sum()) == (23, 210)
    for axis in range(3):
        assert (kept.any(axis=axis) == possible.any(axis=axis)).all()  # each pair of words is heard in training
        assert out.any(axis=tuple({0, 1, 2} - {axis})).all()  # each word is asked for in a new way


def test_parts_hold_the_captions_that_they_should():
    train, test = (Shapes(part=part).sample_captions(3000, 4) for part in ("train", "test"))
    assert len(train) == len(test) == 3000
    assert (held_out_things(train) == 0).all()
    assert (held_out_things(test) >= 1).all()
    assert not set(train) & set(test)
    share = (held_out_things(WORLD.sample_captions(6000, 5)) > 0).mean()
    assert 0.10 < share < 0.20  # at least a tenth of all captions
    assert Shapes(part="test").sample_captions(40, 9) == Shapes(part="test").sample_captions(90, 9)[:40]
    assert Shapes(part="train", objects=(1,)).sample(5, 1).truth["count"].tolist() == [1] * 5
    with pytest.raises(ValueError, match="part is 'nonsense'"):
        Shapes(part="nonsense")


def test_motions_that_are_hard_may_come_twice_as_often():
    captions = {"usual": WORLD.sample_captions(6000, 3)}
    world = Shapes(often=("bounces", "circles"))
    captions["often"] = world.sample_captions(6000, 3)
    odds = {}
    for name, sentences in captions.items():
        hard = np.isin(labels_of(sentences)["motion"], [MOTIONS.index("bounces"), MOTIONS.index("circles")]).any(axis=1)
        odds[name] = hard.mean() / (1 - hard.mean())
    assert odds["often"] / odds["usual"] == pytest.approx(2, rel=0.15)  # four deviations of chance
    assert world.sample_captions(40, 9) == world.sample_captions(90, 9)[:40]
    for wrong in ("bounces", ("flies",), ("bounces", "")):
        with pytest.raises(ValueError, match="often is"):
            Shapes(often=wrong)
