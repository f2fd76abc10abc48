"""Bouncing balls: the published program step by step, the laws of mechanics, and a reader that finds balls by fitting."""

import math

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.clips import check_clips
from vidgen_tf.metrics import backwards, frozen, motion_smoothness, object_permanence, shuffled
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.balls import COUNTS, MOST_BALLS, SPEED, TOLERANCE, Balls


@pytest.fixture(scope="module")
def test_set() -> Sample:
    return Balls().sample(*Balls.TEST)


def published(place: list, velocity: list, frames: int, radius: float, box: float) -> np.ndarray:
    """The published rule for one clip, ball by ball in plain floats: places (frames, balls, 2)."""
    place, velocity, shown = [list(p) for p in place], [list(v) for v in velocity], []
    for _ in range(frames):
        shown.append([list(p) for p in place])
        for _ in range(2):
            for p, v in zip(place, velocity, strict=True):
                for axis in (0, 1):
                    p[axis] += 0.5 * v[axis]
                    if p[axis] - radius < 0:
                        v[axis] = abs(v[axis])
                    if p[axis] + radius > box:
                        v[axis] = -abs(v[axis])
            for i in range(len(place)):
                for j in range(i):
                    line = [a - b for a, b in zip(place[i], place[j], strict=True)]
                    length = math.hypot(*line)
                    if length < 2 * radius:
                        line = [part / length for part in line]
                        mine = sum(a * b for a, b in zip(line, velocity[i], strict=True))
                        other = sum(a * b for a, b in zip(line, velocity[j], strict=True))
                        for axis in (0, 1):
                            velocity[i][axis] += line[axis] * (other - mine)
                            velocity[j][axis] += line[axis] * (mine - other)
    return np.array(shown)


def misses(found: dict, truth: dict) -> np.ndarray:
    """How far each ball that was read is from the nearest true one, pixels (count, frames, balls); NaN if absent."""
    clips, frames = found["position"].shape[:2]
    apart = found["position"][:, :, :, None] - truth["position"][:clips, :frames, None]
    return np.linalg.norm(apart, axis=-1).min(axis=-1)


def one(*places: tuple[float, float]) -> np.ndarray:
    """A clip of two equal frames, each the mean of frames with one ball at these pixels."""
    world = Balls(balls=1)
    return world.render(np.array(places)[:, None, None].repeat(2, axis=1)).mean(axis=0, keepdims=True)


# ------------------------------------------------------------------------------------------- the protocol


