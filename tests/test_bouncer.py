"""The ball that bounces by chance: every probability against a list of all clips that there are."""

import math
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from conftest import noise, refuses

from vidgen_tf.clips import check_clips
from vidgen_tf.metrics import backwards, frozen, shuffled
from vidgen_tf.worlds import Sample, bouncer
from vidgen_tf.worlds.bouncer import BALL, MOST_FUTURES, TOLERANCE, Bouncer

TINY = [(2, 3), (4, 3), (5, 3), (3, 4), (5, 4), (6, 4), (4, 5)]  # frames, cells


def follow(state: tuple, cells: int) -> list[tuple[tuple, float]]:
    """The states (column, row, way along columns, way along rows) after one frame, and their chances: the rules."""
    places = [state[0] + state[2], state[1] + state[3]]
    ways, walls = list(state[2:]), [place in (0, cells - 1) for place in places]
    for axis in (0, 1):
        if walls[axis]:
            ways[axis] = 1 if places[axis] == 0 else -1
    if sum(walls) != 1:
        return [((*places, *ways), 1.0)]
    other = walls.index(False)
    turned = [-way if axis == other else way for axis, way in enumerate(ways)]
    return [((*places, *ways), 0.5), ((*places, *turned), 0.5)]


def states(cells: int) -> list[tuple]:
    axis = [(p, d) for p in range(cells) for d in (-1, 1) if 0 <= p + d < cells]
    return [(column[0], row[0], column[1], row[1]) for column, row in product(axis, axis)]


@cache
def every_clip(frames: int, cells: int) -> dict[bytes, float]:
    """Probability of each clip by its places: walks through all states and all coins."""
    found = {}
    walks = [([state[:2]], state, 1 / len(states(cells))) for state in states(cells)]
    while walks:
        shown, state, chance = walks.pop()
        if len(shown) == frames:
            key = np.array(shown, np.int64).tobytes()
            found[key] = found.get(key, 0) + chance
        else:
            walks += [([*shown, after[:2]], after, chance * share) for after, share in follow(state, cells)]
    return found


