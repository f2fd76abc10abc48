"""Exercises of lesson 11: the same region, slopes of a branch that starts at zero, another mean and deviation, steady paint."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, call, exercise


def _same(given: np.ndarray, value) -> bool:
    value = np.asarray(value)
    return given.shape == value.shape and np.allclose(given, value, rtol=1e-4, atol=1e-5)


def _hint(given: np.ndarray, hints: tuple, otherwise: str) -> str:
    return next((hint for value, hint in hints if _same(given, value)), otherwise)


@exercise("11.1")
def overlap(answer) -> str | None:
    """11.1: two batches of regions (count, height, width), bool → intersection over union (count,)."""
    one, other = np.zeros((2, 4, 6, 7), bool)
    one[0, 1:4, 1:4], other[0, 2:5, 2:6] = True, True
    one[1, :2], other[1, 4:] = True, True  # apart
    one[2, 2:4, 2:4], other[2, 2:4, 2:4] = True, True  # the same
    for count, told in ((3, "regions that hold something"), (4, "regions one of which is empty on both sides")):
        given = array_of(answer, one[:count], other[:count])
        both, either = ((part).sum(axis=(1, 2)) for part in (one[:count] & other[:count], one[:count] | other[:count]))
        sizes = one[:count].sum(axis=(1, 2)), other[:count].sum(axis=(1, 2))
        right = np.where(either > 0, both / np.maximum(either, 1), 1.0)
        if given.shape != (count,):
            return f"for {count} pairs of regions it gives shape {given.shape}; give one number for each pair."
        if _same(given, right):
            continue
        safe = [np.maximum(size, 1) for size in sizes]
        hints = (
            (np.where(either > 0, right, 0), "two empty regions are the same, so they have 1"),
            (np.where(either > 0, right, np.nan), "two empty regions are the same: nothing by nothing is 1 here"),
            (both, "that is what lies in both; divide by what lies in at least one"),
            (both / safe[0], "divided by the first region alone, a region that fills the frame would be perfect"),
            (both / safe[1], "divided by the second region alone, a region that fills the frame would be perfect"),
            (2 * both / np.maximum(sum(sizes), 1), "that is Dice's measure; divide by what lies in at least one"),
            (both / np.maximum(sum(sizes), 1), "what lies in both is counted twice below; take the union"),
            ((one == other)[:count].mean(axis=(1, 2)), "ground that both leave free does not count"),
            (1 - right, "that is how far they differ; the same region has 1"),
            (np.full(count, both.sum() / either.sum()), "each pair has its own number; sum over height and width only"),
        )
        hint = _hint(given, hints, "what lies in both, divided by what lies in at least one, for each pair")
        if not np.isfinite(given).all():
            hint = "two empty regions are the same: nothing by nothing is 1 here"
        return f"for {told} it is wrong: {hint}."
    return None


@exercise("11.2")
def branch_slopes(answer) -> str | None:
    """11.2: (found (tokens, a), last (a, b), slope (tokens, b)) → slopes of `last` (a, b) and of `found` (tokens, a)."""
    dice = np.random.default_rng(112)
    found, slope = dice.standard_normal((2, 4, 4))  # all of one shape, so that the pair is an array as well
    for last, told in ((dice.standard_normal((4, 4)), "a last layer"), (np.zeros((4, 4)), "a last layer of zeros")):
        pair = call(answer, found, last, slope)
        if isinstance(pair, str) or np.shape(pair) != (2, 4, 4):
            return f"an answer of shape {np.shape(pair)} came, but two arrays (slope of last, slope of found) were asked for."
        of_last, of_found = (array_of(lambda part=part: part) for part in pair)
        right = found.T @ slope, slope @ last.T
        if not _same(of_last, right[0]):
            hints = (
                (right[1], "that is the slope of found; the slope of last comes first"),
                (0 * last, "it is not zero: it knows nothing of the zeros in last, only of what was found"),
                (right[0] / len(found), "the slopes of the tokens add up, they are not averaged"),
                (-right[0], "it points the wrong way; the slope itself was asked for, not a step down"),
                (right[0].T, "rows and columns are exchanged; a row of last belongs to a number that was found"),
                (found @ slope, "sum over tokens: they are the rows of both, so found must be turned"),
                (last, "that is the layer itself"),
            )
            hint = _hint(of_last, hints, "control = found @ last, so it is found.T @ slope")
            return f"for {told} the slope of last is wrong: {hint}."
        if not _same(of_found, right[1]):
            hints = (
                (-right[1], "it points the wrong way"),
                (found, "that is what was found itself"),
                (slope, "what was found is heard through last: where is it?"),
                (slope @ last, "the way back goes through last turned around"),
                (found @ last @ last.T, "start from the slope that came, not from control itself"),
                (0 * found, "it is zero only as long as last is"),
            )
            hint = _hint(of_found, hints, "control = found @ last, so it is slope @ last.T")
            return f"for {told} the slope of found is wrong: {hint}."
    return None


@exercise("11.3")
def restyled(answer) -> str | None:
    """11.3: (maps (time, height, width, channels), means, deviations (channels,)) → maps of that mean and deviation over the clip."""
    dice = np.random.default_rng(113)
    maps = dice.normal(2, 3, (3, 4, 5, 4)) + np.array([0, 1, 3])[:, None, None, None]  # frames that grow brighter
    means, deviations = np.array([0.5, -1.0, 2.0, 0.0]), np.array([1.0, 0.3, 2.0, 0.5])
    given = array_of(answer, maps, means, deviations)
    if given.shape != maps.shape:
        return f"for maps of shape {maps.shape} it gives shape {given.shape}; give the same shape."

    def normal(axes):
        return (maps - maps.mean(axis=axes, keepdims=True)) / maps.std(axis=axes, keepdims=True)

    clip = normal((0, 1, 2))
    if _same(given, means + deviations * clip):
        return None
    spread = (maps - maps.mean(axis=(0, 1, 2))) / maps.var(axis=(0, 1, 2))
    hints = (
        (clip, "that has the mean 0 and the deviation 1; give it those of the style"),
        (means + deviations * normal((1, 2)), "each frame was normalised alone, so a change of light from frame to frame is lost"),
        (means + deviations * normal((0, 1, 2, 3)), "each channel has a mean and a deviation of its own"),
        (means + deviations * normal((1, 2, 3)), "each channel has a mean and a deviation of its own"),
        (means + deviations * normal(3), "the mean is that over frames and places, for each channel, not over channels"),
        (means + deviations * maps, "first take the mean and the deviation of the maps away"),
        (means + clip, "where are the deviations?"),
        (deviations * clip, "where are the means?"),
        (deviations * (clip + means), "the mean comes last: it must not be multiplied"),
        (deviations + means * clip, "means and deviations are exchanged"),
        (means + deviations * spread, "divide by the deviation, not by its square"),
        (means + deviations * (maps - maps.mean(axis=(0, 1, 2))), "divide by the deviation of the maps"),
    )  # fmt: skip
    return f"it is wrong: {_hint(given, hints, 'deviation · (x - mean of x) / (deviation of x) + mean, for each channel, over all frames')}."


@exercise("11.4")
def unsteady(answer) -> str | None:
    """11.4: (clip (time, height, width, channels), flow (time - 1, height, width, 2) of whole pixels, seen) → the temporal loss."""
    dice = np.random.default_rng(114)
    clip = dice.uniform(-1, 1, (3, 6, 8, 3))
    flow = dice.integers(-2, 3, (2, 6, 8, 2))
    rows, columns = np.mgrid[:6, :8]

    def apart(flow, back=-1, swap=False):
        x, y = columns + back * flow[..., swap * 1], rows + back * flow[..., 1 - swap * 1]
        frames = np.arange(2)[:, None, None]
        moved = clip[frames, y.clip(0, 5), x.clip(0, 7)]
        inside = (x >= 0) & (x <= 7) & (y >= 0) & (y <= 5)
        return (clip[1:] - moved) ** 2, inside

    squared, inside = apart(flow)
    seen = inside & (dice.random(inside.shape) < 0.7)
    given, value = array_of(answer, clip, flow, seen), (squared.mean(axis=-1) * seen).sum() / seen.sum()
    if given.size != 1:
        return f"it gives shape {given.shape}, but one number was asked for."
    given = np.asarray(given, float).reshape(())
    if not _same(given, value):
        wrong = [apart(flow, 1)[0], apart(flow, swap=True)[0], apart(0 * flow)[0]]
        wrong = [(each.mean(axis=-1) * seen).sum() / seen.sum() for each in wrong]
        hints = (
            (np.sqrt(value), "that is its root, the warping error; the loss is the mean square"),
            (3 * value, "the mean over the channels, not their sum"),
            ((squared.mean(axis=-1) * seen).mean(), "divide by the pixels that were seen, not by all"),
            ((squared.mean(axis=-1) * seen).sum(), "that is the sum; divide by the pixels that were seen"),
            (squared.mean(), "what could not be seen before does not count"),
            (wrong[0], "what is at x now was at x - flow, not at x + flow"),
            (wrong[1], "flow is (x, y): columns first, then rows"),
            (wrong[2], "nothing was moved: look each pixel up where it was"),
        )
        return f"it is wrong: {_hint(given, hints, 'the mean over seen pixels of (frame - the frame before, looked up at x - flow)²')}."
    nothing = array_of(answer, clip, flow, np.zeros_like(seen))
    if not _same(np.asarray(nothing, float).reshape(()), 0.0):
        return f"where no pixel could be seen before it gives {nothing}, but there is nothing to blame then: 0."
    return None
