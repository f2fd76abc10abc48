"""A ball that bounces by chance: what comes next is uncertain, and every chance is known exactly.

The ball goes its way on a grid, one place on both axes a frame, and turns at the walls. Whenever it hits one wall, a
fair coin decides whether it also turns on the other axis; in a corner it goes straight back. So a clip is a few
fair coins: its probability can be counted, all possible futures of its beginning can be listed, and a model that
shows the mean of two futures shows a ball that is nowhere, which `read` does not take for one.

On each axis the place and the direction are one number, the phase, which counts round and round: 0 is the first
place, cells - 1 the last one, and on the way back it goes on to 2 (cells - 1), which is 0 again. To turn is to change
the phase's sign. Both are bijections, so balls that start at evenly drawn phases have even phases at all times.
A ball that runs from corner to corner, 1 of cells - 1 does, never meets a coin. No clip shows which way time runs.
"""

import math
from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed, check_values
from vidgen_tf.worlds import Sample, World

STEP = 2  # pixels from one place to the next
BALL = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], np.float32)  # on a ground of -1

# The root of the summed squared error of a frame: the nearest two places are 7.48 apart, so that nothing may be taken
# for two balls. The mean of two places is at least 3.74 from both, a ball that is half there 3.61: none is a ball.
TOLERANCE = 3.4

MOST_FUTURES = 4096


