"""Sketches: outlines against masks, what a pen encloses against what it should, and refusals."""

import numpy as np
import pytest
from conftest import refuses
from PIL import Image, ImageDraw
from skimage.measure import label

from vidgen_tf.metrics import intersection_over_union
from vidgen_tf.worlds.shapes import COLORS, PALETTE, Shapes
from vidgen_tf.worlds.sketches import SIDE, _by_hand, drawn, outlines_of, painted, region_of

WORLD = Shapes()


@pytest.fixture(scope="module")
def sample():
    return WORLD.sample(24, 3)


def inside(points: np.ndarray, side: int = 32, times: int = 8) -> np.ndarray:
    """How much of each pixel lies within a curve, by counting points of a finer grid."""
    picture = Image.new("1", (side * times, side * times))
    ImageDraw.Draw(picture).polygon([tuple(point) for point in points * times], fill=1)
    return np.asarray(picture, float).reshape(side, times, side, times).mean(axis=(1, 3))


def pen(*strokes, side: int = 200, width: int = 4, paper: int = 255, ink: int = 0) -> np.ndarray:
    picture = Image.new("L", (side, side), paper)
    for stroke in strokes:
        ImageDraw.Draw(picture).line(stroke, fill=ink, width=width, joint="curve")
    return np.asarray(picture)


def box(left: int, top: int, right: int, bottom: int, gap: int = 0) -> list[tuple[int, int]]:
    """A rectangle drawn from its upper left corner around, and not quite back to it."""
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top + gap)]


def square(left: float, top: float, right: float, bottom: float, side: int = 32) -> np.ndarray:
    """How much of each pixel of a frame a rectangle covers; its corners are given in parts of the frame."""
    edges = np.arange(side + 1) / side
    cover = lambda low, high: np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * side  # noqa: E731
    return cover(top, bottom)[:, None] * cover(left, right)


# ------------------------------------------------------------------------------------------------- drawing


@pytest.mark.parametrize("frame", [0, 9])
def test_outlines_are_those_of_the_masks(sample, frame):
    for curves, mask in zip(outlines_of(sample.truth, frame), sample.truth["mask"][:, frame], strict=True):
        covers = np.max([inside(curve) for curve in curves], axis=0)
        # where more than half of a pixel is covered, but for rounding at edges that run along the pixels
        assert (np.abs(covers - 0.5)[(covers > 0.5) != (mask > 0)] < 0.2).all()


def test_drawings_are_lines_on_white_and_a_seed_decides(sample):
    first, again, other = (drawn(sample.truth, 32, seed) for seed in (1, 1, 2))
    assert first.shape == (24, 128, 128)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2)).all()
    assert 0.5 < (first == 255).mean() < 0.99
    assert (first.min(axis=(1, 2)) < 60).all()


def test_a_steady_hand_draws_the_outline_and_an_unsteady_one_goes_astray(sample):
    steady = drawn(sample.truth, 32, 0, wobble=0, gap=0, thickness=(2, 2))
    for picture, curves in zip(steady, outlines_of(sample.truth), strict=True):
        y, x = np.nonzero(picture < 128)
        ink = np.stack([x + 0.5, y + 0.5], axis=1) / 4
        lines = np.concatenate([along(curve) for curve in curves])
        away = np.linalg.norm(ink[:, None] - lines[None], axis=2).min(axis=1)
        assert away.max() < 0.75  # half the pen, and half a pixel
    true = np.stack([region_of(picture) for picture in steady])
    errors = []
    for wobble in (0.1, 0.4):
        found = np.stack([region_of(picture) for picture in drawn(sample.truth, 32, 0, wobble=wobble)])
        errors.append(1 - intersection_over_union(found, true).mean())
    assert 0.01 < errors[0] < 0.7 * errors[1]


def test_the_frame_asked_for_is_drawn(sample):
    steady = drawn(sample.truth, 32, 0, frame=9, wobble=0, gap=0, thickness=(2, 2))
    far = []
    for frame in (9, 0):
        for picture, curves in zip(steady, outlines_of(sample.truth, frame), strict=True):
            ink = (np.argwhere(picture < 128)[:, ::-1] + 0.5) / 4
            lines = np.concatenate([along(curve) for curve in curves])
            far.append(np.linalg.norm(ink[:, None] - lines[None], axis=2).min(axis=1).max())
    assert max(far[:24]) < 0.75
    assert np.median(far[24:]) > 1.5  # things have moved since the first frame


