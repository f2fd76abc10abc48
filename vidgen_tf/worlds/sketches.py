"""Sketches: line drawings that say where things are, which form they have and how large they are, and nothing else.

`drawn` makes them from the truth of `Shapes`, as by a hand: the line goes astray, is thick or thin, and does not quite close.
`region_of` goes back from lines to what they enclose, for these and for what somebody draws on a canvas or hands in as a
picture. The region is the same whatever the pen: a pixel of the line belongs to it if the inside is nearer than the outside. So
a model that is asked to keep the outline can be measured by how far two regions are the same (`intersection_over_union`).

What a hand draws is normalised in this order: ink is what differs from the paper; the picture is made square and all of one size;
the gaps of each stroke are closed, no wider than they need be, until it encloses something, and then those between strokes that
enclose nothing alone; a stroke that encloses nothing but is thicker than a pen is taken as filled; others are left out.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vidgen_tf.clips import MAX_SIDE, as_array, check_count, check_number, check_path, check_seed, check_values
from vidgen_tf.worlds.shapes import (
    ARM,
    BACKGROUNDS,
    CIRCLE,
    GRAYS,
    GROWTH,
    MOTIONS,
    PALETTE,
    RADII,
    REACH,
    SQUARE,
    TRIANGLE,
    covered,
    labels_of,
)  # fmt: skip

POINTS = 96  # of an outline
FINE = 2  # a sketch is drawn so many times larger, then made small, so that its lines are smooth
SIDE = 128  # pixels of the picture in which regions are found
GAP = 12  # the widest gap that is closed, in its pixels
PEN = 8  # ink that is thicker than this is no line, in its pixels
INK = 0.35  # what differs from the paper by less than this part of the most is paper
LEAST = 16  # pixels; what is smaller is a speck
LEAST_SIDE = 8  # pixels of a region that is painted
FARTHEST = 1000  # pixels that a line may go astray
NEARLY = 0.95  # of all that can be enclosed
PLACES = 16  # at which a thing is tried
FOLDS = (1, 4, 3, 4)  # turns of a shape that look alike, by SHAPES


# -------------------------------------------------------------------------------------------------- drawing


def outlines_of(truth: dict[str, np.ndarray], frame: int = 0) -> list[list[np.ndarray]]:
    """The exact outlines of the things in one frame of each clip.

    Args:
        truth: of `Shapes.sample` or `Shapes.render`, n clips.
        frame: its number.

    Returns:
        For each clip a list with one closed curve a thing: float (points, 2), (x, y) in pixels, the first point not repeated.

    Raises:
        ValueError: for what is no truth of `Shapes`, and a frame that it does not have.
    """
    truth, frame = _check_truth(truth, frame)
    found = []
    for clip, count in enumerate(truth["count"]):
        curves = []
        for thing in range(count):
            curve = _corners(truth["shape"][clip, thing]) * truth["radius"][clip, frame, thing]
            cosine, sine = np.cos(truth["angle"][clip, frame, thing]), np.sin(truth["angle"][clip, frame, thing])
            turned = curve @ np.array([[cosine, sine], [-sine, cosine]])
            curves.append(turned + truth["position"][clip, frame, thing])
        found.append(curves)
    return found


def _check_truth(truth, frame: int) -> tuple[dict[str, np.ndarray], int]:
    """The parts of a truth that say where outlines are, and the number of a frame, if they are such; else ValueError."""
    axes = {"count": 1, "shape": 2, "radius": 3, "angle": 3, "position": 4}
    if not isinstance(truth, dict) or not set(axes) <= set(truth):
        raise ValueError(
            f"truth is {type(truth).__name__} without {', '.join(axes)}, but that of Shapes was expected; give sample.truth."
        )
    found = {name: as_array(truth[name], f"truth[{name!r}]") for name in axes}
    clips, frames = len(found["count"]) if found["count"].ndim else 0, (*found["radius"].shape, 0, 0)[1]
    shapes = {"count": (clips,), "shape": (clips, 2), "radius": (clips, frames, 2), "position": (clips, frames, 2, 2)}
    for name in axes:
        if not clips or found[name].shape != shapes.get(name, shapes["radius"]):
            raise ValueError(
                f"truth[{name!r}] has shape {found[name].shape}, but that of one or more clips of Shapes was expected; give sample.truth."
            )
    seen = np.arange(2) < found["count"][:, None]
    whole = found["count"].dtype.kind in "iu" and found["shape"].dtype.kind in "iu"
    if not whole or not np.isin(found["count"], (1, 2)).all() or not np.isin(found["shape"][seen], range(4)).all():
        raise ValueError("truth says no count of 1 or 2, or no number of a shape; give sample.truth of Shapes.")
    if check_count(frame, "frame", least=0) >= frames:
        raise ValueError(f"frame is {frame}, but the clips have {frames} frames, from 0; give a smaller number.")
    if not all(np.isfinite(found[name][:, frame][seen]).all() for name in ("radius", "angle", "position")):
        raise ValueError("truth has places, radii or angles that are not finite; give sample.truth of Shapes.")
    return found, int(frame)


def _check_side(side: int) -> int:
    """The side of a picture as an int, if it is a whole number of pixels from 1 to 8192; else ValueError."""
    return int(check_number(check_count(side, "side"), "side", 1, MAX_SIDE + 1))


def _corners(shape: int) -> np.ndarray:
    """The corners of an upright shape of radius 1, (corners, 2); many, if it is round."""
    if shape == CIRCLE:
        turn = 2 * np.pi * np.arange(48) / 48
        return np.stack([np.cos(turn), np.sin(turn)], axis=1)
    if shape == TRIANGLE:  # the corner is up
        return np.array([[0, -1], [np.sqrt(0.75), 0.5], [-np.sqrt(0.75), 0.5]])
    if shape == SQUARE:
        return np.sqrt(0.5) * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    quarter = np.array([[-ARM, -REACH], [ARM, -REACH], [ARM, -ARM]])  # of a cross
    turns = [quarter @ np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), turn) for turn in range(4)]
    return np.concatenate(turns)


def drawn(
    truth: dict[str, np.ndarray], size: int, seed: int, *, frame: int = 0, side: int = 128, wobble: float = 0.2,
    thickness: tuple[float, float] = (1.5, 4.0), gap: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Line drawings of one frame of each clip, as by a hand: the same seed gives the same drawings.

    Args:
        truth: of `Shapes.sample` or `Shapes.render`, n clips.
        size: side of the world's frames in pixels.
        seed: whole number from 0.
        frame: which frame is drawn.
        side: of the drawings.
        wobble: how far the line goes astray, a deviation in pixels of the clip.
        thickness: least and largest thickness of the pen, in pixels of the drawing; 0 to `side`.
        gap: how far, at most, the end of a line stops before its beginning, in pixels of the clip.

    Returns:
        uint8 (n, side, side), dark lines on white.

    Raises:
        ValueError: for sizes below 1, or other numbers that cannot be.
    """
    size, side, dice = check_count(size, "size"), _check_side(side), np.random.default_rng(check_seed(seed))
    wobble, gap = check_number(wobble, "wobble", below=FARTHEST), check_number(gap, "gap")
    if not isinstance(thickness, (tuple, list, np.ndarray)) or len(thickness) != 2:
        raise ValueError(f"thickness is {thickness!r:.60}, but two numbers, (least, largest), were expected.")
    thin, thick = (check_number(value, "thickness", below=side) for value in thickness)
    if thin > thick:
        raise ValueError(f"thickness is {thickness!r:.60}, but the least one was expected first; exchange them.")
    truth, frame = _check_truth(truth, frame)
    check_values((len(truth["count"]), side, side), "the drawings")
    made = []
    for curves in outlines_of(truth, frame):
        picture = Image.new("L", (FINE * side, FINE * side), 255)
        pen = round(FINE * (thin + (thick - thin) * dice.random()))
        for curve in curves:
            line = _by_hand(curve, wobble, gap * dice.random(), dice) * (FINE * side / size)
            ImageDraw.Draw(picture).line([tuple(point) for point in line], fill=0, width=max(1, pen), joint="curve")
        made.append(np.asarray(picture.resize((side, side), Image.Resampling.BOX)))
    return np.stack(made)


