"""Exercises of lesson 12: loudness in decibels, how late a mouth is, the way back along a flow, a thing with its shadow."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


def _same(given: np.ndarray, value: np.ndarray) -> bool:
    return given.shape == value.shape and np.allclose(given, value, rtol=1e-4, atol=1e-5)


@exercise("12.1")
def loudness_in_decibels(answer) -> str | None:
    """12.1: (sound (samples,), frames, floor in decibels) → loudness (frames,), -1 at the floor and 1 at the loudest part."""
    dice = np.random.default_rng(121)
    for frames, floor, silent in ((5, -30.0, True), (8, -40.0, False), (7, -60.0, False)):
        gains = 10 ** (dice.uniform(1.3 * floor, 0, frames) / 20)
        gains[3] = 0 if silent else gains[3]
        sound = np.concatenate([np.repeat(gains, 50) * dice.standard_normal(50 * frames), np.full(3, 9.0)])
        given = array_of(answer, sound, frames, floor)
        if given.shape != (frames,):
            return f"the answer has shape {given.shape}; {(frames,)}, one number a frame, was expected."
        parts = sound[: 50 * frames].reshape(frames, 50)

        def told(level, floor=floor, factor=20.0):
            return 1 - 2 * np.maximum(factor * np.log10(np.maximum(level / level.max(), 1e-12)), floor) / floor

        level = np.sqrt(np.mean(parts**2, axis=1))
        hints = (
            (told(level, factor=10.0), "for a root mean square it is 20 · log10; 10 belongs to its square"),
            (2 * level / level.max() - 1, "that is the loudness itself; ears hear ratios: take 20 · log10"),
            (told(np.abs(parts).mean(axis=1)), "that is the mean of absolute values; take the root of the mean square"),
            (told(np.abs(parts).max(axis=1)), "that is the peak of each part; take the root of the mean square"),
            ((1 + told(level)) / 2, "it goes from 0 to 1; stretch it from -1, at the floor, to 1"),
            (-told(level), "it is upside down: the loudest part is 1"),
        )
        if not np.isfinite(given).all():
            return "a part of silence gives infinity or NaN; it is at the floor, so -1."
        if not _same(given, told(level)):
            hint = next((hint for value, hint in hints if _same(given, value)), "")
            return f"for {len(sound)} samples, {frames} frames and a floor of {floor:g} dB it is wrong{': ' + hint if hint else ''}."
    return None


@exercise("12.2")
def frames_late(answer) -> str | None:
    """12.2: (opening (time,), loudness (time,), most) → by how many frames the mouth is late."""
    dice = np.random.default_rng(122)
    for late, time, most in ((2, 24, 4), (-1, 24, 4), (0, 16, 5), (3, 40, 3), (-4, 40, 6)):
        wave = np.convolve(dice.standard_normal(time + 20), [0.3, 0.5, 0.3], "same")
        loudness, opening = wave[10 : 10 + time], 0.4 * wave[10 - late : 10 - late + time] + 0.5
        given = number_of(answer, opening, loudness, most)
        if given != late:
            told = f"a mouth that is {abs(late)} frames {'late' if late >= 0 else 'early'}"
            hint = ""
            if late and given == -late:
                hint = " The sign is wrong: late is positive."
            elif given == most or given == -most:
                hint = " Is it the largest correlation that you look for, from -most to most?"
            elif not -most <= given <= most:
                hint = f" Only {-most} to {most} was asked for."
            return f"for {told} the answer is {given:g}; {late} was expected.{hint}"
    return None


@exercise("12.3")
def way_back(answer) -> str | None:
    """12.3: flows (steps, height, width, 2) in whole pixels → the whole way back, (height, width, 2)."""
    dice = np.random.default_rng(123)
    for steps, height, width in ((1, 4, 5), (3, 6, 5), (5, 7, 9)):
        flows = dice.integers(-1, 3, (steps, height, width, 2)).astype(float)
        given = array_of(answer, flows)
        if given.shape != (height, width, 2):
            return f"for flows {flows.shape} the answer has shape {given.shape}; {(height, width, 2)} was expected."
        y, x = np.mgrid[:height, :width]

        def followed(flows, sign=-1, swapped=False, y=y, x=x, height=height, width=width):
            total = np.zeros((height, width, 2))
            for flow in flows:
                across, down = (flow[..., 1], flow[..., 0]) if swapped else (flow[..., 0], flow[..., 1])
                row = np.clip(y + sign * down, 0, height - 1).astype(int)
                total = flow + total[row, np.clip(x + sign * across, 0, width - 1).astype(int)]
            return total

        hints = (
            (flows.sum(axis=0), "that is the sum at one place; the way before this step began at another, p - flow(p)"),
            (followed(flows, sign=1), "the way before is looked up at p + flow(p); what is at p came from p - flow(p)"),
            (followed(flows[::-1]), "the steps are taken from the last to the first; begin with the first"),
            (followed(flows, swapped=True), "x and y are exchanged: flow[..., 0] goes along the columns"),
            (-followed(flows), "it points the other way: what is at p was at p - D(p)"),
        )
        if not _same(given, followed(flows)):
            hint = next(
                (hint for value, hint in hints if _same(given, value)), "D = flow(p) + D(p - flow(p)), step by step"
            )
            return f"for {steps} steps it is wrong: {hint}."
    return None


@exercise("12.4")
def with_shadow(answer) -> str | None:
    """12.4: (film, light, empty (height, width, 3), alpha (height, width)) → what is seen, as light (height, width, 3)."""
    dice = np.random.default_rng(124)
    for height, width in ((4, 5), (6, 3)):
        film, light, empty = dice.uniform(0.2, 1, (3, height, width, 3))
        alpha = np.round(dice.uniform(-0.3, 1.3, (height, width)), 1).clip(0, 1)
        given = array_of(answer, film, light, empty, alpha)
        if given.shape != film.shape:
            return f"the answer has shape {given.shape}; {film.shape} was expected."
        a, darker = alpha[..., None], np.minimum(light / empty, 1)
        hints = (
            (
                a * light + (1 - a) * film,
                "there is no shadow: where the ball is not, the film becomes darker by light / empty",
            ),
            (
                a * light + (1 - a) * film * light / empty,
                "the quotient may be above 1, and makes some places brighter; at most 1",
            ),
            (
                a * light + (1 - a) * film * np.minimum(empty / light, 1),
                "the quotient is upside down: with the ball, by without it",
            ),
            ((1 - a) * light + a * film * darker, "alpha is 1 where the ball is, and there the render is seen"),
            (a * light + film * darker, "under the ball the film is still seen; take 1 - alpha of it"),
            (a * light + (1 - a) * light, "the film is nowhere to be seen"),
        )
        if not _same(given, a * light + (1 - a) * film * darker):
            hint = next((hint for value, hint in hints if _same(given, value)), "")
            return (
                f"it is wrong{': ' + hint if hint else ', alpha · light + (1 - alpha) · film · min(light / empty, 1)'}."
            )
    return None
