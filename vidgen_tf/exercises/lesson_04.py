"""Exercises of lesson 4: the KL of Gaussians, free nats, a tighter bound."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


@exercise("04.1")
def kl_between(answer) -> str | None:
    """04.1: means and log variances of q and p → KL(q || p) in nats, summed."""

    def kl(q_mean, q_log, p_mean, p_log):
        return 0.5 * np.sum(p_log - q_log + (np.exp(q_log) + (q_mean - p_mean) ** 2) / np.exp(p_log) - 1)

    for seed, size in ((41, 1), (42, 5), (43, (3, 2))):
        q_mean, q_log, p_mean, p_log = case = np.random.default_rng(seed).normal(0, 1, (4, *np.atleast_1d(size)))
        right, given = kl(*case), number_of(answer, *case)
        if abs(given - right) <= 1e-6 * max(1, right):
            continue
        hints = [
            (kl(p_mean, p_log, q_mean, q_log), "that is KL(p || q): the draws are q's"),
            (
                kl(q_mean, q_log, 0 * p_mean, 0 * p_log),
                "that is the price for a standard normal p; p has a mean and a variance",
            ),
            (kl(q_mean, 2 * q_log, p_mean, 2 * p_log), "the log variance was taken for the logarithm of the deviation"),
            (2 * right, "the half in front is missing"),
            (right / q_mean.size, "that is the mean over the numbers; sum over them"),
            (right / np.log(2), "that is in bits; nats were asked for"),
        ]
        hint = next((hint for value, hint in hints if abs(given - value) <= 1e-6 * max(1, abs(value))), None)
        hint = hint or ("it is never negative" if given < 0 else "go through the formula term by term")
        case = f"for Gaussians of {q_mean.size} number{'s' if q_mean.size > 1 else ''}"
        return f"{case} it gives {given:.4g}, not {right:.4g}; {hint}."
    return None


@exercise("04.2")
def paid(answer) -> str | None:
    """04.2: (kl of each latent of each clip, free nats) → what the batch pays."""
    for free in (20.0, 1.0, 0.0):
        kl = np.random.default_rng(44).gamma(1.0, 2.0, (6, 4)) * [0.1, 0.5, 1.0, 3.0]
        right, given = np.maximum(kl.mean(axis=0), free).sum(), number_of(answer, kl, free)
        if abs(given - right) <= 1e-6:
            continue
        hints = [
            (
                np.maximum(kl, free).mean(axis=0).sum(),
                "first the mean over the batch, then what is free: else clips that tell much cannot make up for others",
            ),
            (
                np.maximum(kl.mean(axis=0) - free, 0).sum(),
                "a latent pays the larger of the two, its kl or what is free; nothing is subtracted",
            ),
            (kl.mean(axis=0).sum(), "that is the kl itself; where are the free nats?"),
            (np.minimum(kl.mean(axis=0), free).sum(), "never less than what is free: the larger of the two"),
            (max(kl.mean(axis=0).sum(), free), "what is free is free for each latent, and then all are summed"),
            (np.maximum(kl.mean(axis=1), free).sum(), "the first axis is the clips: the mean goes over it"),
            (np.maximum(kl.mean(axis=0), free).mean(), "sum over the latents"),
        ]
        hint = next(
            (hint for value, hint in hints if abs(given - value) <= 1e-6),
            "mean over clips, then the larger, then the sum",
        )
        return f"for 6 clips, 4 latents and {free:g} free nats it gives {given:.4g}, not {right:.4g}; {hint}."
    return None


@exercise("04.3")
def bound_of(answer) -> str | None:
    """04.3: log weights (draws, clips) → the importance-weighted bound of each clip, without overflow."""
    far = np.array([0.0, -3000.0, 2000.0, -50_000.0, 700.0])
    cases = (  # around what the log weights lie, the words for it, and what helps there
        (0.0, "near 0", "log mean exp, over the draws"),
        (-50_000.0, "near -50000", "take the largest out before the exponential"),
        (50_000.0, "near 50000", "take the largest out before the exponential"),
        (far, "of clips thousands of nats apart", "each clip has its own largest weight: take that one out"),
        (far[[0, 1, 2, 3, 4, 0, 2], None], "of draws thousands of nats apart", "take the largest out, no other"),
    )
    for middle, case, help_there in cases:
        weights = middle + np.random.default_rng(45).normal(0, 3, (7, 5))
        right = np.logaddexp.reduce(weights, axis=0) - np.log(7)
        given = array_of(answer, weights)
        if given.shape != right.shape:
            return f"for 7 draws of 5 clips it gives shape {given.shape}, but one number a clip was asked for."
        within = 1e-7 * np.maximum(10, np.abs(right))
        if (np.abs(given - right) <= within).all():
            continue
        hints = [
            (
                weights.mean(axis=0),
                "that is the mean of the logarithms, the plain bound; the logarithm of the mean is larger",
            ),
            (right + np.log(7), "that is the sum over draws; the mean was asked for"),
            (weights.max(axis=0), "that is the largest draw alone"),
        ]
        hint = next((hint for value, hint in hints if (np.abs(given - value) <= within).all()), help_there)
        if not np.isfinite(given).all():
            hint = f"the exponential leaves the range of numbers; {help_there}"
        clip = np.abs(given - right).argmax()
        return f"for log weights {case} it gives {given[clip]:.8g}, not {right[clip]:.8g}; {hint}."
    return None
