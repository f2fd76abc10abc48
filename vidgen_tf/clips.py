"""What a clip is, and how it gets in and out of files.

A clip is a NumPy array, float32, (time, height, width, channels), values in [-1, 1]; a batch of clips has
one more axis in front. Channels are 1 (grey) or 3 (red, green, blue). Files and pictures hold uint8 in
[0, 255]; this module is the only place where one becomes the other:

    float = uint8 / 127.5 - 1        uint8 = round((float + 1) · 127.5)

Every check raises ValueError with one sentence: what came, what was expected, how to mend it.
"""

import errno
import math
import os
import random
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np
from PIL import Image

MOVES = 30  # times that a finished file is moved to its place, where others write to the same one
MAX_SIDE = 8192  # pixels; wider or higher pictures are refused before they are decoded
MAX_FRAMES = 100_000  # frames that `read_clip` walks through before it gives up
MAX_VALUES = 2**29  # numbers in a clip that is read: 2 GiB as float32
ENDINGS = (".mp4", ".gif", ".png", ".apng", "")  # of what `write_clip` writes; the last one is a folder
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def check_clips(
    clips: np.ndarray, clip_shape: tuple[int, int, int, int] | None = None, *, batch: bool = True, name: str = "clips"
) -> np.ndarray:
    """The clips as they came, if they keep the convention.

    Args:
        clips: float32 (count, time, height, width, channels), or without the first axis if not `batch`.
        clip_shape: what each clip's shape must be; None for any.
        batch: whether a leading batch axis is expected.
        name: what the message calls the array.

    Returns:
        The same array (a tensor comes back as an array).

    Raises:
        ValueError: for the wrong number of axes, an empty axis, channels other than 1 or 3, another `clip_shape`,
            a type other than float32, NaN, or values outside [-1, 1].
    """
    clips = as_array(clips, name)
    axes = ("count", "time", "height", "width", "channels")[0 if batch else 1 :]
    if clips.ndim != len(axes):
        hint = "take one with clips[0]" if clips.ndim > len(axes) else "add an axis with clip[None]"
        raise ValueError(
            f"{name} has shape {clips.shape}, but ({', '.join(axes)}) was expected: {len(axes)} axes; {hint}."
        )
    if clips.shape[-1] not in (1, 3):
        raise ValueError(f"{name} has {clips.shape[-1]} channels in its last axis, but 1 or 3 were expected.")
    if 0 in clips.shape:
        raise ValueError(f"{name} has shape {clips.shape}: no axis may be empty; give at least one frame.")
    if clip_shape is not None and clips.shape[-4:] != tuple(clip_shape):
        raise ValueError(
            f"{name} of shape {clips.shape[-4:]} came, but {tuple(clip_shape)} was expected; cut or resize them."
        )
    if clips.dtype != np.float32:
        mend = "to_float(clips)" if clips.dtype == np.uint8 else "clips.astype('float32')"
        raise ValueError(f"{name} has type {clips.dtype}, but float32 was expected; call {mend}.")
    low, high = float(clips.min()), float(clips.max())  # NaN spreads to both
    if not (low >= -1.0 and high <= 1.0):
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}, but [-1, 1] without NaN was expected; "
            "scale them, or bound them with numpy.clip."
        )
    return clips


def as_array(values, name: str) -> np.ndarray:
    """The values as an array, if they are numbers of one shape; else ValueError."""
    try:
        values = np.asarray(values)
    except ValueError:
        raise ValueError(
            f"{name} is a list of arrays of different shapes; cut or resize them, then stack them."
        ) from None
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {values.dtype.name} values, but an array of numbers was expected.")
    return values


def check_values(shape: tuple[int, ...], name: str) -> None:
    """ValueError if an array of this shape would have more than 2²⁹ values (2 GiB as float32)."""
    if (values := math.prod(int(side) for side in shape)) > MAX_VALUES:
        raise ValueError(
            f"{name} of shape {shape} would have {values:.2g} values, but at most {MAX_VALUES:.2g} fit; ask for fewer or smaller."
        )


