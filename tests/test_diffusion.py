"""Diffusion: the one formula against closed forms, samplers against each other, masks, words, and jumps."""

import math

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.autoencoder import Autoencoder
from vidgen_tf.families.diffusion import LEVELS, Diffusion
from vidgen_tf.keypoints import KeypointAutoencoder
from vidgen_tf.noise_schedules import PREDICTIONS, SCHEDULES, rates, slopes, told_apart
from vidgen_tf.quiet import keras, tf
from vidgen_tf.tokenizer import VQVAE
from vidgen_tf.video_model import draw_seed, known_frames

TINY = (4, 8, 8, 1)
WORDS = ("up", "and", "down")


def small(**options) -> Diffusion:
    return Diffusion(**{"clip_shape": TINY, "patch": (2, 4, 4), "width": 16, "blocks": 1, "heads": 2} | options)


def clips_of(count: int, shape=TINY) -> np.ndarray:
    return np.stack([np.roll(smooth(*shape), 2 * index, axis=2) * (-1) ** index for index in range(count)])


def shaken(model: Diffusion, size: float = 0.2) -> Diffusion:
    """The model with other weights than those it starts with, so that nothing is zero by chance."""
    dice = np.random.default_rng(3)
    for weight in model.trainable_weights:
        weight.assign_add(dice.normal(0, size, weight.shape).astype("float32"))
    return model


# ----------------------------------------------------------------------------------------------- the formula

TIMES = np.linspace(0.05, 0.98, 25)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_go_from_the_clip_to_noise(schedule):
    signal, noise = (rate.numpy() for rate in rates(np.linspace(0, 1, 101), schedule))
    assert (signal[0], noise[0]) == (1, 0)
    assert signal[-1] < 0.01
    assert noise[-1] == pytest.approx(1, abs=1e-4)
    assert (np.diff(signal) < 0).all()
    assert (np.diff(noise) > 0).all()


def test_rates_are_those_of_the_papers():
    signal, noise = rates(0.25, "linear")
    assert (float(signal), float(noise)) == (0.75, 0.25)
    for schedule in ("cosine", "ddpm"):
        signal, noise = rates(TIMES, schedule)
        np.testing.assert_allclose(signal**2 + noise**2, 1, rtol=1e-6)
    # Ho et al.: a thousand steps with variances that rise evenly from 0.0001 to 0.02.
    betas = np.linspace(1e-4, 0.02, 1000)
    alphas = np.sqrt(np.cumprod(1 - betas))
    steps = np.arange(1, 1001) / 1000
    np.testing.assert_allclose(rates(steps, "ddpm")[0], alphas, atol=4e-3)  # a sum taken as an integral


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_slopes_are_the_slopes_of_the_rates(schedule):
    step = 1e-3
    for which in (0, 1):
        numerical = (rates(TIMES + step, schedule)[which] - rates(TIMES - step, schedule)[which]) / (2 * step)
        np.testing.assert_allclose(slopes(TIMES, schedule)[which], numerical, rtol=5e-3, atol=1e-3)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_clip_and_noise_are_told_apart_from_a_true_prediction(schedule, prediction):
    dice = np.random.default_rng(0)
    clip, noise = dice.normal(size=(2, len(TIMES), 2, 3, 3, 1)).astype("float32")
    beside = lambda values: np.reshape(values, (-1, 1, 1, 1, 1))  # noqa: E731
    signal, rate = map(beside, rates(TIMES, schedule))
    signal_slope, rate_slope = map(beside, slopes(TIMES, schedule))
    x = signal * clip + rate * noise
    predicted = {"clip": clip, "noise": noise, "velocity": signal_slope * clip + rate_slope * noise}[prediction]
    found_clip, found_noise = told_apart(x, predicted, TIMES, schedule, prediction)
    # Where there is hardly any signal, or noise, rounding is magnified by up to 1 / 0.007.
    np.testing.assert_allclose(found_clip, clip, atol=2e-3)
    np.testing.assert_allclose(found_noise, noise, atol=2e-3)
    np.testing.assert_allclose(signal * found_clip + rate * found_noise, x, atol=1e-5)


def test_unknown_settings_are_refused():
    for name in ("schedule", "prediction", "setting"):
        with refuses(name, "'nonsense'", "expected"):
            small(**{name: "nonsense"})
    with refuses("schedule", "'nonsense'"):
        rates(0.5, "nonsense")
    with refuses("prediction", "'nonsense'"):
        told_apart(np.zeros((1, 2)), np.zeros((1, 2)), 0.5, prediction="nonsense")


# -------------------------------------------------------------------------------------------------- samplers


