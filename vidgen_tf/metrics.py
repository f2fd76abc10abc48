"""How good is a clip? Arrays in, numbers out; and the baselines that a good number must beat.

All functions take clips float32 (count, time, height, width, channels) in [-1, 1] and return one number a clip,
unless they say otherwise. A measure is worth nothing until it has been tried on controls whose order is known.
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed, check_values, decibels


def psnr(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio: likeness pixel by pixel, 10 · log10(2² / mean squared error), in dB.

    Args:
        real, generated: clips of one shape.

    Returns:
        float64 (count,), in dB; infinite for exact copies. 20 is poor, 30 good, 40 hard to tell apart.

    Raises:
        ValueError: for clips that break the convention or differ in shape.
    """
    real, generated = _check_pair(real, generated)
    error = np.mean(np.square(real.astype(np.float64) - generated), axis=(1, 2, 3, 4))
    return decibels(error)


def neighbor_correlation(clips: np.ndarray) -> np.ndarray:
    """How much each frame tells about the next: the mean Pearson correlation of frames t and t+1 over all pixels.

    Returns:
        float64 (count,), from -1 to 1; 1 for a still picture, 0 for unrelated frames. A frame without
        contrast correlates 1 with its equal and 0 with all else.

    Raises:
        ValueError: for clips that break the convention or have a single frame.
    """
    clips = check_clips(clips)
    if clips.shape[1] < 2:
        raise ValueError("neighbor_correlation got clips of one frame, but at least two were expected.")
    frames = clips.reshape(*clips.shape[:2], -1).astype(np.float64)
    frames = frames - frames.mean(axis=-1, keepdims=True)
    now, then = frames[:, :-1], frames[:, 1:]
    both = np.sum(now * then, axis=-1)
    size = np.sqrt(np.sum(now**2, axis=-1) * np.sum(then**2, axis=-1))
    same = (clips[:, :-1] == clips[:, 1:]).all(axis=(2, 3, 4))
    return np.where(same, 1.0, both / np.where(size > 0, size, 1)).mean(axis=1)


def repeat_last(given: np.ndarray, time: int) -> np.ndarray:
    """The baseline of all prediction: the last given frame, `time` times over. (count, time, …)."""
    check_count(time, "time")
    given = check_clips(given, name="given")
    check_values((len(given), time, *given.shape[2:]), "the clips")
    return np.repeat(given[:, -1:], time, axis=1)


def mean_clip(clips: np.ndarray) -> np.ndarray:
    """The pixel-wise mean of all clips, in place of each: the best answer of one who does not look. Same shape."""
    clips = check_clips(clips)
    return np.broadcast_to(clips.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32), clips.shape).copy()


def frozen(clips: np.ndarray) -> np.ndarray:
    """A control: the clips stand still, each at its first frame. Perfect pictures, no motion. Same shape."""
    clips = check_clips(clips)
    return np.repeat(clips[:, :1], clips.shape[1], axis=1)


def shuffled(clips: np.ndarray, seed: int) -> np.ndarray:
    """A control: the frames of all clips in random orders of this seed. Perfect pictures, no order in time. Same shape."""
    clips = check_clips(clips)
    generator = np.random.default_rng(check_seed(seed))
    return np.stack([clip[generator.permutation(len(clip))] for clip in clips])


def _check_pair(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, generated = check_clips(real, name="real"), check_clips(generated, name="generated")
    if real.shape != generated.shape:
        raise ValueError(
            f"real has shape {real.shape} and generated {generated.shape}, but equal shapes were expected."
        )
    return real, generated


def claim(
    what: str,
    value: float,
    expected: float | None = None,
    *,
    within: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
) -> None:
    """Asserts what the text claims, and prints the number measured just now beside the claim.

    A trained number differs in its last digits from processor to processor, so a lesson claims a band; the
    regression test compares the claim to the letter and passes over the word that follows "measured".

    Args:
        what: is measured.
        value: that was measured.
        expected, within: the claim `expected ± within`.
        at_least, at_most: a claim with one end.
        unit: of all these numbers.

    Raises:
        AssertionError: where the claim does not hold; it says what was measured.
        ValueError: if nothing is claimed, or the value is no number.
    """
    value = as_array(value, "value")
    if value.size != 1:
        raise ValueError(f"claim({what!r}, …) got an array of shape {value.shape}, but one number was expected.")
    value = float(value.reshape(()))
    unit = f" {unit}" if unit else ""
    bounds = []
    if (expected is None) != (within is None) or (within is not None and not 0 <= within < np.inf):
        raise ValueError(
            f"claim({what!r}, …) has expected={expected} and within={within}, but both or none were expected."
        )
    if expected is not None:
        bounds.append((f"{expected:g} ± {within:g}{unit}", abs(value - expected) <= within))
    if at_least is not None:
        bounds.append((f"at least {at_least:g}{unit}", value >= at_least))
    if at_most is not None:
        bounds.append((f"at most {at_most:g}{unit}", value <= at_most))
    if not bounds:
        raise ValueError(f"claim({what!r}, …) claims nothing; give expected= and within=, at_least= or at_most=.")
    said = ", ".join(text for text, _ in bounds)
    if not all(holds for _, holds in bounds):
        raise AssertionError(
            f"{what}: measured {value:.4g}{unit}, but the lesson claims {said}; did you change a cell?"
        )
    print(f"{what}: measured {value:.4g}{unit}, claimed {said} ✔")
