"""Exercises of lesson 13: an honest discount, a step of learning what is liked, variety, and the interval of a difference."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


def _same(given, value) -> bool:
    return np.shape(given) == np.shape(value) and np.allclose(given, value, rtol=1e-5, atol=1e-8)


@exercise("13.1")
def discount(answer) -> str | None:
    """13.1: (prices of the days before, newest last, price now) → reduction in percent on the lowest of the last 30 days, not
    below 0."""
    dice = np.random.default_rng(131)
    long = np.round(dice.uniform(40, 60, 90), 2)
    long[45], long[-30], long[-31] = 20.0, 30.0, 25.0  # 30 days ago counts, 31 days ago does not
    for history, price in ((long, 24.0), (long, 35.0), (np.array([50.0, 40.0, 60.0]), 30.0), (np.array([19.9]), 19.9)):
        given = number_of(answer, history, price)
        off = lambda before, price=price: max(0.0, 100 * (1 - price / before))  # noqa: E731
        right = off(history[-30:].min())
        told = f"for {len(history)} days, lowest {history[-30:].min():g} in the last 30, and a price of {price:g}"
        if _same(given, right):
            continue
        if right == 0 and given < 0:
            return f"{told} it is {given:.4g}: a price that rose is no reduction, so 0 was expected."
        hints = (
            (off(history.min()), "it looks at all days; only the last 30 count"),
            (off(history[-31:].min()), "31 days are looked at; history[-30:] are the last 30"),
            (off(history[:30].min()), "it looks at the oldest 30 days; the newest are last"),
            (off(history[-1]), "it compares with yesterday; the shop may have raised the price the day before"),
            (off(history.max()), "it compares with the highest price; that is the trick the rule forbids"),
            (off(history[-30:].max()), "it compares with the highest price; that is the trick the rule forbids"),
            (off(history[-30:].mean()), "it compares with the mean; the lowest counts"),
            (right / 100, "that is a share; percent were asked for"),
        )
        hint = next((hint for value, hint in hints if _same(given, value)), f"{right:.4g} % was expected")
        return f"{told} it is {given:.4g}: {hint}."
    return None


@exercise("13.2")
def gradient(answer) -> str | None:
    """13.2: (features (n, d), likes (n,) of 0 and 1, weights (d,), prior (d,), strength) → gradient of the loss (d,)."""
    dice = np.random.default_rng(132)
    for count, size, strength in ((7, 3, 0.5), (20, 5, 0.0), (4, 6, 2.0)):
        features = dice.integers(0, 2, (count, size)).astype(float)
        likes = dice.integers(0, 2, count).astype(float)
        weights, prior = dice.standard_normal((2, size))
        given = array_of(answer, features, likes, weights, prior, strength)
        chance = 1 / (1 + np.exp(-features @ weights))
        pull = strength * (weights - prior)
        right = features.T @ (chance - likes) + pull
        if given.shape != right.shape:
            return f"the gradient has shape {given.shape}; {right.shape}, one number for each weight, was expected."
        if _same(given, right):
            continue
        hints = (
            (-right, "it points downhill; the gradient points uphill, and learning goes against it"),
            (features.T @ (chance - likes), "the prior does not pull; add strength · (weights - prior)"),
            (
                features.T @ (chance - likes) + strength * weights,
                "it pulls towards 0; the prior is where nothing is pulled",
            ),
            (features.T @ (chance - likes) + 2 * pull, "the prior pulls twice; half the square has the slope of one"),
            (features.T @ (chance - likes) - pull, "the prior pushes away; it should pull"),
            (features.T @ (chance - likes) / count + pull, "that is the mean over the answers; the loss is their sum"),
            (right / count, "that is the mean over the answers; the loss is their sum"),
            (features.T @ (features @ weights - likes) + pull, "the chance is missing: sigmoid(features @ weights)"),
        )
        hint = next(
            (hint for value, hint in hints if _same(given, value)),
            "sum over answers of (chance - like) · features, plus strength · (weights - prior)",
        )
        return f"for {count} answers, {size} weights and a strength of {strength:g} it is wrong: {hint}."
    return None


@exercise("13.3")
def variety(answer) -> str | None:
    """13.3: pictures (n, height, width) → root mean square difference, the mean over all pairs of two different ones."""
    dice = np.random.default_rng(133)
    for count, height, width in ((4, 3, 5), (2, 2, 2), (7, 4, 4)):
        pictures = dice.uniform(-1, 1, (count, height, width))
        given = number_of(answer, pictures)
        squares = np.mean((pictures[:, None] - pictures[None]) ** 2, axis=(2, 3))
        roots = np.sqrt(squares)
        right = roots.sum() / (count * (count - 1))
        if _same(given, right):
            continue
        hints = (
            (roots.mean(), "pictures are compared with themselves, too; leave these zeros out"),
            (squares.sum() / (count * (count - 1)), "the root is missing"),
            (
                np.sqrt(squares.sum() / (count * (count - 1))),
                "that is the root of the mean over pairs; take the root of each pair first",
            ),
            (roots.sum() / 2, "that is the sum over the pairs; their mean was asked for"),
            (2 * right, "each pair is counted twice, and divided by their number once"),
            (
                np.sqrt(np.mean((pictures - pictures.mean(axis=0)) ** 2, axis=(1, 2))).mean(),
                "that is the distance from the mean picture; pairs were asked for",
            ),
            (
                np.sqrt(np.mean(np.diff(pictures, axis=0) ** 2, axis=(1, 2))).mean(),
                "that is each picture and the next; all pairs were asked for",
            ),
            (pictures.std(), "that is the deviation of all pixels; pairs of pictures were asked for"),
        )
        hint = next((hint for value, hint in hints if _same(given, value)), f"{right:.4g} was expected")
        return f"for {count} pictures it is {given:.4g}: {hint}."
    return None


@exercise("13.4")
def difference(answer) -> str | None:
    """13.4: (clicks a, shown a, clicks b, shown b) → (low, high) of rate b less rate a: Newcombe's interval from two Wilson
    intervals at 1.96."""

    def wilson(clicks, shown, z=1.96):
        rate, wide = clicks / shown, z**2 / shown
        middle = (rate + wide / 2) / (1 + wide)
        half = z / (1 + wide) * np.sqrt(rate * (1 - rate) / shown + wide / (4 * shown))
        return middle - half, middle + half

    for numbers in ((56, 70, 48, 80), (9, 10, 3, 10), (40, 1000, 61, 900), (0, 20, 5, 25)):
        given = array_of(answer, *numbers)
        if given.shape != (2,):
            return f"the answer has shape {given.shape}; two numbers, (low, high), were expected."
        a, shown_a, b, shown_b = numbers
        p, q = a / shown_a, b / shown_b
        (low_a, high_a), (low_b, high_b) = wilson(a, shown_a), wilson(b, shown_b)
        low = q - p - np.hypot(q - low_b, high_a - p)
        high = q - p + np.hypot(high_b - q, p - low_a)
        if np.allclose(given, (low, high), atol=2e-4):  # 1.96 or its exact value
            continue
        wald = 1.96 * np.sqrt(p * (1 - p) / shown_a + q * (1 - q) / shown_b)
        hints = (
            ((high, low), "low and high are exchanged"),
            ((-high, -low), "that is rate a less rate b"),
            (
                (low_b - high_a, high_b - low_a),
                "the widths are added; two errors that have nothing to do with each other seldom go the wrong way together: add their squares",
            ),
            ((q - p - wald, q - p + wald), "that is Wald's interval, which is too narrow for small rates"),
            (
                (q - p - np.hypot(q - low_b, p - low_a), q - p + np.hypot(high_b - q, high_a - p)),
                "where b is low and a is *high* the difference is lowest: take the other end of a",
            ),
        )
        hint = next(
            (hint for value, hint in hints if np.allclose(given, value, atol=2e-4)),
            f"({low:.4f}, {high:.4f}) was expected",
        )
        return f"for {a} of {shown_a} and {b} of {shown_b} it is ({given[0]:.4f}, {given[1]:.4f}): {hint}."
    return None
