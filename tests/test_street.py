"""The street: projection against a camera matrix, boxes against painted pixels, events against where things are."""

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.clips import check_clips
from vidgen_tf.metrics import box_iou
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.street import (
    AIM,
    CAMERAS,
    EVENTS,
    FOCAL,
    HEIGHT,
    KINDS,
    LANES,
    SIZES,
    WIDTH,
    Layouts,
    Street,
    View,
    _boxes_of,
    paint_street,
)

DRY = {"light": "day", "rain": False}


def asked(*agents, around=(0, 0, 0, 3, 0, 1, -1)) -> np.ndarray:
    """Numbers of one clip: the post out of sight, by day, dry; agents as six numbers each."""
    numbers = np.zeros((1, 25), np.float32)
    numbers[0, :7] = around
    for index, agent in enumerate(agents):
        numbers[0, 7 + 6 * index :][:6] = agent
    return numbers


PERSON, VEHICLE = (1, 0.6, -0.5, 0.5, 0.4, 0.5), (-1, -0.4, -0.4, 0.2, 0.5, 0.2)


def test_a_sample_keeps_the_contract():
    world = Street()
    sample = world.sample(6, 3)
    assert isinstance(sample, Sample)
    check_clips(sample.clips)
    assert sample.clips.shape == (6, *world.clip_shape) == (6, 8, 32, 48, 3)
    shapes = {name: values.shape for name, values in sample.truth.items()}
    assert shapes == {
        "boxes": (6, 8, 4, 4), "kind": (6, 4), "visible": (6, 8, 4), "tone": (6, 4), "light": (6,), "rain": (6,),
        "events": (6, 3), "numbers": (6, 25), "weather": (6, 2), "layouts": (6, 8, 32, 48, 3),
    }  # fmt: skip
    assert sum(world.columns.values()) == 25
    assert (sample.truth["events"] == -1).all()
    kinds = [[KINDS[k] for k in row if k >= 0] for row in sample.truth["kind"]]
    assert [caption.split(": ")[1].split(", ") for caption in sample.captions] == kinds
    assert np.abs(sample.truth["numbers"]).max() <= 3


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    for world in (Street(), Street("B", real=True), Street("A", 32, events=True)):
        first, again, other = (world.sample(3, seed) for seed in (5, 5, 6))
        assert first.clips.tobytes() == again.clips.tobytes()
        assert first.truth["boxes"].tobytes() == again.truth["boxes"].tobytes()
        assert (first.clips != other.clips).any()


def test_a_view_projects_as_a_camera_matrix_does():
    dice = np.random.default_rng(0)
    for numbers in dice.uniform(-1, 1, (5, 3)):
        view = View.of(numbers)
        sine, cosine = np.sin(view.heading), np.cos(view.heading)
        turn = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
        sine, cosine = np.sin(view.tilt), np.cos(view.tilt)
        nod = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
        lens = np.array([[FOCAL, 0, WIDTH / 2], [0, -FOCAL, HEIGHT / 2], [0, 0, 1]])
        center = np.array([-AIM * np.tan(view.heading), view.height, 0])
        points = np.stack([dice.uniform(-4, 4, 20), dice.uniform(0, 2, 20), dice.uniform(8, 16, 20)], axis=1)
        seen = (points - center) @ (lens @ nod @ turn).T
        column, row = view.project(*points.T)
        np.testing.assert_allclose(column, seen[:, 0] / seen[:, 2], rtol=1e-9)
        np.testing.assert_allclose(row, seen[:, 1] / seen[:, 2], rtol=1e-9)


def test_the_ground_is_where_the_projection_came_from():
    view, dice = View.of([0.3, -0.4, 0.8]), np.random.default_rng(1)
    x, z = dice.uniform(-4, 4, 30), dice.uniform(8, 16, 30)
    found = view.ground(*view.project(x, 0, z))
    np.testing.assert_allclose(found, [x, z], rtol=1e-9)
    assert 3.5 <= view.height <= 6.5
    np.testing.assert_allclose(
        View.of([0, 0, 0.7]).project(0, 0, AIM), [WIDTH / 2, HEIGHT / 2]
    )  # it looks at the middle


