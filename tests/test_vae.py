"""The video VAE's own mathematics: its two terms against closed forms, its bound against numerical integrals."""

import math

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.families.vae import FEATURES, FINEST, KEEP, SURE, VideoVAE
from vidgen_tf.quiet import keras, tf

TINY = (3, 4, 4, 1)


def small(**options) -> VideoVAE:
    return VideoVAE(**{"clip_shape": TINY, "latent_size": 2, "memory_size": 8, "width": 4} | options)


def clips_of(count: int, shape=TINY) -> np.ndarray:
    return np.stack([np.roll(smooth(*shape), index, axis=2) for index in range(count)])


def shaken(model: VideoVAE, size: float = 0.3) -> VideoVAE:
    """The model with other weights than those it starts with, so that nothing is zero by chance."""
    dice = np.random.default_rng(3)
    for weight in model.trainable_weights:
        if "noise" not in weight.path:
            weight.assign_add(dice.normal(0, size, weight.shape).astype("float32"))
    return model


def log_normal(x, mean, deviation):
    return -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * math.log(2 * math.pi)


# ------------------------------------------------------------------------------------------------- the terms


def test_the_reconstruction_is_the_negative_logarithm_of_the_gaussian():
    model, clips = small(noise=0.2), clips_of(3)
    decoded = 0.5 * clips
    expected = -log_normal(clips, decoded, 0.2).sum(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(model.surprise(tf.constant(clips), tf.constant(decoded)), expected, rtol=1e-5)


def test_the_kl_is_the_closed_form_and_the_mean_of_what_is_drawn():
    model, clips = shaken(small()), clips_of(1)
    seen = model.features(tf.constant(clips))
    many = tf.repeat(seen, 20_000, axis=0)
    # The first frame's kl does not depend on draws; so its mean log ratio is minus the kl.
    found = model.follow(tf.random.stateless_normal((20_000, 5, 2), (1, 2)), many)
    kl, ratio = found["kl"].numpy()[:, 0], found["log_ratio"].numpy()[:, 0]
    assert np.ptp(kl) < 1e-4
    assert kl[0] > 0.01
    assert -ratio.mean() == pytest.approx(kl[0], abs=float(5 * ratio.std() / math.sqrt(len(ratio))))
    # Closed form, by hand, from the networks' outputs.
    memory = np.repeat(model.first_memory.numpy(), 1, axis=0)
    split = lambda raw: np.split(raw.numpy().astype(float), 2, axis=-1)  # noqa: E731
    prior_mean, prior_raw = split(model.prior(memory))
    mean, raw = split(model.posterior(np.concatenate([memory, seen[:, 0]], axis=-1)))
    v, prior_v = np.exp(4 * np.tanh(raw / 4)), np.exp(4 * np.tanh(prior_raw / 4))
    by_hand = 0.5 * (np.log(prior_v / v) + (v + (mean - prior_mean) ** 2) / prior_v - 1).sum()
    assert kl[0] == pytest.approx(by_hand, rel=1e-4)


def test_the_loss_is_the_sum_of_its_terms_with_their_weights():
    clips = tf.constant(clips_of(4))
    models = {beta: shaken(small(beta=beta, noise=0.3)) for beta in (0.0, 1.0, 3.0)}
    for beta, model in models.items():
        losses = {name: float(value) for name, value in model.losses_of(clips, None, True).items()}
        assert losses["loss"] == pytest.approx(losses["reconstruction"] + beta * losses["kl"], rel=1e-5)
        losses = {name: float(value) for name, value in model.losses_of(clips, None, False).items()}
        assert losses["loss"] == pytest.approx(losses["reconstruction"] + losses["kl"], rel=1e-5)  # minus the bound
    assert float(models[0.0].losses_of(clips, None, True)["kl"]) > 0.05


def test_free_nats_cost_nothing_in_training_and_do_not_hide_the_bound():
    clips = tf.constant(clips_of(4))
    paid, free = (shaken(small(free_nats=nats, noise=0.3)) for nats in (0.0, 100.0))
    paid, held, freed = (
        {name: float(value) for name, value in losses.items()}
        for losses in (
            paid.losses_of(clips, None, False), free.losses_of(clips, None, False), free.losses_of(clips, None, True)
        )
    )  # fmt: skip
    assert held == paid  # evaluate says the bound
    assert freed["reconstruction"] != held["reconstruction"]  # another draw
    latents = 2 + 3  # of the scene and of the frames
    assert freed["loss"] == pytest.approx(freed["reconstruction"] + latents * 100.0, rel=1e-5)
    with tf.GradientTape() as tape:  # below the free nats the kl has no slope
        model = shaken(small(free_nats=100.0, noise=0.3))
        loss = model.losses_of(clips, None, True)
        rest = loss["loss"] - loss["reconstruction"]
    slopes = tape.gradient(rest, model.trainable_variables)
    assert all(slope is None or not np.any(slope) for slope in slopes)


def test_the_noise_is_learned_and_is_the_size_of_the_error():
    clips = np.random.default_rng(0).normal(0, 0.05, (8, *TINY)).astype("float32")
    model = small(beta=1000.0)  # nothing is told through the latents: what is left is the noise
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=10)
    model.fit(np.repeat(clips, 10, axis=0), batch_size=8, epochs=6, shuffle=False, verbose=0)
    assert float(model.noise) == pytest.approx(0.05, rel=0.2)
    flat = small()
    flat.variance.assign(0.0)
    assert float(flat.noise) == pytest.approx(FINEST)
    fixed = small(noise=0.7)
    assert float(fixed.noise) == pytest.approx(0.7)
    assert "variance" not in [weight.name for weight in fixed.weights]


