"""`NextFrame`: what it foretells against its networks applied by hand, and that nothing leaks from the future."""

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.families.next_frame import FARTHEST, NextFrame
from vidgen_tf.quiet import keras, tf
from vidgen_tf.worlds.balls import Balls

SHAPE = (6, 6, 7, 1)  # of odd sides, so that the coarse grid does not fit exactly
KINDS = {
    "plain": {"given": 2},
    "memory": {"given": 2, "memory_size": 3},
    "bernoulli": {"given": 1, "memory_size": 3, "distribution": "bernoulli"},
}


def small(**options) -> NextFrame:
    return NextFrame(**{"clip_shape": SHAPE, "given": 2, "width": 6, "depth": 1} | options)


def clips_of(count: int, shape=SHAPE) -> np.ndarray:
    return np.stack([np.roll(smooth(*shape), index, axis=2) * (-1) ** index for index in range(count)])


@pytest.fixture(params=KINDS)
def model(request) -> NextFrame:
    return small(**KINDS[request.param])


# ----------------------------------------------------------------------------------- what it foretells, by hand


def by_hand(model: NextFrame, frames: list[np.ndarray], memory):
    """The frame after these, (batch, height, width, channels) each, from its windows one by one, and the memory."""
    x = model.eye(np.concatenate(frames[-model.given :], axis=-1))
    inputs = [x]
    if model.memory is not None:
        memory = model.memory([x, memory])
        inputs.append(memory)
    return np.tanh(2 * frames[-1] + model.painter(inputs).numpy()), memory


def test_each_frame_is_foretold_by_the_networks_from_the_true_frames_before_it(model):
    clips, memory = clips_of(3), tf.zeros((3, 3, 4, 3))
    foretold = model.predict_next(clips)
    assert foretold.shape == (3, 6 - model.given, 6, 7, 1)
    for t in range(model.given, 6):
        frame, memory = by_hand(model, [clips[:, each] for each in range(t)], memory)
        np.testing.assert_allclose(foretold[:, t - model.given], frame, atol=1e-5)  # convolutions of other batches


def test_a_rollout_is_the_loop_in_which_each_new_frame_is_given_to_the_next(model):
    given, memory = clips_of(3)[:, :4], tf.zeros((3, 3, 4, 3))
    frames = []
    for t in range(4):  # the memory hears of all given frames
        frames.append(given[:, t])
        if t + 1 >= model.given:
            new, memory = by_hand(model, frames, memory)
    for _ in range(5):
        frames.append(new)
        new, memory = by_hand(model, frames, memory)
    rolled = model.rollout(given, 5)
    np.testing.assert_allclose(rolled, np.stack(frames[4:], axis=1), atol=1e-4)
    np.testing.assert_array_equal(model.rollout(given, 2), rolled[:, :2])
    np.testing.assert_allclose(rolled[:, :1], model.predict_next(clips_of(3)[:, :5])[:, -1:], atol=1e-5)


def test_a_frame_depends_on_those_before_it_alone(model):
    clips = clips_of(1)
    before = model.predict_next(clips)
    for t in range(6):
        changed = clips.copy()
        changed[:, t] = -changed[:, t]
        moved = np.abs(model.predict_next(changed) - before).max(axis=(0, 2, 3, 4)) > 0  # of frames given, given + 1, …
        first = max(0, t + 1 - model.given)  # the place of frame t + 1
        assert not moved[:first].any()
        reach = len(moved) if model.memory_size else min(len(moved), t + 1)  # seen up to frame t + given
        assert moved[first:reach].all()
        assert not moved[reach:].any()


def eight_views(clips):
    """Pairs of functions: how a square is seen, and how that is undone."""
    for quarters in range(4):
        yield (lambda x, k=quarters: np.rot90(x, k, (2, 3))), (lambda x, k=quarters: np.rot90(x, -k, (2, 3)))
        yield (
            (lambda x, k=quarters: np.rot90(x, k, (2, 3))[:, :, ::-1]),
            (lambda x, k=quarters: np.rot90(x[:, :, ::-1], -k, (2, 3))),
        )


@pytest.mark.parametrize("memory_size", [0, 3])
def test_a_self_ensemble_is_the_mean_over_eight_views(memory_size):
    model, clips = small(clip_shape=(6, 6, 6, 3), memory_size=memory_size), clips_of(3, (6, 6, 6, 3))
    dice = np.random.default_rng(0)
    for weight in model.trainable_variables:  # else it repeats the last frame
        weight.assign_add(0.2 * dice.standard_normal(weight.shape))
    mean = np.mean(
        [back(model.predict_next(np.ascontiguousarray(see(clips)))) for see, back in eight_views(clips)], axis=0
    )
    found = model.predict_next(clips, self_ensemble=True)
    np.testing.assert_allclose(found, mean, atol=1e-5)
    assert np.abs(found - model.predict_next(clips)).max() > 0.01
    turned = np.ascontiguousarray(np.rot90(clips, 1, (2, 3)))  # so it does not matter how one looks at it
    np.testing.assert_allclose(model.predict_next(turned, self_ensemble=True), np.rot90(found, 1, (2, 3)), atol=1e-5)
    rolled = model.rollout(clips[:, :3], 2, self_ensemble=True)
    np.testing.assert_allclose(rolled[:, 0], found[:, 1], atol=1e-5)
    seen = np.concatenate([clips[:, :3], rolled[:, :1], clips[:, :1]], axis=1)
    np.testing.assert_allclose(rolled[:, 1], model.predict_next(seen, self_ensemble=True)[:, -1], atol=1e-5)


