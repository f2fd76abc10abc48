"""Exercises of lesson 10: a mask for a canvas, a longer film, two wishes at once, where a variation begins."""

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise


def _same(given: np.ndarray, value: np.ndarray) -> bool:
    return given.shape == value.shape and np.allclose(given, value, rtol=1e-5, atol=1e-6)


@exercise("10.1")
def canvas_mask(answer) -> str | None:
    """10.1: (shape (time, height, width), top, bottom, left, right) → bool mask of the canvas, true where the clip lies."""
    for shape, (top, bottom, left, right) in (
        ((2, 5, 4), (1, 2, 3, 4)),
        ((3, 4, 6), (2, 0, 0, 5)),
        ((2, 3, 3), (0, 0, 0, 0)),
    ):
        mask = array_of(answer, shape, top, bottom, left, right)
        time, height, width = shape
        right_mask = np.pad(np.ones(shape, bool), ((0, 0), (top, bottom), (left, right)))
        told = f"a clip of {shape} with {top}, {bottom}, {left}, {right} more pixels at top, bottom, left and right"
        if mask.shape != right_mask.shape:
            hint = ""
            if mask.shape == (time, height + left + right, width + top + bottom):
                hint = " top and bottom belong to the height, left and right to the width."
            return f"for {told} the mask has shape {mask.shape}; {right_mask.shape} was expected.{hint}"
        if not (mask == right_mask).all():
            if (mask == ~right_mask).all():
                return "the mask is true where the clip does not lie; it says which pixels are known."
            if (mask == np.pad(np.ones(shape, bool), ((0, 0), (bottom, top), (right, left)))).all():
                return "the clip lies at the wrong end: above it are `top` pixels, and left of it `left`."
            return f"for {told} the mask is true at {mask.sum()} places, {np.sum(mask & right_mask)} of them right; the clip has {right_mask.sum()}."
    return None


@exercise("10.2")
def film_of(answer) -> str | None:
    """10.2: (first clip, go_on (the last frames → a clip that begins with them), overlap, frames) → a film of so many frames."""
    for length, overlap, frames in ((6, 2, 17), (6, 2, 14), (5, 1, 5), (7, 3, 9), (6, 4, 4)):
        shown = np.cumsum(np.random.default_rng(102).integers(1, 90, frames + 3 * length)).astype(float)
        asked = []  # each frame of the whole film shows a number of its own, and only go_on knows the later ones

        def go_on(beginning, length=length, asked=asked, shown=shown):
            beginning = np.asarray(beginning)
            asked.append(beginning.copy())
            start = np.searchsorted(shown[:-length], beginning.ravel()[0]) if beginning.size else 0
            return shown[start : start + length].reshape(length, 1, 1, 1).copy()

        first = shown[:length].reshape(length, 1, 1, 1)
        film = array_of(answer, first, go_on, overlap, frames)
        told = f"clips of {length} frames, an overlap of {overlap} and a film of {frames} frames"
        for beginning in asked:
            if beginning.shape != (overlap, 1, 1, 1):
                return f"go_on was given {beginning.shape}; the last {overlap} frames, {(overlap, 1, 1, 1)}, were expected."
        if film.shape[1:] != (1, 1, 1):
            return f"the film has shape {film.shape}; (frames, height, width, channels) was expected."
        if len(film) != frames:
            return f"for {told} the film has {len(film)} frames; cut what is too long, and go on while it is too short."
        numbers = np.minimum(np.searchsorted(shown, film.ravel()), len(shown) - 1)  # of the frames
        if not np.array_equal(shown[numbers], film.ravel()):
            return f"for {told} frames are neither of `first` nor of what go_on gave; join these as they are."
        steps = np.diff(numbers)
        if (steps <= 0).any():
            return f"for {told} frames come twice: {numbers[:12].tolist()} …; leave out what the next clip repeats."
        if (steps > 1).any() or numbers[0] != 0:
            return f"for {told} frames are missing: {numbers[:12].tolist()} …; only the overlap is repeated."
        if frames > length and not asked:
            return f"for {told} go_on was never called; what follows the first clip comes from it."
    return None


@exercise("10.3")
def two_wishes(answer) -> str | None:
    """10.3: (free, words, picture, to_words, to_picture) → the velocity that goes towards both."""
    dice = np.random.default_rng(103)
    for to_words, to_picture in ((2.0, 1.5), (1.0, 0.0), (0.0, 0.0), (0.5, 3.0)):
        free, words, picture = dice.standard_normal((3, 2, 3, 4))
        given = array_of(answer, free, words, picture, to_words, to_picture)
        if given.shape != free.shape:
            return f"the answer has shape {given.shape}; {free.shape}, that of the velocities, was expected."
        right = free + to_words * (words - free) + to_picture * (picture - free)
        hints = (
            (
                to_words * words + to_picture * picture,
                "that does not begin at `free`; with strengths of 0 `free` remains",
            ),
            (
                free + to_words * words + to_picture * picture,
                "go along the differences, words - free and picture - free",
            ),
            (free + to_words * (words - free), "the picture's wish is not heard"),
            (
                free + to_words * (words - free) + to_picture * (picture - words),
                "the picture's way begins at `words`; let it begin at `free`",
            ),
            (free + to_picture * (words - free) + to_words * (picture - free), "the two strengths are exchanged"),
            (
                free + (to_words * (words - free) + to_picture * (picture - free)) / 2,
                "that is the mean of both ways; add them",
            ),
            (
                words + to_words * (words - free) + to_picture * (picture - free),
                "that begins at `words`; with strengths of 0 `free` remains",
            ),
        )
        if not _same(given, right):
            hint = next(
                (hint for value, hint in hints if _same(given, value)),
                "free + to_words · (words - free) + to_picture · (picture - free)",
            )
            return f"with strengths {to_words:g} and {to_picture:g} it is wrong: {hint}."
    return None


@exercise("10.4")
def variation(answer) -> str | None:
    """10.4: (clip, noise, strength, steps) → what is seen at each time of the way, (steps + 1, …)."""
    dice = np.random.default_rng(104)
    for strength, steps in ((0.5, 4), (0.8, 5), (1.0, 2), (0.3, 1)):
        clip, noise = dice.standard_normal((2, 3, 4, 4, 1))
        seen = array_of(answer, clip, noise, strength, steps)
        if seen.shape != (steps + 1, *clip.shape):
            return f"for {steps} steps the answer has shape {seen.shape}; {(steps + 1, *clip.shape)} was expected, both ends among them."
        at = lambda times: times.reshape(-1, 1, 1, 1, 1)  # noqa: E731
        way = lambda t, clip=clip, noise=noise: (1 - t) * clip + t * noise  # noqa: E731
        t = at(strength * np.linspace(1, 0, steps + 1))
        hints = (
            (way(t[::-1]), "the way goes from the strength down to 0, where the clip is"),
            (
                way(at(np.linspace(1, 0, steps + 1))),
                "it begins at 1; a variation begins at its strength, where something is still seen",
            ),
            (t * clip + (1 - t) * noise, "the rates are exchanged: a small strength leaves nearly all of the clip"),
            (clip + t * noise, "the clip fades as the noise comes: s = 1 - t"),
            (
                (1 - strength) * clip + t * noise,
                "the signal comes back on the way: s = 1 - t at each time, not at the first alone",
            ),
        )
        if not _same(seen, way(t)):
            hint = next(
                (hint for value, hint in hints if _same(seen, value)),
                "(1 - t) · clip + t · noise, with times evenly from the strength to 0",
            )
            return f"for strength {strength:g} and {steps} steps it is wrong: {hint}."
    return None
