"""Captioned coloured shapes in motion: the smallest world in which a sentence can be right or wrong.

A caption such as "a small red circle moves left and a blue square rotates" is a clip's whole recipe:
`parse` turns it into things, dice place them, and the clip is drawn from distances to their edges. `read`
goes back from pixels to labels by rules that can be explained: hue says the colour, the moments of a
coloured region say its shape, and its centre, area and orientation over time say its motion.

The same seed gives the same bits on every machine: the path to the pixels has only PCG64's uniform numbers,
comparisons and elementwise + - × ÷ √, which IEEE 754 rounds the same everywhere; sine and cosine come from
a table rounded to 9 decimals, and nothing is summed. The first clips of a longer sample are the shorter one.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidgen_tf.clips import check_clips, check_count, check_seed, check_values
from vidgen_tf.metrics import mode_coverage, object_permanence
from vidgen_tf.worlds import Sample, World

SHAPES = ("circle", "square", "triangle", "cross")
COLORS = ("red", "yellow", "green", "cyan", "blue", "magenta")
SIZES = ("small", "medium", "large")  # medium is the size that captions do not name
MOTIONS = (
    "moves left", "moves right", "moves up", "moves down", "bounces", "circles", "grows", "shrinks", "rotates",
)  # fmt: skip
BACKGROUNDS = ("black", "gray", "white")
LEFT, RIGHT, UP, DOWN, BOUNCES, CIRCLES, GROWS, SHRINKS, ROTATES = range(len(MOTIONS))
CIRCLE, SQUARE, TRIANGLE, CROSS = range(len(SHAPES))

MIN_FRAMES, MIN_SIZE = 8, 24  # fewer frames or pixels cannot be read with certainty
CANDIDATES = 16  # placements tried for a clip; the first one without much overlap is taken
OVERLAP = 0.5  # how far two outlines may enter each other, in radii of the smaller one
GROWTH = 0.33  # a growing thing goes from 1 - GROWTH to 1 + GROWTH of its size
CHUNK = 2**20  # pixels of one colour channel that are worked on at a time

# Values in [-1, 1]: (color, channel) and (background,).
PALETTE = np.array(
    [[0.86, -0.62, -0.62], [0.94, 0.70, -0.72], [-0.66, 0.46, -0.52],
     [-0.66, 0.62, 0.72], [-0.66, -0.30, 0.90], [0.70, -0.60, 0.76]], np.float32)  # fmt: skip
GRAYS = np.array([-0.88, 0.0, 0.92], np.float32)

# All of a thing lies within `radius` of its position, whatever its shape: RADII[shape, size], in frame sides.
RADII = np.outer([1.0, 1.22, 1.38, 1.22], [2.9 / 32, 4.1 / 32, 5.8 / 32])
ARM = 0.3  # half the width of a cross's arm, in radii
REACH = round(math.sqrt(1 - ARM**2), 9)  # half the length of an arm
AREAS = np.array([math.pi, 2.0, 0.75 * math.sqrt(3), 8 * ARM * REACH - 4 * ARM**2])  # of a shape of radius 1

TURN = 4096  # steps of angle in a full turn
COSINES = np.round([math.cos(2 * math.pi * step / TURN) for step in range(TURN)], 9)
PAIRS = np.array(  # a circle that rotates looks as if it stood still: it is left out
    [(shape, motion) for shape in range(len(SHAPES)) for motion in range(len(MOTIONS))
     if (shape, motion) != (CIRCLE, ROTATES)])  # fmt: skip

# Which things are kept out of training, (color, shape, motion): of each pair of colour and shape one motion, of each other
# pair at most one, so that every pair of words is heard. These are 23 of 210; a sixth of the captions have one.
HELD_OUT = (
    np.add.outer(np.add.outer(np.arange(len(COLORS)), 2 * np.arange(len(SHAPES))), np.arange(len(MOTIONS))) % 9 == 0
)


# ----------------------------------------------------------------------------------------------- captions


@dataclass(frozen=True)
class Thing:
    """One object of a caption, in words of COLORS, SHAPES, MOTIONS and SIZES."""

    color: str
    shape: str
    motion: str
    size: str = "medium"

    def __str__(self) -> str:
        size = "" if self.size == "medium" else f"{self.size} "
        return f"a {size}{self.color} {self.shape} {self.motion}"


def caption_of(things: Sequence[Thing]) -> str:
    """The sentence for one or two things; `parse` gives them back."""
    return " and ".join(str(thing) for thing in things)


def parse(caption: str) -> tuple[Thing, ...]:
    """The one or two things that a caption speaks of, in its order; capitals and a full stop do no harm.

    Raises:
        ValueError: for anything that is no sentence of the grammar, such as an unknown word, a circle
            that rotates, or two things of one colour.
    """
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError(f"the caption is {caption!r}, but a sentence such as 'a red circle moves left' was expected.")
    clauses = " ".join(caption.lower().strip().removesuffix(".").split()).split(" and ")
    if len(clauses) > 2:
        raise ValueError(f"the caption speaks of {len(clauses)} things, but one or two were expected; leave some out.")
    things = tuple(_parse_clause(clause) for clause in clauses)
    if len(things) == 2 and things[0].color == things[1].color:
        raise ValueError(f"both things are {things[0].color}, but two colours were expected; change one of them.")
    return things


def _parse_clause(clause: str) -> Thing:
    words = clause.split()
    _expect(words[:1], ("a",), "first word")
    sizes = ("small", "large")
    size = words.pop(1) if words[1:2] and words[1] in sizes else "medium"
    what, known = ("size or colour", sizes + COLORS) if size == "medium" else ("colour", COLORS)
    color = _expect(words[1:2], known, what)
    shape = _expect(words[2:3], SHAPES, "shape")
    motion = _expect([" ".join(words[3:])], MOTIONS, "motion")
    if (shape, motion) == ("circle", "rotates"):
        raise ValueError("a circle that rotates looks as if it stood still; choose another shape or another motion.")
    return Thing(color, shape, motion, size)


def _expect(words: list[str], known: tuple[str, ...], what: str) -> str:
    word = words[0] if words else ""
    if word not in known:
        trouble = f"{word[:40]!r} is not a known {what}" if word else f"the caption lacks a {what}"
        raise ValueError(f"{trouble}; known: {', '.join(known)}.")
    return word


def labels_of(captions: Sequence[str]) -> dict[str, np.ndarray]:
    """Captions as numbers: "count" (n,), and "color", "shape", "size", "motion" (n, 2) as indices, -1 if absent."""
    captions = [captions] if isinstance(captions, str) else captions
    things = [parse(caption) for caption in captions]
    labels = {"count": np.array([len(pair) for pair in things], np.int64)}
    for name, known in (("color", COLORS), ("shape", SHAPES), ("size", SIZES), ("motion", MOTIONS)):
        rows = [[known.index(getattr(thing, name)) for thing in pair] + [-1] * (2 - len(pair)) for pair in things]
        labels[name] = np.array(rows, np.int64).reshape(-1, 2)
    return labels


def agrees(
    wanted: Sequence[str] | dict[str, np.ndarray],
    reading: dict[str, np.ndarray],
    labels: Sequence[str] = ("color", "shape", "size", "motion"),
) -> np.ndarray:
    """Whether what was read is what was wanted: the count, and the labels of every thing, in either order.

    Args:
        wanted: captions, or a truth.
        reading: what `Shapes.read` gave, for as many clips.
        labels: which labels count; with () the count alone does.

    Returns:
        bool (n,).
    """
    wanted = wanted if isinstance(wanted, dict) else labels_of(wanted)
    if not set(labels) <= {"color", "shape", "size", "motion"}:
        raise ValueError(f"labels is {labels!r}, but names out of color, shape, size and motion were expected.")
    if len(wanted["count"]) != len(reading["count"]):
        raise ValueError(
            f"{len(wanted['count'])} clips are wanted and {len(reading['count'])} were read; give equally many."
        )
    same = np.ones((len(wanted["count"]), 2), bool)  # (n, order)
    for name in labels:
        for order, read in enumerate((reading[name], reading[name][:, ::-1])):
            same[:, order] &= (wanted[name] == read).all(1)
    return same.any(1) & (wanted["count"] == reading["count"])


# -------------------------------------------------------------------------------------------------- world


class Shapes(World):
    """One or two coloured shapes in motion on a plain background.

    Two things have different colours; the second one of a caption is drawn over the first. Everything stays
    inside the frame, grows with it, and takes the whole clip for its path, however many frames there are.

    Truth of `sample` and `render`; n clips, x to the right and y down, the upper left corner is (0, 0), the
    centre of the first pixel (0.5, 0.5); an absent second thing is -1 or NaN:
        count: (n,) 1 or 2.
        color, shape, size, motion: (n, 2) indices into COLORS, SHAPES, SIZES, MOTIONS, in the caption's order.
        background: (n,) index into BACKGROUNDS.
        position: float32 (n, time, 2 things, 2) centre of mass (x, y) in pixels.
        velocity: float32 (n, time - 1, 2, 2) pixels per frame: the differences of the positions.
        radius: float32 (n, time, 2) pixels from the centre to the farthest point of the thing.
        angle: float32 (n, time, 2) radians, clockwise from upright.
        mask: uint8 (n, time, height, width) 0 background, 1 or 2: the thing that fills most of the pixel.
        flow: float32 (n, time - 1, height, width, 2) pixels per frame: what is at (x, y) in frame t + 1 was
            at (x - flow[t, y, x, 0], y - flow[t, y, x, 1]) in frame t, seen or hidden; 0 for the background.

    Args:
        frames: frames of a clip, at least 8.
        size: side of a frame in pixels, at least 24.
        objects: how many things a sampled clip may have: (1,), (2,) or (1, 2).
        part: which captions it samples: "all"; "train", those without a thing in HELD_OUT; or "test", those with at least
            one. It renders all.
        often: motions that are hard to learn: captions with one of them are sampled twice as often as others.

    Raises:
        ValueError: for arguments other than these.
    """

    words = ("a", "and", "small", "large", *COLORS, *SHAPES, *dict.fromkeys(" ".join(MOTIONS).split()))

    def __init__(
        self,
        frames: int = 16,
        size: int = 32,
        objects: Sequence[int] = (1, 2),
        *,
        part: str = "all",
        often: Sequence[str] = (),
    ):
        frames = check_count(frames, "frames", least=MIN_FRAMES)
        size = check_count(size, "size", least=MIN_SIZE)
        if not isinstance(objects, (tuple, list)) or tuple(objects) not in ((1,), (2,), (1, 2)):
            raise ValueError(f"objects is {objects!r}, but (1,), (2,) or (1, 2) was expected.")
        if part not in ("all", "train", "test"):
            raise ValueError(f"part is {part!r}, but 'all', 'train' or 'test' was expected.")
        if isinstance(often, str) or not set(often) <= set(MOTIONS):
            raise ValueError(
                f"often is {often!r:.80}, but a list of motions was expected; known: {', '.join(MOTIONS)}."
            )
        self.objects, self.part, self.often = tuple(objects), part, tuple(often)
        self.clip_shape = (frames, size, size, 3)

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips of random captions; the same seed gives the same bits.

        Raises:
            ValueError: for a count below 1 or a seed that is no whole number.
        """
        return self.render(self.sample_captions(count, seed), seed)

    def sample_captions(self, count: int, seed: int) -> tuple[str, ...]:
        """`count` random captions: every colour, size, and pair of shape and motion is equally likely in all of them, unless
        some motions come more often."""
        count = check_count(count)
        check_values((count, *self.clip_shape), "a sample")
        generator, captions = _generator(seed, "captions"), []
        while len(captions) < count:
            captions += self._draw_captions(generator, count)
        return tuple(captions[:count])

    def _draw_captions(self, generator: np.random.Generator, count: int) -> list[str]:
        """Those of `count` random captions that belong to this part."""
        dice = generator.random((count, 8 if self.often else 7))
        number = np.array(self.objects)[_pick(dice[:, 0], len(self.objects))]
        pair = PAIRS[_pick(dice[:, 1:3], len(PAIRS))]
        size = _pick(dice[:, 3:5], len(SIZES))
        color = _pick(dice[:, 5:7], (len(COLORS), len(COLORS) - 1))
        color[:, 1] = (color[:, 0] + 1 + color[:, 1]) % len(COLORS)  # never that of the first thing
        held_out = (HELD_OUT[color, pair[..., 0], pair[..., 1]] & (np.arange(2) < number[:, None])).any(axis=1)
        taken = {"all": True, "train": ~held_out, "test": held_out}[self.part] & np.ones(count, bool)
        if self.often:
            wanted = np.isin(pair[..., 1], [MOTIONS.index(motion) for motion in self.often])
            taken &= (wanted & (np.arange(2) < number[:, None])).any(axis=1) | (dice[:, -1] < 0.5)
        return [
            caption_of(
                [
                    Thing(COLORS[color[i, k]], SHAPES[pair[i, k, 0]], MOTIONS[pair[i, k, 1]], SIZES[size[i, k]])
                    for k in range(number[i])
                ]
            )
            for i in np.flatnonzero(taken)
        ]

    def render(self, captions: Sequence[str], seed: int) -> Sample:
        """One clip for each caption: the caption says what is seen, the seed where, how fast and on which ground.

        Returns:
            Sample of clips float32 (count, time, height, width, 3), the captions in plain form, and the truth.

        Raises:
            ValueError: for no caption, a caption outside the grammar, or a seed that is no whole number.
        """
        captions = [captions] if isinstance(captions, str) or captions is None else captions
        captions = tuple(caption_of(parse(caption)) for caption in captions)
        count = check_count(len(captions), "the number of captions")
        check_values((count, *self.clip_shape), "a sample")
        labels = labels_of(captions)
        generator = _generator(seed, "placement")
        frames, size = self.clip_shape[:2]
        truth = labels | {
            "background": np.empty(count, np.int64),
            "position": np.empty((count, frames, 2, 2), np.float32),
            "velocity": np.empty((count, frames - 1, 2, 2), np.float32),
            "radius": np.empty((count, frames, 2), np.float32),
            "angle": np.empty((count, frames, 2), np.float32),
            "mask": np.empty((count, frames, size, size), np.uint8),
            "flow": np.empty((count, frames - 1, size, size, 2), np.float32),
        }
        clips = np.empty((count, *self.clip_shape), np.float32)
        for chunk in _chunks(count, frames * size * size):
            part = {name: values[chunk] for name, values in truth.items()}  # views: filled in place
            step = _place(part, generator, frames, size)
            _draw(part, step, clips[chunk])
        return Sample(clips, captions, truth)

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What the pixels say, and nothing else; any neutral background will do.

        Args:
            clips: float32 (n, time, size, size, 3) in [-1, 1]; at least 8 frames.

        Returns:
            The two largest things, in the order of COLORS; -1 or NaN where a thing is absent or unreadable:
            "count" (n,) colours that are there in at least half of the frames; "color", "shape", "size",
            "motion" (n, 2) coded as in the truth; "present" bool (n, time, 2) in which frames the thing is
            there; "position" (n, time, 2, 2) and "radius" (n, time, 2) in pixels.

        Raises:
            ValueError: for clips that break the convention or whose frames do not fit this world.
        """
        clips = check_clips(clips)
        if clips.shape[1] < MIN_FRAMES or clips.shape[2:] != self.clip_shape[1:]:
            raise ValueError(
                f"clips have shape {clips.shape}, but (count, at least {MIN_FRAMES} frames, "
                f"{', '.join(map(str, self.clip_shape[1:]))}) was expected; make the world for that size."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the median of an absent thing is NaN, as it should be
            parts = [_read(clips[chunk]) for chunk in _chunks(len(clips), math.prod(clips.shape[1:4]))]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """Shares from 0 to 1 of made clips, by what is read from them: "permanence" (one and the same thing in all
        frames) and "combinations": of all pairs of colour and shape, those that occur. For clips made for captions also
        "caption" (all that it says is so), "caption_but_size", and one share for each label."""
        reading = self.read(clips)
        labels = ("color", "shape", "size", "motion")
        pairs = (reading["color"] * len(SHAPES) + reading["shape"])[(reading["color"] >= 0) & (reading["shape"] >= 0)]
        shares = {"permanence": object_permanence(reading).mean()}
        if len(captions):
            shares |= {"caption": agrees(captions, reading).mean()}
            shares |= {"caption_but_size": agrees(captions, reading, ("color", "shape", "motion")).mean()}
            shares |= {label: agrees(captions, reading, (label,)).mean() for label in labels}
        shares["combinations"] = mode_coverage(pairs, len(COLORS) * len(SHAPES))
        return {name: float(share) for name, share in shares.items()}


def _generator(seed: int, purpose: str) -> np.random.Generator:
    """Its own stream of dice for each purpose, so that a caption's draws never move its placement."""
    streams = np.random.SeedSequence(check_seed(seed)).spawn(2)
    return np.random.Generator(np.random.PCG64(streams[("captions", "placement").index(purpose)]))


