"""The VQ-VAE: nearest codes by brute force, slopes that go straight through, a codebook that follows and does not collapse."""

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.quiet import keras, tf
from vidgen_tf.tokenizer import DEAD, KEEP, NEWBORN, VQVAE
from vidgen_tf.worlds.bouncer import Bouncer

SHAPE = (4, 6, 9, 1)


def small(**options) -> VQVAE:
    return VQVAE(**{"clip_shape": SHAPE, "patch": 3, "codes": 5, "code_size": 3, "width": 6} | options)


def clips_of(count: int, shape=SHAPE) -> np.ndarray:
    return np.stack([np.roll(smooth(*shape), index, axis=2) * (-1) ** index for index in range(count)])


# ------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize(("block", "patch", "grid"), [(1, 3, (4, 2, 3)), (2, 1, (2, 6, 9)), (4, 3, (1, 2, 3))])
def test_clips_become_a_grid_of_tokens_and_come_back(block, patch, grid):
    model, clips = small(block=block, patch=patch), clips_of(3)
    tokens = model.encode(clips)
    assert (model.grid, tokens.shape, tokens.dtype) == (grid, (3, *grid), np.int32)
    assert tokens.min() >= 0
    assert tokens.max() < 5
    back = model.decode(tokens)
    assert (back.shape, back.dtype) == (clips.shape, np.float32)
    assert np.abs(back).max() <= 1
    longer = np.concatenate([clips, clips], axis=1)
    np.testing.assert_array_equal(model.encode(longer), np.concatenate([tokens, tokens], axis=1))
    np.testing.assert_allclose(model.decode(tokens[:, :1]), back[:, :block], atol=1e-5)