class Knows(Diffusion):
    """A model whose velocity is replaced by the exact one for clips that are Gaussian: each value has the mean `mean` and
    the deviation `deviation`, independently. What x tells of the clip is then a formula."""

    mean, deviation = 0.3, 0.2

    def predict_velocity(self, x, times, jumps, words=None, known=None):
        shape = (-1, *[1] * (len(x.shape) - 1))
        signal, rate = (tf.reshape(value, shape) for value in rates(times, self.schedule))
        variance = (signal * self.deviation) ** 2 + rate**2
        clip = self.mean + signal * self.deviation**2 / variance * (x - signal * self.mean)
        noise = rate / variance * (x - signal * self.mean)
        signal_slope, rate_slope = (tf.reshape(value, shape) for value in slopes(times, self.schedule))
        return signal_slope * clip + rate_slope * noise


@pytest.mark.parametrize("setting", ["ddpm", "ddim", "rectified flow"])
@pytest.mark.parametrize("sampler", ["euler", "heun", "ancestral"])
def test_a_network_that_knows_all_gives_clips_of_the_right_distribution(setting, sampler):
    model = Knows(TINY, setting=setting, patch=(2, 4, 4), width=8, blocks=1, heads=1)
    clips = model.generate(60, seed=1, sampler=sampler, steps=120)
    # 15,360 values: the standard error of the mean is 0.0016, of the deviation 0.0011; the rest is the steps.
    assert clips.mean() == pytest.approx(0.3, abs=0.008)
    # With fresh noise on the way the first order shows: 0.177 with 120 steps of DDPM.
    assert clips.std() == pytest.approx(0.2, abs=0.03 if sampler == "ancestral" else 0.012)


def test_fresh_noise_needs_more_steps_and_comes_to_the_same():
    model = Knows(TINY, setting="ddpm", patch=(2, 4, 4), width=8, blocks=1, heads=1)
    found = [model.generate(60, seed=1, sampler="ancestral", steps=steps).std() for steps in (60, 240)]
    assert abs(found[1] - 0.2) < 0.4 * abs(found[0] - 0.2)


def test_heun_needs_fewer_steps_than_euler():
    model = Knows(TINY, patch=(2, 4, 4), width=8, blocks=1, heads=1)
    exact = model.generate(8, seed=1, sampler="heun", steps=400)
    error = {
        (sampler, steps): np.abs(model.generate(8, seed=1, sampler=sampler, steps=steps) - exact).mean()
        for sampler in ("euler", "heun")
        for steps in (8, 16)
    }
    assert error["heun", 16] < 0.5 * error["heun", 8]
    assert error["heun", 16] < 0.5 * error["euler", 16]
    assert 0.4 < error["euler", 16] / error["euler", 8] < 0.65  # first order


def test_ddim_has_no_chance_on_the_way_and_ddpm_has():
    model = Knows(TINY, setting="ddpm", patch=(2, 4, 4), width=8, blocks=1, heads=1)
    start = model.trajectory(4, seed=1, sampler="euler", steps=40, shown=40)
    chance = model.trajectory(4, seed=1, sampler="ancestral", steps=40, shown=40)
    np.testing.assert_allclose(start[0], chance[0], atol=1e-5)  # the same noise to begin with
    assert np.abs(start[-1] - chance[-1]).mean() > 0.05


def test_a_jump_is_a_step_along_the_velocity():
    model = Knows(TINY, jumps=0.25, patch=(2, 4, 4), width=8, blocks=1, heads=1)
    np.testing.assert_allclose(
        model.generate(3, seed=2, sampler="jumps", steps=8),
        model.generate(3, seed=2, sampler="euler", steps=8),
        atol=1e-5,
    )


def test_jumps_go_the_way_of_the_model(monkeypatch):
    model, taken = small(jumps=0.25, way=(8, 8, 4, 2)), []
    estimate = model._estimate
    monkeypatch.setattr(
        model, "_estimate", lambda x, now, jump, *more: taken.append((now, jump)) or estimate(x, now, jump, *more)
    )
    usual = model.generate(2, seed=1)
    assert taken == [(1, 1 / 8), (7 / 8, 1 / 8), (3 / 4, 1 / 4), (1 / 2, 1 / 2)]
    taken.clear()
    model.generate(2, seed=1, steps=2)
    assert taken == [(1, 1 / 2), (1 / 2, 1 / 2)]
    np.testing.assert_array_equal(model.trajectory(2, seed=1, shown=4)[-1], usual)
    with refuses("shown is 5", "4 steps"):
        model.trajectory(2, seed=1, shown=5)
    assert type(model).from_config(model.get_config()).way == model.way
    for bad in ((4, 4, 4), (2, 4, 4, 4), (2, 2, 4), (3, 3, 3), (), 4, (1.5, 3), (4, 2, 4), "22"):
        with refuses("way", "(8, 8, 4, 2)"):
            small(jumps=0.25, way=bad)


