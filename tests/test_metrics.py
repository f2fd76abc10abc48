"""Metrics: each measure against its closed form, and on controls whose order is known."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from conftest import noise, refuses, smooth, steps
from scipy.linalg import sqrtm
from scipy.stats import norm

from vidgen_tf import metrics
from vidgen_tf.metrics import (
    backwards,
    bits_per_dimension,
    bootstrap_interval,
    claim,
    correlation,
    coverage,
    endpoint_error,
    flicker,
    flicker_ratio,
    frechet_distance,
    frozen,
    mean_clip,
    mode_coverage,
    motion_smoothness,
    nearest,
    neighbor_correlation,
    object_permanence,
    polynomial_mmd,
    precision_recall,
    psnr,
    repeat_last,
    shuffled,
    ssim,
    warping_error,
)
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.footage import SOURCES, Footage
from vidgen_tf.worlds.shapes import GRAYS, Shapes

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


# ---------------------------------------------------------------------------------------------------- ssim


def ssim_of_window(a: np.ndarray, b: np.ndarray) -> float:
    """Equations 13 to 16 of the paper for one window of 11 × 11 pixels, in whose scale black is 0 and white 2."""
    a, b = a.astype(float) + 1, b.astype(float) + 1
    bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(bell, bell) / bell.sum() ** 2
    first, second = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    x, y = (weight * a).sum(), (weight * b).sum()
    xx, yy, xy = ((weight * (c - z) * (d - w)).sum() for c, z, d, w in ((a, x, a, x), (b, y, b, y), (a, x, b, y)))
    return (2 * x * y + first) * (2 * xy + second) / ((x**2 + y**2 + first) * (xx + yy + second))


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_of_one_window_equals_the_formula(channels):
    one = noise(2, 3, 11, 11, channels)
    other = (0.5 * one + 0.5 * noise(2, 3, 11, 11, channels, seed=1)).astype(np.float32)
    windows = [
        [[ssim_of_window(a[..., c], b[..., c]) for c in range(channels)] for a, b in zip(*clips, strict=True)]
        for clips in zip(one, other, strict=True)
    ]
    expected = np.mean(windows, axis=(1, 2))
    assert (expected > 0.2).all()  # the two are related
    scores = ssim(one, other)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


@pytest.mark.parametrize(("a", "b"), [(-1, 1), (-0.05, 0.05), (0, 0.5), (-1, -0.9)])
def test_ssim_of_flat_frames_is_that_of_their_brightness(a, b):
    one, other = (np.full((1, 2, 16, 12, 3), level, np.float32) for level in (a, b))
    x, y, c = a + 1, b + 1, 0.02**2
    np.testing.assert_allclose(ssim(one, other), (2 * x * y + c) / (x**2 + y**2 + c), rtol=1e-5)


def test_ssim_of_copies_and_of_unrelated_noise():
    one, other = noise(2, 3, 48, 48, 3), noise(2, 3, 48, 48, 3, seed=1)
    np.testing.assert_allclose(ssim(one, one), 1, rtol=1e-12)
    np.testing.assert_allclose(ssim(one, other), ssim(other, one), rtol=1e-12)
    # The structure of two windows of noise agrees as 0 ± 0.2 (28 pixels weigh as much as the window), the mean of
    # 6 · 9 separate windows in 3 channels as 0 ± 0.02; four of these.
    np.testing.assert_allclose(ssim(one, other), 0, atol=0.08)


def test_ssim_falls_with_noise_and_sees_what_psnr_does_not(real):
    clips, sign = real * np.float32(0.7), np.sign(noise(*real.shape))
    scores = [ssim(clips, clips + np.float32(level) * sign) for level in (0.02, 0.05, 0.1, 0.2)]
    assert all((less > more).all() for less, more in pairwise(scores))
    brighter, noisy = clips + np.float32(0.1), clips + np.float32(0.1) * sign
    np.testing.assert_allclose(psnr(clips, brighter), psnr(clips, noisy), atol=1e-3)  # the same error in each pixel
    assert (ssim(clips, brighter) > ssim(clips, noisy)).all()


def test_ssim_refuses_what_cannot_be_compared():
    clips = noise(2, 2, 12, 12, 1)
    with refuses("(2, 2, 12, 12, 1)", "(1, 2, 12, 12, 1)", "equal shapes"):
        ssim(clips, clips[:1])
    with refuses("(12, 10)", "11 × 11"):
        ssim(clips[..., :10, :], clips[..., :10, :])
    with refuses("generated", "float64"):
        ssim(clips, clips.astype(float))


# ---------------------------------------------------------------------------------------- frechet_distance


def cloud(count: int, mean, covariance, seed: int = 0) -> np.ndarray:
    """Features (count, size) whose sample mean and sample covariance are these, to the last digits."""
    covariance = np.atleast_2d(covariance)
    points = np.random.default_rng(seed).normal(size=(count, len(covariance)))
    points -= points.mean(axis=0)
    white = np.linalg.solve(np.linalg.cholesky(np.cov(points, rowvar=False).reshape(covariance.shape)), points.T)
    return (np.linalg.cholesky(covariance) @ white).T + mean


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
    ("mean", "spread", "other_mean", "other_spread"), [(0, 1, 0, 1), (1, 2, -3, 0.5), (5, 0.1, 5, 3)]
)
def test_frechet_distance_of_two_gaussians_in_one_dimension(mean, spread, other_mean, other_spread):
    one, other = cloud(20, mean, spread**2), cloud(31, other_mean, other_spread**2, seed=1)
    expected = (mean - other_mean) ** 2 + (spread - other_spread) ** 2
    np.testing.assert_allclose(frechet_distance(one, other), expected, atol=1e-9)
    np.testing.assert_allclose(frechet_distance(other, one), expected, atol=1e-9)


def test_frechet_distance_of_gaussians_with_the_same_axes():
    axes = np.linalg.qr(normals(4, 4))[0]
    one, other = np.array([1, 4, 0.25, 9]), np.array([4, 1, 2.25, 9])
    expected = ((np.sqrt(one) - np.sqrt(other)) ** 2).sum()
    clouds = cloud(30, 0, axes * one @ axes.T), cloud(30, 0, axes * other @ axes.T, seed=1)
    np.testing.assert_allclose(frechet_distance(*clouds), expected, atol=1e-9)


def test_frechet_distance_of_moved_scaled_and_turned_sets():
    real = normals(50, 6) @ normals(6, 6, seed=1)
    assert isinstance(frechet_distance(real, real), float)
    np.testing.assert_allclose(frechet_distance(real, real), 0, atol=1e-6)
    shift = np.arange(6) / 4
    np.testing.assert_allclose(frechet_distance(real, real + shift), shift @ shift, rtol=1e-6)
    centered = real - real.mean(axis=0)
    for scale in (0.5, 3):
        expected = (scale - 1) ** 2 * np.trace(np.cov(real, rowvar=False))
        np.testing.assert_allclose(frechet_distance(centered, scale * centered), expected, rtol=1e-6)
    other, turn = normals(40, 6, seed=2), np.linalg.qr(normals(6, 6, seed=3))[0]
    np.testing.assert_allclose(frechet_distance(real @ turn, other @ turn), frechet_distance(real, other), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 12])
def test_frechet_distance_equals_the_definition_with_scipys_root(size):
    real = normals(60, size) @ normals(size, size, seed=1)
    generated = 1 + normals(45, size, seed=2) @ normals(size, size, seed=3)
    spread, other = (np.cov(features, rowvar=False).reshape(size, size) for features in (real, generated))
    apart = real.mean(axis=0) - generated.mean(axis=0)
    expected = apart @ apart + np.trace(spread + other - 2 * sqrtm(spread @ other).real)
    np.testing.assert_allclose(frechet_distance(real, generated), expected, rtol=1e-8)


def test_frechet_distance_with_fewer_clips_than_features():
    real, zeros = normals(5, 8), np.zeros((5, 8))
    # The root of an eigenvalue that is 0 but for rounding, 1e-16, is 1e-8; there are a few of them.
    np.testing.assert_allclose(frechet_distance(real, real), 0, atol=1e-6)
    centered = real - real.mean(axis=0)
    expected = 4 * np.trace(np.cov(real, rowvar=False))
    np.testing.assert_allclose(frechet_distance(centered, 3 * centered), expected, rtol=1e-6)
    one, other = np.hstack([centered, zeros]), np.hstack([zeros, centered])  # in planes at right angles: C C' = 0
    expected = 2 * np.trace(np.cov(real, rowvar=False))
    np.testing.assert_allclose(frechet_distance(one, other), expected, rtol=1e-6)
    np.testing.assert_allclose(frechet_distance(zeros, zeros + 2), 8 * 4, rtol=1e-12)  # no spread at all


# ------------------------------------------------------------------------------------------ polynomial_mmd


def discrepancy(real: np.ndarray, generated: np.ndarray) -> float:
    """The definition: the mean over pairs i ≠ j of k(x, x') + k(y, y') - k(x, y') - k(x', y), by a double loop."""

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    x, y, many = real.tolist(), generated.tolist(), range(len(real))
    return np.mean(
        [
            kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i])
            for i in many
            for j in many
            if i != j
        ]
    )


@pytest.mark.parametrize(("count", "size"), [(3, 1), (4, 2), (7, 5)])
def test_mmd_equals_the_double_loop_and_its_jackknife(count, size):
    real, generated = normals(count, size), 0.5 + normals(count, size, seed=1)
    estimate, error = polynomial_mmd(real, generated)
    assert isinstance(estimate, float)
    assert isinstance(error, float)
    np.testing.assert_allclose(estimate, discrepancy(real, generated), rtol=1e-10)
    kept = [list(those) for those in combinations(range(count), count - 1)]  # each pair of clips left out once
    without = np.array([discrepancy(real[those], generated[those]) for those in kept])
    expected = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    np.testing.assert_allclose(error, expected, rtol=1e-9)


def pairs_of_sets(times: int, count: int, shift: float) -> np.ndarray:
    """Independent pairs of sets of normal features, (times, 2, count, 3); the second of each pair is moved."""
    return normals(times, 2, count, 3) + np.array([0, shift])[:, None, None]


def test_mmd_is_unbiased_where_the_plain_mean_is_not():
    pairs = pairs_of_sets(1500, 10, 0)
    estimates, errors = np.transpose([polynomial_mmd(*pair) for pair in pairs])
    assert estimates.min() < 0
    assert abs(estimates.mean()) < 4 * estimates.std() / np.sqrt(1500)
    # With i = j too, a tenth of 2 E k(x, x) - 2 E k(x, y) comes on top. |x|² / 3 has the moments 1, 5/3 and 35/9,
    # so that E k(x, x) = 35/9 + 3 · 5/3 + 3 + 1; and E k(x, y) = 1 + 3 · 1/3.
    x, y = pairs[:, 0], pairs[:, 1]
    xx, yy, xy = ((a @ b.swapaxes(1, 2) / 3 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    plain = (xx + yy - 2 * xy).mean(axis=(1, 2))
    np.testing.assert_allclose(plain.mean(), (35 / 9 + 9 - 2) / 5, atol=4 * plain.std() / np.sqrt(1500))
    # For sets of one kind the jackknife errs by √2: it counts each pair of clips for both of them.
    np.testing.assert_allclose(np.sqrt(np.mean(errors**2)) / estimates.std(), np.sqrt(2), rtol=0.2)


def test_the_standard_error_of_mmd_is_the_spread_of_the_estimates():
    estimates, errors = np.transpose([polynomial_mmd(*pair) for pair in pairs_of_sets(400, 100, 1.5)])
    # The spread of 400 numbers is known to 1 / √800 = 3.5 %; of four of these, and the heavy tails of a cube.
    np.testing.assert_allclose(np.sqrt(np.mean(errors**2)), estimates.std(), rtol=0.2)
    assert (estimates > 4 * errors).all()


def test_mmd_of_the_same_clips_in_the_same_order_is_0():
    assert polynomial_mmd(normals(6, 3), normals(6, 3)) == (0, 0)


# ------------------------------------------------------------------------------ precision, recall, coverage


def by_loops(real: np.ndarray, generated: np.ndarray, neighbors: int) -> tuple[float, float, float]:
    """Precision, recall and coverage by their definitions, one pair at a time."""

    def apart(a, b):
        return math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)))

    def reach(features, i):
        return sorted(apart(features[i], other) for j, other in enumerate(features) if j != i)[neighbors - 1]

    real, generated = real.tolist(), generated.tolist()
    reaches, others = ([reach(one, i) for i in range(len(one))] for one in (real, generated))
    inside = [any(apart(x, y) <= r for x, r in zip(real, reaches, strict=True)) for y in generated]
    found = [any(apart(x, y) <= r for y, r in zip(generated, others, strict=True)) for x in real]
    covered = [any(apart(x, y) <= r for y in generated) for x, r in zip(real, reaches, strict=True)]
    return sum(inside) / len(inside), sum(found) / len(found), sum(covered) / len(covered)


def test_bootstrap_intervals_have_the_width_of_the_closed_form():
    dice = np.random.default_rng(3)
    real, made = dice.normal(0, 1, (400, 1)), dice.normal(0, 2, (900, 1))
    low, high = bootstrap_interval(lambda a, b: float(b.mean() - a.mean()), real, made, rounds=2000)
    error = np.sqrt(real.var() / 400 + made.var() / 900)
    np.testing.assert_allclose(high - low, 2 * norm.ppf(0.95) * error, rtol=0.08)  # 2,000 draws know an end to 4 %
    assert abs((high + low) / 2 - (made.mean() - real.mean())) < 0.1 * error
    narrow = bootstrap_interval(lambda a, b: float(b.mean() - a.mean()), real, made, rounds=2000, share=0.5)
    np.testing.assert_allclose(narrow[1] - narrow[0], 2 * norm.ppf(0.75) * error, rtol=0.08)


def test_bootstrap_intervals_of_a_frechet_distance_are_not_shifted_by_what_is_drawn_twice():
    dice = np.random.default_rng(4)
    # Of two Gaussians one deviation apart: |m - m'|², whose standard error is 2 · √(2 / count) by the delta method.
    real, made = dice.normal(0, 1, (2000, 1)), dice.normal(1, 1, (2000, 1))
    low, high = bootstrap_interval(frechet_distance, real, made, rounds=1000)
    np.testing.assert_allclose(high - low, 2 * norm.ppf(0.95) * 2 * np.sqrt(2 / 2000), rtol=0.15)
    assert low < 1 < high
    # In many dimensions sets drawn with replacement are farther apart than those that they are drawn from.
    few = dice.normal(0, 1, (60, 30)), dice.normal(0, 1, (60, 30))
    low, high = bootstrap_interval(frechet_distance, *few)
    assert low < frechet_distance(*few) < high


def test_bootstrap_intervals_hold_what_they_promise():
    dice, held = np.random.default_rng(5), 0
    for number in range(200):
        real, made = dice.normal(0, 1, 40), dice.normal(0.3, 1, 40)
        low, high = bootstrap_interval(lambda a, b: float(b.mean() - a.mean()), real, made, rounds=100, seed=number)
        held += low <= 0.3 <= high
    assert 0.82 < held / 200 < 0.96  # 90 % promised; small sets make intervals a little too narrow


def test_bootstrap_intervals_are_the_same_for_the_same_seed():
    sets = noise(20, 3, seed=1), noise(20, 3, seed=2)
    assert bootstrap_interval(frechet_distance, *sets) == bootstrap_interval(frechet_distance, *sets)
    assert bootstrap_interval(frechet_distance, *sets) != bootstrap_interval(frechet_distance, *sets, seed=1)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"rounds": 9}, ["rounds", "9"]), ({"share": 0}, ["share"]), ({"share": 1}, ["share"]), ({"seed": -1}, ["seed"])],
)
def test_bootstrap_intervals_refuse_what_they_cannot_do(more, words):
    with refuses(*words):
        bootstrap_interval(frechet_distance, noise(20, 3), noise(20, 3), **more)
    with refuses("at least 2"):
        bootstrap_interval(frechet_distance, noise(20, 3), noise(1, 3))


@pytest.mark.parametrize("neighbors", [1, 3, 5])
@pytest.mark.parametrize("kind", ["other", "memory", "grid"])
def test_precision_recall_and_coverage_equal_the_loops(neighbors, kind):
    real, generated = normals(40, 4), 0.4 + 0.8 * normals(30, 4, seed=1)
    if kind == "memory":  # copies of clips: the distance to some is that to the k-th nearest, to the last bit
        generated = real[:12]
    elif kind == "grid":  # many distances are equal
        real, generated = np.rint(2 * real), np.rint(2 * generated)
    precision, recall, covered = by_loops(real, generated, neighbors)
    np.testing.assert_allclose(precision_recall(real, generated, neighbors), (precision, recall), rtol=1e-12)
    np.testing.assert_allclose(coverage(real, generated, neighbors), covered, rtol=1e-12)
    if kind == "grid":  # far from 0 nothing changes, and whole numbers stay whole
        far = real + 2.0**40, generated + 2.0**40
        assert precision_recall(*far, neighbors) == precision_recall(real, generated, neighbors)
        assert coverage(*far, neighbors) == coverage(real, generated, neighbors)


def modes(count: int, each: int = 20) -> np.ndarray:
    """Features (count · each, 2): dense crowds, far from each other."""
    return np.concatenate([normals(each, 2, seed=mode) + 1000 * mode for mode in range(count)])


def test_half_of_the_modes_is_half_of_recall_and_coverage():
    real = modes(4)
    assert precision_recall(real, real) == (1, 1)
    assert coverage(real, real) == 1
    assert precision_recall(real, modes(2)) == (1, 0.5)
    assert precision_recall(modes(2), real) == (0.5, 1)  # and half of what is generated is not real
    assert coverage(real, modes(2)) == 0.5
    assert precision_recall(real, real + 1e6) == (0, 0)
    assert coverage(real, real + 1e6) == 0


def test_a_stray_clip_raises_recall_but_not_coverage():
    real = modes(2)
    generated = np.concatenate([modes(1), [[1e5, 1e5]]])  # its ball reaches back to all
    assert precision_recall(real, generated) == (20 / 21, 1)
    assert coverage(real, generated) == 0.5


@pytest.mark.parametrize(("count", "others", "neighbors"), [(8, 8, 1), (8, 8, 3), (6, 12, 2), (9, 6, 5)])
def test_coverage_expected_of_two_draws_of_one_kind(count, others, neighbors):
    # Not covered: of the count - 1 + others clips around a real one, the k nearest are real. All orders are equally
    # likely, so the first is real with (count - 1) / (count + others - 1), the second with one less of each, …
    missed = math.prod((count - i) / (count + others - i) for i in range(1, neighbors + 1))
    points = normals(1500, count + others, 2)
    scores = np.array([coverage(each[:count], each[count:], neighbors) for each in points])
    assert abs(scores.mean() - (1 - missed)) < 4 * scores.std() / np.sqrt(1500)


FEATURES = [frechet_distance, polynomial_mmd, precision_recall, coverage]


@pytest.mark.parametrize("function", FEATURES)
def test_features_of_any_kind_of_number_do(function):
    real, generated = np.rint(20 * normals(12, 2)), np.rint(20 * normals(12, 2, seed=1))
    same = function(real.astype(np.int8), generated.astype(np.float32))  # int8 would overflow
    np.testing.assert_allclose(same, function(real, generated), rtol=1e-12)


@pytest.mark.parametrize("function", FEATURES)
def test_features_that_cannot_be_compared_are_refused(function):
    real = normals(12, 3)
    with refuses("generated", "(12, 2)", "(count, 3)"):
        function(real, real[:, :2])
    with refuses("real", "(12,)", "(count, size)"):
        function(real[:, 0], real[:, 0])
    with refuses("generated", "(1, 3)", "clips were expected"):
        function(real, real[:1])
    with refuses("real", "(12, 0)"):
        function(real[:, :0], real[:, :0])
    for value in (np.nan, np.inf):
        with refuses("generated", "NaN or infinite"):
            function(real, np.where(real == real[3, 1], value, real))


def test_too_few_or_unequal_counts_are_refused():
    real = normals(12, 3)
    with refuses("12 and 11", "equally many"):
        polynomial_mmd(real, real[:11])
    with refuses("2 and 2", "at least 3"):
        polynomial_mmd(real[:2], real[:2])
    for function, neighbors in ((precision_recall, 4), (coverage, 6)):
        with refuses("generated", f"({neighbors}, 3)", f"more than {neighbors}"):
            function(real, real[:neighbors], neighbors)
        for bad in (0, 1.5, True):
            with refuses("neighbors", repr(bad)):
                function(real, real, bad)


# ------------------------------------------------------------------------------------ nearest, mode_coverage


def test_nearest_equals_the_loop():
    clips, among = noise(5, 3, 4, 4, 3), noise(9, 3, 4, 4, 3, seed=1)
    roots = np.sqrt([[np.mean((one.astype(float) - other) ** 2) for other in among] for one in clips])
    for shape in ((3, 4, 4, 3), (-1,)):
        index, apart = nearest(clips.reshape(5, *shape), among.reshape(9, *shape))
        np.testing.assert_array_equal(index, roots.argmin(axis=1))
        np.testing.assert_allclose(apart, roots.min(axis=1), rtol=1e-12)


def test_nearest_finds_copies_and_the_distance_of_changed_ones():
    among = noise(20, 2, 8, 8, 1) * np.float32(0.5)
    index, apart = nearest(among[[7, 3, 3]], among)
    assert index.tolist() == [7, 3, 3]
    assert (apart == 0).all()  # exactly: it is a copy
    index, apart = nearest(among[::-1] + np.float32(0.125), among)
    np.testing.assert_array_equal(index, np.arange(20)[::-1])
    np.testing.assert_allclose(apart, 0.125, rtol=1e-6)
    features = 1e8 + normals(20, 4)  # far from 0, where squares have few digits left
    assert nearest(features + 1e-3, features)[0].tolist() == list(range(20))
    assert nearest(np.uint8([[250]]), np.uint8([[5], [200]]))[1] == 50  # no overflow


def test_nearest_refuses_arrays_that_do_not_fit():
    clips = noise(2, 3, 4, 4, 1)
    with refuses("(2, 3, 4, 4, 1)", "(2, 3, 4, 4)"):
        nearest(clips, clips[..., 0])
    with refuses("(0, 3, 4, 4, 1)"):
        nearest(clips, clips[:0])
    with refuses("(2,)"):
        nearest(np.zeros(2), np.zeros(2))
    for pair in ((clips * np.float32(np.nan), clips), (clips, np.full_like(clips, np.inf))):
        with refuses("NaN or infinite"):
            nearest(*pair)


def test_mode_coverage_counts_each_mode_once():
    assert mode_coverage(np.array([0, 2, 2, -1, 2]), 4) == 0.5
    assert mode_coverage(np.arange(7, dtype=np.uint8), 7) == 1
    assert mode_coverage(np.array([-1, -1]), 3) == 0
    assert mode_coverage(np.zeros(0, int), 3) == 0


@pytest.mark.parametrize(("count", "many"), [(1, 5), (12, 8), (40, 10)])
def test_mode_coverage_expected_of_fair_draws(count, many):
    found = np.random.default_rng(0).integers(0, many, (2000, count))
    scores = np.array([mode_coverage(each, many) for each in found])
    # A mode is missed by n draws with (1 - 1/N)^n.
    assert abs(scores.mean() - (1 - (1 - 1 / many) ** count)) <= 4 * scores.std() / np.sqrt(2000) + 1e-12


def test_mode_coverage_refuses_what_are_no_modes():
    for found in ([0, 4], [-2, 0]):
        with refuses("found", str(found), "from -1 to 3"):
            mode_coverage(np.array(found), 4)
    for found in ([0.0, 1.0], [True, False]):
        with refuses("found", "whole numbers"):
            mode_coverage(np.array(found), 4)
    with refuses("modes", "0"):
        mode_coverage(np.array([0]), 0)


# ---------------------------------------------------------------------------------------------- correlation


def test_correlation_is_that_of_numpy_and_nan_where_nothing_moves():
    one, other = np.random.default_rng(0).standard_normal((2, 5, 9))
    expected = [np.corrcoef(*pair)[0, 1] for pair in zip(one, other, strict=True)]
    np.testing.assert_allclose(correlation(one, other), expected, rtol=1e-12)
    assert np.isnan(correlation(np.ones(9), other[0]))


# -------------------------------------------------------------------------------------- bits_per_dimension


def test_bits_of_an_even_density_are_those_of_the_levels():
    values = 7
    even = np.full(3, -values * math.log(2))  # a density of 1/2 over [-1, 1]
    scores = bits_per_dimension(even, values)
    assert (scores.shape, scores.dtype) == ((3,), np.float64)
    np.testing.assert_allclose(scores, math.log2(255), rtol=1e-12)  # 256 levels have 255 steps between them
    assert "7.994" in bits_per_dimension.__doc__
    assert math.log2(255) == pytest.approx(7.994, abs=5e-4)


def test_bits_are_what_the_levels_of_a_gaussian_cost():
    law, step = norm(0, 0.2), 2 / 255
    clips = np.round(np.random.default_rng(0).normal(0, 0.2, (50, 6)) / step - 0.5) * step + step / 2  # at exact levels
    share = law.cdf(clips + step / 2) - law.cdf(clips - step / 2)
    # Over a level the density bends by (step / σ)² / 24 · (z² - 1), z = x / σ: at z = 4 that is 0.001 nats.
    scores = bits_per_dimension(law.logpdf(clips).sum(axis=1), 6)
    np.testing.assert_allclose(scores, -np.log2(share).mean(axis=1), atol=0.001 / math.log(2))


def test_bits_of_many_values_grow_with_what_a_clip_costs():
    scores = bits_per_dimension([-np.inf, -20, 0, 30], 10)
    assert scores[0] == np.inf
    np.testing.assert_allclose(np.diff(scores[1:]), [-2 / math.log(2), -3 / math.log(2)])
    np.testing.assert_array_equal(scores, bits_per_dimension(np.array([-np.inf, -20, 0, 30], np.float32), 10))


@pytest.mark.parametrize("bad", [[np.nan], [np.inf, 0.0], [], [[0.0]], 3.0])
def test_bits_refuse_what_is_no_log_prob_of_clips(bad):
    with refuses("log_prob", "one number a clip"):
        bits_per_dimension(bad, 10)


@pytest.mark.parametrize("bad", [0, 2.5, True, None])
def test_bits_refuse_what_is_no_number_of_values(bad):
    with refuses("values", repr(bad), "whole number"):
        bits_per_dimension([0.0], bad)


# ------------------------------------------------------------------------------------------------- flicker


def test_flicker_of_what_is_known():
    fade = np.linspace(-1, 1, 9, dtype=np.float32)[:, None, None, None] * np.abs(noise(2, 1, 5, 4, 3))
    np.testing.assert_allclose(flicker(fade), 0, atol=1e-6)  # a steady fade, of another pace in each pixel
    sign = np.float32([1, -1, 1, -1, 1])[:, None, None, None]
    jumps = np.float32([0.1, 0.25])[:, None, None, None, None] * np.broadcast_to(sign, (5, 5, 4, 3))
    np.testing.assert_allclose(flicker(jumps), [0.4, 1], rtol=1e-6)  # ±a: a + 2a + a
    flash = np.zeros((1, 6, 1, 1, 1), np.float32)
    flash[0, 2] = 0.5  # of the 4 second differences, three are 0.5, -1, 0.5
    np.testing.assert_allclose(flicker(flash), np.sqrt(1.5 / 4), rtol=1e-6)
    wave = 0.9 * np.cos(0.3 * np.arange(40) + 1)  # the second difference of a wave is -(2 - 2 cos ω) times itself
    clip = wave.astype(np.float32)[None, :, None, None, None]
    expected = (2 - 2 * np.cos(0.3)) * np.sqrt(np.mean(wave[1:-1] ** 2))
    np.testing.assert_allclose(flicker(clip), expected, rtol=1e-5)


def test_flicker_of_independent_noise_is_root_6_of_its_spread():
    # 1² + 2² + 1² = 6; the spread of uniform pixels in [-1, 1] is 1 / √3. The 60,000 squares depend on each other
    # within a pixel's time: their mean is known to better than 3 %, its root to 1.5 %.
    scores = flicker(noise(3, 66, 32, 32, 1))
    assert scores.shape == (3,)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, np.sqrt(6 / 3), rtol=0.02)


def test_flicker_orders_the_controls_on_real_clips(real):
    score = flicker(real)
    assert (flicker(frozen(real)) == 0).all()
    assert (score > 0).all()
    assert (flicker(shuffled(real, 0)) > score).all()
    np.testing.assert_allclose(flicker(backwards(real)), score, rtol=1e-12)  # it has no direction


def test_flicker_refuses_two_frames():
    with refuses("2 frames", "three"):
        flicker(noise(2, 2, 8, 8, 3))
    with refuses("5 axes"):
        flicker(noise(4, 8, 8, 3))


# ------------------------------------------------------------------------------------------- warping_error


def moved(shifts, shape=(12, 14, 3)) -> tuple[np.ndarray, np.ndarray]:
    """A clip of noise that moves by whole pixels (x, y) from frame to frame, wrapped around, and its flow."""
    frames = [noise(*shape)]
    for x, y in shifts:
        frames.append(np.roll(frames[-1], (x, y), axis=(1, 0)))
    flow = np.broadcast_to(np.array(shifts, float)[:, None, None], (len(shifts), *shape[:2], 2))
    return np.stack(frames)[None], flow[None].copy()


def inside(clips: np.ndarray, border: int) -> np.ndarray:
    """The pixels that are away from the border, for each frame but the first."""
    where = np.zeros((len(clips), clips.shape[1] - 1, *clips.shape[2:4]), bool)
    where[:, :, border:-border, border:-border] = True
    return where


def test_warping_error_of_whole_pixels_is_0():
    parts = [moved([(1, 0), (0, -2), (3, 1)]), moved([(0, 0), (-1, 0), (2, -3)])]  # each step its own flow
    clips, flow = (np.concatenate(both) for both in zip(*parts, strict=True))
    where = inside(clips, 3)
    np.testing.assert_array_equal(warping_error(clips, flow, where), 0)
    assert (warping_error(clips, -flow, where) > 0.3).all()
    assert (warping_error(clips, flow[..., ::-1], where) > 0.3).all()  # x is not y
    assert (warping_error(clips, flow) > 0.1).all()  # what came in at the border was not there
    assert (warping_error(clips, flow.astype(int), where) == 0).all()


def test_warping_error_of_parts_of_pixels_is_0():
    first = noise(1, 1, 12, 14, 3)
    half = (first + np.roll(first, 1, axis=3)) / 2  # moved to the right by half a pixel
    both = (half + np.roll(half, -1, axis=2)) / 2  # and then up
    clips = np.concatenate([first, both], axis=1)
    flow = np.broadcast_to(np.array([0.5, -0.5]), (1, 1, 12, 14, 2))
    np.testing.assert_allclose(warping_error(clips, flow, inside(clips, 1)), 0, atol=1e-7)
    # A slope is moved right by any part of a pixel: x y + x is linear between pixels along both axes.
    y, x = np.mgrid[:12, :14] / 14 - 0.5
    slide = [((x - dx / 14) * (y - dy / 14) + (x - dx / 14)) for dx, dy in ((0, 0), (0.3, 0.8), (-0.4, 2.05))]
    clips = np.stack(slide)[None, ..., None].astype(np.float32)
    flow = np.broadcast_to(np.array([[0.3, 0.8], [-0.7, 1.25]])[:, None, None], (2, 12, 14, 2))[None]
    np.testing.assert_allclose(warping_error(clips, flow, inside(clips, 2)), 0, atol=1e-6)


def test_flicker_ratio_is_that_of_the_warping_errors():
    source, flow = noise(2, 3, 8, 8, 3), np.zeros((2, 2, 8, 8, 2), np.float32)
    np.testing.assert_allclose(flicker_ratio(source, source, flow), 1)
    np.testing.assert_allclose(flicker_ratio(source / 2, source, flow), 0.5, rtol=1e-6)
    where = np.zeros((2, 2, 8, 8), bool)
    where[0, :, 2:5] = True
    found = flicker_ratio(frozen(source), source, flow, where)
    assert found[0] == 0
    assert np.isnan(found[1])  # nothing counts
    assert np.isnan(flicker_ratio(source, frozen(source), flow)).all()  # a source that stands still has no flicker
    with refuses("real has shape", "equal shapes"):
        flicker_ratio(source[:1], source, flow)


def test_warping_error_takes_the_border_for_what_is_beyond():
    still = np.repeat(noise(1, 1, 6, 8, 1), 2, axis=1)
    for flow, index in (
        ((99, 0), np.s_[:, :1]),
        ((-99, 0), np.s_[:, -1:]),
        ((0, 99), np.s_[:1]),
        ((0, -99), np.s_[-1:]),
    ):
        difference = still[0, 0].astype(float) - still[0, 0][index]
        error = warping_error(still, np.broadcast_to(np.array(flow), (1, 1, 6, 8, 2)))
        np.testing.assert_allclose(error, np.sqrt(np.mean(difference**2)), rtol=1e-6)
    for height, width in ((1, 5), (5, 1), (1, 1)):
        thin = np.repeat(noise(1, 1, height, width, 1), 2, axis=1)
        assert warping_error(thin, np.zeros((1, 1, height, width, 2))) == 0


@pytest.mark.filterwarnings("error")
def test_warping_error_counts_where_it_is_told_to():
    clips = np.zeros((3, 3, 4, 4, 1), np.float32)
    clips[:, 1:, 1, 2] = 0.5  # one pixel differs, once
    flow, where = np.zeros((3, 2, 4, 4, 2)), np.ones((3, 2, 4, 4), bool)
    where[1, :, 1, 2] = False
    where[2] = False
    np.testing.assert_allclose(warping_error(clips, flow), 0.5 / np.sqrt(32), rtol=1e-12)
    np.testing.assert_allclose(warping_error(clips, flow, where), [0.5 / np.sqrt(32), 0, np.nan], rtol=1e-12)
    where[2, 0, 1, :3] = True
    np.testing.assert_allclose(warping_error(clips, flow, where)[2], 0.5 / np.sqrt(3), rtol=1e-12)


def test_warping_error_along_the_true_flow_of_shapes_is_far_below_that_of_none():
    truth = (sample := Shapes(objects=(2,)).sample(60, seed=3)).truth
    moving = np.array(["moves" in caption or "bounces" in caption for caption in sample.captions])
    mask, flow = truth["mask"], truth["flow"]
    x = np.rint(np.arange(32) - flow[..., 0]).astype(int).clip(0, 31)
    y = np.rint(np.arange(32)[:, None] - flow[..., 1]).astype(int).clip(0, 31)
    n, t = np.ogrid[:60, :15]
    where = (mask[:, 1:] > 0) & (mask[n[..., None, None], t[..., None, None], y, x] == mask[:, 1:])  # nor hidden before
    error, still = (warping_error(sample.clips, motion, where) for motion in (flow, 0 * flow))
    assert moving.sum() > 20
    assert (error < still)[moving].all()
    assert np.median((error / still)[moving]) < 0.3  # what is left: edges, which pixels cut each time anew
    assert (error < warping_error(sample.clips, -flow, where))[moving].all()


def test_warping_error_refuses_arrays_that_do_not_fit():
    clips, flow = noise(2, 3, 4, 5, 1), np.zeros((2, 2, 4, 5, 2))
    with refuses("flow", "(2, 2, 5, 4, 2)", "(2, 2, 4, 5, 2)"):
        warping_error(clips, np.zeros((2, 2, 5, 4, 2)))
    with refuses("flow", "NaN"):
        warping_error(clips, flow * np.nan)
    with refuses("where", "float64"):
        warping_error(clips, flow, np.ones((2, 2, 4, 5)))
    with refuses("where", "(2, 3, 4, 5)", "(2, 2, 4, 5)"):
        warping_error(clips, flow, np.ones((2, 3, 4, 5), bool))
    with refuses("one frame", "two"):
        warping_error(clips[:, :1], flow[:, :0])
    with refuses("5 axes"):
        warping_error(clips[0], flow[0])


# ------------------------------------------------------------------------------------------ endpoint_error


@pytest.mark.filterwarnings("error")
def test_endpoint_error_is_the_mean_distance_of_the_ends():
    true, flow = np.zeros((3, 2, 4, 5, 2)), np.zeros((3, 2, 4, 5, 2))
    flow[0] = (3, -4)  # off by 5 everywhere
    flow[1, 0, 2, 3] = (0, 8)  # off by 8 in one of 40 pixels
    true[2] = flow[2] = (7, 7)
    np.testing.assert_allclose(endpoint_error(flow, true), [5, 0.2, 0], rtol=1e-12)
    np.testing.assert_allclose(endpoint_error(true, flow), [5, 0.2, 0], rtol=1e-12)
    where = np.zeros((3, 2, 4, 5), bool)
    where[0] = where[1, 0, 2, :4] = True
    np.testing.assert_allclose(endpoint_error(flow, true, where), [5, 2, np.nan], rtol=1e-12)
    assert endpoint_error(flow.astype(np.float32), true.astype(int))[0] == 5
    assert endpoint_error(np.full((1, 1, 1, 1, 2), 16777217), np.full((1, 1, 1, 1, 2), 16777216, np.float32))[0] > 1


def test_endpoint_error_refuses_arrays_that_do_not_fit():
    flow = np.zeros((2, 2, 4, 5, 2))
    with refuses("(2, 2, 4, 5, 2)", "(2, 1, 4, 5, 2)"):
        endpoint_error(flow, flow[:, :1])
    with refuses("(2, 2, 4, 5, 2)", "(2, 2, 1, 1, 2)"):
        endpoint_error(flow, flow[:, :, :1, :1])
    with refuses("(2, 4, 5, 2)"):
        endpoint_error(flow[0], flow[0])
    with refuses("(0, 2, 4, 5, 2)"):
        endpoint_error(flow[:0], flow[:0])
    with refuses("(2, 2, 4, 5, 3)"):
        endpoint_error(*[np.zeros((2, 2, 4, 5, 3))] * 2)
    for wrong in (np.nan, np.inf):
        with refuses("NaN", "pixels per frame"):
            endpoint_error(flow, flow + wrong)
        with refuses("NaN", "pixels per frame"):
            endpoint_error(flow + wrong, flow)
    with refuses("where", "float64", "(2, 2, 4, 5)"):
        endpoint_error(flow, flow, np.ones((2, 2, 4, 5)))


# ------------------------------------------------------------------- object_permanence, motion_smoothness


def reading_of(*paths, radius: float = 2.0) -> dict[str, np.ndarray]:
    """The reading of one clip, from its things' paths (time, 2); NaN where a thing is absent."""
    position = np.stack([np.array(path, float) for path in paths], axis=1)[None]
    present = np.isfinite(position).all(-1)
    return {
        "count": present.any(axis=1).sum(axis=1),
        "present": present,
        "position": position,
        "radius": np.where(present, radius, np.nan),
    }


