"""Balls that bounce off each other and off the walls of a box: the oldest test of those who foretell video.

Without friction, gravity or chance, all that is to come follows from two frames, yet not for long: each collision
makes a small error several times larger. The kinetic energy never changes, so `read` measures what a generator has
learned of physics: it finds the balls in the pixels, follows them, and says how much energy is left.

I. Sutskever, G. Hinton, G. Taylor: The Recurrent Temporal Restricted Boltzmann Machine. NeurIPS 2008.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_size, check_values
from vidgen_tf.worlds import Sample, World

SPEED = 0.5  # root of the summed squared speeds of all balls, in box units per frame
STEP = 0.5  # frames between two looks at walls and at other balls
MARGIN = 0.2  # of the box: no ball starts nearer to the left or to the upper wall
MOST_BALLS = 50
LEAST_ROOM = 0.001  # of all random placings must be possible ones, so that drawing them ends

# The root of the summed squared error around a ball, up to NEAR radii from its centre, in shares of that of an empty
# place. A ball that is half there has 0.5, an even grey 0.8 or more: neither is a ball.
TOLERANCE, NEAR = 0.45, 1.5

CHUNK = 2**21  # pixels that are drawn or read at a time
FITS, LONGEST, PRECISION = 12, 0.25, 1e-3  # steps of the fit at most; the longest and the last one, in radii
FAR = 1e9  # pixels to a ball that is not there
REACH = 2.5  # (d / radius)², beyond which there is no ink: less than 1e-16 of it, numbers that processors are slow with
COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Balls(World):
    """Balls in a box, by the protocol of Sutskever's program.

    As published: 3 balls of radius 1.2 in a box of 10 × 10, at places drawn evenly from [2, 10] until none overlaps a
    wall or another; velocities drawn from a normal distribution, then scaled until the root of all their squares is
    0.5. A frame is two steps of half a velocity; after each step a ball that overlaps a wall turns away from it, and
    two that overlap exchange the components of their velocities along the line through their centres (they are equally
    heavy), be they on their way apart or not. A ball is exp(-(d / radius)⁸) of ink at the distance d, pixels sum up and
    are cut off at 1; frames are 30 × 30 pixels, clips 100 frames. Training takes 4,000 clips and the test 200: draw
    them by `sample(*Balls.TRAIN)` (1.4 GB) and `sample(*Balls.TEST)`, so that all mean the same.

    Ours: the range of ink is [-1, 1], the random numbers are others, all clips are computed at once, and a box of
    another size has its even places in the same proportion, [box / 5, box].

    Truth of `sample`, in pixels as in `Shapes`: x to the right, y down, from the upper left corner, where the first
    pixel has its centre at (0.5, 0.5); a box unit is size / box = 3 pixels:
        position: float64 (count, frames, balls, 2).
        velocity: float64 (count, frames, balls, 2) pixels per frame, with which a ball leaves this frame.
        energy: float64 (count, frames), the kinetic energy as a share of the first: 1, but for rounding.

    Truth has the same bits for the same seed on every machine; pixels may differ elsewhere in the last digit. The
    first clips of a longer sample are others.

    Args:
        frames: frames of a clip, at least 2.
        size: side of a frame in pixels, at least 8.
        balls: how many, 1 to 50.
        radius: of each, in box units; from one pixel to below half the box.
        box: side of the box, from 1 to below a million units.

    Raises:
        ValueError: for arguments other than these, or balls that find no room.
    """

    TRAIN, TEST = (4000, 0), (200, 1)  # count and seed

    def __init__(self, frames: int = 100, size: int = 30, balls: int = 3, radius: float = 1.2, box: float = 10.0):
        frames, size = check_count(frames, "frames", least=2), check_count(size, "size", least=8)
        check_size(size)
        self.balls, self.box = check_count(balls, "balls"), check_number(box, "box", 1, 1e6)
        if self.balls > MOST_BALLS:
            raise ValueError(f"balls is {balls}, but 1 to {MOST_BALLS} were expected: all pairs are looked at.")
        self.radius = check_number(radius, "radius", self.box / size, self.box / 2)
        self.clip_shape = (frames, size, size, 1)
        check_values(self.clip_shape, "a clip")
        self._pairs = [(i, j) for i in range(self.balls) for j in range(i)]
        if self._fits(self._anywhere(10_000, np.random.default_rng(0))).mean() < LEAST_ROOM:
            raise ValueError(
                f"{self.balls} balls of radius {self.radius:g} find hardly any room in a box of {self.box:g} when they "
                "are thrown in at random; give fewer or smaller ones."
            )
        self._scale = size / self.box  # pixels in a box unit

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        position, velocity = self._run(count, np.random.default_rng(check_seed(seed)))
        energy = np.square(velocity).sum(axis=(2, 3)) / SPEED**2
        truth = {"position": position * self._scale, "velocity": velocity * self._scale, "energy": energy}
        number = COUNTS[self.balls - 1] if self.balls <= len(COUNTS) else str(self.balls)
        caption = f"{number} {'ball bounces' if self.balls == 1 else 'balls bounce'} in a box"
        return Sample(self.render(truth["position"]), (caption,) * count, truth)

    def render(self, positions: np.ndarray) -> np.ndarray:
        """Clips of balls at these places, be they possible or not.

        Args:
            positions: float (count, time, balls, 2), pixels (x, y), of any count, time and number of balls.

        Returns:
            float32 (count, time, size, size, 1).

        Raises:
            ValueError: for anything else than such places.
        """
        positions = as_array(positions, "positions")
        if positions.ndim != 4 or positions.shape[3] != 2 or not positions.size or not np.isfinite(positions).all():
            raise ValueError(
                f"positions has shape {positions.shape}, but finite pixels of shape (count, time, balls, 2) were "
                "expected: x and y."
            )
        shape = (*positions.shape[:2], *self.clip_shape[1:])
        check_values(shape, "the clips")
        clips, places = np.empty(shape, np.float32), positions.reshape(-1, *positions.shape[2:])
        frames = clips.reshape(-1, *shape[2:4])
        for part in self._parts(len(frames)):
            ink = np.minimum(sum(self._ball(place)[0] for place in places[part].swapaxes(0, 1)), 1)
            frames[part] = 2 * ink - 1
        return clips

    @staticmethod
    def frame_errors(clips: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """The error of the published comparisons: squared, with ink as 1 and ground as 0, summed over a frame's pixels.

        What is printed is its mean over frames and clips. To repeat the frame before costs 11.86 as published, 11.8 here.

        Args:
            clips: float32 (count, time, height, width, channels), values in [-1, 1].
            predicted: what was foretold of them, of the same shape.

        Returns:
            float64 (count, time).

        Raises:
            ValueError: for clips that break the convention or differ in their shapes.
        """
        clips, predicted = check_clips(clips), check_clips(predicted, name="predicted")
        if clips.shape != predicted.shape:
            raise ValueError(
                f"clips has shape {clips.shape} and predicted {predicted.shape}; give the same frames of both."
            )
        pairs = zip(clips, predicted, strict=True)
        return np.stack([np.square((clip.astype(np.float64) - other) / 2).sum(axis=(1, 2, 3)) for clip, other in pairs])

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Where the balls are and how they move, as far as pixels tell; with what `metrics` asks of a reading.

        In each frame by itself, balls are put one after the other where they explain most of the ink, then moved until
        the drawn frame comes nearest to this one: to 0.01 pixels in real clips, to 0.1 or so where they are blurred.
        A ball is present up to an error of TOLERANCE, 0.45 of that of an empty place; so one of half the ink is not, and
        in the mean of two places there is one ball while they are up to 3 pixels apart, and none from 4 on. Each ball is
        followed by taking the nearest one in the next frame, or nearest to where it was seen last.

        Args:
            clips: float32 (count, time, size, size, 1), of any time.

        Returns:
            `present`: bool (count, time, balls); `position`: float64 (count, time, balls, 2) pixels, NaN where absent;
            `velocity`: float64 (count, time - 1, balls, 2), the differences of the positions;
            `energy`: float64 (count, time - 1), the kinetic energy of these velocities as a share of what every real
            clip has, NaN where a ball is absent in one of the two frames. Read from real clips it is 1 to 0.003, but
            less in one frame of nine, where a ball has turned on the way from the frame before;
            `count`: int (count,), this world's number of balls, and `radius`: float64 (count, time, balls) pixels.

        Raises:
            ValueError: for clips that break the convention or have another frame size.
        """
        clips = self.check_frames(clips)
        frames = (clips.reshape(-1, *clips.shape[2:4]) + 1) / 2
        found = np.concatenate([self._find(frames[part]) for part in self._parts(len(frames))])
        position = _follow(found.reshape(*clips.shape[:2], self.balls, 2))
        velocity = np.diff(position, axis=1)
        return {
            "count": np.full(len(clips), self.balls),
            "present": np.isfinite(position[..., 0]),
            "position": position,
            "radius": np.full(position.shape[:3], self.radius * self._scale),
            "velocity": velocity,
            "energy": np.square(velocity).sum(axis=(2, 3)) / (SPEED * self._scale) ** 2,
        }

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """How well made clips (count, time, size, size, 1) keep the laws. The captions are not looked at.

        Returns:
            "readable": the share of frames in which all balls are found, 0 to 1;
            "energy_kept": the median of the energy that is read in the second half of the clips: 1 for real ones, more
            where balls gain speed or tremble, 0 where nothing is read. Where few frames are readable it says little,
            for slow balls are blurred least.
        """
        found = self.read(clips)
        energy = found["energy"][:, found["energy"].shape[1] // 2 :]
        energy = energy[np.isfinite(energy)]
        kept = float(np.median(energy)) if energy.size else 0.0
        return {"readable": float(found["present"].all(axis=2).mean()), "energy_kept": kept}

    def _anywhere(self, count: int, generator: np.random.Generator) -> np.ndarray:
        return self.box * (MARGIN + (1 - MARGIN) * generator.random((count, self.balls, 2)))

    def _fits(self, place: np.ndarray) -> np.ndarray:
        """Whether balls at these places, box units (count, balls, 2), touch neither walls nor each other: (count,)."""
        fits = ((place >= self.radius) & (place <= self.box - self.radius)).all(axis=(1, 2))
        for i, j in self._pairs:
            fits &= _length(place[:, i] - place[:, j]) >= 2 * self.radius
        return fits

    def _parts(self, frames: int):
        step = max(1, CHUNK // self.clip_shape[1] ** 2)
        return (slice(start, start + step) for start in range(0, frames, step))

    def _run(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Places and velocities, float64 (count, frames, balls, 2), in box units and those per frame."""
        velocity = generator.standard_normal((count, self.balls, 2))
        velocity *= SPEED / np.sqrt(np.square(velocity).sum(axis=(1, 2), keepdims=True))
        place, left = np.empty_like(velocity), np.arange(count)
        while len(left):
            place[left] = self._anywhere(len(left), generator)
            left = left[~self._fits(place[left])]
        places, velocities = np.empty((2, count, self.clip_shape[0], self.balls, 2))
        for t in range(self.clip_shape[0]):
            places[:, t], velocities[:, t] = place, velocity
            for _ in range(round(1 / STEP)):
                place += STEP * velocity
                np.copyto(velocity, np.abs(velocity), where=place - self.radius < 0)
                np.copyto(velocity, -np.abs(velocity), where=place + self.radius > self.box)
                for i, j in self._pairs:
                    self._collide(place, velocity, i, j)
        return places, velocities

    def _collide(self, place: np.ndarray, velocity: np.ndarray, i: int, j: int) -> None:
        """Exchanges the velocities of balls i and j along the line through their centres, where they overlap."""
        apart = place[:, i] - place[:, j]
        length = _length(apart)
        hit = np.flatnonzero(length < 2 * self.radius)
        normal = apart[hit] / length[hit, None]
        change = ((velocity[hit, j] - velocity[hit, i]) * normal).sum(axis=1, keepdims=True) * normal
        velocity[hit, i] += change
        velocity[hit, j] -= change

    def _ball(self, place: np.ndarray) -> tuple[np.ndarray, ...]:
        """The ink of one ball in each frame, float32 (n, size, size), at places (n, 2) in pixels; and the offsets of the
        columns and rows from its centre, in radii, (n, size)."""
        radius, centres = self.radius * self._scale, np.arange(self.clip_shape[1]) + 0.5
        offsets = np.clip((centres - place.T[..., None]) / radius, -1e4, 1e4)  # that far away there is no ink
        x, y = offsets.astype(np.float32)
        power = np.square(y)[:, :, None] + np.square(x)[:, None]  # (d / radius)²
        return np.where(power < REACH, np.exp(-np.square(np.square(power))), 0), power, x, y

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places half a radius apart (places, 2), pixels; one ball there (places, size · size); their products."""
        steps = int(np.ceil(2 * (self.box - self.radius) / self.radius)) + 1
        axis = self._scale * np.linspace(self.radius / 2, self.box - self.radius / 2, steps)
        check_values((steps**2, *self.clip_shape[1:]), "the pictures of all places")
        check_values((steps**2, steps**2), "the products of the pictures of all places")
        places = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        pictures = self._ball(places)[0].reshape(len(places), -1)
        return places, pictures, pictures @ pictures.T

    def _find(self, frames: np.ndarray) -> np.ndarray:
        """The balls of each frame by itself, pixels (n, balls, 2), NaN for those that are not there."""
        places, pictures, products = self._known
        agreement = frames.reshape(len(frames), -1) @ pictures.T
        place, present = np.empty((len(frames), self.balls, 2)), np.empty((len(frames), self.balls), bool)
        for ball in range(self.balls):
            gain = 2 * agreement - np.diag(products)  # by how much a ball there makes the squared error smaller
            best = gain.argmax(axis=1)
            place[:, ball], present[:, ball] = places[best], gain.max(axis=1) > -0.3 * np.diag(products)[best]
            agreement -= products[best]
        moving = np.arange(len(frames))
        for _ in range(FITS):
            balls, error = self._compare(frames[moving], place[moving], present[moving])
            step = np.stack([_step(*ball, error) for ball in balls], axis=1) * present[moving, :, None]
            place[moving] = np.clip(place[moving] + self.radius * self._scale * step, 0, self.clip_shape[1])
            moving = moving[np.abs(step).max(axis=(1, 2)) > PRECISION]
            if not len(moving):
                break
        balls, error = self._compare(frames, place, present)
        for ball, (ink, power, *_) in enumerate(balls):
            wrong = np.where(power < NEAR**2, np.square(error), 0).sum(axis=(1, 2))
            present[:, ball] &= wrong <= TOLERANCE**2 * np.square(ink).sum(axis=(1, 2))
        for i, j in self._pairs:  # one ball found twice
            present[:, i] &= ~present[:, j] | (_length(place[:, i] - place[:, j]) > self.radius * self._scale)
        return np.where(present[..., None], place, np.nan)

    def _compare(self, frames: np.ndarray, place: np.ndarray, present: np.ndarray) -> tuple[list, np.ndarray]:
        """Each ball as it is drawn, and the frames less the drawn frames, (n, size, size)."""
        balls = [self._ball(each) for each in place.swapaxes(0, 1)]
        drawn = sum(ink * there[:, None, None] for (ink, *_), there in zip(balls, present.T, strict=True))
        return balls, frames - np.minimum(drawn, 1)


def _step(ink: np.ndarray, power: np.ndarray, x: np.ndarray, y: np.ndarray, error: np.ndarray) -> np.ndarray:
    """How far to move a ball, in radii (n, 2), at most LONGEST: the step of Gauss and Newton."""
    slope = 8 * power * np.square(power) * ink  # times x or y: by how much the ink grows where the ball comes nearer
    weight, pull = np.square(slope), slope * error
    xx, yy = (1e-3 + (weight.sum(axis=axis) * np.square(way)).sum(axis=1) for axis, way in ((1, x), (2, y)))
    xy = ((weight @ x[..., None])[..., 0] * y).sum(axis=1)
    right, down = ((pull.sum(axis=axis) * way).sum(axis=1) for axis, way in ((1, x), (2, y)))
    step = np.stack([yy * right - xy * down, xx * down - xy * right], axis=1) / (xx * yy - xy**2)[:, None]
    return np.clip(step, -LONGEST, LONGEST)


def _follow(found: np.ndarray) -> np.ndarray:
    """The same places (count, time, balls, 2), each ball of a frame in the row of the nearest of the frame before."""
    position, clip = found.copy(), np.arange(len(found))
    last = found[:, 0].copy()  # where each ball was seen last
    for t in range(1, found.shape[1]):
        distance = np.nan_to_num(_length(last[:, :, None] - found[:, t, None]), nan=FAR)  # (count, before, now)
        for _ in range(found.shape[2]):
            before, now = np.divmod(distance.reshape(len(found), -1).argmin(axis=1), found.shape[2])
            position[clip, t, before] = found[clip, t, now]
            distance[clip, before] = distance[clip, :, now] = np.inf
        last = np.where(np.isnan(position[:, t]), last, position[:, t])
    return position


def _length(way: np.ndarray) -> np.ndarray:
    """Lengths of vectors (…, 2)."""
    return np.sqrt(way[..., 0] ** 2 + way[..., 1] ** 2)
