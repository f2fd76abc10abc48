"""Exercises of lesson 14: a period by crossings, gravity from a throw, two balances of a collision, a law to go on with."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


@exercise("14.1")
def period_of(answer) -> str | None:
    """14.1: (series (frames,), seconds) → period in seconds, from crossings of zero."""
    for period, phase, seconds, frames in ((0.83, 0.3, 0.1, 40), (1.37, 1.0, 0.1, 60), (0.5, 2.0, 0.02, 90)):
        times = seconds * np.arange(frames)
        found = number_of(answer, np.cos(2 * np.pi * times / period + phase), seconds)
        told = f"for a swing of {period} s, filmed every {seconds} s, it says {found:.4g}"
        hints = (
            (period, None),
            (period / 2, "that is the time from one crossing to the next, half a period"),
            (period / seconds, "that is a number of frames; a frame takes `seconds`"),
            (period / 2 / seconds, "that is a number of frames, and of half a period"),
            (1 / period, "that is the number of swings in a second"),
            (2 * np.pi / period, "that is the angular frequency ω"),
        )
        right = next((hint for value, hint in hints if abs(found - value) <= 0.004 * value), "")
        if right is None:
            continue
        if not right and abs(found - period) < 0.1 * period:
            right = (
                "nearly; find the crossing between two frames by a straight line, and use the first and the last one"
            )
        return f"{told}: {right or 'twice the mean time from one crossing to the next was expected'}."
    return None


@exercise("14.2")
def gravity_of(answer) -> str | None:
    """14.2: (height (frames,) in metres, NaN where unseen, seconds) → g in m/s²."""
    for g, speed, seconds, gaps in ((9.81, 5.0, 0.1, [4, 11]), (1.62, 2.0, 0.2, [0]), (3.7, 4.0, 0.05, [7, 8])):
        times = seconds * np.arange(12)
        height = 0.4 + speed * times - g / 2 * times**2
        height[gaps] = np.nan
        found = number_of(answer, height, seconds)
        told = f"for g = {g} m/s², seen every {seconds} s, it says {found:.4g}"
        if np.isnan(found):
            return f"{told}: NaN spreads; fit only the frames in which the ball is seen (np.isfinite)."
        hints = (
            (g / 2, "that is the coefficient of t², which is g/2"),
            (-g / 2, "that is the coefficient of t², which is -g/2 for a height upwards"),
            (-g, "g is a positive number, heights count upwards"),
            (g * seconds**2, "that is in metres by frame²; a frame takes `seconds`"),
            (g * seconds, "divide by `seconds` twice, or fit over the time in seconds"),
            (g * seconds**2 / 2, "that is in metres by frame², and half of it"),
        )
        if abs(found - g) > 1e-3 * g:
            near = (hint for value, hint in hints if abs(found - value) <= 1e-3 * abs(value))
            return f"{told}: {next(near, 'twice the coefficient of t² of the best parabola, without its sign')}."
    # a frame that is read badly must not decide all
    times, dirt = 0.1 * np.arange(12), np.random.default_rng(142).normal(0, 0.02, 12)
    found = number_of(answer, 4 * times - 9.81 / 2 * times**2 + dirt, 0.1)
    if abs(found - 9.81) > 0.5:
        return (
            f"with errors of two centimetres it says {found:.4g} instead of 9.81; use all frames at once (np.polyfit)."
        )
    return None


@exercise("14.3")
def balances(answer) -> str | None:
    """14.3: (before (n, 2), after (n, 2), masses (n, 2)) → (n, 2): restitution, share of the energy that is lost."""
    dice = np.random.default_rng(143)
    masses, start = (
        dice.uniform(0.5, 2, (6, 2)),
        np.stack([dice.uniform(0.6, 2, 6), dice.uniform(-0.5, 0.4, 6)], axis=1),
    )
    wanted = np.array([1, 0.7, 0.35, 0, 0.9, 0.5])
    middle = np.sum(masses * start, axis=1) / masses.sum(axis=1)
    push = (1 + wanted) * (start[:, 0] - start[:, 1]) / masses.sum(axis=1)
    after = start + np.stack([-masses[:, 1] * push, masses[:, 0] * push], axis=1)
    energy = [np.sum(masses * speed**2, axis=1) / 2 for speed in (start, after)]
    lost = 1 - energy[1] / energy[0]
    given = array_of(answer, start, after, masses)
    if given.shape != (6, 2):
        return f"for six collisions the answer has shape {given.shape}; (6, 2) was expected: np.stack([…, …], axis=1)."
    first, second = given.T
    same = lambda one, other: np.allclose(one, other, rtol=1e-6, atol=1e-8)  # noqa: E731
    if not same(first, wanted):
        hints = (
            (-wanted, "its sign: they part as the second body minus the first, and come together the other way round"),
            (wanted**2, "that is a quotient of energies; restitution is one of speeds"),
            (lost, "the two columns are exchanged"),
            (after[:, 1] / start[:, 0], "it is one of *relative* speeds: the difference of both bodies"),
            (
                (after[:, 1] - after[:, 0]) / start[:, 0],
                "the second body moves before, too: divide by the difference of both",
            ),
            (1 - wanted, "that is what is missing to 1"),
        )
        hint = next((hint for value, hint in hints if same(first, value)), "(v2' - v1') / (v1 - v2)")
        return f"the restitution of the first column is {np.round(first[:3], 3).tolist()} for {wanted[:3].tolist()}: {hint}."
    if not same(second, lost):
        speeds = [np.sum(speed**2, axis=1) for speed in (start, after)]
        frame = [np.sum(masses * (speed - middle[:, None]) ** 2, axis=1) for speed in (start, after)]
        hints = (
            (1 - lost, "that is the share that is left"),
            (energy[0] - energy[1], "that is in joules; divide by the energy before"),
            (lost / (1 - lost), "divide by the energy *before*"),
            (1 - speeds[1] / speeds[0], "the masses differ, so they do not drop out"),
            (1 - frame[1] / frame[0], "that is the share as seen from the centre of mass, 1 - e²; take the velocities as given"),
            (1 - wanted**2, "1 - e² is the share as seen from the centre of mass; take the velocities as given"),
        )  # fmt: skip
        hint = next((hint for value, hint in hints if same(second, value)), "1 - Σ m v'² / Σ m v²")
        return f"the share of energy in the second column is {np.round(second[:3], 3).tolist()} for {np.round(lost[:3], 3).tolist()}: {hint}."
    return None


@exercise("14.4")
def by_power_law(answer) -> str | None:
    """14.4: (lengths (n,), periods (n,), new (m,)) → periods for the new lengths by T = c · length^p."""
    dice = np.random.default_rng(144)
    for constant, power in ((2.0, 0.5), (0.7, 1.5), (3.0, -0.4)):
        lengths, new = np.sort(dice.uniform(0.3, 0.8, 30)), np.array([0.2, 1.0, 2.0, 4.0])
        periods = constant * lengths**power
        given = array_of(answer, lengths, periods, new)
        if given.shape != (4,):
            return f"for four new lengths the answer has shape {given.shape}; (4,) was expected."
        wanted, slope = constant * new**power, np.polyfit(np.log(lengths), np.log(periods), 1)
        straight = np.polyval(np.polyfit(lengths, periods, 1), new)
        hints = (
            (straight, "that is a straight line in the length; take the logarithms first"),
            (np.polyval(slope, np.log(new)), "that is the logarithm of the period; np.exp gives it back"),
            (np.exp(np.polyval(slope, new)), "the new lengths, too, enter as logarithms"),
            (new**power, "the constant c is missing: it is np.exp of the constant of the line"),
            (np.log(constant) * new**power, "c is np.exp of the constant of the line"),
            (np.exp(np.polyval(np.polyfit(lengths, np.log(periods), 1), new)), "that is an exponential law: take the logarithm of the lengths, too"),
            (np.polyval(np.polyfit(np.log(lengths), periods, 1), new), "take the logarithm of the periods, too"),
        )  # fmt: skip
        if not np.allclose(given, wanted, rtol=1e-6):
            hint = next(
                (hint for value, hint in hints if np.allclose(given, value, rtol=1e-6)),
                "np.exp(p · log(new) + constant)",
            )
            return f"for T = {constant} · L^{power} it says {np.round(given, 3).tolist()} at {new.tolist()} m: {hint}."
    return None
