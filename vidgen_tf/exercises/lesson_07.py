"""Exercises of lesson 7: the chain rule, functions that look ahead, the nucleus, one step with a cache."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@exercise("07.1")
def log_probability(answer) -> str | None:
    """07.1: (logits (places, codes), tokens (places,)) → log-probability of the sequence, nats."""
    ranges = "the exponential leaves the range of numbers; subtract the largest logit of each row first"
    rows = "the exponential leaves the range of numbers: each row has a largest logit of its own; subtract that"
    small = "a chance may be too small for a number, and its logarithm is none; stay with logits less log Σ exp"
    many = "the product of so many chances is too small for a number; take logarithms first, then add them"
    cases = (
        (1.0, 6, 4, 0.0, "logits near 0", ranges),
        (3.0, 40, 5, 0.0, "logits near 0", ranges),
        (2.0, 30, 5, 3000.0, "logits near 3000", ranges),
        (2.0, 30, 5, 3000.0 * (-1) ** np.arange(30)[:, None], "rows near 3000 and -3000", rows),
        (1000.0, 12, 5, 0.0, "logits that differ by thousands in a row", small),
        (1.0, 2000, 5, 0.0, "logits near 0", many),
    )
    for scale, places, codes, middle, kind, broken in cases:
        dice = np.random.default_rng(71)
        logits = middle + dice.normal(0, scale, (places, codes))
        tokens = dice.integers(codes, size=places)
        row, all_chances = np.arange(places), _log_softmax(logits)
        each = all_chances[row, tokens]
        right, given = each.sum(), number_of(answer, logits, tokens)
        near = lambda value, given=given: abs(given - value) <= 1e-6 * max(1, abs(value))  # noqa: E731
        if near(right):
            continue
        hints = (
            (-right, "that is its cost; a log-probability is never positive"),
            (each.mean(), "that is the mean of the places; a product of chances is a sum of logarithms"),
            (right / np.log(2), "that is in bits; nats were asked for"),
            (logits[row, tokens].sum(), "logits are no log-chances yet: subtract log Σ exp of each row"),
            (np.exp(each).sum(), "chances are multiplied, so their logarithms are added"),
            (np.exp(right), "that is the probability itself; its logarithm was asked for"),
            (all_chances.max(axis=1).sum(), "take the chance of the token that came, not that of the likeliest"),
            (all_chances.sum(), "take the chance of the token that came, not those of all codes"),
            (
                all_chances[row[:-1], tokens[1:]].sum(),
                "row i is what was said about token i itself: the shift was made already",
            ),
            (
                (logits - np.logaddexp.reduce(logits, axis=0))[row, tokens].sum(),
                "the chances of one place sum to 1: the softmax goes along a row",
            ),
            (
                (logits - np.logaddexp.reduce(logits, axis=None))[row, tokens].sum(),
                "the chances of one place sum to 1: the softmax goes along each row by itself",
            ),
        )
        hint = next((hint for value, hint in hints if near(value)), None)
        in_float32 = np.float32(given) == given or np.abs(logits).max() > 1000  # where float32 has few digits left
        if in_float32 and abs(given - right) <= 1e-4 * max(1, abs(right)):
            hint = "right but for rounding: compute in float64"
        if not np.isfinite(given) or (scale == 1000.0 and not hint):
            hint = broken
        hint = hint or "softmax of each row, the chance of the token that came, its logarithm, the sum"
        case = f"for {places} places, {codes} codes and {kind}"
        return f"{case} it gives {given:.6g}, not {right:.6g}; {hint}."
    return None


KEEPS_MEAN = "one that looks at frame t and keeps its mean"


def _foretellers() -> tuple:
    """Name, function (time, height, width) → the same, and a rule: does its frame t, of so many, depend on t or later?"""

    def copied(clip):  # of the first frame nothing can be foretold
        return np.concatenate([np.zeros_like(clip[:1]), clip[:-1]])  # not 0 * clip: who asks with NaN shall be right

    def past_mean(clip):
        before = [clip[:t].mean(axis=0) for t in range(1, len(clip))]
        return np.stack([np.zeros_like(clip[0]), *before])

    def rolled(clip):  # from frames 0 and 1 on, each pixel by itself
        made = np.zeros_like(clip)
        for t in range(2, len(clip)):
            made[t] = 0.5 * clip[0] + 0.1 * t * clip[1]
        return made

    def normed(clip):
        return copied(np.divide(clip, clip.mean() or 1.0))  # frame 0 stays empty

    def middle_leak(clip):
        made = copied(clip)
        made[4] = made[4] + 0.5 * clip[4]
        return made

    return (
        ("copy-last", copied, lambda t, time: False),
        ("the mean of the past", past_mean, lambda t, time: False),
        ("one that goes on from frames 0 and 1", rolled, lambda t, time: False),
        ("one that shows frame t itself", lambda clip: clip.copy(), lambda t, time: True),
        (
            "one that looks two frames ahead, and not at frame t",
            lambda clip: copied(clip) + 0.1 * np.concatenate([clip[2:], np.zeros_like(clip[:2])]),
            lambda t, time: t + 2 < time,
        ),
        (
            "one that looks at the last frame alone",
            lambda clip: copied(clip) + 0.1 * clip[-1],
            lambda t, time: True,
        ),
        (
            "copy-last, divided by the mean of the whole clip",
            normed,
            lambda t, time: t > 0,
        ),
        (
            "one that looks at frame t a little, a thousandth",
            lambda clip: copied(clip) + 1e-3 * clip,
            lambda t, time: True,
        ),
        (
            "one that looks at one pixel of frame t",
            lambda clip: copied(clip) + 0.3 * np.eye(*clip.shape[1:]) * clip[:, :1, :1],
            lambda t, time: True,
        ),
        ("one that looks at frame t where t is 4 only", middle_leak, lambda t, time: t == 4),
        (
            KEEPS_MEAN,
            lambda clip: copied(clip) + 0.1 * (clip - clip.mean(axis=(1, 2), keepdims=True)),
            lambda t, time: True,
        ),
    )


@exercise("07.2")
def cheats(answer) -> str | None:
    """07.2: (foretell: clip → clip, clip (time, height, width)) → bool (time,), which frames depend on themselves or later ones."""
    clip = np.random.default_rng(72).uniform(0.1, 0.9, (8, 4, 4))
    time = len(clip)
    for name, function, rule in _foretellers():
        right = np.array([rule(t, time) for t in range(time)])

        def foretell(frames, function=function):
            frames = np.asarray(frames, np.float64)
            if frames.shape != clip.shape:
                raise ValueError(f"foretell takes the whole clip, {clip.shape}, and got {frames.shape}")
            return function(frames)

        given = array_of(answer, foretell, clip)
        if given.shape != right.shape:
            return f"for a clip of 8 frames it gives shape {given.shape}, but one bool a frame was asked for."
        if given.dtype.kind == "f" and not np.isin(given, (0, 1)).all():
            return "it gives numbers between, but True or False was asked for: a bool a frame."
        given = given.astype(bool)
        if (given == right).all():
            continue
        if not right.any():
            later = "may depend on all frames before it: change frame t and later ones only"
            return f"{name} is honest, and frame {given.argmax()} is accused; it {later}."
        if name == KEEPS_MEAN and not (given & ~right).any():
            return f"{name} is not found out; change each pixel differently, and compare each: a constant may cancel."
        if not given.any():
            return f"{name} is not found out; change frame t, and each later one, and look whether frame t of it moves."
        wrong = int((given != right).argmax())
        if right[wrong]:
            return (
                f"{name}: frame {wrong} is not found out; it must not depend on any frame from {wrong} to {time - 1}."
            )
        return f"{name}: frame {wrong} is accused, and depends on none of the frames from {wrong} on."
    return None


@exercise("07.3")
def nucleus(answer) -> str | None:
    """07.3: (logits (codes,), temperature, mass) → the chances of the nucleus (codes,)."""
    six, four = np.log([0.17, 0.15, 0.22, 0.23, 0.10, 0.13]), np.log([0.5, 0.25, 0.125, 0.125])
    # At temperature 0.5 three of these hold 0.88, at 1 four, and 0.88 of the codes are five.
    steep = np.log([0.31, 0.08, 0.05, 0.32, 0.03, 0.21])
    cases = [(six, *case) for case in ((0.5, 0.82), (1.0, 0.7), (1.0, 0.6), (2.0, 0.5), (1.0, 0.3), (1.0, 1.0))]
    for logits, temperature, mass in ((steep, 0.5, 0.88), *cases, (four, 1.0, 0.5), (3000 + six, 1.0, 0.6)):
        chances = np.exp(_log_softmax(logits / temperature))
        order = np.argsort(-chances)
        before = np.cumsum(chances[order]) - chances[order]

        def kept(which, chances=chances):
            values = np.where(which, chances, 0)
            return values / max(values.sum(), 1e-12)

        def ranked(flags, order=order):
            which = np.zeros(len(order), bool)
            which[order[flags]] = True
            return which

        within = before < mass - 1e-9
        right, given = kept(ranked(within)), array_of(answer, logits, temperature, mass)
        if given.shape != right.shape:
            return (
                f"for {len(logits)} codes it gives shape {given.shape}, but the chances of all {len(logits)} were asked "
                "for, 0 for those left out."
            )
        if np.allclose(given, right, atol=1e-6):
            continue
        plain = np.exp(_log_softmax(logits))
        plain_order = np.argsort(-plain)
        plain_kept = np.zeros(len(logits), bool)
        plain_kept[plain_order[np.cumsum(plain[plain_order]) - plain[plain_order] < mass - 1e-9]] = True
        warm = np.exp(_log_softmax(logits * temperature))
        warm_order = np.argsort(-warm)
        warm_kept = np.zeros(len(logits), bool)
        warm_kept[warm_order[np.cumsum(warm[warm_order]) - warm[warm_order] < mass - 1e-9]] = True
        hints = (
            (np.where(ranked(within), chances, 0), "what is kept must be scaled so that it sums to 1"),
            (
                kept(ranked(before + chances[order] <= mass + 1e-9)),
                "the token that reaches the mass belongs to it: together they must hold at least that",
            ),
            (kept(ranked(before <= mass + 1e-9)), "where the mass is reached exactly, the next token is not needed"),
            (right[order], "the chances came back sorted; each must stand at its own code"),
            (kept(chances >= 1 - mass), "mass is what the kept ones hold together, not a least chance of each"),
            (kept(chances >= mass), "mass is what the kept ones hold together, not a least chance of each"),
            (chances, "that is the softmax; nothing is left out"),
            (kept(plain_kept, plain), "where is the temperature?"),
            (kept(warm_kept, warm), "divide the logits by the temperature"),
            (kept(plain_kept), "first the temperature, then the nucleus of those chances"),
            *[
                (
                    kept(ranked(np.arange(len(order)) < number)),
                    f"it keeps the {number} likeliest, and {within.sum()} hold "
                    "the mass: how many are kept follows from the chances, not from the number of codes",
                )
                for number in range(within.sum() + 1, len(order))
            ],
            (_softmax_of(right), "that is a softmax of chances; divide them by their sum"),
            (kept(ranked(np.cumsum(chances[order][::-1])[::-1] - chances[order] < mass)), "the likeliest are kept"),
        )
        hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-6)), None)
        if not np.isfinite(given).all() or logits.max() > 1000:  # all smaller logits it could do
            hint = "the exponential leaves the range of numbers; subtract the largest logit first"
        hint = hint or "softmax, sort from the likeliest, keep until they hold the mass, divide by their sum"
        return f"for temperature {temperature:g} and mass {mass:g} it gives {np.round(given, 3).tolist()}; {hint}."
    return None


def _softmax_of(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


@exercise("07.4")
def cached_step(answer) -> str | None:
    """07.4: (query (d,), key (d,), value (d,), kept keys, kept values (places, d)) → what the new place takes (d,)."""
    for places, d in ((5, 4), (1, 3), (0, 4), (7, 2)):
        dice = np.random.default_rng(74)
        query, key, value = dice.normal(0, 1.5, (3, d))
        keys, values = dice.normal(0, 1.5, (2, places, d))
        all_keys, all_values = np.concatenate([keys, key[None]]), np.concatenate([values, value[None]])

        def taken(query, keys, values, scale):
            fit = keys @ query / scale
            return _softmax_of(fit - fit.max()) @ values

        right, given = taken(query, all_keys, all_values, np.sqrt(d)), array_of(answer, query, key, value, keys, values)
        if given.shape != right.shape:
            return f"for {places} places and d = {d} it gives shape {given.shape}, but ({d},) was asked for."
        if np.allclose(given, right, atol=1e-6):
            continue
        hints = [
            (taken(query, all_keys, all_values, 1.0), "divide q · k by the root of d"),
            (taken(query, all_keys, all_values, d), "divide by the root of d, not by d"),
            (all_values.mean(axis=0), "that is the plain mean of the values; weigh them by how well the keys fit"),
            (taken(key, all_keys, all_values, np.sqrt(d)), "the new place asks with its query, not with its key"),
            (taken(query, all_values, all_values, np.sqrt(d)), "the query is compared with keys, not with values"),
            (taken(query, all_keys, all_keys, np.sqrt(d)), "what is taken are values, not keys"),
            ((all_keys @ query / np.sqrt(d)) @ all_values, "the softmax is missing: weights sum to 1"),
            (
                np.exp(all_keys @ query / np.sqrt(d)) @ all_values,
                "weights must sum to 1: divide by the sum of exponentials",
            ),
            (all_values[(all_keys @ query).argmax()], "that takes the best fit alone; take the weighted mean of all"),
            (
                taken(query, all_keys, np.concatenate([value[None], values]), np.sqrt(d)),
                "keys and values are in different orders",
            ),
        ]
        if places:
            hints.append(
                (taken(query, keys, values, np.sqrt(d)), "the new place sees itself too: add its key and value")
            )
        hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-6)), None)
        hint = hint or "softmax of q · k / √d over the kept and the new place, then the weighted mean of their values"
        return f"for {places} kept places and d = {d} it is wrong: {hint}."
    return None
