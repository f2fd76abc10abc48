"""Previews: the right frames under the right titles, whole PNG files, and captions that can do no harm."""

import io
import warnings

import numpy as np
import pytest
from conftest import noise, refuses, smooth, steps, tree
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from PIL import Image

from vidgen_tf import preview
from vidgen_tf.clips import to_uint8
from vidgen_tf.preview import Picture, animation, compare, filmstrip, flow_colors, grid

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    r"$\frac{",
    r"$\frac{$ and $x_$",
    "two\nlines\r\tand a tab",
    "\x00\x07\x1b[31mred\x7f\u202e\u2028",
    "x" * 10_000,
    "word " * 2_000,
    "😀 一个小红圆向左移动 مرحبا",
    "\ud800",
    "",
    " ",
    "%s {0} {name} \\",
]
# A picture has at most 256 colours, which Pillow looks up in cells of 4 levels: this far a level may move.
LEVELS = 4


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.png))
    assert image.format == "PNG"
    return image


def frames_of(picture: Picture) -> tuple[list[np.ndarray], list[float]]:
    """The pictures of an animation as (height, width, 3) and how long each is shown, in ms."""
    image, pictures, durations = opened(picture), [], []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        pictures.append(np.asarray(image.convert("RGB")).astype(int))
        durations.append(image.info.get("duration", 0))
    return pictures, durations


def places(picture: Picture, levels: list[int]) -> np.ndarray:
    """Where the flat frames of these grey levels stand: their middles (levels, 2), as row and column."""
    (pixels,), _ = frames_of(picture)
    middles = []
    for level in levels:
        rows, columns = np.nonzero((np.abs(pixels - level) <= LEVELS).all(axis=-1))
        assert len(rows) > 400, f"no frame of level {level} is to be seen"
        middles.append((np.median(rows), np.median(columns)))
    return np.array(middles)


@pytest.fixture
def drawn(monkeypatch) -> list[tuple[str, int]]:
    """What is drawn from now on: the title of each picture and its mean level."""
    pairs, levels = [], []
    imshow, set_title = Axes.imshow, Axes.set_title

    def shown(axes, pixels, *args, **options):
        levels.append(round(float(pixels.mean())))
        return imshow(axes, pixels, *args, **options)

    def titled(axes, title, *args, **options):
        pairs.append((title, levels[-1]))
        return set_title(axes, title, *args, **options)

    monkeypatch.setattr(Axes, "imshow", shown)
    monkeypatch.setattr(Axes, "set_title", titled)
    return pairs


# ----------------------------------------------------------------------------------------------- which frames


@pytest.mark.parametrize(
    ("time", "frames", "expected"),
    [
        (20, 10, [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]),
        (5, 10, [0, 1, 2, 3, 4]),
        (5, 3, [0, 2, 4]),
        (9, 2, [0, 8]),
        (9, 1, [0]),
        (1, 10, [0]),
    ],
)
def test_a_filmstrip_shows_equal_steps_in_time_each_under_its_own_number(drawn, time, frames, expected):
    picture = filmstrip(steps(time), frames)
    levels = [10 * (1 + number) for number in expected]
    assert drawn == [(f"Frame {number}", level) for number, level in zip(expected, levels, strict=True)]
    middles = places(picture, levels)
    assert (np.diff(middles[:, 1]) > 20).all()  # from left to right
    assert np.ptp(middles[:, 0]) <= 1  # in one row
    assert f"{len(expected)} frames shown" in picture.description


def test_a_filmstrip_has_one_row_a_clip_in_order():
    clips = np.stack([steps(8)[:4], steps(8)[4:]])
    middles = places(filmstrip(clips), [10, 20, 30, 40, 50, 60, 70, 80]).reshape(2, 4, 2)
    assert (np.diff(middles[:, :, 0], axis=0) > 20).all()  # the second clip is below the first
    np.testing.assert_allclose(middles[0, :, 1], middles[1, :, 1], atol=1)  # frame under frame


def test_titles_stand_above_their_frames(drawn):
    filmstrip(steps(5), 3, titles=["a", "b", "c", "d", "e"])
    compare({"real": steps(3)}, titles=["x", "y", "z"])
    assert [title for title, _ in drawn] == ["a", "c", "e", "x", "y", "z"]
    for titles in (["a", "b"], "abc"):
        with refuses("titles", "3 frames"):
            filmstrip(steps(3), titles=titles)