def test_numbers_describe_a_clip_wholly():
    world = Street(**DRY)
    sample = world.sample(12, 4)
    again = world.render(sample.truth["numbers"])
    np.testing.assert_allclose(again.truth["boxes"], sample.truth["boxes"], atol=1e-3)
    for name in ("kind", "tone", "light", "rain", "numbers"):
        np.testing.assert_allclose(again.truth[name], sample.truth[name], atol=1e-5)
    assert np.abs(again.clips - sample.clips).mean() < 2e-3  # the skin alone is left to chance


def test_the_foot_of_an_agent_is_where_it_was_asked_to_be():
    boxes = Street().render(asked(PERSON)).truth["boxes"][0, :, 0]
    for box, column, row in ((boxes[0], -0.5, 0.5), (boxes[-1], 0.4, 0.5)):
        assert (box[0] + box[2]) / 2 == pytest.approx(WIDTH / 2 + 30 * column, abs=1)
        assert box[3] == pytest.approx(HEIGHT / 2 + 16 * row, abs=0.8)
    heights = boxes[:, 3] - boxes[:, 1]
    view = View.of([0, 0, 0])
    x, z = view.ground(WIDTH / 2, HEIGHT / 2 + 8)
    low, high = (view.project(x, y, z)[1] for y in (0, SIZES["person"][1]))
    np.testing.assert_allclose(heights, low - high, rtol=0.12)


def test_what_is_painted_lies_in_its_box_and_fills_it():
    for agent, light in ((PERSON, -1), (VEHICLE, 1)):  # no shadow at night, no headlights by day
        around = (0, 0, 0, 3, 0, light, -1)
        with_it, without = (Street().render(asked(*agents, around=around)).clips[0] for agents in ([agent], []))
        box = Street().render(asked(agent)).truth["boxes"][0]
        for frame in range(8):
            changed = (np.abs(with_it - without)[frame] > 0.02).any(axis=-1)
            left, top, right, bottom = box[frame, 0]
            rows, columns = np.nonzero(changed)
            assert rows.min() >= np.floor(top) - 1
            if light < 0:
                assert columns.min() >= np.floor(left) - 1
                assert columns.max() <= np.ceil(right)
                assert rows.max() <= np.ceil(bottom)
            inside = changed[int(top) + 1 : int(bottom), int(left) + 1 : int(right)]
            assert inside.mean() > 0.5


def test_a_post_hides_and_the_visible_share_says_how_much():
    around = (0, 0, 0, 0, 0, 1, -1)
    through = (1, 0.6, -0.2, 0.5, 0.2, 0.5)
    visible = Street().render(asked(through, around=around)).truth["visible"][0, :, 0]
    assert visible[[0, -1]].min() > 0.99
    assert visible.min() < 0.3
    np.testing.assert_allclose(Street().render(asked(through)).truth["visible"][0, :, 0], 1)


def test_the_nearer_of_two_hides_the_farther_one():
    near, far = (1, 0.9, 0, 0.6, 0, 0.6), (1, -0.9, 0, 0.2, 0, 0.2)
    for agents, hidden in (((near, far), 1), ((far, near), 0)):
        visible = Street().render(asked(*agents)).truth["visible"][0, 0]
        assert visible[hidden] < 1
        assert visible[1 - hidden] == pytest.approx(1)


def test_night_is_darker_and_rain_falls_and_reality_is_rougher():
    means = [Street(light=light, rain=False).sample(6, 0).clips.mean() for light in ("day", "night")]
    assert means[0] > means[1] + 0.3
    quiet = asked(around=(0, 0, 0, 3, 0, 1, -1))
    changes = [np.abs(np.diff(Street(real=real).render(quiet).clips, axis=1)).mean() for real in (False, True)]
    assert changes[0] == 0
    assert changes[1] > 0.01
    rain = Street().render(asked(around=(0, 0, 0, 3, 0, 1, 0.5))).clips
    assert np.abs(np.diff(rain, axis=1)).mean() > 0.01
    sample = Street(rain=True, light="night").sample(4, 0)
    assert (sample.truth["rain"] >= 0).all()
    assert (sample.truth["light"] <= -0.6).all()


