"""Metrics: each measure against its closed form, and on controls whose order is known."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import noise, refuses, smooth, steps

from vidgen_tf import metrics
from vidgen_tf.metrics import claim, frozen, mean_clip, neighbor_correlation, psnr, repeat_last, shuffled
from vidgen_tf.worlds.footage import SOURCES, Footage

SHIPPED = [name for name, source in SOURCES.items() if source.package is None]


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """Windows of all real clips that ship: (12, 12, 24, 24, 3)."""
    return np.concatenate([Footage(name, 12, 24).sample(4, seed=0).clips for name in SHIPPED])


# ---------------------------------------------------------------------------------------------------- psnr


@pytest.mark.parametrize("offset", [0.01, 0.1, 0.5])
def test_psnr_of_a_known_offset(offset):
    clips = noise(3, 2, 8, 8, 3) * np.float32(0.4)
    # 10 · log10(4 / offset²); float32 sums err by 6e-8, of 0.01 that is 6e-6, in dB 5e-5.
    np.testing.assert_allclose(psnr(clips, clips + np.float32(offset)), 20 * np.log10(2 / offset), atol=2e-4)


def test_psnr_of_known_noise():
    clips = np.zeros((2, 8, 32, 32, 3), np.float32)
    sigma = 0.1
    noisy = np.random.default_rng(0).normal(0, sigma, clips.shape).astype(np.float32)
    # The mean of n squares has a relative spread of √(2 / n), n = 24,576: 0.9 %, 0.04 dB; four of these.
    np.testing.assert_allclose(psnr(clips, np.clip(noisy, -1, 1)), 20 * np.log10(2 / sigma), atol=0.16)


def test_psnr_is_one_number_a_clip_symmetric_and_infinite_for_copies_alone():
    first, second = noise(3, 2, 8, 8, 3), noise(3, 2, 8, 8, 3, seed=1)
    second[1] = first[1]
    scores = psnr(first, second)
    assert scores.shape == (3,)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, psnr(second, first))
    assert np.isinf(scores).tolist() == [False, True, False]
    np.testing.assert_allclose(scores[2], psnr(first[2:], second[2:])[0], rtol=1e-12)  # the others do not matter
    worst = np.ones((1, 1, 2, 2, 1), np.float32)
    assert psnr(worst, -worst)[0] == 0  # the largest error there is: 0 dB


def test_psnr_takes_tensors():
    tf = pytest.importorskip("vidgen_tf.quiet").tf
    clips = noise(2, 2, 4, 4, 1)
    np.testing.assert_array_equal(psnr(tf.constant(clips), tf.zeros_like(clips)), psnr(clips, np.zeros_like(clips)))


def test_psnr_refuses_what_cannot_be_compared():
    clips = noise(2, 2, 4, 4, 1)
    with refuses("(2, 2, 4, 4, 1)", "(1, 2, 4, 4, 1)", "equal shapes"):
        psnr(clips, clips[:1])  # NumPy would broadcast
    with refuses("generated", "uint8"):
        psnr(clips, (clips > 0).astype(np.uint8))
    with refuses("real", "nan"):
        psnr(clips * np.float32(np.nan), clips)


# ----------------------------------------------------------------------------------- neighbor_correlation


def test_correlation_equals_numpy(real):
    expected = [
        np.mean([np.corrcoef(now.ravel(), then.ravel())[0, 1] for now, then in pairwise(clip)])
        for clip in real.astype(float)
    ]
    np.testing.assert_allclose(neighbor_correlation(real), expected, atol=1e-12)  # both in double precision


def test_correlation_of_what_is_known():
    still = np.repeat(noise(2, 1, 16, 16, 3), 5, axis=1)
    np.testing.assert_array_equal(neighbor_correlation(still), 1)
    # Independent frames of n = 32 · 32 pixels correlate as 0 ± 1 / √n = 0.031, the mean of 63 as 0 ± 0.004.
    np.testing.assert_allclose(neighbor_correlation(noise(2, 64, 32, 32, 1)), 0, atol=0.016)
    negative = np.stack([noise(16, 16, 1), -noise(16, 16, 1)] * 2)[None]
    np.testing.assert_allclose(neighbor_correlation(negative), -1, atol=1e-6)
    scores = neighbor_correlation(noise(3, 4, 8, 8, 1))
    assert scores.shape == (3,)
    assert scores.dtype == np.float64


def test_correlation_does_not_see_brightness_and_contrast(real):
    # Each frame with its own positive contrast and its own brightness; float32 rounding of pixels is 6e-8.
    contrast = np.random.default_rng(0).uniform(0.2, 0.5, (12, 12, 1, 1, 1)).astype(np.float32)
    changed = real * contrast + (0.5 - contrast)
    np.testing.assert_allclose(neighbor_correlation(changed), neighbor_correlation(real), atol=1e-5)


@pytest.mark.parametrize("level", [0, 0.1, 0.3, -0.7, 1])
def test_flat_frames_correlate_with_their_equals_only(level):
    flat = np.full((1, 3, 7, 5, 3), level, np.float32)
    assert neighbor_correlation(flat)[0] == 1
    flat[0, 1] = 0.123
    assert neighbor_correlation(flat)[0] == 0
    flat[0, 1] = noise(7, 5, 3)
    assert neighbor_correlation(flat)[0] == 0


def test_correlation_refuses_single_frames():
    with refuses("one frame", "two"):
        neighbor_correlation(noise(2, 1, 8, 8, 3))
    with refuses("5 axes"):
        neighbor_correlation(noise(4, 8, 8, 3))


def test_the_controls_are_ordered_on_real_clips(real):
    score, mixed = neighbor_correlation(real), neighbor_correlation(shuffled(real, 0))
    assert (neighbor_correlation(frozen(real)) == 1).all()
    assert (score < 1).all()
    assert (mixed < score).all()  # clip by clip
    assert score.min() > 0.9


# ------------------------------------------------------------------------------------ baselines and controls


def test_repeat_last_repeats_the_last():
    clips = noise(2, 3, 4, 4, 1)
    ahead = repeat_last(clips, 5)
    assert ahead.shape == (2, 5, 4, 4, 1)
    assert ahead.dtype == np.float32
    for time in range(5):
        np.testing.assert_array_equal(ahead[:, time], clips[:, 2])
    with refuses("time", "0"):
        repeat_last(clips, 0)
    with refuses("given", "5 axes"):
        repeat_last(clips[0], 3)


def test_mean_clip_is_the_mean_over_clips_in_place_of_each():
    clips = noise(5, 3, 4, 4, 3)
    mean = mean_clip(clips)
    assert mean.shape == clips.shape
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, np.broadcast_to(clips.astype(float).mean(axis=0), clips.shape), atol=1e-7)
    # No other single answer has a smaller squared error.
    error = np.square(clips - mean).mean()
    assert all(np.square(clips - mean - step).mean() > error for step in (0.01, -0.01))
    mean[0] = 0  # its own memory, clip by clip
    assert mean[1].any()


def test_frozen_stands_still_at_the_first_frame():
    clips = noise(2, 3, 4, 4, 1)
    still = frozen(clips)
    assert still.shape == clips.shape
    for time in range(3):
        np.testing.assert_array_equal(still[:, time], clips[:, 0])


def test_shuffled_keeps_every_frame_and_loses_their_order():
    clips = np.stack([steps(20), steps(20)])
    mixed = shuffled(clips, seed=0)
    np.testing.assert_array_equal(np.sort(mixed, axis=1), clips)  # flat frames: sorted is the old order
    assert (mixed != clips).any()
    assert (mixed[0] != mixed[1]).any()  # each clip has an order of its own
    np.testing.assert_array_equal(mixed, shuffled(clips, seed=0))
    assert (mixed != shuffled(clips, seed=1)).any()
    np.testing.assert_array_equal(clips, np.stack([steps(20), steps(20)]))  # the input stays
    whole = shuffled(noise(1, 6, 5, 5, 3), seed=0)[0]  # whole frames move, not pixels
    assert {frame.tobytes() for frame in whole} == {frame.tobytes() for frame in noise(6, 5, 5, 3)}


@pytest.mark.parametrize("function", [mean_clip, frozen, lambda clips: shuffled(clips, 0)])
def test_controls_refuse_what_is_no_batch_of_clips(function):
    with refuses("5 axes"):
        function(smooth(3, 8, 8))
    with refuses("empty"):
        function(np.zeros((0, 3, 8, 8, 3), np.float32))
    with refuses("float32"):
        function(np.zeros((1, 3, 8, 8, 3)))


@pytest.mark.parametrize("seed", [-1, 0.5, None, True])
def test_shuffled_refuses_bad_seeds(seed):
    with refuses("seed", repr(seed)):
        shuffled(noise(1, 3, 4, 4, 1), seed)


# --------------------------------------------------------------------------------------------------- claim


@pytest.mark.parametrize(
    ("value", "claims", "text"),
    [
        (30.4, {"expected": 30, "within": 0.5}, "sharpness: measured 30.4 dB, claimed 30 ± 0.5 dB ✔"),
        (30.4, {"at_least": 30}, "sharpness: measured 30.4 dB, claimed at least 30 dB ✔"),
        (
            30.4,
            {"at_most": 30.4, "at_least": 1},
            "sharpness: measured 30.4 dB, claimed at least 1 dB, at most 30.4 dB ✔",
        ),
    ],
)
def test_a_claim_that_holds_prints_the_number_and_the_claim(capsys, value, claims, text):
    claim("sharpness", value, unit="dB", **claims)
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize(
    ("value", "claims"),
    [
        (30.6, {"expected": 30, "within": 0.5}),
        (29.4, {"expected": 30, "within": 0.5}),
        (29.9, {"at_least": 30}),
        (30.1, {"at_most": 30}),
        (30.1, {"at_least": 30, "at_most": 30.05}),
        (np.nan, {"expected": 30, "within": 0.5}),
        (np.nan, {"at_least": 30}),
        (np.nan, {"at_most": 30}),
    ],
)
def test_a_claim_that_does_not_hold_stops_and_says_what_was_measured(capsys, value, claims):
    with refuses("sharpness", f"{value:.4g} dB", "30", error=AssertionError):
        claim("sharpness", value, unit="dB", **claims)
    assert capsys.readouterr().out == ""


def test_a_claim_of_nothing_is_refused():
    with refuses("claims nothing"):
        claim("sharpness", 3)
    for half in ({"expected": 3}, {"within": 3}, {"expected": 3, "at_least": 2}, {"expected": 3, "within": np.inf}):
        with refuses("both or none"):
            claim("sharpness", 3, **half)
    with refuses("one number"):
        claim("sharpness", np.zeros(3), at_least=0)


def test_metrics_know_nothing_of_networks():
    assert not hasattr(metrics, "keras")
    assert not hasattr(metrics, "tf")
