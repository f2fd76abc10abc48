"""The judge: it reads held-out clips, and the distances in its features put controls in the order that is known."""

import json

import numpy as np
import pytest
from conftest import noise, refuses
from scipy.ndimage import gaussian_filter

import vidgen_tf as vg
from vidgen_tf import metrics, presets
from vidgen_tf.judge import Judge
from vidgen_tf.quiet import keras, tf
from vidgen_tf.worlds.shapes import agrees

CLIP = (4, 8, 12, 3)  # not square, so that width and height cannot be mistaken


@pytest.fixture(scope="module")
def judge() -> Judge:
    return presets.load("judge-shapes")


@pytest.fixture(scope="module")
def real() -> vg.Shapes:
    """Clips that the judge has never seen."""
    return vg.Shapes().sample(1000, seed=2026)


def small(**options) -> Judge:
    return Judge(CLIP, colors=3, labels={"kind": 2}, feature_size=5, width=2, **options)


# ------------------------------------------------------------------------------------------------- what it reads


@pytest.mark.parametrize("label", ["color", "shape", "size", "motion"])
def test_it_reads_held_out_clips(judge, real, label):
    assert agrees(real.truth, judge.read(real.clips), (label,)).mean() >= GOALS[label]


GOALS = {"color": 0.99, "shape": 0.97, "size": 0.97, "motion": 0.94}  # of whole clips: all their things right


def test_the_card_tells_how_many_things_are_right():
    scores = presets.card("judge-shapes")["record"]["scores"]
    for label in ("color", "shape", "size", "motion"):
        assert scores[label] >= 0.97, label


def test_it_reads_the_motion_of_a_single_thing(judge):
    alone = vg.Shapes(objects=(1,)).sample(500, seed=2026)
    assert agrees(alone.truth, judge.read(alone.clips), ("motion",)).mean() >= 0.97


def test_it_knows_where_things_are(judge, real):
    reading, truth = judge.read(real.clips), real.truth
    one = (truth["count"] == 1) & (reading["count"] == 1)
    far = np.linalg.norm(reading["position"][one, :, 0] - truth["position"][one, :, 0], axis=-1)
    assert np.median(far) < 3  # pixels of 32


def test_its_reading_has_the_form_of_a_worlds(judge, real):
    mine, worlds = judge.read(real.clips[:7]), vg.Shapes().read(real.clips[:7])
    for name in ("count", "color", "shape", "size", "motion", "position"):
        assert mine[name].shape == worlds[name].shape, name
    absent = mine["color"] < 0
    assert (mine["shape"][absent] == -1).all()
    assert np.isnan(mine["position"].transpose(0, 2, 1, 3)[absent]).all()


# ------------------------------------------------------------------------------------------------------ controls


@pytest.fixture(scope="module")
def distances(judge, real) -> dict[str, float]:
    """The Fréchet distance of each control from other real clips."""
    clips = real.clips
    blurred = np.stack([gaussian_filter(clip, (0, 1, 1, 0)) for clip in clips])
    controls = {
        "real": clips,
        "noise": np.clip(clips + 0.5 * noise(*clips.shape, seed=4), -1, 1),
        "blur": blurred.astype(np.float32),
        "frozen": metrics.frozen(clips),
        "shuffled": metrics.shuffled(clips, 5),
        "backwards": metrics.backwards(clips),
        "mean": metrics.mean_clip(clips),
    }
    others = judge.features(vg.Shapes().sample(1000, seed=2027).clips)
    return {name: metrics.frechet_distance(others, judge.features(clips)) for name, clips in controls.items()}


def test_the_distance_puts_controls_in_order(distances):
    # Real against real is not 0: a thousand clips do not fix a mean and a spread of 128 numbers.
    order = ["real", "shuffled", "frozen", "mean"]
    assert sorted(order, key=distances.get) == order
    for control in ("shuffled", "blur", "noise"):
        assert distances[control] > 2 * distances["real"], control
    assert distances["frozen"] > 8 * distances["real"]


def test_it_does_not_see_that_clips_run_backwards(distances):
    # Likely because left becomes right and growing shrinking, and both are equally likely in this world.
    assert distances["backwards"] < 1.3 * distances["real"]


def test_more_noise_is_farther(judge, real):
    others = judge.features(vg.Shapes().sample(1000, seed=2027).clips)
    speckle = noise(*real.clips.shape, seed=4)
    far = [
        metrics.frechet_distance(others, judge.features(np.clip(real.clips + size * speckle, -1, 1)))
        for size in (0, 0.1, 0.2, 0.4, 0.8)
    ]
    assert far == sorted(far)


def test_the_unbiased_distance_of_real_clips_is_zero_within_its_error(judge, real):
    others = judge.features(vg.Shapes().sample(1000, seed=2027).clips)
    features = judge.features(real.clips)
    value, error = metrics.polynomial_mmd(others, features)
    assert abs(value) < 4 * error
    still, still_error = metrics.polynomial_mmd(others, judge.features(metrics.frozen(real.clips)))
    assert still > 10 * still_error


# ------------------------------------------------------------------------------------------- the class, tiny


def batch(count: int = 6):
    generator = np.random.default_rng(0)
    color = np.stack([generator.permutation(3)[:2] for _ in range(count)])
    color[::2, 1] = -1
    kind = np.where(color < 0, -1, generator.integers(0, 2, color.shape))
    position = generator.uniform(0, 8, (count, 4, 2, 2)).astype(np.float32)
    position[::2, :, 1] = np.nan
    return noise(count, *CLIP), {"count": (color >= 0).sum(1), "color": color, "kind": kind, "position": position}


