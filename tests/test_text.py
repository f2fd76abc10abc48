"""Conditions: words, labels and quantities become numbers and nothing else gets through."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.quiet import keras, tf
from vidgen_tf.text import LIMIT, MOST_WORDS, OCTAVES, Vocabulary, attend, positions, text_encoder, waves_of

WORDS = ("a", "red", "square", "moves")
QUANTITIES = {"speed": 1, "path": 2}


def test_words_are_numbered_from_one_in_their_places():
    words = Vocabulary(WORDS)
    assert (words.textual, words.columns, words.size) == (True, MOST_WORDS, 4)
    numbers = words.numbers(["a square  moves", "", "red"], 3).numpy()
    assert numbers.shape == (3, MOST_WORDS)
    np.testing.assert_array_equal(numbers[:, :4], [[1, 3, 4, 0], [0, 0, 0, 0], [2, 0, 0, 0]])


def test_each_label_has_numbers_of_its_own():
    labels = Vocabulary((3, 2))
    assert (labels.textual, labels.columns, labels.size) == (False, 2, 5)
    given = np.array([[0, 0], [2, 1], [-1, 1], [1, -1]])
    np.testing.assert_array_equal(labels.numbers(given, 4), [[1, 4], [3, 5], [0, 5], [2, 0]])


def test_a_sentence_speaks_of_all_words_and_a_label_of_its_own_classes():
    words, labels = Vocabulary(WORDS), Vocabulary((3, 2))
    named, said = words.named(words.numbers(["moves red", ""], 2))
    np.testing.assert_array_equal(named, [[0, 1, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(said, [[1, 1, 1, 1], [0, 0, 0, 0]])
    named, said = labels.named(labels.numbers([[2, 0], [-1, 1]], 2))
    np.testing.assert_array_equal(named, [[0, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(said, [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1]])


def test_quantities_keep_their_distances_and_none_of_them_is_0():
    quantities = Vocabulary(QUANTITIES)
    assert (quantities.textual, quantities.measured, quantities.columns, quantities.dtype) == (
        False,
        True,
        3,
        "float32",
    )
    numbers = quantities.numbers([[-LIMIT, 0, 1], [LIMIT, np.nan, -1]], 2).numpy()
    np.testing.assert_allclose(numbers, [[1, LIMIT + 1, LIMIT + 2], [2 * LIMIT + 1, 0, LIMIT]])


def test_a_network_sees_quantities_as_waves_and_whether_they_are_open():
    quantities, dice = Vocabulary(QUANTITIES), np.random.default_rng(0).uniform(-1, 1, (5, 3)).astype(np.float32)
    seen = waves_of(quantities.numbers(dice, 5)).numpy()
    angles = np.pi / 2 * dice[..., None] * 2 ** np.arange(OCTAVES)
    wanted = np.concatenate([0 * dice[..., None], dice[..., None], np.sin(angles), np.cos(angles)], axis=-1)
    np.testing.assert_allclose(seen, wanted, atol=2e-5)
    np.testing.assert_allclose(waves_of(quantities.numbers(None, 1))[0], [[1] + [0] * (1 + 2 * OCTAVES)] * 3)


@pytest.mark.parametrize("known", [WORDS, (3, 2), QUANTITIES])
def test_without_a_condition_all_is_left_open(known):
    vocabulary = Vocabulary(known)
    assert not np.any(vocabulary.numbers(None, 3))
    assert vocabulary.numbers(None, 3).shape == (3, vocabulary.columns)


def test_numbers_are_the_same_inside_a_traced_function():
    words = Vocabulary(WORDS)
    traced = tf.function(lambda sentences: words.numbers(sentences, tf.shape(sentences)[0]))
    np.testing.assert_array_equal(traced(tf.constant(["a red", "moves"])), words.numbers(["a red", "moves"], 2))


@pytest.mark.parametrize(
    ("known", "condition", "count", "word"),
    [
        (WORDS, ["a blue"], 1, "not known"), (WORDS, ["a"], 2, "one condition for each"),
        (WORDS, [" ".join(["a"] * (MOST_WORDS + 1))], 1, "more than"), ((3, 2), [[3, 0]], 1, "not known"),
        ((3, 2), [[-2, 0]], 1, "not known"), ((3, 2), [[0, 0]], 2, "one condition for each"),
        (QUANTITIES, [[0, 0, 4]], 1, "not known"), (QUANTITIES, [[0, -4, 0]], 1, "below"),
    ],
)  # fmt: skip
def test_what_does_not_fit_stops_a_step(known, condition, count, word):
    vocabulary = Vocabulary(known)
    with pytest.raises(tf.errors.InvalidArgumentError, match=word):
        vocabulary.numbers(condition, count)


@pytest.mark.parametrize(
    ("known", "condition", "word"),
    [
        (WORDS, ["a blue square", "a"], "'blue'; known: a, red"), (WORDS, ["a"], "shape"), (WORDS, "a red", "shape"),
        (WORDS, [3, 4], "sentences"), (WORDS, [" ".join(["a"] * (MOST_WORDS + 1)), "a"], f"{MOST_WORDS} at most"),
        ((3, 2), [[0, 0]], "labels"), ((3, 2), [[0, 0], [3, 0]], "labels"), ((3, 2), [[0, 0], [-2, 0]], "labels"),
        ((3, 2), [[0.0, 0.0], [1.0, 0.0]], "labels"), ((3, 2), [0, 1], "labels"),
    ],
)  # fmt: skip
def test_a_condition_that_does_not_fit_is_refused_in_a_sentence(known, condition, word):
    with refuses(word):
        Vocabulary(known).check(condition, 2)


def test_conditions_that_fit_pass():
    assert Vocabulary(WORDS).check(["a red square", ""], 2).numpy().tolist() == [b"a red square", b""]
    assert Vocabulary(WORDS).check([" a\u00a0red "], 1).numpy().tolist() == [b"a red"]
    assert Vocabulary(WORDS).check(tf.constant(["a"]), 1).numpy().tolist() == [b"a"]
    np.testing.assert_array_equal(Vocabulary((3, 2)).check([[2, -1]], 1), [[2, -1]])


@pytest.mark.parametrize(
    "known",
    [
        (),
        "a red",
        ("a", "a"),
        ("a b",),
        ("a\rb",),
        ("",),
        ("a", 3),
        (0, 2),
        (2.5,),
        (True,),
        {},
        {"": 1},
        {"a": 0},
        {1: 1},
    ],
)
def test_a_vocabulary_that_makes_no_sense_is_refused(known):
    with refuses("condition"):
        Vocabulary(known)


@pytest.mark.parametrize(
    ("known", "spec", "fits"),
    [
        (WORDS, tf.TensorSpec((None,), tf.string), True), (WORDS, tf.TensorSpec((None, 1), tf.string), False),
        (WORDS, tf.TensorSpec((None,), tf.int32), False), ((3, 2), tf.TensorSpec((None, 2), tf.int64), True),
        ((3, 2), tf.TensorSpec((None,), tf.int64), False), ((3, 2), tf.TensorSpec((None, 2), tf.float32), False),
        ((3, 2), {"labels": tf.TensorSpec((None, 2), tf.int64)}, False),
        ((3, 2), tf.TensorSpec((None, 1), tf.int64), False), ((3, 2), tf.TensorSpec((None, None), tf.int64), True),
        (QUANTITIES, tf.TensorSpec((None, 3), tf.float32), True), (QUANTITIES, tf.TensorSpec((None, 3), tf.int32), False),
        (QUANTITIES, tf.TensorSpec((None, 2), tf.float32), False),
    ],
)  # fmt: skip
def test_the_conditions_of_a_dataset_are_known_by_shape_and_type(known, spec, fits):
    if fits:
        Vocabulary(known).check_spec(spec)
    else:
        with refuses("expected"):
            Vocabulary(known).check_spec(spec)


# -------------------------------------------------------------------------------------------------- networks


def test_places_are_told_apart_by_waves_of_length_one():
    for size in (6, 7, 32):
        codes = positions(16, size)
        assert codes.shape == (16, size)
        assert codes.dtype == np.float32
        apart = np.linalg.norm(codes[:, None] - codes[None], axis=-1)
        assert apart[~np.eye(16, dtype=bool)].min() > 0.05
        half = size // 2
        np.testing.assert_allclose(codes[:, :half] ** 2 + codes[:, half : 2 * half] ** 2, 1, rtol=1e-6)


def attention(causal: bool) -> tuple[keras.Model, np.ndarray]:
    tokens = keras.Input((5, 8))
    model = keras.Model(tokens, attend(tokens, 2, keras.random.SeedGenerator(1), causal=causal))
    return model, np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")


def test_attention_is_the_formula_of_its_paper():
    model, tokens = attention(causal=False)
    (into, bias, query_scale, key_scale, out, out_bias) = (weight.numpy() for weight in model.trainable_weights)
    split = (tokens @ into + bias).reshape(3, 5, 3, 2, 4)
    norm = lambda x: x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)  # noqa: E731
    query, key, value = norm(split[:, :, 0]) * query_scale, norm(split[:, :, 1]) * key_scale, split[:, :, 2]
    fit = np.exp(np.einsum("bnhd,bmhd->bhnm", query, key) / np.sqrt(4))
    taken = np.einsum("bhnm,bmhd->bnhd", fit / fit.sum(axis=-1, keepdims=True), value).reshape(3, 5, 8)
    np.testing.assert_allclose(model(tokens), taken @ out + out_bias, atol=1e-5)


def test_causal_attention_sees_nothing_of_what_comes_later():
    for causal in (True, False):
        model, tokens = attention(causal)
        later = tokens.copy()
        later[:, 3:] += 1
        moved = np.abs(model(tokens).numpy() - model(later).numpy()).max(axis=(0, 2))
        assert (moved[3:] > 1e-3).all()
        assert (moved[:3] < 1e-6).all() if causal else (moved[:3] > 1e-3).all()


def test_a_word_is_read_in_its_sentence():
    words = Vocabulary(WORDS)
    encoder = text_encoder(words, 16, 2, 2, keras.random.SeedGenerator(1))
    read = encoder(words.numbers(["a red square", "a moves square", "square a red"], 3)).numpy()
    assert read.shape == (3, MOST_WORDS, 16)
    assert np.abs(read[0, 0] - read[1, 0]).max() > 1e-3  # the first word is the same, its sentence another
    assert np.abs(read[0].mean(axis=0) - read[2].mean(axis=0)).max() > 1e-3  # the order counts
    labels = Vocabulary((3, 2))
    assert text_encoder(labels, 8, 1, 2, keras.random.SeedGenerator(1))(labels.numbers([[0, 1]], 1)).shape == (1, 2, 8)


def test_sentences_may_come_as_a_tensor_of_strings_and_of_no_other_shape():
    vocabulary = Vocabulary(("up", "down"))
    assert vocabulary.check(tf.constant(["up", "down up"]), 2).numpy().tolist() == [b"up", b"down up"]
    for wrong in (tf.constant("up"), tf.constant([["up", "down"], ["up", "up"]])):
        with refuses("a list of sentences"):
            vocabulary.check(wrong, 4)
    with refuses("unknown word"):
        vocabulary.check(tf.constant([b"\xff"]), 1)
