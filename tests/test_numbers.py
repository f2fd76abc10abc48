"""Numbers: a world whose variety is known, and a reader that a blur does not fool."""

import math

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.clips import check_clips
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.numbers import DIGITS, FONT, TOLERANCE, Numbers

EVERY = np.arange(100)


def rms(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Root mean square differences, over all axes but the first."""
    return np.sqrt(np.mean((first.astype(float) - second) ** 2, axis=(1, 2, 3, 4)))


def distances(clips: np.ndarray) -> np.ndarray:
    """Root mean square differences of all pairs of clips, (count, count)."""
    return np.stack([rms(clips, clip) for clip in clips])


def test_a_sample_keeps_the_contract():
    sample = Numbers().sample(300, 4)
    assert isinstance(sample, Sample)
    check_clips(sample.clips)
    assert sample.clips.shape == (300, *Numbers.clip_shape) == (300, 1, 28, 28, 1)
    assert set(np.unique(sample.clips)) == {-1, 1}
    assert sample.truth["number"].shape == (300,)
    assert sample.captions == tuple(f"the number {number:02d}" for number in sample.truth["number"])
    np.testing.assert_array_equal(sample.clips, Numbers().render(sample.truth["number"]))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (Numbers().sample(20, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert first.captions == again.captions
    assert (first.truth["number"] != other.truth["number"]).any()


def test_all_pictures_differ_by_what_the_docstring_says():
    between = distances(Numbers().render(EVERY)) + 9 * np.eye(100)
    assert between.min() == pytest.approx(0.35, abs=0.005)
    assert between[0, 8] == between.min()
    assert "0.35 apart" in Numbers.read.__doc__


def test_digits_are_drawn_in_5_by_7_cells_and_reach_all_sides():
    assert DIGITS.shape == (10, 7, 5)
    assert {len(row) for row in FONT} == {59}
    assert set("".join(FONT)) == set("#. ")
    for digit in DIGITS:
        assert digit[[0, -1]].any(axis=1).all()
        assert digit[:, [0, -1]].any(axis=0).all()


def test_a_number_is_its_two_digits_twice_as_large_in_the_middle():
    picture = Numbers().render([42])[0, 0, :, :, 0]
    left, right = picture[7:21:2, 3:13:2] > 0, picture[7:21:2, 15:25:2] > 0
    np.testing.assert_array_equal(left, DIGITS[4])
    np.testing.assert_array_equal(right, DIGITS[2])
    ink = np.argwhere(Numbers().render(EVERY)[:, 0, :, :, 0].max(axis=0) > 0)
    np.testing.assert_array_equal([ink.min(axis=0), ink.max(axis=0)], [[7, 3], [20, 24]])
    assert (picture > 0).sum() == 4 * (DIGITS[4].sum() + DIGITS[2].sum())


def test_all_numbers_are_equally_likely():
    counts = np.bincount(Numbers().sample(20_000, 1).truth["number"], minlength=100)
    chi_squared = np.sum((counts - 200) ** 2 / 200)  # of 99 degrees of freedom: 99 ± 14
    assert 50 < chi_squared < 155


@pytest.mark.parametrize("modes", [2, 10, 100])
def test_modes_say_how_many_there_are_and_what_a_clip_tells(modes):
    world = Numbers(modes)
    assert set(world.sample(2000, 0).truth["number"]) == set(range(modes))
    assert (len(world), world.modes) == (modes, modes)
    assert world.entropy == pytest.approx(-sum(math.log(1 / modes) / modes for _ in range(modes)))
    np.testing.assert_array_equal(world.render(range(modes)), Numbers().render(EVERY[:modes]))


def test_read_knows_every_number():
    found = Numbers().read(Numbers().render(EVERY))
    np.testing.assert_array_equal(found["number"], EVERY)
    assert (found["error"] == 0).all()


def test_read_knows_numbers_through_noise_and_measures_it():
    world = Numbers()
    sample = world.sample(200, 2)
    spoilt = np.clip(sample.clips + np.random.default_rng(0).normal(0, 0.3, sample.clips.shape), -1, 1)
    found = world.read(spoilt.astype(np.float32))
    np.testing.assert_array_equal(found["number"], sample.truth["number"])
    np.testing.assert_allclose(found["error"], rms(spoilt, sample.clips), rtol=1e-5)
    assert found["error"].min() > 0.15


def test_read_finds_the_nearest_of_all():
    clips = np.concatenate([noise(20, *Numbers.clip_shape), 0.5 * Numbers().render(EVERY) - np.float32(0.5)])
    expected = np.stack([rms(clips, picture) for picture in Numbers().render(EVERY)]).min(axis=0)
    np.testing.assert_allclose(Numbers().read(clips)["error"], expected, rtol=1e-6)


def test_read_draws_the_line_at_the_tolerance():
    clips = Numbers().render(EVERY)
    for error, expected in ((TOLERANCE - 0.001, EVERY), (TOLERANCE + 0.001, np.full(100, -1))):
        faint = (clips * (1 - error)).astype(np.float32)
        found = Numbers().read(faint)
        np.testing.assert_array_equal(found["number"], expected)
        np.testing.assert_allclose(found["error"], error, atol=1e-6)


def test_read_takes_no_blur_and_nothing_empty_for_a_number():
    clips = Numbers().render(EVERY)
    tens = clips.reshape(10, 10, 1, 28, 28, 1)
    for blur in (clips.mean(axis=0, keepdims=True), tens.mean(axis=0), tens.mean(axis=1), 0 * clips, 0 * clips - 1):
        found = Numbers().read(blur)
        assert set(found["number"]) == {-1}
        assert found["error"].min() > TOLERANCE
    assert set(Numbers().read(noise(20, *Numbers.clip_shape))["number"]) == {-1}


def test_read_knows_only_the_numbers_of_its_world():
    found = Numbers(10).read(Numbers().render([9, 10, 80]))
    np.testing.assert_array_equal(found["number"], [9, -1, -1])


def test_a_dataset_pairs_clips_with_their_numbers():
    world = Numbers(10)
    clips, truth = next(iter(world.dataset(6, seed=1, truth=["number"])))
    np.testing.assert_array_equal(world.read(clips.numpy())["number"], truth["number"].numpy())
    again, captions = next(iter(world.dataset(6, seed=1, captions=True)))
    np.testing.assert_array_equal(clips, again)
    assert captions.numpy()[0].decode() == f"the number {truth['number'].numpy()[0]:02d}"


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    with refuses("modes", repr(bad)):
        Numbers(bad)
    with refuses("count", repr(bad)):
        Numbers().sample(bad, 0)
    if bad != 0:
        with refuses("seed", repr(bad)):
            Numbers().sample(2, bad)


def test_more_modes_or_pictures_than_there_can_be_are_refused():
    with refuses("modes", "101", "2 to 100"):
        Numbers(101)
    with refuses("modes", "1", "at least 2"):
        Numbers(1)
    with refuses("a sample", "fit"):
        Numbers().sample(10**7, 0)


@pytest.mark.parametrize("bad", [[100], [-1, 3]])
def test_render_refuses_numbers_beyond_its_own(bad):
    with refuses(str(min(bad)), str(max(bad)), "0 to 99"):
        Numbers().render(bad)


@pytest.mark.parametrize("bad", [[1.0], [], 4, [[1, 2]], [True]])
def test_render_refuses_what_is_no_list_of_whole_numbers(bad):
    with refuses("numbers", "such as [4, 2]"):
        Numbers().render(bad)


def test_read_refuses_other_sizes():
    with refuses("(1, 8, 8, 1)", "(1, 28, 28, 1)"):
        Numbers().read(noise(3, 1, 8, 8, 1))
    with refuses("(2, 28, 28, 1)", "(1, 28, 28, 1)"):
        Numbers().read(noise(3, 2, 28, 28, 1))
    with refuses("float32"):
        Numbers().read(noise(3, 1, 28, 28, 1).astype(float))


def test_scores_of_all_numbers_are_full_marks_and_of_noise_none():
    world = Numbers()
    assert world.scores(world.render(EVERY)) == {"readable": 1.0, "modes": 1.0}
    assert world.scores(world.render([0])) == {"readable": 1.0, "modes": 0.01}  # 00 is a number too
    assert world.scores(np.zeros((3, *world.clip_shape), np.float32)) == {"readable": 0.0, "modes": 0.0}
