"""Exercises of lesson 0: counting bytes, the range of pixels, order in time."""

import numpy as np

from vidgen_tf import metrics
from vidgen_tf.clips import to_float
from vidgen_tf.exercises.checking import array_of, exercise, number_of


def _moving_clips(seed: int, count: int = 6) -> np.ndarray:
    """Bright squares that cross a dark room at constant speed: (count, 12, 16, 16, 1)."""
    generator = np.random.default_rng(seed)
    clips = np.full((count, 12, 16, 16, 1), -0.8, np.float32)
    for clip, row in zip(clips, generator.integers(1, 11, count), strict=True):
        for time in range(12):
            clip[time, row : row + 4, time : time + 4] = 0.7
    return clips


@exercise("00.1")
def raw_bytes(answer) -> str | None:
    """00.1: (seconds, fps, height, width) → bytes of an uncompressed colour video."""
    for seconds, fps, height, width in ((1, 1, 1, 1), (10, 25, 720, 1280), (2, 12, 32, 48), (3, 30, 64, 64)):
        right = seconds * fps * height * width * 3
        given = number_of(answer, seconds, fps, height, width)
        if given != right:
            case = f"{seconds} s at {fps} frames/s of {height}×{width}"
            hints = {
                right / 3: "a colour pixel has three numbers, red, green and blue",
                right * 4: "a file holds uint8: one byte a number, where float32 takes four",
                right * 8: "the answer is in bytes, not bits",
                right / fps: "count the frames: seconds times frames per second",
            }
            hint = hints.get(given, "multiply frames, height, width, channels, and bytes a number")
            return f"for {case} it gives {given:,.10g}, but {right:,} bytes are needed; {hint}."
    return None


@exercise("00.2")
def to_range(answer) -> str | None:
    """00.2: uint8 pixels → float32 in [-1, 1]."""
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    result = array_of(answer, levels)
    if result.shape != levels.shape:
        return f"the shape {levels.shape} became {result.shape}, but it should stay."
    if result.dtype != np.float32:
        return f"the answer has type {result.dtype}, but float32 was asked for; end with .astype('float32')."
    if not np.allclose(result, to_float(levels), atol=1e-5):
        low, high = float(result.flat[0]), float(result.flat[-1])
        if low < high and (np.diff(result.ravel()) < 0).any():
            return "some brighter pixels came out darker: uint8 ran over; convert to float32 before you compute."
        if len(np.unique(result)) < 250:
            return "different levels came out equal; is there a `//` or a rounding on the way?"
        if abs(low + 1) < 1e-3 and abs(high - 1) < 1e-3:
            return "the ends are right, but the levels between are not evenly spaced."
        return f"0 became {low:g} and 255 became {high:g}, but -1 and 1 were asked for."
    dim = levels[:, 4:8]
    if not np.allclose(array_of(answer, dim), to_float(dim), atol=1e-5):
        return "a darker picture came out too bright: scale by the range of the type, 0 to 255, not of the picture."
    return None


@exercise("00.3")
def order_score(answer) -> str | None:
    """00.3: clips → one number a clip, frozen below real below shuffled."""
    for seed in (1, 2, 3):
        real = _moving_clips(seed)
        still, mixed = metrics.frozen(real), metrics.shuffled(real, seed)
        scores = {}
        for name, clips in (("real", real), ("frozen", still), ("shuffled", mixed)):
            scores[name] = array_of(answer, clips).astype(float)
            if scores[name].shape != (len(real),):
                return (
                    f"for {len(real)} clips it gives shape {scores[name].shape}, but one number a clip was asked for."
                )
            if not np.isfinite(scores[name]).all():
                return f"for {name} clips it gives NaN or infinity; do you divide by zero?"
        if not (scores["frozen"] < scores["real"] - 1e-9).all():
            return (
                f"real clips score {scores['real'].mean():.3g} and frozen ones {scores['frozen'].mean():.3g}, "
                "but frozen must score lower: look at what changes from one frame to the next."
            )
        if not (scores["shuffled"] > scores["real"] + 1e-9).all():
            return (
                f"real clips score {scores['real'].mean():.3g} and shuffled ones {scores['shuffled'].mean():.3g}, "
                "but shuffled must score higher: compare neighbours in time, not all frames at once."
            )
    return None
