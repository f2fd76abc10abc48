"""Normalizing flows: each block against its inverse and its numerical Jacobian, densities against closed forms."""

import math

import numpy as np
import pytest
from conftest import noise, refuses, smooth

from vidgen_tf import metrics
from vidgen_tf.families.normalizing_flow import (
    ActNorm,
    AffineCoupling,
    Bijector,
    Flow,
    FlowGAN,
    Mixing,
    NormalizingFlow,
    Split,
    Squeeze,
)
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import draw_seed
from vidgen_tf.worlds.linear_gaussian import LinearGaussian

CLIP = (4, 6, 6, 3)


def clips(count: int = 8) -> np.ndarray:
    return np.stack([np.roll(smooth(*CLIP), index, axis=2) * (1 - index / count) for index in range(count)])


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def shaken(layer: keras.layers.Layer, deviation: float = 0.3, seed: int = 0) -> keras.layers.Layer:
    """The layer, each of its weights moved at random."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign_add(deviation * random.standard_normal(weight.shape).astype("float32"))
    return layer


def flow(**options) -> NormalizingFlow:
    return NormalizingFlow(CLIP, **{"levels": 2, "steps": 1, "width": 4} | options)


def flow_gan(**options) -> FlowGAN:
    return FlowGAN(CLIP, **{"levels": 2, "steps": 1, "width": 4} | options)


def ready(model, optimizer=None):
    model.compile(optimizer or keras.optimizers.Adam(1e-3), run_eagerly=True)
    return model


def weights_of(model) -> list[np.ndarray]:
    return [weight.numpy().copy() for weight in model.weights]


# ---------------------------------------------------------------------------------------------------- blocks

SHAPES = [(2, 2, 4, 2), (3, 2, 1, 3), (4, 3), (4,), (5,)]  # clips, a row, vectors; odd sides and channels too
BLOCKS = {
    "ActNorm": ActNorm,
    "Mixing": lambda shape: Mixing(shape, seed=3),
    "AffineCoupling": lambda shape: AffineCoupling(shape, width=6, seed=3),
    "Split": Split,
    "Squeeze": Squeeze,
    "Flow, one level": lambda shape: Flow(shape, levels=1, steps=2, width=6),
    "Flow, two levels": lambda shape: Flow(shape, levels=2, steps=1, width=6),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", BLOCKS)
def test_a_block_is_undone_and_its_log_det_is_that_of_its_jacobian(kind, shape):
    # A chain has many blocks, so each is moved less: the product of their matrices must stay one that float32 can undo.
    block, x = shaken(BLOCKS[kind](shape), 0.1 if "Flow" in kind else 0.3), tf.constant(normal(3, *shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, log_det = block.forward_and_log_det(x)
    assert y.shape == (3, *block.out_shape)
    again, back = block.inverse_and_log_det(y)
    np.testing.assert_allclose(again, x, atol=1e-4)
    np.testing.assert_allclose(back, -log_det, atol=1e-3)
    size = math.prod(shape)
    jacobian = np.reshape(tape.batch_jacobian(y, x), (3, size, size)).astype(np.float64)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-3)
    if kind != "Squeeze":
        assert np.abs(y - tf.reshape(x, y.shape)).max() > 0.1  # it does something
    if kind not in ("Squeeze", "ActNorm", "Mixing"):
        assert np.ptp(log_det) > 1e-3  # and that depends on the data


def test_what_is_derived_is_what_the_two_methods_say():
    block, x = shaken(AffineCoupling((4,), width=6)), normal(3, 4)
    y, log_det = block.forward_and_log_det(tf.constant(x))
    np.testing.assert_array_equal(block.forward(x), y)
    np.testing.assert_allclose(block.inverse(y), x, atol=1e-5)
    by_hand = -0.5 * np.square(y).sum(axis=1) - 2 * math.log(2 * math.pi) + log_det
    np.testing.assert_allclose(block.log_prob(x.astype(np.float64)), by_hand, rtol=1e-5)  # of another type too


def test_a_batch_of_another_size_or_of_unknown_size_works():
    model = shaken(Flow((2, 2, 4, 2), levels=2, steps=1, width=4))
    traced = tf.function(model.log_prob, input_signature=[tf.TensorSpec((None, None, 2, 4, 2))])
    for count in (1, 2, 5):
        x = normal(count, 2, 2, 4, 2)
        np.testing.assert_allclose(traced(x), model.log_prob(x), rtol=1e-5)


def test_act_norm_starts_with_mean_0_and_deviation_1_a_channel():
    for shape in ((4, 6, 6, 3), (3,)):
        x = normal(64, *shape) * np.float32([0.1, 2.0, 5.0]) + np.float32([3.0, -1.0, 0.0])
        block = ActNorm(shape)
        block.initialise(tf.constant(x))
        y = block.forward(x).numpy().reshape(-1, 3)
        # float32: a mean of 3 is known to 1e-6, thirty times more after division by a deviation of 0.1.
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-4)


def test_act_norm_takes_a_channel_that_never_changes():
    block = ActNorm((2,))
    block.initialise(tf.constant([[0.5, 1.0], [0.5, 2.0]]))
    y = block.forward(np.float32([[0.5, 1.0], [0.5, 2.0]]))
    np.testing.assert_allclose(y, [[0, -1], [0, 1]], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 7, 48])
def test_mixing_starts_as_a_rotation(channels):
    block = Mixing((2, 3, channels), seed=channels)
    matrix = block.forward(np.eye(channels, dtype="float32")[:, None, None] * np.ones((1, 2, 3, 1), "float32"))[:, 1, 2]
    np.testing.assert_allclose(matrix @ tf.transpose(matrix), np.eye(channels), atol=1e-5)
    assert abs(float(block.forward_and_log_det(tf.zeros((1, 2, 3, channels)))[1][0])) < 1e-4
    assert channels == 1 or np.abs(matrix - np.eye(channels)).max() > 0.1


def test_mixing_stretches_by_its_diagonal_alone():
    block = Mixing((3,))
    for weight in (block.lower, block.upper):
        weight.assign(normal(3, 3, seed=2))  # what lies on and beyond the diagonals is of no matter
    assert abs(float(block.forward_and_log_det(tf.zeros((1, 3)))[1][0])) < 1e-5
    block.log_diagonal.assign([0.5, 1.0, -0.25])
    assert float(block.forward_and_log_det(tf.zeros((1, 3)))[1][0]) == pytest.approx(1.25)


@pytest.mark.parametrize("shape", [(2, 4, 4, 5), (5,)])
@pytest.mark.parametrize("kind", [AffineCoupling, Split])
def test_a_coupling_changes_nothing_at_first_and_only_one_half_ever(kind, shape):
    block, x = kind(shape), normal(2, *shape)
    np.testing.assert_array_equal(block.forward(x), x)
    shaken(block)
    y = block.forward(x).numpy()
    np.testing.assert_array_equal(y[..., :3], x[..., :3])
    assert np.abs(y[..., 3:] - x[..., 3:]).min() > 0


def test_a_coupling_scales_by_no_more_than_its_bound():
    block = shaken(AffineCoupling((4,), width=6), 100)
    x = normal(64, 4) * 100
    y, log_det = block.forward_and_log_det(tf.constant(x))
    assert np.isfinite(y).all()
    assert np.abs(log_det).max() <= 2 * 2.0 + 1e-5


def test_networks_are_convolutions_over_all_places_or_dense():
    kinds = [[type(layer).__name__ for layer in AffineCoupling((*(4,) * n, 2), 3).network.layers] for n in range(4)]
    assert kinds == [[name] * 3 for name in ("Dense", "Conv1D", "Conv2D", "Conv3D")]
    layers = AffineCoupling((4, 4, 4, 2), 3).network.layers
    assert [layer.kernel_size for layer in layers] == [(3, 3, 3), (1, 1, 1), (3, 3, 3)]
    assert [layer.filters for layer in layers] == [3, 3, 2]


def test_a_split_makes_noise_of_a_gaussian_by_what_stays():
    block = Split((4,))
    (layer,) = block.network.layers
    kernel, bias = 0.1 * normal(2, 4, seed=1), np.float32([0.5, -0.5, 1.0, 2.0])
    layer.set_weights([kernel, bias])
    x = normal(3, 4)
    raw, mean = np.split(x[:, :2] @ kernel + bias, 2, axis=1)
    deviation = np.exp(2 * np.tanh(raw / 2))
    np.testing.assert_allclose(block.forward(x)[:, 2:], (x[:, 2:] - mean) / deviation, atol=1e-5)


def test_squeeze_makes_channels_of_neighbours_in_time_height_and_width():
    block = Squeeze((2, 4, 3, 1))
    assert block.out_shape == (1, 2, 3, 4)  # three columns stay as they are
    x = np.arange(24, dtype="float32").reshape(1, 2, 4, 3, 1)
    y = block.forward(x).numpy()
    np.testing.assert_array_equal(y[0, 0, 1, 2], [x[0, t, r, 2, 0] for t in (0, 1) for r in (2, 3)])
    assert Squeeze((1, 3, 5, 2)).out_shape == (1, 3, 5, 2)


def test_the_chain_is_that_of_glow():
    model = Flow((4, 8, 8, 3), levels=2, steps=2, width=4)
    step = ["ActNorm", "Mixing", "AffineCoupling"]
    names = [type(block).__name__ for block in model.blocks]
    assert names == ["Squeeze", *step, *step, "Split", "Squeeze", *step, *step, "ActNorm"]
    assert model.left_shapes == [(2, 4, 4, 12), (1, 2, 2, 96)]
    assert model.out_shape == (4 * 8 * 8 * 3,)


# --------------------------------------------------------------------------------------------------- densities


@pytest.mark.parametrize("shape", [(2,), (2, 1, 1, 1)])
def test_a_density_integrates_to_1(shape):
    model = shaken(Flow(shape, levels=1, steps=3, width=6), 0.3)
    side = np.linspace(-30, 30, 1501, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, *shape)
    mass = np.exp(model.log_prob(grid).numpy().astype(np.float64)).sum() * (side[1] - side[0]) ** 2
    assert mass == pytest.approx(1, abs=0.01)  # the grid is finite
    made = model.inverse(normal(20_000, 2)).numpy()
    assert np.abs(made).max() < 30
    inside = np.abs(grid.reshape(-1, 2)).max(axis=1) < 1  # as much of it lies about 0 as of what it makes
    mass = np.exp(model.log_prob(grid[inside]).numpy().astype(np.float64)).sum() * (side[1] - side[0]) ** 2
    assert mass == pytest.approx((np.abs(made.reshape(-1, 2)).max(axis=1) < 1).mean(), abs=0.03)  # the grid is coarse


def test_at_first_the_density_is_a_gaussian():
    model = flow(dequantise=False)
    by_hand = -0.5 * np.square(clips()).sum(axis=(1, 2, 3, 4)) - 0.5 * math.prod(CLIP) * math.log(2 * math.pi)
    np.testing.assert_allclose(model.log_prob(clips()), by_hand, rtol=1e-5)


def test_initialised_by_data_it_is_the_gaussian_of_their_means_and_deviations():
    mean, deviation = np.float32([0.5, -1.0]), np.float32([0.1, 2.0])
    data = mean + deviation * np.float32([[1, 1], [1, -1], [-1, 1], [-1, -1]])  # uncorrelated
    model = Flow((2,), levels=1, steps=2, width=4)
    assert int(model.initialised) == 0
    model.initialise(tf.constant(data))
    assert int(model.initialised) == 1
    x = normal(5, 2)
    by_hand = -0.5 * np.square((x - mean) / deviation).sum(axis=1) - np.log(deviation).sum() - math.log(2 * math.pi)
    np.testing.assert_allclose(model.log_prob(x), by_hand, rtol=1e-4)


def test_after_initialisation_every_act_norm_sees_mean_0_and_deviation_1():
    model = flow().flow
    for block in model.blocks:
        shaken(block, 0.0 if isinstance(block, ActNorm) else 0.1)
    x = tf.constant(normal(64, *CLIP) * 0.2 + 0.3)
    model.initialise(x)
    for block in model.blocks:
        x = block.forward(x)
        if isinstance(block, ActNorm):
            flat = x.numpy().reshape(-1, x.shape[-1])
            np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-4)
            np.testing.assert_allclose(flat.std(axis=0), 1, atol=1e-4)
        x = x[..., : block.stays] if isinstance(block, Split) else x


@pytest.mark.parametrize("dequantise", [False, True])
def test_bits_per_dimension_are_log_prob_in_other_units(dequantise):
    model = shaken(flow(dequantise=dequantise), 0.05)
    bits, log_prob = model.bits_per_dimension(clips()), model.log_prob(clips())
    np.testing.assert_allclose(bits, [-nats / (432 * math.log(2)) + math.log2(255 / 2) for nats in log_prob], rtol=1e-5)
    np.testing.assert_allclose(bits, metrics.bits_per_dimension(log_prob, model.values), rtol=1e-5)
    losses = model.losses_of(tf.constant(clips()), None, False)
    assert float(losses["loss"]) == pytest.approx(-log_prob.mean() / 432, rel=1e-5)
    assert float(losses["bits_per_dimension"]) == pytest.approx(bits.mean(), rel=1e-5)


def test_noise_that_spans_all_levels_costs_8_bits_and_never_less():
    shape = (2, 4, 4, 1)
    model = NormalizingFlow(shape, levels=1, steps=2, width=8)
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(noise(2048, *shape), epochs=4, batch_size=64, verbose=0)
    bits = model.bits_per_dimension(noise(512, *shape, seed=1))
    error = bits.std() / math.sqrt(len(bits))
    assert bits.mean() > 8 - 3 * error
    assert bits.mean() < 8.27  # a Gaussian of the same deviation costs 8.254


def test_on_a_world_of_known_likelihood_it_comes_near_and_never_below():
    world = LinearGaussian(frames=4, size=6, waves=1)
    train, test = world.sample(2048, 1).clips, world.sample(256, 2).clips
    exact = world.log_prob(test)
    model = NormalizingFlow(world.clip_shape, levels=1, steps=3, width=16, dequantise=False)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 192), global_clipnorm=1.0))
    lost = []
    for epochs in (1, 5):
        model.fit(train, epochs=epochs, batch_size=64, shuffle=False, verbose=0)  # in one order: the same each time
        lost.append(exact - model.log_prob(test))
        assert lost[-1].mean() > -3 * lost[-1].std() / math.sqrt(len(test))
    assert lost[1].mean() < 0.6 * lost[0].mean()  # 0.48 when it was measured
    assert lost[1].mean() < 0.1 * exact.mean()  # 0.063; with 40 s of training 0.02 of a larger world


# -------------------------------------------------------------------------------------------- dequantisation


def test_the_noise_is_as_wide_as_one_level_and_keyed():
    model, zero = flow(), tf.zeros((50, *CLIP))
    drawn = model.dequantised(zero, [1, 2]).numpy()
    assert 0.99 / 255 < np.abs(drawn).max() <= 1 / 255
    assert drawn.std() == pytest.approx(2 / 255 / math.sqrt(12), rel=0.02)
    np.testing.assert_array_equal(drawn, model.dequantised(zero, [1, 2]))
    assert np.abs(drawn - model.dequantised(zero, [1, 3])).max() > 0.5 / 255
    np.testing.assert_array_equal(flow(dequantise=False).dequantised(zero, [1, 2]), zero)


def test_each_step_draws_other_noise_and_a_measurement_always_the_same():
    model = ready(flow())
    x = tf.constant(clips())
    losses = []
    for step in (0, 1, 0):
        model.optimizer.iterations.assign(step)
        losses.append([float(model.losses_of(x, None, training)["loss"]) for training in (True, False)])
    assert losses[0] == losses[2]
    assert losses[0][0] != losses[1][0]
    assert losses[0][1] == losses[1][1]
    np.testing.assert_array_equal(model.log_prob(clips()), model.log_prob(clips()))


def test_every_batch_of_a_long_measurement_has_its_own_noise():
    model = flow()
    found = model.log_prob(np.repeat(clips(1), 130, axis=0))
    assert len(found) == 130
    assert len(np.unique(found)) > 100
    with_none = flow(dequantise=False).log_prob(np.repeat(clips(1), 130, axis=0))
    np.testing.assert_allclose(with_none, with_none[0], rtol=1e-5)
    np.testing.assert_allclose(found.mean(), with_none[0], rtol=1e-3)


# ---------------------------------------------------------------------------------------- encode, decode, generate

BOTH = pytest.mark.parametrize("build", [flow, flow_gan])


@BOTH
def test_clips_become_noise_and_the_same_clips_again(build):
    model = shaken(build(), 0.1)
    many = np.concatenate([clips()] * 9)  # more than go through at once
    encoded = model.encode(many)
    assert encoded.shape == (72, math.prod(CLIP))
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded[:8], encoded[64:], atol=1e-4)
    np.testing.assert_allclose(model.decode(encoded), many, atol=1e-4)


def test_a_trained_chain_is_undone_in_both_directions():
    data = np.clip(clips(64) + 0.05 * normal(64, *CLIP), -1, 1)
    model = ready(flow(steps=3, width=8))
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(data, epochs=30, batch_size=16, verbose=0)
    assert model.log_prob(data).mean() > flow().log_prob(data).mean() + 432  # it has learned a nat a value
    chain, drawn = model.flow, normal(64, 432)
    # The largest error of 27,648 values, without cutting off at -1 and 1; 1e-6 and 2e-5 when it was measured.
    assert np.abs(chain.inverse(chain.forward(data)) - data).max() < 1e-3
    assert np.abs(chain.forward(chain.inverse(drawn)) - drawn).max() < 1e-3


@BOTH
def test_generate_decodes_noise_times_the_temperature(build):
    model = shaken(build(), 0.05)
    drawn = tf.random.stateless_normal((3, math.prod(CLIP)), draw_seed(7)).numpy()
    for temperature in (1.0, 0.5, 0):
        made = model.generate(3, seed=7, temperature=temperature)
        np.testing.assert_allclose(made, model.decode(temperature * drawn), atol=1e-5)
    np.testing.assert_array_equal(model.generate(3, seed=7), model.generate(3, seed=7, temperature=1))


@BOTH
def test_a_higher_temperature_gives_more_variety_and_0_gives_one_clip(build):
    model = ready(build())
    model.fit(clips(), epochs=1, verbose=0)
    spread = [model.generate(32, seed=1, temperature=t).std(axis=0).mean() for t in (0, 0.3, 0.6, 1.0)]
    assert spread[0] < 1e-6
    assert spread == sorted(spread)
    assert spread[3] > 2 * spread[1]


@BOTH
@pytest.mark.parametrize("bad", [-0.1, "hot", None, float("nan"), float("inf"), True])
def test_bad_temperatures_are_refused(build, bad):
    with refuses("temperature", repr(bad)):
        build().generate(1, seed=0, temperature=bad)


# ------------------------------------------------------------------------------------------ initialisation by data


@BOTH
def test_the_first_fit_initialises_by_its_first_batch_and_no_later_one_does(build):
    data = clips()
    by_hand, model = build(), ready(build(), keras.optimizers.SGD(0.0))
    by_hand.flow.initialise(by_hand.dequantised(tf.constant(data[:4]), [-3, 0]))
    model.fit(data, batch_size=4, shuffle=False, verbose=0)
    for x in (data[::-1] * 0.5, tf.data.Dataset.from_tensors(data * 0.1)):
        model.fit(x, verbose=0)
    for one, other in zip(by_hand.flow.trainable_variables, model.flow.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)


@BOTH
def test_a_dataset_initialises_as_an_array_does(build):
    array, dataset = (ready(build(), keras.optimizers.SGD(0.0)) for _ in range(2))
    array.fit(clips(), batch_size=4, verbose=0)
    dataset.fit(tf.data.Dataset.from_tensor_slices(clips()).batch(4), verbose=0)
    for one, other in zip(array.flow.weights, dataset.flow.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore:Skipping variable")  # the optimizer of a model that never trained has none
@BOTH
def test_a_saved_model_remembers_whether_it_was_initialised(build, tmp_path):
    model = ready(build())
    for done in (0, 1):
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert int(again.flow.initialised) == done
        assert again.get_config() == model.get_config()
        before = weights_of(again.flow)
        again.before_fit(clips() * 0.5, 8)
        same = [np.array_equal(old, new) for old, new in zip(before, weights_of(again.flow), strict=True)]
        assert all(same) == bool(done)
        np.testing.assert_array_equal(model.log_prob(clips()) == again.log_prob(clips()), bool(done))
        model.fit(clips(), verbose=0)


@BOTH
def test_a_dataset_out_of_range_is_refused_before_anything_changes(build):
    model = ready(build())
    before = weights_of(model)
    with refuses("[-1, 1]"):
        model.fit(tf.data.Dataset.from_tensors(clips() * 2), verbose=0)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


# -------------------------------------------------------------------------------------------------------- Flow-GAN


def stepped(model, data: np.ndarray, rate: float = 0.1) -> list[np.ndarray]:
    """The flow's weights after one step of plain gradient descent."""
    ready(model, keras.optimizers.SGD(rate)).fit(data, batch_size=len(data), shuffle=False, verbose=0)
    return [weight.numpy() for weight in model.flow.trainable_variables]