def test_cameras_are_fixed_and_differ():
    for name in CAMERAS:
        numbers = Street(name).sample(3, 1).truth["numbers"]
        np.testing.assert_allclose(numbers[:, :5], np.tile(CAMERAS[name], (3, 1)), rtol=1e-6)
    numbers = Street().sample(3, 1).truth["numbers"]
    assert len(np.unique(numbers[:, 0])) == 3
    both = Street(("A", "B")).sample(20, 1).truth["numbers"][:, 0]
    assert len(np.unique(both)) == 2


def test_stories_hold_their_events():
    world = Street("A", 48, events=True, **DRY)
    sample = world.sample(70, 2)
    truth = sample.truth
    assert world.columns is None
    assert "numbers" not in truth
    begins, boxes, kind = truth["events"], truth["boxes"], truth["kind"]
    counts = (begins >= 0).sum(axis=0)
    assert counts.min() >= 5
    assert ((begins >= 0).sum(axis=1) <= 1).all()
    middle = (boxes[..., 0] + boxes[..., 2]) / 2
    lane = boxes[..., 3]
    for clip in range(70):
        for agent in np.flatnonzero(kind[clip] == 1):
            seen = np.flatnonzero(np.isfinite(middle[clip, :, agent]))
            if len(seen) > 1:
                way = np.sign(middle[clip, seen[-1], agent] - middle[clip, seen[0], agent])
                wrong = way != (1 if lane[clip, seen, agent].mean() > 17 else -1)
                assert wrong == (agent == 1 and begins[clip, 0] >= 0)
        if (bag := begins[clip, 2]) >= 0:
            there = np.isfinite(boxes[clip, :, 2, 0])
            assert not there[:bag].any()
            assert kind[clip, 2] == 2
        if (stands := begins[clip, 1]) >= 0:
            after = middle[clip, stands:, 0]
            assert np.nanmax(after) - np.nanmin(after) < 9
    assert len(EVENTS) == 3
    assert LANES[0] < LANES[1]


def test_events_begin_when_they_are_said_to():
    world, seen = Street("A", 48, events=True, **DRY), [0, 0]
    for seed in range(60):
        kinds, _, places, there, events = world._story(np.random.default_rng(seed))
        if (wrong := events[0]) >= 0:  # when the vehicle comes within 4 metres
            assert abs(places[1, wrong, 0]) < 4
            assert (np.abs(places[1, :wrong, 0]) >= 4).all()
            seen[0] += 1
        if (bag := events[2]) >= 0:  # it stays there, and who leaves it stands for a while and goes on
            assert kinds[2] == KINDS.index("bag")
            assert there[2, bag:].all()
            assert not there[2, :bag].any()
            assert np.ptp(places[2], axis=0).max() == 0
            assert np.ptp(places[0, bag : bag + 5], axis=0).max() < 1e-9
            assert (np.abs(np.diff(places[0, :, 0]))[[*range(bag), *range(bag + 4, 47)]] > 0.1).all()
            seen[1] += 1
    assert min(seen) > 4
    boxes, events = (world.sample(30, 2).truth[name] for name in ("boxes", "events"))
    for clip, bag in enumerate(events[:, 2]):
        if bag >= 0:
            assert np.isfinite(boxes[clip, bag:, 2]).all()
            assert np.ptp(boxes[clip, bag : bag + 5, 0], axis=0).max() < 1e-3


def test_vehicles_keep_to_their_lanes():
    ways = {0: [], 1: []}
    for numbers in Street().sample(40, 1).truth["numbers"]:
        view = View.of(numbers[:3])
        for kind, _, *feet in numbers[7:].reshape(3, 6):
            if kind < -0.5:
                ends = [view.ground(WIDTH / 2 + 30 * c, HEIGHT / 2 + 16 * r) for c, r in (feet[:2], feet[2:])]
                lane = int(np.abs(np.array(LANES) - ends[0][1]).argmin())
                ways[lane].append(np.sign(ends[1][0] - ends[0][0]))
    assert min(map(len, ways.values())) > 10
    assert set(ways[0]) == {1}  # to the right in the near lane
    assert set(ways[1]) == {-1}


