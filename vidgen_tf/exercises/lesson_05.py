"""Exercises of lesson 5: the density of stretched noise, undoing a coupling, bits of levels."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise


@exercise("05.1")
def stretched_density(answer) -> str | None:
    """05.1: (places, scale, shift) → the density there of scale · z + shift, with z standard normal."""
    x = np.linspace(-2.5, 2.2, 9)
    normal = lambda z: np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)  # noqa: E731
    for scale, shift in ((1.0, 0.0), (3.0, 0.0), (0.5, -1.0), (-2.0, 0.3)):
        z = (x - shift) / scale
        right = normal(z) / abs(scale)
        given = array_of(answer, x, scale, shift)
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
    """05.2: (y (count, 4), network: (count, 2) → log scale and shift) → x (count, 4); its first half stayed."""
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
        given = array_of(answer, y, network)
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
        given = array_of(answer, log_prob, values, levels)
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
