"""The checks of the exercises: `check(name, answer)` says right, not attempted, or what is wrong.

A check never raises and never stops a notebook: what goes wrong inside the reader's function is part of the
verdict. Each check is itself tested against one right and at least three plausible wrong answers
(`tests/test_exercises.py`). To add one, write a function that takes the answer and returns the first fault it
finds as a sentence, or None, and name it with `@exercise("lesson.number")`.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vidgen_tf import metrics
from vidgen_tf.clips import to_float

CHECKS: dict[str, Callable[[Any], str | None]] = {}
HINTS = {  # what NumPy says, and what a reader can do about it
    "broadcast": " (the shapes do not fit: make one of them a column with [:, None]?)",
    "matmul": " (for a sum over all pixels write np.sum(a * b))",
    "CastingError": " (convert with .astype('float32') before you compute)",
}


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        status: "right", "not attempted" or "wrong".
        message: a sentence for the reader.
    """

    status: str
    message: str

    def __repr__(self) -> str:
        sign = {"right": "✔ Right", "not attempted": "… Not attempted", "wrong": "✘ Not yet"}[self.status]
        return f"{sign}: {self.message}"


class NotAttemptedError(Exception):
    """The stub is still a stub."""


def exercise(name: str):
    """Registers a function (answer) → fault or None as the check of the exercise `name`."""

    def register(fault_of: Callable[[Any], str | None]):
        CHECKS[name] = fault_of
        return fault_of

    return register


def check(name: str, answer: Any) -> Verdict:
    """Says whether an answer is right, and what is wrong if it is not.

    Args:
        name: of the exercise, as the notebook gives it, such as "00.1".
        answer: the reader's function; `...` or a function that returns `...` is not attempted.

    Returns:
        A Verdict; shown when it is the last line of a cell. It never raises.
    """
    if not isinstance(name, str) or name not in CHECKS:
        return Verdict("wrong", f"there is no exercise {name!r}; known: {', '.join(sorted(CHECKS))}.")
    if answer is ...:
        return Verdict("not attempted", "replace the ... by your answer and run the cell again.")
    try:
        with np.errstate(all="ignore"):
            fault = CHECKS[name](answer)
    except NotAttemptedError:
        return Verdict("not attempted", "replace the ... by your answer and run the cell again.")
    except KeyboardInterrupt:
        return Verdict("wrong", "the check was interrupted; does your function end?")
    except BaseException as error:  # whatever the reader's function does, the notebook goes on
        words = _one_line(error)
        hint = next((hint for sign, hint in HINTS.items() if sign in words), "")
        return Verdict("wrong", f"it stopped with {words}{hint}")
    return Verdict("wrong", fault) if fault else Verdict("right", "the check found no fault.")


def _one_line(error: BaseException) -> str:
    """What an error says, on one line, whatever it says."""
    words = " ".join(traceback.format_exception_only(error)).split()
    return " ".join(words)[:300]


def _call(function: Any, *arguments) -> Any:
    """The function's answer for copies of the arguments; NotAttemptedError if it is still `...`."""
    if not callable(function):
        raise TypeError(f"a function was expected, not {type(function).__name__}; give its name without brackets")
    copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    result = function(*copies)
    if result is ...:
        raise NotAttemptedError
    if result is None:
        raise TypeError("the function returns nothing; is its `return` missing?")
    return result


def _array(function: Any, *arguments) -> np.ndarray:
    """As `_call`, with the answer as an array of numbers."""
    result = np.asarray(_call(function, *arguments))
    if result.dtype.kind not in "biuf":
        raise TypeError(f"numbers were expected as the answer, not {type(result.flat[0]).__name__}")
    return result


def _number(function: Any, *arguments) -> float:
    """As `_call`, with the answer as one number."""
    result = _array(function, *arguments)
    if result.size != 1:
        raise TypeError(f"one number was expected as the answer, not an array of shape {result.shape}")
    return float(result.reshape(()))


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
        given = _number(answer, seconds, fps, height, width)
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
    result = _array(answer, levels)
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
    if not np.allclose(_array(answer, dim), to_float(dim), atol=1e-5):
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
            scores[name] = _array(answer, clips).astype(float)
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