def test_headlights_shine_ahead_and_shadows_lie_beside():
    back = (*VEHICLE[:2], *VEHICLE[4:], *VEHICLE[2:4])  # from right to left
    for agent, way in ((VEHICLE, 1), (back, -1)):
        around = (0, 0, 0, 3, 0, -1, -1)
        night, empty = (Street().render(asked(*agents, around=around)) for agents in ([agent], []))
        more = (night.clips - empty.clips)[0].mean(axis=-1)
        for frame in range(2, 6):
            left, _, right, bottom = night.truth["boxes"][0, frame, 0].astype(int)
            rows = slice(bottom - 2, bottom + 1)
            sides = more[frame, rows, left - 4 : left - 1].mean(), more[frame, rows, right + 2 : right + 5].mean()
            assert sides[way > 0] > 0.3
            assert sides[way < 0] < 0.05
    day, empty = (Street().render(asked(*agents)) for agents in ([PERSON], []))
    for frame in range(8):
        left, top, right, bottom = day.truth["boxes"][0, frame, 0]
        beside = slice(int(np.ceil(right)), int(right + 0.35 * (bottom - top)))
        darker = (day.clips - empty.clips)[0, frame, int(bottom) - 1 : int(bottom) + 1, beside].mean()
        assert darker < -0.15


def test_a_real_camera_is_darker_in_the_corners():
    numbers = asked()
    real = np.mean([Street(real=True).render(numbers, seed).clips[0].mean(axis=0) for seed in range(8)], axis=0)
    share = ((real + 1) / (Street().render(numbers).clips[0, 0] + 1)).mean(axis=-1)
    corners = [
        share[rows, columns].mean() for rows in (slice(6), slice(-6, None)) for columns in (slice(6), slice(-6, None))
    ]
    assert max(corners) < share[10:22, 16:32].mean() - 0.1


def test_read_finds_what_differs_and_not_its_shadow():
    empty = Street().render(asked()).clips[:, 0]
    sample = Street().render(asked(VEHICLE))
    found = Street().read(sample.clips, empty, 0.1)["boxes"]
    assert found.shape == (1, 8, 6, 4)
    overlap = np.nan_to_num(box_iou(sample.truth["boxes"][:, :, :1], found)).max(axis=-1)
    assert overlap.mean() > 0.75
    assert np.isnan(Street().read(np.repeat(empty[:, None], 8, axis=1), empty)["boxes"]).all()
    assert np.isnan(Street().read(np.repeat(empty[:, None], 8, axis=1))["boxes"]).all()
    dark = np.repeat(empty[:, None], 8, axis=1)
    dark[:, 3, 20:26, 10:20] = (dark[:, 3, 20:26, 10:20] + 1) * 0.6 - 1
    assert np.isnan(Street().read(dark, empty, 0.1)["boxes"]).all()
    dark[:, 3, 20:26, 10:20] = 1
    np.testing.assert_array_equal(Street().read(dark, empty)["boxes"][0, 3, 0], [10, 20, 20, 26])


def test_connected_parts_are_found_largest_first_and_specks_left_out():
    mask = np.zeros((2, 32, 48), bool)
    mask[0, 2:5, 3:9] = True
    mask[0, 5, 9] = True  # it touches at a corner
    mask[0, 20:23, 30:33] = True
    mask[0, 28, 1:4] = True  # three pixels
    boxes = _boxes_of(mask)
    np.testing.assert_array_equal(boxes[0, :2], [[3, 2, 10, 6], [30, 20, 33, 23]])
    assert np.isnan(boxes[0, 2:]).all()
    assert np.isnan(boxes[1]).all()


