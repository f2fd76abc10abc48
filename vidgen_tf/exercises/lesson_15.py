"""Exercises of lesson 15: colours of a scanner, a ray through a body, agreement of outlines, copies of patients."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


def _same(given: np.ndarray, value: np.ndarray) -> bool:
    return given.shape == value.shape and np.allclose(given, value, rtol=1e-5, atol=1e-6)


@exercise("15.1")
def colours(answer) -> str | None:
    """15.1: pixels (…, 3) as Y, Cb, Cr from 0 to 255 → red, green, blue, whole numbers from 0 to 255."""
    dice = np.random.default_rng(151)
    for pixels in (
        np.array([[0, 128, 128], [100, 128, 128], [255, 128, 128]], np.uint8),
        np.array([[76, 85, 255], [29, 255, 107], [150, 44, 21]], np.uint8),
        dice.integers(0, 256, (4, 5, 3), dtype=np.uint8),
    ):
        y, cb, cr = np.moveaxis(pixels.astype(float), -1, 0)
        exact = lambda y, cb, cr: np.stack(  # noqa: E731
            [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1
        )
        whole = lambda rgb: np.clip(np.rint(rgb), 0, 255)  # noqa: E731
        right = whole(exact(y, cb - 128, cr - 128))
        given = array_of(answer, pixels)
        if given.shape != pixels.shape:
            return f"for pixels {pixels.shape} the answer has shape {given.shape}; the same shape was expected."
        if np.array_equal(given, right):
            continue
        if given.dtype.kind == "f" and np.isfinite(given).all() and np.array_equal(whole(given), right):
            return "the colours are right, but no bytes: round them and bound them to 0 … 255."
        hints = (
            (whole(exact(y, cb, cr)), "Cb and Cr are 128 where there is no colour; take 128 off first"),
            (whole(exact(y, cr - 128, cb - 128)), "Cb and Cr are exchanged: red follows from Cr, blue from Cb"),
            (np.floor(np.clip(exact(y, cb - 128, cr - 128), 0, 255)), "round to the nearest number, do not cut"),
            (
                np.rint(exact(y, cb - 128, cr - 128)) % 256,
                "what is below 0 or above 255 wraps around; bound it before it becomes a byte",
            ),
            (pixels[..., ::-1].astype(float), "turning the channels around makes no colours of them"),
        )
        hint = next(
            (hint for value, hint in hints if np.array_equal(given, value)), "R = Y + 1.402 (Cr - 128), and so on"
        )
        return f"for the pixel {pixels.reshape(-1, 3)[0].tolist()} and others it is wrong: {hint}."
    return None


@exercise("15.2")
def ray(answer) -> str | None:
    """15.2: (densities (n,), colours (n, 3), step) along a ray, the nearest first → the colour that is seen, (3,)."""
    dice = np.random.default_rng(152)
    for count, step in ((6, 0.3), (1, 0.5), (12, 0.1), (4, 2.0)):
        sigma, colors = dice.uniform(0.2, 3, count), dice.random((count, 3))
        given = array_of(answer, sigma, colors, step)
        if given.shape != (3,):
            return f"the answer has shape {given.shape}; one colour, (3,), was expected."

        def seen(alpha, through, colors=colors):
            return ((alpha * through)[:, None] * colors).sum(axis=0)

        alpha, depth = 1 - np.exp(-sigma * step), np.cumsum(sigma) * step
        through = np.exp(-(depth - sigma * step))
        behind = np.exp(-(depth[-1] - depth))
        hints = (
            (seen(alpha, np.exp(-depth)), "a piece does not hide itself: T counts the pieces in front of it alone"),
            (seen(alpha, behind), "the first piece is the nearest to the eye; that is seen from behind"),
            (seen(alpha, np.ones(count)), "what lies in front hides what lies behind: multiply by T"),
            (
                seen(sigma * step, through),
                "σ Δ is not the share that is hidden, as it may exceed 1; take 1 - exp(-σ Δ)",
            ),
            (seen(1 - np.exp(-sigma), np.exp(-(np.cumsum(sigma) - sigma))), "the step has no say: a piece is Δ long"),
            (seen(alpha, through) / alpha.sum(), "the shares need no common divisor; what is missing to 1 is dark"),
        )
        if not _same(given, seen(alpha, through)):
            hint = next((hint for value, hint in hints if _same(given, value)), "Σ T α c, with α = 1 - exp(-σ Δ)")
            return f"for {count} pieces with a step of {step:g} it is wrong: {hint}."
    return None


@exercise("15.3")
def agreement(answer) -> str | None:
    """15.3: (found, true), bool (count, slices, height, width) → Dice coefficients (count,), 1 where both are empty."""
    dice = np.random.default_rng(153)
    for chance in (0.3, 0.6):
        found, true = dice.random((5, 3, 4, 4)) < chance, dice.random((5, 3, 4, 4)) < 0.4
        found[1], found[2], true[2], true[3] = False, False, False, False
        given = array_of(answer, found, true)
        both, one, other = ((x & y).sum(axis=(1, 2, 3)) for x, y in ((found, true), (found, found), (true, true)))
        either, largest = one + other - both, np.maximum
        right = np.where(one + other > 0, 2 * both / largest(one + other, 1), 1.0)
        if given.shape != (5,):
            return f"for 5 volumes the answer has shape {given.shape}; one number a volume, (5,), was expected."
        if _same(given, right):
            continue
        if _same(given[[0, 1, 3, 4]], right[[0, 1, 3, 4]]):
            return "where both outlines are empty the answer must be 1: to find nothing where nothing is, is right."
        hints = (
            (
                np.where(either > 0, both / largest(either, 1), 1),
                "that is the intersection over union, which is smaller",
            ),
            (
                np.where(one + other > 0, both / largest(one + other, 1), 1),
                "the shared voxels count twice, once in each outline",
            ),
            (np.where(one > 0, both / largest(one, 1), 1), "the voxels that were missed do not count here"),
            (np.where(other > 0, both / largest(other, 1), 1), "the voxels that were found in vain do not count here"),
            (
                (found == true).mean(axis=(1, 2, 3)),
                "that is the share of all voxels that are right, which empty outlines get as well",
            ),
        )
        used = [0, 1, 3, 4]
        hint = next((hint for value, hint in hints if _same(given[used], value[used])), "2 |both| / (|found| + |true|)")
        return f"it is wrong: {hint}."
    return None


@exercise("15.4")
def copies(answer) -> str | None:
    """15.4: (to_seen (n,), to_unseen (n,)), distances to the nearest → share nearer to what was seen, a tie is half."""
    dice = np.random.default_rng(154)
    for count in (8, 11):
        seen, unseen = dice.random(count).round(2), (dice.random(count) + 0.4).round(2)
        unseen[:2] = seen[:2]
        given = number_of(answer, seen, unseen)
        near, tie = (seen < unseen).mean(), (seen == unseen).mean()
        hints = (
            (near, "a tie says nothing; count it half"),
            (near + tie, "a tie says nothing; count it half"),
            (1 - near - tie / 2, "that is the share nearer to what was not seen"),
            (100 * (near + tie / 2), "a share from 0 to 1 was expected, no percent"),
            ((near + tie / 2) * count, "divide by the number of cases"),
            (seen.mean() / unseen.mean(), "one very near case would vanish in the means; count cases"),
        )
        if not np.isclose(given, near + tie / 2):
            hint = next((hint for value, hint in hints if np.isclose(given, value)), "count to_seen < to_unseen")
            return f"for {count} cases, 2 of them with equal distances, it is wrong: {hint}."
    return None
