"""Two small pictures that move through a frame, bounce off its sides and cross: the rule of Moving MNIST.

What is seen of two crossing pictures is the brighter one, pixel by pixel, so a generator must remember a picture while
it is hidden. The pixels are greys, and predictions are often judged by their cross-entropy with these greys, in nats
per frame. Even the true frames cost more than nothing then, and how much they cost is known: `bound`.

N. Srivastava, E. Mansimov, R. Salakhutdinov: Unsupervised Learning of Video Representations using LSTMs. ICML 2015;
N. Kalchbrenner et al.: Video Pixel Networks. ICML 2017.
"""

import gzip
import importlib.util
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from vidgen_tf.clips import (
    check_clips,
    check_count,
    check_path,
    check_seed,
    check_size,
    check_values,
    fit_picture,
    to_float,
)
from vidgen_tf.worlds import Sample, World
from vidgen_tf.worlds.pictures import DATA, PRODUCTS

SIDE = 28  # pixels of a picture
STEP = 0.1  # of the free range (frame less picture) that a picture goes in a frame
DIGIT = 20  # pixels of a digit in the middle of its picture, as in MNIST
MAGIC = 2051  # how a file of pictures in the format of MNIST begins
LEAST_INK = 1  # pixels of full ink: with less in a frame nothing is read there

SOURCES = {  # name: pictures for training, the others being for testing; licence; credit
    "products": (6000, "MIT", "Fashion-MNIST, © 2017 Zalando SE, by H. Xiao, K. Rasul and R. Vollgraf"),
    "digits": (
        1500,
        "BSD-3-Clause (the package)",
        "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, as shipped in scikit-learn",
    ),
}


