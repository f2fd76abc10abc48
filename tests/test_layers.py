"""Warping against closed forms: shifts, turns, sizes, and slopes."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.layers import Place, bilinear, soft_argmax
from vidgen_tf.quiet import tf


def picture(height: int = 6, width: int = 8, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, height, width, channels)).astype("float32")


def at(values: np.ndarray, *points) -> np.ndarray:
    return bilinear(tf.constant(values), tf.constant([points], tf.float32)).numpy()[0]


def place(sheet: np.ndarray, *poses) -> np.ndarray:
    return Place()(tf.constant(sheet), tf.constant([poses], tf.float32)).numpy()[0]


def test_at_pixels_a_picture_has_its_own_values_and_between_them_the_mean():
    one = picture()
    np.testing.assert_array_equal(at(one, (3, 2), (7, 5), (0, 0)), one[0, [2, 5, 0], [3, 7, 0]])
    np.testing.assert_allclose(at(one, (3.5, 2))[0], (one[0, 2, 3] + one[0, 2, 4]) / 2, rtol=1e-6)
    np.testing.assert_allclose(at(one, (3, 2.5))[0], (one[0, 2, 3] + one[0, 3, 3]) / 2, rtol=1e-6)


def test_a_linear_picture_is_reproduced_everywhere():
    y, x = np.mgrid[:6, :8].astype("float32")
    points = np.random.default_rng(1).uniform((0, 0), (7, 5), (50, 2))
    found = at((2 * x - 3 * y + 1)[None, ..., None], *points)[:, 0]
    np.testing.assert_allclose(found, 2 * points[:, 0] - 3 * points[:, 1] + 1, atol=1e-5)


def test_beyond_the_border_a_picture_fades_to_nothing():
    ones = np.ones((1, 4, 4, 1), "float32")
    found = at(ones, (-0.5, 1), (-1, 1), (-9, 1), (3.25, 1), (4, 1), (99, 99), (1, -0.25))[:, 0]
    np.testing.assert_allclose(found, [0.5, 0, 0, 0.75, 0, 0, 0.75])


def test_the_slopes_are_numerical_slopes():
    one, points = tf.constant(picture()), tf.constant([[[2.3, 1.6], [6.8, 4.2], [-0.4, 2.5]]])
    weights = tf.constant(np.random.default_rng(2).normal(size=(1, 3, 2)), tf.float32)
    total = lambda one, points: tf.reduce_sum(bilinear(one, points) * weights)  # noqa: E731
    with tf.GradientTape() as tape:
        tape.watch([one, points])
        value = total(one, points)
    slopes = tape.gradient(value, [one, points])
    for number, inputs in enumerate((one, points)):
        for index in np.ndindex(*inputs.shape):
            step = np.zeros(inputs.shape, "float32")
            step[index] = 1e-2
            up, down = ([one, points], [one, points])
            up[number], down[number] = inputs + step, inputs - step
            assert abs((total(*up) - total(*down)) / 2e-2 - slopes[number][index]) < 2e-3


def test_the_pose_of_nothing_leaves_a_sheet_as_it_is():
    np.testing.assert_allclose(place(picture(), (0, 0, 0, 0))[0], picture()[0], atol=1e-6)


@pytest.mark.parametrize(("pose", "shift"), [((0.25, 0, 0, 0), (0, 1)), ((0, -0.5, 0, 0), (-2, 0))])
def test_a_sheet_is_moved_by_whole_pixels(pose, shift):
    sheet = np.zeros((1, 6, 8, 1), "float32")
    sheet[0, 2:4, 3:5] = [[[1], [2]], [[3], [4]]]  # half of the longer side is 4 pixels
    np.testing.assert_allclose(place(sheet, pose)[0], np.roll(sheet[0], shift, axis=(0, 1)), atol=1e-6)


def test_a_sheet_is_turned_clockwise_on_the_screen():
    sheet = picture(7, 7)
    np.testing.assert_allclose(place(sheet, (0, 0, 0, np.pi / 2))[0], np.rot90(sheet[0], -1), atol=1e-5)


def test_a_sheet_of_half_the_size_covers_a_quarter():
    found = place(np.ones((1, 32, 32, 1), "float32"), (0, 0, np.log(0.5), 0), (0, 0, 0, 0))
    assert found.shape == (2, 32, 32, 1)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)) / 1024, [0.25, 1], atol=0.01)


def test_a_pose_can_be_learned_from_a_picture():
    y, x = np.mgrid[:16, :16]
    sheet = np.exp(-((x - 7.5) ** 2 + (y - 7.5) ** 2) / 18).astype("float32")[None, ..., None]
    target, pose = place(sheet, (0.3, -0.2, 0, 0)), tf.Variable([[[0.0, 0.0, 0.0, 0.0]]])
    for _ in range(200):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean((Place()(tf.constant(sheet), pose) - target[None]) ** 2)
        pose.assign_sub(2.0 * tape.gradient(error, pose))
    np.testing.assert_allclose(pose[0, 0, :2], [0.3, -0.2], atol=0.01)


def test_a_point_that_is_no_number_has_a_value_that_is_none():
    values = bilinear(tf.ones((1, 3, 3, 2)), tf.constant([[[1.0, np.nan], [1.0, 1.0]]]))
    np.testing.assert_array_equal(values, [[[np.nan, np.nan], [1, 1]]])


@pytest.mark.parametrize(
    ("sheets", "poses"), [((4, 4, 2), (1, 3, 4)), ((1, 4, 4, 2), (3, 4)), ((1, 4, 4, 2), (1, 3, 3))]
)
def test_other_numbers_of_axes_are_refused(sheets, poses):
    with refuses("expected", str(sheets)):
        Place()(tf.zeros(sheets), tf.zeros(poses))
    with refuses("expected", str(sheets)):
        bilinear(tf.zeros(sheets), tf.zeros((*poses[:-1], 3)))


# ------------------------------------------------------------------------------------------------- soft argmax


def test_soft_argmax_finds_a_spike_wherever_it_is():
    maps = np.zeros((2, 5, 9, 3), "float32")
    maps[0, 1, 8, 0] = maps[0, 4, 0, 1] = maps[1, 0, 2, 2] = 20  # (row, column) of a channel
    found = soft_argmax(tf.constant(maps)).numpy().reshape(2, 3, 2)  # (batch, channels, xy)
    np.testing.assert_allclose(found[0, 0], [1, -0.5], atol=1e-5)
    np.testing.assert_allclose(found[0, 1], [-1, 1], atol=1e-5)
    np.testing.assert_allclose(found[1, 2], [-0.5, -1], atol=1e-5)
    np.testing.assert_allclose(found[1, 0], [0, 0], atol=1e-5)  # an empty channel: the middle


def test_soft_argmax_is_the_mean_place_under_a_softmax():
    maps = picture(height=3, width=4, channels=2)
    for channel in (0, 1):
        shares = np.exp(4 * maps[0, ..., channel])
        shares /= shares.sum()
        x, y = shares.sum(0) @ np.linspace(-1, 1, 4), shares.sum(1) @ np.linspace(-1, 1, 3)
        np.testing.assert_allclose(soft_argmax(maps)[0, 2 * channel : 2 * channel + 2], [x, y], atol=1e-5)


def test_soft_argmax_has_a_slope_to_follow():
    maps = tf.Variable(picture())
    with tf.GradientTape() as tape:
        right = soft_argmax(maps)[0, 0]
    slope = tape.gradient(right, maps)[0, ..., 0].numpy()
    assert (slope[:, 7] > 0).all()  # more of it at the right border moves the place to the right
    assert (slope[:, 0] < 0).all()