def test_the_trajectory_ends_in_the_clips():
    model = shaken(small())
    path = model.trajectory(3, seed=4, sampler="heun", steps=6, shown=3)
    assert path.shape == (3, 3, *TINY)
    np.testing.assert_allclose(path[-1], model.generate(3, seed=4, sampler="heun", steps=6), atol=1e-6)


def test_a_trajectory_is_refused_what_generate_is_refused():
    model = small(fills=True)
    for options, words in (
        ({"shown": 0}, ("shown", "0")),
        ({"shown": 5, "steps": 4}, ("shown is 5", "4 steps")),
        ({"shown": 1, "sampler": "nonsense"}, ("sampler",)),
        ({"shown": 1, "steps": 0}, ("steps",)),
        ({"shown": 1, "known": clips_of(1)}, ("known and mask",)),
        ({"shown": 1, "condition": ["up"]}, ("takes no condition",)),
    ):
        with refuses(*words):
            model.trajectory(1, seed=0, **options)
    with refuses("count"):
        model.trajectory(0, seed=0, shown=1)
    with refuses("seed"):
        model.trajectory(1, seed=-1, shown=1)
    clips, mask = clips_of(1), known_frames(TINY, [0])
    path = model.trajectory(1, seed=1, known=clips, mask=mask, steps=4, shown=2)
    np.testing.assert_array_equal(path[:, :, 0], np.repeat(clips[None, :, 0], 2, axis=0))
    np.testing.assert_array_equal(path[-1], model.generate(1, seed=1, known=clips, mask=mask, steps=4))


def test_many_clips_are_made_in_parts_and_the_first_are_the_same():
    model = shaken(small())
    many, few = model.generate(70, seed=3, steps=2), model.generate(66, seed=3, steps=2)
    assert many.shape[0] == 70
    assert np.abs(many[0] - many[65]).max() > 1e-3
    assert few.shape[0] == 66


def test_shift_moves_times_towards_noise():
    model = small(shift=3.0)
    np.testing.assert_allclose(model._shifted(np.array([0, 0.25, 0.5, 1])), [0, 0.5, 0.75, 1])
    bell, dice = np.random.default_rng(0).normal(size=(2, 4000)).astype("float32")
    plain, shifted = (small(shift=shift)._times(bell, dice).numpy() for shift in (1.0, 3.0))
    np.testing.assert_allclose(shifted, 3 * plain / (1 + 2 * plain), rtol=1e-5)
    wide = small(spread=2.0)._times(bell, dice).numpy()
    np.testing.assert_allclose(np.log(wide / (1 - wide)), 2 * np.log(plain / (1 - plain)), rtol=1e-3, atol=1e-4)


# -------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("schedule", "prediction"), [("linear", "velocity"), ("cosine", "velocity"), ("ddpm", "noise"), ("cosine", "clip")]
)
def test_the_loss_is_the_squared_error_of_noise_or_velocity(schedule, prediction):
    model = small(schedule=schedule, prediction=prediction)
    clips = clips_of(3)
    seen = {}

    def answer(x, times, jumps, words=None, known=None):
        seen.update(x=x, times=times)
        return tf.zeros_like(x)

    if prediction == "noise":
        model.denoiser = lambda inputs: answer(inputs["x"], inputs["times"], None)
    else:
        model.predict_velocity = answer
    loss = float(model.losses_of(tf.constant(clips), None, False)["loss"])
    signal, rate = (np.reshape(value, (-1, 1, 1, 1, 1)) for value in rates(seen["times"], schedule))
    noise = (seen["x"].numpy() - signal * clips) / rate
    signal_slope, rate_slope = (np.reshape(value, (-1, 1, 1, 1, 1)) for value in slopes(seen["times"], schedule))
    wanted = noise if prediction == "noise" else signal_slope * clips + rate_slope * noise
    assert loss == pytest.approx(np.mean(wanted**2), rel=1e-3)
    np.testing.assert_allclose(seen["times"], [1 / 6, 0.5, 5 / 6], rtol=1e-6)
    assert noise.std() == pytest.approx(1, abs=0.1)


def test_the_times_of_training_are_as_their_papers_say():
    bell = np.random.default_rng(0).normal(size=20_000).astype("float32")
    dice = np.random.default_rng(1).random(20_000).astype("float32")
    linear = small()._times(bell, dice).numpy()
    logit = np.log(linear / (1 - linear))
    assert logit.mean() == pytest.approx(0, abs=0.03)
    assert logit.std() == pytest.approx(1, abs=0.03)
    even = np.asarray(small(setting="ddpm")._times(bell, dice))
    assert even.mean() == pytest.approx(0.5, abs=0.01)
    assert even.std() == pytest.approx(1 / math.sqrt(12), abs=0.01)