def test_without_the_game_a_flow_gan_steps_as_likelihood_does():
    before = [weight.numpy() for weight in flow_gan().flow.trainable_variables]
    likelihood, gan = stepped(flow(), clips()), stepped(flow_gan(adversarial=0), clips())
    for old, one, other in zip(before, likelihood, gan, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
        assert one.shape == old.shape


def test_with_the_game_alone_likelihood_has_no_say(monkeypatch):
    plain = stepped(flow_gan(adversarial=1), clips())
    monkeypatch.setattr(FlowGAN, "nats", lambda self, clips, training: tf.constant(np.nan))
    for one, other in zip(plain, stepped(flow_gan(adversarial=1), clips()), strict=True):
        np.testing.assert_array_equal(one, other)
    with refuses("NaN", "learning rate"):
        stepped(flow_gan(adversarial=0.5), clips())


def test_between_them_both_are_paid_by_their_shares():
    model = ready(flow_gan(adversarial=0.25, penalty=0))
    pair = [tf.constant([1.0, -2.0]), tf.constant([0.5, 0.0])]
    game = np.log1p(np.exp(np.float32([0.5, -2.0]))).mean()  # of real - made
    paid = model.generator_pays([pair], [tf.zeros((2, 0))] * 2, {"nats": tf.constant(3.0)})
    assert float(paid) == pytest.approx(0.75 * 3.0 + 0.25 * game, rel=1e-5)
    losses = model.losses_of(tf.constant(clips()), None, False)
    opinions, _ = model.rate_both(clips(), model.make(model.noise(8, model.step_seed()), None, False), None, False)
    by_hand = 0.75 * float(losses["nats"]) + 0.25 * float(model.generator_loss(*opinions[0]))
    assert float(losses["loss"]) == pytest.approx(by_hand, rel=1e-4)
    assert float(losses["nats"]) == pytest.approx(-model.log_prob(clips()).mean() / model.values, rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 2, 1), (4, 6, 6, 3), (5, 9, 17, 3)])