def test_only_squares_have_eight_views():
    model = small()
    for ensemble in (True, 1, "yes"):
        with refuses("self_ensemble", "6 × 7"):
            model.predict_next(clips_of(1), self_ensemble=ensemble)
        with refuses("self_ensemble"):
            model.rollout(clips_of(1), 2, self_ensemble=ensemble)


def test_a_long_rollout_stays_in_range_and_a_clip_may_have_any_length(model):
    assert np.abs(model.rollout(clips_of(2)[:, :2], 30)).max() < 1
    assert model.predict_next(np.concatenate([clips_of(2)] * 3, axis=1)).shape[1] == 18 - model.given


def test_it_begins_by_repeating_the_last_frame_and_never_is_quite_certain():
    model = small()
    for weight in model.painter.trainable_weights:
        weight.assign(tf.zeros(weight.shape))
    clips = clips_of(2)
    np.testing.assert_allclose(model.predict_next(clips), np.tanh(2 * clips[:, 1:-1]), atol=1e-6)
    model.painter.trainable_weights[-1].assign([100.0])  # the last bias
    foretold = model.predict_next(clips)
    np.testing.assert_allclose(foretold, np.tanh(FARTHEST), atol=1e-6)
    assert foretold.max() < 1


# ------------------------------------------------------------------------------------------------- the losses


def test_the_squared_error_is_in_the_published_unit_and_the_loss_is_the_same(model):
    clips = clips_of(3)
    losses = {name: float(value) for name, value in model.losses_of(tf.constant(clips), None, False).items()}
    foretold = model.predict_next(clips)
    expected = np.square((foretold - clips[:, model.given :]) / 2).sum(axis=(2, 3, 4)).mean()
    assert losses["squared_error"] == pytest.approx(expected, rel=1e-5)
    assert losses["squared_error"] == pytest.approx(
        Balls.frame_errors(clips[:, model.given :], foretold).mean(), rel=1e-5
    )
    ink, chance = (np.float64(values + 1) / 2 for values in (clips[:, model.given :], foretold))
    nats = -(ink * np.log(chance) + (1 - ink) * np.log(1 - chance)).sum(axis=(2, 3, 4)).mean()
    bernoulli = model.distribution == "bernoulli"
    assert losses["loss"] == pytest.approx(nats if bernoulli else expected, rel=1e-4)
    if bernoulli:  # never below the cross-entropy of the grey values with themselves
        assert losses["loss"] > -(ink * np.log(ink) + (1 - ink) * np.log(1 - ink)).sum(axis=(2, 3, 4)).mean()


@pytest.mark.parametrize("memory_size", [0, 3])
def test_a_step_that_foretells_some_frames_draws_them_evenly(memory_size):
    model = small(memory_size=memory_size, windows=1)
    model.compile()
    clips = np.repeat(clips_of(1), 64, axis=0)
    every = [float(model.costs(tf.constant(clips[:1, t : t + 3]))["loss"]) for t in range(4)]
    found = []
    for step in range(20):
        model.optimizer.iterations.assign(step)
        found.append(float(model.losses_of(tf.constant(clips), None, True)["loss"]))
    assert len(set(found)) > 10  # each step draws anew
    error = np.std(every) / np.sqrt(20 * 64)
    assert np.mean(found) == pytest.approx(np.mean(every), abs=4 * error)
    assert found[-1] == float(model.losses_of(tf.constant(clips), None, True)["loss"])


def test_with_a_memory_the_drawn_frames_follow_each_other():
    model, clips = small(memory_size=3, windows=3), clips_of(1)
    losses = {round(float(model.costs(tf.constant(clips[:, t : t + 5]))["loss"]), 4) for t in range(2)}
    model.compile()
    found = set()
    for step in range(20):
        model.optimizer.iterations.assign(step)
        found.add(round(float(model.losses_of(tf.constant(clips), None, True)["loss"]), 4))
    assert found == losses


def test_it_learns_what_always_happens():
    clips = np.stack([np.roll(clips_of(1)[0], shift, axis=1) for shift in range(6)])
    clips = np.stack(
        [np.roll(clips[:, 0], t, axis=2) for t in range(6)], axis=1
    )  # one pixel to the right in each frame
    model = NextFrame(SHAPE, given=1, width=16, depth=1)
    model.compile(keras.optimizers.Adam(5e-3), steps_per_execution=10)
    model.fit(np.repeat(clips, 20, axis=0), batch_size=12, epochs=30, verbose=0)
    still = float(np.square((clips[:, 1:] - clips[:, :-1]) / 2).sum(axis=(2, 3, 4)).mean())
    assert model.evaluate(clips, verbose=0, return_dict=True)["loss"] < 0.1 * still
    rolled = model.rollout(clips[:, :1], 5)
    assert np.square((rolled - clips[:, 1:]) / 2).sum(axis=(2, 3, 4)).mean() < 0.3 * still