def _by_hand(curve: np.ndarray, wobble: float, gap: float, dice: np.random.Generator) -> np.ndarray:
    """A closed curve as a line of many points that goes astray smoothly, begins anywhere and ends a gap before its beginning."""
    closed = np.concatenate([curve, curve[:1]])
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    start, length = along[-1] * dice.random(), max(along[-1] - gap, along[-1] / 2)
    corners = np.concatenate([along, along[1:] + along[-1]])  # they are points of the line
    corners = corners[(corners > start) & (corners < start + length)]
    where = np.sort(np.concatenate([start + np.linspace(0, length, POINTS), corners]))
    line = np.stack([np.interp(where % along[-1], along, closed[:, axis]) for axis in (0, 1)], axis=1)
    rounds = np.arange(1, 4)  # waves on the way
    size = wobble * dice.normal(size=(2, 2, 3)) / np.sqrt(3)
    phase = 2 * np.pi * (where - start)[:, None] / along[-1] * rounds
    return line + np.stack([np.cos(phase) @ size[axis, 0] + np.sin(phase) @ size[axis, 1] for axis in (0, 1)], axis=1)


# ------------------------------------------------------------------------------------------------- reading


def region_of(drawing: np.ndarray | str | Path, side: int = 32) -> np.ndarray:
    """What the lines of a drawing enclose.

    Args:
        drawing: a picture file, or an array (height, width) or (height, width, channels) with 1, 3 or 4 channels, the last one
            of four its opacity over white; uint8, bool, or numbers from 0 to 1. Lines of any colour and thickness on paper of
            one colour. A picture that is not square stands in the middle of one.
        side: of the region.

    Returns:
        float32 (side, side), from 0 to 1 how much of each pixel is enclosed.

    Raises:
        ValueError: for anything else, an empty picture, and lines that enclose nothing.
        FileNotFoundError: where there is no such file.
    """
    side = _check_side(side)
    ink = np.pad(_ink(_picture(drawing)), GAP)  # so that all around is paper
    region, loose = np.zeros(ink.shape, np.float32), np.zeros_like(ink)
    for stroke in _strokes(ink):
        found = _enclosed(stroke)
        core = ~_grown(~stroke, PEN // 2)  # what is left of thick ink
        if core.sum() > found.sum():
            found = _shared(stroke, ~stroke)
        region = np.maximum(region, found)
        loose |= stroke & (not found.any())
    while loose.any():  # what several strokes enclose
        found = _enclosed(loose)
        if not found.any():
            break
        region = np.maximum(region, found)
        loose &= ~_grown(found > 0, GAP)
    if region.sum() < LEAST:
        raise ValueError("The lines of the drawing enclose nothing; close them, or leave smaller gaps.")
    picture = Image.fromarray(region[GAP:-GAP, GAP:-GAP])
    return np.clip(np.asarray(picture.resize((side, side), Image.Resampling.BOX), np.float32), 0, 1)


def _picture(drawing) -> np.ndarray:
    """A drawing as float (height, width, 3) from 0 to 1."""
    if isinstance(drawing, (str, Path)):
        try:
            with Image.open(check_path(drawing)) as file:
                _check_sides(file.height, file.width)
                drawing = np.asarray(file.convert("RGBA").reduce(-(-max(file.size) // 2048)))
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no file {drawing}; give the path of a picture.") from None
        except Exception as error:  # on broken files decoders raise nearly everything
            raise ValueError(f"{drawing} is no picture that can be read ({error!s:.100}).") from None
    values = as_array(drawing, "drawing")
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or min(values.shape) < 1 or values.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"drawing has shape {values.shape}, but (height, width) or (height, width, channels) was expected."
        )
    _check_sides(*values.shape[:2])
    values = values / 255.0 if values.dtype == np.uint8 else values.astype(float)
    if not (values.min() >= 0 and values.max() <= 1):  # NaN is neither
        raise ValueError("drawing has values that are neither uint8 nor from 0 to 1; give one of these.")
    if values.shape[2] == 4:
        values = 1 - values[..., 3:] * (1 - values[..., :3])
    return np.broadcast_to(values, (*values.shape[:2], 3))


def _check_sides(height: int, width: int) -> None:
    """ValueError for a drawing so high or wide that the square around it would not fit."""
    if max(height, width) > MAX_SIDE:
        raise ValueError(
            f"drawing is {height} × {width} pixels, but sides of at most {MAX_SIDE} were expected; make it smaller."
        )


def _ink(values: np.ndarray) -> np.ndarray:
    """Where a picture (height, width, 3) differs from the paper at its border: bool (SIDE, SIDE)."""
    border = np.concatenate([values[[0, -1]].reshape(-1, 3), values[:, [0, -1]].reshape(-1, 3)])
    apart = np.abs(values - np.median(border, axis=0)).max(axis=-1)
    if apart.max() < 0.1:
        raise ValueError("The drawing is empty; draw the outline of what shall be seen.")
    longest = max(apart.shape)
    square = Image.new("F", (longest, longest))
    ink = Image.fromarray((apart > INK * apart.max()).astype(np.float32))
    square.paste(ink, tuple((longest - length) // 2 for length in ink.size))
    thin = 0.5 / max(1, longest / SIDE)  # half of what a line of one pixel leaves in a smaller picture
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX)) > thin


def _grown(mask: np.ndarray, steps: int = 1) -> np.ndarray:
    """The mask (height, width), wider by so many pixels on all sides."""
    for _ in range(steps):
        wide = mask.copy()
        wide[1:] |= mask[:-1]
        wide[:-1] |= mask[1:]
        mask = wide.copy()
        mask[:, 1:] |= wide[:, :-1]
        mask[:, :-1] |= wide[:, 1:]
    return mask


def _strokes(ink: np.ndarray) -> list[np.ndarray]:
    """The connected parts of ink, each a mask of its own; specks are left out."""
    from skimage.measure import label

    numbers = label(ink, connectivity=2)
    sizes = np.bincount(numbers.ravel(), minlength=2)
    return [numbers == number for number in range(1, len(sizes)) if sizes[number] >= LEAST]


def _enclosed(ink: np.ndarray) -> np.ndarray:
    """What ink encloses once its gaps are closed, up to the middle of the line: (height, width) from 0 to 1. The gaps are
    closed no wider than it takes to enclose nearly all that can be enclosed."""
    from skimage.measure import label

    found = []
    for width in range(GAP // 2 + 1):
        free = label(~_grown(ink, width), connectivity=1)  # the corner is outside, and no ink
        found.append(_shared(free > 1, free == 1))
    areas = [region.sum() for region in found]
    return next(region for region, area in zip(found, areas, strict=True) if area >= NEARLY * max(areas))


def _shared(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Inside and outside grow into what lies between until they meet: 1 for what is nearer to the inside, a half where both
    come at once."""
    if not inside.any():
        return np.zeros(inside.shape, np.float32)
    free = ~(inside | outside)
    while free.any():
        more, less = (_grown(part) & free for part in (inside, outside))
        inside, outside, free = inside | more, outside | less, free & ~(more | less)
    return (inside.astype(np.float32) + (inside & ~outside)) / 2


# ------------------------------------------------------------------------------------------------ painting


def painted(regions: np.ndarray, captions: Sequence[str], ground: str = "gray") -> np.ndarray:
    """First frames in which regions have the colours that the captions say: the simplest way from a sketch to a picture.

    Where a caption speaks of two things, the region is shared out between them by laying both on it, in the forms and about the sizes
    that the caption says.

    Args:
        regions: (n, side, side) from 0 to 1, as `region_of` gives them.
        captions: n of them, of the grammar of `Shapes`.
        ground: one of BACKGROUNDS.

    Returns:
        float32 (n, side, side, 3) in [-1, 1].

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(captions, (list, tuple, np.ndarray)) or not len(captions):
        raise ValueError(f"captions is {captions!r:.60}, but a list of sentences was expected, one for each region.")
    regions, labels = as_array(regions, "regions"), labels_of(captions)
    if regions.ndim == 3 and (regions.shape[1] != regions.shape[2] or regions.shape[1] < LEAST_SIDE):
        raise ValueError(
            f"regions has shape {regions.shape}, but squares of at least {LEAST_SIDE} pixels a side were expected."
        )
    if regions.ndim != 3 or len(regions) != len(labels["count"]) or ground not in BACKGROUNDS:
        raise ValueError(
            f"regions has shape {regions.shape}, with {len(labels['count'])} captions and the ground {ground!r:.40}, but (n, "
            f"side, side), as many captions, and one of {', '.join(BACKGROUNDS)} were expected."
        )
    if not (regions.min() >= 0 and regions.max() <= 1):  # NaN is neither
        raise ValueError(
            f"regions has values from {regions.min():.3g} to {regions.max():.3g}, but 0 to 1 was expected; region_of gives them."
        )
    check_values((*regions.shape, 3), "the frames")
    frames = np.full((*regions.shape, 3), GRAYS[BACKGROUNDS.index(ground)], np.float32)
    for clip, (frame, region) in enumerate(zip(frames, regions, strict=True)):
        inks = PALETTE[labels["color"][clip]]
        second = _second(region, *(labels[name][clip] for name in ("shape", "size", "motion")))[..., None]
        frame += region[..., None] * (inks[0] + second * (inks[1] - inks[0]) - frame)
    return frames


def _second(region: np.ndarray, shapes: np.ndarray, sizes: np.ndarray, motions: np.ndarray) -> np.ndarray:
    """Which pixels belong to the second of two things, (side, side) of 0 and 1; none if there is one thing only.

    Both are laid on the region as they should look, upright or turned, in many places; the two that cover it best together, and
    nothing else, are taken. A pixel belongs to the one that covers it, the second where both do, for it lies before the first one,
    and the nearer one, in radii, where none does.
    """
    side = len(region)
    if shapes[1] < 0 or not region.any():
        return np.zeros((side, side), np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    fits = []
    for shape, size, motion in zip(shapes, sizes, motions, strict=True):
        covers = []  # (places, side, side), distance in radii, and how well each lies within the region
        for radius in RADII[shape, size] * side * _scales(motion):
            for turn in np.linspace(
                0, 2 * np.pi / FOLDS[shape], 4 if MOTIONS[motion] == "rotates" else 1, endpoint=False
            ):
                covers.append(_laid(region, shape, radius, turn, x, y))
        cover, far, fit = (np.concatenate(part) for part in zip(*covers, strict=True))
        best = np.argsort(-fit)[:PLACES]
        fits.append((cover[best], far[best]))
    (first, first_far), (second, second_far) = fits
    both = np.maximum(first[:, None], second[None])  # (places, places, side, side)
    same = np.minimum(both, region).sum(axis=(2, 3)) / np.maximum(both, region).sum(axis=(2, 3))
    a, b = np.unravel_index(same.argmax(), same.shape)
    return np.where(second[b] > 0.5, 1, np.where(first[a] > 0.5, 0, second_far[b] < first_far[a])).astype(np.float32)


def _scales(motion: int) -> np.ndarray:
    """Sizes that a thing of such a motion may have in the first frame, in radii of its nominal one."""
    start = {"grows": 1 - GROWTH, "shrinks": 1 + GROWTH}.get(MOTIONS[motion], 1.0)
    return start * np.array([0.85, 1.0, 1.15])


def _laid(region, shape, radius, turn, x, y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A shape laid on the places of the region where it fits best: how it covers pixels (places, side, side), how far these are
    from its middle, in radii, and how well it fits, (places,): what of it lies within the region, less half of what is filled
    right around it."""
    from skimage.feature import peak_local_max

    middle = len(region) // 2
    x, y = x - middle, y - middle
    turned = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    shown, wide = (covered(shape, *turned, np.float32(size)) for size in (radius, 1.4 * radius))
    ring = wide - shown
    kernel = shown / shown.sum() - 0.5 * ring / ring.sum()
    fit = np.fft.irfft2(np.fft.rfft2(region) * np.conj(np.fft.rfft2(kernel)), region.shape)
    shifts = peak_local_max(fit, min_distance=1, num_peaks=PLACES, exclude_border=False)  # round the border
    if not len(shifts):  # where all places are alike there is no peak
        shifts = np.argwhere(fit > fit.max() - 1e-6)
        shifts = shifts[:: -(-len(shifts) // PLACES)]
    moved = [[np.roll(part, shift, axis=(0, 1)) for part in (shown, np.hypot(x, y) / radius)] for shift in shifts]
    cover, far = (np.stack(part) for part in zip(*moved, strict=True))
    return cover, far, fit[tuple(shifts.T)]
