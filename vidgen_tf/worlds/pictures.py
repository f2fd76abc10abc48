"""Still pictures as clips of one frame: clothes that ship with the kit, faces out of an installed package,
or a folder of your own, such as the 202,599 faces of CelebA.

A still is the shortest clip there is, and what a generator of frames has to learn first. A folder may be large:
its pictures are opened when they are first drawn and kept small in memory, so that training starts at once.
"""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vidgen_tf.clips import (
    MAX_SIDE,
    check_clips,
    check_count,
    check_path,
    check_seed,
    check_size,
    check_values,
    decibels,
    fit_picture,
    to_float,
)
from vidgen_tf.metrics import coverage
from vidgen_tf.worlds import Sample, World

DATA = Path(__file__).parent.parent / "data"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # of the pictures in a folder of your own
SCORED = 2_000  # pictures of a part that made ones are compared with: all pairs are looked at
CHUNK = 2**22  # values of known pictures that `read` works on at a time

PRODUCTS = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
SOURCES = {  # name: pictures for training, the others being for testing; licence; credit
    "products": (6000, "MIT", "Fashion-MNIST, © 2017 Zalando SE, by H. Xiao, K. Rasul and R. Vollgraf"),
    "faces": (80, "not stated", "Labeled Faces in the Wild, G. Huang et al., the cut that is shipped in scikit-image"),
}