def check_path(path: str | os.PathLike) -> Path:
    """The path as a Path, if it can be one and stands for no pipe or device; else ValueError."""
    if not isinstance(path, (str, os.PathLike)) or not str(path) or not _can_be(str(path)):
        raise ValueError(f"the path is {str(path)!r:.200}, but the name of a file or folder was expected.")
    return Path(path)


def _can_be(path: str) -> bool:
    """Whether this is a file or a folder, no pipe or device, whose end may never come; or could become one."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR)
    except ValueError:  # a zero byte in it
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG


def check_count(count: int, name: str = "count", *, least: int = 1) -> int:
    """The whole number as an int, if it is one and at least `least`; else ValueError."""
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < least:
        raise ValueError(f"{name} is {count!r}, but a whole number of at least {least} was expected.")
    return int(count)


def check_number(value: float, name: str, least: float = 0, below: float = np.inf) -> float:
    """The number as a float, if it is at least `least` and smaller than `below`; else ValueError."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not least <= value < below:
        to = f" to below {below:g}" if below < np.inf else ""
        raise ValueError(f"{name} is {value!r}, but a number from {least:g}{to} was expected.")
    return float(value)


def check_seed(seed: int) -> int:
    """The seed as an int, if it is a whole number in [0, 2⁶³); else ValueError."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed!r}, but a whole number from 0 to 2**63 - 1 was expected, such as seed=0.")
    return int(seed)


def check_fps(fps: float, most: int = 100) -> float:
    """The frames per second as a float, if they are a number from 1 to `most`; else ValueError."""
    number = isinstance(fps, (int, float, np.integer, np.floating)) and not isinstance(fps, bool)
    if not number or not 1 <= fps <= most:
        raise ValueError(f"fps is {fps!r}, but frames per second from 1 to {most} were expected.")
    return float(fps)


def to_uint8(clips: np.ndarray) -> np.ndarray:
    """Clips or frames in [-1, 1] as uint8 in [0, 255], rounded to the nearest level; the shape stays.

    Raises:
        ValueError: for anything but floats in [-1, 1]; NaN too.
    """
    clips = as_array(clips, "to_uint8's argument")
    if clips.dtype.kind != "f":
        raise ValueError(f"to_uint8 got type {clips.dtype}, but floats in [-1, 1] were expected.")
    if clips.size and not (clips.min() >= -1 and clips.max() <= 1):
        raise ValueError(
            f"to_uint8 got values from {clips.min():g} to {clips.max():g}, but [-1, 1] without NaN was expected; "
            "bound them with numpy.clip first."
        )
    return np.rint((clips + 1) * 127.5).astype(np.uint8)


def to_float(pictures: np.ndarray) -> np.ndarray:
    """Pictures, uint8 in [0, 255], as float32 in [-1, 1]; the shape stays, and `to_uint8` gives the same levels back.

    Raises:
        ValueError: for a type other than uint8.
    """
    pictures = as_array(pictures, "to_float's argument")
    if pictures.dtype != np.uint8:
        raise ValueError(f"to_float got type {pictures.dtype}, but uint8 in [0, 255] was expected.")
    return pictures.astype(np.float32) / np.float32(127.5) - np.float32(1)


def decibels(error: np.ndarray) -> np.ndarray:
    """Mean squared errors of values in [-1, 1] as peak signal-to-noise ratios, 10 · log10(2² / error), in dB."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(4 / np.asarray(error, np.float64))


# ------------------------------------------------------------------------------------------------ reading