@exercise("01.1")
def parameters(answer) -> str | None:
    """01.1: (latent, hidden, height, width) → number of weights and biases."""
    for latent, hidden, height, width in ((100, (256, 512), 64, 64), (2, (3, 5), 1, 1), (16, (32, 8), 4, 6)):
        sizes = [latent, *hidden, height * width * 3]
        right = sum(a * b + b for a, b in pairwise(sizes))
        given = _number(answer, latent, hidden, height, width)
        if given != right:
            weights = sum(a * b for a, b in pairwise(sizes))
            grey = [*sizes[:-1], height * width]
            hints = {
                weights: "each unit also has a bias",
                sum(a * b + b for a, b in pairwise(grey)): "each pixel has three numbers",
                right - (latent * hidden[0] + hidden[0]): "the first layer, from the code, is missing",
                right - (sizes[-2] + 1) * sizes[-1]: "the last layer, to the pixels, is missing",
                right - sizes[-1]: "the last layer has biases too",
            }
            hint = hints.get(given, "a dense layer from a to b units has a·b weights and b biases")
            return (
                f"for code {latent}, hidden {hidden}, {height}×{width} it gives {given:,.10g}, not {right:,}; {hint}."
            )
    return None


@exercise("01.2")
def straight_path(answer) -> str | None:
    """01.2: (start, stop, count) → codes (count, latent_size) on the straight line."""
    generator = np.random.default_rng(5)
    for size, count in ((4, 5), (100, 9), (3, 2)):
        start, stop = generator.standard_normal((2, size)).astype(np.float32)
        path = _array(answer, start, stop, count)
        if path.shape != (count, size):
            return f"for {count} points of {size} numbers it gives shape {path.shape}, not {(count, size)}."
        if np.allclose(path[0], stop, atol=1e-4) and np.allclose(path[-1], start, atol=1e-4):
            return "the path runs backwards: the first point should be `start`."
        if not np.allclose(path[0], start, atol=1e-4):
            return "the first point is not `start`."
        if not np.allclose(path[-1], stop, atol=1e-4):
            return "the last point is not `stop`; does your share of `stop` reach 1?"
        steps = np.diff(path, axis=0)
        if not np.allclose(steps, (stop - start) / (count - 1), atol=1e-4):
            return "the ends are right, but the points between are not equally far apart on the straight line."
    return None


@exercise("01.3")
def blend_weight(answer) -> str | None:
    """01.3: (frame, first, last) → the share of `last` in the nearest cross-fade."""
    generator = np.random.default_rng(9)
    first, last, other = generator.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
    line = (last - first).ravel().astype(float)
    off = other.ravel() - line * (other.ravel() @ line) / (line @ line)  # a direction that no blend explains
    for weight, noise in ((0.2371, 0), (0.5, 0), (0.9134, 0), (0.0, 0), (1.0, 0), (0.3182, 0.2)):
        frame = (first + weight * (last - first) + noise * off.reshape(first.shape)).astype(np.float32)
        given = _number(answer, frame, first, last)
        if not abs(given - weight) <= 1e-3:  # NaN is no answer either
            case = f"a blend with {weight:.0%} of the last frame" + (" and something else in it" if noise else "")
            if not np.isfinite(given):
                return f"for {case} it gives {given}: divide one sum by another, not pixel by pixel."
            if abs(given - (1 - weight)) < 1e-3:
                return f"for {case} it gives {given:.3f}: that is the share of the first frame."
            return f"for {case} it gives {given:.3f}, but the nearest blend has {weight:.3f}."
    return None


@exercise("02.1")
def best_discriminator(answer) -> str | None:
    """02.1: densities (p, q) of real and made things → what the best discriminator says."""
    generator = np.random.default_rng(21)
    real, made = generator.uniform(0.01, 3, (2, 50))
    right = real / (real + made)
    given = _array(answer, real, made)
    if given.shape != right.shape:
        return f"for 50 places it gives shape {given.shape}, but one probability a place was asked for."
    if np.allclose(given, right, atol=1e-6):
        return None
    if np.allclose(given, 1 - right, atol=1e-6):
        return "that is the probability that a thing is made; D says the probability that it is real."
    if np.allclose(given, real / made, rtol=1e-5):
        return "that is the odds, real against made; a probability is a share of the whole."
    if np.allclose(given, right > 0.5):
        return "the best answer is a probability, not the more likely side: being sure and wrong costs much."
    if not ((given >= 0) & (given <= 1)).all():
        return f"it gives numbers from {given.min():.3g} to {given.max():.3g}, but a probability lies between 0 and 1."
    worst = np.abs(given - right).argmax()
    return f"where p = {real[worst]:.3g} and q = {made[worst]:.3g} it says {given[worst]:.3g}, not {right[worst]:.3g}."


