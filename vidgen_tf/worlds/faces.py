"""Faces that act: who somebody is, what the face says, where it looks and turns, and a mouth that follows a voice.

A face is drawn from quantities, by ellipses and curves whose borders are smooth over one pixel. Features lie on a round head:
one at the longitude a is seen at the sine of a + turn, and as much narrower as the cosine says. So each clip is determined by
its quantities to the last pixel, and all that a network makes for them can be read back and compared.

P. Ekman, W. V. Friesen: Facial Action Coding System. Consulting Psychologists Press, 1978 (a face as a few actions)
F. I. Parke: Computer Generated Animation of Faces. ACM National Conference 1972, https://doi.org/10.1145/800193.569955
"""

import functools
from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_size, check_values
from vidgen_tf.metrics import correlation
from vidgen_tf.worlds import Sample, World

EXPRESSIONS = {  # smile, height of the brows, and how far their inner ends are up
    "neutral": (0.0, 0.0, 0.0),
    "happy": (0.9, 0.3, 0.1),
    "sad": (-0.8, 0.1, 0.8),
    "angry": (-0.6, -0.7, -0.8),
    "surprised": (-0.1, 0.9, 0.2),
}
IDENTITY = ("skin", "hair", "length of the hair", "width of the face", "shirt")
# Of each frame, "opening" from 0 to 1, the others from -1 to 1. At 1 the corners of the mouth ("smile"), the brows ("brow") and
# their inner ends ("tilt") are up, pupils ("gaze") and face ("turn") are to the right in the picture, and the face looks down
# ("nod").
ACTS = ("smile", "brow", "tilt", "gaze", "turn", "nod", "opening")
NAMED = np.array(list(EXPRESSIONS.values()), np.float32)
JITTER = 0.1  # of an expression in `sample`

PAPER = (0.47, 0.60, 0.40)  # behind the face; like all colours here from 0 to 1
SKIN = ((0.50, 0.32, 0.23), (0.72, 0.50, 0.37), (0.94, 0.75, 0.60))
HAIR = ((0.10, 0.08, 0.08), (0.42, 0.22, 0.12), (0.88, 0.70, 0.38))
SHIRT = ((0.75, 0.20, 0.20), (0.20, 0.35, 0.65), (0.90, 0.78, 0.30))
WHITE, IRIS, LIPS, INSIDE = (0.96, 0.96, 0.97), (0.06, 0.13, 0.36), (0.74, 0.22, 0.25), (0.27, 0.03, 0.06)
YAW, PITCH, SPREAD = 0.42, 0.26, 0.43  # radians: of a full turn, of a full nod, of an eye from the middle
CALIBRATION = (160, 12)  # clips and their seed, on which `read` is calibrated


