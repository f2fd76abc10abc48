"""The filmed experiments: what they show is exact, what is read is what is shown, and a lab finds the laws again."""

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.metrics import frozen, shuffled
from vidgen_tf.worlds.experiments import (
    GRAVITY,
    KINDS,
    METRES,
    PAINTS,
    PIVOT,
    QUANTITIES,
    SECONDS,
    Experiments,
    acceleration_of,
    bounce_of,
    check_quantities,
    drawn,
    limits,
    oscillation_of,
    path_of,
    radii,
    slower,
    swing,
    waves,
)

TIMES = SECONDS * np.arange(16)
WORLD = Experiments(part="all")


def even(kind: str, count: int = 40, seed: int = 0) -> np.ndarray:
    low, _, highest = limits(kind)
    return low + np.random.default_rng(seed).random((count, len(low))) * (highest - low)


# ------------------------------------------------------------------------------------------------- mechanics


def test_a_pendulum_comes_back_after_the_period_of_the_arithmetic_geometric_mean():
    angle, length = np.radians([1, 15, 30, 80, 150]), np.array([1.0, 0.25, 0.6, 0.4, 0.7])
    period = 2 * np.pi * np.sqrt(length / GRAVITY) * slower(angle)
    for row in range(5):
        path = swing(angle[row : row + 1], length[row : row + 1], np.linspace(0, period[row], 5))[0]
        np.testing.assert_allclose(path, angle[row] * np.array([1, 0, -1, 0, 1]), atol=2e-6)
    # the first terms of the series that school books give
    small = np.radians([5.0, 20.0])
    np.testing.assert_allclose(slower(small), 1 + small**2 / 16 + 11 * small**4 / 3072, rtol=1e-5)
    assert slower(np.zeros(1)) == 1


def test_a_pendulum_keeps_its_energy():
    times = np.linspace(0, 2, 2001)
    angle = swing(np.radians([30.0]), np.array([0.5]), times)[0]
    speed = 0.5 * np.gradient(angle, times)[1:-1]
    energy = speed**2 / 2 - GRAVITY * 0.5 * np.cos(angle[1:-1])
    np.testing.assert_allclose(energy, -GRAVITY * 0.5 * np.cos(np.radians(30)), rtol=1e-5)


def test_a_throw_is_a_parabola_that_begins_with_its_speed_and_keeps_its_energy():
    quantities = even("throw")
    place = path_of("throw", quantities, TIMES)[:, :, 0] * METRES["throw"]
    np.testing.assert_allclose(np.diff(place[..., 1], 2) / SECONDS**2, GRAVITY, rtol=1e-6)
    np.testing.assert_allclose(np.diff(place[..., 0], 2), 0, atol=1e-9)
    speed = (place[:, 2:] - place[:, :-2]) / (2 * SECONDS)  # exact for parabolas
    energy = np.sum(speed**2, axis=-1) / 2 - GRAVITY * (place[:, 1:-1, 1] - place[:, :1, 1])
    np.testing.assert_allclose(energy, np.tile(quantities[:, :1] ** 2 / 2, (1, 14)), rtol=1e-6)


def test_a_spring_obeys_its_equation_and_is_let_go_at_rest():
    quantities, h = even("spring"), 1e-4
    stiffness, mass, damping = quantities.T[..., None]
    start = np.linspace(0.1, 1.4, 7)
    before, now, after = ((path_of("spring", quantities, start + move)[:, :, 0, 1] - 16) for move in (-h, 0, h))
    left = mass * (after - 2 * now + before) / h**2 + damping * (after - before) / (2 * h) + stiffness * now
    assert np.abs(left).max() < 1e-3 * np.abs(stiffness * now).max()
    first = path_of("spring", quantities, np.array([0, h]))[:, :, 0, 1] - 16
    np.testing.assert_allclose(first[:, 0], 8)
    assert np.abs(np.diff(first)).max() < 1e-3


