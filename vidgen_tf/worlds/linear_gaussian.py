"""A drifting texture whose likelihood is known exactly: a model can be told by how many nats it falls short.

A few waves make up each frame. From frame to frame they move by a velocity, fade a little and are stirred by as much
as they fade, and each pixel adds noise of its own; all of it is linear and Gaussian:

    state[t] = A state[t-1] + stirring        frame[t] = C state[t] + noise

So a Kalman filter gives the density of a whole clip: each frame is compared with what the frames before it foretell,
and the logarithms of these Gaussian densities add up.

R. E. Kalman: A New Approach to Linear Filtering and Prediction Problems. Journal of Basic Engineering, 1960;
F. C. Schweppe: Evaluation of Likelihood Functions for Gaussian Signals. IEEE Transactions on Information Theory, 1965.
"""

import math
from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.metrics import warping_error
from vidgen_tf.worlds import Sample, World

LEAST_DEVIATIONS = 4  # that must fit between 0 and ±1, so that next to no value is cut off: 6 of 100,000


class LinearGaussian(World):
    """A texture of waves that drifts, with its exact log-likelihood and entropy.

    The waves have whole wave vectors (x, y), so that the texture goes on beyond one border at the other: (1, 0),
    (0, 1), (1, 1), (1, -1), (2, 0), … from the longest wave on; x is the column and y the row of a pixel, from 0.
    The state holds two numbers a wave, how much there is of its cosine and of its sine, each of variance
    signal² / waves at all times: the texture neither fades nor grows.

    Values are cut off at ±1. A pixel of the default world has a deviation of 0.197, so the limit lies at 5.08
    deviations: it is met by 1 value in 2.6 million, by 1 clip in 2,300. `log_prob` is the density without that limit.

    Truth of `sample`:
        state: float64 (count, frames, 2 · waves): cosine and sine of the first wave, of the second, …
        velocity: float64 (count, 2) pixels per frame (x, y), x to the right and y down.
        flow: float32 (count, frames - 1, size, size, 2), the velocity at each pixel, as in `Shapes`; read-only. At the
            border a pixel comes from the opposite one, which `warping_error` does not know: leave it out by `where`.
        log_prob: float64 (count,) nats of the clip.

    The same seed gives the same bits on one machine; on another one they may differ in the last digits, for the
    products of matrices are rounded there in another order. The first clips of a longer sample are others.

    Args:
        frames: frames of a clip, at least 2.
        size: side of a frame in pixels, at least 3.
        waves: how many, at least 1; with n = (size - 1) // 2 there are 2 n (n + 1) that pixels can tell apart.
        velocities: one or several pairs (x, y) in pixels per frame, shorter than half a frame on each axis; a clip
            takes one of them for all its frames, each as likely as the next.
        memory: from 0 to 1, the share of the state that the next frame keeps; at 1 the texture never changes.
        signal: deviation of a pixel without its noise, above 0.
        noise: deviation of a pixel's own noise, above 0.

    Attributes:
        wave_vectors: int (waves, 2).
        observe: C, float64 (size · size, 2 · waves).
        move: A for each velocity, float64 (velocities, 2 · waves, 2 · waves).

    Raises:
        ValueError: for arguments other than these, or where ±1 lies within four deviations of a pixel.
    """

    def __init__(
        self,
        frames: int = 8,
        size: int = 12,
        waves: int = 4,
        velocities: Sequence[tuple[float, float]] = ((1.0, 0.5),),
        memory: float = 0.95,
        signal: float = 0.18,
        noise: float = 0.08,
    ):
        frames, size = check_count(frames, "frames", least=2), check_count(size, "size", least=3)
        self.clip_shape = (frames, size, size, 1)
        check_values(self.clip_shape, "a clip")
        limit = (size - 1) // 2
        if check_count(waves, "waves") > 2 * limit * (limit + 1):
            raise ValueError(
                f"waves is {waves}, but a frame of {size} × {size} pixels can tell 1 to {2 * limit * (limit + 1)} apart."
            )
        check_values((size, size, 2 * waves), "the waves")
        self.velocities = _check_velocities(velocities, size)
        if check_number(memory, "memory") > 1:
            raise ValueError(f"memory is {memory!r}, but a share from 0 to 1 was expected.")
        for name, value in (("signal", signal), ("noise", noise)):
            if not check_number(value, name):
                raise ValueError(f"{name} is {value!r}, but a deviation above 0 was expected, such as 0.1.")
        if math.hypot(signal, noise) > 1 / LEAST_DEVIATIONS:
            raise ValueError(
                f"signal {signal:g} and noise {noise:g} give pixels a deviation of {math.hypot(signal, noise):.3g}, but "
                f"at most {1 / LEAST_DEVIATIONS:g} was expected, for values are cut off at ±1; make them smaller."
            )
        self.memory, self.signal, self.noise = float(memory), float(signal), float(noise)
        self.wave_vectors = _wave_vectors(waves, limit)
        self.observe = _observe(self.wave_vectors, size)
        self.move = np.stack([self.memory * _turn(self.wave_vectors, size, pace) for pace in self.velocities])
        self._prepare()

    def _prepare(self) -> None:
        """What the filter needs beside the clips: variances know no data.

        The cosines and sines are perpendicular over the pixels and equally long, C'C = size²/2 · 1, and A only turns
        and shrinks. So the covariance of the state, given the frames so far, is a multiple of 1 in all frames and for
        all velocities: one number stands for it.
        """
        pixels, numbers, ink = len(self.observe), self.observe.shape[1], self.noise**2
        stationary = self.signal**2 / (numbers / 2)
        before, self._after, self._volume = stationary, [], []
        for _ in range(self.clip_shape[0]):
            seen = pixels / 2 * before / ink  # signal over noise
            # ln det(2π (C before C' + ink · 1)), by the matrix determinant lemma
            self._volume.append(pixels * math.log(2 * math.pi * ink) + numbers * math.log1p(seen))
            self._after.append(before / (1 + seen))
            before = self.memory**2 * self._after[-1] + (1 - self.memory**2) * stationary

    @property
    def entropy(self) -> float:
        """The differential entropy of a clip in nats, ½ Σ ln det(2πe S[t]): no model of real clips costs less on average.

        S[t] is the covariance of frame t, given the frames before it.

        Raises:
            ValueError: for several velocities, whose mixture has no closed form.
        """
        if len(self.velocities) > 1:
            raise ValueError(
                f"the entropy of {len(self.velocities)} velocities has no closed form; give one velocity, "
                "or take the mean of -log_prob over many samples."
            )
        return (sum(self._volume) + math.prod(self.clip_shape)) / 2

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips, each of a velocity drawn evenly from all; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        generator = np.random.default_rng(check_seed(seed))
        which = generator.integers(len(self.velocities), size=count)
        frames, size = self.clip_shape[:2]
        stationary = self.signal * math.sqrt(2 / self.observe.shape[1])
        state = stationary * generator.standard_normal((count, frames, self.observe.shape[1]))
        for t in range(1, frames):
            moved = (self.move[which] @ state[:, t - 1, :, None])[..., 0]
            state[:, t] = moved + math.sqrt(1 - self.memory**2) * state[:, t]
        clips = (state @ self.observe.T).astype(np.float32).reshape(count, *self.clip_shape)
        clips += np.float32(self.noise) * generator.standard_normal(clips.shape, np.float32)
        np.clip(clips, -1, 1, out=clips)
        velocity = self.velocities[which]
        flow = velocity.astype(np.float32)[:, None, None, None]
        captions = [_caption(pace) for pace in self.velocities]
        truth = {
            "state": state,
            "velocity": velocity,
            "flow": np.broadcast_to(flow, (count, frames - 1, size, size, 2)),
            "log_prob": self.log_prob(clips),
        }
        return Sample(clips, tuple(captions[index] for index in which), truth)

    def log_prob(self, clips: np.ndarray) -> np.ndarray:
        """The exact log-density of each clip, a mean over the velocities of the world.

        Args:
            clips: float32 (count, frames, size, size, 1).

        Returns:
            float64 (count,), nats per clip, of values in [-1, 1].

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        return np.logaddexp.reduce(self._filter(clips)[0], axis=0) - math.log(len(self.velocities))

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What the texture most likely was, and how it moved.

        Args:
            clips: float32 (count, frames, size, size, 1).

        Returns:
            `state`: float64 (count, frames, 2 · waves), the mean given the frames up to this one, under the
            likeliest velocity; `velocity`: float64 (count, 2), the likeliest of the world's velocities.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        log_prob, state = self._filter(clips)
        best = log_prob.argmax(axis=0)
        return {"state": state[best, np.arange(len(best))], "velocity": self.velocities[best]}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """What made clips cost under the true law, and how well they move. The captions are not looked at.

        Returns:
            "nats_per_value": the mean of -log_prob / values. Real clips of one velocity cost entropy / values. More means
            pictures or motion that the world lacks, but less is no better: it means a lack of noise or of variety.
            "warping_error": that of `metrics.warping_error` along the velocity that is read, of the pixels that come from
            inside of the frame.
        """
        velocity, (frames, size) = self.read(clips)["velocity"], self.clip_shape[:2]
        shape = (len(clips), frames - 1, size, size)
        flow = np.broadcast_to(velocity[:, None, None, None], (*shape, 2))
        x, y = np.meshgrid(np.arange(size), np.arange(size))
        came = np.stack([x, y], axis=-1) - velocity[:, None, None]  # from where: (count, size, size, 2)
        inside = ((came >= 0) & (came <= size - 1)).all(axis=-1)
        error = warping_error(clips, flow, np.broadcast_to(inside[:, None], shape))
        nats = -self.log_prob(clips).mean() / math.prod(self.clip_shape)
        return {"nats_per_value": float(nats), "warping_error": float(error.mean())}

    def _filter(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log_prob (velocity, count) and state (velocity, count, frames, 2 · waves), for each velocity."""
        clips = check_clips(clips, self.clip_shape)
        frames = clips.reshape(*clips.shape[:2], -1).astype(np.float64)
        seen = frames @ self.observe  # C' frame: all that the state can learn from it; (count, frames, 2 · waves)
        power = np.square(frames).sum(axis=-1)
        ink, length = self.noise**2, frames.shape[-1] / 2  # C'C is length · 1
        log_prob = np.zeros((len(self.move), len(clips)))
        state = np.zeros((len(self.move), *seen.shape))
        for v, move in enumerate(self.move):
            mean = np.zeros_like(seen[:, 0])  # of the state, given the frames before this one
            for t, (after, volume) in enumerate(zip(self._after, self._volume, strict=True)):
                surprise = seen[:, t] - length * mean  # C' (frame - C mean)
                error = power[:, t] - (mean * (seen[:, t] + surprise)).sum(axis=-1)  # |frame - C mean|²
                error -= after / ink * np.square(surprise).sum(axis=-1)  # what the state explains: Woodbury
                log_prob[v] -= (error / ink + volume) / 2
                state[v, :, t] = mean + after / ink * surprise
                mean = state[v, :, t] @ move.T
        return log_prob, state


