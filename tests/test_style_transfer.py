"""Style transfer: its mathematics against mathematics, that it learns, what it measures, and what it refuses."""

import numpy as np
import pytest
from conftest import noise, refuses, smooth

from vidgen_tf.metrics import warping_error
from vidgen_tf.quiet import keras, tf
from vidgen_tf.style_transfer import (
    AdaptiveInstanceNorm,
    PictureFeatures,
    StyleTransfer,
    content_loss,
    gram,
    statistics,
    style_loss,
    style_of,
    temporal_loss,
)
from vidgen_tf.styles import style_picture
from vidgen_tf.worlds.camera import MovingCamera

SHAPE = (2, 16, 16, 3)
WORLD = MovingCamera(("cat", "coffee"), frames=2, size=16)
NAMES = ("mosaic", "halftone", "woodcut", "galaxies")


@pytest.fixture(scope="module")
def features() -> PictureFeatures:
    model = PictureFeatures(len(NAMES), width=4, seed=1)
    model.compile(keras.optimizers.Adam(0.01))
    data = MovingCamera(NAMES, frames=1, size=24).dataset(16, 2, truth=model.truth)
    model.fit(data, steps_per_epoch=40, shuffle=False, verbose=0)
    return model


def small(known, **options) -> StyleTransfer:
    return StyleTransfer(
        **{"clip_shape": SHAPE, "features": known, "styles": NAMES[:2], "width": 8, "depth": 1} | options
    )


@pytest.fixture(scope="module")
def trained(features) -> StyleTransfer:
    model = small(features, seed=2, temporal=30.0)
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(WORLD.dataset(4, 3, truth=model.truth), steps_per_epoch=60, verbose=0)
    return model


# ----------------------------------------------------------------------------------------------- mathematics


def test_the_gram_matrix_of_a_constant_is_the_product_of_its_values():
    values = np.array([1.0, -2.0, 0.5], np.float32)
    found = gram(tf.constant(np.broadcast_to(values, (2, 4, 6, 3))))
    np.testing.assert_allclose(found, [np.outer(values, values)] * 2, atol=1e-6)


def test_the_gram_matrix_does_not_know_where_things_are():
    maps = np.random.default_rng(0).normal(size=(1, 5, 7, 4)).astype(np.float32)
    places = np.random.default_rng(1).permutation(maps.reshape(35, 4)).reshape(maps.shape)
    np.testing.assert_allclose(gram(tf.constant(maps)), gram(tf.constant(places)), atol=1e-6)
    flat = maps.reshape(35, 4)
    np.testing.assert_allclose(gram(tf.constant(maps))[0], flat.T @ flat / 35, atol=1e-6)


@pytest.mark.parametrize("styles", [1, 2, 6])  # six frames: of one clip, of two, each alone
def test_adaptive_instance_norm_has_exactly_the_mean_and_deviation_asked_for(styles):
    dice = np.random.default_rng(3)
    maps = dice.normal(3, 2, (6, 8, 10, 4)).astype(np.float32)
    means, deviations = dice.normal(0, 1, (styles, 4)), dice.uniform(0.5, 2, (styles, 4))
    found = AdaptiveInstanceNorm()(maps, means.astype(np.float32), deviations.astype(np.float32)).numpy()
    assert found.shape == maps.shape
    clips = found.reshape(styles, -1, 4)
    np.testing.assert_allclose(clips.mean(axis=1), means, atol=1e-4)
    np.testing.assert_allclose(clips.std(axis=1), deviations, atol=1e-4)


def test_frames_that_share_a_style_keep_their_differences_and_frames_alone_lose_them():
    maps = np.stack([smooth(1, 8, 8)[0], smooth(1, 8, 8)[0] + 0.5])  # the same frame, once brighter
    one, zero = np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32)
    shared = AdaptiveInstanceNorm()(maps, zero, one).numpy()
    alone = AdaptiveInstanceNorm()(maps, np.repeat(zero, 2, 0), np.repeat(one, 2, 0)).numpy()
    assert np.abs(shared[1] - shared[0]).min() > 0.1
    np.testing.assert_allclose(alone[0], alone[1], atol=1e-4)


def shifted(time: int = 4):
    """A clip that moves by whole pixels, one to the right and two up in a frame, its flow, and what is seen before."""
    wide = smooth(1, 40, 40)[0]
    clip = np.stack([wide[2 * t : 2 * t + 20, 10 - t : 30 - t] for t in range(time)])
    flow = np.broadcast_to(np.array([1, -2], np.float32), (1, time - 1, 20, 20, 2)).copy()
    seen = np.zeros((1, time - 1, 20, 20), bool)
    seen[:, :, :-2, 1:] = True
    return clip[None], flow, seen


