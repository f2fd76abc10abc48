"""Balls against the laws of mechanics: what must be kept is kept, and closed forms are met."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.rigid_bodies import FLOOR, simulate

ROOM = (FLOOR, (1, 0, 0, -2), (-1, 0, 0, -2), (0, 0, 1, -2), (0, 0, -1, -2))
NOTHING = {"gravity": (0, 0, 0), "walls": ()}


def one(position, velocity, **options):
    return simulate([position], [velocity], 0.5, **{"frames": 25, "fps": 25} | options)


def test_in_flight_a_ball_follows_its_parabola():
    motion = one((0, 50, 0), (1, 2, 3))
    t = motion.time[:, None]
    np.testing.assert_allclose(motion.position[:, 0], [0, 50, 0] + t * [1, 2, 3] + t**2 / 2 * [0, -9.81, 0], atol=1e-10)
    np.testing.assert_allclose(motion.time, np.arange(25) / 25)


def test_without_loss_the_energy_is_kept_through_hundreds_of_collisions():
    dice = np.random.default_rng(0)
    start = np.stack(np.meshgrid([-1.2, 0, 1.2], [1, 2.2], [-1.2, 1.2], indexing="ij"), -1).reshape(-1, 3)
    motion = simulate(
        start,
        dice.normal(0, 2, start.shape),
        dice.uniform(0.3, 0.5, 12),
        frames=36,
        walls=ROOM,
        restitution=1,
        friction=0,
    )
    total = motion.energy()["total"]
    assert np.ptp(motion.energy()["height"]) > 0.05 * total[0]  # it does change its form
    np.testing.assert_allclose(total, total[0], rtol=1e-9)  # float64, and nothing else


def test_momentum_and_angular_momentum_are_kept_with_friction_and_loss():
    start = np.array([[0, 0, 0], [2, 0.3, 0], [4, 0.5, 0.2], [0, 3, 0]], float)
    velocity = np.array([[3, 0, 0], [0, 0, 0], [-1, 0, 0], [0, -2, 0]], float)
    spin = np.random.default_rng(1).normal(0, 4, (4, 3))
    motion = simulate(
        start, velocity, [0.5, 0.6, 0.4, 0.5], frames=40, spin=spin, restitution=0.7, friction=0.5, **NOTHING
    )
    assert np.abs(np.diff(motion.spin, axis=0)).max() > 0.1  # they did rub
    assert np.ptp(motion.energy()["total"]) > 0.01
    np.testing.assert_allclose(motion.momentum(), motion.momentum()[:1].repeat(40, 0), atol=1e-11)
    np.testing.assert_allclose(motion.angular_momentum(), motion.angular_momentum()[:1].repeat(40, 0), atol=1e-11)


@pytest.mark.parametrize("heavy", [1.0, 3.0, 1000.0])
def test_a_head_on_collision_gives_the_textbook_speeds(heavy):
    motion = simulate(
        [[0, 0, 0], [3, 0, 0]], [[2, 0, 0], [0, 0, 0]], 0.5, mass=[heavy, 1], frames=25, restitution=1, **NOTHING
    )
    expected = [2 * (heavy - 1) / (heavy + 1), 4 * heavy / (heavy + 1)]
    np.testing.assert_allclose(motion.velocity[-1, :, 0], expected, rtol=1e-9)


def test_restitution_is_the_share_of_the_speed_that_comes_back():
    for restitution in (1.0, 0.8, 0.5):
        motion = one((0, 2.5, 0), (0, 0, 0), restitution=restitution, frames=140, fps=100, friction=0)
        height = motion.position[:, 0, 1] - 0.5
        after = height[int(100 * np.sqrt(2 * 2 / 9.81)) + 2 :]
        assert after.max() == pytest.approx(2 * restitution**2, rel=0.01)  # a step is a thousandth of a second


def test_a_sliding_ball_ends_up_rolling_at_five_sevenths_of_its_speed():
    motion = one((0, 0.5, 0), (2, 0, 0), friction=0.4, frames=50)
    np.testing.assert_allclose(motion.velocity[-1, 0, 0], 2 * 5 / 7, rtol=2e-3)
    np.testing.assert_allclose(motion.spin[-1, 0], [0, 0, -2 * 5 / 7 / 0.5], atol=1e-2)  # it turns as it goes
    first = motion.velocity[:4, 0, 0]
    np.testing.assert_allclose(first, 2 - 0.4 * 9.81 * motion.time[:4], rtol=5e-3)  # Coulomb: slowed by friction · g


def test_without_friction_nothing_begins_to_turn():
    motion = one((0, 1, 0), (2, 0, 0), friction=0.0, frames=50)
    assert not motion.spin.any()
    np.testing.assert_allclose(motion.velocity[:, 0, 0], 2)


def test_what_rests_stays_at_rest_and_does_not_sink():
    tower = [[0, 0.5, 0], [0, 1.5, 0], [0, 2.5, 0]]
    motion = simulate(tower, np.zeros((3, 3)), 0.5, frames=36)
    assert np.abs(motion.position - tower).max() < 6e-3
    assert np.abs(motion.velocity).max() < 0.05


def test_balls_never_go_through_walls_or_each_other():
    dice = np.random.default_rng(3)
    start = np.stack(np.meshgrid([-1, 1], [0.7, 2.0], [-1, 1], indexing="ij"), -1).reshape(-1, 3)
    motion = simulate(start, dice.normal(0, 3, start.shape), 0.5, frames=48, walls=ROOM)
    away = np.linalg.norm(motion.position[:, :, None] - motion.position[:, None], axis=-1) + 10 * np.eye(8)
    assert away.min() > 1 - 0.03
    assert np.abs(motion.position[..., [0, 2]]).max() < 1.5 + 0.03
    assert motion.position[..., 1].min() > 0.5 - 0.03
    total = motion.energy()["total"]
    assert (np.diff(total) <= 1e-2).all()  # no energy from nowhere; the push that parts what rests lifts a little
    assert total[-1] < total[0]


def test_turning_is_a_rotation_by_spin_times_time():
    motion = one((0, 0, 0), (0, 0, 0), spin=[[0, 0, np.pi / 2]], frames=2, fps=1, **NOTHING)
    np.testing.assert_allclose(motion.turn[-1, 0], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-9)
    np.testing.assert_array_equal(motion.turn[0, 0], np.eye(3))


def test_turns_about_two_axes_follow_each_other():
    """A ball that spins about the vertical falls to a rough floor, from which on it also turns about another axis."""
    motion = one((0, 0.9, 0), (3, 0, 0), spin=[[0, 5, 0]], friction=0.5, restitution=0.9, frames=40, fps=100)
    spin, turn = motion.spin[:, 0], motion.turn[:, 0]
    last, first = 20, 36  # frames before and after it bounced
    np.testing.assert_array_equal(spin[: last + 1], [[0, 5, 0]] * (last + 1))
    np.testing.assert_array_equal(spin[first:], spin[-1:].repeat(40 - first, 0))
    assert spin[-1, 2] < -1
    cosine, sine = np.cos(5 * motion.time[last]), np.sin(5 * motion.time[last])
    np.testing.assert_allclose(turn[last], [[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]], atol=1e-9)
    angle = np.linalg.norm(spin[-1]) * (motion.time[-1] - motion.time[first])
    x, y, z = spin[-1] / np.linalg.norm(spin[-1])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    later = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    assert np.abs(later @ turn[first] - turn[first] @ later).max() > 0.05
    np.testing.assert_allclose(turn[-1], later @ turn[first], atol=1e-9)  # the later turn stands on the left


def test_a_finer_grid_of_frames_shows_the_same_motion():
    coarse, fine = (one((0, 2, 0), (1, 0, 0), frames=frames, fps=fps) for frames, fps in ((10, 10), (91, 100)))
    np.testing.assert_allclose(coarse.position, fine.position[::10], atol=2e-3)


def test_bad_arguments_are_refused_in_one_sentence():
    good = {"position": [[0, 1, 0]], "velocity": [[0, 0, 0]], "radius": 0.5, "frames": 3}
    for change, words in (
        ({"position": [0, 1, 0]}, ("position", "(3,)", "(balls, 3)")),
        ({"position": [[0, np.nan, 0]]}, ("position", "NaN")),
        ({"position": [["a", 0, 0]]}, ("position", "numbers")),
        ({"velocity": [[0, 0, 0]] * 2}, ("velocity", "(1, 3)")),
        ({"radius": 0}, ("radius", "above 0")),
        ({"radius": [0.5, 0.5]}, ("radius", "(1,)")),
        ({"mass": -1}, ("mass", "above 0")),
        ({"spin": [0, 0, 0]}, ("spin", "(1, 3)")),
        ({"gravity": 9.81}, ("gravity", "(3,)")),
        ({"walls": [(0, 2, 0, 0)]}, ("walls", "length 1")),
        ({"restitution": 1.1}, ("restitution", "0 to 1")),
        ({"friction": -0.1}, ("friction", "-0.1")),
        ({"frames": 0}, ("frames", "0")),
        ({"fps": 0}, ("fps", "0")),
        ({"frames": 10**6}, ("steps", "fewer")),
        ({"position": [[0, 0.2, 0]]}, ("ball 0", "wall 0", "overlaps")),
        ({"position": [[0, 1, 0], [0.5, 1, 0]], "velocity": np.zeros((2, 3))}, ("balls 0 and 1", "overlap")),
    ):
        with refuses(*words):
            simulate(**good | change)


def test_balls_that_would_fly_through_each_other_are_refused():
    start = [[-1, 0, 0], [1, 0, 0]]
    with refuses("balls 0 and 1", "through", "slower"):
        simulate(start, [[30, 0, 0], [0, 0, 0]], 0.005, frames=25, **NOTHING)
    passes = [[-1, 0.1, 0], [1, 0, 0]]  # far enough beside each other
    assert np.isfinite(simulate(passes, [[30, 0, 0], [0, 0, 0]], 0.005, frames=25, **NOTHING).position).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"velocity": [[1e200, 0, 0]]}, ("velocity", "1e+12")),
        ({"position": [[0, 1e200, 0]]}, ("position", "1e+12")),
        ({"radius": 1e200}, ("radius",)),
        ({"walls": None}, ("walls", "None", "()")),
        ({"walls": 3}, ("walls", "3")),
    ],
)
def test_absurd_numbers_are_refused(change, words):
    with refuses(*words):
        simulate(**{"position": [[0, 1, 0]], "velocity": [[0, 0, 0]], "radius": 0.5, "frames": 3} | change)
