"""The drifting texture: its likelihood against the joint Gaussian of whole clips, its motion against rolled frames."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest
from conftest import noise, refuses
from scipy.stats import multivariate_normal, norm

from vidgen_tf.clips import check_clips
from vidgen_tf.metrics import backwards, shuffled, warping_error
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.linear_gaussian import LinearGaussian

TINY = {"frames": 3, "size": 4, "waves": 3}
FOUR = ((1.0, 0.5), (-1.0, 0.5), (1.0, -0.5), (-1.0, -0.5))


def joint(world: LinearGaussian, index: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of all states and of all pixels of a clip, by their definition: Cov(t, s) = A^(t-s) · variance."""
    frames, numbers = world.clip_shape[0], world.observe.shape[1]
    states = np.zeros((frames, numbers, frames, numbers))
    for late in range(frames):
        for early in range(late + 1):
            block = np.linalg.matrix_power(world.move[index], late - early) * world.signal**2 / (numbers / 2)
            states[late, :, early], states[early, :, late] = block, block.T
    states = states.reshape(frames * numbers, -1)
    every = np.kron(np.eye(frames), world.observe)  # states of a clip → its pixels
    return states, every @ states @ every.T + world.noise**2 * np.eye(len(every))


def flat(clips: np.ndarray) -> np.ndarray:
    return clips.reshape(len(clips), -1).astype(float)


def inner(frames: int, size: int, velocity: np.ndarray) -> np.ndarray:
    """The pixels (frames - 1, size, size) that did not come over a border."""
    x, y = np.meshgrid(np.arange(size) - velocity[0], np.arange(size) - velocity[1])
    return np.broadcast_to((np.minimum(x, y) >= 0) & (np.maximum(x, y) <= size - 1), (frames - 1, size, size))


def test_a_sample_keeps_the_contract():
    world = LinearGaussian(velocities=FOUR)
    sample = world.sample(50, 4)
    assert isinstance(sample, Sample)
    check_clips(sample.clips)
    assert sample.clips.shape == (50, *world.clip_shape) == (50, 8, 12, 12, 1)
    shapes = {name: values.shape for name, values in sample.truth.items()}
    assert shapes == {"state": (50, 8, 8), "velocity": (50, 2), "flow": (50, 7, 12, 12, 2), "log_prob": (50,)}
    assert {tuple(pace) for pace in sample.truth["velocity"]} == set(FOUR)
    np.testing.assert_array_equal(sample.truth["flow"][:, 3, 5, 6], sample.truth["velocity"])
    np.testing.assert_array_equal(sample.truth["log_prob"], world.log_prob(sample.clips))