def line(time: int, x: float, y: float) -> np.ndarray:
    """A straight path (time, 2) at constant speed."""
    return 5.0 + np.arange(time)[:, None] * np.array([x, y])


ABSENT = np.full((8, 2), np.nan)


def changed(path: np.ndarray, frame: int, value) -> np.ndarray:
    path = path.copy()
    path[frame] = value
    return path


@pytest.mark.parametrize(
    ("paths", "permanent"),
    [
        ((line(8, 1, 2), ABSENT), True),
        ((line(8, 1, 2), line(8, -1, 0)), True),
        ((line(8, 0, 4), ABSENT), True),  # steps of twice the radius
        ((line(8, 0, 4.01), ABSENT), False),
        ((line(8, 1, 2), line(8, 3, 3)), False),
        ((changed(line(8, 1, 2), 3, np.nan), ABSENT), False),  # it vanishes in one frame
        ((line(8, 1, 2), changed(line(8, 1, 2), 0, np.nan)), False),  # the second is late
        ((line(8, 1, 2), changed(line(8, 1, 0), 7, np.nan)), False),  # the second leaves early
        ((changed(line(8, 0.1, 0), 4, 15), ABSENT), False),
        ((ABSENT, ABSENT), False),
    ],
)
def test_object_permanence_of_known_paths(paths, permanent):
    assert object_permanence(reading_of(*paths)).tolist() == [permanent]


