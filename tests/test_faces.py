"""Faces: drawn from their quantities, read back from pixels, and refused in one sentence."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.clips import check_clips
from vidgen_tf.metrics import correlation, frozen, mean_clip
from vidgen_tf.worlds.faces import ACTS, EXPRESSIONS, IDENTITY, NAMED, Faces, Portraits, _syllables

OPENING = ACTS.index("opening")


@pytest.fixture(scope="module")
def world():
    return Faces()


@pytest.fixture(scope="module")
def sample(world):
    return world.sample(24, 5)


def test_a_sample_keeps_the_contract(world, sample):
    check_clips(sample.clips)
    assert sample.clips.shape == (24, *world.clip_shape) == (24, 16, 40, 40, 3)
    assert {name: values.shape for name, values in sample.truth.items()} == {
        "numbers": (24, 33),
        "acts": (24, 16, 7),
        "expression": (24, 2),
    }
    assert sum(world.columns.values()) == 33
    assert np.abs(sample.truth["numbers"]).max() <= 1
    np.testing.assert_array_equal(sample.clips, world.render(sample.truth["numbers"]))
    first, last = (tuple(EXPRESSIONS)[number] for number in sample.truth["expression"][0])
    assert first in sample.captions[0]
    assert (f"becomes {last}" if first != last else "talks") in sample.captions[0]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(world):
    first, again, other = (world.sample(2, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert (first.clips != other.clips).any()


def test_acts_go_straight_and_the_mouth_is_as_open_as_the_voice_is_loud(world):
    voice = np.linspace(-1, 1, 16)
    numbers = world.numbers_of(first_expression="sad", last_expression="happy", turn=(-1, 1), loudness=voice)
    acts = world.acts_of(numbers)[0]
    np.testing.assert_allclose(acts[:, OPENING], (voice + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(acts[:, ACTS.index("turn")], np.linspace(-1, 1, 16), atol=1e-6)
    np.testing.assert_allclose(acts[0, :3], EXPRESSIONS["sad"], atol=1e-6)
    np.testing.assert_allclose(acts[-1, :3], EXPRESSIONS["happy"], atol=1e-6)


def test_a_face_that_looks_ahead_is_its_own_mirror_image(world):
    clip = world.render(world.numbers_of(first_expression="surprised", last_expression="happy", loudness=0.5))
    np.testing.assert_allclose(clip[:, :, 17:], clip[:, :, 17:, ::-1], atol=1e-5)  # above is hair, which has a side


def test_a_turn_to_the_left_mirrors_one_to_the_right(world):
    left, right = (world.render(world.numbers_of(turn=(0, way), gaze=way, loudness=0.0)) for way in (-0.7, 0.7))
    np.testing.assert_allclose(left[:, :, 17:], right[:, :, 17:, ::-1], atol=1e-5)
    assert np.abs(left - right).max() > 0.5


def blue(clips) -> np.ndarray:
    """Row and column of what is bluer than all else in a face, the irises: (count, time, 2)."""
    weight = np.clip(clips[..., 2] - 1.15 * clips[..., 0] - 0.21, 0, 2)
    weight[..., 26:, :] = 0  # the shirt may be blue
    places = [(weight * place).sum(axis=(2, 3)) for place in np.indices(clips.shape[2:4])]
    return np.stack(places, axis=-1) / weight.sum(axis=(2, 3))[..., None]


def test_gaze_and_turn_go_to_the_right_in_the_picture_and_a_nod_goes_down(world):
    for act, axis in (("gaze", 1), ("turn", 1), ("nod", 0)):
        less, middle, more = (blue(world.render(world.numbers_of(**{act: value})))[0, :, axis] for value in (-1, 0, 1))
        assert (more > middle + 0.8).all()
        assert (less < middle - 0.8).all()


def test_expressions_are_seldom_the_named_ones_on_the_way(world, sample):
    for acts in (sample.truth["acts"][..., :3].reshape(-1, 3), Portraits().sample(200, 1).truth["acts"][:, 0, :3]):
        away = np.sqrt(np.square(acts[:, None] - NAMED).sum(axis=-1)).min(axis=1)
        assert 0.2 < (away > 0.3).mean() < 0.7


def test_voices_have_pauses():
    voices = _syllables(2000, 16, np.random.default_rng(0))
    assert 0.12 < (voices < -0.9).mean() < 0.16
    assert 0.2 < (voices > 0).mean() < 0.4


def test_what_is_louder_is_darker_inside(world):
    silent, loud = (world.render(world.numbers_of(loudness=level)) for level in (-1.0, 1.0))
    assert loud[:, :, 24:].mean() < silent[:, :, 24:].mean() - 0.02
    np.testing.assert_array_equal(loud[:, :, :20], silent[:, :, :20])  # the mouth is below


@pytest.mark.parametrize("size", [32, 40, 64])
def test_acts_are_read_back(size):
    world = Faces(size=size)
    sample = world.sample(40, 77)
    found, true = world.read(sample.clips), sample.truth["acts"]
    away = np.abs(found["acts"] - true).mean(axis=(0, 1))
    assert away[ACTS.index("turn")] < 0.04
    assert away[ACTS.index("nod")] < 0.04
    assert away[OPENING] < 0.04
    assert away.max() < 0.2
    assert np.mean(correlation(found["acts"][..., OPENING], true[..., OPENING])) > 0.98
    assert np.abs(found["identity"] - sample.truth["numbers"][:, : len(IDENTITY)]).mean() < 0.1
    assert found["error"].mean() < 0.1
    scores = world.scores(sample.clips, sample.truth["numbers"])
    assert scores["expression"] >= 0.95
    assert scores["lip_sync"] > 0.98


def test_still_and_mean_faces_and_foreign_voices_have_no_lip_sync(world, sample):
    numbers = sample.truth["numbers"]
    other = np.concatenate([numbers[:, :17], np.roll(numbers[:, 17:], 1, axis=0)], axis=1)
    assert world.scores(sample.clips, numbers)["lip_sync"] > 0.98
    assert abs(world.scores(sample.clips, other)["lip_sync"]) < 0.4
    assert world.read(frozen(sample.clips))["acts"][..., OPENING].std(axis=1).max() < 1e-5
    assert world.read(mean_clip(sample.clips))["error"].mean() > 3 * world.read(sample.clips)["error"].mean()
    assert abs(world.scores(frozen(sample.clips), numbers)["lip_sync"]) < 0.3
    assert set(world.scores(sample.clips)) == {"error"}


def test_scores_see_what_is_not_as_asked(world, sample):
    numbers = sample.truth["numbers"]
    for columns in (slice(5, 8), slice(8, 11)):  # the first expression of another, and the last
        other = numbers.copy()
        other[:, columns] = np.roll(numbers[:, columns], 1, axis=0)
        assert world.scores(sample.clips, other)["expression"] < 0.7
    backwards = world.scores(sample.clips[::-1], numbers)
    assert min(backwards[act] for act in ("turn", "nod", "gaze")) > 0.3
    mirrored = world.scores(sample.clips[:, :, :, ::-1], numbers)
    assert mirrored["turn"] > 0.3
    assert mirrored["nod"] < 0.1
    with refuses("(24, 33)", "(5, 33)"):
        world.scores(sample.clips[:5], numbers)
    with refuses("(5, 40, 40, 3)", "(16, 40, 40, 3)"):
        world.scores(sample.clips[:, :5], numbers)
    assert set(world.scores(sample.clips[:3, :5])) == {"error"}  # clips alone may have any length


def test_clips_of_any_length_are_read(world, sample):
    whole, part = world.read(sample.clips[:3]), world.read(sample.clips[:3, :5])
    np.testing.assert_allclose(whole["acts"][:, :5], part["acts"], atol=1e-4)


def test_an_identity_may_be_left_untold():
    sample = Faces(untold=0.5).sample(60, 3)
    untold = np.isnan(sample.truth["numbers"][:, : len(IDENTITY)])
    assert (untold.any(axis=1) == untold.all(axis=1)).all()
    assert 15 < untold.all(axis=1).sum() < 45
    assert np.isfinite(sample.truth["numbers"][:, len(IDENTITY) :]).all()
    assert np.isfinite(sample.clips).all()
    np.testing.assert_array_equal(sample.clips, Faces().sample(60, 3).clips)


def test_bad_input_is_refused_in_one_sentence(world, sample):
    with refuses("size is 300", "256"):
        Faces(size=300)
    with refuses("frames"):
        Faces(frames=1)
    with refuses("untold"):
        Faces(untold=1.0)
    with refuses("numbers has shape", "33"):
        world.render(np.zeros((2, 5)))
    with refuses("numbers go to", "3"):
        world.render(np.full((1, 33), 4.0))
    with refuses("NaN", "fill them in"):
        world.render(np.full((1, 33), np.nan))
    with refuses("no quantity 'mood'", "turn"):
        world.numbers_of(mood=1)
    with refuses("turn", "2 numbers"):
        world.numbers_of(turn=(1, 2, 3))
    with refuses("first_expression", "'bored'", "neutral, happy"):
        world.numbers_of(first_expression="bored")
    with refuses("(8, 8, 3)", "(40, 40, 3)"):
        world.read(np.zeros((1, 16, 8, 8, 3), np.float32))
    with refuses("128 pixels", "size=64"):
        Faces(size=128).read(np.zeros((1, 2, 128, 128, 3), np.float32))


def test_portraits_are_the_frames_of_clips():
    world, sample = Faces(), Faces().sample(3, 7)
    acts = world.acts_of(sample.truth["numbers"])
    acts[..., 6] = 2 * acts[..., 6] - 1
    who = np.repeat(sample.truth["numbers"][:, None, :5], 16, axis=1)
    numbers = np.concatenate([who, acts], axis=2).reshape(-1, 12)
    np.testing.assert_allclose(Portraits().render(numbers)[:, 1].reshape(sample.clips.shape), sample.clips, atol=1e-5)


def test_a_puppet_shows_the_acts_and_not_who_it_is():
    world = Portraits()
    numbers = world.sample(6, 3).truth["numbers"]
    puppets = world.puppets(numbers)
    assert puppets.shape == (6, 1, 40, 40, 3)
    np.testing.assert_array_equal(world.render(numbers)[:, :1], puppets)
    assert np.ptp(puppets, axis=-1).max() == 0
    other = numbers.copy()
    other[:3, :5], other[3:, :5] = 0.9, np.nan
    np.testing.assert_array_equal(world.puppets(other), puppets)
    other = numbers.copy()
    other[:, 5:] = numbers[::-1, 5:]
    np.testing.assert_allclose(world.puppets(other), puppets[::-1], atol=1e-6)
    other[2, 7] = np.nan
    with refuses("NaN", "puppet"):
        world.puppets(other)


def test_portraits_tell_all_that_is_seen_and_are_read_back():
    world = Portraits(untold=0.5)
    sample = world.sample(80, 3)
    assert sample.clips.shape == (80, 2, 40, 40, 3)
    told = np.isfinite(sample.truth["numbers"][:, 0])
    assert 20 < told.sum() < 60
    assert np.isfinite(sample.truth["numbers"][:, 5:]).all()
    np.testing.assert_allclose(world.render(sample.truth["numbers"][told]), sample.clips[told], atol=1e-6)
    scores = world.scores(sample.clips, sample.truth["numbers"])
    assert scores["expression"] > 0.8
    assert scores["turn"] < 0.05
    assert scores["opening"] < 0.1
    backwards = world.scores(sample.clips[::-1], sample.truth["numbers"])
    assert backwards["expression"] < 0.5
    assert backwards["turn"] > 0.3
    for clips, words in ((sample.clips[:7], ("(80, 12)", "(7, 12)")), (sample.clips[:, :1], ("(1, 40, 40, 3)",))):
        with refuses(*words):
            world.scores(clips, sample.truth["numbers"])
    assert world.numbers_of()[0, -1] == 0  # the mouth is half open
    assert world.acts_of(world.numbers_of())[0, 0, OPENING] == 0.5
    with pytest.raises(ValueError, match=r"\(count, 12\)"):
        world.render(np.zeros((2, 33)))


def test_the_preset_keeps_its_lips_in_time_and_turns_its_head():
    from vidgen_tf import presets
    from vidgen_tf.video_model import known_frames

    model, world, sample = presets.load("talk-faces"), Faces(), Faces().sample(6, 555)
    acts = world.acts_of(sample.truth["numbers"])
    acts[..., 6] = 2 * acts[..., 6] - 1
    who = np.repeat(sample.truth["numbers"][:, None, :5], 16, axis=1)
    numbers, first = np.concatenate([who, acts], axis=2).reshape(-1, 12), known_frames(model.clip_shape, [0])
    puppets = np.repeat(Portraits().puppets(numbers), 2, axis=1)
    frames = model.generate(96, numbers, seed=1, known=puppets, mask=first, steps=2, sampler="euler")[:, 1]
    scores = world.scores(frames.reshape(sample.clips.shape), sample.truth["numbers"])
    assert scores["lip_sync"] > 0.97
    assert scores["turn"] < 0.06
    assert scores["expression"] > 0.75
