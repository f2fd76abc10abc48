"""Balls that fall, collide, roll and rub: a simulation of rigid bodies.

Time goes in small equal steps. In flight a ball follows its parabola exactly. Where two balls, or a ball and a wall, touch and come
nearer, an impulse parts them: along the normal as strong as Newton's restitution asks for, along the surface as strong as
would stop the slip, but at most friction times the normal part (Coulomb). Both bodies get the same impulse, at the same
point, in opposite directions, so momentum and angular momentum are kept; with restitution 1 and without friction so is energy.

Lengths are in metres, times in seconds, masses in kilograms; y is up. A ball is solid: its moment of inertia is 2/5 · m · r².

D. Baraff: An Introduction to Physically Based Modeling: Rigid Body Simulation. SIGGRAPH course notes 1997
B. Mirtich, J. Canny: Impulse-based Simulation of Rigid Bodies. I3D 1995, https://doi.org/10.1145/199404.199436
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_number

STEP = 1 / 1000  # seconds, at most
SLOW = 0.15  # metres per second: what touches more slowly does not bounce (unless nothing is lost), so that it rests
SLOP = 1e-3  # metres that resting balls may sink in
SWEEPS = 10  # over all contacts in one step
INERTIA = 0.4
MOST_STEPS = 1_000_000
LARGEST = 1e12  # metres, metres per second …
FLOOR = (0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Motion:
    """How balls moved.

    Attributes:
        time: float64 (frames,), seconds from the start.
        position: (frames, balls, 3) of their centres, metres.
        velocity: (frames, balls, 3), metres per second.
        spin: (frames, balls, 3), radians per second about the axis that it points along.
        turn: (frames, balls, 3, 3) rotation matrices, from the start on.
        mass, radius: (balls,), kilograms and metres.
        gravity: (3,), metres per second squared.
    """

    time: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    spin: np.ndarray
    turn: np.ndarray
    mass: np.ndarray
    radius: np.ndarray
    gravity: np.ndarray

    def momentum(self) -> np.ndarray:
        """(frames, 3), kg m/s."""
        return np.einsum("b,tbi->ti", self.mass, self.velocity)

    def angular_momentum(self) -> np.ndarray:
        """About the origin, (frames, 3), kg m²/s: that of the paths and that of the spin."""
        inertia = INERTIA * self.mass * self.radius**2
        paths = np.einsum("b,tbi->ti", self.mass, np.cross(self.position, self.velocity))
        return paths + np.einsum("b,tbi->ti", inertia, self.spin)

    def energy(self) -> dict[str, np.ndarray]:
        """Joules, each (frames,): "moving", "spinning", "height" (above the origin, against gravity), and "total"."""
        inertia = INERTIA * self.mass * self.radius**2
        parts = {
            "moving": (self.mass * (self.velocity**2).sum(-1)).sum(1) / 2,
            "spinning": (inertia * (self.spin**2).sum(-1)).sum(1) / 2,
            "height": -(self.mass * (self.position @ self.gravity)).sum(1),
        }
        return parts | {"total": sum(parts.values())}


def simulate(
    position: np.ndarray,
    velocity: np.ndarray,
    radius: float | np.ndarray,
    *,
    frames: int,
    fps: float = 12,
    mass: float | np.ndarray | None = None,
    spin: np.ndarray | None = None,
    gravity: Sequence[float] = (0.0, -9.81, 0.0),
    walls: Sequence[Sequence[float]] = (FLOOR,),
    restitution: float = 0.7,
    friction: float = 0.3,
) -> Motion:
    """Lets balls go, and watches them.

    Args:
        position: (balls, 3) of their centres at the start, metres; balls may touch, but not overlap.
        velocity: (balls, 3), metres per second.
        radius: metres, one number or (balls,).
        frames: how many moments are kept; the first is the start.
        fps: moments per second, from 1 to 1000.
        mass: kilograms, one number or (balls,); None takes one for the ball of radius 1, the others by volume.
        spin: (balls, 3), radians per second; None for none.
        gravity: (3,), metres per second squared.
        walls: rows (x, y, z, offset): a normal of length 1 that points into the room, and where it stands: points of the room have
            normal · point ≥ offset. () for empty space.
        restitution: share of the speed that a bounce gives back, 0 to 1; at 1 nothing is lost.
        friction: the largest share of the normal impulse that works along the surface, from 0.

    Returns:
        A Motion of `frames` moments.

    Raises:
        ValueError: for anything else, and for balls that overlap each other or a wall at the start.
    """
    balls = _Balls(position, velocity, radius, mass, spin, gravity, walls, restitution, friction)
    frames = check_count(frames, "frames")
    if not 1 <= check_number(fps, "fps") <= 1000:
        raise ValueError(f"fps is {fps}, but moments per second from 1 to 1000 were expected.")
    steps = int(np.ceil(1 / fps / STEP - 1e-9))
    if frames * steps > MOST_STEPS:
        raise ValueError(
            f"{frames} frames take {frames * steps:.2g} steps, but at most {MOST_STEPS} fit; ask for fewer."
        )
    kept = []
    for frame in range(frames):
        for _ in range(steps if frame else 0):
            balls.advance(1 / fps / steps)
        kept.append([balls.position.copy(), balls.velocity.copy(), balls.spin.copy(), balls.turn.copy()])
    stacked = [np.stack(moments) for moments in zip(*kept, strict=True)]
    return Motion(np.arange(frames) / fps, *stacked, balls.mass, balls.radius, balls.gravity)


class _Balls:
    """The state of a simulation, checked at the start."""

    def __init__(self, position, velocity, radius, mass, spin, gravity, walls, restitution, friction):
        self.position = _rows(position, "position")
        self.velocity = _rows(velocity, "velocity", len(self.position))
        self.spin = _rows(0 * self.position if spin is None else spin, "spin", len(self.position))
        self.radius = _above_zero(radius, "radius", len(self.position))
        self.mass = _above_zero(self.radius**3 if mass is None else mass, "mass", len(self.position))
        self.gravity = _rows(gravity, "gravity", axes=1)
        if not isinstance(walls, (tuple, list, np.ndarray)):
            raise ValueError(f"walls is {walls!r:.60}, but rows (x, y, z, offset), or () for none, were expected.")
        walls = np.zeros((0, 4)) if len(walls) == 0 else as_array(walls, "walls").astype(np.float64)
        fits = walls.ndim == 2 and walls.shape[1] == 4
        if not fits or not np.allclose(np.linalg.norm(walls[:, :3], axis=1), 1, atol=1e-6):
            raise ValueError(
                f"walls is {walls.tolist()!r:.80}, but rows (x, y, z, offset) with a normal of length 1 were expected."
            )
        self.normals, self.offsets = walls[:, :3], walls[:, 3]
        if check_number(restitution, "restitution") > 1:
            raise ValueError(
                f"restitution is {restitution}, but a share from 0 to 1 was expected: no bounce gains speed."
            )
        self.restitution, self.friction = restitution, check_number(friction, "friction")
        self.turn = np.tile(np.eye(3), (len(self.position), 1, 1))
        self.pairs = np.stack(np.triu_indices(len(self.position), 1), 1)
        self._refuse_overlap()

    def _refuse_overlap(self):
        for a, b in self.pairs:
            if np.linalg.norm(self.position[a] - self.position[b]) < self.radius[a] + self.radius[b] - 1e-6:
                raise ValueError(f"balls {a} and {b} overlap at the start; move them apart, or make them smaller.")
        deep = self.position @ self.normals.T - self.offsets < self.radius[:, None] - 1e-6
        if deep.any():
            ball, wall = np.argwhere(deep)[0]
            raise ValueError(f"ball {ball} overlaps wall {wall} at the start; move it, or make it smaller.")

    def advance(self, step: float) -> None:
        """One step: flight, turning, impulses, and a push for what rests and has sunk in."""
        self._refuse_haste(step)
        self.position += self.velocity * step + self.gravity * step**2 / 2
        self.velocity += self.gravity * step
        if self.spin.any():
            self.turn = _turned(self.spin * step) @ self.turn
        contacts = self._contacts()
        fastest = {}
        for _ in range(SWEEPS):
            busy = False
            for contact in contacts:
                approach = self._part(*contact)
                busy |= approach > 1e-9
                fastest[contact] = max(fastest.get(contact, 0.0), approach)
            if not busy:
                break
        for contact, approach in fastest.items():
            if approach < SLOW and self.restitution < 1:
                self._push(*contact)

    def _refuse_haste(self, step: float) -> None:
        """ValueError for two balls that fly through each other within one step, so that nobody would see that they met."""
        if not len(self.pairs):
            return
        a, b = self.pairs.T
        way, reach = (self.velocity[b] - self.velocity[a]) * step, self.radius[a] + self.radius[b]
        for pair in np.flatnonzero((way**2).sum(1) > reach**2):
            apart, moved = self.position[b[pair]] - self.position[a[pair]], way[pair]
            nearest = apart - moved * np.clip(apart @ moved / (moved @ moved), -1, 0)
            if nearest @ nearest < reach[pair] ** 2 <= (apart + moved) @ (apart + moved):
                raise ValueError(
                    f"balls {a[pair]} and {b[pair]} would fly through each other within a step of {1000 * step:.2g} ms; make them slower, "
                    "larger, or ask for more frames per second."
                )

    def _contacts(self) -> list[tuple[int, int, bool]]:
        """What touches: (ball, ball or wall, whether it is a wall)."""
        found = []
        if len(self.pairs):
            a, b = self.pairs.T
            apart = self.position[b] - self.position[a]
            near = (apart**2).sum(1) < (self.radius[a] + self.radius[b]) ** 2
            found += [(int(one), int(other), False) for one, other in self.pairs[near]]
        if len(self.normals):
            touches = self.position @ self.normals.T - self.offsets < self.radius[:, None]
            found += [(int(ball), int(wall), True) for ball, wall in np.argwhere(touches)]
        return found

    def _geometry(
        self, ball: int, other: int, is_wall: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, float]:
        """Normal out of the ball, arms from the centres to the point of contact, and how deep they are in each other."""
        if is_wall:
            normal = -self.normals[other]
            deep = self.radius[ball] - (self.position[ball] @ self.normals[other] - self.offsets[other])
            return normal, (self.radius[ball] - deep) * normal, None, deep
        apart = self.position[other] - self.position[ball]
        distance = max(np.sqrt(apart @ apart), 1e-12)
        normal = apart / distance
        share = self.radius[ball] / (self.radius[ball] + self.radius[other])
        deep = self.radius[ball] + self.radius[other] - distance
        return normal, share * distance * normal, -(1 - share) * distance * normal, deep

    def _part(self, ball: int, other: int, is_wall: bool) -> float:
        """Gives both bodies the impulse of a collision, if they come nearer; returns how fast they did."""
        normal, arm, other_arm, _ = self._geometry(ball, other, is_wall)
        slip = -self._at(ball, arm)
        ease, turning = 1 / self.mass[ball], self._eases_turning(ball, arm)
        if not is_wall:
            slip = slip + self._at(other, other_arm)
            ease += 1 / self.mass[other]
            turning += self._eases_turning(other, other_arm)
        approach = -(slip @ normal)
        if approach <= 0:
            return 0.0
        gives = self.restitution if approach > SLOW or self.restitution == 1 else 0.0
        strength = (1 + gives) * approach / ease
        impulse = strength * normal
        along = slip + approach * normal
        speed = np.sqrt(along @ along)
        if speed > 1e-12:
            impulse -= along / speed * min(self.friction * strength, speed / (ease + turning))
        self._hit(ball, arm, -impulse)
        if not is_wall:
            self._hit(other, other_arm, impulse)
        return float(approach)

    def _at(self, ball: int, arm: np.ndarray) -> np.ndarray:
        """The velocity of the ball's point at `arm` from its centre."""
        return self.velocity[ball] + _cross(self.spin[ball], arm)

    def _eases_turning(self, ball: int, arm: np.ndarray) -> float:
        """By how much an impulse along the surface moves the point of contact because the ball starts to spin, per N s."""
        return float(arm @ arm) / (INERTIA * self.mass[ball] * self.radius[ball] ** 2)

    def _hit(self, ball: int, arm: np.ndarray, impulse: np.ndarray) -> None:
        self.velocity[ball] += impulse / self.mass[ball]
        self.spin[ball] += _cross(arm, impulse) / (INERTIA * self.mass[ball] * self.radius[ball] ** 2)

    def _push(self, ball: int, other: int, is_wall: bool) -> None:
        """Moves what rests and has sunk in a little apart."""
        normal, _, _, deep = self._geometry(ball, other, is_wall)
        push = 0.2 * max(0.0, deep - SLOP) * normal
        share = 1.0 if is_wall else self.mass[other] / (self.mass[ball] + self.mass[other])
        self.position[ball] -= share * push
        if not is_wall:
            self.position[other] += (1 - share) * push


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The vector product of two vectors (3,); for single ones np.cross is slow."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _turned(angles: np.ndarray) -> np.ndarray:
    """Rotation matrices (balls, 3, 3) of rotation vectors (balls, 3), by Rodrigues's formula."""
    angle = np.sqrt((angles**2).sum(1))
    x, y, z = (angles / np.maximum(angle, 1e-30)[:, None]).T
    zero = 0 * x
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    sine, versine = np.sin(angle)[:, None, None], (1 - np.cos(angle))[:, None, None]
    return np.eye(3) + sine * cross + versine * cross @ cross


def _rows(values, name: str, count: int | None = None, axes: int = 2) -> np.ndarray:
    values = as_array(values, name).astype(np.float64)
    if values.ndim != axes or values.shape[-1] != 3 or not values.size or (count is not None and len(values) != count):
        rows = "(3,)" if axes == 1 else f"({'balls' if count is None else count}, 3)"
        raise ValueError(f"{name} has shape {values.shape}, but {rows} was expected.")
    if not (np.abs(values) < LARGEST).all():
        raise ValueError(f"{name} has NaN or numbers of {LARGEST:g} and more in it, but smaller ones were expected.")
    return values.copy()


def _above_zero(values, name: str, count: int) -> np.ndarray:
    values = as_array(values, name).astype(np.float64)
    if values.shape not in ((), (count,)):
        raise ValueError(f"{name} has shape {values.shape}, but one number or ({count},) was expected.")
    if not (np.isfinite(values).all() and (values > 0).all() and (values < LARGEST**3).all()):
        raise ValueError(f"{name} is {values.tolist()!r:.80}, but numbers above 0 were expected.")
    return np.broadcast_to(values, (count,)).copy()