@exercise("02.2")
def generator_pays(answer) -> str | None:
    """02.2: logits of made pictures → the mean of -log sigmoid(logit), whatever the logits."""
    for logits in (np.array([1.5]), np.array([-2.0, 0.5, 3.0]), np.random.default_rng(22).normal(0, 4, 64)):
        right = np.logaddexp(0, -logits).mean()
        given = _number(answer, logits)
        if abs(given - right) <= 1e-6 * max(1, right):
            continue
        hints = {
            np.logaddexp(0, logits).mean(): "that is what the discriminator pays for made pictures: mind the sign",
            -np.logaddexp(
                0, logits
            ).mean(): "log(1 - D) was the first idea, but its slope vanishes where D is sure; lower -log D",
            np.logaddexp(0, -logits).sum(): "take the mean over the batch, not the sum",
            -right: "a loss is lowered: mind the sign",
            np.mean(1 / (1 + np.exp(-logits))): "the logarithm is missing",
        }
        hint = next((hint for value, hint in hints.items() if abs(given - value) <= 1e-6 * max(1, abs(value))), None)
        hint = hint or "-log(sigmoid(a)) is log(1 + exp(-a))"
        return f"for logits {np.round(logits[:3], 2).tolist()} … it gives {given:.4g}, not {right:.4g}; {hint}."
    for logits, right in ((np.array([-1000.0]), 1000.0), (np.array([1000.0]), 0.0)):
        given = _number(answer, logits)
        if not abs(given - right) <= 1e-3:
            return (
                f"for a logit of {logits[0]:g} it gives {given:g}, not {right:g}: the exponential overflows or the "
                "logarithm meets 0; np.logaddexp(0, -a) does not."
            )
    for logits, right in ((np.array([30.0]), np.exp(-30.0)),):
        given = _number(answer, logits)
        if not abs(given - right) <= 1e-3 * right:
            return f"for a logit of {logits[0]:g} it gives {given:g}, not {right:.3g}: the sigmoid was rounded to 1."
    return None


@exercise("02.3")
def expected_coverage(answer) -> str | None:
    """02.3: (modes, count) → the share of modes that count fair draws are expected to show."""
    for modes, count in ((2, 1), (2, 2), (100, 100), (100, 1000), (10, 5)):
        right = 1 - (1 - 1 / modes) ** count
        given = _number(answer, modes, count)
        if not abs(given - right) <= 1e-9:  # NaN is no answer either
            hints = {
                modes * right: "that is their number; divide by how many there are",
                min(count / modes, 1): "some modes are drawn twice before others are drawn once",
                1 - right: "that is the share that is missed",
                1 - (1 / modes) ** count: "one mode is missed by one draw with probability 1 - 1/modes",
            }
            hint = next((hint for value, hint in hints.items() if abs(given - value) <= 1e-9), None)
            hint = hint or "a mode is missed by all draws with probability (1 - 1/modes) to the power count"
            return f"for {count} draws from {modes} modes it gives {given:.4g}, not {right:.4g}; {hint}."
    return None


@exercise("03.1")
def laid_over(answer) -> str | None:
    """03.1: (background (h, w, c), sheet (h, w, c + 1): colours times cover, then cover) → the frame (h, w, c)."""
    return next((wrong for channels in (3, 1) if (wrong := _laid_over(answer, channels))), None)