# --------------------------------------------------------------------------------------------- the beginnings


def test_generated_clips_begin_with_the_beginnings_of_training_clips_and_go_on_as_rollouts(model):
    clips = clips_of(4)
    given, starts = model.given, model.starts.shape[0]
    assert starts == 16
    assert not model.generate(1, seed=0)[:, :given].any()  # gray before training
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(clips, epochs=1, verbose=0)
    made = model.generate(20, seed=0)
    which = [np.flatnonzero([np.array_equal(clip[:given], each[:given]) for each in clips]) for clip in made]
    assert all(len(found) == 1 for found in which)
    assert {int(found[0]) for found in which} == {0, 1, 2, 3}
    np.testing.assert_allclose(made[:, given:], model.rollout(made[:, :given], 6 - given), atol=1e-5)
    model.fit(-clips, epochs=1, verbose=0)  # what was kept stays
    np.testing.assert_array_equal(made[:, :given], model.generate(20, seed=0)[:, :given])


def test_as_many_different_clips_as_beginnings():
    model, clips = small(starts=3), clips_of(5)
    model.remember(clips)
    np.testing.assert_array_equal(model.starts, clips[:3, :2])
    made = model.generate(7, seed=1)
    assert len(np.unique(made[:3].round(3), axis=0)) == 3
    np.testing.assert_allclose(made[:3], made[3:6], atol=1e-6)
    np.testing.assert_allclose(made[0], made[6], atol=1e-6)


@pytest.mark.parametrize("paired", [False, True])
def test_beginnings_come_from_as_many_batches_of_a_dataset_as_are_needed(paired):
    model, clips = small(starts=5), clips_of(6)
    data = tf.data.Dataset.from_tensor_slices((clips, clips) if paired else clips).batch(2).repeat()
    model.before_fit(data, 32)
    np.testing.assert_array_equal(model.starts, clips[:5, :2])
    few = small(starts=5)
    few.before_fit(tf.data.Dataset.from_tensors(clips[:2]), 32)  # a dataset that ends
    np.testing.assert_array_equal(few.starts, clips[[0, 1, 0, 1, 0], :2])


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"given": 0}, ("given", "at least 1")), ({"given": 6}, ("given is 6", "6 frames")),
        ({"width": 0}, ("width",)), ({"depth": -1}, ("depth",)), ({"memory_size": -1}, ("memory_size",)),
        ({"windows": 0}, ("windows",)), ({"windows": 5}, ("windows is 5", "4 frames")),
        ({"distribution": "normal"}, ("'normal'", "bernoulli")), ({"starts": 0}, ("starts",)),
        ({"starts": 10**8}, ("beginnings",)), ({"width": 10**6}, ("a layer",)), ({"seed": -1}, ("seed",)),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(options, words):
    with refuses(*words):
        small(**options)


def test_bad_frames_are_refused():
    model, clips = small(), clips_of(2)
    for bad, word in (
        (clips[:, :2], "3 or more"),
        (clips[:, :, :-1], "(count, 3 or more, 6, 7, 1)"),
        (2 * clips, "[-1, 1]"),
    ):
        with refuses(word):
            model.predict_next(bad)
    for bad, word in (
        (clips[:, :1], "2 or more"),
        (clips[..., :-1, :], "(count, 2 or more, 6, 7, 1)"),
        (clips[0], "5 axes"),
    ):
        with refuses(word):
            model.rollout(bad, 3)
        with refuses(word):
            model.remember(bad)
    for frames in (0, 2.5, None):
        with refuses("frames", repr(frames)):
            model.rollout(clips, frames)
    with refuses("the clips", "at most"):
        model.rollout(clips, 10**9)


def test_broken_weights_are_said_to_be_broken():
    model, clips = small(), clips_of(2)
    model.eye.trainable_weights[0].assign_add(tf.fill(model.eye.trainable_weights[0].shape, np.nan))
    for use in (lambda: model.predict_next(clips), lambda: model.rollout(clips, 2)):
        with refuses("NextFrame", "weights are broken"):
            use()


def test_the_memory_is_the_gated_unit_that_it_says_to_be():
    model = small(memory_size=3)
    dice = np.random.default_rng(1)
    x, old = dice.normal(size=(2, 3, 4, 6)).astype(np.float32), dice.normal(size=(2, 3, 4, 3)).astype(np.float32)
    gates, new = (layer for layer in model.memory.layers if isinstance(layer, keras.layers.Conv2D))
    keep, use = np.split(gates(np.concatenate([x, old], axis=-1)).numpy(), 2, axis=-1)
    found = new(np.concatenate([x, use * old], axis=-1)).numpy()
    np.testing.assert_allclose(model.memory([x, old]), keep * old + (1 - keep) * found, atol=1e-5)
    assert keep.mean() > 0.6  # at first it keeps more than it takes