def test_scores_are_best_for_the_exact_clips():
    world = Street(**DRY)
    sample = world.sample(16, 8)
    numbers = sample.truth["numbers"]
    exact, other = world.scores(sample.clips, numbers), world.scores(sample.clips[::-1], numbers)
    assert exact["iou"] > 0.6
    assert exact["found"] > 0.65
    assert exact["psnr"] > 50
    assert other["iou"] < 0.3
    assert other["psnr"] < 25
    assert world.scores(noise(16, *world.clip_shape), numbers)["found"] < 0.1
    nobody = world.scores(world.render(asked()).clips, asked())
    assert np.isnan([nobody["iou"], nobody["found"]]).all()
    for clips, words in ((sample.clips[:15], ("(16, 25)", "(15, 25)")), (sample.clips[:, :5], ("(5, 32, 48, 3)",))):
        with refuses(*words):
            world.scores(clips, numbers)
    with refuses("(0,)", "(16, 25)"):
        world.scores(sample.clips)


def test_what_does_not_fit_is_refused_in_one_sentence():
    with refuses("'C'", "A, B"):
        Street("C")
    for more in ({"real": 2}, {"light": "dusk"}, {"rain": "yes"}, {"events": None}, {"real": "day"}):
        with refuses(f"{next(iter(more))} is"):
            Street(**more)
    with refuses("at least 32"):
        Street(frames=8, events=True)
    with refuses("(count, 25)"):
        Street().render(np.zeros((2, 24)))
    with refuses("from -3 to 3"):
        Street().render(np.full((2, 25), 4.0))
    with refuses("(32, 48, 3)"):
        Street().read(noise(1, 4, 16, 16, 3))
    with refuses("one a clip"):
        Street().read(noise(2, 4, 32, 48, 3), noise(1, 32, 48, 3)[0])
    with refuses("different is"):
        Street().read(noise(1, 4, 32, 48, 3), different=-1)


def test_a_dataset_pairs_clips_with_their_numbers():
    clips, numbers = next(iter(Street().dataset(3, 1, truth="numbers")))
    assert clips.shape == (3, 8, 32, 48, 3)
    assert numbers.shape == (3, 25)


# -------------------------------------------------------------------------------------------------- layouts


