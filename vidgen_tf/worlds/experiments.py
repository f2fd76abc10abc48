"""Four experiments of a physics class, filmed: a pendulum, a throw, a mass on a spring, a collision of two bodies.

A clip follows from a few quantities, such as a length and an angle; nothing else is left to chance, so a generator can
be asked for just this experiment, and the law can be read back from its pixels as in a school lab. All motion is
exact: closed formulas, and for the pendulum the full equation, not the one for small angles, in steps so short that their
error is below a millionth. The air has no friction. A camera takes ten frames a second.

Each pixel is covered by so much of three paints, and pixels are the sums of what covers them:

    pixel = ground + cover_1 · red + cover_2 · blue + cover_3 · grey

The first body is red, the second one blue, what holds them (rod, spring, track) grey. So `read` finds each
body by solving three equations a pixel, and its place as the centre of what it covers.

Of one quantity of each experiment the clips of training show only the lower part: `part="train"`. A world with
`part="all"` knows what happens beyond.

L. D. Landau, E. M. Lifshitz: Mechanics. 3rd edition, 1976, §11 and §25 (pendulum, damping), §17 (collisions)
"""

from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_number, check_seed, check_values
from vidgen_tf.worlds import Sample, World, mean_of

GRAVITY = 9.81  # m/s²
SECONDS = 0.1  # from one frame to the next
PAINTS = np.array([[2.0, 0.5, 0.0], [0.0, 0.6, 2.0], [1.0, 1.0, 1.0]])  # added to the ground, which is -1: black

QUANTITIES = {  # of each kind: name, unit, lowest, highest in training, highest of all
    "pendulum": (("length", "m", 0.25, 0.6, 1.0), ("angle", "°", 15, 30, 30)),
    "throw": (("speed", "m/s", 5, 6.5, 8), ("angle", "°", 55, 80, 80)),
    "spring": (("stiffness", "N/m", 3, 6, 10), ("mass", "kg", 0.1, 0.2, 0.2), ("damping", "kg/s", 0, 0.2, 0.2)),
    "collision": (("speed", "m/s", 0.6, 1, 1.4), ("mass", "kg", 0.5, 2, 2), ("restitution", "", 0, 1, 1)),
}
KINDS = tuple(QUANTITIES)
MOST = max(map(len, QUANTITIES.values()))  # quantities of an experiment

SIZE = 32  # pixels a side
METRES = {"pendulum": 0.04, "throw": 0.12, "spring": 0.01, "collision": 0.06}  # a pixel
PIVOT = np.array([16.0, 3.0])  # pixels; of the pendulum
START = np.array([3.0, 29.0])  # pixels; of the throw
HOOK, REST = np.array([16.0, 1.0]), np.array([16.0, 16.0])  # pixels; of the spring, and where the mass comes to rest
PULLED = 0.08  # m; how far below that the mass is let go
PLACES, ROW = np.array([4.5, 18.0]), 16.0  # pixels; columns where the two bodies begin, and their row
SUBSTEPS = 40  # of a pendulum from frame to frame

FAINT = 0.05  # covers below that are not counted
LEAST = 4.0  # pixels that a body covers at least; the smallest one covers 9.6
REACH = 5.0  # pixels from the middle of a body to where it surely ends