def test_a_clip_that_moves_along_the_flow_has_no_temporal_loss():
    clip, flow, seen = shifted()
    assert float(temporal_loss(tf.constant(clip), flow, seen)) < 1e-10
    assert float(temporal_loss(tf.constant(clip), -flow, seen)) > 1e-3
    assert float(temporal_loss(tf.constant(clip), flow, ~seen)) > 1e-3  # what was hidden does not fit, and is left out
    assert float(temporal_loss(tf.constant(clip), flow, np.zeros_like(seen))) == 0


def test_the_temporal_loss_is_the_square_of_the_warping_error():
    clip, flow, seen = noise(1, 3, 16, 16, 3), np.random.default_rng(1).normal(0, 2, (1, 2, 16, 16, 2)), None
    seen = np.random.default_rng(2).random((1, 2, 16, 16)) < 0.7
    flow = flow.astype(np.float32)
    wanted = warping_error(clip, flow, seen)[0] ** 2
    assert float(temporal_loss(tf.constant(clip), flow, seen)) == pytest.approx(wanted, rel=1e-4)


def test_losses_are_zero_for_copies_and_content_does_not_hear_of_contrast(features):
    maps = features.maps(noise(2, 16, 16, 3))
    assert float(content_loss(maps, maps)) == 0
    assert float(content_loss([3 * layer + 1 for layer in maps], maps)) < 1e-3
    style = style_of(maps)
    assert float(style_loss(style, style)) == 0
    # twice the features: four times the Gram matrices; their negatives: other means, the same Gram matrices
    assert float(style_loss([(4 * one, mean) for one, mean in style], style)) == pytest.approx(9, rel=1e-3)
    shares = [(mean.numpy() ** 2).sum(-1) / np.trace(one.numpy(), axis1=1, axis2=2) for one, mean in style]
    wanted = 4 * np.mean(shares)
    assert float(style_loss(style_of([-layer for layer in maps]), style)) == pytest.approx(wanted, rel=1e-3)