def test_a_thing_in_too_few_frames_to_count_is_still_seen():
    reading = reading_of(line(8, 1, 2), changed(ABSENT, 3, 9))
    reading["count"][:] = 1  # as Shapes().read counts
    assert object_permanence(reading).tolist() == [False]


WORLD = Shapes()


@pytest.fixture(scope="module")
def shapes() -> Sample:
    return WORLD.sample(200, seed=5)


def test_object_permanence_of_real_and_of_broken_clips(shapes):
    clips = shapes.clips
    assert object_permanence(WORLD.read(clips)).mean() >= 0.99
    assert object_permanence(WORLD.read(backwards(clips))).mean() >= 0.99
    erased = clips.copy()
    erased[:, 6] = GRAYS[shapes.truth["background"]][:, None, None, None]
    assert not object_permanence(WORLD.read(erased)).any()
    recolored = clips.copy()
    recolored[:, 8:] = np.roll(clips[:, 8:], 1, axis=-1)  # red to green to blue
    assert not object_permanence(WORLD.read(recolored)).any()
    fast = WORLD.render(["a small red circle moves left", "a small blue square circles"] * 20, seed=0).clips
    assert object_permanence(WORLD.read(fast)).all()
    assert object_permanence(WORLD.read(shuffled(fast, 0))).mean() < 0.1


