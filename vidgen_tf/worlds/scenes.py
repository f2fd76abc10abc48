"""From a caption of the world of shapes to a scene in space: "a red ball bounces" can be rendered.

A circle becomes a ball, a square a cube, a triangle a pyramid, a cross two beams. Balls that roll or bounce obey gravity, friction
and collisions; everything else is moved along its path by hand, as in the flat world. What is made is plain data, `scenes.Scene`:
no renderer is needed here.
"""

from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import check_count, check_number, check_seed
from vidgen_tf.rigid_bodies import simulate
from vidgen_tf.scenes import KINDS, Box, Camera, Material, Pyramid, Rectangle, Scene, Sphere, floor, glowing, turned
from vidgen_tf.worlds.shapes import ARM, COLORS, GROWTH, PALETTE, RADII, REACH, SHAPES, SIZES, Thing, parse

SYNONYMS = {"ball": "circle", "cube": "square", "box": "square", "pyramid": "triangle"}
HEIGHT = 4.6  # metres from the lower to the upper edge of the picture, where the things are
LEFT, RIGHT = -1.75, 1.75  # metres: where paths begin and end
LANE = 0.95  # metres from the middle to either of two things, sideways or in depth
ROLLS = {"moves left": -1.0, "moves right": 1.0}
GRAY = (0.35, 0.35, 0.35)


def scenes_of(
    captions: Sequence[str], *, seed: int, frames: int = 16, fps: float = 8, kind: str = "diffuse"
) -> list[Scene]:
    """A scene for each caption, for a renderer such as `PathTracer`.

    Args:
        captions: sentences of the world of shapes, in which a circle may be called a ball, a square a cube or a box, and a triangle a
            pyramid.
        seed: whole number from 0: decides where things are and which way they go, where the caption leaves that open; the same seed,
            the same scenes. It decides nothing about what moves left or right, whose path is always the same.
        frames: frames of a clip, at least 2.
        fps: frames per second: with fewer, balls fall farther between two of them.
        kind: what all things are made of: diffuse, mirror, metal or glass.

    Returns:
        A list of Scene.

    Raises:
        ValueError: for anything else, such as an unknown word.
    """
    if isinstance(captions, str) or not isinstance(captions, (list, tuple, np.ndarray)):
        raise ValueError(f"captions is {captions!r:.60}, but a list of sentences was expected; put one into brackets.")
    if len(captions) == 0:
        raise ValueError("captions is empty, but at least one sentence was expected.")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r:.60}, but one of {', '.join(KINDS)} was expected.")
    check_seed(seed)
    frames, fps = check_count(frames, "frames", least=2), check_number(fps, "fps", least=1, below=1001)
    return [
        _scene(_things(caption), frames, fps, kind, np.random.default_rng([seed, number]))
        for number, caption in enumerate(captions)
    ]


def _things(caption) -> tuple[Thing, ...]:
    """What a caption speaks of."""
    if isinstance(caption, str):
        stop = "." if caption.rstrip().endswith(".") else ""
        words = caption.lower().strip().removesuffix(".").split()
        caption = " ".join(SYNONYMS.get(word, word) for word in words) + stop
    return parse(caption)


def _scene(things: tuple[Thing, ...], frames: int, fps: float, kind: str, dice: np.random.Generator) -> Scene:
    """The stage, from the front, with one or two things on it."""
    solids = []
    for number, thing in enumerate(things):
        lane = 0.0 if len(things) == 1 else LANE * (1 - 2 * number)
        radius = RADII[SHAPES.index(thing.shape), SIZES.index(thing.size)] * HEIGHT
        growth = np.linspace(-GROWTH, GROWTH, frames) * {"grows": 1, "shrinks": -1}.get(thing.motion, 0)
        radius = radius * (1 + growth)
        path, turn = _path(thing, lane, radius, frames, fps, dice)
        color = ((PALETTE[COLORS.index(thing.color)].astype(float) + 1) / 2) ** 2.2
        material = Material(tuple(color), kind, roughness=0.2)
        solids += _solid(thing.shape, path, radius, material, turn)
    lamp = Rectangle((-1.0, 6.5, 4.0), (2.0, 0.0, 0.0), (0.0, -1.0, 1.6), glowing(11.0))
    camera = Camera((0.0, 2.3, 9.0), (0.0, 1.75, 0.0), 28.7, shutter=0.3)
    return Scene((floor(Material(GRAY)), *solids, lamp), camera, zenith=(0.35,) * 3, horizon=(0.35,) * 3)


