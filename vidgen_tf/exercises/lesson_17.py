"""Exercises of lesson 17: who is beaten by nobody, a distance without bias, an interval by drawing anew."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, call, exercise, number_of


def _front(cost: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Whether nobody else is as good on both sides and better on one."""
    as_good = (cost <= cost[:, None]) & (distance <= distance[:, None])
    better = (cost < cost[:, None]) | (distance < distance[:, None])
    return ~(as_good & better).any(axis=1)


@exercise("17.1")
def unbeaten(answer) -> str | None:
    """17.1: (cost (n,), distance (n,)) → bool (n,), whose row is beaten by no other; less is better in both."""
    dice = np.random.default_rng(171)
    cases = [
        ([1.0, 2, 3, 4], [9.0, 5, 6, 1]), ([1.0, 1, 2], [5.0, 5, 5]), ([2.0, 1, 1], [3.0, 3, 4]), ([4.0], [2.0]),
        (dice.uniform(0, 1, 12), dice.uniform(0, 1, 12)), (dice.integers(0, 4, 15) + 0.0, dice.integers(0, 4, 15) + 0.0),
    ]  # fmt: skip
    for cost, distance in cases:
        cost, distance = np.asarray(cost), np.asarray(distance)
        given, wanted = array_of(answer, cost, distance), _front(cost, distance)
        if given.shape != wanted.shape:
            return f"for {len(cost)} rows the answer has shape {given.shape}; true or false for each row was expected."
        given = given.astype(bool)
        told = f"for costs {cost.round(2).tolist()} and distances {distance.round(2).tolist()}"
        if (given & ~wanted).any():
            row = np.flatnonzero(given & ~wanted)[0]
            return (
                f"{told} row {row} counts as unbeaten, but another one is as good on one side and better on the other."
            )
        if (wanted & ~given).any():
            row = np.flatnonzero(wanted & ~given)[0]
            return f"{told} row {row} counts as beaten, but no other is as good on both sides and better on one; equal rows do not beat each other."
    return None


@exercise("17.2")
def distance_of_means(answer) -> str | None:
    """17.2: (features (n, size), features (m, size)) → |mean - mean'|² without the part that chance adds."""
    dice = np.random.default_rng(172)
    for n, m, size in ((5, 9, 3), (40, 7, 12), (2, 3, 1)):
        real, made = dice.normal(0, 2, (n, size)), dice.normal(0.5, 1, (m, size))
        given, apart = number_of(answer, real, made), real.mean(axis=0) - made.mean(axis=0)
        raw = apart @ apart
        one, other = real.var(axis=0, ddof=1).sum() / n, made.var(axis=0, ddof=1).sum() / m
        hints = (
            (raw, "that is the distance with its bias: two sets of one kind never have the same mean"),
            (raw + one + other, "chance makes the distance too large; take it away, do not add it"),
            (raw - one, "the mean of the second set is uncertain, too"),
            (raw - other, "the mean of the first set is uncertain, too"),
            (raw - one * n - other * m, "the mean of n clips varies n times less than a clip: divide the variances by n and m"),
            (raw - real.var(axis=0).sum() / n - made.var(axis=0).sum() / m, "the variance of a sample is the sum of squares divided by n - 1 (ddof=1)"),
            (max(0.0, raw - one - other), "do not cut at 0: what is right in the mean must be below 0 now and then"),
            ((raw - one - other) / size, "it is a sum over the features, not a mean"),
        )  # fmt: skip
        if not np.isclose(given, raw - one - other, rtol=1e-6, atol=1e-9):
            hint = next(
                (hint for value, hint in hints if np.isclose(given, value)),
                "squared distance of the means, less the variance of each mean",
            )
            return f"for {n} and {m} clips of {size} features {given:.4g} is wrong: {hint}."
    return None


@exercise("17.3")
def interval(answer) -> str | None:
    """17.3: (measure, values (n,), draws (rounds, n) of indices, share) → low and high, around measure(values)."""
    dice = np.random.default_rng(173)
    measures = {"the mean": np.mean, "the largest": np.max, "the variance": np.var}
    for (name, measure), share in zip(measures.items(), (0.9, 0.5, 0.8), strict=True):
        values, draws = dice.normal(3, 2, 15), dice.integers(0, 15, (60, 15))
        given = np.asarray(call(answer, measure, values, draws, share), float)
        if given.shape != (2,):
            return f"the answer has shape {given.shape}; two numbers, low and high, were expected."
        found, middle = np.array([measure(values[draw]) for draw in draws]), measure(values)
        ends = np.quantile(found, [(1 - share) / 2, (1 + share) / 2])
        away = np.quantile(found, [1 - share, share])
        hints = (
            (ends, "these are the quantiles of what was drawn, which is shifted, since members come twice; take away its mean and put them around measure(values)"),
            (ends[::-1] - found.mean() + middle, "the lower end comes first"),
            (ends - found.mean(), "put them around measure(values)"),
            (away - found.mean() + middle, "half of what is left out lies on either side: (1 - share) / 2 and (1 + share) / 2"),
            (middle + np.array([-1, 1]) * found.std(), "one deviation on either side is another share; take quantiles"),
            (2 * middle - ends[::-1], "that is mirrored at measure(values); here the spread alone counts"),
        )  # fmt: skip
        if not np.allclose(given, ends - found.mean() + middle):
            hint = next(
                (hint for value, hint in hints if np.allclose(given, value)),
                "quantiles of measure(values[draw]), less their mean, plus measure(values)",
            )
            return f"for {name} of 15 values with a share of {share:g} it is wrong: {hint}."
    return None