def test_ink_is_as_thick_as_the_pen(sample):
    thin, thick = (
        (255.0 - drawn(sample.truth, 32, 4, wobble=0, gap=0, thickness=(pen, pen))).sum(axis=(1, 2)) / 255
        for pen in (1, 6)
    )
    long = [
        sum(np.linalg.norm(np.roll(curve, -1, axis=0) - curve, axis=1).sum() for curve in curves) * 4
        for curves in outlines_of(sample.truth)
    ]
    assert np.median(thin / long) == pytest.approx(1, rel=0.25)
    assert np.median(thick / long) == pytest.approx(6, rel=0.25)
    spread = drawn(sample.truth, 32, 4, wobble=0, gap=0, thickness=(1, 6))
    spread = (255.0 - spread).sum(axis=(1, 2)) / 255
    assert (spread >= 0.99 * thin).all()
    assert (spread <= 1.01 * thick).all()
    assert np.ptp(spread / long) > 2


def test_the_ends_of_a_line_are_as_far_apart_as_the_gap_says():
    truth = Shapes(objects=(1,)).sample(24, 1).truth
    closed = {
        gap: sum(
            label(picture > 200, connectivity=1).max() > 1  # paper within, apart from that around
            for picture in drawn(truth, 32, 2, wobble=0, gap=gap, thickness=(2, 2))
        )
        for gap in (0, 4)
    }
    assert closed[0] == 24
    assert closed[4] <= 6  # where chance made the gap small
    circle = outlines_of(WORLD.render(["a large red circle moves left"], 0).truth)[0][0]
    length, radius = _length(circle), _length(circle) / (2 * np.pi)
    for gap in (1.0, 4.0):
        line = _by_hand(circle, 0, gap, np.random.default_rng(0))
        chord = 2 * radius * np.sin(gap / (2 * radius))
        assert np.linalg.norm(line[0] - line[-1]) == pytest.approx(chord, rel=0.03)
        assert _length(line, closed=False) == pytest.approx(length - gap, rel=0.01)


def _length(curve: np.ndarray, closed: bool = True) -> float:
    """Of a line, or of one that goes back to where it began."""
    ends = np.concatenate([curve, curve[:1]]) if closed else curve
    return np.linalg.norm(np.diff(ends, axis=0), axis=1).sum()


def along(curve: np.ndarray) -> np.ndarray:
    shares = np.linspace(0, 1, 40)[:, None]
    return np.concatenate([a + shares * (b - a) for a, b in zip(curve, np.roll(curve, -1, axis=0), strict=True)])


def test_regions_of_drawings_are_those_of_the_clips(sample):
    regions = np.stack([region_of(picture) for picture in drawn(sample.truth, 32, 5)])
    same = intersection_over_union(regions > 0.5, sample.truth["mask"][:, 0] > 0)
    assert same.mean() > 0.85  # a hand goes astray by a fifth of a pixel, and small things have few pixels


def test_numbers_that_cannot_be_are_refused(sample):
    for wrong, word in (
        ({"side": 0}, "side"),
        ({"wobble": -1}, "wobble"),
        ({"gap": "a"}, "gap"),
        ({"thickness": (1, 500)}, "thickness"),
    ):
        with refuses(word):
            drawn(sample.truth, 32, 0, **wrong)
    with refuses("seed"):
        drawn(sample.truth, 32, -1)
    with refuses("size"):
        drawn(sample.truth, 0, 0)


# ------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("width", [1, 3, 6, 10])
def test_a_region_is_the_same_for_any_pen(width):
    found = region_of(pen(box(40, 60, 140, 120), width=width))
    assert found.shape == (32, 32)
    assert found.dtype == np.float32
    wanted = square(40 / 200, 60 / 200, 140 / 200, 120 / 200)
    assert intersection_over_union(found[None], wanted[None])[0] > 0.93


@pytest.mark.parametrize("gap", [0, 5, 12, 17])
def test_gaps_are_closed(gap):
    found = region_of(pen(box(40, 60, 140, 120, gap)))
    wanted = square(0.2, 0.3, 0.7, 0.6)
    assert intersection_over_union(found[None], wanted[None])[0] > 0.9