def test_object_permanence_forbids_steps_of_more_than_two_radii():
    here, there = (WORLD.render(["a red square rotates"] * 60, seed=seed) for seed in (0, 1))
    spliced = np.concatenate([here.clips[:, :8], there.clips[:, 8:]], axis=1)
    step = np.linalg.norm(here.truth["position"][:, 7, 0] - there.truth["position"][:, 8, 0], axis=-1)
    radii = step / here.truth["radius"][:, 7, 0]
    near, far = radii < 1.8, radii > 2.2  # the radius is read to within 10 %
    assert near.sum() > 10
    assert far.sum() > 10
    permanent = object_permanence(WORLD.read(spliced))
    assert permanent[near].all()
    assert not permanent[far].any()


def test_motion_smoothness_of_known_paths():
    straight = line(8, 1, -0.5)
    np.testing.assert_allclose(motion_smoothness(reading_of(straight, ABSENT)), 0, atol=1e-12)
    corner = np.concatenate([line(4, 1, 0), line(4, 1, 0)[-1] + line(5, 0, 2)[1:] - 5])
    # One of six second differences is not 0: from (1, 0) to (0, 2).
    np.testing.assert_allclose(motion_smoothness(reading_of(corner, ABSENT)), np.sqrt(5) / 6, rtol=1e-12)
    np.testing.assert_allclose(motion_smoothness(reading_of(corner, straight)), np.sqrt(5) / 12, rtol=1e-12)
    angle = 0.4 * np.arange(20)
    orbit = 7 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(motion_smoothness(reading_of(orbit)), 7 * (2 - 2 * np.cos(0.4)), rtol=1e-12)
    lost = reading_of(changed(straight, 2, np.nan), ABSENT)  # a gap is passed over
    np.testing.assert_allclose(motion_smoothness(lost), 0, atol=1e-12)
    assert np.isnan(motion_smoothness(reading_of(ABSENT, ABSENT))).all()