def _path(thing: Thing, lane: float, radius: np.ndarray, frames: int, fps: float, dice) -> tuple:
    """Where the middle of a thing is, (frames, 3), and how it is turned, (frames, 3, 3)."""
    is_ball, still = thing.shape == "circle", np.tile(np.eye(3), (frames, 1, 1))
    share, shift = np.linspace(0, 1, frames), dice.uniform(-0.2, 0.2)
    ground = radius if is_ball else radius * {"square": np.sqrt(0.5), "triangle": 0.5, "cross": REACH}[thing.shape]
    if thing.motion in ROLLS:
        way = ROLLS[thing.motion]
        if is_ball:
            return _rolls(way, lane, radius[0], frames, fps)
        return np.stack([way * (LEFT + (RIGHT - LEFT) * share), ground, 0 * share + lane], 1), still
    if thing.motion == "bounces":
        return _bounces(lane + shift, radius[0], ground[0], is_ball, frames, fps, dice)
    top, low = 3.75 - radius, 0.1 + ground
    x = lane + shift
    if thing.motion in ("moves up", "moves down"):
        share = share if thing.motion == "moves up" else share[::-1]
        return np.stack([0 * share + x, low + (top - low) * share, 0 * share], 1), still
    if thing.motion == "circles":
        angle = 2 * np.pi * (share * (1 - 1 / frames) * (1 if dice.random() < 0.5 else -1) + dice.random())
        orbit = 0.8 if lane else 1.0
        return np.stack([x + orbit * np.cos(angle), 1.8 + orbit * np.sin(angle), 0 * share], 1), still
    if thing.motion == "rotates":
        turn = turned((0, 0, 1), share * np.pi * 0.8 * (1 if dice.random() < 0.5 else -1))
        return np.stack([0 * share + x, 0 * share + 1.8, 0 * share], 1), turn
    return np.stack([0 * share + x, ground, 0 * share], 1), still  # it grows or shrinks


def _rolls(way: float, lane: float, radius: float, frames: int, fps: float) -> tuple:
    """A ball that rolls without slipping from one side to the other."""
    speed = way * (RIGHT - LEFT) * fps / (frames - 1)
    start = [[way * LEFT, radius, lane]]
    motion = simulate(start, [[speed, 0, 0]], radius, frames=frames, fps=fps, spin=[[0, 0, -speed / radius]])
    return motion.position[:, 0], motion.turn[:, 0]


def _bounces(x: float, radius: float, ground: float, is_ball: bool, frames: int, fps: float, dice) -> tuple:
    """What a ball does that is dropped; what is no ball falls and bounces as one of its height would, without turning."""
    side = dice.uniform(0.3, 0.7) * (1 if dice.random() < 0.5 else -1)
    start = [[x, 3.5 - ground, 0.0]]
    motion = simulate(
        start, [[side, 0, 0]], ground, frames=frames, fps=fps, restitution=0.85, friction=0.3 if is_ball else 0.0
    )
    return motion.position[:, 0], motion.turn[:, 0]


def _solid(shape: str, path: np.ndarray, radius: np.ndarray, material: Material, turn: np.ndarray) -> list:
    """The ball, cube, pyramid, or the two beams of a cross, all of whose points lie within `radius` (frames,) of the path."""
    if shape == "circle":
        two = Material(material.color, material.kind, material.roughness, second=tuple(0.45 * np.array(material.color)))
        return [Sphere(path, radius, two, turn)]
    size = radius[:, None]
    if shape == "square":
        return [Box(path, size * np.sqrt(0.5) * np.ones(3), material, turn)]
    if shape == "triangle":
        middle = path + np.einsum("tij,tj->ti", turn, size * [0, 0.25, 0])
        return [Pyramid(middle, size * [np.sqrt(0.75), 0.75, np.sqrt(0.75)], material, turn)]
    return [Box(path, size * half, material, turn) for half in ([REACH, ARM, ARM], [ARM, REACH, 0.999 * ARM])]
