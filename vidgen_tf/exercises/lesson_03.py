"""Exercises of lesson 3: layers of a picture, looking up between pixels, the place on a sheet."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


@exercise("03.1")
def laid_over(answer) -> str | None:
    """03.1: (background (h, w, c), sheet (h, w, c + 1): colours times cover, then cover) → the frame (h, w, c)."""
    return next((wrong for channels in (3, 1) if (wrong := _laid_over(answer, channels))), None)


def _laid_over(answer, channels: int) -> str | None:
    generator = np.random.default_rng(31)
    background = generator.uniform(-1, 1, (6, 7, channels)).astype(np.float32)
    color = generator.uniform(-1, 1, (6, 7, channels)).astype(np.float32)
    cover = generator.uniform(0, 1, (6, 7, 1)).astype(np.float32)
    cover[:2] = 0
    cover[2:4] = 1
    sheet = np.concatenate([color * cover, cover], axis=-1)
    right = background * (1 - cover) + color * cover
    given = array_of(answer, background.copy(), sheet.copy())
    if given.shape != right.shape:
        case = f"for a background of shape (6, 7, {channels})"
        return f"{case} it gives shape {given.shape}; a frame has the background's shape."
    if np.allclose(given, right, atol=1e-5):
        return None
    hints = (
        (background * (1 - cover) + color * cover * cover, "the sheet's colours were multiplied by the cover already"),
        (background + color * cover, "where the sheet covers, the background must go: 1 minus the cover of it is left"),
        (background * cover + color * cover, "the background shows where the cover is 0, not where it is 1"),
        (np.where(cover > 0.5, color * cover, background), "half covered pixels show both, in shares"),
        (background * (1 - cover) + color, "the colours are those of the sheet as they stand in it"),
    )
    hint = next((hint for value, hint in hints if np.allclose(given, value, atol=1e-5)), None)
    if hint:
        return f"{hint}."
    if not np.allclose(given[:2], right[:2], atol=1e-5):
        return "where the cover is 0 the frame must be the background, and it is not."
    return "where the cover is 0 it is right, elsewhere not; one channel of the sheet, its last, is the cover."


@exercise("03.2")
def looked_up(answer) -> str | None:
    """03.2: (picture (h, w), x, y) → its value at (x, y), mixed linearly from the four pixels around."""
    picture = np.random.default_rng(32).uniform(-1, 1, (5, 9))
    for x, y in ((3.0, 2.0), (3.7, 1.2), (3.25, 2.0), (3.0, 2.75), (0.4, 2.9)):
        left, top = int(x), int(y)
        a, b = x - left, y - top
        corners = picture[top : top + 2, left : left + 2]

        def mixed(a, b, corners=corners):
            return (corners * np.outer([1 - b, b], [1 - a, a])).sum()

        given = number_of(answer, picture, x, y)
        if abs(given - mixed(a, b)) <= 1e-6:
            continue
        hints = {
            mixed(round(a), round(b)): "that is the nearest pixel; mix the four around",
            mixed(1 - a, 1 - b): "the nearer pixel has the larger share: at x = 3.25, pixel 3 has 0.75",
            mixed(b, a): "the shares of x and y are exchanged",
            corners.mean(): "that is the plain mean of four pixels; the nearer ones count more",
            mixed(0, 0): "that is the pixel above and to the left; mix the four around",
        }
        if x < 5 and y < 9:
            hints[picture[min(int(x), 4), min(int(y), 8)]] = "an array is indexed [row, column], so y comes first"
        hint = next((hint for value, hint in hints.items() if abs(given - value) <= 1e-6), None)
        hint = hint or "first mix along x in the two rows, then mix the two results along y; y is the row"
        return f"at x = {x}, y = {y} it gives {given:.4g}, not {mixed(a, b):.4g}; {hint}."
    return None


@exercise("03.3")
def place_on_the_sheet(answer) -> str | None:
    """03.3: (points (n, 2) of a frame, pose (x, y, log size, angle)) → where on the sheet each looks (n, 2)."""
    points = np.random.default_rng(33).uniform(-1, 1, (7, 2))
    cases = (
        (np.zeros(4), "without any move, each point looks at itself"),
        (np.array([0.5, -0.25, 0, 0]), "a sheet moved by 0.5 is looked up 0.5 before: subtract the place"),
        (np.array([0, 0, np.log(2), 0]), "on a sheet twice as large, look half as far out: divide by exp(log size)"),
        (np.array([0, 0, 0, np.pi / 2]), "turn the other way: the look-up undoes the sheet's turn"),
        (np.array([0.3, 0.1, -0.4, 0.8]), "undo in this order: first the place, then the turn and the size"),
    )
    for pose, hint in cases:
        x, y = (points - pose[:2]).T
        cosine, sine = np.cos(pose[3]), np.sin(pose[3])
        right = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1) / np.exp(pose[2])
        given = array_of(answer, points, pose)
        if given.shape != right.shape:
            return f"for points of shape {points.shape} it gives shape {given.shape}; one (x, y) a point was asked for."
        if not np.allclose(given, right, atol=1e-6):
            return f"for the pose {np.round(pose, 2).tolist()} it is wrong: {hint}."
    return None
