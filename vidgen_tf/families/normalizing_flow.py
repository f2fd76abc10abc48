"""Normalizing flows: an invertible network turns clips into noise and back, so the density of a clip is known exactly.

The network f is a chain of blocks; each can be undone, and knows by how much it stretches space. A clip is as likely as
its noise f(clip), times that stretch (the *change of variables*):

    log p(clip) = log N(f(clip); 0, 1) + log |det df(clip) / dclip|

So training is maximum likelihood, with no bound between; and to generate is to draw noise and run the chain backwards.

Clips from files have 256 grey levels, and on levels a density can grow without bound. With noise as wide as one level
added to each value (*dequantisation*), it is on average a lower bound of the probability of the levels.

L. Dinh, J. Sohl-Dickstein, S. Bengio: Density Estimation Using Real NVP. ICLR 2017, https://arxiv.org/abs/1605.08803
D. Kingma, P. Dhariwal: Glow: Generative Flow with Invertible 1×1 Convolutions. NeurIPS 2018,
https://arxiv.org/abs/1807.03039
M. Kumar et al.: VideoFlow: A Conditional Flow-Based Model for Stochastic Video Generation. ICLR 2020,
https://arxiv.org/abs/1903.01434 (its prior runs from frame to frame; here time is an axis like height and width)
A. Grover, M. Dhar, S. Ermon: Flow-GAN: Combining Maximum Likelihood and Adversarial Learning in Generative Models.
AAAI 2018, https://arxiv.org/abs/1705.08868
L. Theis, A. van den Oord, M. Bethge: A Note on the Evaluation of Generative Models. ICLR 2016,
https://arxiv.org/abs/1511.01844 (dequantisation)
"""

import math

import numpy as np

from vidgen_tf.adversarial import AdversarialModel
from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import BATCH, VideoModel, batches, draw_seed

HALF_LEVEL = 1 / 255  # half the distance of two neighbours of 256 grey levels, in [-1, 1]
LEAST_DEVIATION = 1e-3  # at initialisation, for a channel that is the same everywhere
# One coupling makes values e² = 7.4 times larger or smaller at most. Without a bound one odd value could make a scale
# infinite, and errors of rounding would grow by it on the way back.
MOST_LOG_SCALE = 2.0