def all_places(frames: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    found = every_clip(frames, cells)
    return np.stack([np.frombuffer(key, np.int64).reshape(frames, 2) for key in found]), np.array([*found.values()])


def test_a_sample_keeps_the_contract():
    world = Bouncer()
    sample = world.sample(50, 4)
    assert isinstance(sample, Sample)
    check_clips(sample.clips)
    assert sample.clips.shape == (50, *world.clip_shape) == (50, 16, 16, 16, 1)
    assert sample.captions == ("a ball bounces by chance",) * 50
    assert {name: values.shape for name, values in sample.truth.items()} == {"place": (50, 16, 2), "log_prob": (50,)}
    assert (sample.truth["place"].min(), sample.truth["place"].max()) == (0, 6)
    np.testing.assert_array_equal(sample.truth["log_prob"], world.log_prob(sample.clips))
    np.testing.assert_array_equal(sample.clips, world.render(sample.truth["place"]))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (Bouncer().sample(20, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert (first.truth["place"] != other.truth["place"]).any()


def test_the_ball_is_a_round_thing_two_pixels_a_place_from_the_corner():
    places = np.zeros((1, 16, 2), int)
    places[0, 1] = 2, 1  # column, row
    places[0, 2] = 6, 6
    clip = Bouncer().render(places)[0, :, :, :, 0]
    for frame, top, left in ((0, 0, 0), (1, 2, 4), (2, 12, 12)):
        np.testing.assert_array_equal(clip[frame, top : top + 4, left : left + 4], BALL)
        assert (clip[frame] > -1).sum() == 16
    np.testing.assert_array_equal(BALL, BALL[::-1])
    np.testing.assert_array_equal(BALL, BALL.T)


# -------------------------------------------------------------------------------------------- probabilities


@pytest.mark.parametrize("cells", [3, 4, 7])
def test_even_chances_stay_even(cells):
    known = states(cells)
    matrix = np.zeros((len(known), len(known)))
    for state in known:
        for after, share in follow(state, cells):
            matrix[known.index(state), known.index(after)] += share
    assert len(known) == (2 * (cells - 1)) ** 2
    np.testing.assert_array_equal(matrix.sum(axis=0), 1)
    np.testing.assert_array_equal(matrix.sum(axis=1), 1)


@pytest.mark.parametrize(("frames", "cells"), TINY)
def test_log_prob_and_entropy_are_those_of_the_list_of_all_clips(frames, cells):
    world = Bouncer(frames, cells)
    places, chances = all_places(frames, cells)
    assert chances.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(world.log_prob(world.render(places)), np.log(chances), rtol=1e-12)
    assert world.entropy == pytest.approx(-(chances * np.log(chances)).sum(), rel=1e-12)


@pytest.mark.parametrize(("frames", "cells"), [(3, 3), (4, 3)])
def test_no_other_clip_is_possible(frames, cells):
    world, known = Bouncer(frames, cells), every_clip(frames, cells)
    spots = list(product(range(cells), repeat=2))
    places = np.array(list(product(spots, repeat=frames)))  # all there can be, 729 or 6,561
    possible = np.isfinite(world._log_prob(places))
    np.testing.assert_array_equal(possible, [each.tobytes() in known for each in places])
    assert possible.sum() == len(known)


def test_the_entropy_of_a_frame_is_what_one_more_frame_tells():
    for cells in (3, 4, 7):
        one, more = Bouncer(9, cells), Bouncer(10, cells)
        assert more.entropy - one.entropy == pytest.approx(one.entropy_per_frame, rel=1e-9)
    assert Bouncer().entropy_per_frame == pytest.approx(0.1925, abs=5e-5)


@pytest.mark.parametrize(("frames", "cells"), [(4, 3), (5, 4)])
def test_samples_are_as_frequent_as_they_should_be(frames, cells):
    known, count = every_clip(frames, cells), 20_000
    drawn = dict.fromkeys(known, 0)
    for place in Bouncer(frames, cells).sample(count, 3).truth["place"]:
        drawn[place.tobytes()] += 1
    expected = count * np.array([*known.values()])
    chi_squared = np.sum((np.array([*drawn.values()]) - expected) ** 2 / expected)
    free = len(known) - 1
    assert abs(chi_squared - free) < 5 * math.sqrt(2 * free)


def test_real_clips_cost_the_entropy_on_average():
    world = Bouncer()
    nats = -world.sample(5000, 1).truth["log_prob"]
    assert abs(nats.mean() - world.entropy) < 4 * nats.std() / math.sqrt(5000)


# ------------------------------------------------------------------------------------------------- futures


@pytest.mark.parametrize(("frames", "cells"), [(4, 3), (5, 4), (6, 4)])
def test_futures_are_those_of_the_list_of_all_clips(frames, cells):
    world, (places, chances) = Bouncer(frames, cells), all_places(frames, cells)
    for length in range(2, frames + 1):
        for beginning in places[:: len(places) // 10]:
            found, likely = world.futures(beginning[:length])
            same = (places[:, :length] == beginning[:length]).all(axis=(1, 2))
            wanted = {
                each.tobytes(): chance / chances[same].sum() for each, chance in zip(places, chances, strict=True)
            }
            wanted = {key: wanted[key] for key in (each.tobytes() for each in places[same])}
            assert len(found) == len(wanted)
            assert {each.tobytes(): chance for each, chance in zip(found, likely, strict=True)} == pytest.approx(wanted)
            assert likely.sum() == 1


def test_a_whole_clip_has_one_future_and_two_frames_of_a_long_one_too_many():
    place = Bouncer().sample(1, 0).truth["place"][0]
    found, likely = Bouncer().futures(place)
    np.testing.assert_array_equal(found, place[None])
    assert likely.tolist() == [1.0]
    found, likely = Bouncer().futures(place[:3].astype(np.uint8))
    assert found.shape == (len(likely), 16, 2)
    assert (found == place).all(axis=(1, 2)).sum() == 1
    with refuses("4,096 futures", "2 of 60", "fewer frames"):
        Bouncer(60, 4).futures([[1, 2], [2, 3]])
    assert MOST_FUTURES == 4096


def test_as_many_futures_as_the_limit_are_listed_and_not_one_more(monkeypatch):
    world = Bouncer(8, 3)
    count = len(world.futures([[0, 1], [1, 2]])[0])
    assert count > 4
    monkeypatch.setattr(bouncer, "MOST_FUTURES", count)
    assert len(world.futures([[0, 1], [1, 2]])[0]) == count
    monkeypatch.setattr(bouncer, "MOST_FUTURES", count - 1)
    with refuses(f"more than {count - 1} futures"):
        world.futures([[0, 1], [1, 2]])


@pytest.mark.parametrize("cells", [3, 4, 7])
def test_a_ball_from_corner_to_corner_meets_no_coin(cells):
    world = Bouncer(30, cells)
    found, _ = world.futures([[0, 0], [1, 1]])
    assert len(found) == 1
    place, log_prob = (world.sample(3000, 0).truth[name] for name in ("place", "log_prob"))
    certain = np.isclose(log_prob, log_prob.max())
    assert log_prob.max() == pytest.approx(-2 * math.log(2 * (cells - 1)))
    share = 1 / (cells - 1)
    assert abs(certain.mean() - share) < 4 * math.sqrt(share * (1 - share) / 3000)
    same, mirrored = (place[..., 0] == other for other in (place[..., 1], cells - 1 - place[..., 1]))
    np.testing.assert_array_equal(certain, same.all(axis=1) | mirrored.all(axis=1))


def test_a_future_after_a_wall_is_a_fair_coin_and_after_a_corner_none():
    world = Bouncer(4, 5)
    found, likely = world.futures([[1, 1], [0, 2]])
    assert found[:, 2].tolist() == [[1, 3], [1, 1]]
    assert likely.tolist() == [0.5, 0.5]
    found, likely = world.futures([[1, 1], [0, 0]])
    assert found[:, 2:].tolist() == [[[1, 1], [2, 2]]]


# ------------------------------------------------------------------------------------------------- reading


def test_read_knows_every_place_through_noise_and_measures_it():
    world = Bouncer()
    places = np.array(list(product(range(7), repeat=2)))[np.newaxis, :48].reshape(3, 16, 2)
    found = world.read(world.render(places))
    np.testing.assert_array_equal(found["place"], places)
    assert (found["error"] == 0).all()
    clips = world.render(places)
    spoilt = np.clip(clips + np.random.default_rng(0).normal(0, 0.2, clips.shape), -1, 1).astype(np.float32)
    found = world.read(spoilt)
    np.testing.assert_array_equal(found["place"], places)
    error = np.sqrt(np.mean((spoilt.astype(float) - clips) ** 2, axis=(2, 3, 4)))
    np.testing.assert_allclose(found["error"], error, rtol=1e-6)
    assert np.isfinite(world.log_prob(world.render(world.sample(5, 0).truth["place"]))).all()


def test_read_finds_the_nearest_of_all():
    world = Bouncer(3, 4)
    clips = noise(20, *world.clip_shape)
    known = world._pictures.reshape(16, 1, 1, 10, 10, 1)
    expected = np.sqrt(np.mean((known.astype(float) - clips) ** 2, axis=(3, 4, 5))).min(axis=0)
    np.testing.assert_allclose(world.read(clips)["error"], expected, rtol=1e-6)


@pytest.mark.parametrize("cells", [3, 7])
def test_read_takes_no_blur_and_nothing_half_there_for_a_ball(cells):
    world = Bouncer(2, cells)
    pictures = world._pictures.reshape(cells**2, -1)
    pairs = np.array(list(combinations(range(cells**2), 2)))
    apart = np.sqrt(np.square(pictures[pairs[:, 0]] - pictures[pairs[:, 1]]).sum(axis=1))
    assert apart.min() == pytest.approx(7.48, abs=0.005)
    frames = {
        "pairs": (pictures[pairs[:, 0]] + pictures[pairs[:, 1]]) / 2,
        "half": (pictures - 1) / 2,
        "all": pictures.mean(axis=0, keepdims=True),
        "black": -np.ones_like(pictures[:1]),
        "white": np.ones_like(pictures[:1]),
    }
    least = {"pairs": 3.74, "half": 3.61, "all": 4, "black": 7, "white": 7}
    for name, blur in frames.items():
        clips = np.repeat(blur.reshape(len(blur), 1, *world.clip_shape[1:]), 2, axis=1)
        found = world.read(clips)
        assert (found["place"] == -1).all(), name
        assert found["error"].min() * world.clip_shape[1] > least[name] - 0.01, name
        assert (world.log_prob(clips) == -np.inf).all()
    for text in ("7.48", "3.4", "3.74"):
        assert text in Bouncer.read.__doc__
    assert pytest.approx(0.21, abs=0.005) == TOLERANCE / 16


def test_the_mean_of_two_futures_is_refused_where_they_part():
    world = Bouncer(3, 7)
    found, _ = world.futures([[1, 2], [0, 3]])
    mean = world.render(found).mean(axis=0, keepdims=True)
    assert world.read(mean)["place"][0].tolist() == [[1, 2], [0, 3], [-1, -1]]
    assert world.log_prob(mean) == -np.inf


def test_read_draws_the_line_at_the_tolerance():
    world = Bouncer(2, 7)
    places = np.array([[[0, 6], [1, 5]]])
    for error, expected in ((TOLERANCE - 0.01, places), (TOLERANCE + 0.01, np.full((1, 2, 2), -1))):
        clips = world.render(places)
        clips[..., 6:10, 8:12, :] += np.float32(error / 4)  # 16 pixels of the ground
        found = world.read(clips)
        np.testing.assert_array_equal(found["place"], expected)
        np.testing.assert_allclose(found["error"], error / 16, rtol=1e-5)


IMPOSSIBLE = {
    "teleports": [[1, 1], [2, 2], [5, 5], [4, 4]],
    "stays": [[1, 1], [1, 1], [1, 1], [1, 1]],
    "stays on one axis": [[1, 1], [2, 1], [3, 1], [4, 1]],
    "turns at no wall": [[1, 1], [2, 2], [3, 3], [2, 2]],
    "turns on one axis at no wall": [[1, 1], [2, 2], [3, 3], [4, 2]],
    "goes on at the wall": [[2, 5], [3, 6], [4, 6], [5, 5]],
    "turns at once": [[2, 2], [1, 3], [2, 4], [3, 5]],
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_clips_that_cannot_happen_have_no_chance(name):
    world = Bouncer(4, 7)
    places = np.array([IMPOSSIBLE[name]])
    assert world.log_prob(world.render(places)) == -np.inf
    assert world.scores(world.render(places)) == {"readable": 1.0, "possible": 0.0}
    with refuses("cannot happen"):
        world.futures(places[0])


def test_controls_are_seldom_possible_but_backwards_is_as_good_as_real():
    world = Bouncer()
    clips = world.sample(200, 2).clips
    for control in (shuffled(clips, 0), frozen(clips)):
        assert world.scores(control) == {"readable": 1.0, "possible": 0.0}
    # What counts are the walls met between the first and the last frame: time has no direction here.
    np.testing.assert_array_equal(world.log_prob(backwards(clips)), world.log_prob(clips))
    assert world.scores(clips) == {"readable": 1.0, "possible": 1.0}
    assert world.scores(0 * clips) == {"readable": 0.0, "possible": 0.0}


def test_scores_are_the_shares_of_frames_and_of_clips():
    world = Bouncer(4, 7)
    wrong = [IMPOSSIBLE[name] for name in ("teleports", "stays", "turns at once")]
    clips = np.concatenate([world.sample(2, 0).clips, world.render(np.array(wrong))])
    clips[4, :3] = -1  # three frames of 20 without a ball
    assert world.scores(clips) == {"readable": 17 / 20, "possible": 2 / 5}


def test_one_lost_frame_makes_a_clip_impossible():
    world = Bouncer()
    clips = world.sample(16, 2).clips
    clips[np.arange(16), np.arange(16)] = -1
    assert (world.log_prob(clips) == -np.inf).all()
    assert world.scores(clips) == {"readable": 15 / 16, "possible": 0.0}


def test_a_dataset_pairs_clips_with_their_places():
    world = Bouncer(5, 4)
    clips, truth = next(iter(world.dataset(6, seed=1, truth=["place"])))
    np.testing.assert_array_equal(world.read(clips.numpy())["place"], truth["place"].numpy())


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("bad", [0, 1, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    with refuses("frames", repr(bad), "at least 2"):
        Bouncer(frames=bad)
    with refuses("cells", repr(bad), "at least 3"):
        Bouncer(cells=bad)
    if bad != 1:
        with refuses("count", repr(bad)):
            Bouncer().sample(bad, 0)
    if bad not in (0, 1) or bad is True:
        with refuses("seed", repr(bad)):
            Bouncer().sample(2, bad)


def test_worlds_and_samples_that_do_not_fit_are_refused():
    with refuses("the pictures of all places", "fit"):
        Bouncer(cells=1000)
    with refuses("a clip", "fit"):
        Bouncer(frames=10**8)
    with refuses("a sample", "fit"):
        Bouncer().sample(10**6, 0)


@pytest.mark.parametrize(
    "bad", [[], 3, [[1, 2]], np.zeros((2, 15, 2), int), np.zeros((2, 16, 2)), np.zeros((2, 16, 3), int)]
)
def test_render_refuses_what_are_no_places(bad):
    with refuses("places", "(count, 16, 2)", "column and row"):
        Bouncer().render(bad)


@pytest.mark.parametrize("bad", [-1, 7])
def test_places_beyond_the_frame_are_refused(bad):
    with refuses("places", str(bad), "0 to 6"):
        Bouncer().render(np.full((1, 16, 2), bad))
    with refuses("places", str(bad), "0 to 6"):
        Bouncer().futures([[bad, 2], [1, 1]])


def test_futures_refuse_a_beginning_of_another_length():
    with refuses("1 places", "2 to 16"):
        Bouncer().futures([[1, 1]])
    with refuses("17 places", "2 to 16"):
        Bouncer().futures(np.ones((17, 2), int))
    with refuses("places", "(k, 2)"):
        Bouncer().futures([[1.0, 1.0], [2.0, 2.0]])


@pytest.mark.parametrize("verb", ["log_prob", "read", "scores"])
def test_other_clips_are_refused(verb):
    act = getattr(Bouncer(), verb)
    with refuses("(16, 8, 8, 1)", "(16, 16, 16, 1)"):
        act(noise(3, 16, 8, 8, 1))
    with refuses("float32"):
        act(noise(3, 16, 16, 16, 1).astype(float))
