"""The autoencoder of clips: a few frames at a time, latents of known scale, and what it refuses."""

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.autoencoder import Autoencoder
from vidgen_tf.quiet import keras, tf

SHAPE = (3, 16, 8, 3)


def small(**options) -> Autoencoder:
    return Autoencoder(**{"clip_shape": SHAPE, "block": 1, "patch": 8, "latent_channels": 4, "width": 8} | options)


def clips_of(count: int) -> np.ndarray:
    return np.stack([np.roll(smooth(*SHAPE), 3 * index, axis=1) * (-1) ** index for index in range(count)])


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    model = small()
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(np.repeat(clips_of(8), 2, axis=0), epochs=60, batch_size=8, verbose=0)
    return model


def test_latents_have_the_shape_that_is_promised(trained):
    assert trained.latent_shape == (3, 2, 1, 4)
    latents = trained.encode(clips_of(5))
    assert latents.shape == (5, 3, 2, 1, 4)
    assert latents.dtype == np.float32
    assert trained.decode(latents).shape == (5, *SHAPE)


def test_it_learns_to_give_clips_back(trained):
    clips = clips_of(8)
    fresh = small()
    error = [np.mean((model.decode(model.encode(clips)) - clips) ** 2) for model in (fresh, trained)]
    assert error[1] < 0.1 * error[0]
    # Better than the mean of all values of a channel: it says something of each clip.
    assert error[1] < 0.2 * clips.var(axis=(0, 1, 2, 3)).mean()


def test_over_all_clips_latents_have_mean_zero_and_variance_one(trained):
    latents = trained.encode(clips_of(8)).reshape(-1, 4)
    # The statistics are moving averages of batches in training, so they are near the last ones, not equal.
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=0.3)
    np.testing.assert_allclose(latents.std(axis=0), 1, atol=0.3)


def test_each_frame_has_its_own_latents(trained):
    clips = clips_of(1)
    other = clips.copy()
    other[:, 1] *= -1
    first, second = trained.encode(clips), trained.encode(other)
    np.testing.assert_allclose(first[:, [0, 2]], second[:, [0, 2]], atol=1e-5)
    assert np.abs(first[:, 1] - second[:, 1]).max() > 0.1
    latents = first.copy()
    latents[:, 1] += 1
    made, moved = trained.decode(first), trained.decode(latents)
    np.testing.assert_allclose(made[:, [0, 2]], moved[:, [0, 2]], atol=1e-5)
    assert np.abs(made[:, 1] - moved[:, 1]).max() > 0.01


def test_the_loss_is_the_mean_squared_error_and_training_adds_noise():
    model, clips = small(noise=0.0), clips_of(4)
    model.compile(run_eagerly=True)
    pictures = clips.reshape(-1, 16, 8, 3)
    by_hand = np.mean((model.decoder(model.encoder(pictures)).numpy() - pictures) ** 2)
    assert model.evaluate(clips, verbose=0) == pytest.approx(by_hand, rel=1e-5)
    quiet = float(model.compute_loss(x=tf.constant(clips), training=True))
    loud = small(noise=1.0)
    loud.compile(run_eagerly=True)
    assert float(loud.compute_loss(x=tf.constant(clips), training=True)) > 1.05 * quiet


def test_frames_that_are_folded_together_have_latents_of_their_own():
    model, clips = small(clip_shape=(6, 16, 8, 3), block=2, patch=4), clips_of(2)
    clips = np.concatenate([clips, -0.5 * clips], axis=1)
    assert model.latent_shape == (3, 4, 2, 4)
    latents = model.encode(clips)
    other = clips.copy()
    other[:, 2] *= -1  # the first of the second pair
    differ = np.abs(model.encode(other) - latents).max(axis=(0, 2, 3, 4))
    assert (differ > 1e-3).tolist() == [False, True, False]
    # A network's picture holds the frames of a pair as channels, one frame after the other.
    pictures = clips.reshape(2, 3, 2, 16, 8, 3).transpose(0, 1, 3, 4, 2, 5).reshape(6, 16, 8, 6)
    np.testing.assert_allclose(model.encoder(pictures), latents.reshape(6, 4, 2, 4), atol=1e-6)
    made = model.clips_of(latents).numpy()
    by_hand = model.decoder(latents.reshape(6, 4, 2, 4)).numpy().reshape(2, 3, 16, 8, 2, 3)
    np.testing.assert_allclose(made, by_hand.transpose(0, 1, 4, 2, 3, 5).reshape(2, 6, 16, 8, 3), atol=1e-6)