def test_the_best_noise_is_the_likeliest():
    model, clips = shaken(small()), tf.constant(clips_of(4))
    decoded = 0.8 * clips + 0.05
    best = float(model._learn_noise(clips, decoded))
    costs = {noise: float(tf.reduce_sum(model.surprise(clips, decoded, tf.constant(noise)))) for noise in
             (0.9 * best, best, 1.1 * best)}  # fmt: skip
    assert min(costs, key=costs.get) == best
    assert float(model.noise) == pytest.approx(best)  # before the first step it is all that is known


def test_the_noise_that_is_kept_is_an_average_whose_first_terms_are_soon_forgotten():
    model, clips = small(), tf.constant(clips_of(4))
    model.compile()
    kept = None
    for step, share in ((0, 0.1), (1, 0.3), (2, 0.2), (1000, 0.9)):
        model.optimizer.iterations.assign(step)
        error = share**2 * float(tf.reduce_mean(tf.square(clips)))
        assert float(model._learn_noise(clips, (1 - share) * clips)) == pytest.approx(math.sqrt(error), rel=1e-5)
        keep = min(KEEP, step / (step + 3))
        kept = keep * kept + (1 - keep) * error if step else error
        assert float(model.variance) == pytest.approx(kept, rel=1e-5)
    assert keep == KEEP == 0.98


def test_training_reports_the_noise_of_the_batch_and_evaluate_the_average():
    model, clips = shaken(small()), tf.constant(clips_of(4))
    model.compile()
    model.optimizer.iterations.assign(5)
    for training in (True, False):
        losses = model.losses_of(clips, None, training)
        noise, values = float(losses["noise"]), 3 * 4 * 4
        # The likeliest noise makes the squared errors half a nat a value.
        at_best = values * (math.log(noise) + 0.5 * math.log(2 * math.pi) + 0.5)
        assert (float(losses["reconstruction"]) == pytest.approx(at_best, rel=1e-4)) is training
        assert (noise == pytest.approx(float(model.noise))) is not training


def test_the_encoder_starts_sure_and_the_prior_open():
    model = small(latent_size=40)
    seen = model.features(tf.constant(clips_of(3)))[:, 0]
    for network, given, start in (
        (model.posterior, tf.concat([tf.zeros((3, 8)), seen], axis=-1), SURE),
        (model.prior, tf.zeros((3, 8)), 0.0),
    ):
        for x in (given, 0 * given):
            mean, log_variance = model._moments(network(x))
            within = 0.2 if np.any(x) else 1e-6  # without input the last bias is all that is said
            assert np.mean(mean) == pytest.approx(0, abs=within)
            assert np.mean(log_variance) == pytest.approx(4 * math.tanh(start / 4), abs=within)
            assert np.std(mean) < 0.5


def test_a_rate_far_too_high_is_stopped():
    model = small()
    model.compile(keras.optimizers.Adam(1e3))
    with refuses("Training stopped", "NaN", "weights are broken", "smaller learning rate"):
        model.fit(clips_of(4), epochs=20, verbose=0)


