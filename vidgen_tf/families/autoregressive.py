"""Video as a language: a clip becomes a sequence of tokens, and a transformer says what each may be, given those before it.

A tokenizer (`VQVAE`) writes each patch of a few frames as one of a small number of codes. A causal transformer then learns
the sequence, row by row and frame by frame, as others learn sentences. It gives the chance of every sequence exactly,
as the product of the chances of its tokens, and a new clip is drawn token by token:

    log p(tokens) = log p(token[0]) + log p(token[1] | token[0]) + … + log p(token[n] | token[0], …, token[n-1])

A. van den Oord, O. Vinyals, K. Kavukcuoglu: Neural Discrete Representation Learning (VQ-VAE). NeurIPS 2017,
https://arxiv.org/abs/1711.00937
W. Yan, Y. Zhang, P. Abbeel, A. Srinivas: VideoGPT: Video Generation using VQ-VAE and Transformers. 2021,
https://arxiv.org/abs/2104.10157
A. Vaswani et al.: Attention Is All You Need. NeurIPS 2017, https://arxiv.org/abs/1706.03762
A. Holtzman et al.: The Curious Case of Neural Text Degeneration. ICLR 2020, https://arxiv.org/abs/1904.09751 (the nucleus)
"""

import inspect
import math

import numpy as np

from vidgen_tf.clips import check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.quiet import keras, tf
from vidgen_tf.text import Vocabulary, text_encoder
from vidgen_tf.tokenizer import VQVAE
from vidgen_tf.video_model import VideoModel, batches, draw_seed

TOKENIZER_RATE = 2e-3  # the first learning rate of a tokenizer that `TokenVideo` trains itself
COLDEST = 1e-4  # the nucleus is that of this temperature where it is lower
HOTTEST = 1e6  # temperatures from here on are refused


def attention(query, key, value, seen):
    """What tokens take from others, by how well their queries fit the others' keys.

    Args:
        query: (batch, n, heads, size).
        key, value: (batch, m, heads, size).
        seen: bool (n, m), which are looked at.

    Returns:
        (batch, n, heads, size).
    """
    ops = keras.ops
    fit = ops.einsum("bnhd,bmhd->bhnm", query, key) / math.sqrt(query.shape[-1])
    return ops.einsum("bhnm,bmhd->bnhd", ops.softmax(ops.where(seen, fit, -1e9), axis=-1), value)