def read_clip(
    path: str | os.PathLike, frames: int | None = None, size: int | tuple[int, int] | None = None, *, start: int = 0
) -> np.ndarray:
    """Reads a clip from a file, or from a folder of pictures in the order of their names.

    A file may be an mp4, gif, animated png, or whatever else FFmpeg and Pillow decode.

    Args:
        path: the file or the folder.
        frames: how many frames to read at most; None reads all.
        size: side in pixels, or (height, width). The largest middle part of that aspect is cut out and
            resized, so nothing is stretched. None keeps the size of the file.
        start: how many frames to leave out first.

    Returns:
        float32 (time, height, width, 3), values in [-1, 1].

    Raises:
        FileNotFoundError: where there is no such file or folder.
        ValueError: for a file that is broken, cut short (as far as its format says how long the
            picture is; a transport stream, or an mkv with sound, does not) or no video, for pictures of more than 8192 pixels a side,
            and for a result of more than 2 GiB: it stops before the memory is taken.
    """
    path = check_path(path)
    if frames is not None:
        check_count(frames, "frames")
    check_count(start, "start", least=0)
    size = check_size(size)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}; check the name.")
    pictures = []
    values = 0
    for index, picture in enumerate(_sound_pictures_of(path)):
        if index >= MAX_FRAMES:
            raise ValueError(f"{path} has more than {MAX_FRAMES} frames; give frames= and start= to read a part.")
        if index < start:
            continue
        picture = fit_picture(picture, size)
        if pictures and picture.size != pictures[0].size:
            raise ValueError(
                f"{path} mixes pictures of {pictures[0].size} and {picture.size} pixels; give size= to make them equal."
            )
        values += picture.width * picture.height * 3
        if values > MAX_VALUES:
            raise ValueError(f"{path} has more than {MAX_VALUES} values at this size; give frames= or a smaller size=.")
        pictures.append(picture)
        if frames is not None and len(pictures) == frames:
            break
    if not pictures:
        raise ValueError(f"{path} holds no frame from number {start} on; give a video, or a folder of pictures.")
    return to_float(np.stack([np.asarray(picture) for picture in pictures]))


def films(path: Path, frames: int, size: tuple[int, int], every: int) -> Iterator[np.ndarray]:
    """The clips of a video of any length, or of a folder of pictures, one at a time: uint8 (frames, height, width, 3), cut and
    resized as `read_clip` does. Of these frames one begins at each `every` of the video; a rest that is too short is left out.
    ValueError for a video that is broken, once what is before the break has been handed out."""
    kept: list[np.ndarray] = []
    for index, picture in enumerate(_sound_pictures_of(path)):
        if index % every < frames or every < frames:
            kept.append(np.asarray(fit_picture(picture, size)))
        if len(kept) == frames:
            yield np.stack(kept)
            kept = kept[every:]


