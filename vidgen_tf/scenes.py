"""What a scene is: things, what they are made of, a camera and a sky, all of it plain data; `pack` makes arrays of it.

Lengths are in metres, colours and light are linear (red, green, blue), y is up, and a camera that looks along -z has x to
its right. Whatever moves has one value for each frame in front: a position is (3,), or (frames, 3). While the shutter is
open a sphere or a solid goes on from its place in this frame towards its place in the next one, in a straight line; how it is
turned, how large it is, and the camera jump from frame to frame.

A scene says nothing of how it is drawn: `path_tracing` does that, and `rigid_bodies` computes how balls move in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_number

KINDS = ("diffuse", "mirror", "metal", "glass")
FACES = 6  # of a solid; one with fewer has one of them twice
MOST_THINGS = 1000
FARTHEST = 1e8  # metres
BRIGHTEST = 1e18  # radiance of a lamp; sums of squares of more do not fit into float32


# ------------------------------------------------------------------------------------------------ materials


@dataclass(frozen=True)
class Material:
    """What a thing is made of.

    Args:
        color: share of red, green and blue light that comes back, each from 0 to 1; of glass, the share that goes through a surface.
        kind: "diffuse" scatters evenly (Lambert), "mirror" reflects, "metal" is a rough mirror (GGX), "glass" reflects and refracts.
        roughness: of metal: α of Walter et al. 2007, from 0.02 to 1.
        index: of glass: the index of refraction, from 1.01 to 3.
        glow: radiance that it sends out of its front, from 0.
        second: another color, in turns with the first as on a chessboard; None for one color.
        scale: side of a square of that board, in metres; on a sphere in radii, so that 1 gives a beach ball of eight parts.
        compensated: of metal: whether the light that a single scattering loses is given back (Turquin 2019).

    Raises:
        ValueError: for anything else.
    """

    color: Sequence[float] = (0.8, 0.8, 0.8)
    kind: str = "diffuse"
    roughness: float = 0.3
    index: float = 1.5
    glow: Sequence[float] = (0.0, 0.0, 0.0)
    second: Sequence[float] | None = None
    scale: float = 1.0
    compensated: bool = True

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r:.60}, but one of {', '.join(KINDS)} was expected.")
        for name in ("color", "second"):
            if getattr(self, name) is not None and vector(getattr(self, name), name, least=0).max() > 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r:.80}, but shares from 0 to 1 were expected; light goes into glow."
                )
        if vector(self.glow, "glow", least=0).max() > BRIGHTEST:
            raise ValueError(f"glow is {self.glow!r:.80}, but a radiance of at most {BRIGHTEST:g} was expected.")
        if not 0.02 <= check_number(self.roughness, "roughness") <= 1:
            raise ValueError(f"roughness is {self.roughness}, but 0.02 to 1 was expected; below it is a mirror.")
        if not 1.01 <= check_number(self.index, "index") <= 3:
            raise ValueError(f"index is {self.index}, but 1.01 to 3 was expected, such as 1.5 for glass.")
        if not check_number(self.scale, "scale"):
            raise ValueError("scale is 0, but the side of a square, above 0, was expected.")


def glowing(radiance: float | Sequence[float]) -> Material:
    """A black material that sends out this radiance: a lamp."""
    if np.ndim(radiance) == 0:
        radiance = (float(as_array(radiance, "glow")),) * 3
    return Material((0.0, 0.0, 0.0), glow=radiance)


def vector(value, name: str, least: float = -np.inf, moves: bool = False) -> np.ndarray:
    """Three finite numbers as float64 (3,), or (frames, 3) if it `moves`; else ValueError."""
    value = as_array(value, name).astype(np.float64)
    if value.shape[-1:] != (3,) or value.ndim > 1 + moves or value.size == 0:
        frames = ", or (frames, 3)," if moves else ""
        raise ValueError(f"{name} has shape {value.shape}, but three numbers{frames} were expected.")
    if not np.isfinite(value).all() or value.min() < least:
        above = f" from {least:g}" if np.isfinite(least) else ""
        raise ValueError(f"{name} is {value.tolist()!r:.80}, but finite numbers{above} were expected.")
    return value


# --------------------------------------------------------------------------------------------------- things


@dataclass(frozen=True)
class Sphere:
    """A ball.

    Args:
        position: of its centre, (3,) or (frames, 3), metres.
        radius: metres, above 0; or (frames,).
        material: what it is made of.
        turn: rotation matrix (3, 3) or (frames, 3, 3); it shows where the material has two colors.

    Raises:
        ValueError: for anything else.
    """

    position: np.ndarray
    radius: float | np.ndarray = 1.0
    material: Material = field(default_factory=Material)
    turn: np.ndarray | None = None

    def __post_init__(self):
        _check_thing(self)
        sizes(self.radius, "radius", 0)


@dataclass(frozen=True)
class Box:
    """A box.

    Args:
        position: of its centre, (3,) or (frames, 3), metres.
        half: half its width, height and depth, (3,) or (frames, 3), metres, above 0.
        material: what it is made of.
        turn: rotation matrix (3, 3) or (frames, 3, 3).

    Raises:
        ValueError: for anything else.
    """

    position: np.ndarray
    half: np.ndarray = (1.0, 1.0, 1.0)
    material: Material = field(default_factory=Material)
    turn: np.ndarray | None = None

    def __post_init__(self):
        _check_thing(self)
        sizes(self.half, "half", 1)

    def faces(self, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normals (6, 3) and distances from the centre (6,) of its faces, unturned, for one frame's half sides (3,)."""
        return np.concatenate([np.eye(3), -np.eye(3)]), np.tile(half, 2)