def test_statistics_are_means_and_deviations():
    layers = [np.random.default_rng(n).normal(1, 2, (2, 8, 8, n)).astype(np.float32) for n in (3, 2)]
    found = statistics([tf.constant(layer) for layer in layers]).numpy()
    assert found.shape == (2, 10)
    np.testing.assert_allclose(found[:, :3], layers[0].mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(found[:, 8:], layers[1].std(axis=(1, 2)), atol=1e-4)


# ------------------------------------------------------------------------------------------------- features


def test_features_learn_to_tell_pictures_apart(features):
    data = MovingCamera(NAMES, frames=1, size=24).dataset(16, 99, truth=features.truth)
    found = features.evaluate(data, steps=4, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.6  # by chance 0.25


def test_features_have_four_layers_of_falling_size(features):
    shapes = [tuple(layer.shape) for layer in features.maps(noise(2, 32, 24, 3))]
    assert shapes == [(2, 32, 24, 4), (2, 16, 12, 8), (2, 8, 6, 12), (2, 4, 3, 16)]
    assert features.channels == (4, 8, 12, 16)


def test_style_distance_is_least_for_the_style_itself(features):
    parts = {name: np.repeat(style_picture(name, 64, seed=1)[None], 2, axis=0)[None] for name in NAMES}
    for name in NAMES:
        found = {other: features.style_distance(clip, style_picture(name, 64))[0] for other, clip in parts.items()}
        assert found.pop(name) < 0.5 * np.mean(list(found.values()))
    picture = style_picture("mosaic", 32)
    assert features.style_distance(picture[None, None], picture)[0] == pytest.approx(0, abs=1e-9)


def test_content_distance_knows_copies_from_other_clips(features):
    clips = WORLD.sample(2, 5).clips
    np.testing.assert_allclose(features.content_distance(clips, clips), 0, atol=1e-9)
    assert (features.content_distance(clips, noise(2, *SHAPE)) > 0.5).all()


def test_distances_refuse_what_does_not_fit(features):
    with refuses("picture", "(16, 16)"):
        features.style_distance(noise(1, *SHAPE), noise(16, 16))
    with refuses("source", "(2, 16, 20, 3)"):
        features.content_distance(noise(1, *SHAPE), noise(1, 2, 16, 20, 3))
    for bad in ({"pictures": 1}, {"width": 0}, {"seed": -1}):
        with refuses(next(iter(bad))):
            PictureFeatures(**bad)


# ---------------------------------------------------------------------------------------------------- model


def test_training_lowers_style_distance_and_leaves_the_features(features, trained):
    clips, fresh = WORLD.sample(3, 8).clips, small(features, seed=2)
    for name in trained.styles:
        picture = style_picture(name)
        now, before = (
            features.style_distance(model.stylize(clips, picture), picture).mean() for model in (trained, fresh)
        )
        assert now < 0.8 * before
    kept = [weight.numpy().copy() for weight in features.weights]
    model = small(features)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(WORLD.dataset(2, 1, truth=model.truth), steps_per_epoch=2, verbose=0)
    for weight, old in zip(features.weights, kept, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_losses_are_the_named_scalars_and_add_up(trained):
    sample = WORLD.sample(3, 4)
    truth = {name: tf.constant(sample.truth[name]) for name in trained.truth}
    for training in (False, True):
        losses = {
            name: float(value) for name, value in trained.losses_of(tf.constant(sample.clips), truth, training).items()
        }
        assert tuple(losses) == trained.loss_names
        weights = trained.get_config()
        total = sum(weights[name] * losses[name] for name in trained.loss_names[1:])
        assert losses["loss"] == pytest.approx(total, rel=1e-5)


def test_each_term_of_the_loss_is_what_its_name_says(features, trained):
    """Two clips, of which each has another style, against what they are painted like one by one."""
    sample = WORLD.sample(2, 4)
    truth = {name: tf.constant(sample.truth[name]) for name in trained.truth}
    losses = {name: float(value) for name, value in trained.losses_of(tf.constant(sample.clips), truth, False).items()}
    pictures = [style_picture(name) for name in trained.styles]
    made = np.concatenate([trained.stylize(sample.clips[n : n + 1], picture) for n, picture in enumerate(pictures)])
    assert losses["temporal"] == pytest.approx(float(temporal_loss(tf.constant(made), **truth)), rel=1e-4)
    reversed_flow = float(temporal_loss(tf.constant(made), -truth["flow"], truth["seen"]))
    assert losses["temporal"] != pytest.approx(reversed_flow, rel=0.01)
    assert losses["content"] == pytest.approx(features.content_distance(made, sample.clips).mean(), rel=1e-4)
    assert losses["content"] > 0.01
    away = [[features.style_distance(made[n : n + 1], picture)[0] for picture in pictures] for n in range(2)]
    assert losses["style"] == pytest.approx((away[0][0] + away[1][1]) / 2, rel=1e-4)
    assert losses["style"] != pytest.approx(np.mean(away), rel=0.01)  # each frame with every style


def test_it_learns_from_arrays_as_from_a_dataset(features):
    sample, model = WORLD.sample(4, 6), small(features)
    model.compile(keras.optimizers.Adam(1e-3))
    truth = {name: sample.truth[name] for name in model.truth}
    history = model.fit(sample.clips, truth, batch_size=2, epochs=2, verbose=0).history
    assert set(history) == set(model.loss_names)
    assert np.isfinite(model.evaluate(sample.clips, truth, batch_size=2, verbose=0)).all()


def test_the_same_clip_and_style_give_the_same_bits_and_another_style_others(trained):
    clips = WORLD.sample(2, 1).clips
    first, again = (trained.stylize(clips, style_picture("mosaic")) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.shape == clips.shape
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1
    assert np.abs(first - trained.stylize(clips, style_picture("halftone"))).max() > 0.01
    np.testing.assert_allclose(trained.stylize(clips[1:], style_picture("mosaic")), first[1:], atol=1e-5)


def test_frames_alone_are_those_of_a_clip_of_one_frame(trained):
    clips, picture = WORLD.sample(1, 1).clips, style_picture("mosaic")
    alone = trained.stylize(clips, picture, together=False)
    np.testing.assert_allclose(alone[:, :1], trained.stylize(clips[:, :1], picture), atol=1e-5)
    assert np.abs(alone - trained.stylize(clips, picture)).max() > 1e-5


def test_other_lengths_and_sizes_are_painted(trained):
    assert trained.stylize(noise(1, 5, 24, 32, 3), style_picture("mosaic", 48)).shape == (1, 5, 24, 32, 3)


def test_a_saved_model_paints_the_same(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    clips, picture = WORLD.sample(1, 1).clips, style_picture("mosaic")
    np.testing.assert_allclose(loaded.stylize(clips, picture), trained.stylize(clips, picture), atol=1e-6)
    assert loaded.get_config()["styles"] == trained.get_config()["styles"]


def test_the_weights_of_a_preset_are_those_of_the_painter(features, trained):
    other = small(features, seed=9)
    other.set_preset_weights([weight.numpy() for weight in trained.preset_weights])
    clips, picture = WORLD.sample(1, 1).clips, style_picture("mosaic")
    np.testing.assert_array_equal(other.stylize(clips, picture), trained.stylize(clips, picture))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clip_shape": (2, 18, 16, 3)}, "clip_shape"),
        ({"clip_shape": (2, 16, 16, 1)}, "3 channels"),
        ({"features": None}, "PictureFeatures"),
        ({"styles": ()}, "styles"),
        ({"styles": ("cubism",)}, "'cubism'"),
        ({"width": 6}, "multiple of 4"),
        ({"depth": -1}, "depth"),
        ({"temporal": -1.0}, "temporal"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_refused(features, options, words):
    with refuses(words):
        small(features, **options)


def test_bad_clips_and_pictures_are_refused(trained):
    good, picture = noise(1, *SHAPE), style_picture("mosaic", 32)
    for bad, words in (
        (noise(1, 2, 18, 16, 3), "4 divides"),
        (noise(1, 2, 16, 16, 1), "3 channels"),
        (good[0], "axes"),
    ):
        with refuses(words):
            trained.stylize(bad, picture)
    for bad, words in ((picture[:8], "(8, 32, 3)"), (picture[..., :1], "picture"), (2 * picture, "picture")):
        with refuses(words):
            trained.stylize(good, bad)
    with refuses("stylize"):
        trained.generate(1, seed=0)


def test_clips_without_flow_are_refused(features):
    model, sample = small(features), WORLD.sample(2, 1)
    model.compile(keras.optimizers.Adam(1e-3))
    truth = {name: sample.truth[name] for name in model.truth}
    bad = (None, np.zeros(2), {"flow": truth["flow"]}, truth | {"flow": truth["flow"][:1]})
    for condition in bad:
        with refuses("condition"):
            model.fit(sample.clips, condition, verbose=0)
    with refuses("truth=model.truth"):
        model.fit(WORLD.dataset(2, 1, truth=("flow",)), steps_per_epoch=1, verbose=0)
    with refuses("truth"):
        model.fit(WORLD.dataset(2, 1), steps_per_epoch=1, verbose=0)


def test_broken_weights_are_said_to_be_broken(features):
    model = small(features)
    for weight in model.painter.weights:
        weight.assign(tf.fill(weight.shape, np.nan))
    with refuses("StyleTransfer", "weights are broken"):
        model.stylize(noise(1, *SHAPE), style_picture("mosaic"))


@pytest.mark.parametrize("wrong", [None, 3, lambda: 0])
def test_styles_that_are_no_names_are_refused(wrong):
    with refuses("styles", "names"):
        StyleTransfer((2, 16, 16, 3), PictureFeatures(2, width=4), styles=wrong)


def test_features_must_be_there_and_not_their_class_alone():
    with refuses("features", "already trained"):
        StyleTransfer((2, 16, 16, 3), PictureFeatures)
    with refuses("style", "['strokes']"):
        style_picture(["strokes"])


def test_distances_of_what_are_no_clips_are_refused():
    features, clips = PictureFeatures(2, width=4), np.zeros((2, 2, 16, 16, 3), np.float32)
    picture = np.zeros((16, 16, 3), np.float32)
    for wrong, words in (
        (None, ["clips", "array"]),
        ([[1.0]], ["clips", "shape"]),
        (clips[:, :, :4], ["8 pixels"]),
        (clips[..., :1], ["3 channels"]),
    ):
        with refuses(*words):
            features.style_distance(wrong, picture)
        with refuses(*words):
            features.content_distance(wrong, clips)
    with refuses("source", "one for each of 2"):
        features.content_distance(clips, clips[:1])


def test_features_can_be_trained_after_data_that_were_refused():
    features, clips = PictureFeatures(2, width=4), np.zeros((2, 1, 16, 16, 3), np.float32)
    features.compile("adam")
    for x, y, words in (
        (clips, None, ["pairs", "picture"]),
        (clips, {"picture": np.array([0, 2])}, ["picture", "from 0 to 1"]),
        (clips, {"picture": np.array([0])}, ["picture", "(1,)"]),
        (tf.data.Dataset.from_tensors(clips), None, ["pairs", "picture"]),
    ):
        with refuses(*words):
            features.fit(x, y, verbose=0)
    features.fit(clips, {"picture": np.array([0, 1])}, verbose=0)