def test_a_collision_keeps_momentum_and_parts_as_its_restitution_says():
    quantities = even("collision")
    speed, mass, restitution = quantities.T
    place = path_of("collision", quantities, np.linspace(0, 1.5, 301))[..., 0] * METRES["collision"]
    velocity = np.diff(place, axis=1) / 0.005
    momentum = mass[:, None] * velocity[..., 0] + velocity[..., 1]
    np.testing.assert_allclose(momentum[:, 0], mass * speed)
    np.testing.assert_allclose(momentum[:, -1], mass * speed)
    np.testing.assert_allclose(velocity[:, -1, 1] - velocity[:, -1, 0], restitution * speed, atol=1e-9)
    energy = mass[:, None] * velocity[..., 0] ** 2 / 2 + velocity[..., 1] ** 2 / 2
    lost = mass / (mass + 1) / 2 * (1 - restitution**2) * speed**2  # in the frame of the centre of mass
    np.testing.assert_allclose(energy[:, 0] - energy[:, -1], lost, atol=1e-9)
    apart = (
        np.diff(path_of("collision", quantities, TIMES)[..., 0])[..., 0]
        - radii("collision", quantities).sum(axis=1)[:, None]
    )
    assert apart.min() > -1e-9
    assert apart.min(axis=1).max() < 1.5  # the bodies meet in each clip


# ------------------------------------------------------------------------------------------------- clips


