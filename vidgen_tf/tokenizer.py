"""A tokenizer: an autoencoder that writes clips with few signs, each patch of a few frames as one of a small number of codes.

A vector-quantised autoencoder (VQ-VAE) has a codebook between encoder and decoder. What the encoder says of a patch is replaced
by the nearest code, so that a clip is a grid of whole numbers, its *tokens*, and a model of sequences can learn it:

    token = number of the code nearest to encoder(frames),    frames ≈ decoder(code of token)
    loss = mean (frames - decoder(…))² + commitment · mean (encoder(frames) - code)²

A. van den Oord, O. Vinyals, K. Kavukcuoglu: Neural Discrete Representation Learning (VQ-VAE). NeurIPS 2017,
https://arxiv.org/abs/1711.00937
A. Razavi, A. van den Oord, O. Vinyals: Generating Diverse High-Fidelity Images with VQ-VAE-2. NeurIPS 2019,
https://arxiv.org/abs/1906.00446 (codes as moving averages)
P. Dhariwal et al.: Jukebox: A Generative Model for Music. 2020, https://arxiv.org/abs/2005.00341 (codes that nobody uses
start anew)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel, batches

KEEP = 0.98  # how much of a code and of its usage is kept in a training step
DEAD, NEWBORN = 0.05, 0.2  # usage, 1 in the mean of all codes: below which a code starts anew, and with which


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VQVAE(VideoModel):
    """A vector-quantised autoencoder: clips to grids of tokens and back.

    `compile` it and `fit` it on clips; `encode` and `decode` go back and forth. It makes no clips of its own: a model
    of its tokens does.

    Features come from the encoder with the mean 0 and the mean square 1; of each, the nearest code goes on to the decoder, and the slope of
    the loss goes back past it, as if it were the feature itself (straight through). A code is the moving average of the
    features that chose it. One that has hardly been chosen of late starts anew as a feature of the batch, drawn with chances
    in proportion to its squared distance from the nearest code: where codes are missing.

    Args:
        clip_shape: (time, height, width, channels), time in blocks, height and width in patches.
        block: how many frames become one grid of tokens; it depends on no others.
        patch: side of the square of pixels that becomes one token, though a token also hears of those around it.
        codes: how many there are.
        code_size: numbers of a code, at least 2.
        width: channels of the feature maps; the largest have half as many where there are several sizes.
        depth: residual blocks on the grid, in the encoder and in the decoder.
        commitment: weight of the squared distance of features to their codes in the loss; a larger one made pictures worse.
        seed: of the weights.

    Attributes:
        grid: (blocks, rows, columns) of the tokens of a clip.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "reconstruction", "commitment", "perplexity")

    def __init__(
        self, clip_shape, block=1, patch=8, codes=64, code_size=16, width=64, depth=1, commitment=0.05, seed=0, **kwargs
    ):
        super().__init__(clip_shape, **kwargs)
        self.block, self.patch = check_count(block, "block"), check_count(patch, "patch")
        for name, part, sides in (("block", block, self.clip_shape[:1]), ("patch", patch, self.clip_shape[1:3])):
            if any(side % part for side in sides):
                raise ValueError(
                    f"{name} is {part}, which does not divide the {' × '.join(map(str, sides))} of clip_shape."
                )
        self.codes, self.code_size, self.width, self.depth = (
            check_count(codes, "codes", least=2), check_count(code_size, "code_size", least=2),
            check_count(width, "width"), check_count(depth, "depth", least=0),
        )  # fmt: skip
        self.commitment, self.seed = check_number(commitment, "commitment"), check_seed(seed)
        time, height, width, channels = self.clip_shape
        self.grid = (time // self.block, height // self.patch, width // self.patch)
        self.folded_shape = (height, width, self.block * channels)  # a block's frames side by side in the channels
        check_values(self.clip_shape, "a clip")
        check_values((self.codes, self.code_size), "the codebook")
        check_values((2 * max(self._strides()), 2 * max(self._strides()), self.width, self.width), "a layer")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.encoder, self.decoder = self._encoder(), self._decoder()
        own = {"trainable": False, "aggregation": "mean"}
        start = keras.initializers.RandomNormal(1.0, seed=self.random)
        self.codebook = self.add_weight((self.codes, self.code_size), start, name="codebook", **own)
        # Of late, 1 in the mean of all codes: at first all start anew.
        self.usage = self.add_weight((self.codes,), "zeros", name="usage", **own)
        self.trained = self.add_weight((), "zeros", name="trained", **own)  # steps
        self.built = True

    # The networks.

    def _he(self, scale=2.0):
        return keras.initializers.VarianceScaling(scale, seed=self.random)

    def _strides(self) -> list[int]:
        """The prime factors of `patch`, in rising order: by how much the convolutions shrink frames, one after the other."""
        left, found = self.patch, []
        for factor in range(2, left + 1):
            while left % factor == 0:
                left, found = left // factor, [*found, factor]
        return found or [1]

    def _widths(self) -> list[int]:
        """Channels after each of the strides."""
        first = [max(1, self.width // 2)] if len(self._strides()) > 1 else []
        return first + [self.width] * (len(self._strides()) - len(first))

    def _residual(self, x):
        conv = keras.layers.Conv2D
        y = conv(self.width, 3, padding="same", activation="relu", kernel_initializer=self._he())(x)
        return keras.ops.relu(x + conv(self.width, 3, padding="same", kernel_initializer=self._he(0.2))(y))

    def _encoder(self) -> keras.Model:
        """Blocks of frames (batch, *folded_shape) to features (batch, rows, columns, code_size)."""
        x = frames = keras.Input(self.folded_shape)
        for stride, channels in zip(self._strides(), self._widths(), strict=True):
            options = {"padding": "same", "activation": "relu", "kernel_initializer": self._he()}
            x = keras.layers.Conv2D(channels, max(3, 2 * stride), stride, **options)(x)
        for _ in range(self.depth):
            x = self._residual(x)
        x = keras.layers.Conv2D(self.code_size, 1, kernel_initializer=self._he(1.0))(x)
        x = keras.layers.LayerNormalization(center=False, scale=False, epsilon=1e-4)(x)
        return keras.Model(frames, x, name="encoder")

    def _decoder(self) -> keras.Model:
        """Codes (batch, rows, columns, code_size) to blocks of frames (batch, *folded_shape), not yet bounded."""
        x = codes = keras.Input((*self.grid[1:], self.code_size))
        x = keras.layers.Conv2D(self.width, 3, padding="same", activation="relu", kernel_initializer=self._he())(x)
        for _ in range(self.depth):
            x = self._residual(x)
        strides, widths = self._strides()[::-1], [*self._widths()[-2::-1], None]
        for stride, channels in zip(strides, widths, strict=True):
            options = {"activation": "relu"} if channels else {}
            x = keras.layers.Conv2DTranspose(
                channels or self.folded_shape[2], max(3, 2 * stride), stride, "same",
                kernel_initializer=self._he(2.0 if channels else 0.5), **options,
            )(x)  # fmt: skip
        return keras.Model(codes, x, name="decoder")

    # What it is made of, on any backend of Keras.

    def features_of(self, clips):
        """Clips (batch, time, height, width, channels), time in blocks, to features (batch, blocks, rows, columns, code_size)."""
        ops, (height, width, channels) = keras.ops, self.clip_shape[1:]
        blocks = ops.reshape(clips, (-1, self.block, height, width, channels))
        blocks = ops.reshape(ops.transpose(blocks, (0, 2, 3, 1, 4)), (-1, *self.folded_shape))
        return ops.reshape(self.encoder(blocks), (-1, clips.shape[1] // self.block, *self.grid[1:], self.code_size))

    def nearest(self, features):
        """Features (…, code_size) to the numbers of their nearest codes, int32 (…)."""
        codebook = keras.ops.convert_to_tensor(self.codebook)
        half = keras.ops.sum(keras.ops.square(codebook), axis=1) / 2
        return keras.ops.cast(keras.ops.argmax(features @ keras.ops.transpose(codebook) - half, axis=-1), "int32")

    def clips_of(self, codes):
        """Codes (batch, blocks, rows, columns, code_size) to clips (batch, time, height, width, channels), not yet bounded."""
        ops, (height, width, channels) = keras.ops, self.clip_shape[1:]
        blocks = self.decoder(ops.reshape(codes, (-1, *self.grid[1:], self.code_size)))
        blocks = ops.transpose(ops.reshape(blocks, (-1, height, width, self.block, channels)), (0, 3, 1, 2, 4))
        return ops.reshape(blocks, (-1, codes.shape[1] * self.block, height, width, channels))

    def costs(self, clips) -> tuple[dict, tuple]:
        """What `losses_of` names, of clips; and their features (n, code_size) with their tokens (n,), for `renewed`."""
        ops = keras.ops
        features = self.features_of(clips)
        tokens = self.nearest(features)
        codes = ops.take(self.codebook, tokens, axis=0)
        passed = features + ops.stop_gradient(codes - features)  # the codes, with the slope of the features
        reconstruction = ops.mean(ops.square(self.clips_of(passed) - clips))
        commitment = ops.mean(ops.square(features - codes))
        share = ops.mean(ops.one_hot(ops.reshape(tokens, (-1,)), self.codes), axis=0)
        perplexity = ops.exp(-ops.sum(share * ops.log(share + 1e-12)))
        costs = {
            "loss": reconstruction + self.commitment * commitment, "reconstruction": reconstruction,
            "commitment": commitment, "perplexity": perplexity,
        }  # fmt: skip
        seen = (ops.reshape(features, (-1, self.code_size)), ops.reshape(tokens, (-1,)))
        return costs, tuple(map(ops.stop_gradient, seen))

    def renewed(self, features, tokens, dice) -> tuple:
        """Codebook and usage after a batch of features (n, code_size) with these tokens (n,): moving averages, and fresh
        codes for those that are dead; `dice` (n,), even numbers between 0 and 1, says which features these are."""
        ops = keras.ops
        chosen = ops.one_hot(tokens, self.codes)  # (n, codes)
        times = self.codes / ops.cast(ops.shape(tokens)[0], "float32")
        usage = KEEP * self.usage + (1 - KEEP) * times * ops.sum(chosen, axis=0)
        sums = KEEP * self.usage[:, None] * self.codebook + (1 - KEEP) * times * (ops.transpose(chosen) @ features)
        error = ops.sum(ops.square(features - ops.take(self.codebook, tokens, axis=0)), axis=1)
        # The largest sums of logarithm and Gumbel noise: a draw without replacement, in proportion to the error.
        order = ops.argsort(-(ops.log(error + 1e-12) - ops.log(-ops.log(dice + 1e-12) + 1e-12)))
        dead = usage < DEAD
        rank = ops.maximum(ops.cumsum(ops.cast(dead, "int32")) - 1, 0) % ops.shape(tokens)[0]
        fresh = ops.take(features, ops.take(order, rank), axis=0)
        codebook = ops.where(dead[:, None], fresh, sums / ops.maximum(usage, DEAD)[:, None])
        return codebook, ops.where(dead, NEWBORN, usage)

    def losses_of(self, clips, condition, training):
        """`loss` is reconstruction + commitment weight · commitment; `reconstruction` the mean squared error of a value,
        `commitment` that of the features' numbers to those of their codes; and `perplexity` of the batch says how many
        codes are in use, exp of the entropy of their shares."""
        costs, (features, tokens) = self.costs(clips)
        if training:
            dice = tf.random.stateless_uniform(tf.shape(tokens), self.step_seed())
            codebook, usage = self.renewed(features, tokens, dice)
            self.codebook.assign(codebook)
            self.usage.assign(usage)
            self.trained.assign_add(1.0)
        return costs

    # What it is used for.

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """The tokens of clips.

        Args:
            clips: float32 (count, time, height, width, channels), of any time in blocks.

        Returns:
            int32 (count, blocks, rows, columns), from 0 to codes - 1.

        Raises:
            ValueError: for clips of other frames or range, a time that is not in blocks, and for broken weights.
        """
        clips = check_clips(clips)
        if clips.shape[2:] != self.clip_shape[1:] or clips.shape[1] % self.block:
            raise ValueError(
                f"The clips have shape {clips.shape}, but (count, time, {', '.join(map(str, self.clip_shape[1:]))}) was "
                f"expected, with a time that {self.block} divides; cut or resize them."
            )
        features = [self.check_finite(self.features_of(part).numpy()) for part in batches(clips)]
        return np.concatenate([self.nearest(part).numpy() for part in features])

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """The clips that tokens stand for.

        Args:
            tokens: int (count, blocks, rows, columns), from 0 to codes - 1, of any number of blocks.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for other tokens.
        """
        tokens = as_array(tokens, "tokens")
        fits = tokens.ndim == 4 and tokens.shape[2:] == self.grid[1:] and tokens.size and tokens.dtype.kind in "iu"
        if not fits or tokens.min() < 0 or tokens.max() >= self.codes:
            raise ValueError(
                f"tokens has shape {tokens.shape} and type {tokens.dtype}, but whole numbers (count, blocks, "
                f"{', '.join(map(str, self.grid[1:]))}) below {self.codes} were expected, such as encode gives."
            )
        check_values((len(tokens), tokens.shape[1] * self.block, *self.clip_shape[1:]), "the clips")
        codebook = self.codebook.numpy()
        made = [self.clips_of(tf.constant(codebook[part])).numpy() for part in batches(tokens)]
        return np.clip(self.check_finite(np.concatenate(made)), -1, 1)

    def generate(self, count, condition=None, *, seed, **settings):
        """There are no clips of its own: raises ValueError and says what makes some."""
        raise ValueError("VQVAE makes no clips of its own, only tokens; train a model of tokens on top of it.")

    @property
    def preset_weights(self):
        """All weights but the number of steps that were trained."""
        return [weight for weight in self.weights if weight is not self.trained]

    def set_preset_weights(self, weights):
        super().set_preset_weights(weights)
        self.trained.assign(1)

    def get_config(self):
        return super().get_config() | {
            "block": self.block, "patch": self.patch, "codes": self.codes, "code_size": self.code_size,
            "width": self.width, "depth": self.depth, "commitment": self.commitment, "seed": self.seed,
        }  # fmt: skip