def test_motion_smoothness_of_jitter():
    # The second difference of jitter of spread σ has √6 σ along each axis; its length is Rayleigh's, of mean √(π/2)
    # of that. 4,000 lengths that depend on their neighbours: to 2 %.
    path = line(4002, 0.01, 0) + 0.3 * normals(4002, 2)
    expected = 0.3 * np.sqrt(6) * np.sqrt(np.pi / 2)
    np.testing.assert_allclose(motion_smoothness(reading_of(path)), expected, rtol=0.04)


def test_motion_smoothness_orders_the_controls():
    sample = WORLD.render(
        ["a red circle moves left", "a large blue square moves up", "a green cross moves down"] * 10, 0
    )
    score, still, mixed = (
        motion_smoothness(WORLD.read(clips))
        for clips in (sample.clips, frozen(sample.clips), shuffled(sample.clips, 0))
    )
    assert score.max() < 0.5  # the truth is 0; the rest is what pixels leave unsure of a centre
    np.testing.assert_allclose(motion_smoothness({"position": sample.truth["position"]}), 0, atol=1e-4)
    np.testing.assert_allclose(still, 0, atol=1e-9)
    assert (mixed > 4 * score).all()


def test_rules_refuse_a_reading_without_things():
    reading = reading_of(line(8, 1, 2), ABSENT)
    for name in reading:
        with refuses("reading", repr(name), "Shapes().read"):
            object_permanence({key: values for key, values in reading.items() if key != name})
    with refuses("reading", "'position'"):
        motion_smoothness({"frame": np.zeros((1, 8))})
    with refuses("2 frames", "three"):
        motion_smoothness({"position": reading["position"][:, :2]})


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