def test_a_sample_keeps_the_contract(test_set):
    check_clips(test_set.clips)
    assert test_set.clips.shape == (200, *Balls().clip_shape) == (200, 100, 30, 30, 1)
    assert test_set.captions == ("three balls bounce in a box",) * 200
    assert {name: (values.dtype, values.shape) for name, values in test_set.truth.items()} == {
        "position": (np.float64, (200, 100, 3, 2)),
        "velocity": (np.float64, (200, 100, 3, 2)),
        "energy": (np.float64, (200, 100)),
    }
    assert (test_set.clips.min(), test_set.clips.max()) == (-1, 1)
    np.testing.assert_array_equal(test_set.clips, Balls().render(test_set.truth["position"]))
    assert Balls.endless
    assert Balls.TRAIN[0] == 4000
    assert Balls.TRAIN[1] != Balls.TEST[1]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (Balls(frames=10).sample(20, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert first.truth["position"].tobytes() == again.truth["position"].tobytes()
    assert (first.truth["position"] != other.truth["position"]).all()


def test_to_repeat_the_frame_before_costs_what_was_published(test_set):
    errors = Balls.frame_errors(test_set.clips[:, 1:], test_set.clips[:, :-1])
    assert errors.shape == (200, 99)
    assert 11.2 < errors.mean() < 12.4  # 11.86 as published
    assert errors.mean() == pytest.approx(11.80, abs=0.01)


@pytest.mark.parametrize("options", [{}, {"balls": 5}, {"balls": 2, "size": 20, "box": 7.0, "radius": 1.5}])
def test_balls_go_as_in_the_published_program(options):
    world = Balls(**options)
    truth, scale = world.sample(12, 3).truth, world.clip_shape[1] / world.box
    turned = 0
    for position, velocity in zip(truth["position"] / scale, truth["velocity"] / scale, strict=True):
        expected = published(position[0].tolist(), velocity[0].tolist(), 100, world.radius, world.box)
        np.testing.assert_allclose(position, expected, atol=1e-7)  # collisions make rounding errors larger
        turned += (velocity[1:] != velocity[:-1]).any(axis=(1, 2)).sum()
    assert turned > 100


def test_balls_are_drawn_by_the_published_formula(test_set):
    centres = (np.arange(30) + 0.5) / 3  # box units
    for frame, position in zip(test_set.clips[:5, 0, :, :, 0], test_set.truth["position"][:5, 0] / 3, strict=True):
        ink = np.zeros((30, 30))
        for x, y in position:
            ink += np.exp(-((((centres - x) ** 2 + ((centres - y) ** 2)[:, None]) / 1.2**2) ** 4))
        np.testing.assert_allclose(frame, 2 * np.minimum(ink, 1) - 1, atol=1e-5)


def test_ink_is_cut_off_where_balls_overlap_and_absent_far_away():
    world = Balls(balls=2)
    clips = world.render(np.array([[[[15, 15], [15.5, 15]], [[1e300, 9], [-1e30, 1e30]]]]))
    assert clips[0, 0].max() == 1
    assert (clips[0, 1] == -1).all()
    assert world.render([[[[7, 9]]]]).shape == (1, 1, 30, 30, 1)


def test_starts_and_directions_are_drawn_as_published():
    truth = Balls(frames=2).sample(4000, 1).truth
    start, velocity = truth["position"][:, 0] / 3, truth["velocity"][:, 0] / 3
    assert start.min() >= 2
    assert start.max() <= 8.8
    assert start.min() < 2.01  # the published range is not the same at both walls
    assert start.max() > 8.79
    apart = np.linalg.norm(start[:, [0, 0, 1]] - start[:, [1, 2, 2]], axis=-1)
    assert 2.4 <= apart.min() < 2.41
    np.testing.assert_allclose(np.square(velocity).sum(axis=(1, 2)), SPEED**2, rtol=1e-12)
    np.testing.assert_allclose(np.square(velocity).mean(axis=0), SPEED**2 / 6, rtol=0.05)  # each of six parts alike
    assert abs(velocity.mean()) < 0.005


def test_frame_errors_are_sums_in_the_published_units():
    clips = noise(3, 4, 5, 6, 3)
    other = noise(3, 4, 5, 6, 3, seed=1)
    expected = (((clips.astype(float) + 1) / 2 - (other.astype(float) + 1) / 2) ** 2).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(Balls.frame_errors(clips, other), expected, rtol=1e-12)
    assert (Balls.frame_errors(clips, clips) == 0).all()
    full, empty = np.ones((1, 1, 30, 30, 1), np.float32), -np.ones((1, 1, 30, 30, 1), np.float32)
    assert Balls.frame_errors(full, empty) == 900


# ------------------------------------------------------------------------------------------- mechanics


def test_the_energy_never_changes(test_set):
    np.testing.assert_allclose(test_set.truth["energy"], 1, rtol=1e-12)
    speeds = np.square(test_set.truth["velocity"]).sum(axis=(2, 3)) / 9
    np.testing.assert_allclose(speeds, SPEED**2, rtol=1e-12)


def test_collisions_keep_the_momentum_and_walls_do_not(test_set):
    position, velocity = test_set.truth["position"], test_set.truth["velocity"]
    reach = 3 * (1.2 + SPEED)  # pixels: nearer to a wall a ball may have met it in the next frame
    away = ((position > reach) & (position < 30 - reach)).all(axis=(2, 3))[:, :-1]
    turned = (velocity[:, 1:] != velocity[:, :-1]).any(axis=(2, 3))
    change = np.abs(np.diff(velocity.sum(axis=2), axis=1)).max(axis=-1)
    assert (away & turned).sum() > 100
    assert change[away].max() < 1e-12
    assert change.max() > 0.1


def test_between_turns_balls_go_straight_on(test_set):
    position, velocity = test_set.truth["position"], test_set.truth["velocity"]
    straight = velocity[:, 1:] == velocity[:, :-1]
    moved = np.diff(position, axis=1)
    np.testing.assert_allclose(moved[straight], velocity[:, :-1][straight], atol=1e-12)
    assert 0.5 < straight.all(axis=(2, 3)).mean() < 0.95


def test_balls_leave_walls_and_each_other_by_less_than_a_step(test_set):
    position = test_set.truth["position"] / 3
    depth = SPEED * 0.5  # of a step
    assert position.min() > 1.2 - depth
    assert position.max() < 10 - 1.2 + depth
    apart = np.linalg.norm(position[:, :, [0, 0, 1]] - position[:, :, [1, 2, 2]], axis=-1)
    assert 2.4 - 2 * depth < apart.min() < 2.4


@pytest.mark.parametrize(
    ("balls", "radius", "size"), [(1, 4, 30), (2, 0.5, 30), (9, 0.5, 30), (10, 0.5, 30), (3, 0.2, 64)]
)
def test_other_numbers_and_sizes_of_balls(balls, radius, size):
    world = Balls(5, size, balls, radius)
    sample = world.sample(6, 0)
    assert sample.truth["position"].shape == (6, 5, balls, 2)
    number = COUNTS[balls - 1] if balls < 10 else "10"
    assert sample.captions[0] == (f"{number} balls bounce in a box" if balls > 1 else "one ball bounces in a box")
    np.testing.assert_allclose(sample.truth["energy"], 1, rtol=1e-12)
    found = world.read(sample.clips)
    assert found["present"].all()
    assert misses(found, sample.truth).max() < 0.01


# ------------------------------------------------------------------------------------------- reading


def test_read_finds_all_balls_of_real_clips_and_follows_them(test_set):
    world, clips = Balls(), test_set.clips[:60]
    found = world.read(clips)
    assert {name: values.shape for name, values in found.items()} == {
        "count": (60,),
        "present": (60, 100, 3),
        "position": (60, 100, 3, 2),
        "radius": (60, 100, 3),
        "velocity": (60, 99, 3, 2),
        "energy": (60, 99),
    }
    assert found["present"].all()
    true = test_set.truth["position"][:60]
    apart = np.linalg.norm(found["position"][:, :, :, None] - true[:, :, None], axis=-1)
    assert apart.min(axis=-1).max() < 0.01
    which = apart.argmin(axis=-1)
    np.testing.assert_array_equal(np.sort(which, axis=-1), np.broadcast_to([0, 1, 2], which.shape))
    np.testing.assert_array_equal(which, np.broadcast_to(which[:, :1], which.shape))  # the same ball in all frames
    np.testing.assert_allclose(found["radius"], 3.6)
    np.testing.assert_array_equal(found["velocity"], np.diff(found["position"], axis=1))
    assert object_permanence(found).all()
    bends = motion_smoothness({"position": true})
    np.testing.assert_allclose(motion_smoothness(found), bends, atol=0.005)


def test_the_energy_that_is_read_is_one_where_no_ball_has_turned(test_set):
    energy, velocity = Balls().read(test_set.clips[:60])["energy"], test_set.truth["velocity"][:60]
    straight = (velocity[:, 1:] == velocity[:, :-1]).all(axis=(2, 3))
    np.testing.assert_allclose(energy[straight], 1, atol=0.003)
    assert energy.max() < 1.003
    assert (energy < 0.99).mean() == pytest.approx(1 / 9, abs=0.015)


def test_scores_tell_real_clips_from_those_that_break_the_laws(test_set):
    world, clips = Balls(), test_set.clips[:20]
    assert world.scores(clips) == {"readable": 1.0, "energy_kept": pytest.approx(1, abs=0.001)}
    assert world.scores(backwards(clips)) == {"readable": 1.0, "energy_kept": pytest.approx(1, abs=0.001)}
    assert world.scores(frozen(clips)) == {"readable": 1.0, "energy_kept": 0.0}
    assert world.scores(clips[:, ::2])["energy_kept"] == pytest.approx(4, abs=0.01)  # twice as fast
    assert world.scores(shuffled(clips, 0))["energy_kept"] > 20
    assert world.scores(clips[:, :1]) == {"readable": 1.0, "energy_kept": 0.0}
    assert world.scores(-np.ones_like(clips)) == {"readable": 0.0, "energy_kept": 0.0}
    half = clips.copy()
    half[:, :50] = -1
    assert world.scores(half) == {"readable": 0.5, "energy_kept": pytest.approx(1, abs=0.001)}


@pytest.mark.parametrize(("passes", "error", "within"), [(1, 0.04, 0.02), (2, 0.08, 0.04), (4, 0.16, 0.08)])
def test_read_finds_blurred_balls_nearly_as_well(test_set, passes, error, within):
    blurred = test_set.clips[:10, :, :, :, 0].astype(float)
    for _ in range(passes):  # of a blur with a variance of half a pixel² on each axis
        for axis in (2, 3):
            wide = np.moveaxis(np.pad(blurred, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge"), axis, 0)
            inner = np.moveaxis((wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4, 0, axis)
            blurred = inner[:, :, :, 1:-1] if axis == 2 else inner[:, :, 1:-1]
    world, blurred = Balls(), blurred[..., None].astype(np.float32)
    found = world.read(blurred)
    assert found["present"].mean() > 0.99
    assert np.nanmean(misses(found, test_set.truth)) < error
    assert np.nanmax(misses(found, test_set.truth)) < 6 * error
    assert world.scores(blurred)["energy_kept"] == pytest.approx(1, abs=within)


def test_read_finds_balls_through_noise_and_where_they_are_pale(test_set):
    world, clips = Balls(), test_set.clips[:10]
    spoilt = np.clip(clips + np.random.default_rng(0).normal(0, 0.3, clips.shape), -1, 1).astype(np.float32)
    for changed in (spoilt, np.float32(0.7) * (clips + 1) - 1):
        found = world.read(changed)
        assert found["present"].all()
        assert misses(found, test_set.truth).max() < 0.3


def test_read_takes_nothing_half_there_and_no_even_grey_for_a_ball(test_set):
    world, clips = Balls(), test_set.clips[:5]
    even = (level * np.ones_like(clips[:1]) for level in (-1, -0.5, 0, 0.5, 1))
    mean = np.broadcast_to(test_set.clips.mean(axis=(0, 1)), clips.shape).copy()
    for other in (*even, mean, noise(*clips.shape), np.float32(0.5) * (clips - 1)):
        found = world.read(other)
        assert not found["present"].any()
        assert np.isnan(found["position"]).all()
        assert np.isnan(found["energy"]).all()
        assert world.scores(other) == {"readable": 0.0, "energy_kept": 0.0}


@pytest.mark.parametrize("apart", [1, 2, 3, 4, 5, 6, 8, 12])
def test_the_mean_of_two_places_is_one_ball_up_to_three_pixels_apart(apart):
    found = Balls(balls=1).read(one((15, 15), (15 + apart, 15)))
    assert found["present"].all() == found["present"].any() == (apart <= 3)
    if apart <= 3:
        assert ((found["position"][..., 0] >= 15) & (found["position"][..., 0] <= 15 + apart)).all()
        np.testing.assert_allclose(found["position"][..., 1], 15, atol=0.01)
    assert "up to 3 pixels apart, and none from 4 on" in " ".join(Balls.read.__doc__.split())


def test_the_line_is_drawn_at_the_tolerance():
    clips, world = one((15, 15)), Balls(balls=1)
    for share, present in ((1 - TOLERANCE + 0.01, True), (1 - TOLERANCE - 0.01, False)):
        pale = (np.float32(share) * (clips + 1) - 1).astype(np.float32)
        assert world.read(pale)["present"].all() == world.read(pale)["present"].any() == present


def test_one_ball_is_not_found_twice_and_two_are_not_three(test_set):
    for balls in (1, 2):
        clips = Balls().render(test_set.truth["position"][:10, :, :balls])
        found = Balls().read(clips)
        np.testing.assert_array_equal(found["present"].sum(axis=2), balls)
        assert np.nanmax(misses(found, test_set.truth)) < 0.01
        assert not object_permanence(found).any()
        assert Balls().scores(clips) == {"readable": 0.0, "energy_kept": 0.0}
    broad = np.maximum(one((14, 15)), one((17, 15)))  # a ball that is too wide
    found = Balls(balls=2).read(broad)
    assert found["present"].sum(axis=2).max() <= 2
    apart = np.linalg.norm(found["position"][0, 0, 0] - found["position"][0, 0, 1])
    assert np.isnan(apart) or apart > 3.6


def test_a_ball_that_is_lost_for_some_frames_is_followed_where_it_comes_back():
    x = np.arange(5, 25)
    path = np.stack([np.stack([x, np.full(20, 8)], axis=1), np.stack([x[::-1], np.full(20, 22)], axis=1)], axis=1)
    world = Balls(balls=2)
    clips = world.render(path[None])
    clips[0, 6:8, 15:] = -1  # without the lower ball
    clips[0, 12, :15] = -1  # without the upper one
    found = world.read(clips)
    absent = np.argwhere(~found["present"][0])
    assert sorted(map(tuple, absent[:, :1].tolist())) == [(6,), (7,), (12,)]
    lower = int(found["position"][0, 0, :, 1].argmax())
    assert absent.tolist() == [[6, lower], [7, lower], [12, 1 - lower]]
    for ball, row in ((lower, 22), (1 - lower, 8)):
        seen = found["position"][0, found["present"][0, :, ball], ball, 1]
        np.testing.assert_allclose(seen, row, atol=0.01)
    whole = np.isfinite(found["energy"][0])
    assert np.flatnonzero(~whole).tolist() == [5, 6, 7, 11, 12]
    np.testing.assert_allclose(found["energy"][0, whole], 2 / (SPEED * 3) ** 2, rtol=0.01)


def test_balls_that_are_all_lost_are_followed_from_where_they_were():
    world = Balls(frames=40, balls=3)
    sample = world.sample(10, 1)
    sample.clips[:, 1::2] = -1
    position = world.read(sample.clips)["position"][:, ::2]
    apart = np.linalg.norm(position[:, :, :, None] - sample.truth["position"][:, ::2, None], axis=-1)
    which = apart.argmin(axis=-1)
    np.testing.assert_array_equal(which, np.broadcast_to(which[:, :1], which.shape))


def test_nothing_is_followed_before_it_is_there():
    world = Balls(balls=1)
    clips = one((15, 15)).repeat(2, axis=1)
    clips[:, 0] = -1
    np.testing.assert_array_equal(world.read(clips)["present"][0, :, 0], [False, True, True, True])


@pytest.mark.parametrize("chunk", [1, 900 * 7, 900 * 40])
def test_the_chunk_changes_nothing(monkeypatch, chunk):
    world = Balls(frames=10)
    sample = world.sample(4, 0)
    before = world.read(sample.clips)["position"]
    monkeypatch.setattr("vidgen_tf.worlds.balls.CHUNK", chunk)
    np.testing.assert_array_equal(world.sample(4, 0).clips, sample.clips)
    np.testing.assert_allclose(world.read(sample.clips)["position"], before, atol=1e-4)


# ------------------------------------------------------------------------------------------- the contract


def test_a_dataset_pairs_clips_with_their_positions():
    world = Balls(frames=4)
    clips, truth = next(iter(world.dataset(6, seed=1, truth=["position"])))
    np.testing.assert_array_equal(world.render(truth["position"].numpy()), clips.numpy())
    again, captions = next(iter(world.dataset(6, seed=1, captions=True)))
    np.testing.assert_array_equal(clips, again)
    assert captions.numpy()[0].decode() == "three balls bounce in a box"
    same, alone = next(iter(world.dataset(6, seed=1, truth="position")))
    np.testing.assert_array_equal(clips, same)
    np.testing.assert_array_equal(alone, truth["position"])


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    for name, least in (("frames", 2), ("size", 8), ("balls", 1)):
        with refuses(name, repr(bad), f"at least {least}"):
            Balls(**{name: bad})
    with refuses("count", repr(bad)):
        Balls().sample(bad, 0)
    if bad != 0:
        with refuses("seed", repr(bad)):
            Balls().sample(2, bad)
    if bad != 2.5:
        with refuses("radius", repr(bad), "from 0.333333 to below 5"):
            Balls(radius=bad)
        with refuses("box", repr(bad), "from 1 to"):
            Balls(box=bad)


def test_worlds_and_samples_that_do_not_fit_are_refused():
    for radius in (0.33, 5, math.nan, math.inf):
        with refuses("radius", f"{radius}", "0.333333 to below 5"):
            Balls(radius=radius)
    for box in (0.5, math.nan, math.inf):
        with refuses("box", f"{box}"):
            Balls(box=box)
    with refuses("6 balls of radius 1.2", "hardly any room", "fewer or smaller"):
        Balls(balls=6)
    with refuses("1 balls of radius 4.9", "hardly any room"):  # no place in [2, 10] is far enough from the wall
        Balls(balls=1, radius=4.9999)
    with refuses("balls is 51", f"1 to {MOST_BALLS}"):
        Balls(balls=51, radius=0.35)
    with refuses("size", "8193", "8192"):
        Balls(size=8193)
    with refuses("a clip", "fit"):
        Balls(frames=10**6)
    with refuses("a sample", "fit"):
        Balls().sample(10**4, 0)
    with refuses("the clips", "fit"):
        Balls().render(np.zeros((10**4, 100, 3, 2)))
    with refuses("the pictures of all places", "fit"):
        Balls(2, 600, radius=0.1).read(noise(1, 1, 600, 600, 1))


@pytest.mark.parametrize("bad", [[], 3, [[[1.0, 2.0]]], np.zeros((1, 2, 3, 3)), np.full((1, 1, 1, 2), np.nan)])
def test_render_refuses_what_are_no_positions(bad):
    with refuses("positions", "(count, time, balls, 2)"):
        Balls().render(bad)
    with refuses("positions", "numbers"):
        Balls().render([["a"]])


@pytest.mark.parametrize("verb", ["read", "scores"])
def test_other_clips_are_refused(verb):
    act = getattr(Balls(), verb)
    with refuses("(32, 32, 1)", "(30, 30, 1)", "their size"):
        act(noise(2, 3, 32, 32, 1))
    with refuses("(30, 30, 3)", "(30, 30, 1)"):
        act(noise(2, 3, 30, 30, 3))
    with refuses("float32"):
        act(noise(2, 3, 30, 30, 1).astype(float))


def test_frame_errors_refuse_clips_of_two_shapes():
    with refuses("(2, 3, 8, 8, 1)", "(2, 2, 8, 8, 1)", "same frames"):
        Balls.frame_errors(noise(2, 3, 8, 8, 1), noise(2, 2, 8, 8, 1))
    with refuses("predicted", "float32"):
        Balls.frame_errors(noise(2, 3, 8, 8, 1), noise(2, 3, 8, 8, 1).astype(float))
    with refuses("clips", "5 axes"):
        Balls.frame_errors(noise(3, 8, 8, 1), noise(3, 8, 8, 1))