def test_captions_say_where_and_how_fast():
    paces = ((1.0, 0.5), (-2, 0), (0, -0.25), (0, 0), (1.5 * math.cos(1), 1e-16))
    sample = LinearGaussian(velocities=paces).sample(60, 0)
    said = dict(zip(map(tuple, sample.truth["velocity"].tolist()), sample.captions, strict=True))
    assert said == {
        (1.0, 0.5): "a texture drifts right by 1 and down by 0.5 pixels in a frame",
        (-2.0, 0.0): "a texture drifts left by 2 pixels in a frame",
        (0.0, -0.25): "a texture drifts up by 0.25 pixels in a frame",
        (0.0, 0.0): "a texture stands still",
        (1.5 * math.cos(1), 1e-16): "a texture drifts right by 0.81 pixels in a frame",
    }


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (LinearGaussian(velocities=FOUR).sample(20, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert all(first.truth[name].tobytes() == again.truth[name].tobytes() for name in first.truth)
    zero = LinearGaussian(velocities=FOUR).sample(20, 0)  # 0 is a seed like any other
    for another in (other, zero):
        assert (first.clips != another.clips).mean() > 0.99


def test_waves_are_whole_go_from_long_to_short_and_are_perpendicular():
    world = LinearGaussian(size=5, waves=12)  # all that there are
    assert world.wave_vectors[:6].tolist() == [[1, 0], [0, 1], [1, 1], [1, -1], [2, 0], [0, 2]]
    everyone = {tuple(sign * k) for k in world.wave_vectors for sign in (1, -1)}
    assert everyone == {(x, y) for x in range(-2, 3) for y in range(-2, 3)} - {(0, 0)}
    np.testing.assert_allclose(world.observe.T @ world.observe, 12.5 * np.eye(24), atol=1e-12)
    x = np.arange(5)
    np.testing.assert_allclose(world.observe[:, 0].reshape(5, 5), np.tile(np.cos(0.4 * np.pi * x), (5, 1)), atol=1e-12)
    np.testing.assert_allclose(
        world.observe[:, 3].reshape(5, 5).T, np.tile(np.sin(0.4 * np.pi * x), (5, 1)), atol=1e-12
    )
    shorter = [LinearGaussian(size=64, waves=many).wave_vectors for many in (1, 2, 7, 50, 500)]
    for less, more in pairwise(shorter):
        np.testing.assert_array_equal(less, more[: len(less)])
    length = (shorter[-1] ** 2).sum(axis=1)
    assert (np.diff(length) >= 0).all()
    grid = np.arange(-31, 32)
    assert length[-1] == np.sort(np.add.outer(grid**2, grid**2).ravel())[1:][999]  # none shorter was left out


# ------------------------------------------------------------------------------------------- likelihood

WORLDS = [
    {},
    {"frames": 2, "size": 3, "waves": 4, "velocities": ((-1.25, 0.3),)},
    {"frames": 5, "memory": 0.0},
    {"frames": 4, "memory": 1.0, "signal": 0.2, "noise": 0.01},
    {"frames": 4, "size": 5, "waves": 12, "memory": 0.5, "noise": 0.15},
]


@pytest.mark.parametrize("changes", WORLDS)
def test_log_prob_is_that_of_the_joint_gaussian(changes):
    world = LinearGaussian(**TINY | changes)
    law = multivariate_normal(cov=joint(world)[1])
    for clips in (world.sample(20, 0).clips, noise(20, *world.clip_shape)):
        np.testing.assert_allclose(world.log_prob(clips), law.logpdf(flat(clips)), rtol=1e-8)
    assert world.log_prob(clips).dtype == np.float64


def test_log_prob_of_several_velocities_is_that_of_their_mixture():
    world = LinearGaussian(**TINY, velocities=((1.0, 0.5), (-0.5, 0.25), (0.0, 0.0)))
    laws = [multivariate_normal(cov=joint(world, index)[1]) for index in range(3)]
    clips = world.sample(30, 1).clips
    expected = np.log(np.mean([law.pdf(flat(clips)) for law in laws], axis=0))
    np.testing.assert_allclose(world.log_prob(clips), expected, rtol=1e-8)
    faint = noise(5, *world.clip_shape)  # so unlikely that no float holds their density
    each = [LinearGaussian(**TINY, velocities=[pace]).log_prob(faint) for pace in world.velocities]
    np.testing.assert_allclose(world.log_prob(faint), np.logaddexp.reduce(each) - math.log(3), rtol=1e-12)


def test_log_prob_of_a_clip_does_not_depend_on_the_others_and_is_fast():
    world = LinearGaussian(velocities=FOUR)
    clips = world.sample(1000, 0).clips
    started = time.perf_counter()
    together = world.log_prob(clips)
    assert time.perf_counter() - started < 1  # 0.02 s on two cores
    np.testing.assert_allclose(world.log_prob(clips[7:8]), together[7:8], rtol=1e-12)


@pytest.mark.parametrize("changes", WORLDS)
def test_entropy_is_that_of_the_joint_gaussian(changes):
    world = LinearGaussian(**TINY | changes)
    assert world.entropy == pytest.approx(multivariate_normal(cov=joint(world)[1]).entropy(), rel=1e-10)


def test_entropy_is_what_real_clips_cost():
    world = LinearGaussian()
    nats = -world.sample(4000, 2).truth["log_prob"]
    assert abs(nats.mean() - world.entropy) < 4 * nats.std() / math.sqrt(4000)
    # The log-density of n Gaussian values is a sum of n halved squares: its deviation is √(n / 2).
    assert nats.std() == pytest.approx(math.sqrt(1152 / 2), rel=4 / math.sqrt(2 * 4000))
    scores = world.scores(world.sample(500, 3).clips)
    assert scores["nats_per_value"] == pytest.approx(world.entropy / 1152, abs=4 * 24 / 1152 / math.sqrt(500))
    assert world.entropy / 1152 == pytest.approx(-1.0334, abs=5e-5)


def test_the_limit_is_met_as_seldom_as_the_docstring_says():
    beyond = 2 * norm.sf(1 / math.hypot(0.18, 0.08))
    assert (1 / beyond, 1 / (1152 * beyond)) == pytest.approx((2.6e6, 2300), rel=0.02)
    assert 2 * norm.sf(4) == pytest.approx(6e-5, rel=0.06)
    assert "5.08" in LinearGaussian.__doc__
    assert np.abs(LinearGaussian().sample(200, 0).clips).max() < 1


def test_controls_are_less_likely_than_real_clips():
    world = LinearGaussian()
    clips = world.sample(300, 3).clips
    real = world.log_prob(clips)
    noisier = np.clip(clips + 0.02 * noise(*clips.shape), -1, 1)
    mirrored = clips[:, :, :, ::-1]
    for control, share in ((shuffled(clips, 0), 1), (backwards(clips), 1), (mirrored, 1), (noisier, 0.95)):
        assert (world.log_prob(control) < real).mean() >= share


def test_less_than_the_entropy_is_no_better():
    world = LinearGaussian()
    clips = world.sample(100, 3).clips
    rendered = (world.read(clips)["state"] @ world.observe.T).reshape(clips.shape).astype(np.float32)  # without noise
    for dull in (rendered, np.zeros_like(clips)):
        assert world.scores(dull)["nats_per_value"] < world.entropy / 1152 - 0.4


def test_the_score_of_motion_is_the_warping_error_along_what_is_read():
    world = LinearGaussian(velocities=FOUR, memory=0.99, noise=0.02)
    sample = world.sample(40, 3)
    where = np.stack([inner(8, 12, velocity) for velocity in sample.truth["velocity"]])
    expected = warping_error(sample.clips, sample.truth["flow"], where).mean()
    np.testing.assert_array_equal(world.read(sample.clips)["velocity"], sample.truth["velocity"])
    assert world.scores(sample.clips)["warping_error"] == pytest.approx(expected, rel=1e-6)
    assert world.scores(shuffled(sample.clips, 0))["warping_error"] > 2 * expected
    assert (
        world.scores(sample.clips[:, :1].repeat(8, axis=1))["warping_error"] > 2 * expected
    )  # what rests does not drift


# ------------------------------------------------------------------------------------ what the texture does


def test_samples_are_stationary_with_the_autocovariance_of_the_theory():
    world = LinearGaussian(memory=0.8)
    sample = world.sample(4000, 5)
    state, each = sample.truth["state"], 0.18**2 / 4
    # A variance estimated from n draws has a relative deviation of √(2 / n), 0.022; five of these for 64 estimates.
    np.testing.assert_allclose(state.var(axis=0), each, rtol=0.11)
    for lag in (1, 3):
        found = np.einsum("nti,ntj->ij", state[:, lag:], state[:, :-lag]) / (4000 * (8 - lag))
        np.testing.assert_allclose(found, each * np.linalg.matrix_power(world.move[0], lag), atol=0.1 * each)
    np.testing.assert_allclose(sample.clips.std(axis=(0, 2, 3, 4)), math.hypot(0.18, 0.08), rtol=0.02)
    np.testing.assert_allclose(sample.clips.mean(axis=0), 0, atol=5 * 0.2 / math.sqrt(4000))
    rest = flat(sample.clips) - (state @ world.observe.T).reshape(4000, -1)
    assert rest.std() == pytest.approx(0.08, rel=0.002)
    assert np.abs(rest[:, :-1] * rest[:, 1:]).mean() == pytest.approx(0.08**2 * 2 / math.pi, rel=0.01)  # no neighbours


@pytest.mark.parametrize("velocity", [(1, 0), (0, 1), (-2, 1), (3, -4)])
def test_with_full_memory_each_frame_is_the_last_one_rolled(velocity):
    sample = LinearGaussian(waves=20, velocities=(velocity,), memory=1, noise=1e-5).sample(5, 0)
    clips = sample.clips
    rolled = np.roll(clips[:, :-1], velocity, axis=(3, 2))
    np.testing.assert_allclose(clips[:, 1:], rolled, atol=1e-4)  # the noise of two pixels, seven deviations
    assert np.abs(clips[:, 1:] - clips[:, :-1]).max() > 0.1


def test_the_texture_moves_along_its_flow():
    velocity = np.array([1.0, 0.5])
    world = LinearGaussian(waves=4, velocities=(velocity,), memory=0.999, noise=0.01)
    sample = world.sample(40, 0)
    where = np.broadcast_to(inner(8, 12, velocity), (40, 7, 12, 12))
    back = np.broadcast_to(inner(8, 12, -velocity), (40, 7, 12, 12))
    right = warping_error(sample.clips, sample.truth["flow"], where).mean()
    # noise² · 1.5, the change of the signal² · 2 · 0.001, and what the mean of two rows flattens: together 0.015
    assert 0.01 < right < 0.02
    assert warping_error(sample.clips, -sample.truth["flow"], back).mean() > 8 * right
    assert warping_error(sample.clips, 0 * sample.truth["flow"], where).mean() > 4 * right
    assert (sample.truth["flow"].dtype, sample.truth["flow"].flags.writeable) == (np.float32, False)


# -------------------------------------------------------------------------------------------------- reading


def test_the_state_that_is_read_is_the_mean_given_the_frames_so_far():
    world = LinearGaussian(**TINY | {"frames": 4})
    clips = world.sample(10, 0).clips
    states, pixels = joint(world)
    found = world.read(clips)["state"]
    assert found.shape == (10, 4, 6)
    for t in range(4):
        seen, now = slice(16 * (t + 1)), slice(6 * t, 6 * (t + 1))
        across = states[now] @ np.kron(np.eye(4), world.observe).T
        gain = across[:, seen] @ np.linalg.inv(pixels[seen, seen])
        np.testing.assert_allclose(found[:, t], flat(clips)[:, seen] @ gain.T, rtol=1e-8, atol=1e-12)


def test_the_state_that_is_read_lies_near_the_true_one():
    world = LinearGaussian()
    sample = world.sample(500, 1)
    error = (world.read(sample.clips)["state"] - sample.truth["state"]).std(axis=(0, 2))
    np.testing.assert_allclose(error**2, world._after, rtol=0.1)  # √(2 / 4000) is 0.022
    assert error[-1] < error[0] < 0.01


def test_the_velocity_is_read_right_in_nearly_all_clips():
    world = LinearGaussian(velocities=FOUR)
    sample = world.sample(1000, 2)
    right = (world.read(sample.clips)["velocity"] == sample.truth["velocity"]).all(axis=1)
    assert right.mean() > 0.99
    drawn = [(sample.truth["velocity"] == pace).all(axis=1).sum() for pace in FOUR]
    np.testing.assert_allclose(drawn, 250, atol=5 * math.sqrt(1000 * 3 / 16))


def test_a_dataset_pairs_clips_with_their_log_prob():
    world = LinearGaussian(**TINY)
    clips, truth = next(iter(world.dataset(6, seed=1, truth=["log_prob", "flow"])))
    np.testing.assert_allclose(world.log_prob(clips.numpy()), truth["log_prob"].numpy(), rtol=1e-12)
    assert truth["flow"].shape == (6, 2, 4, 4, 2)


# ------------------------------------------------------------------------------------------------- refusals


def test_the_entropy_of_several_velocities_is_refused():
    with refuses("4 velocities", "closed form"):
        _ = LinearGaussian(velocities=FOUR).entropy


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    for name in ("frames", "size", "waves"):
        with refuses(name, repr(bad)):
            LinearGaussian(**{name: bad})
    with refuses("count", repr(bad)):
        LinearGaussian().sample(bad, 0)
    if bad != 0:
        with refuses("seed", repr(bad)):
            LinearGaussian().sample(2, bad)


@pytest.mark.parametrize("bad", [0, -0.1, True, "3", None, math.nan, math.inf])
def test_bad_deviations_and_memory_are_refused(bad):
    for name in ("signal", "noise"):
        with refuses(name, repr(bad)):
            LinearGaussian(**{name: bad})
    if bad != 0:
        with refuses("memory", repr(bad)):
            LinearGaussian(memory=bad)
    with refuses("memory", "1.01", "from 0 to 1"):
        LinearGaussian(memory=1.01)


def test_textures_that_do_not_fit_are_refused():
    LinearGaussian(signal=0.15, noise=0.2)  # exactly four deviations
    with refuses("0.2", "0.16", "0.256", "0.25"):
        LinearGaussian(signal=0.2, noise=0.16)
    with refuses("waves", "61", "1 to 60"):
        LinearGaussian(waves=61)
    with refuses("a clip", "fit"):
        LinearGaussian(size=10**6)
    with refuses("the waves", "fit"):
        LinearGaussian(frames=2, size=4096, waves=100)
    with refuses("a sample", "fit"):
        LinearGaussian().sample(10**6, 0)


@pytest.mark.parametrize("bad", [(1.0, 0.5), (), [[1, 2, 3]], 3, [[True, False]], [()]])
def test_velocities_that_are_no_pairs_are_refused(bad):
    with refuses("velocities", "such as ((1.0, 0.5),)"):
        LinearGaussian(velocities=bad)


def test_velocities_that_cannot_be_are_refused():
    for bad in (((1, 2), (3,)), "fast", None):
        with refuses("velocities"):
            LinearGaussian(velocities=bad)
    with refuses("6 pixels", "half a frame"):
        LinearGaussian(velocities=((0, -6.0),))
    with refuses("nan", "half a frame"):
        LinearGaussian(velocities=((0, math.nan),))
    with refuses("velocities", "3 pairs", "equal"):
        LinearGaussian(velocities=((1, 2), (0, 1), (1.0, 2.0)))


@pytest.mark.parametrize("verb", ["log_prob", "read", "scores"])
def test_other_clips_are_refused(verb):
    act = getattr(LinearGaussian(), verb)
    with refuses("(8, 8, 8, 1)", "(8, 12, 12, 1)"):
        act(noise(3, 8, 8, 8, 1))
    with refuses("(7, 12, 12, 1)", "(8, 12, 12, 1)"):
        act(noise(3, 7, 12, 12, 1))
    with refuses("float32"):
        act(noise(3, 8, 12, 12, 1).astype(float))