def test_the_discriminator_gives_a_logit_for_each_clip_and_sees_all_of_it(shape):
    model = FlowGAN(shape, levels=1, steps=1, width=3)
    x = tf.constant(normal(2, *shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = model.discriminator(x)
    assert logits.shape == (2,)
    assert (np.abs(tape.gradient(logits, x)).max(axis=(0, 4)) > 0).mean() > 0.9  # leaky ReLU leaves no pixel out


def test_only_the_classic_loss_has_a_bias_at_the_last_layer():
    # The relativistic loss sees differences of logits, in which a bias would cancel.
    for loss, has_one in (("classic", True), ("relativistic", False)):
        *_, last, _ = flow_gan(loss=loss).discriminator.layers
        assert isinstance(last, keras.layers.Dense)
        assert last.use_bias is has_one


# ------------------------------------------------------------------------------------------- what became of it


@BOTH
def test_broken_weights_are_said_to_be_broken(build):
    model = build()
    model.flow.blocks[1].mean.assign([np.nan] * 24)
    for use in (model.log_prob, model.bits_per_dimension, model.encode):
        with refuses("NaN", "weights are broken", type(model).__name__):
            use(clips())


def test_a_rate_far_too_high_is_stopped():
    model = flow()
    model.compile(keras.optimizers.Adam(1e3))
    with refuses("Training stopped", "NaN", "weights are broken", "smaller learning rate"):
        model.fit(clips(), epochs=20, verbose=0)


# -------------------------------------------------------------------------------------------------- bad arguments


@BOTH
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"levels": 0}, "levels"), ({"levels": 1.5}, "levels"), ({"steps": 0}, "steps"), ({"steps": "4"}, "steps"),
        ({"width": 0}, "width"), ({"width": 10**6}, "a layer"), ({"width": None}, "width"), ({"dequantise": 1}, "dequantise"), ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(build, options, word):
    with refuses(word, repr(next(iter(options.values())))):
        build(**options)


