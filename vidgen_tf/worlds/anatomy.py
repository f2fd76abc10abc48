"""A body part in three dimensions, with a lesion whose outline is known: a drawn anatomy, not a patient's.

A clip is a volume: its frames are 16 slices, from the feet to the head, of a cube with sides of 192 mm. So a voxel is 12 mm
high and 6 mm wide, as in a scan with thick slices. Its three channels are what the scanner shows, the outline of the lesion,
and that of the organ: a volume together with what an expert would draw on it.

The organ, of the size of a liver, is two ellipsoids that a smooth field of waves bends; vessels run through it, bright. A lesion
has a dark core and a bright rim. Cysts are as dark and as large, and have no rim; vessels are as bright as the rim, and have no
core. So no threshold finds the lesion. Each scanner has its own brightness, contrast and noise.

All of it is invented. Nothing that is measured here says anything about patients.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.worlds import Sample, World, mean_of

SIDE = 192.0  # of the cube, in mm
AIR, BODY, ORGAN, BONE = -0.9, -0.35, 0.1, 0.75  # what a scanner shows of them
NOISE = 0.04  # deviation of the scanner's noise
SEEN = 12  # voxels; what is smaller is a speck
TRIES = 1000  # to place a lesion in an organ, see `redraw_outlines`


class Anatomy(World):
    """Volumes of an organ, most of them with one lesion, and the outlines of both.

    Truth of `sample`: `lesion` and `organ`, bool (count, slices, size, size); `volume` float (count,), of the lesion in
    millilitres, 0 without one; `contrast` float (count, 2), how far its core and its rim are from the organ around them,
    before the scanner's gain. The same seed gives the same bits.

    Args:
        lesions: share of the volumes that have a lesion, from 0 to 1.
        slices: frames of a clip, at least 8.
        size: side of a slice in pixels, at least 16.

    Attributes:
        voxel: millilitres of a voxel.

    Raises:
        ValueError: for other numbers.
    """

    def __init__(self, lesions: float = 1.0, slices: int = 16, size: int = 32):
        if isinstance(lesions, bool) or not isinstance(lesions, (int, float)) or not 0 <= lesions <= 1:
            raise ValueError(
                f"lesions is {lesions!r}, but a share from 0 to 1 was expected, such as 1.0 for all volumes."
            )
        self.lesions = float(lesions)
        slices, size = check_count(slices, "slices", least=8), check_count(size, "size", least=16)
        self.clip_shape = (slices, size, size, 3)
        check_values(self.clip_shape, "a clip")
        self.voxel = SIDE**3 / (slices * size * size) / 1000
        self._axes = [(2 * np.arange(side) + 1) / side - 1 for side in (slices, size, size)]
        # (3, slices, size, size): z, y, x from -1 to 1
        self._points = np.stack(np.meshgrid(*self._axes, indexing="ij"))

    def sample(self, count: int, seed: int) -> Sample:
        """`count` volumes; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice = np.random.default_rng(check_seed(seed))
        clips = np.empty((count, *self.clip_shape), np.float32)
        contrast, captions = np.zeros((count, 2)), []
        for clip in clips:
            ill = dice.random() < self.lesions
            image, lesion, organ, contrast[len(captions)] = self._case(dice, ill)
            clip[..., 0] = np.clip(image, -1, 1)
            clip[..., 1], clip[..., 2] = 2 * lesion - 1.0, 2 * organ - 1.0
            captions.append("an organ with a lesion" if ill else "a healthy organ")
        lesion, organ = clips[..., 1] > 0, clips[..., 2] > 0
        volume = lesion.sum(axis=(1, 2, 3)) * self.voxel
        return Sample(
            clips, tuple(captions), {"lesion": lesion, "organ": organ, "volume": volume, "contrast": contrast}
        )

    def _case(self, dice: np.random.Generator, ill: bool) -> tuple:
        """One volume: what the scanner shows, the outlines of lesion and organ, the lesion's contrasts."""
        bent, grow = self._points + self._waves(dice, 0.05), self.clip_shape[1] / 4  # by about 1 from voxel to voxel
        image = np.full(self._points.shape[1:], AIR)

        def lay(value, field):
            image[...] += np.clip(grow * field + 0.5, 0, 1) * (value - image)

        y, x = bent[1:]
        lay(BODY, 1 - np.hypot(y / 0.82, x / 0.95))
        lay(BONE, 0.16 - np.hypot(y - 0.62, x))  # the spine
        middle = np.array([0, -0.1, -0.12]) + dice.uniform(-0.08, 0.08, 3)
        aside = middle + np.array([dice.uniform(-0.1, 0.2), -0.1, dice.uniform(0.35, 0.5)])
        organ = np.maximum(
            _inside(bent, middle, np.array([0.8, 0.54, 0.6]) * dice.uniform(0.9, 1.1, 3)),
            _inside(bent, aside, np.array([0.45, 0.36, 0.42]) * dice.uniform(0.85, 1.15, 3)),
        )
        within, tissue = organ > 0, ORGAN + self._waves(dice, 0.04)[0]
        lay(tissue, organ)
        deep, around = np.argwhere(organ > 0.25), self._points.reshape(3, -1)

        def place():
            return self._points[(slice(None), *deep[dice.integers(len(deep))])]

        for _ in range(dice.integers(3, 5)):  # vessels, from the back of the organ to somewhere, with a bend
            start, bend, end = middle + np.array([0, 0.15, 0.1]), place(), place()
            t = np.linspace(0, 1, 9)[:, None]
            path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
            nearest = ((path**2).sum(axis=1, keepdims=True) - 2 * path @ around).min(axis=0)
            far = np.sqrt(np.maximum(nearest + (around**2).sum(axis=0), 0)).reshape(within.shape)
            lay(tissue + dice.uniform(0.12, 0.35), np.where(within, 3 * (dice.uniform(0.06, 0.1) - far), -1))
        for _ in range(dice.integers(2, 5)):  # cysts
            cyst = _inside(self._points, place(), dice.uniform(0.12, 0.26) * dice.uniform(0.85, 1.15, 3))
            lay(tissue - dice.uniform(0.3, 0.55), np.where(within, cyst, -1))
        lesion, contrast = np.zeros(within.shape, bool), (0.0, 0.0)
        if ill:
            radii, curved = dice.uniform(0.2, 0.36) * dice.uniform(0.8, 1.25, 3), self._points + self._waves(dice, 0.04)
            field = np.where(within, _inside(curved, place(), radii), -1)
            core, rim = dice.uniform(0.25, 0.5), dice.uniform(0.18, 0.34)
            lay(tissue + rim, field)
            lay(tissue - core, field - 0.35)
            lesion, contrast = field > 0, (-core, rim)
        image = dice.uniform(0.85, 1.15) * image + dice.uniform(-0.08, 0.08)
        return image + NOISE * dice.standard_normal(image.shape), lesion, within, contrast

    def _waves(self, dice: np.random.Generator, height: float) -> np.ndarray:
        """A smooth random field, (3, slices, size, size): three waves on each axis."""
        ways = dice.uniform(-1, 1, (3, 3, 3, 1)) * np.pi  # of each axis, each wave, along z, y and x
        z, y, x = (np.exp(1j * ways[:, :, axis] * places) for axis, places in enumerate(self._axes))
        z = z * np.exp(1j * dice.uniform(0, 2 * np.pi, (3, 3, 1)))
        plane = (z[..., None] * y[:, :, None]).reshape(3, 3, -1)
        return height * (plane.transpose(0, 2, 1) @ x).imag.reshape(3, *self._points.shape[1:])

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What the outlines of volumes say, and what the scanner shows inside of them.

        Args:
            clips: float32 (count, slices, size, size, 3).

        Returns:
            `lesion`, `organ`: bool (count, slices, size, size), where the outlines' channels are above 0;
            `volume`: float (count,), of the lesion in millilitres;
            `pieces`: int (count,), of the lesion, with 12 voxels or more;
            `inside`: float (count,), the share of the lesion that lies in the organ, NaN without one;
            `core`, `rim`: float (count,), how much brighter the inner third and the outer third of the lesion, by depth, are than
            the median of the organ around; NaN without a lesion or an organ.

        Raises:
            ValueError: for clips that break the convention or have frames of another size.
        """
        from skimage.measure import label

        clips = self.check_frames(clips)
        image, lesion, organ = clips[..., 0], clips[..., 1] > 0, clips[..., 2] > 0
        found = {"lesion": lesion, "organ": organ, "volume": lesion.sum(axis=(1, 2, 3)) * self.voxel}
        rows = []
        for shown, ill, whole in zip(image, lesion, organ, strict=True):
            sizes = np.bincount(label(ill, connectivity=1).ravel())[1:]
            deep = _depth(ill)
            row = [(sizes >= SEEN).sum(), np.nan, np.nan, np.nan]
            if (mask := deep > 0).any():
                row[1] = whole[mask].mean()
                around = whole & ~mask
                if around.any():
                    usual, most = np.median(shown[around]), deep.max()
                    row[2] = shown[deep > most * 2 / 3].mean() - usual
                    row[3] = shown[mask & (deep <= max(1, most / 3))].mean() - usual
            rows.append(row)
        pieces, inside, core, rim = np.array(rows).T
        return found | {"pieces": pieces.astype(int), "inside": inside, "core": core, "rim": rim}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """Shares from 0 to 1 of made volumes: "one", with exactly one lesion; "inside", whose lesion lies in the organ to 95 %;
        "dark", whose core is darker than the organ; "rimmed", whose rim is brighter than the core by 0.15. The captions are
        not looked at."""
        found = self.read(clips)
        shares = {
            "one": found["pieces"] == 1,
            "inside": found["inside"] >= 0.95,  # NaN is not
            "dark": found["core"] < -0.1,
            "rimmed": found["rim"] > found["core"] + 0.15,
        }
        return {name: float(share.mean()) for name, share in shares.items()}


class Slices(World):
    """Single slices of `Anatomy`, each with the outlines in it and the slice below.

    This is what a network learns that paints a scan, slice after slice, for outlines that somebody drew (see
    `paint_cases`).

    A clip has two frames. The first is what is known: the scan of the slice below (-1 for the lowest one), and the outlines of lesion
    and organ in this slice. The second is this slice, with its scan and the same outlines. A sample of 16 n of them are the slices of the
    first n cases of `Anatomy` with that seed. The truth holds `lesion` and `organ`, bool (count, 32, 32).

    `scores`: "organ" and "lesion", how much brighter (darker below 0) the mean scan in the outline of the one than around it,
    in the body for the organ, in the organ for the lesion.
    """

    def __init__(self):
        self._anatomy = Anatomy()
        self.clip_shape = (2, *self._anatomy.clip_shape[1:])

    def sample(self, count: int, seed: int) -> Sample:
        """`count` slices, from the feet to the head of one case after the other; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        slices = self._anatomy.clip_shape[0]
        cases = self._anatomy.sample(-(-count // slices), seed).clips
        clips = known_and_painted(cases).reshape(-1, *self.clip_shape)[:count]
        truth = {"lesion": clips[:, 1, ..., 1] > 0, "organ": clips[:, 1, ..., 2] > 0}
        captions = tuple(
            "a slice of an organ with a lesion" if one.any() else "a slice of an organ" if all_.any() else "a slice"
            for one, all_ in zip(truth["lesion"], truth["organ"], strict=True)
        )
        return Sample(clips, captions, truth)

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """How bright the second frames are.

        Args:
            clips: float32 (count, 2, 32, 32, 3).

        Returns:
            `organ`, `lesion`: float (count,), as in `scores`, NaN where there is none.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        scan, lesion, organ = np.moveaxis(check_clips(clips, self.clip_shape)[:, 1], -1, 0)
        lesion, organ, body = lesion > 0, organ > 0, scan > (AIR + BODY) / 2
        mean = lambda where: np.divide(  # noqa: E731
            (scan * where).sum(axis=(1, 2)),
            where.sum(axis=(1, 2)),
            np.full(len(scan), np.nan),
            where=where.any(axis=(1, 2)),
        )
        healthy = mean(organ & ~lesion)
        return {"organ": healthy - mean(body & ~organ), "lesion": mean(lesion) - healthy}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """Means over the slices that have what is measured, NaN where none has it; the captions are not looked at."""
        return {name: mean_of(values) for name, values in self.read(clips).items()}


def known_and_painted(cases: np.ndarray) -> np.ndarray:
    """Volumes (count, slices, size, size, 3) as the pairs of `Slices`, (count, slices, 2, size, size, 3)."""
    known = cases.copy()
    known[:, 1:, ..., 0], known[:, 0, ..., 0] = cases[:, :-1, ..., 0], -1
    return np.stack([known, cases], axis=2)


def paint_cases(
    model: Any, lesions: np.ndarray, organs: np.ndarray, *, seed: int, noise: float = NOISE, **settings: Any
) -> np.ndarray:
    """Scans for outlines, painted slice after slice, each beside the one below it.

    Args:
        model: a network that has learned `Slices`, whose `generate` takes `known` and `mask`.
        lesions, organs: bool (count, slices, size, size), the outlines.
        seed: of `generate`, and of the noise; each slice has its own, so it has to be below 2**63 // 1000.
        noise: deviation of the scanner's noise, which is laid over each slice, from 0. Networks that remove noise leave out that of
            the scanner, too.
        settings: further arguments of `generate`, such as steps.

    Returns:
        float32 (count, slices, size, size, 3): volumes as in `Anatomy`, with the outlines as they were given.

    Raises:
        ValueError: for outlines that are not bool or of two shapes, a noise below 0, another seed, or what `generate` refuses.
    """
    lesions, organs = _check_outlines(lesions, organs)
    if check_seed(seed) >= 2**63 // 1000:
        raise ValueError(
            f"seed is {seed}, but a whole number below {2**63 // 1000} was expected: each slice has its own."
        )
    cases = np.stack([np.full(lesions.shape, -1.0), 2.0 * lesions - 1, 2.0 * organs - 1], axis=-1).astype(np.float32)
    mask = np.zeros((2, *lesions.shape[2:]), bool)
    mask[0] = True
    dice, noise = np.random.default_rng(seed), check_number(noise, "noise")
    for number in range(lesions.shape[1]):
        pairs = known_and_painted(cases)[:, number]
        scan = model.generate(len(cases), seed=int(seed) * 1000 + number, known=pairs, mask=mask, **settings)[
            :, 1, ..., 0
        ]
        cases[:, number, ..., 0] = np.clip(scan + noise * dice.standard_normal(scan.shape), -1, 1)
    return cases


def redraw_outlines(lesions: np.ndarray, organs: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """New outlines from a few.

    Each is an organ of one case, moved, turned and stretched a little, and in it, anywhere, the lesion of some case, turned,
    mirrored, and larger or smaller.

    Args:
        lesions, organs: bool (cases, slices, size, size), each case with both; the organs large enough for a lesion.
        count: how many new ones.
        seed: whole number from 0.

    Returns:
        lesions and organs, bool (count, slices, size, size); a lesion has 20 voxels at least.

    Raises:
        ValueError: for outlines that are not bool, of two shapes or empty, a count below 1, another seed, or where no lesion of 20
            voxels comes to lie in an organ in 1,000 tries.
    """
    from skimage.transform import warp

    lesions, organs = _check_outlines(lesions, organs)
    for name, outlines in (("lesion", lesions), ("organ", organs)):
        if not (there := outlines.any(axis=(1, 2, 3))).all():
            raise ValueError(
                f"case {there.argmin()} has no {name}, but each case with both was expected; leave it out."
            )
    dice, shape = np.random.default_rng(check_seed(seed)), np.array(lesions.shape[1:])
    grid, across = np.indices(shape), shape[0] / shape[1]  # a voxel is so much higher than wide

    def moved(mask, angle, scale, start, end):  # what was at the start is now at the end
        cosine, sine = np.cos(angle), np.sin(angle)
        back = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) / np.reshape(scale, (3, 1))
        from_where = np.tensordot(back, grid, 1) + np.reshape(start - back @ end, (3, 1, 1, 1))
        return warp(mask.astype(np.float32), from_where, order=1) > 0.5

    made = np.zeros((2, check_count(count), *shape), bool)
    for new_lesion, new_organ in zip(*made, strict=True):
        organ = organs[dice.integers(len(organs))]
        middle = np.argwhere(organ).mean(axis=0)
        shift = dice.uniform(-1.5, 1.5, 3) * (across, 1, 1)
        new_organ[:] = moved(organ, dice.uniform(-0.25, 0.25), dice.uniform(0.88, 1.14, 3), middle, middle + shift)
        places = np.argwhere(new_organ)
        for _ in range(TRIES if len(places) else 0):
            lesion = lesions[dice.integers(len(lesions))][:, :, :: dice.choice([-1, 1])]
            start, end = np.argwhere(lesion).mean(axis=0), places[dice.integers(len(places))]
            new_lesion[:] = moved(lesion, dice.uniform(0, 2 * np.pi), dice.uniform(0.75, 1.25, 3), start, end)
            new_lesion &= new_organ
            if new_lesion.sum() >= 20:
                break
        else:
            raise ValueError(
                f"in {TRIES} tries no lesion of 20 voxels came to lie in an organ; give larger lesions, or larger organs."
            )
    return made[0], made[1]


def _check_outlines(lesions: np.ndarray, organs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The outlines as arrays, if both are bool (count, slices, size, size), of one shape; else ValueError."""
    lesions, organs = as_array(lesions, "lesions"), as_array(organs, "organs")
    fits = lesions.dtype == organs.dtype == bool and lesions.shape == organs.shape and lesions.ndim == 4
    if not fits or not lesions.size:
        raise ValueError(
            f"lesions are {lesions.dtype} {lesions.shape} and organs {organs.dtype} {organs.shape}, but bool (count, slices, "
            "size, size) was expected for both; compare with > 0."
        )
    return lesions, organs


def _inside(points: np.ndarray, middle: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """1 in the middle of an ellipsoid, 0 on its border, below 0 beyond."""
    return 1 - np.sqrt(
        (((points - np.reshape(middle, (3, 1, 1, 1))) / np.reshape(radii, (3, 1, 1, 1))) ** 2).sum(axis=0)
    )


def _depth(mask: np.ndarray) -> np.ndarray:
    """How many voxels each voxel lies inside of a mask (slices, rows, columns), in its own slice, since slices are thick."""
    depth, left = np.zeros(mask.shape, int), mask
    while left.any():
        depth += left
        wide = np.pad(left, ((0, 0), (1, 1), (1, 1)))
        left = left & wide[:, 2:, 1:-1] & wide[:, :-2, 1:-1] & wide[:, 1:-1, 2:] & wide[:, 1:-1, :-2]
    return depth
