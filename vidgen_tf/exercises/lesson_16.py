"""Exercises of lesson 16: boxes against boxes, a threshold for a rate, links between two frames, back to the ground."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


def _same(given: np.ndarray, value: np.ndarray) -> bool:
    return given.shape == value.shape and np.allclose(given, value, rtol=1e-5, atol=1e-6)


def _sides(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How wide and high the common part of boxes is; below 0 where they do not touch."""
    return np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])


@exercise("16.1")
def all_pairs(answer) -> str | None:
    """16.1: (boxes (n, 4), boxes (m, 4)) → intersection over union of all pairs, (n, m)."""
    three = np.array([[0, 0, 4, 2], [1, 1, 3, 5], [10, 10, 12, 13]], float)
    four = np.array([[0, 0, 4, 2], [2, 0, 6, 2], [11, 11, 20, 12], [20, 20, 21, 21]], float)
    for one, other in ((three, four), (four, three), (three[:1], four[1:])):
        given = array_of(answer, one, other)
        if given.shape != (len(one), len(other)):
            return f"for {len(one)} and {len(other)} boxes the answer has shape {given.shape}; {(len(one), len(other))} was expected: one[:, None] beside other."
        size = lambda box: (box[..., 2:] - box[..., :2]).prod(axis=-1)  # noqa: E731
        sides = _sides(one[:, None], other)
        shared, both = np.maximum(sides, 0).prod(axis=-1), size(one)[:, None] + size(other)
        hints = (
            (sides.prod(axis=-1) / (both - sides.prod(axis=-1)), "boxes that do not touch share nothing: two negative sides make a positive product; cut each at 0"),
            (shared / both, "the shared part was counted twice in the union; subtract it once"),
            (2 * shared / both, "that is the Dice coefficient; divide by what both cover together"),
            (shared, "divide by the area that both cover together"),
            (shared / size(one)[:, None] + 0 * both, "divide by the union, not by the first box alone"),
        )  # fmt: skip
        if not _same(given, shared / (both - shared)):
            hint = next(
                (hint for value, hint in hints if _same(given, value)),
                "the shared area, divided by the area that both cover together",
            )
            return f"it is wrong: {hint}."
    return None


@exercise("16.2")
def threshold_for(answer) -> str | None:
    """16.2: (suspicion of quiet clips (n,), rate) → the smallest of them above which at most this share lies."""
    dice = np.random.default_rng(162)
    cases = [(dice.uniform(0, 9, 20).round(3), 0.1), (dice.uniform(-5, 5, 7).round(3), 0.3), (np.array([0.0, 0, 0, 0, 5, 0, 0, 0]), 0.1),
             (np.array([1.0, 2, 2, 2, 3]), 0.2), (dice.uniform(0, 1, 10).round(3), 0.0), (dice.uniform(0, 1, 10).round(3), 1.0)]  # fmt: skip
    for quiet, rate in cases:
        given = number_of(answer, quiet, rate)
        shares = np.array([(quiet > limit).mean() for limit in quiet])
        wanted = quiet[shares <= rate + 1e-12].min()
        told = f"for {len(quiet)} quiet clips and a rate of {rate:g}"
        if not np.isclose(given, quiet, atol=1e-9).any():
            return f"{told} the answer {given:.4g} is none of the clips' numbers; take one of them, not something between two."
        rings = (quiet > given + 1e-9).mean()
        if rings > rate + 1e-12:
            return f"{told} {100 * rings:.0f} % of the quiet clips ring; at most {100 * rate:.0f} % may."
        if not np.isclose(given, wanted):
            return f"{told} {given:.4g} keeps the rate, but so does the smaller {wanted:.4g}; a threshold that is too high misses events. The alarm rings above it, not at it."
    return None


