"""Exercises of lesson 8: pairs to learn from, one step under any name, guidance in an interval, completing from a list."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, call, exercise


def _beside(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Numbers (batch,) with as many axes as `like` has."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _same(given: np.ndarray, value: np.ndarray) -> bool:
    return given.shape == value.shape and np.allclose(given, value, rtol=1e-5, atol=1e-5)


def _hint(given: np.ndarray, hints: tuple, otherwise: str) -> str:
    return next((hint for value, hint in hints if _same(given, np.asarray(value))), otherwise)


@exercise("08.1")
def training_pair(answer) -> str | None:
    """08.1: (clips, noise (batch, …), times (batch,)) → (x, velocity)."""
    for batch in (5, 3):  # 5 is also the width of a frame: times along the wrong axis do not stop
        dice = np.random.default_rng(81)
        clips, noise = dice.uniform(-1, 1, (batch, 2, 4, 5, 1)), dice.standard_normal((batch, 2, 4, 5, 1))
        times = dice.uniform(0.1, 0.9, batch)
        pair = call(answer, clips, noise, times)
        if isinstance(pair, str) or np.shape(pair)[:1] != (2,):
            return f"a {type(pair).__name__} came, but two arrays (x, velocity) were asked for."
        x, velocity = (array_of(lambda part=part: part) for part in pair)
        t = _beside(times, clips)
        right = (1 - t) * clips + t * noise, noise - clips
        for name, given in (("x", x), ("velocity", velocity)):
            if given.shape != clips.shape:
                return f"for clips of shape {clips.shape} the {name} has shape {given.shape}; it has that of the clips."
        if not _same(x, right[0]):
            row = times[:, None] if batch == 5 else t  # along the width
            hints = (
                (right[1], "that is the velocity; x comes first"),
                (t * clips + (1 - t) * noise, "at time 0 one sees the clip, at time 1 the noise"),
                (clips + t * noise, "the clip fades as the noise comes: s = 1 - t"),
                ((1 - t) * clips + noise, "the noise rate is t: at time 0 there is none"),
                (np.sqrt(1 - t**2) * clips + t * noise, "that is a circle; on the straight line s = 1 - t"),
                (np.cos(t * np.pi / 2) * clips + np.sin(t * np.pi / 2) * noise, "that is cosine; s = 1 - t, n = t"),
                ((1 - times[0]) * clips + times[0] * noise, "each clip has its own time"),
                ((1 - times.mean()) * clips + times.mean() * noise, "each clip has its own time"),
                ((1 - row) * clips + row * noise, "one time a clip: give times as many axes as clips have"),
            )
            return f"x is wrong: {_hint(x, hints, 'x = (1 - t) · clip + t · noise, each clip with its own time')}."
        hints = (
            (clips - noise, "that is its negative, the way back; velocity is dx/dt, as time goes on"),
            (noise, "that is the noise; the velocity is the slope of x by time"),
            (clips, "that is the clip; the velocity is the slope of x by time"),
            (right[0], "that is x again; the velocity is its slope by time"),
            (t * noise - (1 - t) * clips, "rates belong to x; the slopes of 1 - t and t are -1 and 1"),
            ((right[0] - clips), "that is how far x has come; divide by t, or take the slopes of the rates"),
            ((noise - clips) * t, "that is how far x has come; the slope does not depend on t"),
            ((noise - right[0]), "that is how far it is still to go; the slope does not depend on t"),
        )
        if not _same(velocity, right[1]):
            return f"the velocity is wrong: {_hint(velocity, hints, 'it is the slope of (1 - t) · clip + t · noise by t')}."
    return None


@exercise("08.2")
def step(answer) -> str | None:
    """08.2: (x, noise, now, then (signal rate, noise rate), fresh, dice) → what is seen at the next time."""
    for now, then, fresh in (
        ((0.6, 0.8), (0.8, 0.6), 0.0),
        ((0.6, 0.8), (0.8, 0.6), 1.0),
        ((0.28, 0.96), (0.96, 0.28), 0.5),
        ((0.3, 0.7), (0.5, 0.5), 1.0),  # of the straight line: squares do not sum to 1
        ((0.8, 0.6), (1.0, 0.0), 1.0),
    ):
        generator = np.random.default_rng(82)
        x, noise, dice = generator.standard_normal((3, 4, 2, 3, 3, 1))
        (s1, n1), (s2, n2) = now, then
        clip = (x - n1 * noise) / s1
        new = fresh * n2 * np.sqrt(1 - (s1 * n2 / (n1 * s2)) ** 2)
        kept = np.sqrt(n2**2 - new**2)
        right, given = s2 * clip + kept * noise + new * dice, array_of(answer, x, noise, now, then, fresh, dice)
        if given.shape != x.shape:
            return f"for x of shape {x.shape} it gives shape {given.shape}; give the same shape."
        if _same(given, right):
            continue
        hints = (
            (clip, "that is the guessed clip; now put it together with noise, at the next time"),
            (s2 * clip, "that is the clip without its noise"),
            (s2 * clip + n2 * noise, "no fresh noise came in"),
            (s2 * clip + n2 * noise + new * dice, "the old noise must shrink as new comes: kept² + new² = n₂²"),
            (s2 * clip + (n2 - new) * noise + new * dice, "deviations do not add up, variances do: kept² + new² = n₂²"),
            (s2 * clip + (n2**2 - new**2) * noise + new * dice, "that is the variance of what is kept; take its root"),
            (s2 * clip + n2 * dice, "all the noise is new; some is kept unless new is n₂"),
            (s2 * clip + new * noise + kept * dice, "kept belongs to the old noise, new to the dice"),
            (
                s2 * clip + np.sqrt(max(0, 1 - s2**2 - new**2)) * noise + new * dice,
                "all noise together has the deviation n₂; it is not always √(1 - s₂²)",
            ),
            (s2 * (x - n1 * noise) + kept * noise + new * dice, "the clip is (x - n₁ · noise) / s₁; divide"),
            (s1 * clip + n1 * noise, "that is x again: the rates are those of the next time"),
            (s1 * clip + kept * noise + new * dice, "the clip comes back with the signal rate of the next time"),
            (
                s2 * (x - noise) / s1 + kept * noise + new * dice,
                "what is taken from x is the noise times its rate n₁",
            ),
            (s2 * clip + kept * noise + new**2 * dice, "new is a deviation: dice times new, not times its square"),
        )
        hint = _hint(given, hints, "guess the clip; then s₂ · clip + kept · noise + new · dice")
        return f"from rates {now} to {then} with fresh = {fresh:g} it is wrong: {hint}."
    return None


@exercise("08.3")
def guided_velocity(answer) -> str | None:
    """08.3: (asked, free (batch, …), times (batch,), guidance, low, high) → the velocity that is used."""
    for guidance, low, high in ((4.0, 0.5, 0.9), (2.5, 0.7, 1.0), (3.0, 0.0, 1.0), (0.0, 0.0, 1.0)):
        dice = np.random.default_rng(83)
        times = np.array([1.0, 0.9, 0.7, 0.5, 0.1])  # both ends are among them; 5 is also the width of a frame
        asked, free = dice.standard_normal((2, 5, 2, 4, 5, 1))
        inside = _beside((times >= low) & (times <= high), asked)
        guided = free + guidance * (asked - free)
        right, given = np.where(inside, guided, asked), array_of(answer, asked, free, times, guidance, low, high)
        if given.shape != asked.shape:
            return f"for velocities of shape {asked.shape} it gives shape {given.shape}; give the same shape."
        if _same(given, right):
            continue
        open_ends = _beside((times > low) & (times < high), asked)
        open_low, open_high = (
            _beside(ends, asked) for ends in ((times > low) & (times <= high), (times >= low) & (times < high))
        )
        ends = "the ends of the interval belong to it"
        hints = (
            (guided, "outside of the interval asked is taken as it is"),
            (np.where(inside, guided, free), "outside of the interval take asked, not free"),
            (
                np.where(inside, free + max(guidance, 1) * (asked - free), asked),
                "a strength below 1 is meant as it is: at 0 nothing is asked for",
            ),
            (np.where(inside, asked, guided), "inside and outside are swapped"),
            (np.where(inside, guided, 0), "outside of the interval take asked, not nothing"),
            (np.where(open_ends, guided, asked), ends),
            (np.where(open_low, guided, asked), ends),
            (np.where(open_high, guided, asked), ends),
            (np.where(_beside(times >= low, asked), guided, asked), "where is the upper end of the interval?"),
            (np.where(_beside(times <= high, asked), guided, asked), "where is the lower end of the interval?"),
            (np.where(inside, asked + guidance * (asked - free), asked), "start from free: guidance 1 gives asked"),
            (np.where(inside, asked + guidance * (free - asked), asked), "away from free, towards asked"),
            (np.where(inside, free + guidance * (free - asked), asked), "away from free, towards asked"),
            (np.where(inside, guidance * asked, asked), "where is free? What is strengthened is the difference to it"),
            (np.where(inside, guidance * (asked - free), asked), "add that to free"),
            (np.where(inside, asked, free), "where is guidance?"),
            (asked, "nothing is guided"),
            (
                np.where((times >= low) & (times <= high), guided.T, asked.T).T,
                "each clip has its own time: give times as many axes as clips have",
            ),
            (
                np.where(((times >= low) & (times <= high))[:, None], guided, asked),
                "each clip has its own time: give times as many axes as clips have",
            ),
        )
        hint = _hint(given, hints, "free + guidance · (asked - free) for times from low to high, else asked")
        return f"with guidance {guidance:g} from {low:g} to {high:g} it is wrong: {hint}."
    return None


def _weighed(fit: np.ndarray, clips: np.ndarray) -> np.ndarray:
    weights = np.exp(fit - fit.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ clips


@exercise("08.4")
def completed(answer) -> str | None:
    """08.4: (x (n, numbers), clips (k, numbers), signal, noise, known, mask (numbers,)) → the best guess (n, numbers)."""
    dice = np.random.default_rng(84)
    few = dice.choice([-1.0, -0.5, 0.5, 1.0], (40, 5))
    few[[7, 11, 19, 23]] = np.where([False, True, False, False, True], few[3], few[[7, 11, 19, 23]])
    for signal, noise, times in ((0.5, 0.5, 1), (0.2, 0.8, 1), (0.999, 0.001, 1), (0.999, 0.001, 500)):
        clips = np.repeat(few, times, axis=1)
        mask = np.repeat([False, True, False, False, True], times)
        known = np.where(mask, clips[3], np.nan)  # where nothing is known there may be anything
        agree = (clips[:, mask] == known[mask]).all(axis=1)
        louder = np.array([[1.0], [1.5], [1.0]]) if times > 1 else 1.0  # rows whose largest exponents are far apart
        x = signal * clips[[3, 7, 11]] + noise * louder * dice.standard_normal((3, 5 * times))
        apart = ((x[:, None] - signal * clips) ** 2).sum(axis=-1)  # (n, k)
        fit = -apart / (2 * noise**2)
        right, given = _weighed(fit[:, agree], clips[agree]), array_of(answer, x, clips, signal, noise, known, mask)
        if given.shape != x.shape:
            return f"for x of shape {x.shape} it gives shape {given.shape}; give a guess for each row of x."
        if _same(given, right):
            continue
        all_of_them = _weighed(fit, clips)
        inside = lambda change, agree=agree, clips=clips: _weighed(change[:, agree], clips[agree])  # noqa: E731
        hints = (
            (all_of_them, "clips that do not agree with what is known are out, and what is known must come back"),
            (
                np.where(mask, known, all_of_them),
                "the known numbers are there, but clips that do not agree still count",
            ),
            (np.tile(clips[agree].mean(axis=0), (len(x), 1)), "what is seen counts too: weigh the clips that are left"),
            (
                clips[agree][fit[:, agree].argmax(axis=1)],
                "that is the likeliest clip; the best guess is the weighted mean",
            ),
            (
                inside(-((x[:, None] - clips) ** 2).sum(axis=-1) / (2 * noise**2)),
                "of the clip only signal · clip is seen",
            ),
            (inside(-apart / 2), "how unlikely noise is depends on its rate: divide by 2 · noise²"),
            (inside(-apart / (2 * noise)), "divide by 2 · noise², not by 2 · noise"),
            (inside(-apart / noise**2), "the chance of noise ε is exp(-|ε|²/2): where is the half?"),
            (inside(-np.sqrt(apart) / (2 * noise**2)), "the squared distance counts, not the distance"),
            (_weighed(fit[:, ~agree], clips[~agree]), "you kept the clips that do not agree"),
        )
        if not np.isfinite(given).all():
            hint = "NaN or infinity: take the largest exponent out of each row first, and look at known only where mask is true"
        else:
            hint = _hint(
                given, hints, "strike out what does not agree, then weigh the rest by how well each explains x"
            )
        return f"with signal rate {signal:g} and noise rate {noise:g} it is wrong: {hint}."
    return None