def test_a_grid_shows_one_moment_of_each_clip_row_by_row(drawn):
    clips = np.stack([steps(20)[start : start + 3] for start in (0, 5, 10, 15, 17)])
    for time, shift in ((None, 1), (0, 0), (2, 2)):
        drawn.clear()
        levels = [10 * (1 + start + shift) for start in (0, 5, 10, 15, 17)]
        picture = grid(clips, list("abcde"), columns=3, time=time)
        assert drawn == list(zip("abcde", levels, strict=True))
        middles = places(picture, levels)
        assert (np.diff(middles[:3, 1]) > 20).all()
        assert (np.diff(middles[3:, 1]) > 20).all()
        assert middles[3:, 0].min() - middles[:3, 0].max() > 20
        np.testing.assert_allclose(middles[:2, 1], middles[3:, 1], atol=1)


def test_a_comparison_puts_frame_under_frame(drawn):
    rows = {"real": steps(20)[:5], "made": steps(20)[5:10], "grey": np.repeat(steps(20)[10:15], 3, axis=-1)}
    picture = compare(rows, frames=3)
    middles = places(picture, [10, 30, 50, 60, 80, 100, 110, 130, 150]).reshape(3, 3, 2)
    assert (np.diff(middles[..., 1], axis=1) > 20).all()
    assert (np.diff(middles[..., 0], axis=0) > 20).all()
    assert [title for title, _ in drawn] == ["Frame 0", "Frame 2", "Frame 4"] + [""] * 6
    assert picture.description == "Comparison of real, made, grey"


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (1, 8, 8, 3), (2, 6, 20, 3), (2, 20, 6, 1), (1, 1, 1, 3)])
@pytest.mark.parametrize("count", [None, 2])
def test_every_preview_takes_every_kind_of_clip(shape, count):
    clips = noise(*(() if count is None else (count,)), *shape)
    pictures = [filmstrip(clips), grid(clips), animation(clips)]
    pictures.append(compare({"one": clips if count is None else clips[0]}))
    for picture in pictures:
        opened(picture).load()
        assert f"{shape[1]}×{shape[2]}" in picture.description or "Comparison" in picture.description


# -------------------------------------------------------------------------------------------------- animation


@pytest.mark.parametrize("fps", [1, 7.5, 12, 60])
def test_an_animation_has_every_frame_for_its_time(fps):
    pictures, durations = frames_of(animation(steps(5), fps=fps))
    assert len(pictures) == 5
    np.testing.assert_allclose(durations, 1000 / fps, rtol=1e-3)
    assert opened(animation(steps(5))).info["loop"] == 0  # for ever


def test_a_clip_that_stands_still_lasts_as_long():
    still = np.repeat(smooth(1, 16, 16), 6, axis=0)
    still = np.concatenate([still, -still])  # Pillow shows equal frames once, and longer
    _, durations = frames_of(animation(still, fps=10))
    assert sum(durations) == pytest.approx(1200)


