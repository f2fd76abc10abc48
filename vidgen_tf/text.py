"""Text, labels and quantities as conditions: what is asked for, turned into the numbers that a network takes, and read."""

import numpy as np

from vidgen_tf.clips import as_array, check_count
from vidgen_tf.quiet import keras, tf

MOST_WORDS = 16  # in a sentence
OCTAVES = 5  # of sines in which a network sees a quantity
LIMIT = 3.0  # of quantities that may be asked for; in training they should lie between -1 and 1


class Vocabulary:
    """The sentences, the labels, or the quantities that a model knows.

    Args:
        known: the words of sentences; or the number of classes of each label; or, as a dictionary, the names of quantities
            and how many numbers about from -1 to 1 each of them is, such as {"loudness": 16} for one in each frame.

    Attributes:
        known: the same, as a tuple or a dictionary.
        textual, measured: whether conditions are sentences, or quantities.
        columns: how many numbers a condition becomes: one for each place of a word, for each label, or of each quantity.
        size: how many different ones there are; 0, for what is left open, is not among them.
        dtype: of these numbers, "int32", or of quantities "float32".

    Raises:
        ValueError: for words that repeat or hold spaces, or numbers of classes below 1.
    """

    def __init__(self, known: tuple[str, ...] | tuple[int, ...] | dict[str, int]):
        self.known = self._checked(known)
        self.measured = isinstance(self.known, dict)
        self.textual = not self.measured and isinstance(self.known[0], str)
        self.dtype = "float32" if self.measured else "int32"
        if self.measured:
            self.columns = self.size = sum(self.known.values())
        else:
            self.columns = MOST_WORDS if self.textual else len(self.known)
            self.size = len(self.known) if self.textual else sum(self.known)
        if self.textual:
            numbers = tf.range(1, self.size + 1)
            table = tf.lookup.KeyValueTensorInitializer(tf.constant(self.known), numbers)
            self._number_of = tf.lookup.StaticHashTable(table, default_value=-1)

    @staticmethod
    def _checked(known) -> tuple | dict:
        if isinstance(known, dict) and known and all(isinstance(name, str) and name for name in known):
            return {name: check_count(numbers, f"{name!r} in condition") for name, numbers in known.items()}
        if isinstance(known, (tuple, list)) and known:
            if all(isinstance(word, str) and word.split() == [word] for word in known):
                if len(set(known)) == len(known):
                    return tuple(known)
            elif not any(isinstance(entry, str) for entry in known):
                return tuple(check_count(classes, "each number of classes in condition") for classes in known)
        raise ValueError(
            f"condition is {known!r:.80}, but None, different words, numbers of classes as in (6, 4), or names of "
            "quantities as in {'loudness': 16} were expected."
        )

    def numbers(self, condition, count) -> tf.Tensor:
        """Conditions of `count` clips as whole numbers (count, columns) from 1 to `size`, quantities as numbers above 0, 0
        for what is left open; works inside `tf.function`, where what does not fit stops the step."""
        if condition is None:
            return tf.zeros((count, self.columns), self.dtype)
        condition = tf.convert_to_tensor(condition)
        checks = []
        if self.textual:
            words = tf.strings.split(condition)
            checks.append(
                tf.debugging.assert_less_equal(
                    tf.reduce_max(words.row_lengths()),
                    np.int64(MOST_WORDS),
                    f"a sentence has more than {MOST_WORDS} words",
                )
            )
            words = words.to_tensor("", shape=(None, MOST_WORDS))
            numbers, most = tf.where(words == "", 0, self._number_of.lookup(words)), self.size
        elif self.measured:
            values = tf.cast(condition, tf.float32)
            numbers, most = tf.where(tf.math.is_nan(values), 0.0, values + LIMIT + 1), 2 * LIMIT + 1
            checks.append(
                tf.debugging.assert_equal(tf.reduce_any(values < -LIMIT), False, f"a quantity is below {-LIMIT}")
            )
        else:
            numbers, most = tf.cast(condition, tf.int32) + 1, tf.constant(self.known)
        known = tf.reduce_all((numbers >= 0) & (numbers <= most))
        checks += [
            tf.debugging.assert_equal(known, True, "a condition has a word or a label that is not known"),
            tf.debugging.assert_equal(tf.shape(numbers)[0], count, "a batch does not have one condition for each clip"),
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            numbers = tf.identity(numbers)
        if self.textual or self.measured:
            return numbers
        before = np.cumsum([0, *self.known[:-1]], dtype=np.int32)  # each label has numbers of its own
        return tf.where(numbers > 0, numbers + before, 0)

    def named(self, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Which words or classes conditions (count, columns) name, and which they say anything about: two float tensors
        (count, size) of 0 and 1. A sentence says something about all words, since it leaves the others out."""
        named = tf.reduce_max(tf.one_hot(numbers - 1, self.size), axis=1)
        if self.textual:
            said = tf.repeat(tf.reduce_any(numbers > 0, axis=1, keepdims=True), self.size, axis=1)
        else:
            said = tf.repeat(numbers > 0, self.known, axis=1)
        return named, tf.cast(said, tf.float32)

    def check(self, condition, count: int):
        """The condition of `count` clips, if it is made of known words or labels; else ValueError.

        Returns:
            A string tensor (count,), an int array (count, labels), or a float32 array (count, columns).
        """
        if self.measured:
            condition = as_array(condition, "condition")
            if condition.shape != (count, self.columns) or condition.dtype.kind not in "fiu":
                raise ValueError(
                    f"condition has shape {condition.shape} and type {condition.dtype}, but numbers ({count}, {self.columns}) "
                    f"were expected, one entry for each of {count} clips: {', '.join(self.known)!s:.80}."
                )
            if wrong := condition[abs(condition) > LIMIT].tolist():
                raise ValueError(
                    f"condition holds {wrong[0]:g}, but numbers from {-LIMIT:g} to {LIMIT:g} were expected."
                )
            return condition.astype(np.float32)
        if not self.textual:
            condition = as_array(condition, "condition")
            fits = condition.shape == (count, self.columns) and condition.dtype.kind in "iu"
            if not fits or not ((condition >= -1) & (condition < self.known)).all():
                raise ValueError(
                    f"condition is {condition.tolist()!s:.60}, but labels ({count}, {self.columns}) below {self.known} "
                    f"were expected, one entry for each of {count} clips, -1 for what is left open."
                )
            return condition
        if isinstance(condition, tf.Tensor) and condition.dtype == tf.string:
            condition = condition.numpy()
            condition = np.vectorize(lambda sentence: sentence.decode(errors="replace"), otypes=[object])(condition)
        condition = np.asarray(condition, object)
        if condition.shape != (count,):
            raise ValueError(
                f"condition has shape {condition.shape}, but a list of sentences with one entry for each of {count} clips "
                "was expected."
            )
        if not all(isinstance(sentence, str) for sentence in condition):
            wrong = next(sentence for sentence in condition if not isinstance(sentence, str))
            raise ValueError(f"condition holds {wrong!r:.60}, but sentences were expected.")
        for sentence in condition:
            words = sentence.split()
            if unknown := [word for word in words if word not in self.known]:
                raise ValueError(
                    f"condition has the unknown word {unknown[0][:40]!r}; known: {', '.join(self.known)!s:.180}."
                )
            if len(words) > MOST_WORDS:
                raise ValueError(
                    f"condition has a sentence of {len(words)} words, but {MOST_WORDS} at most were expected."
                )
        return tf.constant([" ".join(sentence.split()) for sentence in condition], tf.string)

    def check_spec(self, spec) -> None:
        """ValueError if a dataset's conditions, of which only shape and type are known, cannot fit."""
        rank, kind = (1, "a sentence") if self.textual else (2, f"{self.columns} numbers ({self.dtype})")
        fits = isinstance(spec, tf.TensorSpec) and spec.shape.rank == rank
        if fits and not self.textual:
            fits = spec.shape[1] in (None, self.columns)
        if self.textual:
            fits = fits and spec.dtype == tf.string
        else:
            fits = fits and (spec.dtype.is_floating if self.measured else spec.dtype.is_integer)
        if not fits:
            raise ValueError(f"The dataset's conditions are {spec!s:.80}, but {kind} for each clip was expected.")


def positions(length: int, size: int) -> np.ndarray:
    """Sines and cosines of 0, 1, …, length - 1 at `size` / 2 wavelengths, by which a network knows one place from another.

    Returns:
        float32 (length, size): the cosines, then the sines; a last column of zeros where `size` is odd.
    """
    rates = 1 / 100 ** (np.arange(size // 2) / max(1, size // 2 - 1))  # from 1 down to a hundredth
    angles = np.arange(length)[:, None] * rates
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return np.pad(waves, ((0, 0), (0, size % 2))).astype(np.float32)


def waves_of(numbers):
    """What a network sees of quantities: from numbers (batch, columns), as a `Vocabulary` gives them, whether each is open, its
    value, and sines and cosines of it, (batch, columns, 2 + 2 · OCTAVES), by which it tells small differences."""
    ops = keras.ops
    said = ops.cast(numbers > 0, "float32")[..., None]
    values = (numbers[..., None] - (LIMIT + 1)) * said
    angles = values * (np.pi / 2 * 2.0 ** np.arange(OCTAVES, dtype=np.float32))
    return ops.concatenate([1 - said, values, said * ops.sin(angles), said * ops.cos(angles)], axis=-1)


def attend(x, heads: int, random: keras.random.SeedGenerator, *, causal: bool = False):
    """Self-attention of tokens (batch, tokens, size): each takes from all, by how well its query fits their keys; queries and
    keys are normalised, so that no product grows without bound.

    Args:
        heads: independent attentions, side by side; they divide `size`.
        random: of the first weights.
        causal: whether a token sees itself and those before it only.
    """
    layers, ops, size = keras.layers, keras.ops, x.shape[-1]
    dense = lambda units: layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(random))  # noqa: E731
    split = ops.reshape(dense(3 * size)(x), (-1, x.shape[1], 3, heads, size // heads))
    query, key, value = (split[:, :, part] for part in range(3))
    query, key = layers.RMSNormalization(epsilon=1e-6)(query), layers.RMSNormalization(epsilon=1e-6)(key)
    found = ops.dot_product_attention(query, key, value, is_causal=causal)
    return dense(size)(ops.reshape(found, (-1, x.shape[1], size)))


def text_encoder(
    vocabulary: Vocabulary, size: int, blocks: int, heads: int, random: keras.random.SeedGenerator
) -> keras.Model:
    """A small transformer that reads conditions: each word is told by all others of its sentence, each quantity by all others.

    Args:
        vocabulary: what conditions are made of; its `numbers` are what the model takes.
        size: numbers a word becomes; `heads` divides it.
        blocks: how often words look at each other.
        heads: independent attentions in each block.
        random: of the first weights.

    Returns:
        From the numbers (batch, columns) to (batch, columns, size).

    A. Vaswani et al.: Attention Is All You Need. NeurIPS 2017, https://arxiv.org/abs/1706.03762
    """
    layers = keras.layers
    dense = lambda units, **more: layers.Dense(  # noqa: E731
        units, kernel_initializer=keras.initializers.GlorotUniform(random), **more
    )
    normal = keras.initializers.RandomNormal(stddev=0.5, seed=random)
    numbers = keras.Input((vocabulary.columns,), dtype=vocabulary.dtype)
    if vocabulary.measured:
        x = dense(size)(waves_of(numbers))
    else:
        x = layers.Embedding(vocabulary.size + 1, size, normal)(numbers)
    x = x + positions(vocabulary.columns, size)
    for _ in range(blocks):
        x = x + attend(layers.LayerNormalization()(x), heads, random)
        x = x + dense(size)(dense(4 * size, activation="gelu")(layers.LayerNormalization()(x)))
    return keras.Model(numbers, layers.LayerNormalization()(x), name="text_encoder")