class Bouncer(World):
    """A ball of 4×4 pixels that bounces by chance, with the exact probability of each clip.

    Truth of `sample`: `place` int (count, frames, 2), column and row from 0 to cells - 1, and `log_prob` float64
    (count,), nats. The caption is "a ball bounces by chance". The same seed gives the same bits on every machine.

    Args:
        frames: frames of a clip, at least 2.
        cells: places on each axis, at least 3; they are 2 pixels apart, a frame has 2 · cells + 2 pixels a side.

    Raises:
        ValueError: for fewer frames or cells.
    """

    def __init__(self, frames: int = 16, cells: int = 7):
        frames, self.cells = check_count(frames, "frames", least=2), check_count(cells, "cells", least=3)
        size = STEP * (self.cells - 1) + len(BALL)
        self.clip_shape = (frames, size, size, 1)
        check_values((self.cells**2, size, size), "the pictures of all places")
        check_values(self.clip_shape, "a clip")
        self._phases = 2 * (self.cells - 1)  # on each axis
        self._pictures = np.full((self.cells, self.cells, size, size), -1, np.float32)  # (row, column, y, x)
        for row, column in np.ndindex(self.cells, self.cells):
            top, left = STEP * row, STEP * column
            self._pictures[row, column, top : top + len(BALL), left : left + len(BALL)] = BALL

    @property
    def entropy_per_frame(self) -> float:
        """What a frame tells beyond the frames before it, in nats: ln 2 where the ball has just met exactly one wall,
        2 · 1/(cells-1) · (1 - 1/(cells-1)) of the time."""
        wall = 1 / (self.cells - 1)
        return 2 * wall * (1 - wall) * math.log(2)

    @property
    def entropy(self) -> float:
        """What a clip tells, in nats: the first two frames 2 ln(2 (cells - 1)), each other one `entropy_per_frame`."""
        return 2 * math.log(self._phases) + (self.clip_shape[0] - 2) * self.entropy_per_frame

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips that start evenly anywhere, in any direction; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        generator = np.random.default_rng(check_seed(seed))
        phase = generator.integers(self._phases, size=(count, 2))
        coins = generator.integers(2, size=(count, self.clip_shape[0])).astype(bool)
        places = []
        for coin in coins.T:
            places.append(self._place(phase))
            turned = np.where((coin & self._chance(phase))[:, None], -phase, phase)  # at a wall -phase is the same
            phase = (turned + 1) % self._phases
        place = np.stack(places, axis=1)
        truth = {"place": place, "log_prob": self._log_prob(place)}
        return Sample(self.render(place), ("a ball bounces by chance",) * count, truth)

    def render(self, places: np.ndarray) -> np.ndarray:
        """Clips of a ball at these places, be they possible or not.

        Args:
            places: int (count, frames, 2), column and row from 0 to cells - 1.

        Returns:
            float32 (count, frames, size, size, 1), values -1, 0 and 1.

        Raises:
            ValueError: for anything else than such places.
        """
        places = self._check_places(places, ("count", self.clip_shape[0], 2))
        check_values((len(places), *self.clip_shape), "the clips")
        return self._pictures[places[..., 1], places[..., 0]][..., None]

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Where the ball is in each frame, if there is one.

        The nearest two places are 7.48 apart (root of the summed squared differences). A frame shows a ball up to an
        error of 3.4, TOLERANCE, which is a root mean square of 0.21 for 7 cells: no picture is near two places at
        once, and the mean of two places, 3.74 from both at least, is no ball.

        Args:
            clips: float32 (count, frames, size, size, 1).

        Returns:
            `place`: int (count, frames, 2), column and row of the nearest place, or -1 where its error is above that;
            `error`: float (count, frames), the root mean square error of the nearest place.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        clips = check_clips(clips, self.clip_shape)
        known = self._pictures.reshape(self.cells**2, -1).astype(np.float64)
        shown = clips.reshape(len(clips) * self.clip_shape[0], -1).astype(np.float64)
        nearest = (shown @ known.T).argmax(axis=1)  # the nearest, since all have the same sum of squares
        error = np.sqrt(np.square(shown - known[nearest]).sum(axis=1))
        row, column = np.divmod(nearest, self.cells)
        place = np.where((error <= TOLERANCE)[:, None], np.stack([column, row], axis=1), -1)
        shape = clips.shape[:2]
        return {"place": place.reshape(*shape, 2), "error": error.reshape(shape) / self.clip_shape[1]}

    def log_prob(self, clips: np.ndarray) -> np.ndarray:
        """The exact log-probability of what each clip shows.

        Args:
            clips: float32 (count, frames, size, size, 1).

        Returns:
            float64 (count,), nats per clip; -inf for a clip that cannot happen, or has a frame without a ball.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        return self._log_prob(self.read(clips)["place"])

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """Shares from 0 to 1 of made clips: "readable", of all frames, those with a ball, and "possible": of all clips,
        those that can happen. The captions are not looked at."""
        place = self.read(clips)["place"]
        possible = np.isfinite(self._log_prob(place))
        return {"readable": float((place >= 0).all(axis=-1).mean()), "possible": float(possible.mean())}

    def futures(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All that can follow the beginning of a clip, and how likely each is.

        Args:
            places: int (k, 2), the first k places of a clip, column and row; from 2 to all its frames.

        Returns:
            Places int (futures, frames, 2), the beginning included, no two alike; their probabilities given the
            beginning, float64 (futures,), which sum to 1.

        Raises:
            ValueError: for a beginning that cannot happen, or one of more than 4,096 futures.
        """
        places, frames = self._check_places(places, ("k", 2)), self.clip_shape[0]
        if not 2 <= len(places) <= frames:
            raise ValueError(f"{len(places)} places came, but the first 2 to {frames} places of a clip were expected.")
        if not np.isfinite(self._log_prob(places[None])[0]):
            raise ValueError(
                f"places {places[:3].tolist()}… cannot happen in this world; give the beginning of a clip of its sample."
            )
        now, last = places[-1], places[-2]
        phase = np.where(now > last, now, -now)[None] % self._phases  # as it arrives, before the coin
        paths, chances = places[None], np.ones(1)
        for _ in range(len(places), frames):
            chance = self._chance(phase)  # these have two futures
            if len(paths) + chance.sum() > MOST_FUTURES:
                raise ValueError(
                    f"{len(places)} of {frames} places have more than {MOST_FUTURES:,} futures; "
                    "give more places or make the world with fewer frames."
                )
            chances = np.where(chance, chances / 2, chances)
            paths, chances = (np.concatenate([values, values[chance]]) for values in (paths, chances))
            phase = (np.concatenate([phase, -phase[chance]]) + 1) % self._phases
            paths = np.concatenate([paths, self._place(phase)[:, None]], axis=1)
        return paths, chances

    def _place(self, phase: np.ndarray) -> np.ndarray:
        return np.minimum(phase, self._phases - phase)

    def _chance(self, phase: np.ndarray) -> np.ndarray:
        """Where a coin is thrown, (…,) for phases (…, 2): at exactly one wall."""
        return (phase % (self.cells - 1) == 0).sum(axis=-1) == 1

    def _log_prob(self, places: np.ndarray) -> np.ndarray:
        """Nats (count,) of places (count, frames, 2); the last frame's coin is not seen."""
        way = np.diff(places, axis=1)
        chance = self._chance(places[:, 1:-1])
        turned = (way[:, 1:] != way[:, :-1]) & (places[:, 1:-1] % (self.cells - 1) != 0)  # though at no wall
        possible = (places >= 0).all(axis=(1, 2)) & (np.abs(way) == 1).all(axis=(1, 2))
        possible &= (~turned.any(axis=-1) | chance).all(axis=1)
        nats = -2 * math.log(self._phases) - chance.sum(axis=1) * math.log(2)
        return np.where(possible, nats, -np.inf)

    def _check_places(self, places: np.ndarray, shape: tuple) -> np.ndarray:
        """The places as an array of whole numbers, if they have as many axes and are in the frame; else ValueError."""
        places = as_array(places, "places")
        fits = places.ndim == len(shape) and all(
            asked in ("count", "k", side) for side, asked in zip(places.shape, shape, strict=True)
        )
        if not fits or not places.size or places.dtype.kind not in "iu":
            raise ValueError(
                f"places has shape {places.shape} and type {places.dtype}, but whole numbers of shape "
                f"({', '.join(map(str, shape))}) were expected: column and row."
            )
        if places.min() < 0 or places.max() >= self.cells:
            raise ValueError(
                f"places go from {places.min()} to {places.max()}, but 0 to {self.cells - 1} was expected."
            )
        return places.astype(np.int64)