def test_an_animation_shows_the_pixels_of_each_clip_enlarged_and_square():
    generator = np.random.default_rng(0)
    levels = generator.choice([0, 85, 170, 255], (3, 4, 6, 8, 1)).astype(np.uint8)
    clips = np.repeat(levels, 3, axis=-1).astype(np.float32) / 127.5 - 1
    pictures, _ = frames_of(animation(clips, columns=2, side=20))
    assert len(pictures) == 4
    factor, gap = 3, 4  # the whole factor that makes 8 pixels at least 20
    for time, sheet in enumerate(pictures):
        assert sheet.shape == (2 * (6 * factor + gap) - gap, 2 * (8 * factor + gap) - gap, 3)
        for index in range(3):
            top, left = (index // 2) * (6 * factor + gap), (index % 2) * (8 * factor + gap)
            cell = sheet[top : top + 6 * factor, left : left + 8 * factor]
            expected = to_uint8(clips[index, time]).repeat(factor, axis=0).repeat(factor, axis=1)
            np.testing.assert_allclose(cell, expected, atol=LEVELS)
        assert (sheet[-6 * factor :, -8 * factor :] >= 255 - LEVELS).all()  # the empty place stays white


def test_an_animation_keeps_colours_apart():
    colours = np.float32([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    pictures, _ = frames_of(animation(np.broadcast_to(colours[:, None, None], (3, 8, 8, 3)).copy()))
    for sheet, colour in zip(pictures, to_uint8(colours), strict=True):
        np.testing.assert_allclose(sheet, np.broadcast_to(colour, sheet.shape), atol=LEVELS)


def test_captions_stand_below_their_clips():
    clips = np.repeat(steps(2)[None], 3, axis=0)
    for place in range(3):
        captions = ["", "", ""]
        captions[place] = "here"
        (sheet, _), _ = frames_of(animation(clips, captions, columns=2))
        cell_height, cell_width = (sheet.shape[0] + 4) // 2, (sheet.shape[1] + 4) // 2
        inked = []
        for index in range(3):
            top, left = (index // 2) * cell_height, (index % 2) * cell_width
            np.testing.assert_allclose(sheet[top : top + 128, left : left + 128], 10, atol=LEVELS)  # the picture stays
            inked.append((sheet[top + 128 : top + cell_height - 4, left : left + 128] < 128).any())
        assert inked == [index == place for index in range(3)]


# --------------------------------------------------------------------------------------------------- captions


@pytest.mark.parametrize("caption", HOSTILE, ids=lambda caption: ascii(caption[:20]))
def test_no_caption_breaks_warns_or_becomes_markup(caption, capfd):
    clips = noise(2, 1, 8, 8, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = [
            filmstrip(clips, captions=[caption, "b"]),
            grid(clips, [caption, "b"]),
            animation(clips, [caption, "b"]),
            compare({caption: clips[0], "b": clips[1]}),
            filmstrip(clips[0], captions=caption),
        ]
    for picture in pictures:
        image = opened(picture)
        image.load()
        assert max(image.size) < 5000  # a long caption does not blow the picture up
        data, metadata = picture._repr_mimebundle_()
        assert set(data) == {"image/png", "text/plain"}
        assert set(metadata) == {"image/png"}
        assert picture.description.isprintable()
        assert len(picture.description) < 300
    assert capfd.readouterr() == ("", "")


def test_captions_are_drawn():
    clips = smooth(2, 8, 8)[None]
    assert filmstrip(clips, captions=["a"]).png != filmstrip(clips, captions=["b"]).png
    assert grid(clips, ["a"]).png != grid(clips, ["b"]).png
    assert compare({"a": clips[0]}).png != compare({"b": clips[0]}).png
    assert grid(clips, [r"$\alpha$"]).png != grid(clips, ["α"]).png  # no mathematics


# -------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("make", [filmstrip, grid, animation])
def test_bad_clips_and_captions_are_refused(make):
    clips = noise(2, 3, 8, 8, 3)
    for bad, word in (
        (clips[0, 0], "axes"),
        (to_uint8(clips), "to_float"),
        (clips * np.nan, "nan"),
        (clips[:0], "empty"),
    ):
        with refuses(word):
            make(bad)
    for captions, number in (
        (["a"], "1 captions"),
        (list("abc"), "3 captions"),
        ("ab", "1 captions"),
        (5, "1 captions"),
    ):
        with refuses(number, "2 clips"):
            make(clips, captions=captions)


def test_too_many_pictures_are_refused():
    many = np.zeros((201, 1, 2, 2, 1), np.float32)
    with refuses("at most 200"):
        grid(many)
    with refuses("201", "200"):
        filmstrip(many)
    with refuses("201", "200"):
        animation(many)
    assert opened(animation(many[:200])).size
    with refuses("too large", "side="):
        animation(many[:200], side=8000)


@pytest.mark.parametrize("shape", [(1, 2, 1, 8000, 3), (1, 2, 8000, 1, 3)])
def test_frames_too_narrow_to_be_seen_are_refused(shape):
    with refuses(f"{shape[2]}×{shape[3]}", "narrow"):
        filmstrip(np.zeros(shape, np.float32))


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3"])
def test_bad_numbers_are_refused(bad):
    clips = noise(2, 3, 8, 8, 3)
    calls = {
        "frames": [lambda: filmstrip(clips, bad), lambda: compare({"a": clips[0]}, bad)],
        "columns": [lambda: grid(clips, columns=bad), lambda: animation(clips, columns=bad)],
        "side": [lambda: animation(clips, side=bad)],
    }
    if bad != 0:
        calls["time"] = [lambda: grid(clips, time=bad)]
    for name, functions in calls.items():
        for function in functions:
            with refuses(name, repr(bad)):
                function()


def test_a_bad_frame_rate_or_moment_is_refused():
    for fps in (0, 61, -1, np.nan, "12", None):
        with refuses("fps", repr(fps), "60"):
            animation(steps(2), fps=fps)
    with refuses("time is 3", "3 frames"):
        grid(noise(2, 3, 8, 8, 3), time=3)


def test_bad_rows_are_refused():
    clip = noise(3, 8, 8, 3)
    for nothing in ({}, [clip], None):
        with refuses("no rows", "dictionary"):
            compare(nothing)
    for other in (clip[:2], clip[:, :4], clip[:, :, :4]):
        with refuses("one shape", "(3, 8, 8)"):
            compare({"a": clip, "b": other})
    with refuses("the clip 'b'", "4 axes"):
        compare({"a": clip, "b": clip[None]})


# ---------------------------------------------------------------------------------------------------- Picture


def test_flow_has_the_hue_of_where_it_goes_and_the_strength_of_its_speed():
    angle = np.arange(12) * np.pi / 6
    flow = 3.0 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None]  # (1, 12, 2)
    expected = [hsv_to_rgb((turn / 12, 1, 1)) for turn in range(12)]
    colors = flow_colors(flow)
    assert (colors.shape, colors.dtype) == ((1, 12, 3), np.float32)
    np.testing.assert_allclose(colors[0], 2 * np.array(expected) - 1, atol=1e-6)
    np.testing.assert_allclose(flow_colors(flow / 2, farthest=3)[0], np.array(expected), atol=1e-6)  # half way to white
    np.testing.assert_array_equal(flow_colors(9 * flow, farthest=3), flow_colors(flow, farthest=3))
    np.testing.assert_array_equal(flow_colors(np.zeros((2, 3, 4, 5, 2))), np.ones((2, 3, 4, 5, 3)))  # rest is white
    assert flow_colors(np.array([[[0, 2], [0, 0]]])).tolist() == [[[0, 1, -1], [1, 1, 1]]]  # down: yellow-green


def test_bad_flow_is_refused():
    for bad in (
        np.zeros((4, 5, 3)),
        np.zeros((5, 2)),
        np.full((4, 5, 2), np.nan),
        np.full((4, 5, 2), 1e9),
        np.zeros((0, 5, 2)),
    ):
        with pytest.raises(ValueError, match=r"height, width, 2"):
            flow_colors(bad)
    for bad in (0, -1, "far"):
        with pytest.raises(ValueError, match="farthest is"):
            flow_colors(np.zeros((4, 5, 2)), bad)


def test_a_picture_tells_a_notebook_what_it_is():
    picture = filmstrip(noise(2, 3, 8, 9, 3))
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"] == picture.png
    assert data["text/plain"] == repr(picture) == "Filmstrip of 2 clips of 3 frames, 8×9, 3 frames shown"
    assert metadata == {"image/png": {"alt": picture.description}}
    wide = Picture(picture.png, "a row of frames", width=300)
    assert wide._repr_mimebundle_()[1]["image/png"] == {"alt": "a row of frames", "width": 300}


@pytest.mark.parametrize(
    "make", [filmstrip, grid, animation, lambda clips: compare({"a": clips[0]})], ids=["strip", "grid", "anim", "comp"]
)
def test_the_description_does_not_depend_on_pixels(make):
    assert make(noise(2, 3, 8, 8, 3)).description == make(noise(2, 3, 8, 8, 3, seed=1)).description
    assert make(noise(2, 3, 8, 8, 3)).png == make(noise(2, 3, 8, 8, 3)).png


def test_a_picture_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    picture = filmstrip(steps(3))
    assert picture.save(tmp_path / "strip.png") == tmp_path / "strip.png"
    assert tree(tmp_path) == {"strip.png": picture.png}
    with refuses("strip.jpg", ".png"):
        picture.save(tmp_path / "strip.jpg")
    with refuses("absent", "make it first", error=FileNotFoundError):
        picture.save(tmp_path / "absent" / "strip.png")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preview.os, "replace", full)
    with refuses("No space", error=OSError):
        filmstrip(steps(2)).save(tmp_path / "strip.png")
    assert tree(tmp_path) == {"strip.png": picture.png}