def _laid_over(answer, channels: int) -> str | None:
    generator = np.random.default_rng(31)
    background = generator.uniform(-1, 1, (6, 7, channels)).astype(np.float32)
    color = generator.uniform(-1, 1, (6, 7, channels)).astype(np.float32)
    cover = generator.uniform(0, 1, (6, 7, 1)).astype(np.float32)
    cover[:2] = 0
    cover[2:4] = 1
    sheet = np.concatenate([color * cover, cover], axis=-1)
    right = background * (1 - cover) + color * cover
    given = _array(answer, background.copy(), sheet.copy())
    if given.shape != right.shape:
        return f"for a background of shape (6, 7, {channels}) it gives shape {given.shape}; a frame has the background's shape."
    if np.allclose(given, right, atol=1e-5):
        return None
    hints = (
        (background * (1 - cover) + color * cover * cover, "the sheet's colours were multiplied by the cover already"),
        (background + color * cover, "where the sheet covers, the background must go: 1 minus the cover of it is left"),
        (background * cover + color * cover, "the background shows where the cover is 0, not where it is 1"),
        (np.where(cover > 0.5, color * cover, background), "half covered pixels show both, in shares"),
        (background * (1 - cover) + color, "the colours are those of the sheet as they stand in it"),
    )
    hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-5)), None)
    if hint:
        return f"{hint}."
    if not np.allclose(given[:2], right[:2], atol=1e-5):
        return "where the cover is 0 the frame must be the background, and it is not."
    return "where the cover is 0 it is right, elsewhere not; one channel of the sheet, its last, is the cover."


@exercise("03.2")
def looked_up(answer) -> str | None:
    """03.2: (picture (h, w), x, y) → its value at (x, y), mixed linearly from the four pixels around."""
    picture = np.random.default_rng(32).uniform(-1, 1, (5, 9))
    for x, y in ((3.0, 2.0), (3.7, 1.2), (3.25, 2.0), (3.0, 2.75), (0.4, 2.9)):
        left, top = int(x), int(y)
        a, b = x - left, y - top
        corners = picture[top : top + 2, left : left + 2]

        def mixed(a, b, corners=corners):
            return (corners * np.outer([1 - b, b], [1 - a, a])).sum()

        given = _number(answer, picture, x, y)
        if abs(given - mixed(a, b)) <= 1e-6:
            continue
        hints = {
            mixed(round(a), round(b)): "that is the nearest pixel; mix the four around",
            mixed(1 - a, 1 - b): "the nearer pixel has the larger share: at x = 3.25, pixel 3 has 0.75",
            mixed(b, a): "the shares of x and y are exchanged",
            corners.mean(): "that is the plain mean of four pixels; the nearer ones count more",
            mixed(0, 0): "that is the pixel above and to the left; mix the four around",
        }
        if x < 5 and y < 9:
            hints[picture[min(int(x), 4), min(int(y), 8)]] = "an array is indexed [row, column], so y comes first"
        hint = next((hint for value, hint in hints.items() if abs(given - value) <= 1e-6), None)
        hint = hint or "first mix along x in the two rows, then mix the two results along y; y is the row"
        return f"at x = {x}, y = {y} it gives {given:.4g}, not {mixed(a, b):.4g}; {hint}."
    return None


@exercise("03.3")
def place_on_the_sheet(answer) -> str | None:
    """03.3: (points (n, 2) of a frame, pose (x, y, log size, angle)) → where on the sheet each looks (n, 2)."""
    points = np.random.default_rng(33).uniform(-1, 1, (7, 2))
    cases = (
        (np.zeros(4), "without any move, each point looks at itself"),
        (np.array([0.5, -0.25, 0, 0]), "a sheet moved by 0.5 is looked up 0.5 before: subtract the place"),
        (np.array([0, 0, np.log(2), 0]), "on a sheet twice as large, look half as far out: divide by exp(log size)"),
        (np.array([0, 0, 0, np.pi / 2]), "turn the other way: the look-up undoes the sheet's turn"),
        (np.array([0.3, 0.1, -0.4, 0.8]), "undo in this order: first the place, then the turn and the size"),
    )
    for pose, hint in cases:
        x, y = (points - pose[:2]).T
        cosine, sine = np.cos(pose[3]), np.sin(pose[3])
        right = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1) / np.exp(pose[2])
        given = _array(answer, points, pose)
        if given.shape != right.shape:
            return f"for points of shape {points.shape} it gives shape {given.shape}; one (x, y) a point was asked for."
        if not np.allclose(given, right, atol=1e-6):
            return f"for the pose {np.round(pose, 2).tolist()} it is wrong: {hint}."
    return None