class Bijector(keras.layers.Layer):
    """An invertible block. Each kind writes two methods, and all else follows from them.

    `shape` is that of one thing, without the batch: (time, height, width, channels) of a clip, (channels,) of a vector;
    `out_shape` is that of what comes out. All blocks raise ValueError for a shape or a size that cannot be.
    """

    def __init__(self, shape: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        if not isinstance(shape, (tuple, list)) or not shape:
            raise ValueError(f"shape is {shape!r}, but the sizes of one thing were expected, channels last.")
        self.shape = self.out_shape = tuple(check_count(size, "each size in shape") for size in shape)
        self.channels, self.places = self.shape[-1], math.prod(self.shape[:-1])
        self.built = True  # each kind makes its weights at once

    def forward_and_log_det(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """From data to noise: (batch, *shape) to (batch, *out_shape), and log |det dy/dx| (batch,)."""
        raise NotImplementedError(f"{type(self).__name__} must say how it works: write forward_and_log_det.")

    def inverse_and_log_det(self, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """From noise to data: (batch, *out_shape) to (batch, *shape), and log |det dx/dy| (batch,)."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is undone: write inverse_and_log_det.")

    def forward(self, x: tf.Tensor) -> tf.Tensor:
        """From data to noise: (batch, *shape) to (batch, *out_shape)."""
        return self.forward_and_log_det(self._fitting(x, self.shape))[0]

    def inverse(self, y: tf.Tensor) -> tf.Tensor:
        """From noise to data: (batch, *out_shape) to (batch, *shape)."""
        return self.inverse_and_log_det(self._fitting(y, self.out_shape))[0]

    def log_prob(self, x: tf.Tensor) -> tf.Tensor:
        """The log-density (batch,), in nats, of data (batch, *shape) whose noise is standard normal."""
        noise, log_det = self.forward_and_log_det(self._fitting(x, self.shape))
        return log_det - 0.5 * _sum(tf.square(noise) + math.log(2 * math.pi))

    def initialise(self, x: tf.Tensor) -> None:
        """Sets what starts from a first batch of data (batch, *shape); most blocks have nothing to set."""

    def _fitting(self, x: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        if not x.shape.rank or not x.shape[1:].is_compatible_with(shape):
            raise ValueError(f"{type(self).__name__} got shape {x.shape}, but (batch, {str(shape)[1:]} was expected.")
        return x

    def _everywhere(self, x: tf.Tensor, log_scale: tf.Tensor) -> tf.Tensor:
        """The log-det (batch,) where all places have the same log scales (channels,)."""
        return tf.fill(tf.shape(x)[:1], self.places * tf.reduce_sum(log_scale))


class ActNorm(Bijector):
    """Shifts and scales each channel, y = (x - mean) / deviation: learned, and at first those of a batch of data."""

    def __init__(self, shape, **kwargs):
        super().__init__(shape, **kwargs)
        self.mean = self.add_weight(shape=(self.channels,), initializer="zeros", name="mean")
        self.log_deviation = self.add_weight(shape=(self.channels,), initializer="zeros", name="log_deviation")

    def initialise(self, x):
        mean, variance = tf.nn.moments(x, axes=range(len(x.shape) - 1))
        self.mean.assign(mean)
        self.log_deviation.assign(tf.math.log(tf.maximum(tf.sqrt(variance), LEAST_DEVIATION)))

    def forward_and_log_det(self, x):
        return (x - self.mean) * tf.exp(-self.log_deviation), self._everywhere(x, -self.log_deviation)

    def inverse_and_log_det(self, y):
        return y * tf.exp(self.log_deviation) + self.mean, self._everywhere(y, self.log_deviation)


class Mixing(Bijector):
    """Mixes the channels of each place by one invertible matrix, a 1×1 convolution; at first a random rotation.

    The matrix is P L U: a fixed permutation, a lower triangle with ones on its diagonal, and an upper triangle. So the
    diagonal of U says by how much it stretches, and it is undone by solving two triangular systems.
    """

    def __init__(self, shape, seed=0, **kwargs):
        super().__init__(shape, **kwargs)
        square = (self.channels, self.channels)
        rotation = np.linalg.qr(np.random.default_rng(check_seed(seed)).standard_normal(square))[0]
        packed, order = (part.numpy() for part in tf.linalg.lu(rotation))  # L below the diagonal, U from it on
        diagonal = np.diag(packed)
        weight = lambda value, name, trainable=True: self.add_weight(  # noqa: E731
            value.shape, keras.initializers.Constant(value), trainable=trainable, name=name
        )
        self.permutation = weight(np.eye(self.channels)[np.argsort(order)], "permutation", trainable=False)
        self.signs = weight(np.sign(diagonal), "signs", trainable=False)
        self.log_diagonal = weight(np.log(np.abs(diagonal)), "log_diagonal")
        self.lower, self.upper = weight(np.tril(packed, -1), "lower"), weight(np.triu(packed, 1), "upper")

    def triangles(self) -> tuple[tf.Tensor, tf.Tensor]:
        """L and U, (channels, channels) each."""
        lower, upper = tf.linalg.band_part(self.lower, -1, 0), tf.linalg.band_part(self.upper, 0, -1)
        diagonal = self.signs * tf.exp(self.log_diagonal)
        return tf.linalg.set_diag(lower, tf.ones_like(diagonal)), tf.linalg.set_diag(upper, diagonal)

    def forward_and_log_det(self, x):
        lower, upper = self.triangles()
        return _at_each_place(x, self.permutation @ lower @ upper), self._everywhere(x, self.log_diagonal)

    def inverse_and_log_det(self, y):
        lower, upper = self.triangles()
        inverse = tf.linalg.triangular_solve(lower, tf.transpose(self.permutation))
        inverse = tf.linalg.triangular_solve(upper, inverse, lower=False)
        return _at_each_place(y, inverse), self._everywhere(y, -self.log_diagonal)


class AffineCoupling(Bijector):
    """Half of the channels stay, and a network reads from them how to scale and shift the other half:

        y = [stays, changes · exp(log_scale(stays)) + shift(stays)]

    What stays is known on both ways, so the network need not be invertible: convolutions over all axes between batch and
    channels (3×3×3, 1×1×1, 3×3×3 on clips), or dense layers on vectors. The last one starts at zero, so nothing changes
    at first. log_scale lies between -2 and 2; the network has `width` hidden channels.
    """

    def __init__(self, shape, width=32, seed=0, **kwargs):
        super().__init__(shape, **kwargs)
        if self.channels < 2:
            raise ValueError(
                f"{type(self).__name__} got one channel, shape {self.shape}, and cannot halve it; "
                "take fewer levels, or clips with even sides."
            )
        self.changes = self.channels // 2
        self.stays = self.channels - self.changes
        he = keras.initializers.HeNormal(keras.random.SeedGenerator(check_seed(seed) % 2**31))
        check_values((check_count(width, "width"), width), "a layer")
        layers = self.layers_of(width, {"activation": "silu", "kernel_initializer": he})
        self.network = keras.Sequential([keras.Input((*self.shape[:-1], self.stays)), *layers])

    def layers_of(self, width: int, hidden: dict) -> list[keras.layers.Layer]:
        """The layers of the network, from what stays to two numbers for each that changes."""
        last = _convolution(self.shape, 2 * self.changes, 3, kernel_initializer="zeros")
        return [_convolution(self.shape, width, 3, **hidden), _convolution(self.shape, width, 1, **hidden), last]

    def log_scale_and_shift(self, stays: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What happens to the other half, (batch, …, changes) each."""
        raw, shift = tf.split(self.network(stays), 2, axis=-1)
        return MOST_LOG_SCALE * tf.tanh(raw / MOST_LOG_SCALE), shift

    def forward_and_log_det(self, x):
        stays, changes = tf.split(x, [self.stays, self.changes], axis=-1)
        log_scale, shift = self.log_scale_and_shift(stays)
        return tf.concat([stays, changes * tf.exp(log_scale) + shift], axis=-1), _sum(log_scale)

    def inverse_and_log_det(self, y):
        stays, changes = tf.split(y, [self.stays, self.changes], axis=-1)
        log_scale, shift = self.log_scale_and_shift(stays)
        return tf.concat([stays, (changes - shift) * tf.exp(-log_scale)], axis=-1), -_sum(log_scale)


class Split(AffineCoupling):
    """A coupling whose changed half is finished noise, which leaves the chain: fewer numbers go on (*multi-scale*).

    What leaves is a Gaussian, whose mean and log deviation one convolution reads from what stays: zero both at first. Its
    noise is (leaves - mean) / deviation. The halves come out side by side; `Flow` parts them.
    """

    def layers_of(self, width, hidden):
        return super().layers_of(width, hidden)[-1:]

    def log_scale_and_shift(self, stays):
        log_deviation, mean = super().log_scale_and_shift(stays)
        return -log_deviation, -mean * tf.exp(-log_deviation)


class Squeeze(Bijector):
    """Makes channels of neighbours: two places become one along each axis whose side is even."""

    def __init__(self, shape, **kwargs):
        super().__init__(shape, **kwargs)
        near = [2 - side % 2 for side in self.shape[:-1]]  # how many places become one
        far, axes = [side // n for side, n in zip(self.shape[:-1], near, strict=True)], len(near)
        self.parted = [size for pair in zip(far, near, strict=True) for size in pair]  # (far, near, far, near, …)
        self.order = [
            0,
            *range(1, 2 * axes, 2),
            *range(2, 2 * axes + 1, 2),
            2 * axes + 1,
        ]  # first all far, then all near
        self.gathered = (*far, *near)
        self.out_shape = (*far, self.channels * math.prod(near))

    def forward_and_log_det(self, x):
        y = tf.transpose(tf.reshape(x, (-1, *self.parted, self.channels)), self.order)
        return tf.reshape(y, (-1, *self.out_shape)), tf.zeros(tf.shape(x)[:1])

    def inverse_and_log_det(self, y):
        x = tf.transpose(tf.reshape(y, (-1, *self.gathered, self.channels)), np.argsort(self.order))
        return tf.reshape(x, (-1, *self.shape)), tf.zeros(tf.shape(y)[:1])


class Flow(Bijector):
    """The whole chain, from clips, or vectors, to noise (batch, values), flat, and back.

    A level is a `Squeeze`, some steps of `ActNorm`, `Mixing` and `AffineCoupling`, and, but for the last, a `Split`. What
    is left after the last level goes through one more `ActNorm`. Arguments are those of `NormalizingFlow`; `blocks` lists
    the chain, and `initialised` is 1 after `initialise`: a weight, so that a saved flow remembers it.
    """

    def __init__(self, shape, levels=2, steps=3, width=32, seed=0, **kwargs):
        super().__init__(shape, **kwargs)
        levels, steps, seed = check_count(levels, "levels"), check_count(steps, "steps"), check_seed(seed)
        self.out_shape, shape = (math.prod(self.shape),), self.shape
        self.blocks, self.left_shapes = [], []  # the shapes of what leaves, level by level
        for level in range(levels):
            self.blocks.append(squeeze := Squeeze(shape))
            shape = squeeze.out_shape
            for _ in range(steps):
                seed = (seed + 1) % 2**31
                self.blocks += [ActNorm(shape), Mixing(shape, seed), AffineCoupling(shape, width, seed)]
            if level < levels - 1:
                self.blocks.append(split := Split(shape))
                self.left_shapes.append((*shape[:-1], split.changes))
                shape = (*shape[:-1], split.stays)
        self.blocks.append(ActNorm(shape))
        self.left_shapes.append(shape)
        self.initialised = self.add_weight((), "zeros", dtype="int32", trainable=False, name="initialised")

    def forward_and_log_det(self, x):
        log_det, noise = tf.zeros(tf.shape(x)[:1]), []
        for block in self.blocks:
            x, more = block.forward_and_log_det(x)
            log_det += more
            if isinstance(block, Split):
                x, leaves = tf.split(x, [block.stays, block.changes], axis=-1)
                noise.append(leaves)
        return tf.concat([tf.reshape(part, (-1, math.prod(part.shape[1:]))) for part in (*noise, x)], axis=1), log_det

    def inverse_and_log_det(self, y):
        parts = tf.split(y, [math.prod(shape) for shape in self.left_shapes], axis=1)
        *noise, y = [tf.reshape(part, (-1, *shape)) for part, shape in zip(parts, self.left_shapes, strict=True)]
        log_det = tf.zeros(tf.shape(y)[:1])
        for block in reversed(self.blocks):
            y, more = block.inverse_and_log_det(tf.concat([y, noise.pop()], -1) if isinstance(block, Split) else y)
            log_det += more
        return y, log_det

    def initialise(self, x):
        """Sets each `ActNorm` by what the blocks before it make of a first batch of data (batch, *shape)."""
        for block in self.blocks:
            block.initialise(x)
            x = block.forward(x)
            x = x[..., : block.stays] if isinstance(block, Split) else x
        self.initialised.assign(1)


def _sum(x: tf.Tensor) -> tf.Tensor:
    """The sum over all axes but the batch's."""
    return tf.reduce_sum(x, axis=range(1, len(x.shape)))


def _at_each_place(x: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """The channels of each place times a matrix."""
    return tf.reshape(tf.reshape(x, (-1, x.shape[-1])) @ matrix, (-1, *x.shape[1:]))


def _convolution(shape: tuple[int, ...], channels: int, size: int, **options) -> keras.layers.Layer:
    """A convolution over all axes of `shape` but the channels; a dense layer if there are no others."""
    if len(shape) == 1:
        return keras.layers.Dense(channels, **options)
    kind = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)[len(shape) - 2]
    return kind(channels, size, padding="same", **options)


class _ExactDensity:
    """What both models share: a flow, and what it can say and make."""

    def make_flow(self, levels, steps, width, dequantise) -> Flow:
        if not isinstance(dequantise, bool):
            raise ValueError(f"dequantise is {dequantise!r}, but True or False was expected.")
        check_values(self.clip_shape, "a clip")
        self.levels, self.steps, self.width, self.dequantise = levels, steps, width, dequantise
        self.values = math.prod(self.clip_shape)
        return Flow(self.clip_shape, levels, steps, width, self.seed, name="flow")

    def get_config(self):
        own = {"levels": self.levels, "steps": self.steps, "width": self.width, "dequantise": self.dequantise}
        return super().get_config() | own | {"seed": self.seed}

    def before_fit(self, x, batch_size):
        """Initialises the flow by the first batch, if that was never done."""
        if not self.flow.initialised.numpy():
            for batch in x.take(1) if isinstance(x, tf.data.Dataset) else [x[:batch_size]]:
                clips = check_clips(batch[0] if isinstance(batch, tuple) else batch, self.clip_shape)
                self.flow.initialise(self.dequantised(clips, [-3, 0]))

    def dequantised(self, clips: tf.Tensor, seed) -> tf.Tensor:
        """Clips with noise as wide as one grey level, keyed by two whole numbers; as they are without `dequantise`."""
        if not self.dequantise:
            return tf.convert_to_tensor(clips)
        return clips + tf.random.stateless_uniform(tf.shape(clips), seed, -HALF_LEVEL, HALF_LEVEL)

    def nats(self, clips: tf.Tensor, training: bool) -> tf.Tensor:
        """The mean of -log p / values, nats a value."""
        seed = self.step_seed() + tf.constant([1, 0], tf.int64) if training else [-3, 0]
        return -tf.reduce_mean(self.flow.log_prob(self.dequantised(clips, seed))) / self.values

    def log_prob(self, clips: np.ndarray) -> np.ndarray:
        """The log-density of clips, float32 (count, time, height, width, channels): nats per clip, float32 (count,), of
        values in [-1, 1]. The noise of `dequantise` is the same in each call. ValueError for anything but such clips, and
        for broken weights."""
        log_prob = lambda batch, start: self.flow.log_prob(self.dequantised(batch, [-3, start]))  # noqa: E731
        return self.check_finite(_in_batches(log_prob, check_clips(clips, self.clip_shape)))

    def bits_per_dimension(self, clips: np.ndarray) -> np.ndarray:
        """What a value of each clip costs in bits, float32 (count,), to be told among 256 grey levels, 2 / 255 apart:
        -log_prob / (values ln 2) + log2(255 / 2). Takes and refuses what `log_prob` does."""
        return _bits(-self.log_prob(clips) / self.values)

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """The noise, float32 (count, values), of clips, float32 (count, time, height, width, channels), with nothing
        added to them. ValueError for anything but such clips, and for broken weights."""
        clips = check_clips(clips, self.clip_shape)
        return self.check_finite(_in_batches(lambda batch, _: self.flow.forward(batch), clips))

    def decode(self, noise: np.ndarray) -> np.ndarray:
        """The clips, float32 (count, time, height, width, channels), of noise (count, values), cut off at -1 and 1.
        ValueError for noise of another shape, or with NaN."""
        noise = as_array(noise, "noise").astype(np.float32)
        if noise.ndim != 2 or noise.shape[1] != self.values or not noise.size or not np.isfinite(noise).all():
            raise ValueError(f"noise has shape {noise.shape}, but finite numbers (count, {self.values}) were expected.")
        return np.clip(self.check_finite(_in_batches(lambda batch, _: self.flow.inverse(batch), noise)), -1, 1)

    def generate(self, count: int, condition: None = None, *, seed: int, temperature: float = 1.0) -> np.ndarray:
        """As `VideoModel.generate`, of noise that is `temperature`, a number from 0, times standard normal: below 1 clips
        are less varied, at 0 all are one. There is no condition."""
        check_number(temperature, "temperature")
        return super().generate(count, condition, seed=seed, temperature=temperature)

    def draw(self, count, condition, seed, temperature=1.0):
        noise = temperature * self.noise(count, draw_seed(seed)).numpy()
        return _in_batches(lambda batch, _: self.flow.inverse(batch), noise)

    def noise(self, count, seed):
        """Standard normal noise (count, values), keyed by two whole numbers."""
        return tf.random.stateless_normal((count, self.values), seed)


def _in_batches(call, values: np.ndarray) -> np.ndarray:
    """What `call` makes of some things at a time and of the number of the first."""
    parts = enumerate(batches(values))
    return np.concatenate([call(tf.constant(few), number * BATCH).numpy() for number, few in parts])


def _bits(nats):
    """Bits for one of 256 grey levels, from the nats of a density of values in [-1, 1]."""
    return nats / math.log(2) + math.log2(255 / 2)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class NormalizingFlow(_ExactDensity, VideoModel):
    """A flow trained by maximum likelihood: `loss` is -log p / values, nats a value.

    The first `fit` begins by setting each `ActNorm` by its first batch.

    Args:
        clip_shape: (time, height, width, channels); even sides can be squeezed.
        levels: at least 1: how often even sides are halved; after all but the last, half of the numbers leave as noise.
        steps: of each level: how often channels are normalised, mixed and coupled.
        width: hidden channels of the couplings.
        dequantise: whether noise of one grey level is added to clips, as clips from files need it. Else they are taken
            for real numbers.
        seed: of the weights.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "bits_per_dimension")

    def __init__(self, clip_shape, levels=2, steps=3, width=32, dequantise=True, seed=0, **kwargs):
        super().__init__(clip_shape, **kwargs)
        self.seed = check_seed(seed)
        self.flow = self.make_flow(levels, steps, width, dequantise)
        self.built = True

    def losses_of(self, clips, condition, training):
        nats = self.nats(clips, training)
        return {"loss": nats, "bits_per_dimension": _bits(nats)}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FlowGAN(_ExactDensity, AdversarialModel):
    """A GAN whose generator is a flow, so that its likelihood is known, and can be raised too.

    The generator lowers (1 - adversarial) · nats + adversarial · its adversarial loss, with nats = -log p / values. The
    likelihood forbids to leave out clips; the game looks at what is made.

    Args:
        clip_shape, levels, steps, width, dequantise: as in `NormalizingFlow`; the discriminator has the same width.
        adversarial: from 0, likelihood alone, to 1, the game alone.
        loss, penalty, penalty_share, patience, seed: as in `AdversarialModel`.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = (*AdversarialModel.loss_names, "nats")

    def __init__(
        self, clip_shape, levels=2, steps=3, width=32, dequantise=True, adversarial=0.1, loss="relativistic",
        penalty=1.0, penalty_share=0.25, patience=500, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, loss, penalty, penalty_share, patience, seed, **kwargs)
        self.adversarial = check_number(adversarial, "adversarial")
        if adversarial > 1:
            raise ValueError(f"adversarial is {adversarial}, but a share from 0 to 1 was expected.")
        self.flow = self.make_flow(levels, steps, width, dequantise)
        self.discriminator = self._discriminator()
        self.built = True

    def get_config(self):
        return super().get_config() | {"adversarial": self.adversarial}

    generator = property(lambda self: self.flow)  # what `AdversarialModel` trains

    def _discriminator(self) -> keras.Model:
        """Convolutions that halve time, height and width, until none is above 4, and a logit for each clip."""
        he = keras.initializers.HeNormal(keras.random.SeedGenerator(self.seed % 2**31))
        layers = []
        check_values((4, 4, 4, 2 * self.width, 4 * self.width), "a layer")
        for level in range(max(1, math.ceil(math.log2(max(self.clip_shape[:3]) / 4)))):
            wide = self.width * 2 ** min(level, 2)
            layers += [keras.layers.Conv3D(wide, 4, 2, "same", kernel_initializer=he), keras.layers.LeakyReLU(0.2)]
        last = keras.layers.Dense(1, use_bias=self.loss_kind == "classic", kernel_initializer=he)
        layers += [keras.layers.Flatten(), last, keras.layers.Reshape(())]
        return keras.Sequential([keras.Input(self.clip_shape), *layers], name="discriminator")

    def make(self, noise, condition, training):
        return self.flow.inverse(noise)

    def further_terms(self, clips, training):
        return {"nats": self.nats(clips, training)}

    def generator_pays(self, opinions, misnamed, further):
        game = super().generator_pays(opinions, misnamed, further) if self.adversarial else 0.0
        likelihood = further["nats"] if self.adversarial < 1 else 0.0
        return (1 - self.adversarial) * likelihood + self.adversarial * game