@pytest.mark.parametrize("side", [12, 30])
@pytest.mark.parametrize("patch", [1, 2, 3, 6])
def test_any_patch_that_divides_the_sides_will_do(side, patch):
    model = VQVAE((1, side, side, 3), patch=patch, width=4, codes=4)
    assert model.grid == (1, side // patch, side // patch)
    assert model.decode(model.encode(clips_of(1, (1, side, side, 3)))).shape == (1, 1, side, side, 3)


def test_a_token_is_the_number_of_the_nearest_code():
    model = small(codes=7)
    features = model.features_of(tf.constant(clips_of(3))).numpy()
    distance = np.square(features[..., None, :] - model.codebook.numpy()).sum(axis=-1)
    np.testing.assert_array_equal(model.encode(clips_of(3)), distance.argmin(axis=-1))
    assert len(np.unique(distance.argmin(axis=-1))) > 1
    assert np.median(np.square(features).mean(axis=-1)) == pytest.approx(1, abs=0.01)  # their scale is known
    np.testing.assert_array_equal(model.nearest(model.codebook), np.arange(7))


def test_the_tokens_of_a_block_depend_on_its_frames_alone():
    model, clips = small(block=2, codes=64), clips_of(1)
    before = model.features_of(tf.constant(clips)).numpy()
    for t in range(4):
        changed = clips.copy()
        changed[:, t] = -changed[:, t]
        moved = np.abs(model.features_of(tf.constant(changed)).numpy() - before).max(axis=(0, 2, 3, 4)) > 0
        assert moved.tolist() == [t // 2 == 0, t // 2 == 1]
    tokens = model.encode(clips)
    other = tokens.copy()
    other[:, 0] = (other[:, 0] + 1) % 64
    assert (np.abs(model.decode(other) - model.decode(tokens)).max(axis=(0, 2, 3, 4)) > 0).tolist() == [True] * 2 + [
        False
    ] * 2


# ------------------------------------------------------------------------------------------------ the losses


def test_the_losses_are_what_they_say():
    model, clips = small(commitment=0.5), clips_of(3)
    losses = {name: float(value) for name, value in model.losses_of(tf.constant(clips), None, False).items()}
    features, tokens = model.features_of(tf.constant(clips)).numpy(), model.encode(clips)
    codes = model.codebook.numpy()[tokens]
    assert losses["reconstruction"] == pytest.approx(
        np.square(model.clips_of(tf.constant(codes)) - clips).mean(), rel=1e-4
    )
    assert losses["commitment"] == pytest.approx(np.square(features - codes).mean(), rel=1e-4)
    assert losses["loss"] == pytest.approx(losses["reconstruction"] + 0.5 * losses["commitment"], rel=1e-5)
    share = np.bincount(tokens.ravel(), minlength=5) / tokens.size
    share = share[share > 0]
    assert losses["perplexity"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-4)


def test_the_slope_goes_straight_through_the_codes():
    model, clips = small(commitment=0.0), tf.constant(clips_of(2))
    codes = tf.gather(tf.constant(model.codebook.numpy()), model.encode(clips.numpy()))
    with tf.GradientTape() as tape:  # what the decoder says of the codes
        tape.watch(codes)
        loss = tf.reduce_mean(tf.square(model.clips_of(codes) - clips))
    slope = tape.gradient(loss, codes)
    with tf.GradientTape() as tape:  # arrives at the features
        arrives = tf.reduce_sum(model.features_of(clips) * slope)
    expected = tape.gradient(arrives, model.encoder.trainable_weights)
    with tf.GradientTape() as tape:
        loss = model.costs(clips)[0]["loss"]
    found = tape.gradient(loss, model.encoder.trainable_weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
    assert any(np.abs(one).max() > 1e-4 for one in found)


def test_the_codebook_is_moved_by_averages_alone():
    model = small()
    assert all(weight is not model.codebook for weight in model.trainable_weights)
    before = model.codebook.numpy()
    model.losses_of(tf.constant(clips_of(2)), None, False)
    np.testing.assert_array_equal(before, model.codebook)
    model.losses_of(tf.constant(clips_of(2)), None, True)
    assert not np.array_equal(before, model.codebook)


# ---------------------------------------------------------------------------------------------- the codebook


def test_a_code_becomes_the_moving_average_of_the_features_that_choose_it():
    model = small(codes=3)
    model.codebook.assign([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    model.usage.assign([1.0, 1.5, 0.5])
    features = np.float32([[2, 0, 0], [1, 1, 0], [0, 3, 0], [0, 0, 1]])
    tokens = np.array([0, 0, 1, 2])
    codebook, usage = model.renewed(tf.constant(features), tf.constant(tokens), tf.constant([0.5] * 4))
    share = 3 * np.array([0.5, 0.25, 0.25])  # 1 in the mean
    np.testing.assert_allclose(usage, KEEP * np.array([1, 1.5, 0.5]) + (1 - KEEP) * share, rtol=1e-5)
    sums = KEEP * np.array([1, 1.5, 0.5])[:, None] * np.eye(3)
    sums += (1 - KEEP) * 3 / 4 * np.array([[3, 1, 0], [0, 3, 0], [0, 0, 1]])
    np.testing.assert_allclose(codebook, sums / usage.numpy()[:, None], rtol=1e-5)
    for _ in range(600):  # in the end their mean, and their shares
        codebook, usage = model.renewed(tf.constant(features), tf.constant(tokens), tf.constant([0.5] * 4))
        model.codebook.assign(codebook)
        model.usage.assign(usage)
    np.testing.assert_allclose(codebook, [[1.5, 0.5, 0], [0, 3, 0], [0, 0, 1]], atol=1e-3)
    np.testing.assert_allclose(usage, share, atol=1e-3)


def test_dead_codes_start_anew_where_codes_are_missing():
    model = small(codes=4)
    model.codebook.assign([[1.0, 0, 0], [9, 9, 9], [0, 1, 0], [8, 8, 8]])
    model.usage.assign([1.0, 0.0, 1.0, DEAD])
    features = np.float32([[1, 0, 0]] * 6 + [[1, 0, 2], [0, 1, 3]])  # two of which are far from their codes
    dice = tf.random.stateless_uniform((8,), (0, 1))
    codebook, usage = model.renewed(tf.constant(features), tf.constant([0] * 7 + [2]), dice)
    assert sorted(map(tuple, codebook.numpy()[[1, 3]])) == [(0, 1, 3), (1, 0, 2)]
    np.testing.assert_allclose(usage.numpy()[[1, 3]], NEWBORN)
    drawn = []  # the second has 9 / 13 of all squared distances
    model.usage.assign([1.0, 0.0, 1.0, 1.0])
    for step in range(300):
        dice = tf.random.stateless_uniform((8,), (step, 2))
        codebook, _ = model.renewed(tf.constant(features), tf.constant([0] * 7 + [2]), dice)
        drawn.append(codebook.numpy()[1].tolist())
    assert all(each in ([1, 0, 2], [0, 1, 3]) for each in drawn)
    assert np.mean([each == [0, 1, 3] for each in drawn]) == pytest.approx(9 / 13, abs=4 * 0.027)


def test_more_codes_than_features_is_no_harm():
    model = small(codes=300)
    losses = model.losses_of(tf.constant(clips_of(1)), None, True)
    assert np.isfinite(float(losses["loss"]))
    assert np.isfinite(model.codebook).all()


def test_the_codebook_does_not_collapse_and_tells_all_places_of_a_ball_apart():
    world = Bouncer()
    model = VQVAE(world.clip_shape, width=32)
    model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=20)
    history = model.fit(world.sample(320, 1).clips, batch_size=8, epochs=9, verbose=0).history
    assert history["perplexity"][-1] > 20
    every = world.render(np.array([[(column, row)] * 16 for column in range(7) for row in range(7)]))[:, :1]
    tokens = model.encode(every)
    assert len(np.unique(tokens.reshape(49, -1), axis=0)) == 49
    assert history["reconstruction"][-1] < 0.4 * np.square(every - every.mean(axis=0)).mean()


# ------------------------------------------------------------------------------------------- Keras and files


def test_it_trains_saves_and_comes_back_the_same(tmp_path):
    model, clips = small(), clips_of(4)
    model.compile(keras.optimizers.Adam(1e-3))
    history = model.fit(clips, batch_size=2, epochs=3, verbose=0, validation_data=(clips,)).history
    assert set(history) == {*model.loss_names, *(f"val_{name}" for name in model.loss_names)}
    assert float(model.trained) == 6
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is VQVAE
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.encode(clips), model.encode(clips))
    np.testing.assert_array_equal(again.decode(again.encode(clips)), model.decode(model.encode(clips)))


def test_a_preset_holds_its_weights_and_makes_it_trained():
    model, clips = small(), clips_of(4)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(clips, verbose=0)
    weights = [weight.numpy() for weight in model.preset_weights]
    again = small(seed=1)
    again.set_preset_weights(weights)
    np.testing.assert_array_equal(again.encode(clips), model.encode(clips))
    assert float(again.trained) > 0
    assert float(small().trained) == 0


def test_the_seed_decides_on_the_first_weights():
    first, again, other = (small(seed=seed) for seed in (0, 0, 1))
    for one, same, new in zip(first.weights, again.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.any(one) or not np.array_equal(one, new)


# -------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clip_shape": (4, 6, 6)}, ("clip_shape",)), ({"block": 3}, ("block is 3", "4")),
        ({"patch": 4}, ("patch is 4", "6 × 9")), ({"patch": 0}, ("patch",)), ({"codes": 1}, ("codes",)),
        ({"code_size": 1}, ("code_size",)), ({"width": 0}, ("width",)), ({"depth": -1}, ("depth",)),
        ({"commitment": -1}, ("commitment",)), ({"seed": 0.5}, ("seed",)), ({"codes": 10**9}, ("codebook",)),
        ({"width": 10**6}, ("a layer",)),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(options, words):
    with refuses(*words):
        small(**options)


def test_bad_clips_and_tokens_are_refused():
    model, clips = small(block=2), clips_of(2)
    for bad, word in (
        (clips[:, :3], "time that 2 divides"),
        (clips[:, :, :3], "(count, time, 6, 9, 1)"),
        (2 * clips, "[-1, 1]"),
    ):
        with refuses(word):
            model.encode(bad)
    tokens = model.encode(clips)
    for bad in (tokens - 5, tokens + 5, tokens.astype(float), tokens[0], tokens[:, :, :1], tokens[:0], tokens > 0):
        with refuses("tokens", "below 5"):
            model.decode(bad)
    with refuses("no clips of its own"):
        model.generate(1, seed=0)
    model.compile()
    with refuses("[-1, 1]"):
        model.fit(2 * clips, verbose=0)
    with refuses("(batch, 4, 6, 9, 1)"):
        model.fit(clips[:, :2], verbose=0)


def test_broken_weights_are_said_to_be_broken():
    model, clips = small(), clips_of(2)
    tokens = model.encode(clips)
    for weight in model.weights:
        weight.assign(tf.fill(weight.shape, np.nan))
    for use in (lambda: model.encode(clips), lambda: model.decode(tokens)):
        with refuses("VQVAE", "weights are broken"):
            use()


def test_the_constants_fit_together():
    steps = np.log(DEAD / NEWBORN) / np.log(KEEP)  # until a newborn code that nobody chooses is dead
    assert 30 < steps < 200


def test_dead_codes_take_features_in_proportion_to_their_error():
    model = small(codes=2)
    model.codebook.assign(np.array([[0, 0, 0], [50, 50, 50]], np.float32))
    model.usage.assign([1.0, 0.0])  # the second code is dead and takes one feature
    lengths = np.array([1.0, 2.0, 3.0])
    features = np.zeros((3, 3), np.float32)
    features[:, 0] = lengths
    taken, dice = np.zeros(3), np.random.default_rng(0)
    for _ in range(600):
        codebook, _ = model.renewed(features, np.zeros(3, np.int32), dice.random(3).astype(np.float32))
        taken[np.abs(lengths - np.asarray(codebook)[1, 0]).argmin()] += 1
    np.testing.assert_allclose(taken / 600, lengths**2 / np.sum(lengths**2), atol=0.06)


def test_each_step_throws_other_dice(monkeypatch):
    model, seen = small(), []
    renewed = model.renewed
    monkeypatch.setattr(model, "renewed", lambda *given: seen.append(given[2].numpy()) or renewed(*given))
    model.compile(run_eagerly=True)
    model.fit(clips_of(2), epochs=2, batch_size=2, shuffle=False, verbose=0)
    assert len(seen) == 2
    assert not np.array_equal(*seen)