def test_strokes_that_enclose_something_together_belong_together():
    sides = [(40, 60), (140, 60)], [(144, 64), (144, 120)], [(140, 124), (44, 124)], [(40, 120), (40, 66)]
    found = region_of(pen(*sides))
    assert intersection_over_union(found[None], square(0.2, 0.3, 0.72, 0.62)[None])[0] > 0.88


def ring(picture: np.ndarray, first: int, last: int, width: int) -> np.ndarray:
    """Ink between a square of pixels and a smaller one, `width` from its border."""
    picture[first:last, first:last] = 0
    picture[first + width : last - width, first + width : last - width] = 255
    return picture


@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_line_is_shared_between_inside_and_outside_and_its_middle_is_half(width):
    picture = ring(np.full((SIDE, SIDE), 255, np.uint8), 40, 90, width)
    wanted, half = np.zeros((SIDE, SIDE)), width // 2
    wanted[40 + half : 90 - half, 40 + half : 90 - half] = 0.5 if width % 2 else 1
    wanted[40 + width - half : 90 - width + half, 40 + width - half : 90 - width + half] = 1
    np.testing.assert_array_equal(region_of(picture, SIDE), wanted)


def test_specks_do_not_count():
    picture = ring(np.full((SIDE, SIDE), 255, np.uint8), 40, 90, 3)
    clean = region_of(picture, SIDE)
    speck = ring(picture.copy(), 10, 14, 1)  # 12 pixels, around four
    np.testing.assert_array_equal(region_of(speck, SIDE), clean)
    larger = ring(picture.copy(), 10, 15, 1)  # 16 pixels
    assert region_of(larger, SIDE)[:30, :30].sum() > 9


def test_two_things_are_both_found_even_if_one_is_open_or_they_overlap():
    for second in (box(130, 130, 180, 180, 12), box(90, 90, 170, 170, 10)):
        found = region_of(pen(box(30, 30, 110, 110), second))
        wanted = np.maximum(square(0.15, 0.15, 0.55, 0.55), square(*np.array([*second[0], *second[2]]) / 200))
        assert intersection_over_union(found[None], wanted[None])[0] > 0.88


def test_what_is_filled_is_its_own_region_and_stray_strokes_do_not_count():
    filled = Image.new("L", (128, 128), 255)
    ImageDraw.Draw(filled).rectangle((32, 48, 95, 79), fill=0)
    clean = region_of(np.asarray(filled))
    assert intersection_over_union(clean[None], square(0.25, 0.375, 0.75, 0.625)[None])[0] > 0.95
    np.testing.assert_array_equal(region_of(1 - clean), clean)  # a region is its own region
    ImageDraw.Draw(filled).line([(5, 100), (60, 120)], fill=0, width=2)
    np.testing.assert_array_equal(region_of(np.asarray(filled)), clean)


def test_ink_is_what_differs_from_the_paper_whatever_the_colours(tmp_path):
    line = box(40, 60, 140, 120)
    wanted = region_of(pen(line))
    np.testing.assert_array_equal(region_of(pen(line, paper=20, ink=230)), wanted)
    np.testing.assert_array_equal(region_of(pen(line) / 255), wanted)
    np.testing.assert_array_equal(region_of(pen(line) > 100), wanted)
    colored = np.full((200, 200, 3), (230, 220, 250), np.uint8)
    colored[pen(line) == 0] = (200, 30, 40)
    np.testing.assert_array_equal(region_of(colored), wanted)
    clear = np.zeros((200, 200, 4), np.uint8)
    clear[..., 3] = 255 - pen(line)  # black ink on nothing
    np.testing.assert_array_equal(region_of(clear), wanted)
    Image.fromarray(clear).save(tmp_path / "sketch.png")
    np.testing.assert_array_equal(region_of(tmp_path / "sketch.png"), wanted)
    np.testing.assert_array_equal(region_of(str(tmp_path / "sketch.png")), wanted)


def test_a_picture_that_is_not_square_stands_in_the_middle():
    wide = region_of(np.pad(pen(box(40, 60, 140, 120)), ((0, 0), (100, 100)), constant_values=255), side=64)
    assert intersection_over_union(wide[None], square(140 / 400, 160 / 400, 240 / 400, 220 / 400, 64)[None])[0] > 0.9
    thin = region_of(
        pen(box(400, 600, 1400, 1200), side=2000, width=2)
    )  # a scan, with lines thinner than its pixels here
    assert intersection_over_union(thin[None], square(0.2, 0.3, 0.7, 0.6)[None])[0] > 0.9