def test_a_discriminator_too_wide_is_refused():
    with refuses("a layer", "fit"):
        flow_gan(width=10**4)


@pytest.mark.parametrize("bad", [-0.1, 1.1, "all", None, float("nan")])
def test_a_bad_share_of_the_game_is_refused(bad):
    with refuses("adversarial", str(bad)):
        flow_gan(adversarial=bad)


@BOTH
def test_bad_noise_and_bad_clips_are_refused(build):
    model = build()
    for bad in (np.zeros((2, 431)), np.zeros(432), np.zeros((0, 432)), np.full((1, 432), np.nan), clips()):
        with refuses("noise", "(count, 432)"):
            model.decode(bad)
    for use in (model.log_prob, model.bits_per_dimension, model.encode):
        for bad, word in (
            (clips() * 2, "[-1, 1]"),
            (clips()[:, 1:], "(4, 6, 6, 3)"),
            (clips().astype(float), "float32"),
        ):
            with refuses(word):
                use(bad)


def test_a_clip_that_cannot_be_halved_is_refused():
    with refuses("one channel", "(3, 5, 5, 1)", "fewer levels"):
        NormalizingFlow((3, 5, 5, 1))
    with refuses("one channel"):
        Flow((2,), levels=2, steps=1)


@pytest.mark.parametrize("bad", [(), 3, None, (2, 0), (2.5,), "12"])
def test_bad_shapes_are_refused(bad):
    for kind in (ActNorm, Mixing, AffineCoupling, Split, Squeeze, Flow):
        with refuses("shape"):
            kind(bad)


def test_what_does_not_fit_a_block_is_refused():
    block = Squeeze((4, 6, 2))
    for call, bad, expected in (
        (block.forward, np.zeros((1, 4, 5, 2)), "(batch, 4, 6, 2)"),
        (block.log_prob, np.zeros((4, 6, 2)), "(batch, 4, 6, 2)"),
        (block.inverse, np.zeros((1, 4, 6, 2)), "(batch, 2, 3, 8)"),
        (ActNorm((3,)).forward, np.zeros(3), "(batch, 3,)"),
    ):
        with refuses("got shape", expected):
            call(bad)


def test_a_block_must_say_how_it_works():
    base = Bijector((2,))
    with refuses("Bijector", "write forward_and_log_det", error=NotImplementedError):
        base.forward(np.zeros((1, 2)))
    with refuses("Bijector", "write inverse_and_log_det", error=NotImplementedError):
        base.inverse(np.zeros((1, 2)))
