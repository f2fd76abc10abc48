"""A street under a fixed camera: people, vehicles, night, rain, and exact boxes, tracks and events.

The ground is a plane with two lanes between two pavements, and a wall behind it. X goes along the street, Z away from the
camera, both in metres. A camera at a height above the ground looks down by its tilt and sideways by its heading; a point at
depth d in front of it is seen at (focal length / d) times its offset from the axis. All agents are boxes that stand
on the ground, painted from far to near, so what hides what is known to the pixel.

There are two renderers. The cheap one paints flat colours. The one that stands in for reality (`real`) adds what a cheap
simulation leaves out: texture, a colour cast, lens blur, vignetting, an exposure that drifts, and noise of the sensor.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.metrics import box_iou, psnr
from vidgen_tf.worlds import Sample, World, mean_of

HEIGHT, WIDTH = 32, 48  # pixels of a frame
FOCAL = 56.0  # pixels
AIM, WALL = 12.0, 17.0  # metres from the camera to the middle of the road, to the wall
KERBS = (9.5, 14.6)  # metres: where the road begins and ends
LANES = (10.8, 13.3)  # metres to the middle of a lane; vehicles go right in the near one and left in the far one
SIZES = {"person": (0.6, 1.75, 0.4), "vehicle": (3.4, 1.5, 1.5), "bag": (1.0, 0.8, 0.6)}  # metres along X, Y, Z
KINDS = tuple(SIZES)
EVENTS = ("wrong way", "loitering", "left object")
MOST = 4  # agents in a clip
ASKED = 3  # agents that the numbers of a clip describe
LAMPS = np.array([-4.5, 0.5, 5.5])  # metres along the street
TONES = np.array([[0.08, 0.08, 0.1], [0.15, 0.25, 0.6], [0.7, 0.15, 0.15], [0.8, 0.65, 0.2], [0.92, 0.92, 0.9]])
FRONT = np.array([1.0, 0.0, 1.0])  # in layouts; nothing else in the street is magenta
WALLS = np.array([[0.55, 0.33, 0.26], [0.5, 0.5, 0.47], [0.78, 0.7, 0.5]])
CAMERAS = {"A": (-0.3, 0.2, -0.6, 0.8, -0.7), "B": (0.6, -0.3, 0.75, -0.6, 0.8)}  # height, tilt, heading, post, wall
DIFFERENT = 0.22  # of a channel in [-1, 1]: what `read` takes for a difference from the background
CLEAR = 0.1  # the same, where there is no noise
SPECK = 5  # pixels: what is smaller is no agent for `read`
TWILIGHT = 0.7  # of the brightness of a layout: what `Layouts.read` takes for day lies above
FOUND = 6  # boxes that `read` lists in a frame


class View(NamedTuple):
    """Where the camera is and where it looks: metres above the ground, and radians down and sideways."""

    height: float
    tilt: float
    heading: float

    @classmethod
    def of(cls, numbers) -> "View":
        """From three numbers in [-1, 1]: 3.5 to 6.5 metres; the middle of the road ± 2.5 degrees; ± 18 degrees."""
        height, heading = 5 + 1.5 * float(numbers[0]), np.radians(18 * float(numbers[2]))
        return cls(height, np.arctan2(height * np.cos(heading), AIM) + np.radians(2.5 * float(numbers[1])), heading)

    def project(self, x, y, z) -> tuple[np.ndarray, np.ndarray]:
        """Column and row, in pixels from the corner at the upper left, of points in metres; y is above the ground."""
        sine, cosine = np.sin(self.heading), np.cos(self.heading)
        x = x + AIM * np.tan(self.heading)  # the axis meets the middle of the road at X = 0
        side, ahead = x * cosine - z * sine, x * sine + z * cosine
        up = y - self.height
        depth = ahead * np.cos(self.tilt) - up * np.sin(self.tilt)
        rise = ahead * np.sin(self.tilt) + up * np.cos(self.tilt)
        return WIDTH / 2 + FOCAL * side / depth, HEIGHT / 2 - FOCAL * rise / depth

    def ray(self, column, row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The way (x, y, z) from the camera through a point of the frame."""
        u, w = (np.asarray(column) - WIDTH / 2) / FOCAL, (HEIGHT / 2 - np.asarray(row)) / FOCAL
        ahead, up = np.cos(self.tilt) + w * np.sin(self.tilt), w * np.cos(self.tilt) - np.sin(self.tilt)
        sine, cosine = np.sin(self.heading), np.cos(self.heading)
        return u * cosine + ahead * sine, up, ahead * cosine - u * sine

    def ground(self, column, row) -> tuple[np.ndarray, np.ndarray]:
        """X and Z, in metres, of what a point of the frame shows if it shows the ground; far away above the horizon."""
        x, y, z = self.ray(column, row)
        length = self.height / np.maximum(-y, 0.02)
        return length * x - AIM * np.tan(self.heading), length * z