@exercise("04.1")
def kl_between(answer) -> str | None:
    """04.1: means and log variances of q and p → KL(q || p) in nats, summed."""

    def kl(q_mean, q_log, p_mean, p_log):
        return 0.5 * np.sum(p_log - q_log + (np.exp(q_log) + (q_mean - p_mean) ** 2) / np.exp(p_log) - 1)

    for seed, size in ((41, 1), (42, 5), (43, (3, 2))):
        q_mean, q_log, p_mean, p_log = case = np.random.default_rng(seed).normal(0, 1, (4, *np.atleast_1d(size)))
        right, given = kl(*case), _number(answer, *case)
        if abs(given - right) <= 1e-6 * max(1, right):
            continue
        hints = [
            (kl(p_mean, p_log, q_mean, q_log), "that is KL(p || q): the draws are q's"),
            (kl(q_mean, q_log, 0 * p_mean, 0 * p_log), "that is the price for a standard normal p; p has a mean and a variance"),
            (kl(q_mean, 2 * q_log, p_mean, 2 * p_log), "the log variance was taken for the logarithm of the deviation"),
            (2 * right, "the half in front is missing"),
            (right / q_mean.size, "that is the mean over the numbers; sum over them"),
            (right / np.log(2), "that is in bits; nats were asked for"),
        ]  # fmt: skip
        hint = next((hint for value, hint in hints if abs(given - value) <= 1e-6 * max(1, abs(value))), None)
        hint = hint or ("it is never negative" if given < 0 else "go through the formula term by term")
        return f"for Gaussians of {q_mean.size} number{'s' if q_mean.size > 1 else ''} it gives {given:.4g}, not {right:.4g}; {hint}."
    return None


@exercise("04.2")
def paid(answer) -> str | None:
    """04.2: (kl of each latent of each clip, free nats) → what the batch pays."""
    for free in (20.0, 1.0, 0.0):
        kl = np.random.default_rng(44).gamma(1.0, 2.0, (6, 4)) * [0.1, 0.5, 1.0, 3.0]
        right, given = np.maximum(kl.mean(axis=0), free).sum(), _number(answer, kl, free)
        if abs(given - right) <= 1e-6:
            continue
        hints = [
            (np.maximum(kl, free).mean(axis=0).sum(), "first the mean over the batch, then what is free: else clips that tell much cannot make up for others"),
            (np.maximum(kl.mean(axis=0) - free, 0).sum(), "a latent pays the larger of the two, its kl or what is free; nothing is subtracted"),
            (kl.mean(axis=0).sum(), "that is the kl itself; where are the free nats?"),
            (np.minimum(kl.mean(axis=0), free).sum(), "never less than what is free: the larger of the two"),
            (max(kl.mean(axis=0).sum(), free), "what is free is free for each latent, and then all are summed"),
            (np.maximum(kl.mean(axis=1), free).sum(), "the first axis is the clips: the mean goes over it"),
            (np.maximum(kl.mean(axis=0), free).mean(), "sum over the latents"),
        ]  # fmt: skip
        hint = next(
            (hint for value, hint in hints if abs(given - value) <= 1e-6),
            "mean over clips, then the larger, then the sum",
        )
        return f"for 6 clips, 4 latents and {free:g} free nats it gives {given:.4g}, not {right:.4g}; {hint}."
    return None


@exercise("04.3")
def bound_of(answer) -> str | None:
    """04.3: log weights (draws, clips) → the importance-weighted bound of each clip, without overflow."""
    for middle in (0.0, -50_000.0, 50_000.0):
        weights = middle + np.random.default_rng(45).normal(0, 3, (7, 5))
        right = np.logaddexp.reduce(weights, axis=0) - np.log(7)
        given = _array(answer, weights)
        if given.shape != right.shape:
            return f"for 7 draws of 5 clips it gives shape {given.shape}, but one number a clip was asked for."
        if np.allclose(given, right, rtol=0, atol=1e-6 * max(1, abs(middle))):
            continue
        if not np.isfinite(given).all():
            return f"for log weights near {middle:g} it gives {given[0]:g}: the exponential leaves the range of numbers; take the largest out first."
        hints = [
            (weights.mean(axis=0), "that is the mean of the logarithms, the plain bound; the logarithm of the mean is larger"),
            (np.logaddexp.reduce(weights, axis=0), "that is the sum over draws; the mean was asked for"),
            (weights.max(axis=0), "that is the largest draw alone"),
        ]  # fmt: skip
        hint = next((hint for value, hint in hints if np.allclose(given, value)), "log mean exp, over the draws")
        return f"for log weights near {middle:g} it gives {given[0]:.6g}, not {right[0]:.6g}; {hint}."
    return None