def test_backwards_ends_at_the_first_frame():
    clips = noise(2, 3, 4, 4, 1)
    back = backwards(clips)
    for time in range(3):
        np.testing.assert_array_equal(back[:, time], clips[:, 2 - time])
    np.testing.assert_array_equal(backwards(back), clips)
    back[:] = 0  # its own memory
    assert clips.any()


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


@pytest.mark.parametrize("function", [mean_clip, frozen, backwards, lambda clips: shuffled(clips, 0)])
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


# ---------------------------------------------------------------------------------------------------- boxes


def test_box_iou_is_that_of_painted_masks():
    dice = np.random.default_rng(0)
    corners = np.sort(dice.integers(0, 12, (2, 30, 2, 2)), axis=2)  # (which, pairs, low and high, axis)
    corners[:, :, 1] += 1
    row, column = np.mgrid[:14, :14]
    masks = [
        (column >= low[0]) & (column < high[0]) & (row >= low[1]) & (row < high[1])
        for low, high in corners.reshape(-1, 2, 2)
    ]
    one, other = np.array(masks).reshape(2, 30, 14, 14)
    wanted = (one & other).sum(axis=(1, 2)) / (one | other).sum(axis=(1, 2))
    boxes = corners.reshape(2, 30, 4).astype(float)
    np.testing.assert_allclose(metrics.box_iou(*boxes), wanted)
    np.testing.assert_allclose(metrics.box_iou(boxes[0][:, None], boxes[1])[np.arange(30), np.arange(30)], wanted)
    assert np.isnan(metrics.box_iou(boxes[0, 0], np.full(4, np.nan)))
    assert metrics.box_iou(np.zeros(4), np.zeros(4)) == 0
    with refuses("(3, 3)"):
        metrics.box_iou(np.zeros((3, 3)), np.zeros((3, 4)))
    with refuses("do not fit"):
        metrics.box_iou(np.zeros((3, 4)), np.zeros((2, 4)))