def test_words_are_left_out_as_often_as_asked():
    model = small(condition=WORDS, drop=0.4)
    model.compile(run_eagerly=True)
    counts = []

    def answer(x, times, jumps, words=None, known=None):
        counts.append(np.mean(words.numpy().any(axis=1)))
        return tf.zeros_like(x)

    model.predict_velocity = answer
    clips = np.zeros((2000, *TINY), np.float32)
    model.losses_of(clips, tf.constant(["up and down"] * 2000), True)
    model.losses_of(clips, tf.constant(["up and down"] * 2000), False)
    assert counts[0] == pytest.approx(0.6, abs=0.05)
    assert counts[1] == 1


def test_jumps_learn_where_two_halves_lead():
    """The target of a jump by hand, from the network's own answers."""
    model = shaken(small(jumps=0.5, condition=WORDS, guidance=3.0))
    dice = np.random.default_rng(0)
    x = tf.constant(dice.normal(size=(6, *TINY)).astype("float32"))
    wanted = tf.constant(dice.normal(size=(6, *TINY)).astype("float32"))
    times, jumps = tf.constant([1.0, 0.5, 1 / 16, 0.3, 0.2, 0.1]), tf.constant([1.0, 0.25, 1 / 16, 0, 0, 0])
    words = model.vocabulary.numbers(tf.constant(["up", "down", "up", "up", "up", "up"]), 6)
    found = model._where_two_lead(x, times, jumps, words, None, wanted).numpy()
    np.testing.assert_array_equal(found[3:], wanted[3:])
    for row in range(3):

        def ask(now, time, jump, said, row=row):
            said = words[row : row + 1] * said
            return model.predict_velocity(now, tf.constant([time]), tf.constant([jump]), said)

        half, now, time = float(jumps[row]) / 2, x[row : row + 1], float(times[row])
        velocities = []
        for _ in range(2):
            if row < 2:
                velocity = ask(now, time, half, 1)
            else:  # half of the shortest jump is a guided step
                free = ask(now, time, 0.0, 0)
                velocity = free + 3.0 * (ask(now, time, 0.0, 1) - free)
            velocities.append(velocity)
            now, time = now - half * velocity, time - half
        np.testing.assert_allclose(found[row], (velocities[0] + velocities[1])[0] / 2, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("prediction", ["clip", "noise"])
def test_the_velocity_follows_from_what_is_predicted(prediction):
    model = shaken(small(prediction=prediction))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, *TINY)).astype("float32"))
    times = tf.constant([0.3, 0.8])
    said = model.denoiser(model.inputs_of(x, times, tf.zeros(2))).numpy()
    t = np.reshape(times, (2, 1, 1, 1, 1))
    by_hand = (x - said) / t if prediction == "clip" else (said - x) / (1 - t)  # noise - clip
    np.testing.assert_allclose(model.predict_velocity(x, times, tf.zeros(2)), by_hand, rtol=1e-3, atol=1e-4)


def test_jumps_are_drawn_so_that_whole_jumps_lead_to_the_clip():
    model = small(jumps=0.25)
    dice = np.random.default_rng(0).random((2, 5000)).astype("float32")
    lengths, starts = (values.numpy() for values in model._jumps(*dice))
    assert set(np.unique(lengths)) == {2.0**-level for level in range(LEVELS)}
    whole = starts / lengths
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-5)
    assert (whole >= 1).all()
    assert (starts <= 1).all()
    assert (starts[lengths == 0.25] == 1).mean() == pytest.approx(0.25, abs=0.05)


# ------------------------------------------------------------------------------------------- known pixels


def test_masks_of_training_are_of_four_kinds_or_empty():
    masks = small(fills=True)._masks(np.random.default_rng(0).random((4000, 8)).astype("float32")).numpy()[..., 0]
    assert set(np.unique(masks)) == {0.0, 1.0}
    full = masks.reshape(4000, 4, -1)
    share = full.mean(axis=2)
    empty = (share == 0).all(axis=1)
    frames = ((share == 0) | (share == 1)).all(axis=1) & ~empty
    ends = frames & (share == [1, 0, 0, 1]).all(axis=1)
    begun = frames & (np.diff(share, axis=1) <= 0).all(axis=1)
    boxes = ~empty & ~frames
    assert empty.mean() == pytest.approx(0.5, abs=0.03)
    assert ends.mean() == pytest.approx(0.125, abs=0.03)
    assert begun.mean() == pytest.approx(0.125, abs=0.03)
    assert boxes.mean() == pytest.approx(0.25, abs=0.03)
    assert (masks[boxes] == masks[boxes][:, :1]).all()  # the same in all frames
    assert frames.sum() == (ends | begun).sum()