# ------------------------------------------------------------------------------------------------- the bound


def integral(model: VideoVAE, clip: np.ndarray) -> float:
    """log p(clip) of a model with one frame and one latent number, by a sum over a fine grid of latents."""
    grid = np.linspace(-40, 40, 8001)
    memory = np.repeat(model.first_memory.numpy(), len(grid), axis=0)
    raw_mean, raw = np.split(model.prior(memory[:1]).numpy()[0].astype(float), 2)
    prior = log_normal(grid, raw_mean, np.exp(0.5 * 4 * np.tanh(raw / 4)))
    decoded = model.decode(grid[:, None, None].astype("float32"))
    likelihood = log_normal(clip[None], decoded.astype(float), float(model.noise)).sum(axis=(1, 2, 3, 4))
    return float(np.logaddexp.reduce(prior + likelihood) + np.log(grid[1] - grid[0]))


def test_the_bound_lies_below_the_likelihood_and_rises_to_it_with_more_samples():
    model = shaken(small(clip_shape=(1, 4, 4, 1), latent_size=1, noise=0.8, scene_latents=0), 0.1)
    model.posterior.layers[-1].bias.assign([0.0, 0.0])  # as wide as the prior: no sample weighs too much
    clips = clips_of(3, (1, 4, 4, 1))
    exact = np.array([integral(model, clip) for clip in clips])
    one, some = (
        model.bound(np.repeat(clips, count, axis=0), samples).reshape(3, count)
        for samples, count in ((1, 1024), (8, 256))
    )
    many = np.logaddexp.reduce(some, axis=1) - math.log(256)  # of 2,048 samples
    error = one.std(axis=1) / math.sqrt(1024)
    one, some = one.mean(axis=1), some.mean(axis=1)
    assert (one < exact + 3 * error).all()
    assert one.mean() < exact.mean() - 3 * np.linalg.norm(error) / 3  # of the mean over three clips
    assert some.mean() > one.mean()
    assert (some < exact + 0.02).all()
    np.testing.assert_allclose(many, exact, atol=0.05)


def test_minus_the_loss_is_the_bound():
    model, clips = shaken(small(noise=0.3), 0.1), clips_of(4)
    model.compile()
    losses = []
    for step in range(20):
        model.optimizer.iterations.assign(step)
        losses.append(float(model.losses_of(tf.constant(clips), None, True)["loss"]))
    bounds = [model.bound(clips, seed=seed).mean() for seed in range(20)]
    error = math.hypot(np.std(losses), np.std(bounds)) / math.sqrt(20)
    assert -np.mean(losses) == pytest.approx(np.mean(bounds), abs=5 * error)
    assert abs(bounds[0] + losses[0]) > 1e-3  # not the draws of a training step


def test_every_clip_of_a_long_measurement_has_its_own_draws():
    model, clips = shaken(small(noise=0.3)), np.repeat(clips_of(1), 130, axis=0)
    for samples in (1, 3):
        found = model.bound(clips, samples)
        assert found.shape == (130,)
        assert len(np.unique(found.round(4))) > 100
        assert np.abs(found[[64, 128]] - found[0]).min() > 1e-3  # the first ones of three batches
        np.testing.assert_array_equal(found, model.bound(clips, samples))
        assert np.abs(found - model.bound(clips, samples, seed=1)).max() > 1e-3


def test_the_weight_of_the_kl_rises_by_the_same_factor_in_each_step():
    model = small(beta=8.0, rise=3)
    model.compile()
    weights = []
    for step in range(5):
        model.optimizer.iterations.assign(step)
        weights.append(float(model.kl_weight()))
    np.testing.assert_allclose(weights, [1, 2, 4, 8, 8], rtol=1e-5)
    assert float(small(beta=8.0).kl_weight()) == 8
    with refuses("beta is 0", "rise"):
        small(beta=0.0, rise=3)


def test_where_the_latents_tell_nothing_the_bound_is_the_likelihood():
    model, clips = small(noise=0.3), clips_of(3)
    for network in (model.prior, model.posterior):
        for weight in network.weights:
            weight.assign(tf.zeros(weight.shape))  # both say: mean 0, deviation 1
    for weight in model.frame_decoder.weights:
        weight.assign(tf.zeros(weight.shape))  # the middle gray, whatever the latents
    exact = log_normal(clips, 0.0, 0.3).sum(axis=(1, 2, 3, 4))
    for samples in (1, 3):
        np.testing.assert_allclose(model.bound(clips, samples), exact, rtol=1e-5)