@exercise("16.3")
def link(answer) -> str | None:
    """16.3: (feet before (n, 2), feet now (m, 2), gate) → for each of before its index in now, or -1, the nearest pairs first."""
    dice = np.random.default_rng(163)
    cases = [
        (np.array([[0.0, 0], [4, 0]]), np.array([[3.0, 0], [9, 0]]), 3.5),  # the first in the list is not the nearest
        (np.array([[0.0, 0], [10, 0]]), np.array([[10.5, 0], [0.5, 0], [30, 0]]), 2.0),
        (np.array([[0.0, 0]]), np.array([[3.0, 3.0]]), 4.0),  # farther than the gate, though not on either axis
        (np.array([[0.0, 0], [1, 0]]), np.array([[0.4, 0]]), 2.0),  # two want the same
        (dice.uniform(0, 20, (6, 2)), dice.uniform(0, 20, (5, 2)), 6.0),
        (dice.uniform(0, 20, (3, 2)), dice.uniform(0, 20, (7, 2)), 30.0),
    ]
    for before, now, gate in cases:
        given = array_of(answer, before, now, gate)
        away = np.linalg.norm(before[:, None] - now, axis=-1)
        wanted, left = np.full(len(before), -1), away.copy()
        while left.min() <= gate:
            one, other = np.unravel_index(left.argmin(), left.shape)
            wanted[one], left[one], left[:, other] = other, np.inf, np.inf
        told = f"from {len(before)} to {len(now)} feet with a gate of {gate:g}"
        if given.shape != wanted.shape:
            return f"{told} the answer has shape {given.shape}; one index for each of before, {wanted.shape}, was expected."
        if not np.isin(given, np.arange(-1, len(now))).all():
            return f"{told} the answer holds {given.tolist()}; indices of now, or -1, were expected."
        given = given.astype(int)
        linked = given[given >= 0]
        if len(np.unique(linked)) < len(linked):
            return f"{told} one foot of now was given twice: {given.tolist()}; a pair that is taken is gone."
        if (away[given >= 0, linked] > gate).any():
            return f"{told} a pair is farther apart than the gate; it should be -1. Distances go along both axes."
        if (given != wanted).any():
            return f"{told} the links are {given.tolist()}, but {wanted.tolist()} was expected; take the nearest pair of all first, not the first in the list, and all that the gate allows."
    return None


@exercise("16.4")
def on_the_ground(answer) -> str | None:
    """16.4: (pixels (n, 2), height, tilt, focal, middle (2,)) → X and Z on the ground, (n, 2)."""
    dice = np.random.default_rng(164)
    for height, tilt, focal, middle in (
        (5.0, 0.4, 56.0, (24.0, 16.0)),
        (3.5, 0.25, 80.0, (32.0, 20.0)),
        (8.0, 0.9, 30.0, (10.0, 10.0)),
    ):
        ground = np.stack([dice.uniform(-4, 4, 6), dice.uniform(6, 15, 6)], axis=1)
        depth = ground[:, 1] * np.cos(tilt) + height * np.sin(tilt)
        rise = ground[:, 1] * np.sin(tilt) - height * np.cos(tilt)
        column, row = middle[0] + focal * ground[:, 0] / depth, middle[1] - focal * rise / depth
        given = array_of(answer, np.stack([column, row], axis=1), height, tilt, focal, np.array(middle))
        if given.shape != ground.shape:
            return f"for 6 pixels the answer has shape {given.shape}; X and Z of each, {ground.shape}, was expected."

        def met(u, w, tilt=tilt, height=height):
            down, ahead = np.sin(tilt) - w * np.cos(tilt), np.cos(tilt) + w * np.sin(tilt)
            return np.stack([height * u / down, height * ahead / down], axis=1)

        u, w = (column - middle[0]) / focal, (middle[1] - row) / focal
        hints = (
            (met(u, -w), "rows grow downwards: what is below the middle is seen along a way that goes down"),
            (met(u, w, tilt=-tilt), "the tilt has the wrong sign: the camera looks down"),
            (np.stack([u, np.ones(6)], axis=1) * depth[:, None], "that is the depth along the axis; Z lies on the ground"),
            (met(u, w, tilt=0), "the tilt is not heard"),
            (met(u * focal, w * focal), "divide pixels by the focal length first"),
            (met(u, w)[:, ::-1], "X comes first, then Z"),
            (met(u, w, height=1.0), "the way is as long as the camera is high: multiply by the height"),
        )  # fmt: skip
        if not _same(given, ground):
            hint = next(
                (hint for value, hint in hints if _same(given, value)),
                "the way (u, w cos t - sin t, cos t + w sin t) meets the ground where its second number has come down by the height",
            )
            return f"for a camera {height:g} m high with a tilt of {tilt:g} it is wrong: {hint}."
    return None