def test_a_model_may_learn_to_go_on_from_the_first_frame_alone():
    model = small(fills="first")
    masks = model._masks(np.random.default_rng(0).random((4000, 8)).astype("float32")).numpy()
    assert masks.shape == (4000, *TINY[:3], 1)
    told = masks[:, 0].all(axis=(1, 2, 3))
    assert told.mean() == pytest.approx(3 / 4, abs=0.02)
    assert masks[:, 1:].sum() == 0
    assert masks[~told].sum() == 0
    assert Diffusion.from_config(model.get_config()).fills == "first"


def test_a_model_of_fills_first_refuses_any_mask_but_the_first_frame_or_none():
    model, clips = small(fills="first"), clips_of(2)
    first, other = known_frames(TINY, [0]), first_half(known_frames(TINY, [0]))
    for mask in (first, ~(first | True), np.stack([first, ~(first | True)])):
        assert model.generate(2, seed=1, steps=1, known=clips, mask=mask).shape == clips.shape
    for mask in (known_frames(TINY, [0, 1]), known_frames(TINY, [1]), ~first, other, np.stack([first, other])):
        with refuses("mask", "frame 0", "'first'"):
            model.generate(2, seed=1, steps=1, known=clips, mask=mask)
    small(fills=True).generate(2, seed=1, steps=1, known=clips, mask=other)


def first_half(mask):
    """The same, of the upper rows alone."""
    half = mask.copy()
    half[:, mask.shape[1] // 2 :] = False
    return half


def test_known_pixels_stay_and_are_heard():
    model = shaken(small(fills=True))
    clips, mask = clips_of(3), known_frames(TINY, [0, -1])
    made = model.generate(3, seed=1, known=clips, mask=mask)
    np.testing.assert_array_equal(made[:, [0, -1]], clips[:, [0, -1]])
    other = model.generate(3, seed=1, known=-clips, mask=mask)
    assert np.abs(made[:, 1:-1] - other[:, 1:-1]).max() > 1e-3
    each = np.stack([mask, np.zeros_like(mask), mask])
    again = model.generate(3, seed=1, known=clips, mask=each)
    np.testing.assert_array_equal(again[0], made[0])
    assert np.abs(again[1, 0] - clips[1, 0]).max() > 1e-3


@pytest.mark.parametrize("sampler", ["jumps", "euler", "heun", "ancestral"])
def test_known_frames_may_stay_in_latents_at_every_step(sampler):
    model = shaken(small(fills=True, jumps=0.25))
    clips, mask = clips_of(3), known_frames(TINY, [0, -1])
    asked = {"seed": 1, "known": clips, "mask": mask, "sampler": sampler, "steps": 4}
    made, laid_over = model.generate(3, keep="latents", **asked), model.generate(3, **asked)
    np.testing.assert_allclose(made[:, [0, -1]], clips[:, [0, -1]], atol=1e-6)  # here latents are pixels
    assert np.abs(made[:, 1:-1] - laid_over[:, 1:-1]).max() > 1e-3  # the others have seen them on the way
    way = model.trajectory(3, shown=2, keep="latents", **asked)
    np.testing.assert_array_equal(way[-1], made)
    np.testing.assert_allclose(way[0][:, [0, -1]], clips[:, [0, -1]], atol=1e-6)
    none = np.zeros_like(mask)
    free = model.generate(3, **(asked | {"mask": none}))
    np.testing.assert_array_equal(model.generate(3, keep="latents", **(asked | {"mask": none})), free)


def test_a_latent_stays_only_where_all_its_frames_are_known():
    folder = Autoencoder(TINY, block=2, patch=4, latent_channels=4, width=4)
    model = shaken(small(autoencoder=folder, fills=True, patch=(1, 1, 1)))
    frames = 4 // model.latent_shape[0]  # of a latent
    assert frames > 1
    mask = np.zeros((1, 4, 8, 8, 1), np.float32)
    mask[:, :frames] = 1
    known, told = model._told_frames(model.known_of(clips_of(1), mask), mask)
    assert told.numpy().ravel().tolist() == [True] + [False] * (model.latent_shape[0] - 1)
    np.testing.assert_array_equal(known, model.latents_of(tf.constant(clips_of(1) * mask)))
    mask[:, frames - 1] = 0
    assert not model._told_frames(model.known_of(clips_of(1), mask), mask)[1].numpy().any()


def test_frames_that_are_split_cannot_stay_in_latents():
    model, mask = small(fills=True), np.zeros(TINY[:3], bool)
    mask[:, :4] = True
    with refuses("keep", "splits a frame"):
        model.generate(1, seed=0, known=clips_of(1), mask=mask, keep="latents")
    with refuses("keep is 'words'", "latents"):
        model.generate(1, seed=0, keep="words")


def test_unknown_pixels_are_not_seen():
    model = shaken(small(fills=True))
    clips, mask = clips_of(2), known_frames(TINY, [0])
    other = clips.copy()
    other[:, 1:] = 0.5
    assert (
        model.generate(2, seed=1, known=clips, mask=mask).tobytes()
        == model.generate(2, seed=1, known=other, mask=mask).tobytes()
    )


def test_a_model_learns_to_hold_on_to_what_it_is_shown():
    """Still clips of different greys: who sees the first frame knows the rest."""
    greys = np.linspace(-0.9, 0.9, 16, dtype="float32")
    clips = np.broadcast_to(greys[:, None, None, None, None], (16, *TINY)).copy()
    keras.utils.set_random_seed(0)  # of the order of clips
    model = small(fills=True, width=32, prediction="clip")
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(np.repeat(clips, 16, axis=0), batch_size=64, epochs=60, verbose=0)
    made = model.generate(16, seed=1, known=clips, mask=known_frames(TINY, [0]))
    shown = np.abs(made[:, 1:].mean(axis=(1, 2, 3, 4)) - greys)
    free = np.abs(model.generate(16, seed=1).mean(axis=(1, 2, 3, 4)) - greys)
    assert shown.mean() < 0.25  # 0.07 to 0.14 in six orders; 0.7 where nothing is shown
    assert shown.mean() < 0.4 * free.mean()


def test_frames_are_named_from_both_ends():
    mask = known_frames(TINY, [0, -1])
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask.all(axis=(1, 2)), [True, False, False, True])
    assert mask.sum() == 2 * 8 * 8
    for bad in ([4], [-5], [0.5], ["a"]):
        with refuses("frames", "4 frames"):
            known_frames(TINY, bad)
    with refuses("frames is 0", "a list"):
        known_frames(TINY, 0)
    with refuses("frames", "True"):
        known_frames(TINY, [True])
    with refuses("clip_shape"):
        known_frames((4, 8), [0])


