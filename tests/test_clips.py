"""Clips: the convention, the levels, and files that are whole, exact where promised, and never trusted."""

import errno
import os
import struct
import warnings
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import noise, refuses, smooth, steps, tree
from PIL import Image

from vidgen_tf import clips
from vidgen_tf.clips import (
    check_clips,
    check_count,
    check_fps,
    check_seed,
    check_values,
    fit_picture,
    read_clip,
    to_float,
    to_uint8,
    write_clip,
)
from vidgen_tf.metrics import psnr

EXACT = [".png", ".apng", ""]
ENDINGS = [".mp4", ".gif", *EXACT]

# ------------------------------------------------------------------------------------------- the convention


def good() -> np.ndarray:
    return noise(2, 3, 4, 5, 3)


def with_value(value: float) -> np.ndarray:
    clips = good()
    clips[1, 2, 3, 4, 0] = value
    return clips


def test_what_keeps_the_convention_comes_back_as_it_is():
    given = good()
    assert check_clips(given) is given
    assert check_clips(given[0], batch=False) is not None
    edges = np.array([-1, 1], np.float32).reshape(1, 1, 1, 2, 1)
    assert check_clips(edges) is edges


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (good()[0], ["(3, 4, 5, 3)", "5 axes", "clip[None]"]),
        (good()[None], ["(1, 2, 3, 4, 5, 3)", "clips[0]"]),
        (np.float32(0), ["()"]),
        (None, ["object", "numbers"]),
        (good()[:0], ["(0, 3, 4, 5, 3)", "empty", "at least one"]),
        (good()[:, :0], ["(2, 0, 4, 5, 3)", "empty"]),
        (good()[:, :, :, :0], ["(2, 3, 4, 0, 3)", "empty"]),
        (good()[..., :2], ["2 channels", "1 or 3"]),
        (good()[..., :0], ["0 channels"]),
        (np.zeros((1, 1, 2, 2, 4), np.float32), ["4 channels"]),
        (to_uint8(good()), ["uint8", "float32", "to_float"]),
        (good().astype(np.float64), ["float64", "float32", "astype"]),
        (good().astype(np.float16), ["float16", "float32"]),
        (good().astype(int), ["int64", "float32"]),
        (good() > 0, ["bool", "float32"]),
        (good().astype(complex), ["complex128", "numbers"]),
        (np.full((1, 1, 2, 2, 1), None), ["object", "numbers"]),
        ([[1.0], [1.0, 2.0]], ["different shapes", "stack"]),
        (with_value(np.nan), ["nan", "[-1, 1]"]),
        (with_value(np.inf), ["inf", "[-1, 1]"]),
        (with_value(-np.inf), ["-inf", "[-1, 1]"]),
        (with_value(1.001), ["1.001", "numpy.clip"]),
        (with_value(-1.001), ["-1.001", "numpy.clip"]),
        (good() * 127.5 + 127.5, ["255", "[-1, 1]"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and isinstance(value[0], str) else "",
)
def test_each_breach_of_the_convention_is_one_sentence_that_names_it(bad, words):
    with refuses("faces", *words):
        check_clips(bad, name="faces")


def test_a_batch_is_no_clip_and_a_clip_is_no_batch():
    with refuses("4 axes", "clips[0]"):
        check_clips(good(), batch=False)


@pytest.mark.parametrize("bad", [0, -1, 2.0, 2.5, True, "3", None, np.nan, [3]])
def test_a_count_is_a_whole_number_of_at_least_one(bad):
    with refuses(repr(bad), "at least 1"):
        check_count(bad)
    assert check_count(np.int32(7)) == 7
    assert check_count(0, least=0) == 0


@pytest.mark.parametrize("bad", [-1, 0.0, True, "0", None, 2**63])
def test_a_seed_is_a_whole_number_below_two_to_the_63(bad):
    with refuses("seed", repr(bad)):
        check_seed(bad)
    assert check_seed(2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize("bad", [0, 0.99, 101, -12, np.nan, np.inf, "12", None, True, 12j])
def test_a_frame_rate_is_a_number_from_1_to_100(bad):
    with refuses("fps", repr(bad), "1 to 100"):
        check_fps(bad)
    with refuses("1 to 60"):
        check_fps(61, 60)
    assert [check_fps(rate) for rate in (1, 100, np.float32(12.5), np.int64(24))] == [1, 100, 12.5, 24]


# --------------------------------------------------------------------------------------------- the levels


def test_every_level_survives_there_and_back():
    levels = np.arange(256, dtype=np.uint8)
    floats = to_float(levels)
    assert floats.dtype == np.float32
    assert (floats[0], floats[-1]) == (-1, 1)
    np.testing.assert_array_equal(to_uint8(floats), levels)
    # The formula of the docstring in double precision; one float32 rounding of a number near 1 is 6e-8.
    np.testing.assert_allclose(floats, levels / 127.5 - 1, atol=1.2e-7)


def test_floats_go_to_the_nearest_level():
    values = np.random.default_rng(0).uniform(-1, 1, 10_000).astype(np.float32)
    # Half a level, and one float32 rounding of a number up to 255, 1.5e-5.
    assert np.abs(to_uint8(values) - (values.astype(float) + 1) * 127.5).max() <= 0.5 + 2e-5
    assert to_uint8(np.float32([-0.999, 0.999])).tolist() == [0, 255]


def test_levels_keep_the_shape_and_refuse_other_types():
    assert to_uint8(good()).shape == good().shape
    with refuses("to_uint8", "uint8", "floats"):
        to_uint8(to_uint8(good()))
    with refuses("to_uint8", "nan"):
        to_uint8(with_value(np.nan))
    with refuses("to_uint8", "1.5", "numpy.clip"):
        to_uint8(with_value(1.5))
    with refuses("to_float", "float32", "uint8"):
        to_float(good())


# ------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("ending", EXACT)
@pytest.mark.parametrize("shape", [(5, 16, 24, 3), (4, 9, 7, 1), (1, 5, 6, 3), (1, 1, 1, 1)])
def test_lossless_files_give_the_same_bits_back(tmp_path, ending, shape):
    clip = noise(*shape)
    path = write_clip(tmp_path / f"clip{ending}", clip)
    assert path == tmp_path / f"clip{ending}"
    again = read_clip(path)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, np.repeat(clip, 3 // shape[-1], axis=-1))


@pytest.mark.parametrize("ending", [".mp4", *EXACT])
def test_a_clip_that_stands_still_keeps_all_its_frames(tmp_path, ending):
    still = np.repeat(noise(1, 8, 8, 3), 6, axis=0)
    assert len(read_clip(write_clip(tmp_path / f"still{ending}", still))) == 6


@pytest.mark.parametrize(
    ("shape", "least"),
    # crf 16 errs by about one level in brightness, 20 · log10(255 / 1.3) = 46 dB, and colour is stored at half the
    # resolution, 35 dB for waves of 40 pixels. The bounds leave a factor of 1.4 in the error.
    [((8, 48, 64, 3), 32), ((8, 47, 33, 3), 32), ((8, 48, 64, 1), 43), ((1, 48, 64, 3), 32), ((2, 2, 2, 1), 43)],
)
def test_an_mp4_gives_nearly_the_same_clip_back(tmp_path, shape, least):
    clip = smooth(*shape)
    again = read_clip(write_clip(tmp_path / "clip.mp4", clip))
    time, height, width, channels = shape
    assert again.shape == (time, height + height % 2, width + width % 2, 3)
    clip = np.repeat(clip, 3 // channels, axis=-1)
    assert psnr(clip[None], again[None, :, :height, :width])[0] > least
    # What was added to make the sides even repeats the last row and column, up to the same error.
    if height % 2:
        assert np.abs(again[:, height] - again[:, height - 1]).mean() < 0.05


@pytest.mark.parametrize("ending", ENDINGS)
def test_red_stays_red(tmp_path, ending):
    colours = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    clip = np.broadcast_to(colours[:, None, None], (3, 16, 16, 3)).copy()
    again = read_clip(write_clip(tmp_path / f"clip{ending}", clip))
    # Video stores colours in about 220 levels, so a corner of the cube may move by some levels of 1/127.
    np.testing.assert_allclose(again, clip, atol=0.06)


def test_a_gif_of_few_colours_is_exact_and_one_of_many_is_close(tmp_path):
    grey = noise(4, 9, 7, 1)
    np.testing.assert_array_equal(read_clip(write_clip(tmp_path / "grey.gif", grey)), np.repeat(grey, 3, axis=-1))
    clip = smooth(6, 32, 32)
    again = read_clip(write_clip(tmp_path / "colour.gif", clip))
    # 256 colours are about 6 steps of 0.33 along each axis: a quarter of a step is the mean error.
    assert np.abs(again - clip).mean() < 0.08


def test_an_older_file_is_replaced_by_each_kind(tmp_path):
    for ending in ENDINGS:
        path = tmp_path / f"clip{ending}"
        write_clip(path, steps(7))
        write_clip(path, steps(3))
        assert len(read_clip(path)) == 3
    assert sorted(tree(tmp_path / "clip")) == ["00000.png", "00001.png", "00002.png"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_and_start_say_which_part_is_read(tmp_path, ending):
    path = write_clip(tmp_path / f"clip{ending}", steps(9, 16, 16))
    # Frames differ by 10 levels; rounding to the nearest names the frame even after a lossy codec.
    numbers = [round(float(level) / 10) - 1 for level in to_uint8(read_clip(path, 4, start=3)).mean(axis=(1, 2, 3))]
    assert numbers == [3, 4, 5, 6]
    assert len(read_clip(path, start=7)) == 2
    assert len(read_clip(path, frames=100)) == 9
    with refuses(str(path), "number 9"):
        read_clip(path, start=9)


def test_a_folder_is_read_in_the_order_of_names_and_other_files_are_left_alone(tmp_path):
    for name, level in (("b.png", 20), ("a.jpg", 10), ("c.bmp", 30)):
        Image.new("RGB", (8, 8), (level, level, level)).save(tmp_path / name)
    (tmp_path / "a_note.txt").write_text("no picture")
    assert to_uint8(read_clip(tmp_path))[:, 0, 0, 0].tolist() == [10, 20, 30]


# ---------------------------------------------------------------------------------------------------- size


def test_size_cuts_the_middle_and_stretches_nothing(tmp_path):
    wide = np.ones((1, 20, 44, 3), np.float32)
    wide[:, :, 12:32] = noise(1, 20, 20, 3)  # the middle 20 of 44 columns
    path = write_clip(tmp_path / "wide", wide)
    np.testing.assert_array_equal(read_clip(path, size=20), wide[:, :, 12:32])
    high = wide.transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(read_clip(write_clip(tmp_path / "high", high), size=20), high[:, 12:32])
    # (height, width) in this order: the middle 10 of 20 rows at full width.
    np.testing.assert_array_equal(read_clip(path, size=(10, 44)), wide[:, 5:15])


def test_a_smaller_size_takes_the_mean_of_what_falls_together(tmp_path):
    clip = noise(2, 12, 12, 3)
    small = read_clip(write_clip(tmp_path / "clip", clip), size=4)
    means = clip.reshape(2, 4, 3, 4, 3, 3).mean(axis=(2, 4))
    # Rounded to a level after the rows and again after the columns: half a level of 1/127.5 each.
    np.testing.assert_allclose(small, means, atol=1.01 / 127.5)


def test_a_larger_size_keeps_flat_frames_flat(tmp_path):
    path = write_clip(tmp_path / "clip.png", steps(3))
    assert read_clip(path, size=(20, 30)).shape == (3, 20, 30, 3)
    np.testing.assert_array_equal(read_clip(path, size=(20, 30)), np.repeat(steps(3, 20, 30), 3, axis=-1))


@pytest.mark.parametrize("size", [0, -4, 2.5, "64", (4,), (4, 5, 6), (4, 0), True, 8193, (1, 10**9)])
def test_a_bad_size_is_refused_before_anything_is_read(tmp_path, size):
    with refuses("size"):
        read_clip(tmp_path / "absent.mp4", size=size)


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3"])
def test_bad_numbers_of_frames_are_refused(tmp_path, bad):
    with refuses("frames", repr(bad)):
        read_clip(tmp_path, bad)
    if bad != 0:
        with refuses("start", repr(bad)):
            read_clip(tmp_path, start=bad)


# ------------------------------------------------------------------------------------------ what players see


@pytest.mark.parametrize("fps", [1, 12, 12.5, 24, 30000 / 1001, np.float32(30), 100])
def test_the_frame_rate_of_each_file_is_the_one_asked_for(tmp_path, fps):
    clip = noise(5, 16, 16, 1)
    with av.open(str(write_clip(tmp_path / "clip.mp4", clip, fps))) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-6)
        assert float(stream.duration * stream.time_base) == pytest.approx(5 / fps, rel=1e-3)
    for ending, unit in ((".png", 1e-2), (".gif", 10)):  # ms: a GIF counts in hundredths of a second
        with Image.open(write_clip(tmp_path / f"clip{ending}", clip, fps)) as image:
            for index in range(image.n_frames):
                image.seek(index)
                image.load()
                assert abs(image.info["duration"] - 1000 / fps) <= unit / 2 + 1e-9
            assert image.info["loop"] == 0  # for ever


def test_an_mp4_is_h264_that_every_player_opens(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", noise(6, 15, 17, 3))
    with av.open(str(path)) as container:
        assert "mp4" in container.format.name
        (stream,) = container.streams
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 18, 16)
        frames = list(container.decode(stream))
        assert len(frames) == stream.frames == 6
        times = [frame.time for frame in frames]
        np.testing.assert_allclose(times, np.arange(6) / 12, atol=1e-6)
    boxes, data = [], path.read_bytes()
    while data:  # the file is a row of boxes: length, name, content
        boxes.append(data[4:8].decode())
        data = data[struct.unpack(">I", data[:4])[0] :]
    assert {"ftyp", "mdat", "moov"} <= set(boxes)


@pytest.mark.parametrize("ending", ENDINGS)
def test_written_files_have_the_rights_of_any_other_file(tmp_path, ending):
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "file").write_bytes(b"")
    path = write_clip(tmp_path / f"clip{ending}", steps(2))
    files = [path] if path.is_file() else list(path.iterdir())
    assert {file.stat().st_mode for file in files} == {(plain / "file").stat().st_mode}
    if path.is_dir():
        assert path.stat().st_mode == plain.stat().st_mode


# -------------------------------------------------------------------------------------------- hostile files


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(bytes(99))), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gif_of_size(width: int, height: int) -> bytes:
    """A GIF that claims a logical screen, with one frame of one pixel."""
    screen = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00" + bytes(6)
    return screen + b"\x2c" + bytes(4) + b"\x01\x00\x01\x00\x00" + b"\x02\x02\x44\x01\x00" + b"\x3b"


def test_what_is_not_there_is_said_to_be_not_there(tmp_path):
    with refuses("absent.mp4", "check the name", error=FileNotFoundError):
        read_clip(tmp_path / "absent.mp4")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip.png", "clip.apng", "clip.jpg", "clip.avi", "clip"])
@pytest.mark.parametrize("content", [b"", b"This is a text.\n" * 50, bytes(1000)], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_video_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with refuses(name):
        read_clip(tmp_path / name)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("ending", [".mp4", ".png"])
def test_a_truncated_file_is_refused(tmp_path, ending, share):
    whole = write_clip(tmp_path / f"whole{ending}", noise(6, 24, 24, 3)).read_bytes()
    (tmp_path / f"cut{ending}").write_bytes(whole[: int(share * len(whole))])
    with refuses(f"cut{ending}"):
        read_clip(tmp_path / f"cut{ending}")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_gif_is_refused_or_gives_the_frames_it_has(tmp_path, share):
    clip = noise(6, 24, 24, 1)
    whole = write_clip(tmp_path / "whole.gif", clip).read_bytes()
    (tmp_path / "cut.gif").write_bytes(whole[: int(share * len(whole))])
    try:
        again = read_clip(tmp_path / "cut.gif")
    except ValueError:
        with refuses("cut.gif"):
            read_clip(tmp_path / "cut.gif")
    else:
        np.testing.assert_array_equal(again, np.repeat(clip[: len(again)], 3, axis=-1))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.png", png_of_size(60_000, 60_000)),
        ("bomb.png", png_of_size(8193, 1)),
        ("bomb.png", png_of_size(1, 8193)),
        ("bomb.gif", gif_of_size(65_535, 65_535)),
        ("bomb.gif", gif_of_size(8193, 1)),
    ],
)
def test_a_picture_that_claims_to_be_huge_is_refused_unread(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with refuses(name):
        read_clip(tmp_path / name, size=8)
    if name.endswith(".png"):  # in a folder, too; it is the file that is named
        Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
        with refuses(name):
            read_clip(tmp_path, size=8)


def test_the_crafted_pictures_would_be_read_if_they_were_small(tmp_path):
    (tmp_path / "small.gif").write_bytes(gif_of_size(3, 2))
    assert read_clip(tmp_path / "small.gif").shape == (1, 2, 3, 3)
    (tmp_path / "small.png").write_bytes(png_of_size(3, 2))
    assert read_clip(tmp_path / "small.png").shape == (1, 2, 3, 3)


def test_a_video_of_too_many_pixels_a_side_is_refused(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "clip.mp4", noise(2, 16, 32, 3))
    monkeypatch.setattr(clips, "MAX_SIDE", 16)
    with refuses("32×16", "16 a side"):
        read_clip(path)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("no picture")
    with refuses(str(tmp_path), "no frame"):
        read_clip(tmp_path)


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    Image.new("RGB", (6, 8)).save(tmp_path / "b.png")
    with refuses("(8, 6)", "(6, 8)", "size="):
        read_clip(tmp_path)
    assert read_clip(tmp_path, size=4).shape == (2, 4, 4, 3)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with refuses("sound.mp4", "no video"):
        read_clip(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_reading_stops_at_the_bound_and_not_at_the_end(tmp_path, monkeypatch, ending):
    path = write_clip(tmp_path / f"clip{ending}", noise(20, 16, 16, 3))
    decoded = []

    def counted(pictures, path):
        for picture in pictures(path):
            decoded.append(picture)
            yield picture

    monkeypatch.setattr(clips, "_pictures_of", lambda path, inner=clips._pictures_of: counted(inner, path))
    monkeypatch.setattr(clips, "MAX_VALUES", 4 * 16 * 16 * 3)
    with refuses(path.name, "frames=", "size="):
        read_clip(path)
    assert len(decoded) == 5
    assert len(read_clip(path, 4)) == 4
    assert len(read_clip(path, size=4)) == 20
    monkeypatch.setattr(clips, "MAX_FRAMES", 10)
    with refuses(path.name, "10 frames", "start="):
        read_clip(path, size=4)
    assert len(read_clip(path, 10, size=4)) == 10


def test_of_a_long_gif_only_the_frames_asked_for_are_touched(tmp_path):
    path = write_clip(tmp_path / "long.gif", noise(2000, 2, 2, 1))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 10] + b"!" * (len(data) // 10))  # what follows is rubbish
    assert len(read_clip(path, frames=3)) == 3


def mutated_png(data: bytes, generator: np.random.Generator) -> bytes:
    """A PNG with wrong bytes under right checksums, so that they are not simply caught by those."""
    chunks, at = [], 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    for _ in range(generator.integers(1, 5)):
        _, content = chunks[generator.integers(len(chunks))]
        if content:
            content[generator.integers(len(content))] = generator.integers(256)
    return data[:8] + b"".join(png_chunk(kind, bytes(content)) for kind, content in chunks)


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """A file with a few wrong bytes, more of them near its ends where the headers are; some cut short."""
    data = bytearray(data)
    for _ in range(generator.integers(1, 9)):
        near = min(len(data), 400)
        at = generator.choice([generator.integers(len(data)), generator.integers(near), -1 - generator.integers(near)])
        data[at] = generator.integers(256)
    return bytes(data if generator.random() < 0.8 else data[: generator.integers(len(data))])


@pytest.mark.parametrize(("ending", "count"), [(".mp4", 120), (".gif", 250), (".png", 250)])
def test_no_mutated_file_does_worse_than_a_clear_refusal(tmp_path, ending, count):
    generator = np.random.default_rng(7)
    whole = write_clip(tmp_path / f"whole{ending}", noise(5, 20, 24, 3)).read_bytes()
    mutate = mutated_png if ending == ".png" else mutated
    path, refusals = tmp_path / f"mutated{ending}", []
    for _ in range(count):
        path.write_bytes(mutate(whole, generator))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow says of some that they are odd
                read_clip(path, frames=50, size=16)
        except ValueError as error:
            refusals.append(str(error))
    assert [text for text in refusals if path.name not in text or "\n" in text] == []
    assert count / 10 < len(refusals)  # the mutations do reach the decoders


# ------------------------------------------------------------------------------------------ whole or absent


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("old", [False, True])
def test_a_full_disk_leaves_nothing_new_and_everything_old(tmp_path, ending, old):
    resource = pytest.importorskip("resource", reason="file sizes cannot be limited here")
    path = tmp_path / f"clip{ending}"
    if old:
        write_clip(path, steps(2))
    before = tree(tmp_path)
    clip = noise(6, 48, 48, 3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # no file may grow beyond, like on a full disk
    try:
        with refuses(error=OSError):
            write_clip(path, clip)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert tree(tmp_path) == before
    write_clip(path, clip)
    assert len(read_clip(path)) == 6


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_at_the_last_moment_leaves_nothing_new_and_everything_old(tmp_path, monkeypatch, ending, error):
    path = write_clip(tmp_path / f"clip{ending}", steps(2))
    before, replace = tree(tmp_path), os.replace

    def fails(source, target):
        if Path(target) == path and Path(source).parent.name == "new":
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(type(error)):
        write_clip(path, steps(5))
    assert tree(tmp_path) == before


def test_an_interrupt_in_the_middle_of_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(path, pictures, fps):
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(clips, "_write_gif", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path / "clip.gif", steps(2))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("ending", ENDINGS)
def test_places_that_cannot_be_written_are_one_sentence(tmp_path, ending):
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    for parent in ("absent", "file", "absent/deeper"):
        with refuses(parent.split("/")[-1], "make it first", error=FileNotFoundError):
            write_clip(tmp_path / parent / f"clip{ending}", steps(2))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("ending", ["", ".mp4", ".png"])
@pytest.mark.parametrize("other", ["thesis.tex", "folder.png/", ".git/"])
def test_a_folder_with_other_things_in_it_is_refused_and_untouched(tmp_path, ending, other):
    path = tmp_path / f"holiday{ending}"
    path.mkdir()
    Image.new("RGB", (4, 4)).save(path / "beach.png")
    (path / other).mkdir() if other.endswith("/") else (path / other).write_text("years of work")
    before = tree(tmp_path)
    with refuses("holiday", "other things", "another name"):
        write_clip(path, steps(2))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["clip.avi", "clip.txt", "clip.mp4.gz", "clip.webm"])
def test_other_endings_are_refused(tmp_path, name):
    with refuses(name, ".mp4", ".gif", ".png"):
        write_clip(tmp_path / name, steps(2))
    assert tree(tmp_path) == {}


def test_bad_clips_and_rates_are_refused_before_anything_is_written(tmp_path):
    with refuses("clip", "4 axes"):
        write_clip(tmp_path / "clip.mp4", good())
    with refuses("uint8"):
        write_clip(tmp_path / "clip.mp4", to_uint8(good()[0]))
    with refuses("fps", "0"):
        write_clip(tmp_path / "clip.mp4", good()[0], fps=0)
    assert tree(tmp_path) == {}


def test_enlarging_is_smooth_and_reducing_is_a_mean():
    ramp = Image.fromarray(np.tile(np.arange(0, 160, 20, dtype=np.uint8), (8, 1))).convert("RGB")
    wide = np.asarray(fit_picture(ramp, (32, 32)), int)[0, :, 0]
    assert (np.diff(wide)[4:-4] > 0).all()  # blocks would have steps of 0
    small = np.asarray(fit_picture(ramp, (4, 4)), int)[0, :, 0]
    np.testing.assert_array_equal(small, [10, 50, 90, 130])


@pytest.mark.parametrize("ending", ["mkv", "avi"])
def test_a_video_cut_short_is_refused_in_any_container(tmp_path, ending):
    path = tmp_path / f"film.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if ending == "avi" else "libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for picture in to_uint8(smooth(100, 64, 64)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert len(read_clip(path)) == 100
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with refuses(path.name):
        read_clip(path)


def test_a_folder_of_photographs_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"mine")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "10001.png").write_bytes(b"mine")
    with refuses("other things"):
        write_clip(tmp_path / "scans", noise(2, 8, 8, 3))
    with refuses("other things"):
        write_clip(tmp_path / "photos", noise(2, 8, 8, 3))
    assert (tmp_path / "photos" / "holiday.jpg").read_bytes() == b"mine"


def test_what_would_fill_the_memory_is_refused():
    with refuses("values", "fewer or smaller"):
        check_values((10**6, 16, 32, 32, 3), "a sample")
    check_values((100, 16, 32, 32, 3), "a sample")
    with refuses("path"):
        read_clip(None)