class Street(World):
    """Clips of a street with up to four agents, seen by a camera that does not move.

    Truth of `sample`, agents in the order of their tracks:
        boxes: float32 (count, frames, 4, 4), left, top, right and bottom in pixels, cut at the frame; NaN where the agent
            is not there, or less than 0.4 of its box is inside of the frame.
        kind: int (count, 4), the number in KINDS (person, vehicle, bag), -1 for no agent. The row is the track's number.
        visible: float32 (count, frames, 4), share of the agent's pixels in the frame that nothing hides; 0 where the box is NaN.
        tone: float32 (count, 4), the colour of clothes or paint, from -1 (black) over blue, red, yellow to 1 (white).
        light, rain: float32 (count,), 1 is day and -1 night; -1 is dry, above it rains.
        events: int (count, 3), the frame in which a wrong way, a loitering, a left object begins; -1 where there is none.
        numbers: float32 (count, 25), only without events: all of the above, as the quantities in `columns`. For each agent its
            kind (1 person, -1 vehicle, 0 none), tone, and where its foot is in the first and in the last frame (column and
            row, 0 in the middle; column ±1 is 30 pixels away, row ±1 is 16); between them it goes straight on the ground.
        weather: float32 (count, 2), light and rain.
        layouts: float32 (count, frames, 32, 48, 3), a drawing of each frame, by day and dry: the empty street, and for each agent
            a block of its tone where it stands, with a magenta edge where a vehicle's front is.
    The caption is as "day, rain: person, vehicle". `scores` says how clips agree with numbers they were made for: "iou",
    the mean of the best intersection over union of each asked box and what stands out from the empty street, over boxes
    that are visible to 0.7 or more; "found", the share with 0.5 or more; "psnr", dB to the cheap rendering of the numbers.
    They mean little alone, least in rain and at night; see there.

    Args:
        cameras: names of CAMERAS, "A" or "B" or both; None draws another camera for each clip.
        frames: frames of a clip, at least 2; five are a second.
        real: whether it is rendered as richly as the world that stands in for reality.
        light: "day", "night", or None for either.
        rain: True, False, or None for either.
        events: whether longer stories are told: in half of them a vehicle drives the wrong way, a person loiters, or one
            leaves a bag. At least 32 frames.

    Raises:
        ValueError: for arguments other than these.
    """

    columns = {"camera": 3, "post": 1, "wall": 1, "light": 1, "rain": 1} | {f"agent {n + 1}": 6 for n in range(ASKED)}

    def __init__(
        self, cameras: Sequence[str] | None = None, frames: int = 8, *, real: bool = False, light: str | None = None,
        rain: bool | None = None, events: bool = False,
    ):  # fmt: skip
        self.cameras = (cameras,) if isinstance(cameras, str) else None if cameras is None else tuple(cameras)
        if self.cameras is not None and (not self.cameras or any(name not in CAMERAS for name in self.cameras)):
            raise ValueError(f"cameras is {cameras!r:.60}, but None or some of {', '.join(CAMERAS)} were expected.")
        choices = {"real": (real, (True, False)), "light": (light, ("day", "night", None)),
                   "rain": (rain, (True, False, None)), "events": (events, (True, False))}  # fmt: skip
        for name, (value, known) in choices.items():
            if not any(type(value) is type(one) and value == one for one in known):
                raise ValueError(f"{name} is {value!r:.60}, but one of {known} was expected.")
        frames = check_count(frames, "frames", least=32 if events else 2)
        self.clip_shape = (frames, HEIGHT, WIDTH, 3)
        self.real, self.light, self.rain, self.events = real, light, rain, events
        check_values(self.clip_shape, "a clip")
        if events:
            self.columns = None

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips of this street; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice = np.random.default_rng(check_seed(seed))
        return self._sampled([self._situation(dice) for _ in range(count)], dice)

    def render(self, numbers: np.ndarray, seed: int = 0) -> Sample:
        """The clips that numbers describe, with their truth.

        Args:
            numbers: float32 (count, 25), as in the truth of `sample`.
            seed: of rain, skin and, where this world is `real`, of texture and noise.

        Returns:
            As `sample`.

        Raises:
            ValueError: for numbers of another shape, or beyond ±3.
        """
        numbers = as_array(numbers, "numbers").astype(np.float32)
        width = sum(Street.columns.values())
        if numbers.ndim != 2 or numbers.shape[1] != width or not (np.abs(numbers) <= 3).all():
            raise ValueError(
                f"numbers has shape {numbers.shape}, but (count, {width}) with values from -3 to 3 was expected, as in the "
                "truth of a sample."
            )
        check_values((len(numbers), *self.clip_shape), "the clips")
        dice = np.random.default_rng(check_seed(seed))
        return self._sampled([(each[:7], *self._straight(each), np.full(3, -1), None) for each in numbers], dice)

    def read(
        self, clips: np.ndarray, background: np.ndarray | None = None, different: float = DIFFERENT
    ) -> dict[str, np.ndarray]:
        """What stands out from the background, by rules: pixels that differ in a channel; those that touch each other taken
        together; specks below 5 pixels left out. What is only darker, by the same factor in all channels, is a shadow.

        Args:
            clips: float32 (count, time, 32, 48, 3), of any time.
            background: float32 (count, 32, 48, 3), the empty street; None takes the median over time.
            different: how much a channel differs, above 0; in [-1, 1], so 2 is from black to white.

        Returns:
            `boxes`: float32 (count, time, 6, 4), left, top, right, bottom in pixels, the largest first, NaN for no more.

        Raises:
            ValueError: for clips that break the convention or have another frame size.
        """
        clips = self.check_frames(clips)
        ground = np.median(clips, axis=1) if background is None else as_array(background, "background")
        if ground.shape != clips[:, 0].shape:
            raise ValueError(f"background has shape {ground.shape}, but {clips[:, 0].shape} was expected, one a clip.")
        limit = check_number(different, "different")
        mask = np.abs(clips - ground[:, None]).max(axis=-1) > limit
        factor = (clips + 1) / np.maximum(ground[:, None] + 1, 1e-3)
        gray = np.ptp(factor, axis=-1) < 0.1
        mask &= ~(gray & (factor.mean(axis=-1) > 0.4) & (factor.mean(axis=-1) < 1))
        return {"boxes": np.stack([_boxes_of(each) for each in mask])}

    def scores(self, clips: np.ndarray, captions: Sequence = ()) -> dict[str, float]:
        """How well clips show the numbers that they were made for.

        Rain, headlights and pools of light stand out from the empty street as agents do, so that even exact clips are not read
        well: "found" is 0.74 by day, 0.29 by day in rain, 0.42 at night, 0.23 at night in rain (400 clips each). What a generator
        could reach has to be measured, by the scores of exact clips (`render`) of the same numbers.

        Args:
            clips: float32 (count, frames, 32, 48, 3).
            captions: the numbers, (count, 25), in the place of captions.

        Returns:
            "iou", "found" and "psnr", see the docstring of the class; the first two are NaN where no box is visible.

        Raises:
            ValueError: for another number of clips than rows, clips of another shape, or numbers that `render` refuses.
        """
        cheap = Street(frames=self.clip_shape[0])
        clips, numbers = self.check_asked(clips, captions, sum(Street.columns.values()))
        numbers = numbers.astype(np.float32)
        asked, empty = cheap.render(numbers), numbers.copy()
        empty[:, 7::6] = 0
        background = cheap.render(_dry(empty)).clips[:, 0]
        found = self.read(clips, background, CLEAR)["boxes"]
        wanted = asked.truth["boxes"]
        best = np.nan_to_num(box_iou(wanted[..., :, None, :], found[..., None, :, :])).max(axis=-1)
        seen = (asked.truth["visible"] >= 0.7) & np.isfinite(wanted[..., 0])
        return {
            "iou": mean_of(best[seen]),
            "found": mean_of(best[seen] >= 0.5),
            "psnr": float(psnr(asked.clips, clips).mean()),
        }

    # What happens in the street.

    def _situation(self, dice):
        """All that one clip shows: numbers of camera and weather, kinds, tones, places, presence, events, and its camera."""
        name = None if self.cameras is None else self.cameras[dice.integers(len(self.cameras))]
        place = dice.uniform(-1, 1, 5) if name is None else np.array(CAMERAS[name])
        day = dice.random() < 0.5 if self.light is None else self.light == "day"
        wet = dice.random() < 0.4 if self.rain is None else self.rain
        light, rain = (1 if day else -1) * dice.uniform(0.6, 1), dice.uniform(0, 1) if wet else -1.0
        around = np.array([*place, light, rain])
        if self.events:
            return (around, *self._story(dice), name)
        numbers = np.concatenate([around, np.zeros(6 * ASKED)])
        lanes = list(dice.permutation(2))
        for agent in range(dice.integers(1, ASKED + 1)):
            person = dice.random() < 0.55 or not lanes
            numbers[7 + 6 * agent :][:6] = self._passer(dice, View.of(place), person, None if person else lanes.pop())
        return (around, *self._straight(numbers), np.full(3, -1), name)

    def _passer(self, dice, view, person, lane) -> np.ndarray:
        """Six numbers of a person that walks along, or across, or of a vehicle in its lane, which is in view at mid-clip."""
        half = (self.clip_shape[0] - 1) / 2
        middle = np.array([dice.uniform(-3.5, 3.5), 0.0])
        if person:
            step = np.array([dice.choice([-1, 1]) * dice.uniform(0.0, 0.35), dice.uniform(-0.06, 0.06)])
            middle[1] = dice.uniform(*((8, 9.2), (14.9, 16.3), (9.5, 14.5))[dice.choice(3, p=(0.4, 0.4, 0.2))])
        else:
            step = np.array([(1, -1)[lane] * dice.uniform(0.5, 1.1), 0.0])
            middle[1] = LANES[lane]
        foot = [view.project(x, 0, z) for x, z in (middle - half * step, middle + half * step)]
        feet = [((column - WIDTH / 2) / 30, (row - HEIGHT / 2) / 16) for column, row in foot]
        return np.array([1 if person else -1, dice.uniform(-1, 1), *np.clip(feet, -3, 3).ravel()])

    def _straight(self, numbers) -> tuple:
        """Kinds (4,), tones (4,), places (4, frames, 2) and presence (4, frames) of the agents that numbers describe."""
        frames, view = self.clip_shape[0], View.of(numbers[:3])
        agents = numbers[7:].reshape(ASKED, 6).astype(float)
        kinds, tones = np.full(MOST, -1), np.zeros(MOST)
        kinds[:ASKED] = np.select([agents[:, 0] > 0.5, agents[:, 0] < -0.5], [0, 1], -1)
        tones[:ASKED] = agents[:, 1]
        feet = agents[:, 2:].reshape(ASKED, 2, 2)
        x, z = view.ground(WIDTH / 2 + 30 * feet[..., 0], HEIGHT / 2 + 16 * feet[..., 1])
        ends = np.stack([x, np.clip(z, 7, 16.8)], axis=-1)  # (agents, first and last, 2)
        share = np.linspace(0, 1, frames)[None, :, None]
        places = np.zeros((MOST, frames, 2))
        places[:ASKED] = ends[:, :1] * (1 - share) + ends[:, 1:] * share
        return kinds, tones, places, np.repeat(kinds[:, None] >= 0, frames, axis=1)

    def _story(self, dice) -> tuple:
        """As `_straight`, for a longer clip: passers-by, and in half of the clips an event; and when the events begin."""
        frames = self.clip_shape[0]
        kinds, tones = np.full(MOST, -1), dice.uniform(-1, 1, MOST)
        places, there = np.zeros((MOST, frames, 2)), np.ones((MOST, frames), bool)
        events, time = np.full(3, -1), np.arange(frames)
        event = dice.integers(3) if dice.random() < 0.5 else -1
        begins = int(dice.integers(frames // 4, frames // 2))
        drives = lambda way, when: way * dice.uniform(0.6, 1.0) * (time - when)  # noqa: E731
        row, way = dice.choice([8.6, 15.6]) + dice.uniform(-0.4, 0.4), dice.choice([-1, 1])
        speed, spot = dice.uniform(0.15, 0.3), dice.uniform(-2.5, 2.5)
        walk = spot + way * speed * (time - begins)
        kinds[:2] = 0, 1
        lane = int(dice.integers(2))
        places[0] = np.stack([walk, np.full(frames, row)], axis=1)
        places[1] = np.stack([drives((1, -1)[lane], begins + 5), np.full(frames, LANES[lane])], axis=1)
        if event >= 0:
            events[event] = begins
        if EVENTS[event] == "wrong way" and event >= 0:
            places[1, :, 0] *= -1
            events[event] = np.flatnonzero(np.abs(places[1, :, 0]) < 4)[0]
        elif EVENTS[event] == "loitering" and event >= 0:
            strolls = spot + 0.5 * np.sin((time - begins) * dice.uniform(0.1, 0.3))
            places[0, :, 0] = np.where(time < begins, walk, strolls)
        elif event >= 0:
            waits = np.clip(time - begins, 0, 4)
            places[0, :, 0] = walk - way * speed * np.where(time < begins, 0, waits)
            kinds[2], places[2], there[2] = 2, (spot - 0.7 * way, row - 0.2), time >= begins
            tones[2] = dice.choice([-0.5, 0.0, 0.5])  # blue, red, yellow
        if dice.random() < 0.7:  # one more vehicle, in its lane
            lane, when = int(dice.integers(2)), dice.integers(frames)
            kinds[3], places[3] = 1, np.stack([drives((1, -1)[lane], when), np.full(frames, LANES[lane])], axis=1)
            if lane == (np.abs(LANES - places[1, 0, 1])).argmin():
                there[3] = np.abs(time - when) < frames // 8
                there[3] &= (np.abs(places[1, :, 0]) > 7) & (np.abs(places[1, :, 0] - places[3, :, 0]) > 8)
        return kinds, tones, places, there, events

    # How it looks.

    def _sampled(self, situations, dice) -> Sample:
        made = [self._clip(*situation, dice) for situation in situations]
        clips = check_clips(np.stack([each[0] for each in made]))
        around, kind, tone = (np.stack([each[part] for each in situations]) for part in (0, 1, 2))
        truth = {"boxes": np.stack([each[1] for each in made]), "kind": kind}
        truth |= {"visible": np.stack([each[2] for each in made]), "tone": tone.astype(np.float32)}
        truth |= {"layouts": np.stack([each[3] for each in made]), "weather": around[:, 5:7].astype(np.float32)}
        truth |= {"light": around[:, 5].astype(np.float32), "rain": around[:, 6].astype(np.float32)}
        truth["events"] = np.stack([each[5] for each in situations])
        if not self.events:
            truth["numbers"] = np.stack([self._numbers(each) for each in situations])
        captions = [
            f"{'day' if each[0][5] > 0 else 'night'}, {'rain' if each[0][6] > -1 else 'dry'}: "
            + (", ".join(KINDS[k] for k in each[1] if k >= 0) or "nobody")
            for each in situations
        ]
        return Sample(clips, tuple(captions), truth)

    @staticmethod
    def _numbers(situation) -> np.ndarray:
        """The numbers of a situation in which all agents go straight, float32 (25,)."""
        around, kinds, tones, places = situation[:4]
        view = View.of(around[:3])
        column, row = view.project(places[:ASKED, [0, -1], 0], 0.0, places[:ASKED, [0, -1], 1])
        feet = np.stack([(column - WIDTH / 2) / 30, (row - HEIGHT / 2) / 16], axis=-1).reshape(ASKED, 4)
        agents = np.column_stack([np.array([1, -1, 0, 0])[kinds[:ASKED]], tones[:ASKED], feet])
        return np.concatenate([around, np.where(kinds[:ASKED, None] < 0, 0, agents).ravel()]).astype(np.float32)

    def _clip(self, around, kinds, tones, places, there, events, camera, dice) -> tuple:
        """A clip (frames, 32, 48, 3), boxes (4, frames, 4) with axes exchanged, visible shares, and layouts."""
        frames, view = self.clip_shape[0], View.of(around[:3])
        day, rain = (around[5] + 1) / 2, max(0.0, around[6]) + (0.3 if around[6] > -1 else 0)
        look = np.random.default_rng(list(CAMERAS).index(camera) if camera else dice.integers(2, 2**31))
        color, light, glow = _empty_street(view, around[4], day, look if self.real else None)
        color, light, glow = (np.repeat(each[None], frames, axis=0) for each in (color, light, glow))
        boxes = np.stack([_standing(view, SIZES[KINDS[k]], place) for k, place in zip(kinds, places, strict=True)])
        order = [a for a in np.argsort(-places[:, frames // 2, 1], kind="stable") if kinds[a] >= 0]
        solid, ways = np.zeros((MOST, frames, HEIGHT, WIDTH), np.float32), {}
        for agent in order:
            box, on = boxes[agent], there[agent][:, None, None, None].astype(np.float32)
            left, top, right, bottom = box.T
            shade = _ellipse(left + 0.15 * (right - left), bottom - 0.6, right + 0.5 * (bottom - top), bottom + 0.8)
            light *= 1 - np.float32(0.5 * day * (1 - 0.7 * min(1, rain))) * on * shade
            way = np.sign(places[agent, -1, 0] - places[agent, 0, 0]) or 1.0
            ways[agent] = way if KINDS[kinds[agent]] == "vehicle" else 0
            rows = slice(max(0, int(top.min()) - 1), max(1, int(bottom.max()) + 2))  # nothing else is painted
            skin = dice.uniform(0.25, 0.85) * np.array([1, 0.8, 0.68])
            for part, paint in _parts(KINDS[kinds[agent]], box, places[agent], way, _mixed(TONES, tones[agent]), skin):
                cover = (part * on)[:, rows]
                color[:, rows] += cover * (paint.astype(np.float32) - color[:, rows])
                solid[agent, :, rows] = np.maximum(solid[agent, :, rows], cover[..., 0])
            glow *= 1 - 0.9 * solid[agent, ..., None]
            if KINDS[kinds[agent]] == "vehicle" and day < 0.5:
                light, glow = _headlights(light, glow, box, way, on * (1 - day), rain)
        post = _post(view, around[3], frames)
        color, glow = color * (1 - post) + 0.3 * post, glow * (1 - post)
        hidden, visible = post[..., 0], np.zeros((frames, MOST), np.float32)
        for agent in order[::-1]:
            whole = solid[agent].sum(axis=(1, 2))
            visible[:, agent] = (solid[agent] * (1 - hidden)).sum(axis=(1, 2)) / np.maximum(whole, 1e-6)
            hidden = np.maximum(hidden, solid[agent])
        seen = _weather(color * light + glow, day, rain, dice)
        seen = _sensor(seen, day, look, dice) if self.real else seen
        cut = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        area = lambda box: (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])  # noqa: E731
        missing = ~there | (area(cut) < 0.4 * area(boxes)) | (kinds[:, None] < 0)
        cut[missing] = np.nan
        cut, visible = cut.transpose(1, 0, 2).astype(np.float32), np.where(missing.T, 0, visible)
        layouts = self._layouts(around, [(boxes[a], there[a], _mixed(TONES, tones[a]), ways[a]) for a in order])
        return np.clip(2 * seen - 1, -1, 1).astype(np.float32), cut, visible, layouts

    def _layouts(self, around, agents) -> np.ndarray:
        """The drawings (frames, 32, 48, 3) of agents, from far to near: boxes (frames, 4), presence (frames,), colour, and the way
        that a vehicle goes, 0 for none."""
        frames, view = self.clip_shape[0], View.of(around[:3])
        color, light, _ = _empty_street(view, around[4], 1.0, None)
        drawn = np.repeat((color * light)[None], frames, axis=0)
        for box, there, paint, way in agents:
            left, top, right, bottom = box.T
            edge = (right - left) / 5
            blocks = [((left, right), paint)]
            if way:
                blocks.append(((right - edge, right) if way > 0 else (left, left + edge), FRONT))
            for (one, other), tint in blocks:
                cover = _rectangle(one, top, other, bottom) * there[:, None, None, None]
                drawn += cover * (tint.astype(np.float32) - drawn)
        post = _post(view, around[3], frames)
        return np.clip(2 * (drawn * (1 - post) + 0.3 * post) - 1, -1, 1).astype(np.float32)


class Layouts(World):
    """Pairs of pictures of one moment of a street: its layout, as in `Street`, and how it looks.

    This is what a network learns that turns drawings into footage, frame by frame. Vehicles go either way in both lanes, and
    some streets have a bag, so that nothing that one might draw later is new to it.

    A clip has two frames, the layout and the picture. The caption is as in `Street`.

    Truth of `sample`:
        numbers: float32 (count, 2), light and rain, as in `Street`; the layout does not show them.
        boxes, visible: float32 (count, 4, 4) and (count, 4), kind: int (count, 4), as in `Street`, at this moment.

    `scores`, with the numbers that pictures were made for: "light", the share that is as bright as asked, day or night.
    """

    def __init__(self):
        self.columns = {"light": 1, "rain": 1}
        self.clip_shape = (2, HEIGHT, WIDTH, 3)
        self._street = Street(frames=4)  # four moments of each situation are taken

    def sample(self, count: int, seed: int) -> Sample:
        """`count` pairs; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice = np.random.default_rng(check_seed(seed))
        moments = self._street.clip_shape[0]
        sample = self._street._sampled([self._situation(dice) for _ in range(-(-count // moments))], dice)
        at = dice.permutation(len(sample.clips) * moments)[:count]
        street, moment = np.divmod(at, moments)
        clips = np.stack([sample.truth["layouts"][street, moment], sample.clips[street, moment]], axis=1)
        truth = {"numbers": sample.truth["weather"][street], "kind": sample.truth["kind"][street]}
        truth |= {name: sample.truth[name][street, moment] for name in ("boxes", "visible")}
        return Sample(clips, tuple(sample.captions[one] for one in street), truth)

    def _situation(self, dice) -> tuple:
        around, kinds, tones, places, there, *more = self._street._situation(dice)
        for agent in np.flatnonzero(kinds == KINDS.index("vehicle")):
            if dice.random() < 0.5:
                places[agent] = places[agent, ::-1]
        if dice.random() < 0.4:
            kinds[-1], tones[-1], there[-1] = KINDS.index("bag"), dice.uniform(-1, 1), True
            places[-1] = dice.uniform(-4, 4), dice.choice([8.4, 15.4]) + dice.uniform(-0.5, 0.5)
        return around, kinds, tones, places, there, *more

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """How bright pictures are.

        Args:
            clips: float32 (count, 2, 32, 48, 3), layouts and pictures.

        Returns:
            `brightness`: float (count,), the mean of the picture, as a multiple of its layout's; 0 is black.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        layout, picture = np.moveaxis(check_clips(clips, self.clip_shape) + 1, 1, 0)
        return {"brightness": picture.mean(axis=(1, 2, 3)) / np.maximum(layout.mean(axis=(1, 2, 3)), 1e-3)}

    def scores(self, clips: np.ndarray, captions: Sequence = ()) -> dict[str, float]:
        """How many pictures are as bright as was asked for; `captions` are the numbers, (count, 2). ValueError for another number
        of clips than rows, or clips of another shape."""
        clips, numbers = self.check_asked(clips, captions)
        bright = self.read(clips)["brightness"] > TWILIGHT
        return {"light": float((bright == (numbers[:, 0] > 0)).mean())}


def paint_street(model: Any, sample: Sample, *, seed: int, **settings: Any) -> np.ndarray:
    """Footage for layouts: a network paints each frame for its own drawing, in the weather of the street.

    Args:
        model: a network that has learned `Layouts`, whose `generate` takes `known` and `mask`, as the preset `street-scenes`.
        sample: of `Street`; its `layouts` and its `weather` are looked at, its clips are not.
        seed: of `generate`.
        settings: further arguments of `generate`; without any, two steps of Euler's method.

    Returns:
        float32 (count, frames, 32, 48, 3), clips for which the sample's truth holds as far as the network obeys.

    Raises:
        ValueError: for something else than a sample of `Street`, or what `generate` refuses.
    """
    if not isinstance(sample, Sample) or not {"layouts", "weather"} <= set(sample.truth):
        raise ValueError("sample has no layouts and weather, but a sample of Street was expected.")
    layouts = sample.truth["layouts"]
    pairs = np.repeat(layouts.reshape(-1, 1, *layouts.shape[2:]), 2, axis=1)  # the drawing, and a frame to be made
    mask = np.zeros(pairs.shape[1:4], bool)
    mask[0] = True
    weather, settings = (
        sample.truth["weather"].repeat(layouts.shape[1], axis=0),
        {"sampler": "euler", "steps": 2} | settings,
    )
    made = model.generate(len(pairs), weather, seed=check_seed(seed), known=pairs, mask=mask, **settings)
    return made[:, 1].reshape(layouts.shape)


# ------------------------------------------------------------------------------------------------- painting

COLUMNS, ROWS = np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32)


def _standing(view: View, size, place) -> np.ndarray:
    """The boxes (frames, 4) around a block of so many metres that stands at places (frames, 2)."""
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (0, 1) for z in (-0.5, 0.5)]) * size
    column, row = view.project(place[:, :1] + corners[:, 0], corners[:, 1], place[:, 1:] + corners[:, 2])
    return np.stack([column.min(axis=1), row.min(axis=1), column.max(axis=1), row.max(axis=1)], axis=1)


def _rectangle(left, top, right, bottom) -> np.ndarray:
    """How much of each pixel lies in rectangles with edges (frames,): (frames, 32, 48, 1)."""
    share = lambda low, high, at: np.clip(  # noqa: E731
        np.minimum(high[:, None], at + 1) - np.maximum(low[:, None], at), 0, 1
    ).astype(np.float32)
    return (share(top, bottom, ROWS)[:, :, None] * share(left, right, COLUMNS)[:, None])[..., None]


def _ellipse(left, top, right, bottom) -> np.ndarray:
    """As `_rectangle`, of the ellipses inside, with soft edges."""
    middle = lambda low, high, at: (at + 0.5 - (low + high)[:, None] / 2) / np.maximum(high - low, 0.1)[:, None] * 2  # noqa: E731
    away = middle(top, bottom, ROWS)[:, :, None] ** 2 + middle(left, right, COLUMNS)[:, None] ** 2
    small = np.minimum(right - left, bottom - top)[:, None, None] / 2
    return np.clip(0.5 + (1 - np.sqrt(away)) * small, 0, 1).astype(np.float32)[..., None]


def _mixed(colors: np.ndarray, tone: float) -> np.ndarray:
    """A colour on the way through several, tone from -1 to 1."""
    at = (np.clip(tone, -1, 1) + 1) / 2 * (len(colors) - 1)
    return np.array([np.interp(at, np.arange(len(colors)), channel) for channel in colors.T], np.float32)


def _parts(kind, box, place, way, paint, skin):
    """What an agent is painted of, in order: coverage (frames, 32, 48, 1) and colour."""
    left, top, right, bottom = box.T
    width, height = right - left, bottom - top
    at = lambda x, y: (left + x * width, top + y * height)  # noqa: E731
    inside = lambda x, y, right, bottom: (*at(x, y), *at(right, bottom))  # noqa: E731
    if kind == "bag":
        return [(_rectangle(*box.T), paint)]
    if kind == "person":
        far = np.cumsum(np.abs(np.diff(place, axis=0, prepend=place[:1])).sum(axis=1))
        apart = 0.18 * (np.floor(far * 2.5) % 2)  # the gait: legs together, legs apart
        legs = [(_rectangle(*inside(0.3 - apart, 0.55, 0.5, 1)), 0.35 * skin[:1].max() * np.ones(3) * 0.5),
                (_rectangle(*inside(0.5, 0.55, 0.7 + apart, 1)), 0.12 * np.ones(3))]  # fmt: skip
        return [
            *legs,
            (_rectangle(*inside(0.08, 0.2, 0.92, 0.62)), paint),
            (_ellipse(*inside(0.2, 0, 0.8, 0.24)), skin),
        ]
    nose = 0.05 * way
    return [
        (_rectangle(*inside(0, 0.4, 1, 0.86)), paint),
        (_rectangle(*inside(0.2 - nose, 0, 0.78 - nose, 0.45)), 0.85 * paint),
        (_rectangle(*inside(0.26 - nose, 0.1, 0.72 - nose, 0.4)), np.array([0.2, 0.28, 0.34])),
        (_ellipse(*inside(0.1, 0.65, 0.32, 1)), 0.07 * np.ones(3)),
        (_ellipse(*inside(0.68, 0.65, 0.9, 1)), 0.07 * np.ones(3)),
    ]


def _headlights(light, glow, box, way, strength, rain):
    """What a vehicle's lamps add at night: a pool of light ahead of it, longer in rain, two white spots and a red one."""
    left, top, right, bottom = box.T
    height, front, back = bottom - top, *((right, left) if way > 0 else (left, right))
    ahead = front + way * 1.6 * height
    pool = _ellipse(
        np.minimum(front, ahead), bottom - 0.3 * height, np.maximum(front, ahead), bottom + (0.15 + 0.3 * rain) * height
    )
    white = _ellipse(front - 0.9, top + 0.45 * height, front + 0.9, top + 0.8 * height)
    red = _ellipse(back - 0.6, top + 0.45 * height, back + 0.6, top + 0.75 * height)
    strength = strength.astype(np.float32)
    light = light + strength * pool * np.float32([1.0, 0.95, 0.75])
    return light, glow + strength * (white * np.float32([0.9, 0.9, 0.75]) + red * np.float32([0.6, 0.06, 0.06]))


def _empty_street(view: View, wall: float, day: float, look):
    """Colour, light and own glow of the empty street, each (32, 48, 3); a generator of chance makes it textured."""
    fine = 2  # samples of a pixel on each side
    column, row = np.meshgrid((np.arange(WIDTH * fine) + 0.5) / fine, (np.arange(HEIGHT * fine) + 0.5) / fine)
    x, z = view.ground(column, row)
    way = view.ray(column, row)
    behind = z > WALL
    along = np.where(behind, WALL / way[2] * way[0] - AIM * np.tan(view.heading), x)
    above = view.height + WALL / way[2] * way[1]
    road = (z > KERBS[0]) & (z < KERBS[1])
    color = np.where(road[..., None], [0.3, 0.3, 0.32], [0.56, 0.54, 0.5])
    color[(np.abs(z - sum(LANES) / 2) < 0.12) & (along % 3 < 1.6)] = 0.85
    color[np.minimum(np.abs(z - KERBS[0]), np.abs(z - KERBS[1])) < 0.15] = 0.72
    color[behind] = _mixed(WALLS, wall)
    window = behind & (along % 2.6 < 1.2) & (above % 2.8 > 1.3) & (above > 1)
    color[window] = 0.22, 0.27, 0.33
    lit = window & ((np.floor(along / 2.6) * 3 + np.floor(above / 2.8)) % 4 == 0)
    if look is not None:
        table = look.uniform(-1, 1, (64, 64))
        grain = lambda scale: table[  # noqa: E731
            np.floor(along * scale).astype(int) % 64, np.floor(np.where(behind, above, z) * scale).astype(int) % 64
        ]
        color = color * (1 + 0.13 * grain(1.3) + 0.1 * grain(5))[..., None]
    lamp = np.exp(-((along[..., None] - LAMPS) ** 2 / 4 + (np.minimum(z, WALL)[..., None] - 14.8) ** 2 / 14)).sum(
        axis=-1
    )
    night = np.array([0.22, 0.24, 0.32]) + 0.55 * lamp[..., None] * np.array([1, 0.82, 0.5])
    light = day + (1 - day) * night
    glow = lit[..., None] * (1 - day) * np.array([0.5, 0.42, 0.2])
    small = lambda each: each.reshape(HEIGHT, fine, WIDTH, fine, 3).mean(axis=(1, 3)).astype(np.float32)  # noqa: E731
    return small(color), small(light), small(glow)


def _post(view: View, number: float, frames: int) -> np.ndarray:
    """How much of each pixel an advertising column hides, which stands at the near kerb: (frames, 32, 48, 1)."""
    box = _standing(view, (0.6, 3.0, 0.5), np.array([[3.5 * number, 7.3]]))
    return np.repeat(_rectangle(*box.T), frames, axis=0)


def _weather(seen, day: float, rain: float, dice):
    """With rain: less contrast, and bright streaks that fall."""
    if not rain:
        return seen
    seen = seen * (1 - 0.25 * rain) + 0.25 * rain * (0.15 + 0.4 * day)
    for frame in seen:
        many = int(40 * rain)
        row, column = dice.integers(-3, HEIGHT, many), dice.integers(0, WIDTH, many)
        for at in range(5):
            inside = (row + at >= 0) & (row + at < HEIGHT)
            frame[(row + at)[inside], column[inside]] += 0.06 + 0.1 * day
    return seen


def _sensor(seen, day: float, look, dice):
    """What a real camera adds: lens blur, vignetting, a colour cast, an exposure that drifts, and noise, more at night."""
    soft = look.uniform(0.08, 0.16)
    for axis in (1, 2):
        edge = [(0, 0)] * 4
        edge[axis] = (1, 1)
        wide = np.pad(seen, edge, mode="edge")
        before, after = (np.take(wide, np.arange(seen.shape[axis]) + more, axis=axis) for more in (0, 2))
        seen = (1 - 2 * soft) * seen + soft * (before + after)
    away = ((COLUMNS - WIDTH / 2) / WIDTH) ** 2 + ((ROWS - HEIGHT / 2) / HEIGHT)[:, None] ** 2
    seen = seen * (1 - 0.6 * away)[..., None] * look.uniform(0.8, 1.2, 3)
    seen = seen * (1 + 0.03 * dice.standard_normal((len(seen), 1, 1, 1)))
    return seen + (0.02 + 0.015 * (1 - day)) * dice.standard_normal(seen.shape)


def _boxes_of(mask: np.ndarray) -> np.ndarray:
    """Boxes (time, 6, 4) around the connected parts of masks (time, height, width), the largest first."""
    time, height, width = mask.shape
    label = np.where(mask, np.arange(1, mask[0].size + 1).reshape(height, width), 0)
    while True:  # the largest number spreads over its part
        wide = np.pad(label, ((0, 0), (1, 1), (1, 1)))
        near = np.max([wide[:, y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
        near = np.where(mask, near, 0)
        if (near == label).all():
            break
        label = near
    boxes = np.full((time, FOUND, 4), np.nan, np.float32)
    for frame, each in enumerate(label):
        names, sizes = np.unique(each[each > 0], return_counts=True)
        for place, name in enumerate(names[np.argsort(-sizes, kind="stable")][: min(FOUND, (sizes >= SPECK).sum())]):
            row, column = np.nonzero(each == name)
            boxes[frame, place] = column.min(), row.min(), column.max() + 1, row.max() + 1
    return boxes


def _dry(numbers: np.ndarray) -> np.ndarray:
    """The same numbers without rain."""
    return np.concatenate([numbers[:, :6], np.full_like(numbers[:, 6:7], -1), numbers[:, 7:]], axis=1)