# ------------------------------------------------------------------------------------------------ conditions


def test_guidance_goes_along_the_line_from_no_words_to_words():
    model = shaken(small(condition=WORDS))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, *TINY)).astype("float32"))
    words = model.vocabulary.numbers(tf.constant(["up", "down"]), 2)
    velocity = {
        weight: (lambda clip, noise: noise - clip)(
            *model._told(True, x, tf.constant(0.9), tf.constant(0.0), tf.constant(weight), {"words": words})
        ).numpy()
        for weight in (0.0, 1.0, 2.0)
    }
    # Pixels are kept in [-1, 1], which bends the line where they would not be.
    inside = np.abs(x.numpy() - 0.9 * velocity[2.0]) < 0.99
    inside &= (np.abs(x.numpy() - 0.9 * velocity[1.0]) < 0.99) & (np.abs(x.numpy() - 0.9 * velocity[0.0]) < 0.99)
    assert inside.mean() > 0.1
    line = 2 * velocity[1.0] - velocity[0.0]
    np.testing.assert_allclose(velocity[2.0][inside], line[inside], atol=1e-4)


def test_unknown_words_and_what_does_not_go_together_are_refused():
    model, plain = small(condition=WORDS), small()
    with refuses("unknown word", "'left'"):
        model.generate(1, ["left"], seed=0)
    with refuses("takes no condition"):
        plain.generate(1, ["up"], seed=0)
    with refuses("sampler", "'nonsense'"):
        plain.generate(1, seed=0, sampler="nonsense")
    with refuses("jumps", "not trained"):
        plain.generate(1, seed=0, sampler="jumps")
    with refuses("steps", "0"):
        plain.generate(1, seed=0, steps=0)
    jumping = small(jumps=0.25)
    with refuses("steps is 3", "1, 2, 4, 8 or 16"):
        jumping.generate(1, seed=0, steps=3)
    with refuses("guidance", "jumps"):
        jumping.generate(1, seed=0, guidance=2.0)
    with refuses("guidance", "-1"):
        plain.generate(1, seed=0, guidance=-1)
    with refuses("guidance", "without a condition"):
        model.generate(1, seed=0, guidance=2.0)
    with refuses("steps is 1000000000000", "10000"):
        plain.generate(1, seed=0, steps=10**12)
    with refuses("known and mask"):
        plain.generate(1, seed=0, known=clips_of(1))
    with refuses("fills=True"):
        plain.generate(1, seed=0, known=clips_of(1), mask=known_frames(TINY, [0]))
    filling = small(fills=True)
    for known, mask in (
        (clips_of(2), known_frames(TINY, [0])),
        (clips_of(1), known_frames(TINY, [0]).astype(int)),
        (clips_of(1), np.ones((2, *TINY[:3]), bool)),
        (clips_of(1), np.ones((4, 8), bool)),
    ):
        with refuses("known", "mask"):
            filling.generate(1, seed=0, known=known, mask=mask)