@exercise("05.1")
def stretched_density(answer) -> str | None:
    """05.1: (places, scale, shift) → the density there of scale · z + shift, with z standard normal."""
    x = np.linspace(-2.5, 2.2, 9)
    normal = lambda z: np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)  # noqa: E731
    for scale, shift in ((1.0, 0.0), (3.0, 0.0), (0.5, -1.0), (-2.0, 0.3)):
        z = (x - shift) / scale
        right = normal(z) / abs(scale)
        given = _array(answer, x, scale, shift)
        if given.shape != right.shape:
            return f"for 9 places it gives shape {given.shape}, but one density a place was asked for."
        if np.allclose(given, right, atol=1e-7):
            continue
        hints = (
            (normal(z) / scale, "a density is never negative: what counts is the absolute value of the scale"),
            (normal(z), "the noise is right, but the stretch is missing: twice as wide is half as high"),
            (normal(z) * abs(scale), "twice as wide is half as high: divide by the stretch"),
            (normal(x * scale + shift) / abs(scale), "first find the noise that lands at x: undo shift and scale"),
            (normal(x * scale + shift) * abs(scale), "first find the noise that lands at x: undo shift and scale"),
            (normal(x / scale - shift) / abs(scale), "undo the last step first: subtract the shift, then divide"),
            (normal((x + shift) / scale) / abs(scale), "to undo a shift, subtract it"),
            (normal(z) / scale**2, "the density is divided by the scale once"),
            (np.log(right), "that is its logarithm"),
            (right * np.sqrt(2 * np.pi), "the area under it must be 1: a standard normal has a factor 1 / √(2π)"),
        )
        hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-7)), None)
        hint = hint or "take z = (x - shift) / scale, the normal density there, and the slope of that z"
        return f"for scale {scale:g} and shift {shift:g} it is wrong: {hint}."
    return None


@exercise("05.2")
def undone_coupling(answer) -> str | None:
    """05.2: (y (count, 4), network: (count, 2) → log scale and shift) → x (count, 4), of which the first half stayed."""
    x = np.random.default_rng(52).normal(0, 1, (7, 4))
    cases = (
        (lambda half: np.zeros_like(half), lambda half: np.zeros_like(half)),
        (lambda half: np.sin(2 * half[:, ::-1]), lambda half: half**2 - 0.5),
    )
    for scale, shift in cases:

        def network(half, scale=scale, shift=shift):
            half = np.asarray(half, np.float64)
            if half.shape != (7, 2):
                raise ValueError(f"the network takes a half, (7, 2), and got {half.shape}")
            return scale(half), shift(half)

        s, t = network(x[:, :2])
        y = np.concatenate([x[:, :2], x[:, 2:] * np.exp(s) + t], axis=1)
        given = _array(answer, y, network)
        if given.shape != x.shape:
            return f"for y of shape (7, 4) it gives shape {given.shape}, but all of x was asked for, both halves."
        if np.allclose(given, x, atol=1e-6):
            continue
        if not np.allclose(given[:, :2], x[:, :2], atol=1e-6):
            return "the first two columns stayed as they were, and should here too."
        changed, (wrong_s, wrong_t) = y[:, 2:], network(y[:, 2:])
        hints = (
            (changed * np.exp(-s) - t, "undo the last step first: subtract t, then scale back"),
            ((changed - t) * np.exp(s), "to undo exp(s), multiply by exp(-s)"),
            ((changed + t) * np.exp(-s), "to undo a shift, subtract it"),
            ((changed - t) / np.where(s == 0, 1, s), "the scale was exp(s), not s"),
            (changed * np.exp(s) + t, "that couples once more; it should be undone"),
            (changed, "that half is still coupled"),
            (
                (changed - wrong_t) * np.exp(-wrong_s),
                "ask the network about the half that stayed; the other was changed",
            ),
        )
        hint = next((hint for value, hint in hints if np.allclose(given[:, 2:], value, atol=1e-6)), None)
        return f"the second half is wrong: {hint or 'solve y2 = x2 · exp(s) + t for x2'}."
    return None