def _pick(dice: np.ndarray, choices: int | tuple[int, ...]) -> np.ndarray:
    return np.floor(dice * np.asarray(choices)).astype(np.int64)


def _chunks(count: int, pixels: int):
    length = max(1, CHUNK // pixels)
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]


# ---------------------------------------------------------------------------------------------- placement


def _place(part: dict, generator: np.random.Generator, frames: int, size: int) -> np.ndarray:
    """Fills background, position, velocity, radius and angle; returns the angles in steps (m, time, 2)."""
    count = len(part["count"])
    dice = generator.random((count, 1 + CANDIDATES * 2 * 7))
    part["background"][:] = _pick(dice[:, 0], len(BACKGROUNDS))
    dice = dice[:, 1:].reshape(count, CANDIDATES, 1, 2, 7)  # (m, candidate, time, thing, die)

    elapsed = np.arange(frames)[:, None] / (frames - 1)  # (time, thing): 0 at the first frame, 1 at the last
    motion = part["motion"][:, None, None, :]
    trend = (motion == GROWS) * GROWTH - (motion == SHRINKS) * GROWTH
    nominal = (RADII * size)[part["shape"], part["size"]][:, None, None, :]
    radius = nominal * (1 + trend * (2 * elapsed - 1))  # (m, 1, time, thing)
    margin = nominal * (1 + np.abs(trend))
    path, step = _paths(motion, dice, elapsed)
    position = (margin + (size - 2 * margin) * path).transpose(1, 2, 3, 4, 0)  # (m, candidate, time, thing, xy)

    best = _least_overlap(position, radius, part["count"])
    clip = np.arange(count)
    part["position"][:] = position[clip, best]
    part["radius"][:] = radius[:, 0]
    step = step[clip, best]
    part["angle"][:] = step * (2 * math.pi / TURN)
    for name in ("position", "radius", "angle"):
        part[name][part["count"] == 1, :, 1] = np.nan
    part["velocity"][:] = part["position"][:, 1:] - part["position"][:, :-1]
    return step