def test_arguments_that_do_not_fit_are_refused():
    for options, words in (
        ({"patch": (3, 4, 4)}, ("patch", "(3, 4, 4)")),
        ({"patch": 4}, ("patch",)),
        ({"setting": ["ddpm"]}, ("setting",)),
        ({"schedule": ""}, ("schedule", "linear")),
        ({"condition": (10**10,)}, ("embedding",)),
        ({"autoencoder": VQVAE(TINY)}, ("an Autoencoder", "(4, 8, 8, 1)")),
        ({"heads": 3}, ("heads is 3", "16")),
        ({"fills": 1}, ("fills", "True, False or 'first'")),
        ({"jumps": 1.0}, ("jumps", "below 1")),
        ({"jumps": 0.2, "setting": "ddpm"}, ("jumps", "linear schedule")),
        ({"jumps": 0.2, "prediction": "noise"}, ("jumps", "not of noise")),
        ({"drop": -0.1}, ("drop",)),
        ({"shift": 0}, ("shift", "above 0")),
        ({"spread": -1}, ("spread", "-1")),
        ({"autoencoder": "nonsense"}, ("autoencoder", "(4, 8, 8, 1)")),
        ({"condition": ("a b",)}, ("condition",)),
    ):
        with refuses(*words):
            small(**options)


def test_last_convolutions_add_nothing_at_first_and_then_what_they_learn():
    plain, mended = small(seed=4), small(seed=4, mend=3)
    x = tf.constant(np.random.default_rng(2).normal(size=(1, *TINY)).astype("float32"))
    ask = lambda model: model.predict_velocity(x, tf.ones(1), tf.zeros(1)).numpy()  # noqa: E731
    before = ask(mended)
    np.testing.assert_allclose(before, ask(plain), atol=1e-6)
    mended.denoiser.get_layer("mended").bias.assign([0.5])
    np.testing.assert_allclose(ask(mended), before + 0.5, atol=1e-6)
    with refuses("mend", "-1"):
        small(mend=-1)


# ------------------------------------------------------------------------------------------------- latents