@exercise("05.3")
def bits_of_levels(answer) -> str | None:
    """05.3: (log_prob (count,) in nats, values of a clip, levels in [-1, 1]) → bits a value (count,)."""
    log_prob = np.array([-900.0, -12.5, 0.0, 310.0, 2100.0])
    for values, levels in ((1152, 256), (300, 256), (1152, 2), (64, 17)):
        density = -log_prob / values / np.log(2)  # bits of the density
        right = density + np.log2((levels - 1) / 2)
        given = _array(answer, log_prob, values, levels)
        if given.shape != right.shape:
            return f"for 5 clips it gives shape {given.shape}, but one number a clip was asked for."
        if np.allclose(given, right, atol=1e-6):
            continue
        hints = (
            (right * np.log(2), "these are nats; a bit is log 2 of them"),
            (-log_prob / values + np.log2((levels - 1) / 2), "the density is in nats still; a bit is log 2 of them"),
            (density, "that is a density; the probability of a level is the density times the width of a level"),
            (density + np.log2(levels), "the range from -1 to 1 is 2 wide, so a level is 2 / (levels - 1) wide"),
            (density + np.log2(levels - 1), "the range from -1 to 1 is 2 wide, not 1"),
            (
                density + np.log2(levels / 2),
                "between so many levels there is one step less: 256 levels lie 2 / 255 apart",
            ),
            (density + np.log2(255 / 2), "there are not always 256 levels"),
            (density - np.log2((levels - 1) / 2), "the narrower a level, the less likely, the dearer: mind the sign"),
            (-density + np.log2((levels - 1) / 2), "likely clips are cheap: mind the sign"),
            (-right, "likely clips are cheap: mind the sign"),
            (right * values, "that is a whole clip; divide by its values"),
            (density * values + np.log2((levels - 1) / 2), "divide the clip's log_prob by its values"),
        )
        hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-6)), None)
        hint = hint or "a level has the probability density · 2 / (levels - 1), and costs -log2 of it"
        case = f"log_prob {log_prob[0]:g}, {values} values and {levels} levels"
        return f"for {case} it gives {given[0]:.4g}, not {right[0]:.4g}; {hint}."
    return None


def _look_up(field, x, y) -> np.ndarray:
    """The values of a field (height, width, …) between its pixels, at arrays x and y; beyond the border those at it."""
    field, (x, y) = np.asarray(field), np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    height, width = field.shape[:2]
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = np.floor(x).astype(int).clip(0, width - 2), np.floor(y).astype(int).clip(0, height - 2)
    right, down = (part.reshape(*part.shape, *[1] * (field.ndim - 2)) for part in (x - left, y - top))
    above = (1 - right) * field[top, left] + right * field[top, left + 1]
    below = (1 - right) * field[top + 1, left] + right * field[top + 1, left + 1]
    return (1 - down) * above + down * below


@exercise("06.1")
def velocity_between(answer) -> str | None:
    """06.1: two pictures (height, width) → the velocity (x, y) between them, in pixels, by least squares."""
    y, x = np.mgrid[:24, :24]
    waves = np.random.default_rng(61).uniform(-1, 1, (5, 4)) * [0.6, 0.6, np.pi, 0.3]

    def texture(right, down):
        return sum(size * np.cos(kx * (x - right) + ky * (y - down) + phase) for kx, ky, phase, size in waves)

    for true in ((0.7, 0.0), (-0.2, 0.8), (0.5, -0.6)):
        given = _array(answer, texture(0, 0), texture(*true)).ravel()
        if given.size != 2:
            return f"it gives {given.size} numbers, but one velocity (x, y) was asked for."
        if np.hypot(*(given - true)) <= 0.1:
            continue
        right = np.array(true)
        hints = (
            (
                -right,
                "it points the wrong way: what is at x now was at x - u, so the slopes times u are MINUS the change",
            ),
            (right[::-1], "x is to the right and comes first; np.gradient gives the slope downwards first"),
            (-right[::-1], "x comes first, and np.gradient gives the slope downwards first; and mind the sign"),
            (2 * right, "twice as long: a slope is the change over one pixel"),
            (0 * right, "nothing seems to move"),
        )
        hint = next((hint for value, hint in hints if np.hypot(*(given - value)) <= 0.1), None)
        hint = hint or "one equation a pixel: slope to the right · x + slope down · y = -(after - before)"
        return f"for a texture that moves by {true} it gives ({given[0]:.2f}, {given[1]:.2f}); {hint}."
    return None