def test_a_layout_is_the_empty_street_with_a_block_in_each_box():
    world = Street()
    empty = world.render(asked()).truth["layouts"]
    np.testing.assert_allclose(empty, world.render(asked()).clips, atol=1e-6)  # by day, dry, and nobody there
    sample = world.render(asked(PERSON, VEHICLE))
    differs = np.abs(sample.truth["layouts"] - empty).max(axis=-1)[0]
    for frame in range(8):
        inside = np.zeros((HEIGHT, WIDTH), bool)
        for agent in (0, 1):
            left, top, right, bottom = sample.truth["boxes"][0, frame, agent]
            inside[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
            within = differs[frame, int(np.ceil(top)) : int(bottom), int(np.ceil(left)) : int(right)]
            assert (within > 0.02).mean() > 0.9
        assert differs[frame][~inside].max() < 1e-6


def test_a_layout_shows_neither_light_nor_rain_but_where_a_vehicle_goes():
    night = asked(VEHICLE, around=(0, 0, 0, 3, 0, -1, 0.8))
    one, other = (Street().render(numbers).truth for numbers in (asked(VEHICLE), night))
    np.testing.assert_array_equal(one["layouts"], other["layouts"])
    assert one["weather"].tolist() == [[1, -1]]
    np.testing.assert_allclose(other["weather"], [[-1, 0.8]])
    back = (*VEHICLE[:2], *VEHICLE[4:], *VEHICLE[2:4])  # from right to left
    for agent, front in ((VEHICLE, 1), (back, -1)):
        layout = Street().render(asked(agent)).truth["layouts"][0, 4]
        magenta = np.argwhere((layout > 0.9) @ [1, 0, 1] * (layout[..., 1] < -0.9) == 2)[:, 1]
        left, _, right, _ = Street().render(asked(agent)).truth["boxes"][0, 4, 0]
        assert front * (magenta.mean() - (left + right) / 2) > 0.3 * (right - left)


def test_layouts_pair_a_drawing_with_its_picture():
    world = Layouts()
    sample = world.sample(50, 3)
    check_clips(sample.clips, world.clip_shape)
    assert sample.truth["numbers"].shape == (50, sum(world.columns.values()))
    assert sample.truth["boxes"].shape == (50, 4, 4)
    assert sample.truth["visible"].shape == (50, 4)
    np.testing.assert_array_equal(world.sample(50, 3).clips, sample.clips)
    assert not np.array_equal(world.sample(50, 4).clips, sample.clips)
    assert len(world.sample(3, 0).clips) == 3
    assert {KINDS[k] for k in sample.truth["kind"].ravel() if k >= 0} == set(KINDS)


def test_vehicles_of_layouts_go_either_way_in_both_lanes():
    world, ways = Layouts(), {0: [], 1: []}
    for seed in range(150):
        _, kinds, _, places, *_ = world._situation(np.random.default_rng(seed))
        for path in places[kinds == KINDS.index("vehicle")]:
            ways[int(np.abs(np.array(LANES) - path[0, 1]).argmin())].append(path[-1, 0] > path[0, 0])
    for way in ways.values():
        assert 0.2 < np.mean(way) < 0.8
    edges = []  # the same in pixels: where the magenta front of vehicles is
    sample = world.sample(120, 3)
    for clip, boxes, kinds in zip(sample.clips, sample.truth["boxes"], sample.truth["kind"], strict=True):
        magenta = (clip[0, ..., 0] > 0.9) & (clip[0, ..., 1] < -0.9) & (clip[0, ..., 2] > 0.9)
        for left, top, right, bottom in boxes[(kinds == KINDS.index("vehicle")) & np.isfinite(boxes[:, 0])]:
            columns = np.nonzero(magenta[int(top) : int(bottom), int(left) : int(np.ceil(right))])[1]
            if len(columns):
                edges.append(columns.mean() + int(left) > (left + right) / 2)
    assert len(edges) > 20
    assert 0.2 < np.mean(edges) < 0.8


def test_pictures_are_read_as_bright_by_day_and_dark_by_night():
    world = Layouts()
    sample = world.sample(200, 5)
    assert world.scores(sample.clips, sample.truth["numbers"]) == {"light": 1.0}
    assert world.scores(sample.clips, -sample.truth["numbers"]) == {"light": 0.0}
    with refuses("(200, 2)", "(3, 2)"):
        world.scores(sample.clips[:3], sample.truth["numbers"])
    with refuses("(2, 32, 48, 3)"):
        world.read(sample.clips[:, :1])


class Painter:
    """Gives back what it was told, in the place of a network, and writes down how it was asked."""

    def generate(self, count, weather, *, seed, known, mask, **settings):
        self.asked = {"count": count, "weather": weather, "seed": seed, "mask": mask, **settings}
        return known[:, ::-1] * weather[:, :1, None, None, None]


def test_footage_is_painted_drawing_after_drawing_in_the_weather_of_the_street():
    sample, painter = Street(frames=3).sample(4, 9), Painter()
    made = paint_street(painter, sample, seed=5)
    np.testing.assert_array_equal(made, sample.truth["layouts"] * sample.truth["light"][:, None, None, None, None])
    asked = painter.asked
    assert {name: asked[name] for name in ("count", "seed", "sampler", "steps")} == {
        "count": 12, "seed": 5, "sampler": "euler", "steps": 2
    }  # fmt: skip
    np.testing.assert_array_equal(asked["weather"], np.repeat(sample.truth["weather"], 3, axis=0))
    assert asked["mask"].shape == (2, HEIGHT, WIDTH)
    assert asked["mask"][0].all()
    assert not asked["mask"][1].any()
    paint_street(painter, sample, seed=5, steps=1)
    assert painter.asked["steps"] == 1
    with refuses("sample of Street"):
        paint_street(painter, sample.clips, seed=5)
    with refuses("seed"):
        paint_street(painter, sample, seed=-1)
