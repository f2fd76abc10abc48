"""Exercises of lesson 6: the velocity of a texture, flows one after another, what was seen before."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise


def _look_up(field, x, y) -> np.ndarray:
    """The values of a field (height, width, …) between its pixels, at x and y; beyond the border those at it."""
    field, (x, y) = np.asarray(field), np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    height, width = field.shape[:2]
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = np.floor(x).astype(int).clip(0, width - 2), np.floor(y).astype(int).clip(0, height - 2)
    right, down = (part.reshape(*part.shape, *[1] * (field.ndim - 2)) for part in (x - left, y - top))
    above = (1 - right) * field[top, left] + right * field[top, left + 1]
    below = (1 - right) * field[top + 1, left] + right * field[top + 1, left + 1]
    return (1 - down) * above + down * below


@exercise("06.1")
def velocity_between(answer) -> str | None:
    """06.1: two pictures (height, width) → the velocity (x, y) between them, in pixels, by least squares."""
    y, x = np.mgrid[:24, :24]
    waves = np.random.default_rng(87).uniform(-1, 1, (5, 4)) * [0.3, 0.3, np.pi, 0.3]

    def texture(right, down):
        return sum(size * np.cos(kx * (x - right) + ky * (y - down) + phase) for kx, ky, phase, size in waves)

    within = 0.04  # waves so long that least squares misses by 0.02 at most, with the slopes of either picture
    for true in ((0.7, 0.0), (-0.2, 0.7), (0.5, -0.6)):
        given = array_of(answer, texture(0, 0), texture(*true)).ravel()
        if given.size != 2:
            return f"it gives {given.size} numbers, but one velocity (x, y) was asked for."
        if np.hypot(*(given - true)) <= within:
            continue
        right = np.array(true)
        hints = (
            (
                -right,
                "it points the wrong way: what is at x now was at x - u, so the slopes times u are MINUS the change",
            ),
            (right[::-1], "x is to the right and comes first; np.gradient gives the slope downwards first"),
            (-right[::-1], "x comes first, and np.gradient gives the slope downwards first; and mind the sign"),
            (2 * right, "twice as long: a slope is the change over one pixel"),
            (0 * right, "nothing seems to move"),
        )
        hint = next((hint for value, hint in hints if np.hypot(*(given - value)) <= within), None)
        hint = hint or "one equation a pixel: slope to the right · x + slope down · y = -(after - before)"
        return f"for a texture that moves by {true} it gives ({given[0]:.2f}, {given[1]:.2f}); {hint}."
    return None


@exercise("06.2")
def two_in_one(answer) -> str | None:
    """06.2: (flow from frame 0 to 1, flow from 1 to 2, look_up) → the flow from 0 to 2, each (height, width, 2)."""
    rows, columns = np.mgrid[:10, :12].astype(float)
    even = np.broadcast_to([1.5, -0.5], (10, 12, 2))
    bent = np.stack([np.sin(rows / 2) + 0.2 * columns, 0.3 * columns - 0.1 * rows], axis=-1)
    cases = {"are even": (even, 2 * even), "differ from place to place": (bent, bent[::-1] / 2)}
    for name, (first, second) in cases.items():
        at = lambda field, way: _look_up(field, columns - way[..., 0], rows - way[..., 1])  # noqa: E731
        right, given = second + at(first, second), array_of(answer, first, second, _look_up)
        if given.shape != right.shape:
            return f"for flows of shape {right.shape} it gives {given.shape}, but the same shape was asked for."
        if np.allclose(given, right, atol=1e-6):
            continue
        hints = (
            (
                first + second,
                "arrows of two frames start at different places: look the first one up where the second comes from",
            ),
            (
                first + at(second, first),
                "the other way round: the second flow belongs to the pixels of frame 2, so it leads back first",
            ),
            (second + at(first, -second), "the second arrow leads back: look up at x - second, not at x + second"),
            (at(first, second), "that is the first half of the way; add the second arrow"),
            (
                second + at(first, second[..., ::-1]),
                "an arrow is (x, y): the first number belongs to the columns",
            ),
            (-right, "it points the wrong way: what is at x was at x - flow"),
            (
                second + _look_up(first, rows - second[..., 1], columns - second[..., 0]),
                "look_up takes x, the columns, first",
            ),
            (first + at(second, -first), "that follows on from frame 0; start in frame 2 and go back"),
            (second + at(first, first), "step back by the second arrow, and look the first one up there"),
            (first + at(second, second), "first and second are exchanged"),
        )
        hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-6)), None)
        hint = hint or "go back from frame 2 to 1, then from there to 0, and add"
        return f"for flows that {name} it is wrong: {hint}."
    return None


@exercise("06.3")
def seen_before(answer) -> str | None:
    """06.3: (forward flow, backward flow, look_up) → bool (height, width): where both agree to half a pixel."""
    rows, columns = np.mgrid[:12, :16]
    box, gone = np.zeros((2, 12, 16, 2))
    box[3:8, 8:12], gone[3:8, 5:9] = (3, 0), (-3, 0)  # a box went 3 to the right
    pan = np.broadcast_to([2.0, -1.0], (12, 16, 2))
    half = np.broadcast_to([-0.5, -0.5], (12, 16, 2))
    slow = np.broadcast_to([1.4, -0.4], (12, 16, 2))
    zoom = np.stack([(columns - 6.9) / 4, (rows - 5.1) / 4], axis=-1)  # no sum is within 0.03 of half a pixel
    cases = {
        "a box that moves before a ground at rest": (box, gone),
        "a camera that pans": (pan, -pan),
        "a camera that pans by half a pixel": (half, -half),
        "flows that differ by (0.3, 0.3) pixels": (pan, 0.3 - pan),
        "flows that differ by (0.6, 0) pixels": (pan, [0.6, 0] - pan),
        "flows that differ by (0, 0.6) pixels": (pan, [0, 0.6] - pan),
        "flows that differ by (0.4, 0.4) pixels": (pan, 0.4 - pan),
        "flows whose difference grows from place to place": (slow, zoom - slow),
    }
    for name, (forward, backward) in cases.items():
        x, y = columns - forward[..., 0], rows - forward[..., 1]
        inside = (x >= 0) & (x <= 15) & (y >= 0) & (y <= 11)
        both = forward + _look_up(backward, x, y)
        short = lambda arrows: np.linalg.norm(arrows, axis=-1) < 0.5  # noqa: E731
        agree = short(both)
        right, given = agree & inside, array_of(answer, forward, backward, _look_up)
        if given.shape != right.shape or not np.isin(given, (0, 1)).all():
            return (
                f"for flows of shape (12, 16, 2) it gives {given.dtype} {given.shape}, but bool (12, 16) was asked for."
            )
        given = given.astype(bool)
        if (given == right).all():
            continue
        here = short(forward + backward)
        nearest = short(forward + _look_up(backward, np.round(x), np.round(y)))
        hints = (
            (~right, "True is for what was seen before"),
            (agree, "what comes from beyond the border, 0 to width - 1, was not seen either"),
            (here & inside, "look backward up at the place where the pixel came from, not at the pixel"),
            (here, "look backward up at the place where the pixel came from; and leave out what lies outside"),
            (short(2 * forward - both) & inside, "there and back again: the two arrows add up to nothing"),
            (
                (np.abs(both[..., 0]) < 0.5) & inside,
                "x alone is not enough: what counts is how long the sum of the arrows is",
            ),
            (inside, "inside is not enough: both flows have to agree to half a pixel, in x and in y"),
            ((np.abs(both) < 0.5).all(axis=-1) & inside, "the sum of the arrows is as long as the root of x² + y²"),
            (nearest & inside, "that is the nearest pixel; look_up takes places between pixels too"),
        )
        hint = next((hint for value, hint in hints if (given == value).all()), None)
        hint = hint or "find where the pixel came from, and where it is sent from there"
        return f"for {name}, {np.count_nonzero(given != right)} of 192 pixels are wrong: {hint}."
    return None