@exercise("06.2")
def two_in_one(answer) -> str | None:
    """06.2: (flow from frame 0 to 1, flow from 1 to 2, look_up) → the flow from frame 0 to 2, each (height, width, 2)."""
    rows, columns = np.mgrid[:10, :12].astype(float)
    even = np.broadcast_to([1.5, -0.5], (10, 12, 2))
    bent = np.stack([np.sin(rows / 2) + 0.2 * columns, 0.3 * columns - 0.1 * rows], axis=-1)
    for first, second in ((even, 2 * even), (bent, bent[::-1] / 2), (bent, even), (even, bent)):
        at = lambda field, way: _look_up(field, columns - way[..., 0], rows - way[..., 1])  # noqa: E731
        right, given = second + at(first, second), _array(answer, first, second, _look_up)
        if given.shape != right.shape:
            return f"for flows of shape {right.shape} it gives {given.shape}, but the same shape was asked for."
        if np.allclose(given, right, atol=1e-6):
            continue
        hints = (
            (first + second, "arrows of two frames start at different places: look the first one up where the second comes from"),
            (first + at(second, first), "the other way round: the second flow belongs to the pixels of frame 2, so it leads back first"),
            (second + at(first, -second), "the second arrow leads back: look up at x - second, not at x + second"),
            (at(first, second), "that is the first half of the way; add the second arrow"),
            (second + _look_up(first, columns - second[..., 1], rows - second[..., 0]), "an arrow is (x, y): the first number belongs to the columns"),
            (-right, "it points the wrong way: what is at x was at x - flow"),
        )  # fmt: skip
        hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-6)), None)
        return f"for flows that {'differ from place to place' if first is bent or second is bent else 'are even'} it is wrong: {hint or 'go back from frame 2 to 1, then from there to 0, and add'}."
    return None


@exercise("06.3")
def seen_before(answer) -> str | None:
    """06.3: (forward flow, backward flow, look_up) → bool (height, width): where both agree to half a pixel, inside."""
    box, gone = np.zeros((2, 12, 16, 2))
    box[3:8, 8:12], gone[3:8, 5:9] = (3, 0), (-3, 0)  # a box went 3 to the right
    pan = np.broadcast_to([2.0, -1.0], (12, 16, 2))
    rows, columns = np.mgrid[:12, :16]
    cases = {
        "a box that moves before a ground at rest": (box, gone),
        "a camera that pans": (pan, -pan),
        "flows that differ by 0.3 pixels": (pan, 0.3 - pan),
        "flows that differ by 0.6 pixels": (pan, [0.6, 0] - pan),
    }
    for name, (forward, backward) in cases.items():
        x, y = columns - forward[..., 0], rows - forward[..., 1]
        inside = (x >= 0) & (x <= 15) & (y >= 0) & (y <= 11)
        apart = lambda back, forward=forward: np.linalg.norm(forward + back, axis=-1)  # noqa: E731
        agree = apart(_look_up(backward, x, y)) < 0.5
        right, given = agree & inside, _array(answer, forward, backward, _look_up)
        if given.shape != right.shape or not np.isin(given, (0, 1)).all():
            return (
                f"for flows of shape (12, 16, 2) it gives {given.dtype} {given.shape}, but bool (12, 16) was asked for."
            )
        given = given.astype(bool)
        if (given == right).all():
            continue
        hints = (
            (~right, "True is for what was seen before"),
            (agree, "what comes from beyond the border was not seen either"),
            ((apart(backward) < 0.5) & inside, "look backward up at the place where the pixel came from, not at the pixel"),
            (apart(backward) < 0.5, "look backward up at the place where the pixel came from; and leave out what lies outside"),
            ((apart(-_look_up(backward, x, y)) < 0.5) & inside, "there and back again: the two arrows add up to nothing"),
            (inside, "inside is not enough: do both flows agree?"),
        )  # fmt: skip
        hint = next((hint for value, hint in hints if (given == value).all()), None)
        return f"for {name}, {np.count_nonzero(given != right)} of 192 pixels are wrong: {hint or 'where did the pixel come from, and where is it sent from there?'}."
    return None