class MovingPictures(World):
    """Pictures of 28×28 pixels that move through a larger frame.

    As published: each picture starts evenly anywhere and takes a direction drawn evenly; in a frame it goes a tenth of
    the free range (of 64 - 28 = 36 pixels), stops at a side that it would leave by, and comes back mirrored; its place
    is cut down to whole pixels, and where pictures cross, the brighter pixel is seen. Ours are the range [-1, 1] and the
    random numbers. The same seed gives the same bits on every machine.

    Truth of `sample`, with x to the right and y down, in pixels:
        picture: int (count, pictures), numbers in this part, from 0; drawn with replacement.
        label: int (count, pictures), numbers in `labels`; not for your own pictures.
        position: int (count, frames, pictures, 2), the column and row of a picture's upper left pixel, from 0.
        velocity: float64 (count, frames, pictures, 2), pixels per frame with which a picture leaves this frame.
    The caption is as "a bag and an ankle boot move", "a 3 moves", or for your own "2 pictures move".

    Args:
        source: "products" (Fashion-MNIST, ships), "digits" (8×8 pixels, enlarged to 20×20; read from scikit-learn), or
            the path of your own file in the format of MNIST, such as train-images-idx3-ubyte or its .gz.
        frames: frames of a clip, at least 2.
        size: side of a frame in pixels, at least 29.
        pictures: how many move, at least 1.
        part: "train", "test" (6000 and 1000 products, 1500 and 297 digits, 90 and 10 % of your own) or "all".

    Attributes:
        stills: uint8 (pictures in the part, 28, 28).
        labels: the names of the kinds of picture, or ().
        licence, credit: for your own pictures "your own".

    Raises:
        ValueError: for arguments other than these, a file that is damaged or no such file, or a part without pictures.
        ModuleNotFoundError: where scikit-learn, which carries the digits, is not installed.
    """

    def __init__(
        self,
        source: str | os.PathLike = "products",
        frames: int = 20,
        size: int = 64,
        pictures: int = 2,
        *,
        part: str = "train",
    ):
        if part not in ("train", "test", "all"):
            raise ValueError(f"part is {part!r}, but 'train', 'test' or 'all' was expected.")
        frames, self.pictures = check_count(frames, "frames", least=2), check_count(pictures, "pictures")
        check_size(check_count(size, "size", least=SIDE + 1))
        self.clip_shape = (frames, int(size), int(size), 1)
        check_values(self.clip_shape, "a clip")
        self.labels, label = (), None
        if str(source) in SOURCES:
            train, self.licence, self.credit = SOURCES[str(source)]
            if str(source) == "products":
                self.labels = PRODUCTS
                with np.load(DATA / "products.npz") as stored:
                    stills, label = stored["pictures"], stored["labels"].astype(np.int64)
            else:
                self.labels = tuple("0123456789")
                stills, label = _read_digits()
        else:
            stills = _read_idx(source)
            train = min(max(1, round(0.9 * len(stills))), max(1, len(stills) - 1))
            self.licence = self.credit = "your own"
        taken = {"train": slice(train), "test": slice(train, None), "all": slice(None)}[part]
        self.stills, self._label = stills[taken], None if label is None else label[taken]
        if not len(self.stills):
            raise ValueError(f"{source} holds {len(stills)} picture, too few for a part {part!r}; take part='all'.")

    def __len__(self) -> int:
        return len(self.stills)

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips of random pictures on random ways; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        check_values((count, self.clip_shape[0], self.pictures, 2), "the positions")
        generator = np.random.default_rng(check_seed(seed))
        picture = generator.integers(len(self), size=(count, self.pictures))
        position, velocity = self._ways(generator.random((count, self.pictures, 2)), generator)
        truth = {"picture": picture, "position": position, "velocity": velocity}
        if self._label is None:
            number = f"{self.pictures} pictures move" if self.pictures > 1 else "a picture moves"
            return Sample(self._draw(picture, position), (number,) * count, truth)
        truth["label"] = self._label[picture]
        return Sample(self._draw(picture, position), tuple(self._caption(kinds) for kinds in truth["label"]), truth)

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """How much ink there is, where its centre is and how that moves.

        Of one picture this is all: its centre moves as the picture does. Of several it is the mean of their centres,
        weighted by their ink, while none hides a part of another.

        Args:
            clips: float32 (count, time, size, size, 1), of any time.

        Returns:
            `ink`: float64 (count, time), in pixels of full ink;
            `center`: float64 (count, time, 2), the centre of mass (x, y) in pixels, where the first pixel has its centre
            at (0.5, 0.5); NaN where there is less ink than one pixel;
            `velocity`: float64 (count, time - 1, 2), the differences of the centres.

        Raises:
            ValueError: for clips that break the convention or have another frame size.
        """
        clips = self.check_frames(clips)
        sides = ((clips[..., 0].sum(axis=axis, dtype=np.float64) + clips.shape[2]) / 2 for axis in (2, 3))
        columns, rows = sides  # ink, (count, time, size)
        ink, places = columns.sum(axis=-1), np.arange(clips.shape[2]) + 0.5
        center = np.stack([columns @ places, rows @ places], axis=-1) / np.maximum(ink, LEAST_INK)[..., None]
        center = np.where(ink[..., None] >= LEAST_INK, center, np.nan)
        return {"ink": ink, "center": center, "velocity": np.diff(center, axis=1)}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """Three numbers of made clips, to be held beside those of real ones. The captions are not looked at.

        Returns:
            "ink_kept": the ink of all last frames as a share of that of all first ones, about 1 for real clips and 0
            where the first are empty; "speed": the mean length of the velocity that is read, pixels per frame, 0 where
            there is none; "grey_nats": the mean of `bound`, which blur makes larger.
        """
        found = self.read(clips)
        speed = np.linalg.norm(found["velocity"], axis=-1)
        first, last = found["ink"][:, 0].sum(), found["ink"][:, -1].sum()
        return {
            "ink_kept": float(last / first) if first else 0.0,
            "speed": float(np.nanmean(speed)) if np.isfinite(speed).any() else 0.0,
            "grey_nats": float(self.bound(clips).mean()),
        }

    @staticmethod
    def cross_entropy(clips: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """What predictions cost, -Σ z ln p + (1 - z) ln(1 - p) over a frame's pixels, with all greys in [0, 1].

        Args:
            clips: float32 (count, time, height, width, channels), values in [-1, 1]: the true greys 2z - 1.
            predicted: what was foretold of them, 2p - 1, of the same shape.

        Returns:
            float64 (count, time), nats per frame; infinite where a prediction is certain and wrong.

        Raises:
            ValueError: for clips that break the convention or differ in their shapes.
        """
        clips, predicted = check_clips(clips), check_clips(predicted, name="predicted")
        if clips.shape != predicted.shape:
            raise ValueError(
                f"clips has shape {clips.shape} and predicted {predicted.shape}; give the same frames of both."
            )
        return np.stack(
            [_nats(clip, other) + _nats(-clip, -other) for clip, other in zip(clips, predicted, strict=True)]
        )

    @classmethod
    def bound(cls, clips: np.ndarray) -> np.ndarray:
        """H(z, z): what the true greys themselves cost as a prediction, and no other prediction costs less.

        Its mean over the frames of Moving MNIST is 86.3 nats, and the Video Pixel Network came to 87.6. Each source has its
        own: of two pictures 340 nats for products and 212 for digits, whose enlarged edges are greyer than MNIST's.

        Args:
            clips: float32 (count, time, height, width, channels), values in [-1, 1].

        Returns:
            float64 (count, time), nats per frame.

        Raises:
            ValueError: for clips that break the convention.
        """
        return cls.cross_entropy(clips, clips)

    def _ways(self, place: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Positions int and velocities float64 (count, frames, pictures, 2) from starts in [0, 1)."""
        way = generator.standard_normal(place.shape)  # in any direction equally often
        way *= STEP / np.sqrt(np.square(way).sum(axis=-1, keepdims=True))
        places, ways = np.empty((2, len(place), self.clip_shape[0], *place.shape[1:]))
        for t in range(self.clip_shape[0]):
            place = place + way
            way = np.where((place <= 0) | (place >= 1), -way, way)
            place = np.clip(place, 0, 1)
            places[:, t], ways[:, t] = place, way
        free = self.clip_shape[1] - SIDE
        return (free * places).astype(np.int64), free * ways

    def _draw(self, picture: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The clips, float32 (count, frames, size, size, 1)."""
        canvas = np.zeros((len(picture), *self.clip_shape[:3]), np.uint8)
        windows = sliding_window_view(canvas, (SIDE, SIDE), axis=(2, 3), writeable=True)
        clip, frame = np.ogrid[: len(canvas), : canvas.shape[1]]
        for k in range(self.pictures):
            spot = (clip, frame, position[:, :, k, 1], position[:, :, k, 0])  # no window of one clip and frame twice
            windows[spot] = np.maximum(windows[spot], self.stills[picture[:, k], None])
        return to_float(canvas)[..., None]

    def _caption(self, kinds: np.ndarray) -> str:
        names = [self.labels[kind] for kind in kinds]
        *others, last = [f"{'an' if name[0] in 'aeiou8' else 'a'} {name}" for name in names]
        return f"{', '.join(others)} and {last} move" if others else f"{last} moves"


def _nats(greys: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """-Σ z ln p over each frame of a clip, for values 2z - 1 and 2p - 1, with 0 · ln 0 = 0: (time,)."""
    z, p = ((values.astype(np.float64) + 1) / 2 for values in (greys, predicted))
    with np.errstate(divide="ignore"):
        return -np.multiply(z, np.log(p), where=z > 0, out=np.zeros_like(z)).sum(axis=(1, 2, 3))


def _read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits in scikit-learn, uint8 (1797, 28, 28), and which they are."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None:
        raise ModuleNotFoundError(
            "The digits are carried by the package scikit-learn, which is not installed; "
            "install it with: python -m pip install scikit-learn"
        )
    table = np.loadtxt(
        Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.int64
    )
    levels = np.rint(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)  # 17 levels
    stills = np.zeros((len(table), SIDE, SIDE), np.uint8)
    middle = slice((SIDE - DIGIT) // 2, (SIDE + DIGIT) // 2)
    for still, level in zip(stills, levels, strict=True):
        still[middle, middle] = fit_picture(Image.fromarray(level), (DIGIT, DIGIT))
    return stills, table[:, 64]


def _read_idx(source: str | os.PathLike) -> np.ndarray:
    """The pictures of a file in the format of MNIST, be it zipped or not, uint8 (pictures, 28, 28)."""
    path = check_path(source)
    if not path.is_file():
        raise ValueError(
            f"There are no moving pictures and no file called {str(source)!r}; known names: {', '.join(SOURCES)}."
        )
    try:
        with open(path, "rb") as file:
            opener = gzip.open if file.read(2) == b"\x1f\x8b" else open
        with opener(path, "rb") as file:
            head = np.frombuffer(file.read(16), np.uint8)
            magic, count, *sides = head.view(">u4").tolist() if len(head) == 16 else (0, 0)
            if magic != MAGIC or sides != [SIDE, SIDE]:
                raise ValueError(
                    f"{path} is no file of 28×28 pictures in the format of MNIST; give one such as train-images-idx3-ubyte."
                )
            check_values((count, SIDE, SIDE), f"{path}'s array")
            pixels = np.frombuffer(file.read(count * SIDE**2 + 1), np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be read, it may be broken or cut short ({error!s:.100}); get it anew."
        ) from None
    if len(pixels) != count * SIDE**2 or not count:
        more = "more" if len(pixels) > count * SIDE**2 else len(pixels) // SIDE**2
        raise ValueError(f"{path} promises {count} pictures and holds {more}; get it anew.")
    return pixels.reshape(count, SIDE, SIDE)
