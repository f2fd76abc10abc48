"""Warping against closed forms: shifts, turns, sizes, and slopes."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.layers import (
    Place,
    Warp,
    beside_in_time,
    bilinear,
    folded,
    joined,
    leaky,
    pooled,
    soft_argmax,
    spread,
    unfolded,
)
from vidgen_tf.metrics import warping_error
from vidgen_tf.quiet import keras, tf


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


# ------------------------------------------------------------------------------------------------------- warp


def flow(x, y, height: int = 6, width: int = 8) -> np.ndarray:
    """The same flow everywhere, in pixels: (1, height, width, 2)."""
    return np.broadcast_to(np.array([x, y], "float32"), (1, height, width, 2))


def test_a_flow_of_whole_pixels_rolls_the_inside_and_repeats_the_border():
    one = picture()
    found = Warp()(one, flow(2, -1)).numpy()[0]  # to the right, and up
    np.testing.assert_allclose(found[:-1, 2:], np.roll(one[0], (-1, 2), axis=(0, 1))[:-1, 2:], atol=1e-6)
    np.testing.assert_allclose(found[-1, 2:], one[0, -1, :-2], atol=1e-6)
    np.testing.assert_allclose(found[:-1, 0], one[0, 1:, 0], atol=1e-6)
    np.testing.assert_allclose(found[-1, 0], one[0, -1, 0], atol=1e-6)
    far = Warp()(one, flow(-99, 99)).numpy()[0]
    np.testing.assert_allclose(far, np.broadcast_to(one[0, 0, -1], far.shape), atol=1e-6)
    np.testing.assert_allclose(Warp()(one, flow(0, 0)), one, atol=1e-6)


def test_a_flow_of_half_pixels_is_the_mean_of_neighbours():
    one = picture()
    found = Warp()(one, flow(0.5, 0)).numpy()
    np.testing.assert_allclose(found[:, :, 1:], (one[:, :, 1:] + one[:, :, :-1]) / 2, atol=1e-6)
    np.testing.assert_allclose(found[:, :, 0], one[:, :, 0], atol=1e-6)
    found = Warp()(one, flow(0, -0.5)).numpy()
    np.testing.assert_allclose(found[:, :-1], (one[:, 1:] + one[:, :-1]) / 2, atol=1e-6)


def test_a_ramp_is_moved_exactly_by_a_flow_that_differs_from_place_to_place():
    y, x = np.mgrid[:6, :8].astype("float32")
    ramp = lambda x, y: (2 * x - 3 * y + 1)[None, ..., None]  # noqa: E731
    field = np.random.default_rng(1).uniform(-0.9, 0.9, (1, 6, 8, 2)).astype("float32")
    found = Warp()(ramp(x, y), field).numpy()
    wanted = ramp(np.clip(x - field[0, ..., 0], 0, 7), np.clip(y - field[0, ..., 1], 0, 5))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_slopes_of_a_warp_are_numerical_slopes():
    rng = np.random.default_rng(3)
    one, field = picture(4, 5), rng.uniform(0.1, 0.9, (1, 4, 5, 2)).astype("float32")
    field[0, 1, 1] = (-1.7, 5.5)  # beyond the border below: there the second number changes nothing
    weights = tf.constant(rng.normal(size=one.shape), tf.float32)
    total = lambda one, field: tf.reduce_sum(Warp()(one, field) * weights)  # noqa: E731
    inputs = [tf.constant(one), tf.constant(field)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = total(*inputs)
    slopes = tape.gradient(value, inputs)
    for number, one in enumerate(inputs):
        for index in np.ndindex(*one.shape):
            step = np.zeros(one.shape, "float32")
            step[index] = 1e-2
            up, down = list(inputs), list(inputs)
            up[number], down[number] = one + step, one - step
            assert abs((total(*up) - total(*down)) / 2e-2 - slopes[number][index]) < 5e-3, (number, index)
    assert slopes[1][0, 1, 1, 1] == 0


def test_a_clip_made_by_warping_has_no_warping_error():
    field = np.random.default_rng(2).normal(0, 2, (1, 3, 6, 8, 2)).astype("float32")
    frames = [np.tanh(picture(channels=3))]
    for t in range(3):
        frames.append(Warp()(frames[-1], field[:, t]).numpy())
    clips = np.clip(np.stack(frames, axis=1), -1, 1)
    assert warping_error(clips, field)[0] < 1e-6
    assert warping_error(clips, -field)[0] > 0.1


def test_a_flow_can_be_learned_from_two_frames():
    y, x = np.mgrid[:16, :16]
    blob = lambda left, top: np.exp(-((x - left) ** 2 + (y - top) ** 2) / 30).astype("float32")[None, ..., None]  # noqa: E731
    before, after, shift = blob(7, 7), blob(8.3, 6.2), tf.Variable([0.0, 0.0])
    for _ in range(100):
        with tf.GradientTape() as tape:
            moved = Warp()(before, tf.ones((1, 16, 16, 2)) * shift)
            error = tf.reduce_mean((moved - after) ** 2)
        shift.assign_sub(20.0 * tape.gradient(error, shift))
    np.testing.assert_allclose(shift, [1.3, -0.8], atol=0.03)


def test_a_warp_is_saved_with_a_model(tmp_path):
    pictures, field = keras.Input((6, 8, 2)), keras.Input((6, 8, 2))
    model = keras.Model([pictures, field], Warp()(pictures, field))
    assert model.output.shape == (None, 6, 8, 2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again([picture(), flow(1, 0.5)]), model([picture(), flow(1, 0.5)]))


@pytest.mark.parametrize(
    ("pictures", "field"),
    [
        ((4, 4, 2), (1, 4, 4, 2)),
        ((1, 4, 4, 2), (1, 4, 4, 3)),
        ((1, 4, 4, 2), (1, 4, 5, 2)),
        ((1, 4, 4, 2), (4, 4, 2)),
        ((2, 4, 4, 2), (1, 4, 4, 2)),
        ((2, 4, 4, 2), (3, 4, 4, 2)),
        ((2, 0, 4, 2), (2, 0, 4, 2)),
    ],
)
def test_pictures_and_flows_that_do_not_fit_are_refused(pictures, field):
    with refuses("expected", str(pictures), str(field)):
        Warp()(tf.zeros(pictures), tf.zeros(field))
    with refuses("expected"):
        Warp()(None, [1, 2])


# ------------------------------------------------------------------------------------------------ small blocks


def test_spread_values_have_the_deviation_asked_for_over_the_batch():
    values, inputs = np.random.default_rng(0).normal(3, 7, (64, 5, 2)).astype("float32"), keras.Input((5, 2))
    found = keras.Model(inputs, spread(inputs, [0.5, 2.0]))(values, training=True)
    np.testing.assert_allclose(found.numpy().std(axis=(0, 1)), [0.5, 2.0], rtol=1e-3)
    np.testing.assert_allclose(found.numpy().mean(axis=(0, 1)), 0, atol=1e-3)


def test_small_blocks_against_closed_forms():
    np.testing.assert_allclose(leaky(tf.constant([-2.0, 0.0, 3.0])), [-0.4, 0, 3], rtol=1e-6)
    one = picture()
    np.testing.assert_allclose(pooled(one), np.concatenate([one.max((1, 2)), one.mean((1, 2))], axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(joined([one, one]), np.concatenate([one, one], axis=-1))
    assert joined([one]) is one


def test_blocks_of_pixels_become_channels_and_come_back():
    clips = np.random.default_rng(0).normal(size=(2, 4, 6, 8, 3)).astype("float32")
    channels = folded(tf.constant(clips), (2, 3, 4)).numpy()
    assert channels.shape == (2, 2, 2, 2, 2 * 3 * 4 * 3)
    block = channels[1, 1, 0, 1].reshape(2, 3, 4, 3)  # frames 2 and 3, rows 0 to 2, columns 4 to 7
    np.testing.assert_array_equal(block, clips[1, 2:4, 0:3, 4:8])
    np.testing.assert_array_equal(unfolded(tf.constant(channels), (2, 3, 4)), clips)
    np.testing.assert_array_equal(folded(tf.constant(clips), (1, 1, 1)), clips)


def test_a_dense_layer_on_frames_beside_each_other_is_a_convolution_over_time():
    dice = np.random.default_rng(5)
    x, kernel = dice.normal(size=(2, 6, 3, 4, 5)).astype("float32"), dice.normal(size=(5, 1, 1, 5, 7)).astype("float32")
    wanted = keras.ops.conv(x, kernel, padding="same")
    np.testing.assert_allclose(beside_in_time(x, 2) @ kernel.reshape(25, 7), wanted, atol=1e-4)