class Faces(World):
    """Clips of a face that talks, looks and turns.

    Truth of `sample`:
        numbers: float32 (count, 17 + frames), what the clip follows from, in the order of `columns`, each from -1 to 1;
            NaN for who it is, where that is not told. An expression is smile, brow and tilt; an expression, gaze, turn and nod
            are told for the first and for the last frame. At 1 the gaze and the turn go to the right in the picture, the nod
            goes down, and the voice is loudest.
        acts: float32 (count, frames, 7), the quantities `ACTS` of each frame; the mouth is open by (loudness + 1) / 2.
        expression: int (count, 2), at the first and at the last frame, numbers of `EXPRESSIONS`.
    `scores` takes numbers in the place of captions; see there. The caption is as "a sad face becomes happy".

    Args:
        frames: of a clip, at least 2.
        size: side of a frame in pixels, from 32 to 256. Only frames of 32 to 64 pixels can be read.
        untold: share of the clips of a sample whose identity is not told, from 0 to below 1, so that a network learns that too.

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(self, frames: int = 16, size: int = 40, untold: float = 0.0):
        frames = check_count(frames, "frames", least=2)
        check_size(check_count(size, "size", least=32))
        if size > 256:
            raise ValueError(f"size is {size}, but at most 256 pixels were expected; make it smaller.")
        self.clip_shape = (frames, int(size), int(size), 3)
        self.untold = check_number(untold, "untold", below=1)
        check_values(self.clip_shape, "a clip")
        self.columns = {  # see the docstring for which way is 1
            "identity": len(IDENTITY), "first expression": 3, "last expression": 3, "gaze": 2, "turn": 2, "nod": 2,
            "loudness": frames,
        }  # fmt: skip

    def sample(self, count: int, seed: int) -> Sample:
        """`count` faces with paths and voices drawn at random; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice, frames = np.random.default_rng(check_seed(seed)), self.clip_shape[0]
        expression = dice.integers(len(NAMED), size=(count, 2))
        shown = NAMED[expression] + dice.uniform(-JITTER, JITTER, (count, 2, 3))
        parts = dice.uniform(-1, 1, (count, 5)), shown.reshape(count, 6), dice.uniform(-1, 1, (count, 6))
        numbers = np.concatenate([*parts, _syllables(count, frames, dice)], axis=1).astype(np.float32)
        told = numbers.copy()
        told[dice.random(count) < self.untold, : len(IDENTITY)] = np.nan
        names = tuple(EXPRESSIONS)
        captions = tuple(
            f"{'an' if names[a][0] == 'a' else 'a'} {names[a]} face " + ("talks" if a == b else f"becomes {names[b]}")
            for a, b in expression
        )
        truth = {"numbers": told, "acts": self.acts_of(numbers), "expression": expression}
        return Sample(self.render(numbers), captions, truth)

    def numbers_of(self, count: int = 1, **quantities: Sequence[float]) -> np.ndarray:
        """Numbers for `render`, or for a network, of clips in which nothing happens but what is said.

        Args:
            count: of clips that are alike.
            quantities: of `columns`, with _ in the place of spaces, such as turn=(-1, 1), each with all its numbers, or one
                for all of them; an expression may be named. All others are 0, and the mouth is shut.

        Returns:
            float32 (count, sum of columns).

        Raises:
            ValueError: for unknown names, or another number of numbers.
        """
        numbers, known = [], {name.replace(" ", "_"): wide for name, wide in self.columns.items()}
        if unknown := [name for name in quantities if name not in known]:
            raise ValueError(f"There is no quantity {unknown[0]!r}; known: {', '.join(known)}.")
        for name, wide in known.items():
            value = quantities.get(name, -1.0 if name == "loudness" else 0.0)
            if isinstance(value, str):
                if value not in EXPRESSIONS:
                    raise ValueError(f"{name} is {value!r:.40}, but one of {', '.join(EXPRESSIONS)} was expected.")
                value = EXPRESSIONS[value]
            value = as_array(value, name)
            if value.dtype.kind not in "fiu" or value.shape not in ((), (wide,)):
                raise ValueError(f"{name} is {value!s:.60}, but {wide} numbers, or one for all of them, were expected.")
            numbers.append(np.broadcast_to(value, (wide,)))
        return np.tile(np.concatenate(numbers), (check_count(count), 1)).astype(np.float32)

    def acts_of(self, numbers: np.ndarray) -> np.ndarray:
        """The quantities `ACTS` of each frame, float32 (count, frames, 7): straight from the first value to the last, and the
        mouth as open as the voice is loud. ValueError for anything but numbers (count, sum of columns)."""
        numbers = self._check_numbers(numbers)
        share = np.linspace(0, 1, self.clip_shape[0])[:, None]
        first, last = numbers[:, None, [5, 6, 7, 11, 13, 15]], numbers[:, None, [8, 9, 10, 12, 14, 16]]
        opening = np.clip((numbers[:, 17:, None] + 1) / 2, 0, 1.5)
        return np.concatenate([first + share * (last - first), opening], axis=2).astype(np.float32)

    def render(self, numbers: np.ndarray) -> np.ndarray:
        """The clips that follow from numbers.

        Args:
            numbers: (count, sum of columns), as `numbers_of` gives them; identities must be told.

        Returns:
            float32 (count, frames, size, size, 3).

        Raises:
            ValueError: for another shape, or numbers that are NaN or beyond ±3.
        """
        numbers = self._check_numbers(numbers)
        if np.isnan(numbers).any():
            raise ValueError("numbers holds NaN, but to draw a face all has to be told; fill them in.")
        check_values((len(numbers), *self.clip_shape), "the clips")
        acts = self.acts_of(numbers)
        parts = range(0, len(numbers), 32)  # as much as the processor's memory holds at once
        return np.concatenate([self._drawn(numbers[at : at + 32, :5], acts[at : at + 32]) for at in parts])

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What faces do, by the places, areas and slopes of eyes, pupils, brows and lips, which are told by their colours. A ruler
        for them, a polynomial of the second degree, is fitted once to faces of this world.

        Args:
            clips: float32 (count, time, size, size, 3), of any time.

        Returns:
            `acts`: float (count, time, 7), see `ACTS`; `identity`: float (count, 5); `expression`: int (count, time), the nearest
            of `EXPRESSIONS`; `error`: float (count, time), the root mean square error of the frame against a face that is drawn
            from what was read.

        Raises:
            ValueError: for clips that break the convention, have another frame size, or frames of more than 64 pixels.
        """
        clips = self.check_frames(clips)
        if clips.shape[2] > 64:
            raise ValueError(f"frames of {clips.shape[2]} pixels cannot be read; make them with size=64 at most.")
        of_frames, of_clips = _ruler(clips.shape[2])
        acts = np.clip(_squares(_measured(clips)) @ of_frames, -2, 2)  # what is no face may give anything
        identity = _thumbnails(clips) @ of_clips
        drawn = self._drawn(np.clip(identity, -1, 1), np.clip(acts, (-1.2,) * 6 + (0,), (1.2,) * 7))
        expression = np.square(acts[..., None, :3] - NAMED).sum(axis=-1).argmin(axis=-1)
        error = np.sqrt(np.square(clips - drawn).mean(axis=(2, 3, 4)))
        return {"acts": acts, "identity": identity, "expression": expression, "error": error}

    def scores(self, clips: np.ndarray, captions: Sequence = ()) -> dict[str, float]:
        """How far made clips are from faces of this world.

        Args:
            clips: float32 (count, time, size, size, 3), of any time if they come alone.
            captions: the numbers (count, sum of columns) that clips were made for, or ().

        Returns:
            "error", the mean root mean square error of frames, see `read`. With the numbers (count, sum of columns) that clips were
            made for in the place of captions also "lip_sync", the mean correlation of opening and loudness, 0 where the mouth
            stands still; "expression", the share of beginnings and ends, a fifth of the frames each, at which the nearest named expression is
            as asked; and the mean errors of the acts "turn", "nod" and "gaze".

        Raises:
            ValueError: for another number of clips than rows, or clips of another shape.
        """
        if len(captions):
            clips, captions = self.check_asked(clips, captions)
        found = self.read(clips)
        scores = {"error": float(found["error"].mean())}
        if len(captions):
            asked, few = self.acts_of(captions), max(1, self.clip_shape[0] // 5)
            ends = found["acts"][:, :few, :3].mean(axis=1), found["acts"][:, -few:, :3].mean(axis=1)
            want = asked[:, :few, :3].mean(axis=1), asked[:, -few:, :3].mean(axis=1)
            nearest = [np.square(each[:, None] - NAMED).sum(axis=-1).argmin(axis=-1) for each in (*ends, *want)]
            scores["lip_sync"] = float(np.nan_to_num(correlation(found["acts"][..., 6], asked[..., 6])).mean())
            scores["expression"] = float(np.mean([nearest[0] == nearest[2], nearest[1] == nearest[3]]))
            away = np.abs(found["acts"] - asked).mean(axis=(0, 1))
            scores |= {name: float(away[ACTS.index(name)]) for name in ("turn", "nod", "gaze")}
        return scores

    def _check_numbers(self, numbers: np.ndarray) -> np.ndarray:
        numbers, wide = as_array(numbers, "numbers"), sum(self.columns.values())
        if numbers.ndim != 2 or numbers.shape[1] != wide or numbers.dtype.kind not in "fiu" or not len(numbers):
            raise ValueError(f"numbers has shape {numbers.shape} and type {numbers.dtype}, but numbers (count, {wide}) "
                             "were expected; numbers_of makes them.")  # fmt: skip
        if (np.abs(numbers) > 3).any():
            raise ValueError(f"numbers go to {np.nanmax(np.abs(numbers)):g}, but -3 to 3 was expected.")
        return numbers.astype(np.float32)

    def _drawn(self, identity: np.ndarray, acts: np.ndarray) -> np.ndarray:
        """Faces of identities (count, 5) that act (count, time, 7): float32 (count, time, size, size, 3)."""
        count, time, size = *acts.shape[:2], self.clip_shape[1]
        each = np.repeat(identity, time, axis=0).astype(np.float32)  # one row for each frame
        tint, shade, length, wide, dye = (each[:, column, None, None] for column in range(5))
        smile, brow, tilt, gaze, turn, nod, opening = (
            acts.reshape(-1, 7).astype(np.float32)[:, column, None, None] for column in range(7)
        )
        skin, hair, shirt = _between(SKIN, tint), _between(HAIR, shade), _between(SHIRT, dye)  # (3, rows, 1, 1)
        x = ((np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1)[None, None]  # from -1 to 1, as all lengths here
        whole, pixel = x.reshape(1, -1, 1), 2 / size
        picture = np.empty((3, len(each), size, size), np.float32)
        picture[:] = np.reshape(PAPER, (3, 1, 1, 1)) - 0.1 * whole

        def paint(cover, color, first=0):  # cover of the rows from the first on
            for channel, part in zip(picture, color, strict=True):
                rows = channel[:, first : first + cover.shape[1]]
                rows += cover * (part - rows)

        smooth = lambda away: np.clip(0.5 - away / pixel, 0, 1)  # noqa: E731
        middle, height = 0.05 * turn, 0.04 * nod - 0.03
        broad, tall, yaw, pitch = 0.55 + 0.06 * wide, 0.66, YAW * turn, PITCH * nod

        def at(longitude, latitude, deep=1.0):  # where a feature is seen, and how much narrower
            return (middle + deep * broad * np.sin(longitude + yaw), height + deep * tall * np.sin(latitude + pitch),
                    np.cos(longitude + yaw))  # fmt: skip

        def ellipse(a, b, c, d, y=whole):
            away = np.sqrt(np.square((x - a) / c) + np.square((y - b) / d)) - 1
            return smooth(away * np.minimum(c, d))

        y, behind = whole, np.abs(x - 0 * turn) - broad - 0.13
        back = ellipse(0 * turn, height - 0.12, broad + 0.13, tall + 0.10)
        back = np.maximum(back, smooth(behind) * (y > height - 0.12)) * smooth(y - 0.15 - 0.35 * length)
        paint(back, 0.8 * hair)
        paint(ellipse(0.0, 1.12, 0.82, 0.42), shirt)
        paint(smooth(np.abs(x - 0.5 * middle) - 0.22) * smooth(y - 0.8) * (y > height), 0.85 * skin)
        line = height + tall * np.sin(pitch - 0.70) + 0.18 * np.square((x - middle) / broad) - 0.05 * (x - middle)
        paint(ellipse(middle, height, broad, tall), skin + smooth(y - line) * (hair - skin))
        first = int(0.1 * size)
        y = whole[:, first : int(0.65 * size)]
        paint(ellipse(*at(0, 0.14, 1.12)[:2], 0.06, 0.05, y), 0.82 * skin, first)
        for side in (-1, 1):
            a, b, narrow = at(side * SPREAD, -0.10)
            eye = ellipse(a, b, 0.155 * narrow, 0.105 + 0.02 * brow, y)
            paint(eye, WHITE, first)
            paint(eye * ellipse(a + 0.07 * gaze * narrow, b, 0.068, 0.078, y), IRIS, first)
            a, b, narrow = at(side * SPREAD, -0.36)
            along = (x - a) / (0.18 * narrow)  # from -1 to 1
            curve = b - 0.075 * brow + 0.09 * tilt * along * side + 0.03 * np.square(along)
            paint(smooth(np.maximum(np.abs(y - curve) - 0.035, (np.abs(along) - 1) * 0.18 * narrow)), 0.4 * hair, first)
        first = int(0.55 * size)
        y = whole[:, first:]
        a, b, narrow = at(0, 0.60)
        along = (x - a) / (0.25 * narrow)
        inside = np.clip(1 - np.square(along), 0, 1)
        curve = b + smile * 0.12 * (0.4 - np.square(along))
        beyond = (np.abs(along) - 1) * 0.25 * narrow
        away = np.abs(y - curve) - 0.16 * opening * inside
        paint(smooth(np.maximum(away - 0.055 * np.sqrt(inside), beyond)), LIPS, first)
        paint(smooth(np.maximum(away, beyond)) * np.minimum(1, opening / 0.15), INSIDE, first)
        picture = np.moveaxis(2 * np.clip(picture, 0, 1) - 1, 0, -1)
        return np.ascontiguousarray(picture).reshape(count, time, size, size, 3)


class Portraits(Faces):
    """Pairs of pictures: a grey puppet that does what a face does, and the face.

    This is what a network learns that turns an animator's puppet into somebody, frame by frame. The puppet is the same for
    everybody: its acts are those of the face, its identity is 0.

    Truth of `sample`:
        numbers: float32 (count, 12), who it is (NaN where that is not told) and `ACTS`, the opening of the mouth as loudness.
        acts: float32 (count, 1, 7).
        expression: int (count,), the nearest of `EXPRESSIONS`.

    Args:
        size, untold: as in `Faces`.

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(self, size: int = 40, untold: float = 0.0):
        super().__init__(2, size, untold)
        self.columns = {"identity": len(IDENTITY), "acts": len(ACTS)}

    def sample(self, count: int, seed: int) -> Sample:
        """`count` pairs; see `World.sample`. Each is a moment of a clip, on the way from one expression to another."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice = np.random.default_rng(check_seed(seed))
        ends = NAMED[dice.integers(len(NAMED), size=(count, 2))] + dice.uniform(-JITTER, JITTER, (count, 2, 3))
        way = dice.random((count, 1))
        shown = ends[:, 0] + way * (ends[:, 1] - ends[:, 0])
        loudness = np.take_along_axis(_syllables(count, 16, dice), dice.integers(16, size=(count, 1)), axis=1)
        parts = dice.uniform(-1, 1, (count, 5)), shown, dice.uniform(-1, 1, (count, 3)), loudness
        numbers = np.concatenate(parts, axis=1).astype(np.float32)
        told = numbers.copy()
        told[dice.random(count) < self.untold, : len(IDENTITY)] = np.nan
        acts = self.acts_of(numbers)
        expression = np.square(acts[:, 0, None, :3] - NAMED).sum(axis=-1).argmin(axis=-1)
        names = tuple(EXPRESSIONS)
        captions = tuple(f"{'an' if names[one][0] == 'a' else 'a'} {names[one]} face" for one in expression)
        return Sample(self.render(numbers), captions, {"numbers": told, "acts": acts, "expression": expression})

    def acts_of(self, numbers: np.ndarray) -> np.ndarray:
        """`ACTS` of each face, float32 (count, 1, 7); see `Faces.acts_of`."""
        acts = self._check_numbers(numbers)[:, None, len(IDENTITY) :].copy()
        acts[..., 6] = np.clip((acts[..., 6] + 1) / 2, 0, 1.5)
        return acts

    def render(self, numbers: np.ndarray) -> np.ndarray:
        """Puppets and faces, float32 (count, 2, size, size, 3); see `Faces.render`."""
        return np.concatenate([self.puppets(numbers), super().render(numbers)], axis=1)

    def numbers_of(self, count: int = 1, **quantities: Sequence[float]) -> np.ndarray:
        """Numbers for `render`, or for a network, float32 (count, 12), as `Faces.numbers_of` gives them: identity and acts. What
        is not said is 0, the last of the acts too: as loudness, so that the mouth is half open; there -1 shuts it."""
        return super().numbers_of(count, **quantities)

    def puppets(self, numbers: np.ndarray) -> np.ndarray:
        """The puppets alone, grey, float32 (count, 1, size, size, 3).

        Args:
            numbers: (count, 12), as in the truth of `sample`; who it is may be NaN, since puppets do not show it.

        Raises:
            ValueError: for another shape, acts that are NaN, or numbers beyond ±3.
        """
        acts = self.acts_of(numbers)
        if np.isnan(acts).any():
            raise ValueError("the acts hold NaN, but to draw a puppet all of them have to be told; fill them in.")
        parts = range(0, len(acts), 512)  # as much as the processor's memory holds at once
        drawn = [self._drawn(np.zeros((len(acts[at : at + 512]), 5)), acts[at : at + 512]) for at in parts]
        return np.repeat(np.concatenate(drawn).mean(axis=-1, keepdims=True), 3, axis=-1)

    def scores(self, clips: np.ndarray, captions: Sequence = ()) -> dict[str, float]:
        """How far made faces, the second frames, are from faces of this world: "error", as in `Faces.scores`, and, with the numbers
        (count, 12) that they were made for, "expression", the share whose nearest named expression is as asked, and the mean
        errors of all `ACTS`. ValueError for another number of clips than rows, or clips of another shape."""
        if len(captions):
            clips, captions = self.check_asked(clips, captions)
        found = self.read(check_clips(clips, self.clip_shape)[:, 1:])
        scores = {"error": float(found["error"].mean())}
        if len(captions):
            asked = self.acts_of(captions)
            nearest = np.square(asked[..., None, :3] - NAMED).sum(axis=-1).argmin(axis=-1)
            scores["expression"] = float(np.mean(found["expression"] == nearest))
            away = np.abs(found["acts"] - asked).mean(axis=(0, 1))
            scores |= {name: float(value) for name, value in zip(ACTS, away, strict=True)}
        return scores


def _syllables(count: int, frames: int, dice: np.random.Generator) -> np.ndarray:
    """Loudness of voices, (count, frames) from -1 to 1: syllables, one to a few frames long, and pauses."""
    start = dice.uniform(-1, 2, (count, 1)) + np.cumsum(dice.uniform(1.8, 5, (count, frames // 2)), axis=1) - 3
    wide, high = (
        dice.uniform(0.6, 1.5, start.shape),
        dice.uniform(0.3, 1, start.shape) * (dice.random(start.shape) < 0.85),
    )
    each = high[..., None] * np.exp(-0.5 * np.square((np.arange(frames) - start[..., None]) / wide[..., None]))
    return 2 * np.clip(each.max(axis=1), 0, 1) - 1


def _between(table, values: np.ndarray) -> np.ndarray:
    """Colours (3, …) between three of a table, for values (…) from -1 to 1."""
    dark, middle, light = (np.reshape(color, (3,) + (1,) * values.ndim).astype(np.float32) for color in table)
    share = np.clip(values, -1, 1)
    return np.where(share < 0, middle + share * (middle - dark), middle + share * (light - middle))


# ------------------------------------------------------------------------------------------------ the reader


def _measured(clips: np.ndarray) -> np.ndarray:
    """Places, areas and slopes of the features of each frame, by their colours: (count, time, 17)."""
    size = clips.shape[2]
    red, green, blue = np.moveaxis(clips.astype(np.float32) / 2 + 0.5, -1, 0)
    y, x = np.meshgrid(*[(np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1] * 2, indexing="ij")
    total = lambda values: values.sum(axis=(-2, -1)) * (2 / size) ** 2 + 1e-6  # noqa: E731
    mean = lambda values, weights: total(values * weights) / total(weights)  # noqa: E731
    wide = lambda values: values[..., None, None]  # noqa: E731
    window = (np.abs(x) < 0.62) & (y > -0.42) & (y < 0.22)
    eyes = np.clip(blue - 0.66 * red - 0.08, 0, 1) * window  # whites and irises are bluer than all else there
    at, level = mean(x, eyes), mean(y, eyes)
    iris = np.clip(blue - 1.15 * red - 0.03, 0, 1) * window
    apart = np.sqrt(mean(np.square(x - wide(at)), eyes))
    found = [at, level, apart, total(eyes), mean(x, iris) - at]
    light = (red + green + blue) / 3
    cheek = (y > wide(level) + 0.16) & (y < wide(level) + 0.3) & (np.abs(x - wide(at)) < 0.35)
    skin = mean(light, cheek.astype(np.float32))
    for side in (-1, 1):
        middle = at + side * apart
        near = (np.abs(x - wide(middle)) < 0.20) & (y > wide(level) - 0.32) & (y < wide(level) - 0.02)
        dark = np.square(np.clip(0.85 - light / wide(skin), 0, 1)) * near * np.clip(1 - 5 * (blue - red), 0, 1)
        up = mean(y, dark)
        u, v = x - wide(mean(x, dark)), y - wide(up)
        found += [up - level, total(dark), mean(u * v, dark) / (mean(np.square(u), dark) + 1e-3)]
    mouth = np.clip((red - green) / (red + 0.05) / 0.3 - 1.4, 0, 1)
    mouth = mouth * (np.abs(x - wide(at)) < 0.36) * (y > wide(level) + 0.2) * (y < wide(level) + 0.72)
    across, low = mean(x, mouth), mean(y, mouth)
    u, v = x - wide(across), y - wide(low)
    square = np.square(u) - wide(mean(np.square(u), mouth))
    bend = mean(square * v, mouth) / (mean(np.square(square), mouth) + 1e-4)
    hole = mouth * np.clip(0.6 - red, 0, 1)
    found += [across - at, low - level, total(mouth), mean(np.square(v), mouth), bend, total(hole)]
    return np.stack(found, axis=-1)


def _squares(values: np.ndarray) -> np.ndarray:
    """1, the values, and all their products: (…, n) to (…, 1 + n + n (n + 1) / 2)."""
    one, other = np.triu_indices(values.shape[-1])
    return np.concatenate([np.ones_like(values[..., :1]), values, values[..., one] * values[..., other]], axis=-1)


def _thumbnails(clips: np.ndarray) -> np.ndarray:
    """The mean frame in 8 × 8 blocks and 1, (count, 193)."""
    rows = np.linspace(0, clips.shape[2], 9).astype(int)[:-1]
    small = np.add.reduceat(np.add.reduceat(clips.mean(axis=1), rows, axis=1), rows, axis=2)
    small = small.reshape(len(clips), -1) / (clips.shape[2] / 8) ** 2
    return np.concatenate([small, np.ones((len(clips), 1), small.dtype)], axis=1)


@functools.cache
def _ruler(size: int) -> tuple[np.ndarray, np.ndarray]:
    """What turns measures of frames into acts, and thumbnails into identities: least squares, on faces of one seed."""
    sample = Faces(size=size).sample(*CALIBRATION)
    rulers = []
    for given, wanted in (
        (_squares(_measured(sample.clips)).reshape(-1, 171), sample.truth["acts"].reshape(-1, 7)),
        (_thumbnails(sample.clips), sample.truth["numbers"][:, : len(IDENTITY)]),
    ):
        given = given.astype(np.float64)
        scale = np.sqrt(np.square(given).mean(axis=0)) + 1e-9
        square = (given / scale).T @ (given / scale)
        square += 1e-4 * len(given) * np.eye(len(square))
        rulers.append(np.linalg.solve(square, (given / scale).T @ wanted) / scale[:, None])
    return tuple(rulers)