def _paths(motion: np.ndarray, dice: np.ndarray, elapsed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paths (xy, m, candidate, time, thing) in the unit square, and angles in steps (m, candidate, time, thing)."""
    a, b, c, d, e, f, g = np.moveaxis(dice, -1, 0)
    far = 0.5 + 0.45 * c  # straight: from one side towards the other
    along = a * (1 - far) + far * elapsed

    hit = _fold((1 + 0.5 * c) * (elapsed - 0.3 - 0.4 * d))  # bouncing: meets a wall in the middle of the clip
    hit = np.where(f < 0.5, hit, 1 - hit)
    drift = _fold(2 * b + (0.2 + 0.5 * e) * elapsed)

    turns = np.where(motion == CIRCLES, 0.8 + 0.5 * e, 0.25 + 0.25 * e)  # in the whole clip
    step = np.floor((d + np.where(f < 0.5, turns, -turns) * elapsed) * TURN).astype(np.int64)
    orbit = 0.25 + 0.2 * c

    is_circling, is_bouncing = motion == CIRCLES, motion == BOUNCES
    x = np.select(
        [motion == LEFT, motion == RIGHT, is_bouncing, is_circling],
        [1 - along, along, np.where(g < 0.5, hit, drift), orbit + (1 - 2 * orbit) * a + orbit * _cos(step)],
        np.where((motion == UP) | (motion == DOWN), b, a),
    )
    y = np.select(
        [motion == UP, motion == DOWN, is_bouncing, is_circling],
        [1 - along, along, np.where(g < 0.5, drift, hit), orbit + (1 - 2 * orbit) * b + orbit * _sin(step)],
        b,
    )
    return np.stack([x, y]), np.where(motion == ROTATES, step, 0)


def _fold(path: np.ndarray) -> np.ndarray:
    """A straight path, reflected at 0 and 1."""
    return 1 - np.abs(1 - np.mod(path, 2))


def _cos(step: np.ndarray) -> np.ndarray:
    return COSINES[step % TURN]


def _sin(step: np.ndarray) -> np.ndarray:
    return COSINES[(step - TURN // 4) % TURN]


def _least_overlap(position: np.ndarray, radius: np.ndarray, count: np.ndarray) -> np.ndarray:
    """For each clip the first candidate whose things keep clear of each other, or the one that overlaps least."""
    apart = position[..., 0, :] - position[..., 1, :]
    gap = np.sqrt(apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1]) - radius[..., 0] - radius[..., 1]
    gap = (gap / np.minimum(radius[..., 0], radius[..., 1])).min(-1)  # (m, candidate), in radii
    return np.argmax(np.where(count[:, None] == 1, 0, np.minimum(gap, -OVERLAP)), axis=1)


# ------------------------------------------------------------------------------------------------ drawing


def _draw(part: dict, step: np.ndarray, clips: np.ndarray) -> None:
    """Fills the clips (m, time, height, width, 3), the masks and the flow."""
    grid = np.arange(clips.shape[2], dtype=np.float32) + np.float32(0.5)
    offset = grid - part["position"][..., None]  # (m, time, thing, xy, pixel) from the centre
    covers = []
    part["mask"][:] = 0
    part["flow"][:] = 0
    for thing in (0, 1):
        cover = np.zeros(clips.shape[:-1], np.float32)
        for shape in range(len(SHAPES)):
            here = np.flatnonzero(part["shape"][:, thing] == shape)
            if len(here):
                turned = _turn(offset[here, :, thing], step[here, :, thing])
                cover[here] = covered(shape, *turned, part["radius"][here, :, thing, None, None])
        solid = cover > 0.5
        np.copyto(part["mask"], thing + 1, where=solid)
        _add_flow(part, thing, offset[:, 1:, thing], step[:, :-1, thing] - step[:, 1:, thing], solid[:, 1:])
        covers.append(cover)
    for channel in range(3):
        plane = GRAYS[part["background"], None, None, None]
        for thing, cover in enumerate(covers):
            ink = PALETTE[part["color"][:, thing], channel][:, None, None, None]
            plane = plane + cover * (ink - plane)
        clips[..., channel] = plane


def _turn(offset: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (m, time, height, width) along the axes of the turned thing, from offsets (m, time, xy, pixel)."""
    cosine, sine = (table(step).astype(np.float32)[..., None] for table in (_cos, _sin))
    x, y = offset[:, :, 0], offset[:, :, 1]
    across = (cosine * x)[..., None, :] + (sine * y)[..., :, None]
    down = (cosine * y)[..., :, None] - (sine * x)[..., None, :]
    return across, down


def covered(shape: int, x: np.ndarray, y: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How much of each pixel the shape covers, 0 to 1; a product is "and": inside of every edge."""
    if shape == CIRCLE:
        return _inside(np.sqrt(x * x + y * y) - radius)
    if shape == TRIANGLE:  # the corner is up; the edges stand half a radius from the centre
        half, slant = np.float32(0.5), np.float32(0.866025404)
        left, right = (_inside(side * slant * x - half * y - half * radius) for side in (-1, 1))
        return _inside(y - half * radius) * left * right
    x, y = np.abs(x), np.abs(y)
    if shape == SQUARE:
        side = np.float32(0.707106781) * radius
        return _inside(x - side) * _inside(y - side)
    arm, reach = np.float32(ARM) * radius, np.float32(REACH) * radius
    thin_x, thin_y = _inside(x - arm), _inside(y - arm)
    return _inside(x - reach) * thin_y + _inside(y - reach) * thin_x - thin_x * thin_y


def _inside(distance: np.ndarray) -> np.ndarray:
    """Coverage of a pixel whose centre lies `distance` pixels outside of an edge; overwrites its argument."""
    np.subtract(np.float32(0.5), distance, out=distance)
    np.maximum(distance, 0, out=distance)
    return np.minimum(distance, 1, out=distance)


def _add_flow(part: dict, thing: int, offset: np.ndarray, back: np.ndarray, seen: np.ndarray) -> None:
    """Writes the thing's flow where it is seen: its shift, its turn back by `back` steps, and its change of size."""
    radius, velocity = part["radius"][:, :, thing], part["velocity"][:, :, thing]
    scale = radius[:, :-1] / radius[:, 1:]
    cosine, sine = (scale * table(back).astype(np.float32) for table in (_cos, _sin))
    cosine, sine = cosine[..., None], sine[..., None]
    x, y = offset[:, :, 0], offset[:, :, 1]
    flow_x = (velocity[..., :1] + x - cosine * x)[..., None, :] + (sine * y)[..., :, None]
    flow_y = (velocity[..., 1:] + y - cosine * y)[..., :, None] - (sine * x)[..., None, :]
    np.copyto(part["flow"][..., 0], flow_x, where=seen)
    np.copyto(part["flow"][..., 1], flow_y, where=seen)


# ------------------------------------------------------------------------------------------------ reading

FAINT = 0.3  # ink below this is noise
# The plane of colour without brightness: gray is the origin, the hue is the direction. (channel, axis)
HUES = np.array([[1.0, 0.0], [-0.5, math.sqrt(0.75)], [-0.5, -math.sqrt(0.75)]])


def _read(clips: np.ndarray) -> dict[str, np.ndarray]:
    """The reading of a few clips; see `Shapes.read`."""
    size = clips.shape[2]
    winner, cover = _segment(clips)
    color, count, present = _find(winner, cover)
    maps = np.where(winner[:, :, None] == np.where(color < 0, -2, color)[:, None, :, None, None], cover[:, :, None], 0)
    area, position, spread, three, four = _moments(_sharpen(maps))
    for values in (area, position, spread, three, four):
        values[~present] = np.nan
    shape = _read_shape(spread, three, four)
    radius = np.sqrt(area / AREAS[shape][:, None])
    sizes = np.abs(np.log(np.nanmedian(radius, 1)[..., None] / (RADII[shape] * size))).argmin(-1)
    return {
        "count": count,
        "color": color,
        "shape": shape,
        "size": np.where(shape < 0, -1, sizes),
        "motion": _read_motion(position, radius, np.where((shape == TRIANGLE)[:, None], three, four), shape, size),
        "present": present,
        "position": position,
        "radius": radius,
    }


def _segment(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest colour (index) of each pixel by its hue, and how much of that colour there is, 0 or FAINT to 1."""
    red, green, blue = (np.ascontiguousarray(clips[..., channel]) for channel in range(3))
    u = red - np.float32(0.5) * (green + blue)
    v = np.float32(math.sqrt(0.75)) * (green - blue)
    palette = (PALETTE @ HUES).astype(np.float32)
    length = np.sqrt((palette**2).sum(1))
    winner, best, cover = np.full(u.shape, -1, np.int8), np.zeros_like(u), np.zeros_like(u)
    for k, (a, b) in enumerate(palette / length[:, None]):
        along = a * u + b * v
        better = along > best
        np.copyto(best, along, where=better)
        np.copyto(winner, k, where=better)
        np.copyto(cover, along / length[k], where=better)
    cover[cover < FAINT] = 0
    return winner, np.minimum(cover, 1, out=cover)


def _find(winner: np.ndarray, cover: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two largest things' colours (m, thing), the count (m,), and in which frames they are (m, time, thing).

    A colour is a thing in a frame if it is large enough and in one place, and in the clip if it is in half the frames.
    """
    size = winner.shape[2]
    least = 0.4 * AREAS[TRIANGLE] * (RADII[TRIANGLE, 0] * size * (1 - GROWTH)) ** 2  # of the smallest thing there is
    sums = [_marginals(np.where(winner == k, cover, 0)) for k in range(len(COLORS))]
    area, _, variance = (np.stack(values, 2) for values in zip(*sums, strict=True))  # (m, time, color)
    there = (area > least) & (2 * math.pi * variance.sum(-1) < 4 * area)
    found = there.mean(1) >= 0.5
    order = np.argsort(np.where(found, -area.sum(1), 1), axis=1, kind="stable")[:, :2]
    color = np.sort(np.where(np.take_along_axis(found, order, 1), order, len(COLORS)), axis=1)
    color = np.where(color == len(COLORS), -1, color)
    present = np.take_along_axis(there, color[:, None], 2) & (color >= 0)[:, None]
    return color, found.sum(1), present


def _marginals(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Area (…), centre (…, xy) and variance (…, xy) of maps (…, height, width)."""
    grid = np.arange(maps.shape[-1]) + 0.5
    lines = np.stack([maps.sum(-2), maps.sum(-1)], -2).astype(np.float64)  # (…, xy, pixel)
    area = lines[..., 0, :].sum(-1)
    lines /= np.maximum(area, 1e-9)[..., None, None]
    center = lines @ grid
    return area, center, lines @ grid**2 - center**2


def _sharpen(maps: np.ndarray) -> np.ndarray:
    """The maps (…, height, width) with full ink and steep edges, so that pale and blurred things look like real
    ones, and without what lies too far from the centre to belong to a compact thing of that area."""
    area, center, _ = _marginals(maps)
    away = np.square(np.arange(maps.shape[-1], dtype=np.float32) + 0.5 - center[..., None].astype(np.float32))
    ink = np.maximum(maps.max((-2, -1), keepdims=True), np.float32(FAINT))
    near = (1 + 1.2 * np.sqrt(area / ink[..., 0, 0])) ** 2
    steep = np.clip(2 * (maps / ink) - np.float32(0.5), 0, 1)
    return steep * (away[..., 0, None, :] + away[..., 1, :, None] < near[..., None, None])


def _moments(maps: np.ndarray) -> tuple[np.ndarray, ...]:
    """Area, centre (x, y), spread, and 3-fold and 4-fold symmetry of each map (…, height, width).

    With weights w and z = x + iy from the centre: spread is 2π Σw|z|² / (Σw)², 1 for a disc and more for anything
    else; the symmetries are Σwz³ and Σwz⁴ in units of the spread: complex numbers, long for a triangle (three)
    or a square or cross (four) and short for a disc, whose phase turns 3 or 4 times as fast as the thing.
    """
    grid = np.arange(maps.shape[-1]) + 0.5
    area, center, _ = _marginals(maps)
    x, y = (_powers(grid - center[..., None, axis]) for axis in (0, 1))
    m = np.swapaxes(y, -1, -2) @ (maps @ x) / np.maximum(area, 1e-9)[..., None, None]  # (…, power of y, power of x)
    square = np.maximum(m[..., 0, 2] + m[..., 2, 0], 1e-9)
    three = m[..., 0, 3] - 3 * m[..., 2, 1] + 1j * (3 * m[..., 1, 2] - m[..., 3, 0])
    four = m[..., 0, 4] - 6 * m[..., 2, 2] + m[..., 4, 0] + 4j * (m[..., 1, 3] - m[..., 3, 1])
    return area, center, 2 * math.pi * square / np.maximum(area, 1e-9), three / square**1.5, four / square**2


def _powers(values: np.ndarray) -> np.ndarray:
    """The powers 0 to 4, on a new last axis."""
    square = values * values
    return np.stack([np.ones_like(values), values, square, square * values, square * square], -1)


def _read_shape(spread: np.ndarray, three: np.ndarray, four: np.ndarray) -> np.ndarray:
    """The shape (m, thing) that the moments of the usual frame speak for; -1 if absent or ragged.

    Spread, three and four are 1, 0, 0 for an ideal circle, 1.05, 0, 0.6 for a square, 1.21, 0.8, 0 for a
    triangle and 1.22, 0, 0.87 for a cross; pixels, blur and occlusion move them by less than the rules allow.
    """
    spread, three, four = (np.nanmedian(values, 1) for values in (spread, np.abs(three), np.abs(four)))
    return np.select(
        [~(spread < 1.5), three > 0.35, (four > 0.24) & (spread > 1.13), four > 0.24, spread < 1.2],
        [-1, TRIANGLE, CROSS, SQUARE, CIRCLE],
        -1,
    )


def _read_motion(position, radius, symmetry, shape, size: int) -> np.ndarray:
    """The motion (m, thing) that explains positions, radii and orientation over time; -1 if none does."""
    frames = position.shape[1]
    early, late = (np.nanmedian(position[:, part], 1) for part in (slice(2), slice(-2, None)))
    shift = late - early
    reach = np.nanmax(position, 1) - np.nanmin(position, 1)  # (m, thing, xy)
    longest, shortest = reach.max(-1), reach.min(-1)
    sideways = reach[..., 0] == longest
    main = np.where(sideways, shift[..., 0], shift[..., 1])
    still = longest < 0.17 * size
    straight = ~still & (shortest < 0.4 * longest) & (np.abs(main) > 0.7 * longest)
    winding = ~still & ~straight

    ends = frames // 4
    growth = np.log(np.nanmedian(radius[:, -ends:], 1) / np.nanmedian(radius[:, :ends], 1))
    beat = np.nansum(np.conj(symmetry[:, :-1]) * symmetry[:, 1:], axis=1)  # its phase: the mean turn of a frame
    turns = np.abs(np.angle(beat)) / np.where(shape == TRIANGLE, 3, 4) / (2 * math.pi) * (frames - 1)
    orbit, bounce = _orbit_error(position, longest), _bounce_error(position)
    return np.select(
        [still & (growth > 0.3), still & (growth < -0.3), still & (turns > 0.12) & (shape > CIRCLE),
         straight & sideways & (main < 0), straight & sideways, straight & (main < 0), straight,
         winding & (orbit < bounce) & (orbit < 0.3), winding & (bounce < 0.3)],
        [GROWS, SHRINKS, ROTATES, LEFT, RIGHT, UP, DOWN, CIRCLES, BOUNCES],
        -1,
    )  # fmt: skip


def _orbit_error(position: np.ndarray, width: np.ndarray) -> np.ndarray:
    """How far positions (m, time, thing, xy) are from the best circle, in its radii; inf if it is too wide."""
    middle = np.nanmedian(position, 1)[:, None]
    there = np.isfinite(position[..., :1])
    points = np.where(there, position - middle, 0).swapaxes(1, 2)  # (m, thing, time, xy)
    basis = np.concatenate([2 * points, there.swapaxes(1, 2)], -1)  # x² + y² = 2ax + 2by + c
    transposed = np.swapaxes(basis, -1, -2)
    fit = np.linalg.solve(transposed @ basis + 1e-6 * np.eye(3), transposed @ (points**2).sum(-1, keepdims=True))
    distance = np.sqrt(((position - middle - fit[..., :2, 0][:, None]) ** 2).sum(-1))  # (m, time, thing)
    usual = np.nanmedian(distance, 1)
    return np.where(usual < 0.6 * width, np.nanmedian(np.abs(distance - usual[:, None]), 1) / usual, np.inf)


def _bounce_error(position: np.ndarray) -> np.ndarray:
    """How unevenly positions (m, time, thing, xy) run along either axis, walls aside, in parts of the speed."""
    lag = 1 + position.shape[1] // 16  # frames; over more of them the unsteadiness of pixels counts less
    speed = np.abs(position[:, lag:] - position[:, :-lag])
    usual = np.nanmedian(speed, 1)
    return np.nanmedian(np.abs(speed - usual[:, None]), 1).max(-1) / np.maximum(usual.max(-1), 1e-9)