@pytest.mark.parametrize(
    ("drawing", "words"),
    [
        (np.full((50, 50), 255, np.uint8), ["empty"]),
        (pen([(20, 20), (180, 60), (100, 170)]), ["enclose nothing", "close"]),
        (np.zeros((3, 4, 5, 6)), ["shape", "(height, width)"]),
        (np.zeros((0, 4)), ["shape"]),
        (np.full((9, 9), np.nan), ["0 to 1"]),
        (np.full((9, 9), 7.0), ["0 to 1"]),
        (None, ["drawing"]),
    ],
)
def test_what_is_no_drawing_is_refused(drawing, words):
    with refuses(*words):
        region_of(drawing)


def test_files_that_are_no_pictures_are_refused(tmp_path):
    with refuses("nothing.png", error=FileNotFoundError):
        region_of(tmp_path / "nothing.png")
    (tmp_path / "text.png").write_text("no picture")
    with refuses("text.png", "no picture"):
        region_of(tmp_path / "text.png")
    with refuses("side"):
        region_of(pen(box(40, 60, 140, 120)), side=0)
    assert SIDE % 32 == 0  # the usual frames take whole pixels of it


# ------------------------------------------------------------------------------------------------ painting


def test_regions_get_the_colors_of_their_things():
    """Each thing by its form, or by its size where forms are the same."""
    captions = (
        "a large red square moves left and a large blue circle moves up",
        "a large blue circle moves up and a large red square moves left",
        "a small green circle bounces and a large magenta circle circles",
        "a cyan triangle rotates",
    )
    sample, right = WORLD.render(captions, 9), []  # in which no things touch
    regions = (sample.truth["mask"][:, 0] > 0).astype(float)
    frames = painted(regions, captions, "white")
    assert frames.shape == (4, 32, 32, 3)
    for clip, frame in enumerate(frames):
        for thing in range(sample.truth["count"][clip]):
            here = sample.truth["mask"][clip, 0] == thing + 1
            right.append(np.abs(frame[here] - PALETTE[sample.truth["color"][clip, thing]]).max(axis=1) < 0.01)
    assert np.concatenate(right).all()
    np.testing.assert_allclose(frames[regions == 0], 0.92, atol=1e-6)


def test_things_that_touch_are_shared_out():
    """128 drawings by hand of two things, of which a quarter touch; 3 to 4 % came out wrong in 512 others."""
    sample = Shapes(objects=(2,)).sample(128, 3)
    regions = np.stack([region_of(drawing, 32) for drawing in drawn(sample.truth, 32, 3)])
    there = sample.truth["mask"][:, 0] > 0
    wrong = (np.abs(painted(regions, sample.captions) - sample.clips[:, 0]).max(axis=-1) > 0.6) & there
    share = wrong.sum(axis=(1, 2)) / there.sum(axis=(1, 2))
    assert (share > 0.2).mean() < 0.1


def test_nothing_is_shared_out_where_nothing_is_drawn():
    words = ["a red square moves left and a blue circle grows"]
    np.testing.assert_array_equal(painted(np.zeros((1, 32, 32)), words, "black"), np.float32(-0.88))


def test_a_half_covered_pixel_has_half_the_color():
    region = np.zeros((1, 32, 32))
    region[0, 10:20, 10:20], region[0, 10:20, 20] = 1, 0.5
    frame = painted(region, ["a red square moves left"])[0]
    np.testing.assert_allclose(frame[15, 20], PALETTE[COLORS.index("red")] / 2, atol=1e-6)


def test_what_cannot_be_painted_is_refused():
    region = np.zeros((1, 32, 32))
    with refuses("regions", "captions"):
        painted(region, ["a red square moves left"] * 2)
    with refuses("ground", "'pink'"):
        painted(region, ["a red square moves left"], "pink")
    with refuses("'square'"):
        painted(region, ["square"])


# ------------------------------------------------------------------------------------------------- measure