def nucleus_of(chances, mass: float):
    """Which of the chances (…, n) belong to the nucleus: the fewest that hold `mass` together, the largest ones. Bool (…, n)."""
    order = tf.argsort(chances, axis=-1, direction="DESCENDING", stable=True)
    ordered = tf.gather(chances, order, batch_dims=len(chances.shape) - 1)
    before = tf.cumsum(ordered, axis=-1, exclusive=True)  # what those in front of it hold
    kept = (before < mass) | (tf.range(tf.shape(chances)[-1]) == 0) | (mass >= 1)  # sums may round to 1 too soon
    return tf.gather(kept, tf.argsort(order, axis=-1), batch_dims=len(chances.shape) - 1)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class TokenVideo(VideoModel):
    """A causal transformer over the tokens of clips.

    The condition, if there is one, is as in `VideoGAN`: a sentence or labels for each clip. It is read by a small
    transformer, and what it says stands before the tokens, where all of them see it. In training it is left out
    now and then (`drop`), so `generate` works without one.

    `log_prob` is the probability of a clip's tokens. It is that of the clip itself where different clips have different
    tokens: so on a world of few different frames, once the tokenizer tells all of them apart.

    Args:
        clip_shape: (time, height, width, channels).
        condition: None, the words of sentences, or the number of classes of each label.
        tokenizer: a `VQVAE` that was trained on such clips, be they shorter or longer, which stays as it is; or a dictionary
            of arguments for a new one, which the first `fit` trains before the transformer.
        width: numbers of a token in the transformer.
        blocks: how often tokens look at those before them.
        heads: independent attentions in each block; they divide `width`.
        drop: share of the training clips whose condition is left out.
        tokenizer_steps: for how many steps `fit` trains a new tokenizer on its data, by Adam with a rate that falls from 0.002
            to 0; None for 1,000, or 0 where it comes trained.
        seed: of the weights.

    Raises:
        ValueError: for arguments other than these.
    """

    fixed = ("tokenizer",)

    def __init__(
        self, clip_shape, condition=None, tokenizer=None, width=128, blocks=4, heads=4, drop=0.1, tokenizer_steps=None,
        seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, **kwargs)
        self.seed, self.drop = check_seed(seed), check_number(drop, "drop", below=1)
        self.tokenizer = self._checked_tokenizer(tokenizer)
        own = self.tokenizer is tokenizer
        self.tokenizer_config = tokenizer.get_config() if own else dict(tokenizer or {})
        steps = (0 if own else 1000) if tokenizer_steps is None else tokenizer_steps
        self.tokenizer_steps = check_count(steps, "tokenizer_steps", least=0)
        self.width, self.blocks, self.heads = (
            check_count(width, "width", least=2), check_count(blocks, "blocks"), check_count(heads, "heads"),
        )  # fmt: skip
        if self.width % self.heads:
            raise ValueError(f"heads is {heads}, which does not divide the width {width}; give one that does.")
        self.vocabulary = None if condition is None else Vocabulary(condition)
        self.conditional = condition is not None
        self.grid = (self.clip_shape[0] // self.tokenizer.block, *self.tokenizer.grid[1:])
        self.codes, self.length = self.tokenizer.codes, math.prod(self.grid)
        self.before = self.vocabulary.columns if self.conditional else 0  # places of the condition
        check_values((self.heads, self.length + self.before, self.length + self.before), "the attention")
        check_values((max(self.codes + 1, 4 * self.width), self.width), "a layer")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self._networks()
        self._compiled = None
        self.built = True

    def _checked_tokenizer(self, given) -> VQVAE:
        """The tokenizer, a new one if only its arguments are given; ValueError if it does not fit."""
        if given is None or isinstance(given, dict):
            known = ["name", *inspect.signature(VQVAE.__init__).parameters][:-1]
            if unknown := [name for name in given or {} if name not in known]:
                raise ValueError(f"tokenizer has {unknown[0]!r:.60}, but a VQVAE takes {', '.join(known[3:])}.")
            given = VQVAE(**{"clip_shape": self.clip_shape, "seed": self.seed} | (given or {}))
        time, *frame = self.clip_shape
        if not isinstance(given, VQVAE) or [*given.clip_shape[1:]] != frame or time % given.block:
            what = (
                f"for {given.clip_shape} in blocks of {given.block}" if isinstance(given, VQVAE) else f"{given!r:.60}"
            )
            raise ValueError(f"tokenizer is {what}, but a VQVAE for {self.clip_shape}, or its arguments, was expected.")
        return given

    # The networks.

    def _networks(self) -> None:
        size = self.width
        self.text = None
        if self.conditional:
            self.text = text_encoder(self.vocabulary, size, 2, self.heads, self.random)
        self.embedding = keras.layers.Embedding(self.codes + 1, size, self._normal(0.3), name="embedding")
        self.embedding.build((None, None))  # the last one stands before the first token
        self.places = [
            self.add_weight(shape=(count, size), initializer=self._normal(0.3), name=f"place_{axis}")
            for axis, count in zip(("block", "row", "column"), self.grid, strict=True)
        ]
        self.looks = [self._look(number) for number in range(self.blocks)]
        self.thinks = [self._think(number) for number in range(self.blocks)]
        x = given = keras.Input((None, size))
        x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
        x = keras.layers.Dense(self.codes, kernel_initializer=self._glorot(0.1))(x)
        self.head = keras.Model(given, x, name="head")

    def _normal(self, deviation):
        return keras.initializers.RandomNormal(stddev=deviation, seed=self.random)

    def _glorot(self, scale=1.0):
        return keras.initializers.VarianceScaling(scale, "fan_avg", "uniform", self.random)

    def _look(self, number: int) -> keras.Model:
        """Tokens (batch, n, width) to queries, keys and values, (batch, n, heads, width / heads) each."""
        tokens, size = keras.Input((None, self.width)), self.width // self.heads
        x = keras.layers.LayerNormalization(epsilon=1e-6)(tokens)
        x = keras.layers.Dense(3 * self.width, kernel_initializer=self._glorot())(x)
        apart = keras.layers.Reshape((-1, self.heads, size))
        query, key, value = (apart(part) for part in keras.ops.split(x, 3, axis=-1))
        query, key = (keras.layers.RMSNormalization(epsilon=1e-6)(part) for part in (query, key))
        return keras.Model(tokens, [query, key, value], name=f"look_{number}")

    def _think(self, number: int) -> keras.Model:
        """Tokens (batch, n, width), and what each took from others (batch, n, heads, width / heads), to tokens."""
        tokens, taken = keras.Input((None, self.width)), keras.Input((None, self.heads, self.width // self.heads))
        dense = lambda units, scale=1.0, **more: keras.layers.Dense(  # noqa: E731
            units, kernel_initializer=self._glorot(scale), **more
        )
        side_by_side = keras.layers.Reshape((-1, self.width))(taken)
        x = tokens + dense(self.width, 0.5 / self.blocks)(side_by_side)
        hidden = dense(4 * self.width, activation="gelu")(keras.layers.LayerNormalization(epsilon=1e-6)(x))
        return keras.Model([tokens, taken], x + dense(self.width, 0.5 / self.blocks)(hidden), name=f"think_{number}")

    # What it is made of, on any backend of Keras.

    def placed(self, tokens):
        """What goes in: tokens (batch, n), one place late, each with the place that comes next: (batch, n, width)."""
        return self.embedding(tokens) + self._places()[: tokens.shape[1]]

    def _places(self):
        """(length, width): of each place of the sequence, what its block, its row and its column add up to."""
        block, row, column = (keras.ops.convert_to_tensor(place) for place in self.places)
        return keras.ops.reshape(block[:, None, None] + row[:, None] + column, (self.length, self.width))

    def logits(self, tokens, numbers=None):
        """What each token may be, given those before it and the condition.

        Args:
            tokens: int (batch, length), row by row and block by block.
            numbers: of the condition, int (batch, columns), 0 for what is left open, where the model takes one.

        Returns:
            (batch, length, codes): logits of token i, which depend on tokens 0 to i - 1.
        """
        ops = keras.ops
        first = ops.full_like(tokens[:, :1], self.codes)
        x = self.placed(ops.concatenate([first, tokens[:, :-1]], axis=1))
        if self.text is not None:
            x = ops.concatenate([self.text(numbers), x], axis=1)
        place = np.arange(self.before + self.length)
        seen = (place <= place[:, None]) | (place < self.before)
        for look, think in zip(self.looks, self.thinks, strict=True):
            x = think([x, attention(*look(x), seen)])
        return self.head(x[:, self.before :])

    def nats(self, tokens, numbers=None):
        """-log p of tokens (batch, length), in nats: (batch,)."""
        logits = self.logits(tokens, numbers)
        right = keras.ops.take_along_axis(logits, keras.ops.cast(tokens, "int32")[..., None], axis=-1)[..., 0]
        return keras.ops.sum(keras.ops.logsumexp(logits, axis=-1) - right, axis=1)

    # Training.

    def tokens_of(self, clips):
        """The tokens of clips in one row: int32 (batch, length)."""
        return keras.ops.reshape(self.tokenizer.nearest(self.tokenizer.features_of(clips)), (-1, self.length))

    def numbers(self, condition, count, training=False):
        """Conditions as whole numbers (count, columns), 0 for what is left open; None where the model takes none."""
        if not self.conditional:
            return None
        numbers = self.vocabulary.numbers(condition, count)
        if training and self.drop:
            numbers *= tf.cast(tf.random.stateless_uniform((count, 1), self.step_seed()) >= self.drop, tf.int32)
        return numbers

    def losses_of(self, clips, condition, training):
        """`loss` is -log p of the tokens, nats a clip."""
        numbers = self.numbers(condition, tf.shape(clips)[0], training)
        return {"loss": tf.reduce_mean(self.nats(tf.stop_gradient(self.tokens_of(clips)), numbers))}

    def before_fit(self, x, batch_size):
        """Trains a new tokenizer for what is left of its `tokenizer_steps`."""
        self._check_tokenizer("Training stopped: ")
        left = self.tokenizer_steps - int(self.tokenizer.trained.numpy())
        if not int(self.tokenizer.trained.numpy()) and not left:
            raise ValueError("The tokenizer was never trained; call its fit first, or give tokenizer_steps.")
        if left <= 0:
            return
        if isinstance(x, tf.data.Dataset):
            data = x.map(lambda clips, *_: clips).repeat()
        else:
            data = tf.data.Dataset.from_tensor_slices(x)
            data = data.shuffle(len(x), seed=self.seed % 2**31) if len(x) > batch_size else data
            data = data.batch(batch_size).repeat()
        with self.distribute_strategy.scope():
            self.tokenizer.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(TOKENIZER_RATE, left)))
        self.tokenizer.fit(data, steps_per_epoch=left, verbose=0)

    def evaluate(self, x=None, y=None, **kwargs):
        """As `VideoModel.evaluate`; ValueError for a tokenizer with broken weights."""
        self._check_tokenizer()
        return super().evaluate(x, y, **kwargs)

    def _check_tokenizer(self, happened: str = "") -> None:
        """The nearest code to NaN is a token like any other, so broken weights would not be noticed."""
        if not all(np.isfinite(weight.numpy()).all() for weight in self.tokenizer.weights):
            raise ValueError(f"{happened}NaN in the tokenizer: train it anew with a smaller learning rate.")

    # Sampling.

    def _pick(self, logits, position, seed, temperature, nucleus):
        """Tokens (batch,) drawn by logits (batch, codes), with other chances for each position; `codes`, which is none of them,
        where logits are broken."""
        dice = tf.random.stateless_uniform(tf.shape(logits), tf.random.fold_in(seed, position), 1e-20)
        kept = nucleus_of(tf.nn.softmax(logits / tf.maximum(temperature, COLDEST)), nucleus)
        gumbel = -tf.math.log(-tf.math.log(dice))
        drawn = tf.argmax(tf.where(kept, logits, -np.inf) + temperature * gumbel, axis=-1, output_type=tf.int32)
        return tf.where(tf.reduce_all(tf.math.is_finite(logits), axis=-1), drawn, self.codes)

    def _sample(self, tokens, begun, numbers, seed, temperature, nucleus):
        """Tokens (batch, length), of which the first `begun` are given, completed. Of all that was seen the keys and values
        are kept, so that each step looks at one new token."""
        count, total = tf.shape(tokens)[0], self.before + self.length
        places = self._places()
        empty = tf.zeros((total, count, self.heads, self.width // self.heads))
        keys, values = [empty] * self.blocks, [empty] * self.blocks
        if self.text is not None:
            x, where = self.text(numbers), tf.range(self.before)[:, None]
            for number, (look, think) in enumerate(zip(self.looks, self.thinks, strict=True)):
                query, key, value = look(x)
                x = think([x, attention(query, key, value, np.ones((self.before, self.before), bool))])
                keys[number] = tf.tensor_scatter_nd_update(empty, where, tf.transpose(key, (1, 0, 2, 3)))
                values[number] = tf.tensor_scatter_nd_update(empty, where, tf.transpose(value, (1, 0, 2, 3)))

        def step(position, last, drawn, keys, values):
            x = self.embedding(last[:, None]) + places[position]
            where, seen = [[self.before + position]], tf.range(total) <= self.before + position
            kept = [], []
            for number, (look, think) in enumerate(zip(self.looks, self.thinks, strict=True)):
                query, *new = look(x)
                for one, old, update in zip(kept, (keys, values), new, strict=True):
                    one.append(tf.tensor_scatter_nd_update(old[number], where, tf.transpose(update, (1, 0, 2, 3))))
                key, value = (tf.transpose(one[-1], (1, 0, 2, 3)) for one in kept)
                x = think([x, attention(query, key, value, seen)])
            picked = self._pick(self.head(x)[:, 0], position, seed, temperature, nucleus)
            picked = tf.where(position < begun, tokens[:, position], picked)
            return position + 1, picked, tf.where(tf.range(self.length) == position, picked[:, None], drawn), *kept

        start = (0, tf.fill((count,), self.codes), tokens, keys, values)
        return tf.while_loop(lambda position, *_: position < self.length, step, start)[2]

    def _sample_slowly(self, tokens, begun, numbers, seed, temperature, nucleus):
        """As `_sample`, but all that was seen is computed again in each step."""
        for position in range(int(begun), self.length):
            picked = self._pick(self.logits(tokens, numbers)[:, position], position, seed, temperature, nucleus)
            tokens = tf.concat([tokens[:, :position], picked[:, None], tokens[:, position + 1 :]], axis=1)
        return tokens

    def _complete(self, tokens, begun, condition, seed, temperature, nucleus, cached) -> np.ndarray:
        """Tokens (count, length), of which the first `begun` are given, completed, as clips."""
        if cached and self._compiled is None:
            spec = [((None, self.length), "int32"), ((), "int32"), ((None, self.before), "int32"), ((2,), "int64")]
            spec += [((), "float32")] * 2
            self._compiled = tf.function(self._sample, [tf.TensorSpec(*one) for one in spec])
        sample, made = self._compiled if cached else self._sample_slowly, []
        parts = zip(batches(tokens), batches(np.arange(len(tokens))), strict=True)
        for number, (part, which) in enumerate(parts):
            words = tf.zeros((len(part), 0), tf.int32)
            if self.conditional:
                words = self.numbers(None if condition is None else tf.gather(condition, which), len(part))
            key = tf.random.fold_in(draw_seed(seed), tf.constant(number, tf.int64))
            values = (part, begun, words, key, temperature, nucleus)
            kinds = ("int32", "int32", "int32", "int64", "float32", "float32")
            made.append(sample(*map(tf.cast, values, kinds)).numpy())
        made = np.concatenate(made)
        self.check_finite(np.where(made < self.codes, 0, np.nan))
        return self.tokenizer.decode(made.reshape(-1, *self.grid))

    def generate(
        self, count: int, condition=None, *, seed: int, temperature: float = 1.0, nucleus: float = 1.0, cached: bool = True,
    ) -> np.ndarray:  # fmt: skip
        """As `VideoModel.generate`.

        Args:
            count, condition, seed: as there; the condition as the class says.
            temperature: by which logits are divided: below 1 the likely becomes likelier, 0 takes the likeliest token.
            nucleus: tokens are drawn from the fewest that hold this share of the chances (top-p); 1 takes all.
            cached: False computes all tokens again for each new one: the same clips, slowly.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for a bad count, seed, temperature or nucleus, or a condition that does not fit.
        """
        check_number(temperature, "temperature", below=HOTTEST)
        _check_share(nucleus)
        if not isinstance(cached, bool):
            raise ValueError(f"cached is {cached!r:.60}, but True or False was expected.")
        return super().generate(count, condition, seed=seed, temperature=temperature, nucleus=nucleus, cached=cached)

    def draw(self, count, condition, seed, temperature=1.0, nucleus=1.0, cached=True):
        nothing = np.zeros((count, self.length), np.int32)
        return self._complete(nothing, 0, condition, seed, temperature, nucleus, cached)

    def continuation(
        self, given: np.ndarray, futures: int = 1, condition=None, *, seed: int, temperature: float = 1.0,
        nucleus: float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        """Clips that begin with given frames, each gone on with in several ways.

        Args:
            given: the first frames of clips, float32 (count, frames, height, width, channels), in blocks of the tokenizer and
                fewer than `clip_shape` has.
            futures: how many continuations of each, at least 1.
            condition: what is asked for, one entry for each of the `count` clips, where the model takes one.
            seed: whole number from 0; the same seed gives the same futures.
            temperature, nucleus: as in `generate`.

        Returns:
            float32 (count, futures, time, height, width, channels): the given frames as they are, then new ones.

        Raises:
            ValueError: for frames of another shape or range or number, and arguments other than these.
        """
        given = check_clips(given)
        (count, frames), time = given.shape[:2], self.clip_shape[0]
        if frames >= time:
            raise ValueError(f"given has {frames} frames, but fewer than the {time} of a clip were expected; cut it.")
        tokens = self.tokenizer.encode(given)
        check_count(futures, "futures")
        check_seed(seed)
        check_number(temperature, "temperature", below=HOTTEST)
        _check_share(nucleus)
        check_values((count, futures, *self.clip_shape), "the clips")
        condition = self.check_condition(condition, count)
        if condition is not None:
            condition = tf.repeat(condition, futures, axis=0)
        tokens = np.repeat(tokens.reshape(count, -1), futures, axis=0)
        begun = tokens.shape[1]
        tokens = np.pad(tokens, ((0, 0), (0, self.length - begun)))
        clips = self._complete(tokens, begun, condition, seed, temperature, nucleus, True)
        clips[:, :frames] = np.repeat(given, futures, axis=0)
        return clips.reshape(count, futures, *self.clip_shape)

    def log_prob(self, clips: np.ndarray, condition=None) -> np.ndarray:
        """The log-probability of the tokens of clips, given a condition where there is one.

        Args:
            clips: float32 (count, time, height, width, channels).
            condition: one entry for each clip.

        Returns:
            float32 (count,), nats a clip.

        Raises:
            ValueError: for clips of another shape or range, a condition that does not fit, and for broken weights.
        """
        self._check_tokenizer()
        clips = check_clips(clips, self.clip_shape)
        condition, found = self.check_condition(condition, len(clips)), []
        for part, which in zip(batches(clips), batches(np.arange(len(clips))), strict=True):
            asked = None if condition is None else tf.gather(condition, which)
            found.append(-self.nats(self.tokens_of(part), self.numbers(asked, len(part))).numpy())
        return self.check_finite(np.concatenate(found))

    @property
    def preset_weights(self):
        """The weights of the tokenizer and of the transformer."""
        return [*self.tokenizer.preset_weights, *self.trainable_weights]

    def set_preset_weights(self, weights):
        super().set_preset_weights(weights)
        self.tokenizer.trained.assign(max(1, self.tokenizer_steps))

    def get_config(self):
        return super().get_config() | {
            "condition": self.vocabulary and self.vocabulary.known, "tokenizer": self.tokenizer_config,
            "width": self.width, "blocks": self.blocks, "heads": self.heads, "drop": self.drop,
            "tokenizer_steps": self.tokenizer_steps, "seed": self.seed,
        }  # fmt: skip


def _check_share(nucleus) -> None:
    if check_number(nucleus, "nucleus") > 1 or nucleus == 0:
        raise ValueError(f"nucleus is {nucleus!r}, but a share above 0, to 1, was expected.")