# ------------------------------------------------------------------------------------------- what it is used for


def test_encode_takes_the_means_and_decode_goes_the_way_of_generate():
    model, clips = shaken(small()), clips_of(70)  # more than a batch
    latents = model.encode(clips)
    assert latents.shape == (70, 3, 2)
    assert latents.dtype == np.float32
    found = model.follow(tf.zeros((70, 5, 2)), model.features(tf.constant(clips)))
    np.testing.assert_allclose(latents, found["latents"], atol=1e-5)
    np.testing.assert_allclose(model.decode(latents), model.frames_of(found["latents"]), atol=1e-5)
    assert model.decode(latents).shape == clips.shape
    with refuses("clips", "(count, 3 or fewer, 4, 4, 1)"):
        model.encode(clips[:, :, :3])
    for bad in (latents[0], latents[..., :1], np.zeros((1, 4, 2)), np.full((1, 3, 2), np.nan), latents[:0]):
        with refuses("latents", "(count, 3 or fewer, 2)"):
            model.decode(bad)


def test_a_frame_is_decoded_from_its_own_latent_and_the_prior_knows_those_before():
    model = shaken(small())
    latents = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    changed = latents.copy()
    changed[:, 1] += 1
    moved = np.abs(model.decode(latents) - model.decode(changed)).max(axis=(0, 2, 3, 4))
    assert moved[1] > 1e-3
    assert moved[[0, 2]].max() < 1e-6
    np.testing.assert_allclose(model.decode(latents[:, :2]), model.decode(latents)[:, :2], atol=1e-6)
    noise = np.zeros((1, 5, 2), np.float32)
    other = noise.copy()
    other[:, 0] = 1  # another scene: all latents follow it
    moved = np.abs(model.follow(tf.constant(noise))["latents"] - model.follow(tf.constant(other))["latents"])
    assert (moved.max(axis=(0, 2)) > 1e-4).all()


def test_a_step_that_decodes_some_frames_expects_the_whole_loss():
    clips = tf.constant(clips_of(4, (6, 4, 4, 1)))
    whole, part = (shaken(small(clip_shape=(6, 4, 4, 1), noise=0.3, decoded_frames=n)) for n in (None, 2))
    latents = whole.follow(tf.zeros((4, 8, 2)), whole.features(clips))["latents"]
    surprise = whole.surprise(clips, whole.frames_of(latents)).numpy()
    part.compile()
    looks = []
    for step in range(60):
        part.optimizer.iterations.assign(step)
        looks.append(part.looks().numpy())
    assert {tuple(look) for look in looks} == {(0, 3), (1, 4), (2, 5)}
    found = []
    for look in ((0, 3), (1, 4), (2, 5)):
        shown = tf.gather(clips, look, axis=1)
        found.append(3 * part.surprise(shown, part.frames_of(tf.gather(latents, look, axis=1))).numpy())
    np.testing.assert_allclose(np.mean(found, axis=0), surprise, rtol=1e-5)
    # The same of the loss itself, once each look has been taken; the draws do not matter here.
    rebuilt = []
    for model in (part, whole):
        model._normal = lambda count, time, seed: tf.random.stateless_normal((4, 8, 2), (1, 2))
    for look in ((0, 3), (1, 4), (2, 5)):
        part.optimizer.iterations.assign([tuple(each) for each in looks].index(look))
        rebuilt.append(float(part.losses_of(clips, None, True)["reconstruction"]))
    assert np.ptp(rebuilt) > 1
    assert np.mean(rebuilt) == pytest.approx(float(whole.losses_of(clips, None, True)["reconstruction"]), rel=1e-5)
    part.optimizer.iterations.assign(0)
    losses = part.losses_of(clips, None, False), whole.losses_of(clips, None, False)
    assert float(losses[0]["loss"]) == pytest.approx(float(losses[1]["loss"]), rel=1e-5)  # evaluate decodes all
    with refuses("decoded_frames", "6 frames"):
        small(clip_shape=(6, 4, 4, 1), decoded_frames=7)