def test_latents_of_an_autoencoder_are_learned_in_the_place_of_pixels(tmp_path):
    shape = (4, 16, 16, 3)
    autoencoder = Autoencoder(shape, block=2, patch=8, latent_channels=4, width=4)
    model = Diffusion(shape, autoencoder=autoencoder, patch=(1, 2, 1), width=16, blocks=1, heads=2, fills=True)
    assert model.latent_shape == (2, 2, 2, 4)
    clips = clips_of(4, shape)
    np.testing.assert_allclose(model.latents_of(clips), autoencoder.encode(clips), atol=1e-6)
    # What is known goes the same way: its latents, grey elsewhere, beside the mask of all pixels that one stands for.
    mask = np.zeros((4, 4, 16, 16, 1), np.float32)
    mask[:, 1] = 1
    told = model.known_of(clips, mask).numpy()
    assert told.shape == (4, 2, 2, 2, 4 + 2 * 8 * 8)
    np.testing.assert_allclose(told[..., :4], autoencoder.encode(clips * mask), atol=1e-6)
    np.testing.assert_array_equal(told[:, 0, :, :, 4:].sum(axis=-1), 64)
    np.testing.assert_array_equal(told[:, 1, :, :, 4:], 0)
    before = [weight.numpy().copy() for weight in autoencoder.weights]
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(clips, epochs=2, verbose=0)
    for old, new in zip(before, autoencoder.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    path = model.trajectory(2, seed=1, steps=2, shown=1)
    assert path.shape == (1, 2, *shape)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.generate(2, seed=1).tobytes() == model.generate(2, seed=1).tobytes()
    weights = {id(weight) for weight in model.preset_weights}
    assert not weights & {id(weight) for weight in autoencoder.weights}


def test_masks_are_told_in_whole_where_the_latents_do_not_divide_a_frame():
    shape = (4, 8, 8, 3)
    autoencoder = KeypointAutoencoder(shape, keypoints=2, code=2, width=4, depth=0, hidden=4)
    model = Diffusion(shape, autoencoder=autoencoder, patch=(1, 1, 1), width=16, blocks=1, heads=2, fills=True)
    mask = np.random.default_rng(1).integers(0, 2, (2, 4, 8, 8, 1)).astype(np.float32)
    told = model.known_of(clips_of(2, shape), mask).numpy()
    assert told.shape == (2, 4, 1, 3, 4 + 8 * 3)  # three columns of pixels for each of three latent vectors
    columns = told[..., 4:].reshape(2, 4, 3, 8, 3).transpose(0, 1, 3, 2, 4).reshape(2, 4, 8, 9)
    np.testing.assert_array_equal(columns[..., :8], mask[..., 0])
    np.testing.assert_array_equal(columns[..., 8], 0)  # and one column too many, of which nothing is known
    made = model.generate(2, seed=1, steps=2, known=clips_of(2, shape), mask=mask[..., 0] > 0)
    np.testing.assert_array_equal(made[mask[..., 0] > 0], clips_of(2, shape)[mask[..., 0] > 0])


def test_each_of_many_clips_hears_its_own_words_and_pixels():
    model = shaken(small(condition=WORDS, fills=True))
    asked = [WORDS[2 * (index % 2)] for index in range(70)]
    other = asked[:64] + [WORDS[2 * ((index + 1) % 2)] for index in range(64, 70)]
    one, two = (model.generate(70, words, seed=1, steps=2) for words in (asked, other))
    np.testing.assert_array_equal(one[:64], two[:64])
    assert (np.abs(one[64:] - two[64:]).max(axis=(1, 2, 3, 4)) > 1e-4).all()
    known, mask = clips_of(70), known_frames(TINY, [0])
    changed = known.copy()
    changed[64:] *= -1
    one, two = (model.generate(70, asked, seed=1, steps=2, known=each, mask=mask) for each in (known, changed))
    np.testing.assert_array_equal(one[:64], two[:64])
    assert (np.abs(one[64:, 1:] - two[64:, 1:]).max(axis=(1, 2, 3, 4)) > 1e-4).all()


def test_what_remains_beside_a_clip_is_never_blown_up():
    x, clip = np.ones((2, 1), np.float32), np.full((2, 1), 0.2, np.float32)
    times = np.array([0.01, 0.2], np.float32)
    found, noise = told_apart(x, clip, times, "linear", "clip")
    np.testing.assert_allclose(
        (1 - times) * found[:, 0] + times * noise[:, 0], [0.198 + 0.01 * 0.802 / 0.05, 1.0], rtol=1e-5
    )


def test_the_autoencoder_of_a_model_can_go_on_learning():
    shape = (4, 16, 16, 3)
    autoencoder = Autoencoder(shape, width=4)
    model = Diffusion(shape, autoencoder=autoencoder, patch=(1, 2, 2), width=16, blocks=1, heads=2)
    assert len(autoencoder.trainable_weights) > 4
    assert len(model.trainable_weights) == len(model.denoiser.trainable_weights)


# ------------------------------------------------------------------------------------------------- variations


def test_variations_of_a_clip_keep_the_more_of_it_the_less_it_is_covered():
    model = Knows(TINY, patch=(2, 4, 4), width=8, blocks=1, heads=1)
    like = clips_of(8)
    far = [
        np.abs(model.generate(8, seed=1, like=like, strength=strength, steps=40) - like).mean()
        for strength in (0.01, 0.1, 0.5, 1)
    ]
    assert far[0] < 0.05
    assert far == sorted(far)
    # Nothing is left of the clips at 1: what is made is what is made without them.
    whole = model.generate(8, seed=1, like=like, strength=1, steps=40)
    np.testing.assert_array_equal(whole, model.generate(8, seed=1, steps=40))


def test_variations_are_as_they_should_be_for_gaussian_clips():
    # Covered to t, then all the way back along the velocity: the way of a Gaussian is a straight scaling, so a clip
    # that begins d deviations from the mean ends where the covered one stands among covered ones.
    model, like, time = Knows(TINY, patch=(2, 4, 4), width=8, blocks=1, heads=1), clips_of(4) / 4, 0.4
    noise = model.generate(4, seed=7, steps=400, like=like, strength=time, sampler="heun")
    spread = math.hypot((1 - time) * 0.2, time)
    draws = tf.random.stateless_normal((4, *TINY), draw_seed(7))
    covered = (1 - time) * like + time * draws.numpy()
    np.testing.assert_allclose(noise, np.clip(0.3 + 0.2 * (covered - (1 - time) * 0.3) / spread, -1, 1), atol=0.01)


def test_variations_say_what_they_need():
    model, like = small(jumps=0.25), clips_of(2)
    for wrong, said in (
        ({"like": like}, "go together"),
        ({"strength": 0.5}, "go together"),
        ({"like": like, "strength": 0}, "above 0"),
        ({"like": like, "strength": 1.5}, "up to 1"),
        ({"like": like[:1], "strength": 0.5}, "1 clips"),
        ({"like": like, "strength": 0.5, "sampler": "jumps"}, "jumps begin at noise"),
        ({"like": like[:, :2], "strength": 0.5}, "shape"),
    ):
        with refuses(said):
            model.generate(2, seed=0, **wrong)