def test_intersection_over_union_of_known_regions():
    one = np.zeros((3, 4, 4), bool)
    one[0, :2], one[1, :2] = True, True
    other = np.zeros((3, 4, 4), bool)
    other[0, 1:3], other[1, :2] = True, True
    np.testing.assert_allclose(intersection_over_union(one, other), [4 / 12, 1, 1])
    np.testing.assert_allclose(intersection_over_union(other, one), [4 / 12, 1, 1])
    np.testing.assert_allclose(intersection_over_union(np.full((1, 2, 2), 0.25), np.full((1, 2, 2), 0.5)), [0.5])
    np.testing.assert_array_equal(intersection_over_union(one[:1], np.zeros((1, 4, 4))), [0])


def test_intersection_over_union_refuses_what_are_no_regions():
    with refuses("shapes", "(1, 4, 4)", "(2, 4, 4)"):
        intersection_over_union(np.zeros((1, 4, 4)), np.zeros((2, 4, 4)))
    for wrong in (np.nan, 2.0, -1.0):
        with refuses("[0, 1]"):
            intersection_over_union(np.full((1, 4, 4), wrong), np.zeros((1, 4, 4)))


# ------------------------------------------------------------------------------- what cannot be, by name


def test_pictures_that_would_not_fit_are_refused(tmp_path, sample):
    with refuses("4 × 60000", "8192", "smaller"):
        region_of(np.zeros((4, 60_000), np.uint8))
    Image.new("L", (9000, 2)).save(tmp_path / "wide.png")
    with refuses("2 × 9000", "smaller"):
        region_of(tmp_path / "wide.png")
    with refuses("side", "100000"):
        region_of(pen(box(40, 60, 140, 120)), side=100_000)
    with refuses("side", "100000"):
        drawn(sample.truth, 32, 0, side=100_000)


def test_what_is_no_truth_is_refused(sample):
    truth = sample.truth
    for wrong, words in (
        (None, ["truth", "NoneType", "sample.truth"]),
        ({}, ["truth", "count", "sample.truth"]),
        (sample, ["truth", "Sample", "sample.truth"]),
        ({"position": truth["position"]}, ["truth", "count"]),
        (truth | {"count": 3}, ["truth['count']", "shape"]),
        (truth | {"count": truth["count"] + 2}, ["count of 1 or 2"]),
        (truth | {"shape": truth["shape"] + 9}, ["number of a shape"]),
        (truth | {"radius": truth["radius"][:1]}, ["truth['", "shape"]),
        (truth | {"angle": truth["angle"] * np.nan}, ["finite"]),
        ({name: values[:0] for name, values in truth.items()}, ["one or more clips"]),
    ):
        for asks in (outlines_of, lambda given: drawn(given, 32, 0)):
            with refuses(*words):
                asks(wrong)


@pytest.mark.parametrize("frame", [99, 1.5, np.nan, -1, None])
def test_frames_that_are_not_there_are_refused(sample, frame):
    with refuses("frame"):
        outlines_of(sample.truth, frame)
    with refuses("frame"):
        drawn(sample.truth, 32, 0, frame=frame)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"thickness": (1,)}, "two numbers"),
        ({"thickness": 3.0}, "two numbers"),
        ({"thickness": (4, 1)}, "exchange"),
        ({"wobble": 1e300}, "wobble"),
    ],
)
def test_pens_that_cannot_be_are_refused(sample, change, word):
    with refuses(word):
        drawn(sample.truth, 32, 0, **change)


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        (np.full((1, 32, 32), np.nan), ["regions", "0 to 1"]),
        (np.full((1, 32, 32), 255, np.uint8), ["regions", "0 to 1"]),
        (np.full((1, 32, 32), -0.5), ["regions", "0 to 1"]),
        (np.zeros((1, 32, 24)), ["regions", "squares"]),
        (np.zeros((1, 2, 2)), ["regions", "squares"]),
        (None, ["regions", "numbers"]),
    ],
)
def test_what_is_no_region_cannot_be_painted(regions, words):
    with refuses(*words):
        painted(regions, ["a red square moves left"])


@pytest.mark.parametrize("captions", ["a red square moves left", [], None, 3])
def test_captions_come_as_a_list(captions):
    with refuses("captions", "list of sentences"):
        painted(np.zeros((1, 32, 32)), captions)


@pytest.mark.parametrize("side", [8, 32])
def test_a_region_that_fills_the_frame_is_shared_out(side):
    frame = painted(np.ones((1, side, side)), ["a red circle moves left and a blue square moves right"])[0]
    assert len(np.unique(frame.reshape(-1, 3).round(3), axis=0)) == 2