class Experiments(World):
    """Clips of experiments, 16 frames of 32×32 pixels in colour, with what they obey.

    Truth of `sample`: `kind` int (count,), its number in `KINDS`; `quantities` float64 (count, 3) in the units of
    `QUANTITIES`, NaN where a kind has fewer; `numbers` float32 (count, 7), the same as a generator is told them: four that
    are 1 for the kind and else -1, and three in [-1, 1], from the lowest to the highest of all (-1 where a kind has fewer);
    `position` float64 (count, frames, 2, 2), column and row in pixels of the first and the second body, NaN where there is
    none, also outside of the frame. Captions say the same in words.

    A pendulum hangs from (16, 3), a throw begins at (3, 29), both go to the right at first or begin there, a mass of a spring is let
    go 8 cm below its rest at (16, 16), a body of a collision runs into one of 1 kg at rest. `METRES` says how
    large a pixel is. The area of a body that a spring or a collision has grows with its mass.

    Args:
        kinds: which experiments are drawn, of "pendulum", "throw", "spring", "collision".
        part: "train", or "all" for all that the sliders reach.
        frames: of a clip, at least 6.

    Raises:
        ValueError: for an unknown kind or part, or fewer frames.
    """

    def __init__(self, kinds: Sequence[str] = KINDS, part: str = "train", frames: int = 16):
        self.kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        for kind in self.kinds:
            check_kind(kind)
        if not self.kinds:
            raise ValueError(f"kinds is {kinds!r}, but some of {', '.join(KINDS)} were expected.")
        if part not in ("train", "all"):
            raise ValueError(f"part is {part!r:.60}, but 'train' or 'all' was expected.")
        self.part, self.columns = part, {"kind": len(KINDS), "first": 1, "second": 1, "third": 1}
        self.clip_shape = (check_count(frames, "frames", least=6), SIZE, SIZE, 3)
        check_values(self.clip_shape, "a clip")

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips, each of a kind by chance, with quantities drawn evenly from its part; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice = np.random.default_rng(check_seed(seed))
        drawn = dice.integers(len(self.kinds), size=count)
        share, parts = dice.random((count, MOST)), []
        for number, kind in enumerate(self.kinds):
            low, high, highest = limits(kind)
            mine = share[drawn == number, : len(low)]
            parts.append(low + mine * ((high if self.part == "train" else highest) - low))
        order = np.argsort(np.argsort(drawn, kind="stable"), kind="stable")
        done = [self.perform(kind, part) for kind, part in zip(self.kinds, parts, strict=True) if len(part)]
        truth = {name: np.concatenate([each.truth[name] for each in done])[order] for name in done[0].truth}
        captions = [caption for each in done for caption in each.captions]
        return Sample(np.concatenate([each.clips for each in done])[order], tuple(captions[at] for at in order), truth)

    def perform(self, kind: str, quantities: np.ndarray) -> Sample:
        """Clips of one experiment with just these quantities.

        Args:
            kind: which one.
            quantities: (count, 2) or (count, 3) in the units of `QUANTITIES`, from the lowest to the highest of all.

        Returns:
            Sample of `count` clips; truth as in `sample`.

        Raises:
            ValueError: for an unknown kind, another shape, or quantities beyond.
        """
        quantities = check_quantities(kind, quantities)
        check_values((len(quantities), *self.clip_shape), "the clips")
        position = path_of(kind, quantities, SECONDS * np.arange(self.clip_shape[0]))
        kinds = np.full(len(quantities), KINDS.index(kind))
        told = np.full((len(quantities), MOST), np.nan)
        told[:, : quantities.shape[1]] = quantities
        known = QUANTITIES[kind]
        captions = tuple(
            f"a {kind}: " + ", ".join(f"{name} {value:.3g} {unit}".strip() for (name, unit, *_), value in zip(known, row, strict=True))
            for row in quantities
        )  # fmt: skip
        truth = {"kind": kinds, "quantities": told, "numbers": self.numbers_of(kind, quantities), "position": position}
        return Sample(drawn(kind, position, radii(kind, quantities)), captions, truth)

    @staticmethod
    def numbers_of(kind: str, quantities: np.ndarray) -> np.ndarray:
        """What a generator is told: float32 (count, 7), for quantities as in `perform`, which raises the same."""
        quantities = check_quantities(kind, quantities)
        low, _, highest = limits(kind)
        numbers = np.full((len(quantities), len(KINDS) + MOST), -1, np.float32)
        numbers[:, KINDS.index(kind)] = 1
        numbers[:, len(KINDS) : len(KINDS) + len(low)] = 2 * (quantities - low) / (highest - low) - 1
        return numbers

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Where the two bodies are, by the centre of what each paint covers, and how much it covers.

        Where a body is thickest is found first; counted is what lies within 5 pixels of that and is covered by a twentieth at
        least. In true clips places are right to 0.03 pixels.

        Args:
            clips: float32 (count, time, 32, 32, 3), of any number of frames.

        Returns:
            `position`: float64 (count, time, 2, 2), column and row in pixels, NaN where less than 4 pixels are
            covered or the body touches the border; `area`: float64 (count, time, 2), pixels that are covered.

        Raises:
            ValueError: for clips that break the convention, or frames of another size.
        """
        clips = self.check_frames(clips)
        covers = np.moveaxis((clips + 1.0) @ np.linalg.inv(PAINTS)[:, :2], -1, 2)
        covers = np.where(covers > FAINT, covers, 0)
        sums = np.pad(covers, [(0, 0)] * 3 + [(2, 2), (2, 2)])
        sums = sum(sums[..., start : start + SIZE, :] for start in range(5))
        sums = sum(sums[..., start : start + SIZE] for start in range(5))
        top, left = np.divmod(sums.reshape(*sums.shape[:3], -1).argmax(axis=-1), SIZE)
        at = np.arange(SIZE)
        near = np.square(at[:, None] - top[..., None, None]) + np.square(at - left[..., None, None]) <= REACH**2
        covers = covers * near
        area = covers.sum(axis=(-2, -1))
        inside = ~(covers[..., [0, -1], :].any(axis=(-2, -1)) | covers[..., [0, -1]].any(axis=(-2, -1)))
        with np.errstate(invalid="ignore"):
            center = [np.einsum("ntkyx,x->ntk", covers, at + 0.5), np.einsum("ntkyx,y->ntk", covers, at + 0.5)]
            position = np.stack(center, axis=-1) / area[..., None]
        return {"position": np.where((inside & (area >= LEAST))[..., None], position, np.nan), "area": area}

    def scores(self, clips: np.ndarray, captions: Sequence[str] | np.ndarray = ()) -> dict[str, float]:
        """How well made clips do what they were asked for, as far as `read` finds the bodies.

        Bodies that are missed do not raise "pixels", and "seen" does not ask where a body is found: only both together say that
        a clip is right. A body that is found where none should be, as at the border, counts in neither.

        Args:
            clips: float32 (count, frames, 32, 32, 3).
            captions: the numbers that were asked for, (count, 7); not sentences.

        Returns:
            "pixels": how far bodies are from where they should be, the mean over all that are found and should be; "seen": the
            share of bodies, over all frames in which the exact clip shows them, that are found in that frame, wherever; of each
            kind that was asked for its "pixels" as well. NaN where there are none.

        Raises:
            ValueError: for another number of clips than rows, or anything else.
        """
        clips, numbers = self.check_asked(clips, captions)
        found = self.read(clips)["position"]
        kinds, wanted = numbers[:, : len(KINDS)].argmax(axis=1), np.full(found.shape, np.nan)
        for number in np.unique(kinds):
            low, _, highest = limits(KINDS[number])
            share = (numbers[kinds == number, len(KINDS) :][:, : len(low)].astype(float) + 1) / 2
            mine = self.perform(KINDS[number], low + np.clip(share, 0, 1) * (highest - low))
            wanted[kinds == number] = self.read(mine.clips)["position"]
        away = np.linalg.norm(found - wanted, axis=-1)
        there = np.isfinite(wanted[..., 0])
        scores = {"pixels": mean_of(away), "seen": mean_of(np.isfinite(away)[there])}
        return scores | {f"pixels_{KINDS[number]}": mean_of(away[kinds == number]) for number in np.unique(kinds)}


# ------------------------------------------------------------------------------------------------- how things go


def check_kind(kind: str) -> None:
    """ValueError if there is no such experiment."""
    if not isinstance(kind, str) or kind not in QUANTITIES:
        raise ValueError(f"kind is {kind!r:.60}, but one of {', '.join(KINDS)} was expected.")


def limits(kind: str) -> np.ndarray:
    """Of the quantities of a kind the lowest, the highest in training, and the highest of all: float64 (3, quantities)."""
    check_kind(kind)
    return np.array([row[2:] for row in QUANTITIES[kind]], float).T


def check_quantities(kind: str, quantities: np.ndarray) -> np.ndarray:
    """Quantities of a kind as float64 (count, quantities), if they lie within its limits; else ValueError."""
    low, _, highest = limits(kind)
    quantities = as_array(quantities, "quantities")
    if quantities.ndim != 2 or not len(quantities) or quantities.shape[1] != len(low):
        told = ", ".join(f"{name} ({unit})" if unit else name for name, unit, *_ in QUANTITIES[kind])
        raise ValueError(f"quantities has shape {quantities.shape}, but (count, {len(low)}) was expected: {told}.")
    quantities = quantities.astype(float)
    fits = (quantities >= low - 1e-6) & (quantities <= highest + 1e-6)
    if not fits.all():
        row, column = np.argwhere(~fits)[0]
        name, unit, least, _, most = QUANTITIES[kind][column]
        raise ValueError(
            f"the {name} of a {kind} is {quantities[row, column]:g}, but {least:g} to {most:g} {unit}".strip()
            + " was expected."
        )
    return np.clip(quantities, low, highest)


def path_of(kind: str, quantities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Where the bodies of an experiment are.

    Args:
        kind: which one.
        quantities: (count, 2) or (count, 3), as in `Experiments.perform`.
        times: (frames,) seconds after the start; of a pendulum from 0, evenly apart.

    Returns:
        float64 (count, frames, 2, 2): column and row in pixels of the first and the second body; NaN for none.

    Raises:
        ValueError: as `Experiments.perform`, and for a pendulum for times that do not go from 0, evenly apart.
    """
    first, second, *third = check_quantities(kind, quantities).T[..., None]
    position = np.full((len(first), len(times), 2, 2), np.nan)
    if kind == "pendulum":
        angle = swing(np.radians(second[:, 0]), first[:, 0], times)
        way = first[..., None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        position[:, :, 0] = PIVOT + way / METRES[kind]
    elif kind == "throw":
        across = first * np.cos(np.radians(second)) * times
        up = first * np.sin(np.radians(second)) * times - GRAVITY / 2 * times**2
        position[:, :, 0] = START + np.stack([across, -up], axis=-1) / METRES[kind]
    elif kind == "spring":
        decay = third[0] / (2 * second)
        rate = np.sqrt(first / second - decay**2)
        below = PULLED * np.exp(-decay * times) * (np.cos(rate * times) + decay / rate * np.sin(rate * times))
        position[:, :, 0] = REST + np.stack([0 * below, below], axis=-1) / METRES[kind]
    else:
        gap = (PLACES[1] - PLACES[0] - radii(kind, quantities).sum(axis=1, keepdims=True)) * METRES[kind]
        after = np.maximum(times - gap / first, 0)  # seconds since they met
        total = second + 1
        change = np.stack([-(1 + third[0]) / total, (1 + third[0]) * second / total], axis=-1) * first[..., None]
        across = np.stack([first * times, 0 * after], axis=-1) + change * after[..., None]
        position[..., 0], position[..., 1] = PLACES + across / METRES[kind], ROW
    return position


def swing(angle: np.ndarray, length: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Angles of pendulums that are let go at rest: θ'' = -g/length · sin θ, by Runge's and Kutta's method of fourth order.

    Args:
        angle: (count,) radians at the start.
        length: (count,) metres.
        times: (frames,) seconds from 0, evenly apart.

    Returns:
        float64 (count, frames), radians.

    Raises:
        ValueError: for another number of angles than lengths, lengths that are not above 0, or other times.
    """
    angle, length, times = as_array(angle, "angle"), as_array(length, "length"), _check_times(times)
    if angle.ndim != 1 or angle.shape != length.shape or not np.isfinite(angle).all() or not (length > 0).all():
        raise ValueError(
            f"angle has shape {angle.shape} and length {length.shape}, but (count,) was expected for both: radians, and metres "
            "above 0."
        )
    pull = -GRAVITY / length.astype(float)
    slope = lambda state: np.stack([state[1], pull * np.sin(state[0])])  # noqa: E731
    state, path = np.stack([angle.astype(float), np.zeros(len(pull))]), []
    step = (times[1] - times[0]) / SUBSTEPS if len(times) > 1 else 0.0
    for _ in times:
        path.append(state[0])
        for _ in range(SUBSTEPS):
            one = slope(state)
            two = slope(state + step / 2 * one)
            three = slope(state + step / 2 * two)
            state = state + step / 6 * (one + 2 * two + 2 * three + slope(state + step * three))
    return np.stack(path, axis=1)


def slower(angle: np.ndarray) -> np.ndarray:
    """How many times longer than 2π·sqrt(length / g) a pendulum takes for a swing from this angle (radians, below π): 1 divided
    by the arithmetic-geometric mean of 1 and cos(angle/2) (C. F. Gauss, 1799). ValueError for angles of π or more."""
    angle = as_array(angle, "angle").astype(float)
    if not (np.abs(angle) < np.pi).all():
        raise ValueError(
            f"angle is {angle.tolist()!s:.60}, but radians below π were expected; from the top nothing swings."
        )
    one, other = np.ones_like(angle), np.cos(angle / 2)
    for _ in range(6):
        one, other = (one + other) / 2, np.sqrt(one * other)
    return 1 / one


def _check_times(times: np.ndarray) -> np.ndarray:
    """The times as an array, if they go from 0, evenly apart; else ValueError."""
    times = as_array(times, "times").astype(float)
    even = np.linspace(0, times.flat[-1], times.size) if times.size else times
    if (
        not times.size
        or not np.isfinite(times).all()
        or times.shape != even.shape
        or not np.allclose(times, even, atol=1e-6)
    ):
        raise ValueError(f"times is {times.tolist()!s:.60}, but seconds (frames,) from 0, evenly apart, were expected.")
    return times


def _check_seconds(seconds: float) -> float:
    """The time from frame to frame as a float, if it is a number above 0; else ValueError."""
    if not check_number(seconds, "seconds"):
        raise ValueError("seconds is 0, but a number above 0 was expected: the time from one frame to the next.")
    return float(seconds)


# ------------------------------------------------------------------------------------------------- how it looks


def radii(kind: str, quantities: np.ndarray) -> np.ndarray:
    """Radii of the two bodies in pixels, float64 (count, 2): the area tells the mass of those that have one."""
    mass = check_quantities(kind, quantities)[:, 1]
    first = {
        "pendulum": 2.5 + 0 * mass,
        "throw": 2.0 + 0 * mass,
        "spring": np.sqrt(60 * mass),
        "collision": 2.5 * np.sqrt(mass),
    }[kind]
    return np.stack([first, np.full(len(mass), 2.5)], axis=1)


def drawn(kind: str, position: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Clips of bodies with these radii (count, 2) at these places (count, frames, 2, 2), and of what holds them: float32
    (count, frames, 32, 32, 3)."""
    position, radius = position.astype(np.float32), radius.astype(np.float32)
    pixel = np.arange(SIZE, dtype=np.float32) + 0.5
    covers = np.zeros((*position.shape[:2], SIZE, SIZE, 3), np.float32)
    for body in range(2 if kind == "collision" else 1):
        across, down = ((pixel - position[:, :, body, axis, None]) ** 2 for axis in (0, 1))
        away = np.sqrt(across[..., None, :] + down[..., None])
        covers[..., body] = np.clip(radius[:, None, None, None, body] - away + 0.5, 0, 1)
    if kind in ("pendulum", "spring"):
        start = (PIVOT if kind == "pendulum" else HOOK).astype(np.float32)
        along = position[:, :, 0] - start
        x, y = (along[..., axis, None, None] for axis in (0, 1))
        right, below = pixel - start[0], pixel[:, None] - start[1]
        share = np.clip((right * x + below * y) / (x**2 + y**2), 0, 1)
        away = np.sqrt((right - share * x) ** 2 + (below - share * y) ** 2)
        thick = 8 / np.sqrt(x**2 + y**2) if kind == "spring" else 0.6  # a spring grows thin as it grows long
        covers[..., 2] = np.clip(thick + 0.5 - away, 0, 1)
    elif kind == "collision":
        covers[..., 2] = (pixel > ROW + 4)[:, None]
    covers[..., 2] *= 0.6 * (1 - covers[..., 0])
    return np.clip(covers @ PAINTS.astype(np.float32) - 1, -1, 1)


# ------------------------------------------------------------------------------------------------- what a lab does with it


def oscillation_of(series: np.ndarray, seconds: float = SECONDS, damped: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Period and decay of what swings: the best fit of exp(-decay · t) · (a cos ωt + b sin ωt) + c.

    For 240 periods (and, if it is damped, 16 decays) the best a, b, c follow by linear algebra; from the best of these on
    Gauss's and Newton's method goes to the best fit of all.

    Args:
        series: (count, frames) without gaps, at least 6 frames; any unit.
        seconds: from frame to frame.
        damped: whether it fades; else the decay is 0.

    Returns:
        (period in seconds, decay in 1/s), float64 (count,) each; the period lies between 3 frames and 4 times the whole time.

    Raises:
        ValueError: for anything else.
    """
    series = as_array(series, "series")
    if series.ndim != 2 or series.shape[1] < 6 or not np.isfinite(series).all():
        raise ValueError(
            f"series has shape {series.shape}, but finite numbers (count, 6 frames or more) were expected; leave clips out "
            "in which a body is not seen in all frames."
        )
    seconds = _check_seconds(seconds)
    series, times = series.astype(float), seconds * np.arange(series.shape[1])
    least, most = 3 * seconds, 4 * times[-1]
    rates, decays = (
        2 * np.pi / np.geomspace(least, most, 240),
        np.linspace(0, 3 / times[-1], 16) if damped else np.zeros(1),
    )
    rate, decay = (values.ravel() for values in np.meshgrid(rates, decays))
    basis = np.linalg.qr(waves(rate, decay, times))[0]  # (grid, frames, 3), columns of length 1
    fits = np.sum(np.einsum("gtk,nt->ngk", basis, series, optimize=True) ** 2, axis=-1).argmax(axis=1)
    rate, decay = rate[fits], decay[fits]
    for _ in range(8):
        shapes = waves(rate, decay, times)  # (count, frames, 3)
        weights = (np.linalg.pinv(shapes) @ series[..., None])[..., 0]
        rest = series - np.einsum("ntk,nk->nt", shapes, weights)
        turned = weights[:, None, 1] * shapes[..., 0] - weights[:, None, 0] * shapes[..., 1]
        swinging = weights[:, None, 0] * shapes[..., 0] + weights[:, None, 1] * shapes[..., 1]
        more = [turned * times] + ([-swinging * times] if damped else [])
        jacobian = np.concatenate([shapes, np.stack(more, axis=-1)], axis=-1)
        change = (np.linalg.pinv(jacobian) @ rest[..., None])[..., 0]
        rate = np.clip(rate + change[:, 3], 2 * np.pi / most, 2 * np.pi / least)
        decay = np.clip(decay + change[:, 4], -1 / seconds, 1 / seconds) if damped else decay
    return 2 * np.pi / rate, decay


def waves(rate: np.ndarray, decay: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Fading cosine, fading sine and a constant, (count, frames, 3), for rates (rad/s) and decays (1/s) of shape (count,)."""
    fade, turn = np.exp(-decay[:, None] * times), rate[:, None] * times
    return np.stack([fade * np.cos(turn), fade * np.sin(turn), np.ones_like(turn)], axis=-1)


def acceleration_of(series: np.ndarray, seconds: float = SECONDS) -> np.ndarray:
    """Acceleration of what is thrown: twice the coefficient of t² in the best parabola through what is seen.

    Args:
        series: (count, frames), NaN where nothing is seen; any unit.
        seconds: from frame to frame.

    Returns:
        float64 (count,), that unit by s²; NaN where fewer than four frames are seen.

    Raises:
        ValueError: for anything but such a series.
    """
    series = as_array(series, "series")
    if series.ndim != 2:
        raise ValueError(f"series has shape {series.shape}, but (count, frames) was expected.")
    times, found = _check_seconds(seconds) * np.arange(series.shape[1]), np.full(len(series), np.nan)
    for number, row in enumerate(series):
        seen = np.isfinite(row)
        if seen.sum() >= 4:
            found[number] = 2 * np.polyfit(times[seen], row[seen], 2)[0]
    return found


def bounce_of(distance: np.ndarray, seconds: float = SECONDS) -> tuple[np.ndarray, np.ndarray]:
    """How fast two bodies come together and part again: two straight lines, with the bend where they fit best.

    Args:
        distance: (count, frames) from the first to the second body, NaN where one is not seen; any unit.
        seconds: from frame to frame.

    Returns:
        Speeds of coming together and of parting, float64 (count,) each, that unit by s; NaN where fewer than four frames are
        seen. The second divided by the first is the coefficient of restitution.

    Raises:
        ValueError: for anything but such a series.
    """
    distance = as_array(distance, "distance")
    if distance.ndim != 2:
        raise ValueError(f"distance has shape {distance.shape}, but (count, frames) was expected.")
    times = _check_seconds(seconds) * np.arange(distance.shape[1])
    speeds = np.full((2, len(distance)), np.nan)
    for number, row in enumerate(distance):
        seen = np.isfinite(row)
        t, y = times[seen], row[seen]
        best = np.inf
        for split in range(2, len(t) - 1):
            lines = [np.polyfit(t[part], y[part], 1, full=True)[:2] for part in (slice(split), slice(split, None))]
            rest = sum(float(error.sum()) for _, error in lines)
            if rest < best:
                best, speeds[:, number] = rest, (-lines[0][0][0], lines[1][0][0])
    return speeds[0], speeds[1]
