"""The denoiser: what it can never do wrong, and that it learns."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.denoiser import Denoiser, relative_squares
from vidgen_tf.quiet import keras, tf

DICE = np.random.default_rng(0)


def views(count: int, side: int = 12) -> tuple[np.ndarray, ...]:
    """Two walls of two colours, each in light of its own, with noise and without, and what the camera meets: (light, features, clean)."""
    features = np.zeros((count, side, side, 7), np.float32)
    cut = DICE.integers(3, side - 3, count)
    left = np.arange(side)[None, None, :, None] < cut[:, None, None, None]
    features[..., :3] = np.where(left, [0.8, 0.2, 0.2], [0.2, 0.2, 0.8])
    features[..., 3:6], features[..., 6] = np.where(left, [0, 0, 1], [1, 0, 0]), 0.2
    one, other = DICE.uniform(0.2, 2, (2, count, 1, 1, 1))
    clean = (features[..., :3] * np.where(left, one, other)).astype(np.float32)
    noise = DICE.exponential(1, (count, side, side, 1)).astype(np.float32)
    return clean * noise, features, clean


def test_the_light_is_a_weighted_mean_of_what_falls_on_the_neighbours():
    light, features, _ = views(2)
    denoiser = Denoiser(8, 1, 1, passes=1)
    falls = light / (features[..., :3] + 0.02)
    made = denoiser.clean(light, features).numpy() / (features[..., :3] + 0.02)
    wide = np.pad(falls, [[0, 0], [1, 1], [1, 1], [0, 0]], "edge")
    around = np.stack([wide[:, y : y + 12, x : x + 12] for y in range(3) for x in range(3)])
    np.testing.assert_allclose(made, around.mean(0), rtol=1e-5)  # nothing learned yet
    output = denoiser.chooser.layers[-1]
    output.set_weights([DICE.normal(0, 1, weights.shape) for weights in output.get_weights()])
    made = denoiser.clean(light, features).numpy() / (features[..., :3] + 0.02)
    assert np.abs(made - around.mean(0)).max() > 0.1
    assert (made <= around.max(0) * (1 + 1e-5)).all()
    assert (made >= around.min(0) * (1 - 1e-5)).all()


def test_a_second_pass_reaches_three_times_as_far():
    light, features = np.zeros((1, 33, 33, 3), np.float32), np.ones((1, 33, 33, 7), np.float32)
    light[0, 16, 16] = 1
    for passes, farthest in ((1, 2), (2, 8)):
        found = Denoiser(8, 1, 2, passes).clean(light, features).numpy()
        assert np.abs(np.argwhere(found[0, :, :, 0] > 0) - 16).max() == farthest
        np.testing.assert_allclose(found.sum(), light.sum(), rtol=1e-5)


def test_even_light_stays_as_it_is_and_edges_of_colour_stay_sharp():
    _, features, _ = views(3)
    clean = 1.4 * features[..., :3]
    np.testing.assert_allclose(Denoiser(8, 1, 2).clean(clean, features), clean, rtol=0.06)


def test_it_learns_to_take_noise_away():
    light, features, clean = views(8)
    denoiser = Denoiser(8, 2, 2)
    before = np.square(denoiser.clean(light, features) - clean).mean()
    denoiser.compile(keras.optimizers.Adam(1e-2), relative_squares)
    denoiser.fit(denoiser.pairs(light, features, clean, 4), steps_per_epoch=60, shuffle=False, verbose=0)
    fresh, features, clean = views(8)
    after = np.square(denoiser.clean(fresh, features) - clean).mean()
    assert after < 0.3 * np.square(fresh - clean).mean()
    assert after < before


def test_the_best_answer_to_noisy_light_is_its_mean():
    noisy = tf.constant(DICE.exponential(0.7, (5000, 1)), tf.float32)
    found = tf.Variable(tf.fill((5000, 1), float(noisy.numpy().mean())))
    with tf.GradientTape() as tape:
        loss = relative_squares(noisy, found)
    np.testing.assert_allclose(loss, ((found - noisy) / (found + 0.1)).numpy()[:, 0] ** 2, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, found).numpy().mean(), 0, atol=1e-5)


def test_it_comes_back_from_a_file_the_same(tmp_path):
    light, features, _ = views(1)
    denoiser = Denoiser(8, 1, 1, seed=3)
    denoiser.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.clean(light, features), denoiser.clean(light, features))


def test_bad_arguments_are_refused_in_one_sentence():
    light, features, _ = views(1)
    for make, words in (
        (lambda: Denoiser(width=0), ("width", "0")),
        (lambda: Denoiser(reach=-1), ("reach", "-1")),
        (lambda: Denoiser(passes=0), ("passes", "0")),
        (lambda: Denoiser().clean(light[0], features), ("(12, 12, 3)", "expected")),
        (lambda: Denoiser().clean(light, features[..., :3]), ("(1, 12, 12, 3)", "7")),
        (lambda: Denoiser().pairs(light, features, light, 0), ("batch_size", "0")),
    ):
        with refuses(*words):
            make()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_light_that_cannot_be_is_refused(wrong):
    light, features, _ = views(1)
    broken = light.copy()
    broken[0, 0, 0, 0] = wrong
    with refuses("light", "finite"):
        Denoiser().clean(broken, features)
    for given in ((broken, features, light), (light, features, broken)):
        with refuses("finite"):
            Denoiser().pairs(*given)


def test_pairs_that_do_not_fit_are_refused():
    light, features, _ = views(2)
    for given in ((light, features[:1], light), (light, features, light[:, :-1]), (light[:0], features[:0], light[:0])):
        with refuses("expected", "pictures"):
            Denoiser().pairs(*given)
    with refuses("features", "array of numbers"):
        Denoiser().pairs(light, None, light)


def test_a_loss_that_is_no_number_is_told():
    light, features, _ = views(2)
    denoiser = Denoiser(4, 1, 1)
    denoiser.compile("adam", relative_squares)
    with refuses("loss", "NaN", "smaller learning rate"):
        denoiser.fit(np.concatenate([light, features], axis=-1), np.nan * light, verbose=0)
