"""The dense frame generator: the network, the path and the search, each against its own mathematics."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import noise, refuses, smooth

from vidgen_tf.families.dense import DenseFrameGenerator, latent_path, smooth_codes
from vidgen_tf.quiet import keras, tf

CLIP = (6, 6, 8, 3)


def tiny(**options) -> DenseFrameGenerator:
    model = DenseFrameGenerator(CLIP, **({"latent_size": 5, "hidden": (12, 16)} | options))
    model.compile(keras.optimizers.Adam(0.01))
    return model


@pytest.fixture(scope="module")
def three() -> tuple[DenseFrameGenerator, np.ndarray]:
    """A model that has learned three clips, and the clips. Read it, do not change it."""
    clips = np.stack([smooth(*CLIP), -smooth(*CLIP), np.roll(smooth(*CLIP), 3, axis=2)])
    model = tiny(clip_count=3)
    data = tf.data.Dataset.from_tensors((clips, np.arange(3))).repeat()
    model.fit(data, steps_per_epoch=150, verbose=0)
    return model, clips


# ----------------------------------------------------------------------------------------------- the network


def test_the_network_is_the_one_written_out_by_hand():
    model = tiny(seed=4)
    codes = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    first, first_bias, second, second_bias, last, last_bias = (w.astype(float) for w in model.network.get_weights())

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    by_hand = np.tanh(leaky(leaky(codes @ first + first_bias) @ second + second_bias) @ last + last_bias)
    # float32 against float64 over at most 16 terms a sum.
    np.testing.assert_allclose(model.decode(codes), by_hand.reshape(7, *CLIP[1:]), atol=2e-6)


def test_the_network_of_the_lesson_has_the_parameters_of_the_closed_form():
    model = DenseFrameGenerator((2, 64, 64, 3))
    sizes = [100, 256, 512, 64 * 64 * 3]
    expected = sum(a * b + b for a, b in pairwise(sizes))
    assert model.network.count_params() == expected == 6_461_184
    assert model.count_params() == expected + 2 * 100  # and a code for each frame
    layers = [type(layer).__name__ for layer in model.network.layers]
    assert layers == ["Dense", "LeakyReLU", "Dense", "LeakyReLU", "Dense"]


def test_the_seed_makes_the_weights():
    one, same, other = tiny(seed=1), tiny(seed=1), tiny(seed=2)
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [w for w in range(len(one.get_weights())) if one.get_weights()[w].any()]  # biases start at 0
    assert all((one.get_weights()[w] != other.get_weights()[w]).any() for w in kernels)
    # Each layer draws its own numbers, of the spread of Glorot: ± √(6 / (inputs + outputs)).
    for kernel in one.network.get_weights()[::2]:
        bound = np.sqrt(6 / sum(kernel.shape))
        assert 0.8 * bound < np.abs(kernel).max() <= bound


def test_no_code_is_too_large_for_the_range():
    frames = tiny().decode(np.array([[1e6] * 5, [-1e6] * 5, [0] * 5], np.float32))
    assert np.isfinite(frames).all()
    assert np.abs(frames).max() <= 1


def test_decoding_a_batch_is_decoding_one_by_one():
    model = tiny()
    codes = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    frames = model.decode(codes)
    assert frames.shape == (2, 3, 4, *CLIP[1:])
    for index in np.ndindex(2, 3, 4):
        # Matrix products of other sizes add up in another order.
        np.testing.assert_allclose(frames[index], model.decode(codes[index]), atol=1e-6)


@pytest.mark.parametrize(
    "bad", [np.zeros(4), np.zeros((3, 6)), np.float32(0), np.full((2, 5), np.nan), np.full(5, np.inf)]
)
def test_bad_codes_are_refused(bad):
    with refuses("codes", "5)"):
        tiny().decode(bad)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("clips", 0), ("clips", 1.5), ("latent_size", 0), ("hidden", (0, 4)), ("hidden", 4), ("hidden", ()), ("seed", -1)],
)
def test_bad_arguments_are_refused(name, bad):
    with refuses(name):
        tiny(**{name: bad})


# -------------------------------------------------------------------------------------------------- the path


def hermite(keys: np.ndarray, count: int) -> np.ndarray:
    """The same spline in another form: cubic Hermite with central differences as slopes, one-sided at the ends."""
    slopes = np.gradient(keys, axis=0)
    time = np.linspace(0, len(keys) - 1, count)
    points = []
    for moment in time:
        i = min(int(moment), len(keys) - 2)
        u = moment - i
        points.append(
            (1 + 2 * u) * (1 - u) ** 2 * keys[i]
            + u * (1 - u) ** 2 * slopes[i]
            + u**2 * (3 - 2 * u) * keys[i + 1]
            + u**2 * (u - 1) * slopes[i + 1]
        )
    return np.array(points)


@pytest.mark.parametrize(("keys", "count"), [(2, 2), (2, 9), (3, 7), (5, 5), (6, 40), (9, 4)])
def test_the_path_is_a_catmull_rom_spline(keys, count):
    points = np.random.default_rng(keys).normal(size=(keys, 4))
    np.testing.assert_allclose(latent_path(points, count), hermite(points, count), atol=1e-12)  # rounding only


def test_the_path_goes_through_every_key():
    keys = np.random.default_rng(0).normal(size=(6, 3))
    path = latent_path(keys, 5 * 7 + 1)
    np.testing.assert_allclose(path[::7], keys, atol=1e-12)
    for ends in (latent_path(keys, 2), latent_path(keys, 11)):
        np.testing.assert_allclose(ends[[0, -1]], keys[[0, -1]], atol=1e-12)


def test_through_keys_on_a_line_the_path_is_the_line():
    start, step = np.random.default_rng(0).normal(size=(2, 4))
    keys = start + np.arange(5)[:, None] * step
    path = latent_path(keys, 33)
    np.testing.assert_allclose(path, start + np.linspace(0, 4, 33)[:, None] * step, atol=1e-12)


def test_the_path_has_no_corners():
    keys = np.random.default_rng(0).normal(size=(6, 3))
    fine = 1000
    slopes = np.diff(latent_path(keys, 5 * fine + 1), axis=0) * fine
    corners = np.abs(slopes[fine::fine] - slopes[fine - 1 : -1 : fine])
    # Second derivatives are at most some tens here: over a step of 1/1000 the slope changes by some hundredths.
    assert corners.max() < 0.05
    straight = np.concatenate([np.linspace(a, b, 100, endpoint=False) for a, b in pairwise(keys)])
    assert np.abs(np.diff(straight, 2, axis=0) * 100).max() > 1  # a path of straight lines fails the same test


def test_the_path_takes_batches_and_keeps_the_type():
    keys = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    path = latent_path(keys, 9)
    assert path.shape == (2, 3, 9, 5)
    assert path.dtype == np.float32
    np.testing.assert_array_equal(path[1, 2], latent_path(keys[1, 2], 9))
    np.testing.assert_allclose(latent_path([[0], [10]], 3), [[0], [5], [10]])  # whole numbers are numbers, too


def test_bad_paths_are_refused():
    for keys in (np.zeros((1, 3)), np.zeros(3), np.zeros((0, 3))):
        with refuses("keys", "two or more"):
            latent_path(keys, 5)
    for count in (1, 0, 2.5, True):
        with refuses("count", repr(count)):
            latent_path(np.zeros((2, 3)), count)


# -------------------------------------------------------------------------------------------------- the codes


def test_codes_start_as_neighbours_on_paths_of_their_own():
    codes = smooth_codes(5, 64, 50, seed=0)
    assert codes.shape == (5, 64, 50)
    assert codes.dtype == np.float32
    near = np.square(codes[:, 1:] - codes[:, :-1]).mean()
    far = np.square(codes[:, 20:] - codes[:, :-20]).mean()
    assert near < 0.1 * far
    assert np.square(codes[0] - codes[1]).mean() > 0.5  # another clip is elsewhere


def test_the_keys_of_the_codes_are_standard_normal():
    keys = smooth_codes(200, 2, 50, seed=0)  # two frames are two keys
    # 20,000 numbers: the mean strays by 0.007, the variance by 0.01; four times that.
    assert abs(keys.mean()) < 0.03
    assert abs(keys.var() - 1) < 0.04
    assert abs(np.mean(keys[:, 0] * keys[:, 1])) < 0.04
    assert smooth_codes(3, 1, 4, seed=0).shape == (3, 1, 4)


def test_the_codes_follow_their_seed():
    np.testing.assert_array_equal(smooth_codes(2, 9, 4, seed=1), smooth_codes(2, 9, 4, seed=1))
    assert (smooth_codes(2, 9, 4, seed=1) != smooth_codes(2, 9, 4, seed=2)).all()
    with refuses("seed"):
        smooth_codes(2, 9, 4, seed=-1)


# ----------------------------------------------------------------------------------------------------- losses


def test_the_loss_is_the_mean_squared_error_and_psnr_the_same_in_db(three):
    model, clips = three
    found = model.evaluate(clips, np.arange(3), batch_size=3, verbose=0, return_dict=True)
    error = np.square(model.decode(model.codes.numpy()).astype(float) - clips).mean()
    assert found["loss"] == pytest.approx(error, rel=1e-5)  # float32 sums
    assert found["psnr"] == pytest.approx(10 * np.log10(4 / found["loss"]), rel=1e-5)


def test_each_clip_is_learned_at_its_own_codes(three):
    model, clips = three
    learned = model.decode(model.codes.numpy())
    errors = np.square(learned[:, None] - clips[None]).mean(axis=(2, 3, 4, 5))  # (learned, real)
    np.testing.assert_array_equal(errors.argmin(axis=1), [0, 1, 2])
    assert np.diag(errors).max() < 0.1 * (errors + 9 * np.eye(3)).min()
    single = [model.evaluate(clips[[i]], np.array([i]), verbose=0, return_dict=True)["loss"] for i in range(3)]
    np.testing.assert_allclose(single, np.diag(errors), rtol=1e-4)


def test_the_order_in_a_batch_does_not_matter_but_the_numbers_do(three):
    model, clips = three
    there = model.evaluate(clips, np.arange(3), verbose=0, return_dict=True)["loss"]
    back = model.evaluate(clips[::-1].copy(), np.array([2, 1, 0]), verbose=0, return_dict=True)["loss"]
    wrong = model.evaluate(clips, np.array([1, 2, 0]), verbose=0, return_dict=True)["loss"]
    assert back == pytest.approx(there, rel=1e-5)
    assert wrong > 10 * there


def test_several_clips_need_their_numbers():
    clips = noise(2, *CLIP)
    with refuses("codes for 2", "condition"):
        tiny(clip_count=2).fit(clips, verbose=0)
    with refuses("codes for 1", "got 2", "condition"):
        tiny().fit(clips, verbose=0)
    with refuses("codes for 2"):
        tiny(clip_count=2).evaluate(clips[:1], verbose=0)
    model = tiny()
    before = model.get_weights()
    data = tf.data.Dataset.from_tensor_slices(clips)
    with refuses("codes for 1", "got 2"):
        model.fit(data.batch(2, drop_remainder=True), verbose=0)
    with refuses("numbers"):  # here the size is known only in the step
        model.fit(data.batch(2), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(clips[:1], verbose=0)
    model.fit(clips[:1], np.array([0]), verbose=0)


# ----------------------------------------------------------------------------------------------------- generate


def test_a_condition_uses_the_codes_of_that_clip_alone():
    model = tiny(clip_count=3)
    flat = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    model.codes.assign(np.repeat(flat[:, None], CLIP[0], axis=1))  # each clip has a single code
    made = model.generate(6, [0, 1, 2, 2, 1, 0], seed=1)
    for clip, number in zip(made, [0, 1, 2, 2, 1, 0], strict=True):
        # A path between equal keys stands still, up to float32 rounding.
        np.testing.assert_allclose(clip, np.repeat(model.decode(flat[number])[None], CLIP[0], axis=0), atol=1e-5)
    stills = [model.decode(code) for code in flat]
    free = model.generate(30, seed=1)[:, 0]
    nearest = [int(np.argmin([np.abs(clip - still).max() for still in stills])) for clip in free]
    assert set(nearest) == {0, 1, 2}  # without a condition all clips have their turn


def test_a_new_clip_is_a_path_through_learned_codes(three):
    model, _ = three
    codes = model.codes.numpy()[1]
    made = model.generate(5, np.ones(5, int), seed=3)
    frames = model.decode(codes)
    for clip in made:  # six frames have two keys: the first and the last frame are learned ones
        for end in (clip[0], clip[-1]):
            assert np.abs(frames - end).max(axis=(1, 2, 3)).min() < 1e-5


def test_a_clip_of_one_frame_works():
    model = DenseFrameGenerator((1, 4, 4, 1), latent_size=3, hidden=(4,))
    assert model.generate(3, seed=0).shape == (3, 1, 4, 4, 1)


# ------------------------------------------------------------------------------------------------------- encode


def test_encode_finds_codes_that_make_the_frames_again(three):
    model, _ = three
    before = model.get_weights()
    generator = np.random.default_rng(0)
    codes = model.codes.numpy()[0] + 0.3 * generator.normal(size=(CLIP[0], 5)).astype(np.float32)
    frames = model.decode(codes)
    found = model.encode(frames, steps=200)
    assert found.shape == codes.shape
    assert found.dtype == np.float32
    learned = model.decode(model.codes.numpy().reshape(-1, 5))
    start = np.square(frames[:, None] - learned[None]).mean(axis=(2, 3, 4)).min(axis=1)  # the nearest that is known
    error = np.square(model.decode(found) - frames).mean(axis=(1, 2, 3))
    # Codes of frames the network can make exist: the search comes near them (0.02 in pixels), frame by frame.
    assert error.max() < 4e-4
    assert error.mean() < 0.1 * start.mean()
    for old, new in zip(before, model.get_weights(), strict=True):  # the network and the memory stay as they were
        np.testing.assert_array_equal(old, new)


def test_encode_starts_at_the_most_similar_frame_and_steps_as_far_as_it_is_told(three):
    model, clips = three
    frames = clips[2, [4, 1]]
    learned = model.codes.numpy().reshape(-1, 5)
    nearest = np.square(frames[:, None] - model.decode(learned)[None]).mean(axis=(2, 3, 4)).argmin(axis=1)
    # The first step of Adam is as long as its learning rate, less where the gradient is near its epsilon of 1e-7.
    step = np.abs(model.encode(frames, steps=1, learning_rate=0.01) - learned[nearest])
    assert np.median(step) == pytest.approx(0.01, rel=0.1)
    assert step.max() < 0.0101


def test_encode_takes_each_frame_by_itself(three):
    model, clips = three
    together = model.encode(clips[0], steps=20)
    for index in (0, 3):
        # Adam divides by the size of the gradient, so rounding may grow; a hundredth of the way is far above it.
        np.testing.assert_allclose(together[index], model.encode(clips[0, index : index + 1], steps=20)[0], atol=0.01)


def test_bad_frames_and_steps_are_refused(three):
    model, clips = three
    for bad, word in (
        (clips, "4 axes"),
        (clips[0, 0], "4 axes"),
        (clips[0, :, :4], "(6, 4, 8, 3)"),
        (clips[0] * np.nan, "nan"),
        (clips[0] * 9, "[-1, 1]"),
        (clips[0, :0], "empty"),
    ):
        with refuses("frames", word):
            model.encode(bad)
    for steps in (0, -1, 2.5, True):
        with refuses("steps", repr(steps)):
            model.encode(clips[0], steps=steps)


def test_a_batch_with_too_few_conditions_is_refused():
    data = tf.data.Dataset.from_tensors((noise(2, *CLIP), np.array([0])))
    with refuses("one condition for each clip"):
        tiny(clip_count=2).fit(data, verbose=0)


def test_codes_start_with_a_key_every_four_frames():
    keys = tf.random.stateless_normal((1, 5, 3), [7, 0]).numpy()
    np.testing.assert_allclose(smooth_codes(1, 20, 3, 7), latent_path(keys, 20), atol=1e-6)


def test_a_path_has_a_key_every_eight_frames_at_moments_of_one_clip():
    time, count = 33, 20
    model = DenseFrameGenerator((time, 8, 8, 1), clip_count=2, latent_size=2, hidden=(4, 4))
    own = np.stack([np.stack([np.arange(time), np.full(time, clip)], -1) for clip in (0, 1000)])  # says clip and moment
    model.codes.assign(own.astype(np.float32))
    paths = model.paths(count, seed=3)
    assert set(paths[:, 0, 1]) == {0, 1000}
    on_key = np.abs(paths[..., 0] - np.rint(paths[..., 0])) < 1e-3
    assert on_key[:, [0, -1]].all()  # four keys: at frames 0, 32/3, 64/3 and 32
    drawn = paths[:, [0, -1], 0]
    assert len(np.unique(drawn)) > 10
    np.testing.assert_allclose(
        paths[0],
        latent_path(model.codes.numpy()[int(paths[0, 0, 1] > 0), _moments_of(3, count, 4, time)[0]], time),
        atol=1e-3,
    )
    np.testing.assert_allclose(model.decode(paths), model.generate(count, seed=3), atol=1e-6)


def _moments_of(seed, count, keys, time):
    return tf.random.stateless_uniform((count, keys), [seed, 1], 0, time, tf.int32).numpy()