def test_it_learns_what_it_is_shown():
    keras.utils.set_random_seed(0)
    model = small()
    assert model.truth == ("count", "color", "kind", "position")
    model.compile(keras.optimizers.Adam(0.01))
    clips, truth = batch()
    model.fit(clips, truth, batch_size=6, epochs=150, verbose=0)
    model.fit(clips, truth, batch_size=6, epochs=20, verbose=0)
    scores = model.evaluate(clips, truth, verbose=0, return_dict=True)
    assert scores["color"] == 1
    assert scores["kind"] == 1
    assert scores["pixels"] < 1.5


def test_an_absent_thing_has_no_say():
    model = small()
    model.compile("adam", run_eagerly=True)
    clips, truth = batch()
    before = model.evaluate(clips, truth, verbose=0, return_dict=True)
    other = truth | {"position": np.nan_to_num(truth["position"], nan=55.0)}
    assert model.evaluate(clips, other, verbose=0, return_dict=True) == pytest.approx(before)
    assert all(np.isfinite(value) for value in before.values())


def test_a_label_weighs_as_much_as_asked():
    clips, truth = batch()
    losses = []
    for weight in (0.0, 1.0, 3.0):
        keras.utils.set_random_seed(0)
        model = small(label_weights={"kind": weight})
        model.compile("adam", run_eagerly=True)
        losses.append(model.evaluate(clips, truth, verbose=0, return_dict=True)["loss"])
    assert losses[1] > losses[0]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)
    with refuses("label_weights", "hue", "kind"):
        small(label_weights={"hue": 2.0})


def test_a_saved_judge_comes_back_the_same(tmp_path):
    model = small()
    model.save(tmp_path / "judge.keras")
    again = keras.models.load_model(tmp_path / "judge.keras")
    clips = batch()[0]
    assert again.get_config() == model.get_config()
    assert again.features(clips).tobytes() == model.features(clips).tobytes()


def test_places_are_pixels_across_the_frame(monkeypatch):
    model, clips = small(), batch(1)[0]
    said = np.zeros((1, 3, sum(model.sizes)), np.float32)
    said[..., 0] = [9, -9, -9]  # only the first colour is there
    said[..., -8:] = np.tile([0.5, -0.5], 4)  # of 12 × 8 pixels: x = 9, y = 2
    truth = {"color": np.array([[0, -1]]), "kind": np.array([[0, -1]]), "count": np.array([1])}
    truth["position"] = np.full((1, 4, 2, 2), np.nan, np.float32)
    truth["position"][:, :, 0] = 9, 2
    model.compute_loss(clips, truth, tf.constant(said))
    assert float(model.terms["pixels"].result()) == pytest.approx(0, abs=1e-5)
    monkeypatch.setattr(model, "_in_batches", lambda *_: tf.constant(said))
    reading = model.read(clips)
    np.testing.assert_allclose(reading["position"][0, :, 0], np.tile([9, 2], (4, 1)))
    np.testing.assert_array_equal(reading["color"], [[0, -1]])
    np.testing.assert_array_equal(reading["count"], [1])


def test_it_lists_two_things_at_most_and_counts_what_it_lists(monkeypatch):
    model = small()
    said = np.zeros((1, 3, sum(model.sizes)), np.float32)
    said[..., 0] = [1, 5, 3]
    monkeypatch.setattr(model, "_in_batches", lambda *_: tf.constant(said))
    reading = model.read(batch(1)[0])
    np.testing.assert_array_equal(reading["color"], [[1, 2]])
    np.testing.assert_array_equal(reading["count"], [2])


def test_a_batch_without_things_has_a_finite_loss():
    model, (clips, truth) = small(), batch()
    nothing = truth | {"color": np.full_like(truth["color"], -1), "kind": np.full_like(truth["kind"], -1)}
    model.compile("adam")
    assert np.isfinite(model.evaluate(clips, nothing, verbose=0, return_dict=True)["loss"])


@pytest.mark.parametrize("bad", [
    {"clip_shape": 5}, {"clip_shape": (4, 8, 8)}, {"labels": {"k": 0}}, {"labels": {"position": 2}}, {"labels": ["k"]},
    {"colors": 1}, {"label_weights": {"shape": "x"}}, {"label_weights": {"shape": -3.0}}, {"feature_size": 0},
])  # fmt: skip
def test_bad_arguments_are_refused(bad):
    with refuses("expected"):
        Judge(**{"clip_shape": CLIP} | bad)


def test_features_do_not_depend_on_the_batch():
    model, clips = small(), batch()[0]
    np.testing.assert_allclose(model.features(clips, batch_size=1), model.features(clips), atol=1e-5)
    assert model.features(clips).shape == (6, 5)


def test_bad_clips_are_refused():
    model, clips = small(), batch()[0]
    for bad, word in ((clips[:, :-1], "(4, 8, 12, 3)"), (clips * 9, "[-1, 1]"), (clips[0], "5 axes"), (None, "array")):
        for use in (model.features, model.read):
            with refuses(word):
                use(bad)
    with refuses("batch_size"):
        model.features(clips, batch_size=0)


def test_the_card_names_what_it_was_taught():
    recipe = json.loads((presets.FOLDER / "judge-shapes.json").read_text())["recipe"]
    assert tuple(recipe["data"]["truth"]) == presets.load("judge-shapes").truth