def _check_velocities(velocities: Sequence[tuple[float, float]], size: int) -> np.ndarray:
    """The velocities as float64 (velocities, 2), if they are different pairs below half a frame; else ValueError."""
    pairs = as_array(velocities, "velocities")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs) or pairs.dtype.kind not in "iuf":
        raise ValueError(
            f"velocities has shape {pairs.shape} and type {pairs.dtype}, but one or several pairs (x, y) of numbers were "
            "expected, such as ((1.0, 0.5),)."
        )
    if not (np.abs(pairs) < size / 2).all():
        raise ValueError(
            f"velocities go up to {np.abs(pairs).max():g} pixels per frame, but less than half a frame, {size / 2:g}, "
            "was expected: beyond it the texture seems to move the other way."
        )
    if len(np.unique(pairs, axis=0)) < len(pairs):
        raise ValueError(f"velocities holds {len(pairs)} pairs and some are equal; give each once.")
    return pairs.astype(np.float64)


def _wave_vectors(waves: int, limit: int) -> np.ndarray:
    """The `waves` shortest wave vectors (x, y) up to `limit`, one of each k and -k: int (waves, 2)."""
    reach = min(limit, math.isqrt(waves) + 1)  # a half disk of this radius has more than enough
    vectors = [(x, y) for x in range(reach + 1) for y in range(-reach, reach + 1) if x > 0 or y > 0]
    return np.array(sorted(vectors, key=lambda k: (k[0] ** 2 + k[1] ** 2, -k[0], -k[1]))[:waves])


def _observe(vectors: np.ndarray, size: int) -> np.ndarray:
    """Cosine and sine of each wave at each pixel, row by row: (size · size, 2 · waves)."""
    y, x = np.divmod(np.arange(size * size), size)
    angle = 2 * np.pi / size * ((np.stack([x, y], axis=1) @ vectors.T) % size)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(size * size, -1)


def _turn(vectors: np.ndarray, size: int, velocity: np.ndarray) -> np.ndarray:
    """The state of the texture moved by a velocity is this matrix times its state: (2 · waves, 2 · waves)."""
    turn = np.zeros((2 * len(vectors), 2 * len(vectors)))
    for wave, angle in enumerate(2 * np.pi / size * (vectors @ velocity)):
        pair = slice(2 * wave, 2 * wave + 2)
        turn[pair, pair] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _caption(velocity: np.ndarray) -> str:
    sides = zip(velocity.tolist(), (("right", "left"), ("down", "up")), strict=True)
    parts = [f"{names[way < 0]} by {abs(way):.3g}" for way, names in sides if abs(way) > 1e-9]
    return f"a texture drifts {' and '.join(parts)} pixels in a frame" if parts else "a texture stands still"