@dataclass(frozen=True)
class Pyramid(Box):
    """A pyramid with its tip up, which fills the box around it.

    Args:
        position: of the middle of that box, (3,) or (frames, 3), metres.
        half: half its width, height and depth, (3,) or (frames, 3), metres, above 0.
        material: what it is made of.
        turn: rotation matrix (3, 3) or (frames, 3, 3).

    Raises:
        ValueError: for anything else.
    """

    def faces(self, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As those of a box; the base is there twice."""
        x, y, z = half
        normals = np.array([[2 * y, x, 0], [-2 * y, x, 0], [0, z, 2 * y], [0, z, -2 * y], [0, -1, 0], [0, -1, 0]])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return normals, np.concatenate([normals[:4] @ [0, y, 0], [y, y]])


@dataclass(frozen=True)
class Rectangle:
    """A flat rectangle, or, with infinite sides, a plane. Its front is where side × other points.

    Args:
        position: of its middle, (3,), metres.
        side: from the middle to one edge, (3,), metres.
        other: from the middle to the next edge, at a right angle to `side`.
        material: what it is made of.
        endless: whether it goes on for ever in both directions; a plane cannot glow.

    Raises:
        ValueError: for anything else.
    """

    position: np.ndarray
    side: np.ndarray = (1.0, 0.0, 0.0)
    other: np.ndarray = (0.0, 0.0, -1.0)
    material: Material = field(default_factory=Material)
    endless: bool = False

    def __post_init__(self):
        _, side, other = (vector(getattr(self, name), name) for name in ("position", "side", "other"))
        lengths = np.linalg.norm(side) * np.linalg.norm(other)
        if not lengths or abs(side @ other) > 1e-6 * lengths:
            raise ValueError(
                f"side {side.tolist()} and other {other.tolist()} must stand at a right angle and have a length; mend one."
            )
        _check_material(self.material)
        if self.endless and np.any(self.material.glow):
            raise ValueError("an endless plane glows, but no lamp has no end; leave its glow 0, or give it edges.")


def floor(material: Material | None = None, height: float = 0.0) -> Rectangle:
    """The endless plane y = height, its front up."""
    return Rectangle((0.0, height, 0.0), material=material or Material(), endless=True)


def sizes(value, name: str, axes: int) -> np.ndarray:
    """Lengths above 0 as float64: `axes` axes, or one more for frames; else ValueError."""
    value = as_array(value, name).astype(np.float64)
    if value.ndim not in (axes, axes + 1) or (axes and value.shape[-1] != 3) or not value.size:
        raise ValueError(f"{name} has shape {value.shape}, but {'three numbers' if axes else 'a number'} was expected.")
    if not np.isfinite(value).all() or value.min() <= 0:
        raise ValueError(f"{name} is {value.tolist()!r:.80}, but lengths above 0 were expected.")
    return value


def _check_material(material) -> None:
    if not isinstance(material, Material):
        raise ValueError(
            f"material is {material!r:.60}, but a Material was expected, such as Material((0.8, 0.1, 0.1))."
        )


def _check_thing(thing) -> None:
    vector(thing.position, "position", moves=True)
    _check_material(thing.material)
    if thing.turn is not None:
        turn = as_array(thing.turn, "turn").astype(np.float64)
        if turn.shape[-2:] != (3, 3) or turn.ndim > 3:
            raise ValueError(f"turn has shape {turn.shape}, but (3, 3) or (frames, 3, 3) was expected.")
        if not np.allclose(turn @ np.swapaxes(turn, -1, -2), np.eye(3), atol=1e-4):
            raise ValueError("turn is no rotation: its rows must be of length 1 and stand at right angles; see turned.")
        if not turn.size or (np.linalg.det(turn) < 0).any():
            raise ValueError("turn is empty or a reflection, but a rotation was expected; turned makes one.")


def turned(axis: Sequence[float], angle: float | np.ndarray) -> np.ndarray:
    """The rotation matrix about an axis through the origin, by Rodrigues's formula.

    Args:
        axis: (3,), of any length but 0.
        angle: radians, seen against the axis counterclockwise; a number, or (frames,).

    Returns:
        float64 (3, 3), or (frames, 3, 3).

    Raises:
        ValueError: for an axis without direction.
    """
    axis = vector(axis, "axis")
    if not np.linalg.norm(axis):
        raise ValueError("axis is (0, 0, 0), but a direction was expected, such as (0, 1, 0).")
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = as_array(angle, "angle").astype(np.float64)[..., None, None]
    if not np.isfinite(angle).all():
        raise ValueError("angle has NaN or infinity in it, but radians were expected.")
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


# ------------------------------------------------------------------------------------------ camera and scene


@dataclass(frozen=True)
class Camera:
    """A camera with a thin lens.

    Args:
        position: of the middle of the lens, (3,) or (frames, 3), metres; `orbit` makes a path around something.
        look_at: the point in the middle of the picture, (3,) or (frames, 3).
        field_of_view: angle between the upper and the lower edge, in degrees, from 1 to below 180.
        aperture: radius of the lens, metres; 0 gives a pinhole, which sees everything sharp.
        focus: distance of the plane that is sharp, metres; None takes that of `look_at`.
        shutter: how long it is open, as a share of the time between two frames, from 0 to 1; spheres and solids that
            go to another place meanwhile are blurred, but not what turns or grows, and not what the camera does itself.

    Raises:
        ValueError: for anything else.
    """

    position: np.ndarray
    look_at: np.ndarray = (0.0, 0.0, 0.0)
    field_of_view: float = 40.0
    aperture: float = 0.0
    focus: float | None = None
    shutter: float = 0.0

    def __post_init__(self):
        position, look_at = (vector(getattr(self, name), name, moves=True) for name in ("position", "look_at"))
        if position.ndim == look_at.ndim == 2 and len(position) != len(look_at):
            raise ValueError(
                f"position has {len(position)} frames and look_at {len(look_at)}; give equally many, or one of (3,)."
            )
        away = position - look_at
        if (np.linalg.norm(away, axis=-1) < 1e-9).any():
            raise ValueError("the camera stands where it looks; move position or look_at.")
        if (np.linalg.norm(np.cross(away, [0, 1, 0]), axis=-1) < 1e-6 * np.linalg.norm(away, axis=-1)).any():
            raise ValueError("the camera looks straight up or down, so no side is up; move it a little to one side.")
        if not 1 <= check_number(self.field_of_view, "field_of_view") < 180:
            raise ValueError(f"field_of_view is {self.field_of_view}, but 1 to below 180 degrees were expected.")
        check_number(self.aperture, "aperture")
        if self.focus is not None and not check_number(self.focus, "focus"):
            raise ValueError("focus is 0, but a distance above 0 was expected, in metres.")
        if check_number(self.shutter, "shutter") > 1:
            raise ValueError(
                f"shutter is {self.shutter}, but a share of the time between frames, 0 to 1, was expected."
            )


def orbit(
    center: Sequence[float], distance: float, height: float, frames: int, turns: float = 1.0, start: float = 0.0
) -> np.ndarray:
    """Positions of a camera that goes around a point, float64 (frames, 3).

    Args:
        center: (3,), metres.
        distance: from the point, along the ground, metres.
        height: above the point, metres.
        frames: how many.
        turns: how often it goes around, counterclockwise seen from above; the last frame stops one step before the end.
        start: where it begins, in turns; 0 is on the side of +z.

    Raises:
        ValueError: for a count below 1, or a center that is no point.
    """
    for name, value in (("distance", distance), ("height", height), ("turns", turns), ("start", start)):
        check_number(value, name, least=-FARTHEST, below=FARTHEST)
    angle = 2 * np.pi * (start + turns * np.arange(check_count(frames, "frames")) / frames)
    around = np.stack([distance * np.sin(angle), np.full(frames, float(height)), distance * np.cos(angle)], axis=1)
    return vector(center, "center") + around


@dataclass(frozen=True)
class Scene:
    """All that a picture or a clip depends on.

    Args:
        things: Sphere, Box, Pyramid, Rectangle; at least one.
        camera: where it is seen from.
        zenith, horizon: radiance of the sky above and all around, (3,); it changes evenly with the height (and is the same below
            the horizon as above it). (0, 0, 0) is a dark room.
        exposure: what light is multiplied with before it becomes a picture.

    Raises:
        ValueError: for anything else.
    """

    things: tuple
    camera: Camera
    zenith: Sequence[float] = (0.5, 0.7, 1.0)
    horizon: Sequence[float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0

    def __post_init__(self):
        kinds = (Sphere, Box, Rectangle)
        if not isinstance(self.things, (tuple, list)) or not self.things or len(self.things) > MOST_THINGS:
            raise ValueError(f"things is {self.things!r:.60}, but a tuple of 1 to {MOST_THINGS} things was expected.")
        for thing in self.things:
            if not isinstance(thing, kinds):
                raise ValueError(
                    f"things holds {thing!r:.60}, but Sphere, Box, Pyramid or Rectangle was expected; see vidgen_tf.scenes."
                )
            if isinstance(thing, Box) and np.any(thing.material.glow):
                raise ValueError(
                    "a Box or Pyramid glows, but only a Sphere or a Rectangle can be a lamp; take one of them."
                )
        if not isinstance(self.camera, Camera):
            raise ValueError(f"camera is {self.camera!r:.60}, but a Camera was expected.")
        for name in ("zenith", "horizon"):
            vector(getattr(self, name), name, least=0)
        if not check_number(self.exposure, "exposure"):
            raise ValueError("exposure is 0, which makes every picture black; a number above 0 was expected.")


# -------------------------------------------------------------------------------------------------- arrays


def pack(scene: Scene, frames: int) -> dict[str, np.ndarray]:
    """The scene as arrays, in which a renderer looks up what it needs.

    Things are numbered: first spheres, then solids (boxes and pyramids), then sheets (rectangles). Where there is none
    of a kind stands one that no ray meets.

    Args:
        scene: a Scene.
        frames: how many frames, at least 1; what moves must have as many.

    Returns:
        float32 arrays; those that may move have the frames in front:
        sphere_position, sphere_velocity (frames, spheres, 3); sphere_radius (frames, spheres); sphere_turn (…, 3, 3);
        solid_position, solid_velocity (frames, solids, 3); solid_turn (…, 3, 3); solid_normals (frames, solids, 6, 3);
        solid_offsets (frames, solids, 6): the faces' normals, turned, and their distances from the position;
        sheet_position, sheet_side, sheet_other (sheets, 3), the last two of length 1; sheet_half (sheets, 2);
        color, second, glow (things, 3); surface (things, 5): number of the kind, roughness, index, scale (0 for
        one color), compensated;
        lights (lamps,) numbers of the things that glow, as floats;
        camera (frames, 4, 3): position, right, up, forward; lens (frames, 4): tangent of half the field of view, aperture,
        focus, shutter; sky (2, 3): horizon and zenith; exposure ().

    Raises:
        ValueError: for what has another number of frames.
    """
    if not isinstance(scene, Scene):
        raise ValueError(f"{scene!r:.60} came, but a Scene was expected; scenes_of makes them of captions.")
    frames = check_count(frames, "frames")
    nothing = Material((0.0, 0.0, 0.0))
    groups = [
        [thing for thing in scene.things if isinstance(thing, kind)] or [empty]
        for kind, empty in (
            (Sphere, Sphere((0.0, -1e6, 0.0), 1e-3, nothing)),
            (Box, Box((0.0, -1e6, 0.0), (1e-3,) * 3, nothing)),
            (Rectangle, Rectangle((0.0, -1e6, 0.0), (1e-3, 0, 0), (0, 0, 1e-3), nothing)),
        )
    ]
    arrays = _pack_moving("sphere", groups[0], frames) | _pack_moving("solid", groups[1], frames)
    arrays["sphere_radius"] = np.stack([_over(ball.radius, frames, "radius", ()) for ball in groups[0]], 1)
    arrays |= _pack_solids(groups[1], arrays["solid_turn"], frames) | _pack_sheets(groups[2])
    things = [thing for group in groups for thing in group]
    arrays |= _pack_materials([thing.material for thing in things])
    lamps = [number for number, thing in enumerate(things) if np.any(thing.material.glow)]
    arrays["lights"] = np.array(lamps or [0])
    arrays |= _pack_camera(scene.camera, frames)
    arrays["sky"] = np.array([scene.horizon, scene.zenith])
    arrays["exposure"] = np.array(scene.exposure)
    return {name: np.array(values, np.float32) for name, values in arrays.items()}


def _over(value, frames: int, name: str, shape: tuple) -> np.ndarray:
    """A value as (frames, *shape), whether it moves or not."""
    value = np.asarray(value, np.float64)
    if value.ndim > len(shape) and len(value) != frames:
        raise ValueError(f"{name} has {len(value)} frames, but {frames} were asked for; give as many, or one for all.")
    return np.broadcast_to(value, (frames, *shape))


def _pack_moving(kind: str, things: list, frames: int) -> dict[str, np.ndarray]:
    position = np.stack([_over(thing.position, frames, "position", (3,)) for thing in things], 1)
    velocity = np.diff(position, axis=0, append=2 * position[-1:] - position[-2:-1] if frames > 1 else position)
    turns = [np.eye(3) if thing.turn is None else thing.turn for thing in things]
    turn = np.stack([_over(turn, frames, "turn", (3, 3)) for turn in turns], 1)
    return {f"{kind}_position": position, f"{kind}_velocity": velocity, f"{kind}_turn": turn}


def _pack_solids(solids: list, turn: np.ndarray, frames: int) -> dict[str, np.ndarray]:
    halves = [_over(solid.half, frames, "half", (3,)) for solid in solids]
    faces = [[solid.faces(half[t]) for solid, half in zip(solids, halves, strict=True)] for t in range(frames)]
    normals, offsets = (np.array([[face[part] for face in row] for row in faces]) for part in (0, 1))
    return {"solid_normals": np.einsum("tsij,tsfj->tsfi", turn, normals), "solid_offsets": offsets}


def _pack_sheets(sheets: list) -> dict[str, np.ndarray]:
    position, side, other = (np.array([getattr(sheet, name) for sheet in sheets], np.float64)
                             for name in ("position", "side", "other"))  # fmt: skip
    half = np.stack([np.linalg.norm(side, axis=1), np.linalg.norm(other, axis=1)], 1)
    endless = np.array([sheet.endless for sheet in sheets])
    return {
        "sheet_position": position, "sheet_side": side / half[:, :1], "sheet_other": other / half[:, 1:],
        "sheet_half": np.where(endless[:, None], 1e9, half),
    }  # fmt: skip


def _pack_materials(materials: list[Material]) -> dict[str, np.ndarray]:
    surface = [
        [KINDS.index(m.kind), m.roughness, m.index, 0 if m.second is None else m.scale, m.compensated]
        for m in materials
    ]
    second = [m.color if m.second is None else m.second for m in materials]
    return {
        "color": np.array([m.color for m in materials]), "second": np.array(second),
        "glow": np.array([m.glow for m in materials]), "surface": np.array(surface, np.float64),
    }  # fmt: skip


def _pack_camera(camera: Camera, frames: int) -> dict[str, np.ndarray]:
    position = _over(camera.position, frames, "the camera's position", (3,))
    forward = _over(camera.look_at, frames, "look_at", (3,)) - position
    distance = np.linalg.norm(forward, axis=1, keepdims=True)
    forward = forward / distance
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    focus = distance[:, 0] if camera.focus is None else np.full(frames, camera.focus)
    fixed = np.tile([math.tan(math.radians(camera.field_of_view) / 2), camera.aperture], (frames, 1))
    return {
        "camera": np.stack([position, right, np.cross(right, forward), forward], 1),
        "lens": np.concatenate([fixed, np.stack([focus, np.full(frames, camera.shutter)], 1)], 1),
    }