def reason_of(error: BaseException) -> str:
    """What an error says, on one line and in brief; without the name of the file, which an OSError gives once more."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:100]


class _RefusedError(ValueError):
    """A sentence of this module, in contrast to whatever a decoder raises."""


def check_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """A side in pixels or (height, width) as (height, width), None as None; else ValueError."""
    if size is None:
        return None
    pair = tuple(size) if isinstance(size, (tuple, list, np.ndarray)) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"size is {size!r}, but a side in pixels or (height, width) was expected.")
    for side in pair:
        if check_count(side, "size") > MAX_SIDE:
            raise ValueError(f"size is {size!r}, but sides of at most {MAX_SIDE} pixels were expected.")
    return pair


def _check_side(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise _RefusedError(f"{path} is {width}×{height} pixels; at most {MAX_SIDE} a side are read.")


def _sound_pictures_of(path: Path) -> Iterator[Image.Image]:
    """As `_pictures_of`; whatever goes wrong is a ValueError with one sentence."""
    try:
        yield from _pictures_of(path)
    except _RefusedError as refusal:
        raise ValueError(str(refusal)) from None
    except Exception as error:  # on broken files decoders raise nearly everything
        raise ValueError(
            f"{path} cannot be read as video or pictures; it may be broken or cut short ({reason_of(error)})."
        ) from None


def _pictures_of(path: Path) -> Iterator[Image.Image]:
    """The frames of a file or folder, one at a time, as RGB pictures."""
    if path.is_dir():
        for file in sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES):
            try:
                with Image.open(check_path(file)) as image:
                    _check_side(file, *image.size)
                    picture = image.convert("RGB")
            except _RefusedError:
                raise
            except Exception as error:
                raise _RefusedError(f"{file} is no picture that can be read ({reason_of(error)}).") from None
            yield picture
    elif path.suffix.lower() in (".gif", ".apng", *PICTURES):
        with Image.open(path) as image:
            _check_side(path, *image.size)
            # A GIF does not say how many frames it has: to ask would be to walk through all of them.
            for index in count() if image.format == "GIF" else range(getattr(image, "n_frames", 1)):
                try:
                    image.seek(index)
                except EOFError:
                    if image.format == "GIF":
                        return
                    raise
                yield image.convert("RGB")
    else:
        # Without a protocol a playlist cannot open what it names, be it another file, itself, or the network.
        options = {"err_detect": "explode", "protocol_whitelist": "none", "max_pixels": str(MAX_SIDE**2)}
        with open(path, "rb") as file, av.open(file, options=options) as container:
            if not container.streams.video:
                raise _RefusedError(f"{path} has no video in it; give an mp4, gif or animated png.")
            stream = container.streams.video[0]
            _check_side(path, stream.width or 0, stream.height or 0)
            seen = 0.0  # seconds
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise _RefusedError(f"{path} is damaged after {seen:.1f} seconds; get the file anew.")
                _check_side(path, frame.width, frame.height)
                seen = max(seen, frame.time or 0)
                yield frame.to_image()
            if stream.duration and stream.time_base:
                promised = float(stream.duration * stream.time_base)
            else:  # of the longest stream: sound may be longer than the picture
                promised = (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0
            if promised - seen > max(2.5 / float(stream.average_rate or 1), 0.1 * promised):
                raise _RefusedError(
                    f"{path} promises {promised:.1f} seconds and ends after {seen:.1f}; it is cut short."
                )


def fit_picture(picture: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """The largest middle part of the aspect of (height, width), resized (box filter down, bicubic up)."""
    if size is None or (picture.height, picture.width) == size:
        return picture
    height, width = size
    scale = min(picture.width / width, picture.height / height)
    cut_width, cut_height = width * scale, height * scale
    left, top = (picture.width - cut_width) / 2, (picture.height - cut_height) / 2
    resample = Image.Resampling.BOX if scale > 1 else Image.Resampling.BICUBIC
    return picture.resize((width, height), resample, box=(left, top, left + cut_width, top + cut_height))


# ------------------------------------------------------------------------------------------------ writing


def write_clip(path: str | os.PathLike, clip: np.ndarray, fps: float = 12) -> Path:
    """Writes a clip; the ending of the name says as what.

    `.mp4` (H.264, plays everywhere; sides are made even by repeating the last row or column), `.gif`
    (256 colours; a frame lasts whole hundredths of a second, and one that repeats is stored once and lasts longer),
    `.png` or `.apng` (animated, exact), or no ending: a folder of numbered PNG pictures (exact).
    The file is written under another name and renamed when it is whole: it is there entirely or not at all.
    An older file of that name is replaced; an older folder only if it holds nothing but such numbered pictures.

    Args:
        path: where to; the folder around it must exist.
        clip: float32 (time, height, width, channels), values in [-1, 1].
        fps: frames per second, from 1 to 100.

    Returns:
        The path.

    Raises:
        ValueError: for a bad clip, frame rate or ending.
        OSError: where the path cannot be written; nothing is left behind.
    """
    path = check_target(path)
    pictures = to_uint8(check_clips(clip, batch=False, name="clip"))
    if max(pictures.shape[1:3]) > MAX_SIDE:
        raise ValueError(f"clip has frames of {pictures.shape[1:3]} pixels, but at most {MAX_SIDE} a side are written.")
    fps = check_fps(fps)
    writers = dict(zip(ENDINGS, (_write_mp4, _write_gif, _write_png, _write_png, _write_folder), strict=True))
    with whole_or_absent(path) as part:
        writers[path.suffix.lower()](part, pictures, fps)
    return path


def check_target(path: str | os.PathLike) -> Path:
    """The path as a Path, if `write_clip` can write there, as far as is known before; else ValueError or FileNotFoundError."""
    path = check_path(path)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path.name} ends in {path.suffix!r}, but .mp4, .gif, .png, .apng or no ending was expected.")
    _check_place(path)
    return path


@contextmanager
def whole_or_absent(path: Path) -> Iterator[Path]:
    """Hands out a temporary path beside `path`; renames it to `path` at the end, or removes it on an error."""
    path = check_path(path)
    _check_place(path)
    try:
        with _room_beside(path) as part:
            yield part
    except OSError as error:
        if error.errno is None:
            raise
        kind = type(error) if type(error) in (PermissionError, FileNotFoundError) else OSError
        raise kind(f"{path} cannot be written: {error.strerror}; free some space or give another place.") from None


def _check_place(path: Path) -> None:
    """FileNotFoundError without a folder around the path, ValueError for a folder with things that were not written here."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} in; make it first.")
    try:
        names = set(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    if names != _picture_names(len(names)):
        raise ValueError(
            f"{path} is a folder with other things in it than pictures of an older clip; give another name."
        )


def _picture_names(count: int) -> set[str]:
    """What a folder holds that `write_clip` wrote: 00000.png, 00001.png, …"""
    return {f"{index:05d}.png" for index in range(count)}


@contextmanager
def _room_beside(path: Path) -> Iterator[Path]:
    room = Path(tempfile.mkdtemp(prefix=".vidgen.", dir=path.parent))
    try:
        (room / "new").mkdir()
        yield room / "new" / path.name
        for attempt in range(MOVES):
            try:
                if path.is_dir():
                    os.replace(path, room / f"old{attempt}")
                os.replace(room / "new" / path.name, path)
                break
            except OSError:  # another process may be doing the same with the same folder
                if attempt == MOVES - 1:
                    raise
                time.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # by chance, so that two do not go on in step
    finally:
        for old in sorted(room.glob("old*")):
            if not path.exists():  # whatever happened, the old folder stands again
                try:
                    os.replace(old, path)
                except OSError:
                    if not path.exists():  # else another process came between, and its folder stands there
                        raise
        shutil.rmtree(room, ignore_errors=True)


def _images(pictures: np.ndarray) -> Iterable[Image.Image]:
    return [Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture) for picture in pictures]


def _write_mp4(path: Path, pictures: np.ndarray, fps: float) -> None:
    _, height, width, channels = pictures.shape
    pictures = np.pad(pictures, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    pictures = np.repeat(pictures, 3 // channels, axis=-1)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = pictures.shape[1], pictures.shape[2], "yuv420p"
        stream.options = {"crf": "16", "preset": "medium"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())


def _write_gif(path: Path, pictures: np.ndarray, fps: float) -> None:
    first, *rest = _images(pictures)
    first.save(path, "GIF", save_all=True, append_images=rest, duration=10 * round(100 / fps), loop=0)


def _write_png(path: Path, pictures: np.ndarray, fps: float) -> None:
    first, *rest = _images(pictures)
    # Pillow merges equal neighbours unless they blend differently; without transparency all blends look the same.
    blend = [index % 2 for index in range(len(pictures))]
    first.save(path, "PNG", save_all=True, append_images=rest, duration=1000 / fps, blend=blend, loop=0)


def _write_folder(path: Path, pictures: np.ndarray, fps: float) -> None:
    path.mkdir()
    for index, image in enumerate(_images(pictures)):
        image.save(path / f"{index:05d}.png")
