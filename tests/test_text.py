"""Conditions: words and labels become numbers and nothing else gets through."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.quiet import tf
from vidgen_tf.text import MOST_WORDS, Vocabulary

WORDS = ("a", "red", "square", "moves")


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


@pytest.mark.parametrize("known", [WORDS, (3, 2)])
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
    "known", [(), "a red", ("a", "a"), ("a b",), ("a\rb",), ("",), ("a", 3), (0, 2), (2.5,), (True,)]
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
    ],
)  # fmt: skip
def test_the_conditions_of_a_dataset_are_known_by_shape_and_type(known, spec, fits):
    if fits:
        Vocabulary(known).check_spec(spec)
    else:
        with refuses("expected"):
            Vocabulary(known).check_spec(spec)