@pytest.mark.parametrize("looks_ahead", [False, True])
def test_only_an_encoder_that_looks_ahead_sees_the_future(looks_ahead):
    model, clips = shaken(small(looks_ahead=looks_ahead)), clips_of(2)
    changed = clips.copy()
    changed[:, 2] *= -1
    moved = np.abs(model.encode(clips)[:, 0] - model.encode(changed)[:, 0]).max()
    assert moved > 1e-4 if looks_ahead else moved < 1e-6
    with refuses("looks_ahead"):
        small(looks_ahead=1)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_latent_is_that_of_its_own_frame(changed):
    model, clips = shaken(small(looks_ahead=False)), clips_of(2)
    others = clips.copy()
    others[:, changed] *= -1
    moved = np.abs(model.encode(clips) - model.encode(others)).max(axis=(0, 2))
    assert (moved[:changed] < 1e-6).all()
    assert moved[changed] > 1e-3


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_features_are_of_a_frame_and_of_those_from_it_on(changed):
    model, clips = shaken(small()), clips_of(2)
    others = clips.copy()
    others[:, changed] *= -1
    moved = np.abs(model.features(tf.constant(clips)) - model.features(tf.constant(others))).max(axis=0)
    own, ahead = moved[:, :FEATURES].max(axis=1), moved[:, FEATURES:].max(axis=1)
    assert (own > 1e-3).tolist() == [t == changed for t in range(3)]
    assert (ahead > 1e-3).tolist() == [t <= changed for t in range(3)]
    assert (ahead[changed + 1 :] == 0).all()


def test_a_continuation_keeps_what_was_given_and_differs_in_what_comes():
    model, clips = shaken(small()), clips_of(3)
    made = model.continuation(clips[:, :2], 50, seed=1)
    assert made.shape == (3, 50, *TINY)
    assert made.dtype == np.float32
    for future in range(50):
        np.testing.assert_array_equal(made[:, future, :2], clips[:, :2])
    assert made[:, :, 2].std(axis=1).mean() > 1e-3
    np.testing.assert_array_equal(made, model.continuation(clips[:, :2], 50, seed=1))
    assert np.abs(made - model.continuation(clips[:, :2], 50, seed=2)).max() > 1e-3
    assert np.abs(made[0, 0, 2] - made[1, 0, 2]).max() > 1e-3  # each goes on from its own beginning
    for bad, words in (
        (clips, ("3 frames", "fewer")),
        (clips[0], ("5 axes",)),
        (clips[:, :1, :2], ("(count, 3 or fewer, 4, 4, 1)",)),
    ):
        with refuses(*words):
            model.continuation(bad, seed=0)
    with refuses("futures"):
        model.continuation(clips[:, :1], 0, seed=0)
    with refuses("seed"):
        model.continuation(clips[:, :1], 1, seed=-1)


def test_a_walk_begins_and_ends_at_its_clips_as_the_model_knows_them():
    model, (one, other) = shaken(small()), clips_of(2)
    walk = model.interpolate(one, other, 5)
    known = model.decode(model.encode(np.stack([one, other])))
    np.testing.assert_allclose(walk[[0, -1]], known, atol=1e-5)
    middle = model.decode(0.5 * model.encode(one[None]) + 0.5 * model.encode(other[None]))
    np.testing.assert_allclose(walk[2], middle[0], atol=1e-5)
    with refuses("count"):
        model.interpolate(one, other, 1)
    with refuses("3 frames", "2"):
        model.interpolate(one, other[:2], 3)


def test_bad_arguments_are_refused():
    for name, values in {
        "latent_size": (0, 1.5), "memory_size": (0,), "width": (0, "a"), "beta": (-1, "a"), "free_nats": (-1,),
        "noise": (0, -1, "a"), "seed": (-1,), "rise": (-1, 0.5), "scene_latents": (-1,), "decoded_frames": (0, 4), "clip_shape": ((3, 4, 4, 2),),
    }.items():  # fmt: skip
        for value in values:
            with refuses(name):
                small(**{name: value})
    for options in ({"clip_shape": (10**6, 10**6, 8, 1)}, {"width": 10**6}, {"memory_size": 10**6}):
        with refuses("fit"):
            small(**options)
    with refuses("the clips", "fit"):
        small().interpolate(*clips_of(2), 10**9)
    model = small()
    for options in ({"samples": 0}, {"seed": -1}):
        with refuses(next(iter(options))):
            model.bound(clips_of(1), **options)
    with refuses("(3, 4, 4, 1)"):
        model.bound(clips_of(1)[:, :2])
