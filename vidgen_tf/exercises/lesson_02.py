"""Exercises of lesson 2: the best discriminator, what a generator pays, modes shown by chance."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


@exercise("02.1")
def best_discriminator(answer) -> str | None:
    """02.1: densities (p, q) of real and made things → what the best discriminator says."""
    generator = np.random.default_rng(21)
    real, made = generator.uniform(0.01, 3, (2, 50))
    right = real / (real + made)
    given = array_of(answer, real, made)
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
        given = number_of(answer, logits)
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
        given = number_of(answer, logits)
        if not abs(given - right) <= 1e-3:
            return (
                f"for a logit of {logits[0]:g} it gives {given:g}, not {right:g}: the exponential overflows or the "
                "logarithm meets 0; np.logaddexp(0, -a) does not."
            )
    for logits, right in ((np.array([30.0]), np.exp(-30.0)),):
        given = number_of(answer, logits)
        if not abs(given - right) <= 1e-3 * right:
            return f"for a logit of {logits[0]:g} it gives {given:g}, not {right:.3g}: the sigmoid was rounded to 1."
    return None


@exercise("02.3")
def expected_coverage(answer) -> str | None:
    """02.3: (modes, count) → the share of modes that count fair draws are expected to show."""
    for modes, count in ((2, 1), (2, 2), (100, 100), (100, 1000), (10, 5)):
        right = 1 - (1 - 1 / modes) ** count
        given = number_of(answer, modes, count)
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