def test_training_looks_at_a_few_frames_of_each_clip():
    model = small(clip_shape=(6, 16, 8, 3), block=2, noise=0.0)
    clips = np.concatenate([clips_of(2), -0.5 * clips_of(2)], axis=1)
    found = model.cost(clips, np.zeros((2, 1, 2, 1, 4), np.float32), np.array([0.999, 0.0], np.float32))
    chosen = np.stack([clips[0, 4:], clips[1, :2]])
    latents = model.latents_of(chosen, training=True)
    assert float(found) == pytest.approx(np.mean((model.clips_of(latents).numpy() - chosen) ** 2), rel=1e-5)


def test_many_clips_go_through_in_parts(trained):
    clips = np.repeat(clips_of(1), 70, axis=0)
    latents = trained.encode(clips)
    assert latents.shape[0] == 70
    np.testing.assert_allclose(latents[0], latents[-1], atol=1e-5)
    assert trained.decode(latents).shape[0] == 70


def test_what_does_not_fit_is_refused(trained):
    for wrong in ({"clip_shape": (3, 12, 8, 3)}, {"block": 2}):
        with refuses("a height and a width in 8s"):
            small(**wrong)
    for name in ("block", "patch", "latent_channels", "width", "depth", "seed"):
        with refuses(name, "-1"):
            small(**{name: -1})
    with refuses("noise", "-0.1"):
        small(noise=-0.1)
    with refuses("clip"):
        trained.encode(clips_of(1)[:, :2])
    with refuses("latents", "(1, 3, 2, 2, 4)"):
        trained.decode(np.zeros((1, 3, 2, 2, 4)))
    with refuses("latents", "finite"):
        trained.decode(np.full((1, 3, 2, 1, 4), np.nan))
    with refuses("latents"):
        trained.decode(np.array([["a"]]))


def test_the_seed_decides_on_the_weights():
    first, again, other = (small(seed=seed).preset_weights for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_it_comes_back_from_a_file_and_from_its_preset_weights(trained, tmp_path):
    clips = clips_of(3)
    trained.save(tmp_path / "autoencoder.keras")
    again = keras.models.load_model(tmp_path / "autoencoder.keras")
    assert again.get_config() == trained.get_config()
    assert again.encode(clips).tobytes() == trained.encode(clips).tobytes()
    new = small(seed=5)
    new.set_preset_weights([weight.numpy() for weight in trained.preset_weights])
    assert new.encode(clips).tobytes() == trained.encode(clips).tobytes()
    assert new.decode(new.encode(clips)).tobytes() == trained.decode(trained.encode(clips)).tobytes()


def test_data_that_do_not_fit_and_broken_weights_are_said_to_be_so():
    model = small()
    model.compile()
    for wrong, word in (
        (np.full((2, *SHAPE), np.nan, np.float32), "NaN"),
        (clips_of(2) * 200, "expected"),
        (clips_of(2)[:, :2], "shape"),
    ):
        with refuses(word):
            model.fit(wrong, verbose=0)
    model.fit(clips_of(2), verbose=0)  # and it is still in order
    with refuses("no clips of its own"):
        model.generate(1, seed=0)
    model.decoder.weights[0].assign(np.full(model.decoder.weights[0].shape, np.nan))
    with refuses("broken"):
        model.decode(model.encode(clips_of(1)))
    model.encoder.weights[0].assign(np.full(model.encoder.weights[0].shape, np.nan))
    with refuses("broken"):
        model.encode(clips_of(1))


def test_each_step_draws_other_noise_and_other_frames():
    model = small(noise=1.0)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    clips = np.repeat(clips_of(1), 8, axis=0)
    first = model.fit(clips[:4], epochs=2, batch_size=4, shuffle=False, verbose=0).history["loss"]
    assert first[0] != first[1]  # nothing was learned at a rate of 0