def test_a_sample_is_the_same_for_the_same_seed_and_keeps_its_order():
    one, same, other = (WORLD.sample(30, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.clips, same.clips)
    assert one.captions == same.captions
    assert np.abs(one.clips - other.clips).max() > 1
    assert one.clips.shape == (30, 16, 32, 32, 3)
    assert one.clips.dtype == np.float32
    for row, kind in enumerate(one.truth["kind"]):
        name = KINDS[kind]
        assert one.captions[row].startswith(f"a {name}: ")
        mine = one.truth["quantities"][row : row + 1, : len(QUANTITIES[name])]
        again = WORLD.perform(name, mine)
        np.testing.assert_array_equal(again.clips[0], one.clips[row])
        for key in ("numbers", "quantities", "position"):
            np.testing.assert_array_equal(again.truth[key][0], one.truth[key][row])
    assert WORLD.perform("pendulum", [[0.4, 20]]).captions == ("a pendulum: length 0.4 m, angle 20 °",)


def test_numbers_run_from_the_lowest_to_the_highest_and_training_has_the_lower_part():
    for kind in KINDS:
        low, high, highest = limits(kind)
        numbers = WORLD.numbers_of(kind, [low, highest, (low + highest) / 2])
        size = len(low)
        np.testing.assert_allclose(numbers[:, 4 : 4 + size], [[-1] * size, [1] * size, [0] * size], atol=1e-6)
        np.testing.assert_array_equal(numbers[:, :4].argmax(axis=1), KINDS.index(kind))
        assert (numbers[:, 4 + size :] == -1).all()
        assert numbers.dtype == np.float32
        train, whole = (
            Experiments(kind, part).sample(60, 1).truth["quantities"][:, :size] for part in ("train", "all")
        )
        assert (train <= high).all()
        assert (train >= low).all()
        assert (whole <= highest).all()
        assert (whole > high).any()
        assert (train.max(axis=0) > low + 0.9 * (high - low)).all()
    assert sum(WORLD.columns.values()) == 7


def test_a_dataset_gives_clips_with_their_numbers():
    clips, numbers = next(iter(Experiments().dataset(5, seed=1, truth="numbers")))
    assert clips.shape == (5, 16, 32, 32, 3)
    assert numbers.shape == (5, 7)


def test_pixels_are_sums_of_paints():
    clip = WORLD.perform("collision", [[0.8, 1.0, 0.5]]).clips[0]
    np.testing.assert_allclose(clip[0, 15, 4], PAINTS[0] - 1, atol=1e-6)  # the middle of the first body
    np.testing.assert_allclose(clip[0, 15, 17], np.clip(PAINTS[1] - 1, -1, 1), atol=1e-6)
    np.testing.assert_allclose(clip[0, 30, 3], 0.6 * PAINTS[2] - 1, atol=1e-6)
    np.testing.assert_allclose(clip[0, 2, 3], -1)
    empty = drawn("throw", np.full((1, 2, 2, 2), 500.0), np.array([[2.0, 2.0]]))
    assert (empty == -1).all()


# ------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("kind", KINDS)
def test_read_finds_the_bodies_to_hundredths_of_a_pixel(kind):
    sample = WORLD.perform(kind, even(kind, 60))
    found = WORLD.read(sample.clips)
    away = np.linalg.norm(found["position"] - sample.truth["position"], axis=-1)
    assert np.nanmean(away) < 0.03
    assert np.nanmax(away) < 0.08
    bodies = 2 if kind == "collision" else 1
    assert (found["area"][..., bodies:] == 0).all()
    assert np.isnan(found["position"][..., bodies:, :]).all()
    seen = np.isfinite(found["position"][:, 0, :bodies, 0])
    assert seen.all()
    if kind in ("pendulum", "spring"):
        assert np.isfinite(away[..., 0]).all()
    area = np.pi * radii(kind, sample.truth["quantities"][:, : len(QUANTITIES[kind])]) ** 2
    np.testing.assert_allclose(found["area"][:, 0, :bodies], area[:, :bodies], rtol=0.05)


def test_twice_the_mass_has_twice_the_area():
    area = WORLD.read(WORLD.perform("spring", [[4, 0.1, 0], [4, 0.2, 0]]).clips)["area"][..., 0]
    np.testing.assert_allclose(area[1] / area[0], 2, rtol=0.05)


def test_read_finds_nothing_in_empty_frames_and_none_at_the_border():
    nothing = WORLD.read(np.full((1, 3, 32, 32, 3), -1, np.float32))
    assert np.isnan(nothing["position"]).all()
    assert (nothing["area"] == 0).all()
    place = np.full((1, 2, 2, 2), np.nan)
    place[0, :, 0] = [[16, 16], [1.0, 16]]
    found = WORLD.read(drawn("throw", place, np.array([[2.0, 2.0]])))["position"][0, :, 0]
    np.testing.assert_allclose(found[0], 16, atol=0.05)
    assert np.isnan(found[1]).all()


def test_read_bears_a_little_noise():
    sample = WORLD.perform("collision", even("collision", 20))
    dirt = np.random.default_rng(0).normal(0, 0.03, sample.clips.shape).astype(np.float32)
    away = np.linalg.norm(
        WORLD.read(np.clip(sample.clips + dirt, -1, 1))["position"] - sample.truth["position"], axis=-1
    )
    assert np.nanmean(away) < 0.1


def test_a_reader_follows_the_clip_and_not_what_was_asked_for():
    asked = WORLD.perform("pendulum", [[0.3, 20], [0.9, 20]])
    swapped = asked.clips[::-1].copy()
    found = WORLD.scores(swapped, asked.truth["numbers"])
    assert found["pixels"] > 8
    found = WORLD.scores(asked.clips, asked.truth["numbers"])
    assert found["seen"] == 1
    assert found["pixels"] == found["pixels_pendulum"] < 1e-4


def test_scores_say_what_is_missed_and_tell_controls_from_real_clips():
    sample = WORLD.sample(40, 3)
    good = WORLD.scores(sample.clips, sample.truth["numbers"])
    assert good["pixels"] < 1e-4
    assert good["seen"] == 1
    assert set(good) == {"pixels", "seen"} | {f"pixels_{kind}" for kind in KINDS}
    for control in (frozen(sample.clips), shuffled(sample.clips, 0)):
        assert WORLD.scores(control, sample.truth["numbers"])["pixels"] > 2
    half = sample.clips.copy()
    half[::2] = -1
    assert 0.3 < WORLD.scores(half, sample.truth["numbers"])["seen"] < 0.7


# ------------------------------------------------------------------------------------------------- laws


def test_oscillation_of_finds_period_and_decay_exactly():
    period, decay = np.array([0.5, 0.9, 1.5, 3.0]), np.array([0.0, 0.5, 1.0, 2.0])
    shapes = waves(2 * np.pi / period, decay, TIMES)
    series = shapes @ np.array([1.0, -0.4, 5.0])
    found, faded = oscillation_of(series, damped=True)
    np.testing.assert_allclose(found, period, rtol=1e-6)
    np.testing.assert_allclose(faded, decay, atol=1e-5)
    plain = waves(2 * np.pi / period, 0 * decay, TIMES) @ np.array([1.0, -0.4, 5.0])
    found, faded = oscillation_of(plain)
    np.testing.assert_allclose(found, period, rtol=1e-6)
    assert (faded == 0).all()
    np.testing.assert_allclose(oscillation_of(plain, 0.2)[0], 2 * period, rtol=1e-6)
    dirt = np.random.default_rng(0).normal(0, 0.02, plain.shape)
    np.testing.assert_allclose(oscillation_of(plain + dirt)[0][:3], period[:3], rtol=0.02)


def test_the_law_of_the_pendulum_is_read_from_true_clips():
    quantities = even("pendulum", 80)
    place = WORLD.read(WORLD.perform("pendulum", quantities).clips)["position"][:, :, 0]
    angle = np.arctan2(*np.moveaxis(place - PIVOT, -1, 0))
    period = oscillation_of(angle)[0] / slower(np.radians(quantities[:, 1]))
    root = np.sqrt(quantities[:, 0])
    slope = (period @ root) / (root @ root)
    assert (2 * np.pi / slope) ** 2 == pytest.approx(GRAVITY, rel=0.003)
    np.testing.assert_allclose(period, 2 * np.pi * np.sqrt(quantities[:, 0] / GRAVITY), rtol=0.01)


def test_gravity_is_read_from_true_throws():
    place = WORLD.read(WORLD.perform("throw", even("throw", 80)).clips)["position"][:, :, 0]
    fall = acceleration_of(place[..., 1] * METRES["throw"])
    np.testing.assert_allclose(fall, GRAVITY, rtol=0.015)
    assert fall.mean() == pytest.approx(GRAVITY, rel=0.001)


def test_stiffness_and_damping_are_read_from_true_springs():
    quantities = even("spring", 80)
    place = WORLD.read(WORLD.perform("spring", quantities).clips)["position"][:, :, 0]
    period, decay = oscillation_of(place[..., 1], damped=True)
    stiffness, mass, damping = quantities.T
    np.testing.assert_allclose(mass * ((2 * np.pi / period) ** 2 + decay**2), stiffness, rtol=0.015)
    np.testing.assert_allclose(decay, damping / (2 * mass), atol=0.015)


def test_restitution_and_momentum_are_read_from_true_collisions():
    quantities = even("collision", 80)
    found = WORLD.read(WORLD.perform("collision", quantities).clips)
    place = found["position"][..., 0] * METRES["collision"]
    together, apart = bounce_of(place[..., 1] - place[..., 0])
    np.testing.assert_allclose(together, quantities[:, 0], rtol=0.03)
    np.testing.assert_allclose(apart / together, quantities[:, 2], atol=0.04)
    mass = found["area"][:, 0, 0] / found["area"][:, 0, 1]
    np.testing.assert_allclose(mass, quantities[:, 1], rtol=0.04)


def test_bounce_of_finds_a_bend_and_forgives_gaps():
    times = np.arange(12) * SECONDS
    distance = np.where(times < 0.45, 2 - 3 * times, 2 - 3 * 0.45 + 1.5 * (times - 0.45))[None]
    distance[0, [2, 9]] = np.nan
    together, apart = bounce_of(distance)
    assert (together[0], apart[0]) == pytest.approx((3, 1.5))
    assert np.isnan(bounce_of(np.array([[1.0, 2, 3, np.nan, np.nan]]))).all()


def test_four_frames_on_two_lines_are_enough():
    together, apart = bounce_of(np.array([[3.0, 2.0, 1.5, 2.0], [np.nan] * 4]))
    assert (together[0], apart[0]) == pytest.approx((10, 5))
    assert np.isnan([together[1], apart[1]]).all()


def test_acceleration_of_needs_four_frames():
    assert acceleration_of(np.array([[1.0, 2, np.nan, 4]])) != acceleration_of(np.array([[1.0, 2, 3, 4]]))
    assert np.isnan(acceleration_of(np.array([[1.0, 2, np.nan, 4]])))[0]
    assert acceleration_of(3 * TIMES[None] ** 2)[0] == pytest.approx(6)


# ------------------------------------------------------------------------------------------------- refusals


def test_unknown_kinds_parts_and_quantities_are_refused():
    with refuses("kind", "'swing'", "pendulum"):
        Experiments("swing")
    with refuses("kinds", "()"):
        Experiments(())
    with refuses("part", "'test'"):
        Experiments(part="test")
    with refuses("frames", "at least 6"):
        Experiments(frames=5)
    with refuses("quantities", "(2,)", "length (m)"):
        WORLD.perform("pendulum", [0.4, 20])
    with refuses("quantities", "(1, 2)", "stiffness (N/m)"):
        check_quantities("spring", [[4, 0.1]])
    with refuses("length of a pendulum", "1.5", "0.25 to 1 m"):
        WORLD.perform("pendulum", [[1.5, 20]])
    with refuses("restitution", "nan"):
        WORLD.numbers_of("collision", [[0.8, 1, np.nan]])


def test_other_clips_and_series_are_refused():
    with refuses("(16, 16, 3)", "(32, 32, 3)"):
        WORLD.read(noise(2, 16, 16, 16, 3))
    with refuses("numbers", "(3, 6)", "7"):
        WORLD.scores(noise(3, 16, 32, 32, 3), np.zeros((3, 6)))
    with refuses("(16, 7)", "(3, 7)"):
        WORLD.scores(noise(3, 16, 32, 32, 3), np.zeros((16, 7)))
    with refuses("(12, 32, 32, 3)"):
        WORLD.scores(noise(3, 12, 32, 32, 3), np.zeros((3, 7)))
    for law in (oscillation_of, acceleration_of, bounce_of):
        with refuses("seconds is 0"):
            law(np.zeros((1, 8)), seconds=0)
    with refuses("series", "(1, 5)"):
        oscillation_of(np.zeros((1, 5)))
    with refuses("series", "finite"):
        oscillation_of(np.full((1, 8), np.nan))
    with refuses("series", "(5,)"):
        acceleration_of(np.zeros(5))
    with refuses("distance", "(5,)"):
        bounce_of(np.zeros(5))


def test_pendulums_that_cannot_be_followed_are_refused():
    for angle, length in ((0.5, 0.4), ([0.5], [0.4, 0.5]), ([0.5], [0.0]), ([np.nan], [0.4])):
        with refuses("angle", "(count,)"):
            swing(angle, length, TIMES)
    for times in ([0, 0.1, 0.3], [0.1, 0.2, 0.3], [[0, 0.1]], [], [0, np.nan]):
        with refuses("times", "evenly apart"):
            swing([0.5], [0.4], times)
        with refuses("times", "evenly apart"):
            path_of("pendulum", [[0.4, 20]], np.array(times))
    for angle in (4.0, np.pi, [0.5, -3.2], np.nan):
        with refuses("angle", "below π"):
            slower(angle)


def test_the_preset_films_what_it_is_asked_for():
    from vidgen_tf import presets

    model, world = presets.load("experiments"), Experiments()
    sample = world.sample(24, 555)
    made = model.generate(24, sample.truth["numbers"], seed=1, sampler="euler", steps=1)
    scores = world.scores(made, sample.truth["numbers"])
    assert scores["pixels"] < 0.2
    assert scores["seen"] > 0.9