class Pictures(World):
    """Random pictures out of one collection.

    `sample(count, seed)` draws with replacement. Its truth holds `picture` (count,): the numbers of the pictures in
    the part, from 0; for products also `label` (count,): the numbers of their names in `labels`. The caption is the
    label's name for products, "a face" for faces, and the name of the file without its ending for your own.

    Your own pictures are the .jpg, .jpeg, .png, .bmp and .webp files in a folder and below it, in the order of their
    names; hidden ones are left out. The middle square is cut out and resized. Turned photographs are set upright, and
    what is transparent becomes white. Each is opened when it is first drawn and then kept as uint8: at 64×64 RGB all
    of CelebA takes 2.5 GB in the end.

    Args:
        source: "products" (Fashion-MNIST, 28×28, ships), "faces" (25×25, read from scikit-image), or the path of a
            folder of pictures of your own.
        size: side in pixels.
        channels: 1 (grey) or 3 (red, green, blue); products and faces are grey, and 3 repeats that.
        part: "train", "test" (6000 and 1000 products, 80 and 20 faces, 90 and 10 % of your own) or "all".

    Attributes:
        labels: the names of the kinds of picture, or ().
        licence, credit: for your own pictures "your own".

    Raises:
        ValueError: for an unknown source or part, a file in place of a folder, or a folder without pictures.
        ModuleNotFoundError: where scikit-image, which carries the faces, is not installed.
    """

    endless = False

    def __init__(
        self, source: str | os.PathLike = "products", size: int = 28, channels: int = 1, *, part: str = "train"
    ):
        if part not in ("train", "test", "all"):
            raise ValueError(f"part is {part!r}, but 'train', 'test' or 'all' was expected.")
        check_size(check_count(size, "size"))
        if check_count(channels, "channels") not in (1, 3):
            raise ValueError(f"channels is {channels}, but 1 (grey) or 3 (red, green, blue) was expected.")
        self.clip_shape = (1, int(size), int(size), int(channels))
        self.labels, label, self._files, self._seen = (), None, None, {}
        if str(source) in SOURCES:
            train, self.licence, self.credit = SOURCES[str(source)]
            if str(source) == "products":
                with np.load(DATA / "products.npz") as stored:
                    stills, label, self.labels = stored["pictures"], stored["labels"].astype(np.int64), PRODUCTS
                captions = [PRODUCTS[kind] for kind in label]
            else:
                stills = _read_faces()
                captions = ["a face"] * len(stills)
        else:
            stills = _files_of(source)
            train = min(max(1, round(0.9 * len(stills))), max(1, len(stills) - 1))
            captions = [os.path.splitext(os.path.basename(file))[0] for file in stills]
            self.licence = self.credit = "your own"
        taken = {"train": slice(train), "test": slice(train, None), "all": slice(None)}[part]
        if not len(stills[taken]):
            raise ValueError(f"{source} holds {len(stills)} picture, too few for a part {part!r}; take part='all'.")
        self._captions, self._label = captions[taken], None if label is None else label[taken]
        if isinstance(stills, list):
            self._files = stills[taken]
        else:
            self._seen = {index: self._fit(Image.fromarray(still)) for index, still in enumerate(stills[taken])}

    def __len__(self) -> int:
        return len(self._captions)

    @property
    def clips(self) -> np.ndarray:
        """All pictures of the part in their order, float32 (pictures, 1, size, size, channels)."""
        check_values((len(self), *self.clip_shape), "the whole part")
        return to_float(self._stack(range(len(self))))[:, None]

    def sample(self, count: int, seed: int) -> Sample:
        """`count` random pictures; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        drawn = np.random.default_rng(check_seed(seed)).integers(len(self), size=count)
        truth = {"picture": drawn} | ({} if self._label is None else {"label": self._label[drawn]})
        return Sample(to_float(self._stack(drawn))[:, None], tuple(self._captions[index] for index in drawn), truth)

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Which picture of this part each clip looks most like, and how closely: is it memory?

        Of a folder of your own every picture is opened for this.

        Args:
            clips: float32 (count, 1, size, size, channels).

        Returns:
            `picture`: int (count,), the number in this part of the nearest picture;
            `psnr`: float (count,), its likeness in dB (infinite for an exact copy).

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        clips = check_clips(clips, self.clip_shape)
        shown = clips.reshape(len(clips), -1).astype(np.float64)
        nearest, least = np.zeros(len(shown), np.int64), np.full(len(shown), np.inf)
        step = max(1, CHUNK // shown.shape[1])
        for start in range(0, len(self), step):
            known = self._flat(range(start, min(start + step, len(self))))
            distance = (known**2).sum(axis=1) - 2 * shown @ known.T  # squared, less what all of a row share
            best = distance.argmin(axis=1)
            found = distance[np.arange(len(shown)), best]
            nearest, least = np.where(found < least, best + start, nearest), np.minimum(found, least)
        return {"picture": nearest, "psnr": decibels(np.mean((shown - self._flat(nearest)) ** 2, axis=1))}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """The "coverage" of this part's pictures (its first 2,000) by made ones: the share of them that has one among its
        five nearest, in pixels; about 0.97 for equally many other real ones. The captions are not looked at."""
        clips = check_clips(clips, self.clip_shape)
        return {"coverage": coverage(self._flat(range(min(len(self), SCORED))), clips.reshape(len(clips), -1))}

    def _flat(self, indices) -> np.ndarray:
        """Pictures of the part as rows of float64 in [-1, 1], (pictures, size · size · channels)."""
        return to_float(self._stack(indices)).reshape(len(indices), -1).astype(np.float64)

    def _stack(self, indices) -> np.ndarray:
        """Pictures of the part, uint8 (pictures, size, size, channels); those not seen before are read."""
        for index in indices:
            if index not in self._seen:
                self._seen[int(index)] = self._read_file(self._files[index])
        return np.stack([self._seen[int(index)] for index in indices])

    def _read_file(self, file: str) -> np.ndarray:
        """The picture in a file, uint8 (size, size, channels)."""
        try:
            with Image.open(str(check_path(file))) as opened:
                side = max(opened.size)
                still = None if side > MAX_SIDE else self._fit(ImageOps.exif_transpose(opened))
        except Exception:  # on broken files decoders raise nearly everything
            raise ValueError(
                f"{file} cannot be read as a picture; it may be broken: get it anew, or take it out of the folder."
            ) from None
        if still is None:
            raise ValueError(f"{file} has a side of {side} pixels, but at most {MAX_SIDE} are read; make it smaller.")
        return still

    def _fit(self, picture: Image.Image) -> np.ndarray:
        """The middle square of a picture at this world's size and channels, uint8 (size, size, channels)."""
        _, size, _, channels = self.clip_shape
        if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
            picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        still = np.asarray(fit_picture(picture.convert("L" if channels == 1 else "RGB"), (size, size)))
        return still.reshape(size, size, channels)


def _read_faces() -> np.ndarray:
    """The faces in scikit-image, uint8 (100, 25, 25)."""
    spec = importlib.util.find_spec("skimage")
    if spec is None:
        raise ModuleNotFoundError(
            "The faces are carried by the package scikit-image, which is not installed; "
            "install it with: python -m pip install scikit-image"
        )
    patches = np.load(
        Path(spec.submodule_search_locations[0]) / "data" / "lfw_subset.npy"
    )  # the other 100 are no faces
    return np.rint(patches[:100] * 255).astype(np.uint8)


def _files_of(source: str | os.PathLike) -> list[str]:
    """The pictures in a folder and below it, in the order of their names."""
    folder = check_path(source)
    if not folder.exists():
        raise ValueError(
            f"There are no pictures and no folder called {str(source)!r}; known names: {', '.join(SOURCES)}."
        )
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, but a folder of pictures was expected; give the folder that it is in.")
    found = []
    for inside, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(inside, name) for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")
        ]
    if not found:
        raise ValueError(
            f"{folder} holds no picture, in it or below it; give a folder with {', '.join(ENDINGS)} files."
        )
    return sorted(found, key=lambda file: file.split(os.sep))
