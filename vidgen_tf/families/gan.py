"""Generative adversarial networks: a generator learns from a discriminator that learns to tell its clips from real ones.

The generator G turns noise z into a clip; the discriminator D turns a clip into one number, its *logit*: the higher,
the more real. They are trained against each other, each with its own optimizer. Two losses, by name:

    "classic"       D lowers  -log s(D(x)) - log(1 - s(D(G(z)))),   G lowers  -log s(D(G(z))),   s the sigmoid
    "relativistic"  D lowers  -log s(D(x) - D(G(z))),               G lowers  -log s(D(G(z)) - D(x)),
                    and D also lowers  penalty/2 · (|gradient of D at x|² + |gradient of D at G(z)|²)

The classic loss asks whether a clip is real; the relativistic one, whether a real clip looks more real than a made one,
pair by pair, so no made clip can be left behind. The two penalties (R1 at real, R2 at made clips) keep D smooth: with
them the game has a fixed point that training reaches.

I. Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014, https://arxiv.org/abs/1406.2661
Y. Huang, A. Gokaslan, V. Kuleshov, J. Tompkin: The GAN is Dead; Long Live the GAN! A Modern Baseline GAN (R3GAN).
NeurIPS 2024, https://arxiv.org/abs/2501.05441
S. Tulyakov, M.-Y. Liu, X. Yang, J. Kautz: MoCoGAN: Decomposing Motion and Content for Video Generation. CVPR 2018,
https://arxiv.org/abs/1707.04993
C. Vondrick, H. Pirsiavash, A. Torralba: Generating Videos with Scene Dynamics (VGAN). NeurIPS 2016,
https://arxiv.org/abs/1609.02612
T. Miyato, M. Koyama: cGANs with Projection Discriminator. ICLR 2018, https://arxiv.org/abs/1802.05637
A. Odena, C. Olah, J. Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017,
https://arxiv.org/abs/1610.09585 (the naming loss)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_seed
from vidgen_tf.layers import Place
from vidgen_tf.quiet import keras, tf
from vidgen_tf.text import Vocabulary
from vidgen_tf.video_model import VideoModel

LOSSES = ("classic", "relativistic")
COLLAPSED = 0.02  # made clips that differ less than this share of what real clips differ are all the same


class AdversarialModel(VideoModel):
    """What all GANs share: two networks, two optimizers, one step.

    A subclass sets `generator` and `discriminator` and says how they are called: `noise`, `make`, `rate`. A discriminator
    may have several opinions, of the clip and of single frames say: the losses and penalties of all are added. It may
    also name what it sees: to misname a clip costs the discriminator, if it is real, and the generator, if it made it.

    Args:
        clip_shape: (time, height, width, channels).
        loss: "classic" or "relativistic".
        penalty: weight of the two gradient penalties; 0 leaves them out.
        penalty_share: share of each batch on which the penalties are measured, above 0 and at most 1.
        patience: training stops when made clips were all alike for this many steps in a row.
        seed: of the weights.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "discriminator_loss", "margin", "diversity")
    naming = 0.0  # weight of what it costs to misname a clip

    def __init__(self, clip_shape, loss, penalty, penalty_share=1.0, patience=500, seed=0, **kwargs):
        super().__init__(clip_shape, **kwargs)
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}, but one of {', '.join(LOSSES)} was expected.")
        for name, value, least in (("penalty", penalty, 0), ("penalty_share", penalty_share, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < np.inf:
                raise ValueError(f"{name} is {value!r}, but a number from {least} was expected.")
        if not 0 < penalty_share <= 1:
            raise ValueError(f"penalty_share is {penalty_share}, but a share above 0 and at most 1 was expected.")
        self.loss_kind, self.penalty, self.penalty_share = loss, float(penalty), float(penalty_share)
        self.patience, self.seed = check_count(patience, "patience"), check_seed(seed)
        self.alike_for = self.add_weight(shape=(), dtype="int32", trainable=False, name="alike_for")

    def get_config(self):
        return super().get_config() | {
            "loss": self.loss_kind, "penalty": self.penalty, "penalty_share": self.penalty_share,
            "patience": self.patience, "seed": self.seed,
        }  # fmt: skip

    def noise(self, count, seed: tf.Tensor):
        """Standard normal noise for `count` clips, keyed by a seed of two whole numbers."""
        raise NotImplementedError(f"{type(self).__name__} must say what noise it takes: write noise.")

    def make(self, noise, condition: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Clips (batch, time, height, width, channels) from noise."""
        return self.generator(noise, training=training)

    def rate(self, clips: tf.Tensor, condition: tf.Tensor | None, training: bool) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The opinions of clips, each a tensor of logits (batch, …): the higher, the more real; and by how much each clip
        was misnamed, in nats (batch,): 0 where nothing is named."""
        return [self.discriminator(clips, training=training)], tf.zeros(tf.shape(clips)[:1])

    def compile(self, optimizer="adam", discriminator_optimizer=None, **kwargs):
        """`keras.Model.compile` with one optimizer for each network; the second is a copy of the first by default."""
        kwargs.setdefault("jit_compile", False)  # XLA drops the checks that stop a training gone wrong
        super().compile(optimizer=optimizer, **kwargs)
        if discriminator_optimizer is None:
            discriminator_optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def get_compile_config(self):
        optimizers = {"optimizer": self.optimizer, "discriminator_optimizer": self.discriminator_optimizer}
        return {name: keras.optimizers.serialize(one) for name, one in optimizers.items()}

    def compile_from_config(self, config):
        self.compile(**{name: keras.optimizers.deserialize(one) for name, one in config.items()})

    def losses_of(self, clips, condition, training):
        """What the two networks lower, `loss` (the generator's) and `discriminator_loss` (penalties included); the mean
        `margin` D(real) - D(made); and `diversity`: how much made clips differ, as a share of what real ones do."""
        condition = self.prepared(condition, tf.shape(clips)[0], training)
        made = self.make(self.noise(tf.shape(clips)[0], self.step_seed()), condition, training)
        opinions, misnamed = self.rate_both(clips, made, condition, training)
        cost = self.naming * tf.reduce_mean(misnamed, axis=1)
        return {
            "loss": sum(self.generator_loss(*pair) for pair in opinions) + cost[1],
            "discriminator_loss": sum(self.discriminator_loss(*pair) for pair in opinions)
            + self.penalties(clips, made, condition, training)
            + cost[0],
            "margin": margin(opinions),
            "diversity": diversity(clips, made),
        }

    def step_seed(self) -> tf.Tensor:
        """Another seed for each step and each replica, the same when a run is resumed."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer = getattr(self, "optimizer", None)  # there is none before compile
        step = optimizer.iterations if optimizer is not None else 0
        return tf.stack([4 * tf.cast(replica, tf.int64), tf.cast(step, tf.int64)])  # each step draws four times

    def rate_both(self, clips, made, condition, training):
        """The logits of real and of made clips, for each opinion, and how misnamed both are, (2, batch): from one pass of
        the discriminator over both."""
        twice = None if condition is None else tf.concat([condition, condition], axis=0)
        opinions, misnamed = self.rate(tf.concat([clips, made], axis=0), twice, training)
        return [tf.split(logits, 2) for logits in opinions], tf.stack(tf.split(misnamed, 2))

    def discriminator_loss(self, real_logit: tf.Tensor, made_logit: tf.Tensor) -> tf.Tensor:
        """The loss of the discriminator without penalties: a scalar from the logits of one opinion."""
        if self.loss_kind == "relativistic":
            return tf.reduce_mean(tf.nn.softplus(made_logit - real_logit))
        return tf.reduce_mean(tf.nn.softplus(-real_logit)) + tf.reduce_mean(tf.nn.softplus(made_logit))

    def generator_loss(self, real_logit: tf.Tensor, made_logit: tf.Tensor) -> tf.Tensor:
        """The loss of the generator: a scalar from the logits of one opinion."""
        if self.loss_kind == "relativistic":
            return tf.reduce_mean(tf.nn.softplus(real_logit - made_logit))
        return tf.reduce_mean(tf.nn.softplus(-made_logit))

    def penalties(self, clips, made, condition, training) -> tf.Tensor:
        """penalty/2 · (R1 + R2): the squared length of each logit's gradient at real and at made clips, a mean over a
        share of the batch."""
        if not self.penalty:
            return tf.zeros(())
        few = tf.cast(tf.math.ceil(tf.cast(tf.shape(clips)[0], tf.float32) * self.penalty_share), tf.int32)
        both = tf.concat([clips[:few], made[:few]], axis=0)
        twice = None if condition is None else tf.concat([condition[:few], condition[:few]], axis=0)
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(both)
            opinions, _ = self.rate(both, twice, training)
        # The logits of one opinion look at different values, so the slope of their sum holds that of each.
        total = lambda logits: tf.reduce_sum(tf.square(tape.gradient(logits, both)))  # noqa: E731
        lengths = [total(logits) / tf.cast(tf.size(logits), tf.float32) for logits in opinions]
        return self.penalty * sum(lengths)  # the mean over both halves is half of R1 + R2

    def train_step(self, data):
        clips, condition, _ = keras.utils.unpack_x_y_sample_weight(data)
        clips = self.checked(clips)
        condition = self.prepared(condition, tf.shape(clips)[0], training=True)
        with tf.GradientTape() as tape:
            made = self.make(self.noise(tf.shape(clips)[0], self.step_seed()), condition, True)
            with tape.stop_recording(), tf.GradientTape() as inner:
                opinions, misnamed = self.rate_both(clips, made, condition, True)
                discriminator_loss = sum(self.discriminator_loss(*pair) for pair in opinions)
                discriminator_loss += self.penalties(clips, made, condition, True)
                discriminator_loss += self.naming * tf.reduce_mean(misnamed[0])
            with tape.stop_recording():
                differs = diversity(clips, made)
                with tf.control_dependencies(self.stop_if_alike(differs)):
                    slopes = inner.gradient(discriminator_loss, self.discriminator.trainable_variables)
                slopes = finite(slopes, discriminator_loss)
                self.discriminator_optimizer.apply(slopes, self.discriminator.trainable_variables)
            # The same made clips, rated by the discriminator that has just learned from them; real ones as before it did.
            rated, misnamed = self.rate(made, condition, True)
            pairs = zip(opinions, rated, strict=True)
            loss = sum(self.generator_loss(tf.stop_gradient(real), again) for (real, _), again in pairs)
            loss += self.naming * tf.reduce_mean(misnamed)
        slopes = finite(tape.gradient(loss, self.generator.trainable_variables), loss)
        self.optimizer.apply(slopes, self.generator.trainable_variables)
        self.after_step()
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(clips)[0])
        terms = {"discriminator_loss": discriminator_loss, "margin": margin(opinions), "diversity": differs}
        for name, value in terms.items():
            self.terms[name].update_state(value, sample_weight=tf.shape(clips)[0])
        return self.get_metrics_result()

    def stop_if_alike(self, differs: tf.Tensor) -> list[tf.Operation]:
        """What a step must wait for: training stops once the diversity has been next to nothing for `patience` steps."""
        alike = tf.where(differs < COLLAPSED, self.alike_for + 1, 0)
        check = tf.debugging.assert_less(
            alike, self.patience,
            f"the generator collapsed, its clips have been all alike for {self.patience} steps; "
            "try loss='relativistic' with a penalty, a smaller learning rate, or another seed",
        )  # fmt: skip
        self.alike_for.assign(alike)
        return [] if check is None else [check]

    @property
    def preset_weights(self):
        """Those of the generator alone: a preset makes clips, and to train on it needs a new discriminator."""
        return self.generator.weights

    def set_preset_weights(self, weights):
        self.generator.set_weights(weights)

    def after_step(self) -> None:
        """Called at the end of each training step."""

    def prepared(self, condition, count, training: bool):
        """The condition of `count` clips as the networks take it."""
        return None

    def draw(self, count, condition, seed):
        return self.make(self.noise(count, tf.constant([0, seed], tf.int64)), condition, False)


def finite(slopes: list[tf.Tensor], loss: tf.Tensor) -> list[tf.Tensor]:
    """The slopes, if they and the loss are finite numbers; else training stops before they reach the weights."""
    check = tf.debugging.assert_equal(
        tf.math.is_finite(loss + tf.linalg.global_norm(slopes)), True,
        "the losses became NaN or infinite, and the weights were left as they were; "
        "try a smaller learning rate or a larger penalty",
    )  # fmt: skip
    with tf.control_dependencies([check] if check is not None else []):
        return [tf.identity(slope) for slope in slopes]


def margin(opinions: list) -> tf.Tensor:
    """How far the discriminator holds real clips above made ones: a mean over its opinions' pairs of logits."""
    return sum(tf.reduce_mean(real - made) for real, made in opinions) / len(opinions)


def diversity(real: tf.Tensor, made: tf.Tensor) -> tf.Tensor:
    """How much made clips differ from each other, as a share of how much real ones do: the ratio of the standard
    deviations over the batch, of each value, rooted in the mean square. 1 where real ones do not differ."""
    spread = [tf.sqrt(tf.reduce_mean(tf.math.reduce_variance(clips, axis=0))) for clips in (real, made)]
    return tf.where(spread[0] > 1e-6, spread[1] / tf.maximum(spread[0], 1e-6), 1.0)


# ------------------------------------------------------------------------------------------------- dense GAN


@keras.saving.register_keras_serializable(package="vidgen_tf")
class DenseGAN(AdversarialModel):
    """The classic pair of dense networks: 100 → 256 → 512 → 1024 → values of a clip, and its mirror, with ReLU between.

    The generator ends in tanh. The discriminator ends in a logit, and the loss applies the sigmoid to it: the same
    number as binary cross-entropy of a sigmoid's output, without its rounding to 0 or 1. Pictures are clips of one
    frame: `clip_shape=(1, 28, 28, 1)` has the 784 values of the textbook.

    Args:
        clip_shape: (time, height, width, channels).
        latent_size: numbers of noise for one clip.
        hidden: units of the generator's hidden layers; the discriminator has them in reverse.
        loss, penalty, penalty_share, patience, seed: as in `AdversarialModel`.

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(
        self, clip_shape, latent_size=100, hidden=(256, 512, 1024), loss="classic", penalty=0.0, penalty_share=1.0,
        patience=500, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, loss, penalty, penalty_share, patience, seed, **kwargs)
        self.latent_size = check_count(latent_size, "latent_size")
        if not isinstance(hidden, (tuple, list)) or not hidden:
            raise ValueError(
                f"hidden is {hidden!r}, but the units of each hidden layer were expected, as in (256, 512)."
            )
        self.hidden = tuple(check_count(units, "hidden") for units in hidden)
        weights = keras.initializers.GlorotUniform(keras.random.SeedGenerator(self.seed % 2**31))
        dense = lambda units, activation=None, use_bias=True: keras.layers.Dense(  # noqa: E731
            units, activation, use_bias, kernel_initializer=weights.clone()
        )
        self.generator = keras.Sequential(
            [
                keras.Input((self.latent_size,)),
                *[dense(units, "relu") for units in self.hidden],
                dense(int(np.prod(self.clip_shape)), "tanh"),
                keras.layers.Reshape(self.clip_shape),
            ],
            name="generator",
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input(self.clip_shape),
                keras.layers.Flatten(),
                *[dense(units, "relu") for units in self.hidden[::-1]],
                dense(1, use_bias=loss == "classic"),  # of a difference of logits no bias is left
                keras.layers.Reshape(()),
            ],
            name="discriminator",
        )
        self.built = True

    def get_config(self):
        return super().get_config() | {"latent_size": self.latent_size, "hidden": self.hidden}

    def noise(self, count, seed):
        return tf.random.stateless_normal((count, self.latent_size), seed)


# ------------------------------------------------------------------------------------------------- video GAN


def _leaky(x):
    return keras.layers.LeakyReLU(negative_slope=0.2)(x)


def _spread(x, deviations, center=False):
    """Normalised over the batch, so that clips differ from the first step on: a network cannot hide an object that it
    still paints badly in a corner of all clips, nor give all the same background."""
    gamma = lambda shape, dtype=None: keras.ops.cast(keras.ops.broadcast_to(deviations, shape), dtype)  # noqa: E731
    return keras.layers.BatchNormalization(momentum=0.9, center=center, gamma_initializer=gamma)(x)


def _pooled(x):
    """The largest and the mean value of each channel, over height and width."""
    return keras.ops.concatenate([keras.ops.max(x, axis=(-3, -2)), keras.ops.mean(x, axis=(-3, -2))], axis=-1)


def _masks(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits (height, width) of a disk in the middle, and 1 that falls to 0 at the border of a sheet."""
    y, x = ((np.arange(side) + 0.5) / side * 2 - 1 for side in (height, width))
    disk = 6 * (0.4 - np.hypot(y[:, None], x))
    edge = np.clip((1 - np.maximum(np.abs(y)[:, None], np.abs(x))) / 0.15, 0, 1)
    return disk.astype("float32"), edge.astype("float32")


def _about(middle, poses):
    """Poses (batch, time, 4) that put a sheet's point `middle` (batch, 2) where they would have put its centre."""
    ops = keras.ops
    x, y = ops.split(ops.expand_dims(middle, 1), 2, axis=-1)
    left, top, size, angle = ops.split(poses, 4, axis=-1)
    wide, cosine, sine = ops.exp(size), ops.cos(angle), ops.sin(angle)
    left, top = left - wide * (cosine * x - sine * y), top - wide * (sine * x + cosine * y)
    return ops.concatenate([left, top, size, angle], axis=-1)


def _joined(vectors: list):
    """Vectors side by side; one alone is itself."""
    return keras.ops.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]


PATH_SIZE = 64  # numbers of the motion latent of a frame
LOOKS = 4  # frames of a clip that are looked at one by one


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoGAN(AdversarialModel):
    """A GAN whose clips have one content and a motion: what is seen is painted once, how it moves frame by frame.

    The content latent (batch, content_size) is the same for all frames of a clip. Convolutional networks paint from it,
    once, the background and the objects, each on a transparent sheet. The motion latents (batch, time, 64) are a
    recurrent network's path through noise (batch, time + 1, motion_size), and it knows the time. They are all that
    differs between frames: from each comes a step by which an object moves, grows and turns, and the frame is the sheets
    laid over the background. So objects last, but cannot bend, and the background stands still.

    The discriminator has two opinions: of the clip, seen from afar (half the size, all frames in order), and of four of
    its frames, seen closely one by one. Clips are drawn with weights averaged over the steps.

    The condition is a sentence for each clip, str (count,), where `condition` lists the known words; or labels,
    int (count, columns), -1 for one that is left open, where `condition` lists how many classes each column has.
    In training it is left out now and then (`drop`), so `generate` works without one. The discriminator rates how well
    clip and condition agree (a projection), and also has to name the condition's words from the clip alone: small
    things that decide a word, such as corners, are learned much faster by name.

    Args:
        clip_shape: (time, height, width, channels).
        condition: None, the words of sentences, or the number of classes of each label.
        objects: sheets over a background that is smooth; 0 for pictures (time 1), whose background is all there is.
        width: channels of the widest pictures; deeper ones have up to four times as many.
        content_size, motion_size: numbers of noise for a clip and for a frame.
        loss, penalty, penalty_share, patience, seed: as in `AdversarialModel`.
        naming: weight of what it costs to misname a clip, in the losses of both networks; 0 leaves it out.
        drop: share of the training clips whose condition is left out.
        average: how much of the averaged weights is kept in a step at most, from 0 (none) to below 1; in the first
            steps less, step / (step + 10).

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(
        self, clip_shape, condition=None, objects=1, width=32, content_size=64, motion_size=8, loss="relativistic",
        penalty=0.2, penalty_share=0.25, naming=0.2, drop=0.1, average=0.998, patience=500, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, loss, penalty, penalty_share, patience, seed, **kwargs)
        self.width, self.content_size, self.motion_size = (
            check_count(width, "width"),
            check_count(content_size, "content_size"),
            check_count(motion_size, "motion_size"),
        )
        self.objects = check_count(objects, "objects", least=0)
        if not self.objects and self.clip_shape[0] > 1:
            raise ValueError(
                f"objects is 0, so nothing would move in {self.clip_shape[0]} frames; at least 1 was expected."
            )
        for name, value in (("drop", drop), ("average", average)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ValueError(f"{name} is {value!r}, but a number from 0 to below 1 was expected.")
        if isinstance(naming, bool) or not isinstance(naming, (int, float)) or not 0 <= naming < np.inf:
            raise ValueError(f"naming is {naming!r}, but a number from 0 was expected.")
        self.naming, self.drop, self.average = float(naming), float(drop), float(average)
        self.vocabulary = None if condition is None else Vocabulary(condition)
        self.conditional = condition is not None
        self.halvings = max(1, int(np.ceil(np.log2(max(self.clip_shape[1:3]) / 4))))  # down to at most 4 × 4
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.generator = self._generator("generator")
        self.averaged = self._generator("averaged")
        self.averaged.set_weights(self.generator.get_weights())
        self.averaged.trainable = False
        self.discriminator = self._discriminator()
        self.built = True

    # The networks. Of an absent condition no vector is left, so its lists are empty.

    def _normal(self, deviation: float):
        return keras.initializers.RandomNormal(stddev=deviation, seed=self.random)

    def _dense(self, x, units, activation=None, initializer=None):
        initializer = initializer or keras.initializers.HeNormal(self.random)
        return keras.layers.Dense(units, activation, kernel_initializer=initializer)(x)

    def _conv(self, x, channels, size, strides=1):
        """A convolution over the last two or three axes before the channels, with leaky ReLU."""
        layer = keras.layers.Conv2D if len(x.shape) == 4 else keras.layers.Conv3D
        he = keras.initializers.HeNormal(self.random)
        return _leaky(layer(channels, size, strides, "same", kernel_initializer=he)(x))

    def _numbers(self) -> list:
        """The input for a condition, as whole numbers."""
        return [keras.Input((self.vocabulary.columns,), dtype="int32")] if self.conditional else []

    def _encoder(self) -> keras.Model | None:
        """From a condition's numbers to a vector (batch, 64): which words there are, and in which places."""
        if not self.conditional:
            return None
        (numbers,) = self._numbers()
        words = keras.layers.Embedding(self.vocabulary.size + 1, 64, embeddings_initializer=self._normal(0.5))(numbers)
        words = words * keras.ops.cast(numbers > 0, "float32")[..., None]  # where nothing is said, nothing is meant
        places = self._dense(keras.layers.Flatten()(words), 64, initializer=self._normal(0.01))
        return keras.Model(numbers, keras.ops.sum(words, axis=1) + places)

    def _paint(self, x, channels, deviation):
        """From vectors (batch, n) to pictures (batch, height, width, channels), before any activation."""
        layers, (height, width) = keras.layers, self.clip_shape[1:3]
        first = [-(-side // 2**self.halvings) for side in (height, width)]
        widths = [self.width * 2 ** min(level, 2) for level in range(self.halvings)]
        x = _leaky(self._dense(_leaky(self._dense(x, 256)), first[0] * first[1] * widths[-1]))
        x = keras.ops.reshape(x, (-1, *first, widths[-1]))
        for wide in widths[-2::-1]:
            x, he = layers.BatchNormalization(momentum=0.9)(x), keras.initializers.HeNormal(self.random)
            x = _leaky(layers.Conv2DTranspose(wide, 4, 2, "same", kernel_initializer=he)(x))
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Conv2DTranspose(channels, 4, 2, "same", kernel_initializer=self._normal(deviation))(x)
        return x[:, :height, :width]

    def _smooth(self, x):
        """From vectors (batch, n) to pictures that hold no more than 4 × 4 colours, mixed between; as `_paint`."""
        (height, width), channels = self.clip_shape[1:3], self.clip_shape[3]
        spots = keras.ops.reshape(_leaky(self._dense(_leaky(self._dense(x, 128)), 4 * 4 * 16)), (-1, 4, 4, 16))
        spots = keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer=self._normal(0.03))(spots)
        color = _spread(self._dense(_leaky(self._dense(x, 64)), channels), 1.0, center=True)
        spots = spots + keras.ops.reshape(color, (-1, 1, 1, channels))
        return keras.ops.image.resize(spots, (height, width), "bilinear")

    def _poses(self, motion, vector: list):
        """The way of one object: poses (batch, time, 4), as `layers.Place` takes them, from motion noise."""
        time = self.clip_shape[0]
        first, repeat = _joined([motion[:, 0], *vector]), keras.layers.RepeatVector(time)
        around = 2 * np.pi * np.linspace(0, 1, time, dtype="float32")  # one turn of a hand that tells the time
        clock = 0 * motion[:, 1:, :1] + np.stack([np.cos(around), np.sin(around)], axis=-1)
        steps = _joined([motion[:, 1:], clock, *[repeat(v) for v in vector]])
        gru = keras.layers.GRU(
            PATH_SIZE, return_sequences=True, unroll=True,
            kernel_initializer=keras.initializers.GlorotUniform(self.random),
            recurrent_initializer=keras.initializers.Orthogonal(seed=self.random),
        )  # fmt: skip
        path = gru(steps, initial_state=self._dense(first, PATH_SIZE, "tanh"))  # (batch, time, 64): the motion latents
        # A little of turning only: a sheet seen at all angles is learned as a mixture of all.
        start = _spread(self._dense(_leaky(self._dense(first, 64)), 4), [0.45, 0.45, 0.45, 0.03])
        step = keras.ops.tanh(_spread(self._dense(path, 4), [0.4, 0.4, 0.4, 0.03]))
        step = step * np.array([1.6, 1.6, 1.6, 4.0], "float32") / time
        way = keras.ops.expand_dims(start, 1) + keras.ops.cumsum(step, axis=1)
        place, size = 0.85 * keras.ops.tanh(way[..., :2]), 0.7 * keras.ops.tanh(way[..., 2:3]) - 0.7
        return keras.ops.concatenate([place, size, way[..., 3:]], axis=-1)

    def _generator(self, name) -> keras.Model:
        """Content, motion noise and, if there is one, a condition for each of the two, to the parts of clips."""
        ops, (time, height, width, channels) = keras.ops, self.clip_shape
        encoder, content_numbers, motion_numbers = self._encoder(), self._numbers(), self._numbers()
        content, motion = keras.Input((self.content_size,)), keras.Input((time + 1, self.motion_size))
        seen = _joined([content, *map(encoder, content_numbers)])
        inputs = [content, motion, *content_numbers, *motion_numbers]
        if not self.objects:
            background = ops.tanh(self._paint(seen, channels, 0.02))
            return keras.Model(inputs, {"clips": background[:, None], "background": background}, name=name)

        background = ops.tanh(self._smooth(content))
        sheets = self._paint(seen, self.objects * (channels + 1), 0.02)
        # Sheets are shown smaller than they are painted: mixed with its neighbours, no pixel can be skipped.
        sheets = keras.layers.AveragePooling2D(2, strides=1, padding="same")(sheets)
        sheets = ops.reshape(sheets, (-1, height, width, self.objects, channels + 1))
        disk, edge = (ops.reshape(mask, (1, height, width, 1, 1)) for mask in _masks(height, width))
        color, cover = ops.split(sheets, [channels], axis=-1)
        cover = ops.sigmoid(cover + disk) * edge  # at first a disk in the middle
        sheets = ops.concatenate([ops.tanh(color) * cover, cover], axis=-1)
        # A sheet turns and grows about the middle of what it covers: turning alone moves nothing about.
        y, x = ((np.arange(side, dtype="float32") * 2 + 1 - side) / max(height, width) for side in (height, width))
        points = np.stack(np.meshgrid(x, y), axis=-1)[None, :, :, None]
        middle = ops.sum(cover * points, axis=(1, 2)) / (ops.sum(cover, axis=(1, 2)) + 1e-6)  # (batch, objects, 2)
        frames = ops.expand_dims(background, 1)
        poses = []
        for number in range(self.objects):
            poses.append(_about(middle[:, number], self._poses(motion, list(map(encoder, motion_numbers)))))
            color, cover = ops.split(Place()(sheets[..., number, :], poses[-1]), [channels], axis=-1)
            frames = frames * (1 - cover) + color
        parts = {"clips": frames, "background": background, "objects": ops.moveaxis(sheets, 3, 1)}
        return keras.Model(inputs, parts | {"poses": ops.stack(poses, axis=2)}, name=name)

    def _discriminator(self) -> keras.Model:
        """Clips (batch, *clip_shape), some of their frames (batch, LOOKS, …) and, if there is one, their condition, to
        two opinions: of clips (batch,), left out where they have one frame, and of the frames (batch, …). With a
        condition comes a third output, a logit for each of its words, (batch, vocabulary.size)."""
        ops, flat, width = keras.ops, keras.layers.Flatten(), self.width
        clips, numbers = keras.Input(self.clip_shape), self._numbers()
        looks = keras.Input((min(LOOKS, self.clip_shape[0]), *self.clip_shape[1:]))

        # What is there is found anywhere in a frame (pooled over places), and where it is (flattened).
        x = self._conv(ops.reshape(looks, (-1, *looks.shape[2:])), max(1, width // 2), 3)
        x = self._conv(x, width, 4, 2)
        if self.halvings > 1:
            x = self._conv(self._conv(x, width, 3), width * 2, 4, 2)
        anywhere = _pooled(x)
        for level in range(2, self.halvings):
            x = self._conv(x, width * 2 ** min(level - 1, 2), 4, 2)
        opinions = [self._opinion(ops.concatenate([flat(x), anywhere], axis=-1), numbers, looks.shape[1])]
        if numbers:
            seen = _leaky(self._dense(anywhere, 128))
            seen = [ops.mean(ops.reshape(seen, (-1, looks.shape[1], 128)), axis=1)]

        if self.clip_shape[0] > 1:
            x = keras.layers.AveragePooling3D((1, 2, 2), padding="same")(clips)
            for level in range(max(1, self.halvings - 1)):
                x = self._conv(x, width * 2 ** min(level, 1), 4, (2 if x.shape[1] > 4 else 1, 2, 2))
            anywhere = flat(_pooled(x))
            while x.shape[1] > 2:
                x = self._conv(x, width * 2, (4, 1, 1), (2, 1, 1))
            x = ops.concatenate([flat(x), anywhere], axis=-1)
            opinions.insert(0, self._opinion(x, numbers, 1)[:, 0])
            if numbers:
                seen.append(_leaky(self._dense(x, 128)))
        names = [self._dense(_joined(seen), self.vocabulary.size, initializer=self._normal(0.02))] if numbers else []
        return keras.Model([clips, looks, *numbers], [*opinions, *names], name="discriminator")

    def _opinion(self, x, numbers, looks):
        """Logits (batch, looks) from what was seen (batch · looks, n), and how well it agrees with the condition."""
        x = _leaky(self._dense(x, 256))
        logits = keras.layers.Dense(
            1, use_bias=self.loss_kind == "classic", kernel_initializer=keras.initializers.HeNormal(self.random)
        )(x)
        x, logits = (keras.ops.reshape(values, (-1, looks, values.shape[-1])) for values in (x, logits))
        for condition in numbers:  # the projection
            he = keras.initializers.HeNormal(self.random)
            agreement = keras.layers.Dense(256, use_bias=False, kernel_initializer=he)(self._encoder()(condition))
            logits = logits + keras.ops.sum(x * agreement[:, None], axis=-1, keepdims=True) / 16
        return logits[..., 0]

    def get_config(self):
        return super().get_config() | {
            "condition": self.vocabulary and self.vocabulary.known, "objects": self.objects, "width": self.width,
            "content_size": self.content_size, "motion_size": self.motion_size, "naming": self.naming,
            "drop": self.drop, "average": self.average,
        }  # fmt: skip

    @property
    def preset_weights(self):
        return self.averaged.weights

    def set_preset_weights(self, weights):
        self.averaged.set_weights(weights)
        self.generator.set_weights(weights)

    def noise(self, count, seed):
        """Content (count, content_size) and motion noise (count, time + 1, motion_size)."""
        content = tf.random.stateless_normal((count, self.content_size), seed)
        motion = tf.random.stateless_normal(
            (count, self.clip_shape[0] + 1, self.motion_size), seed + tf.constant([1, 0], tf.int64)
        )
        return content, motion

    def make(self, noise, condition, training):
        given = [] if condition is None else [condition, condition]
        return self.generator([*noise, *given], training=training)["clips"]

    def rate(self, clips, condition, training):
        """Opinions of clips (batch,) and of four of their frames (batch, 4), at the same times in all of a step; and
        what it costs to misname the condition's words."""
        clips = tf.convert_to_tensor(clips)
        looks = tf.gather(clips, self.looks(), axis=1)
        if condition is None:
            opinions = self.discriminator([clips, looks], training=training)
            return opinions if isinstance(opinions, list) else [opinions], tf.zeros(tf.shape(clips)[:1])
        *opinions, names = self.discriminator([clips, looks, condition], training=training)
        named, asked = self.vocabulary.named(condition)
        cost = tf.nn.sigmoid_cross_entropy_with_logits(named, names)
        return opinions, tf.reduce_sum(cost * asked, axis=1)

    def looks(self) -> tf.Tensor:
        """The numbers of the frames that this step looks at closely, evenly apart."""
        time = self.clip_shape[0]
        count = min(LOOKS, time)
        apart = time // count
        seed = self.step_seed() + tf.constant([3, 0], tf.int64)
        first = tf.random.stateless_uniform((), seed, 0, time - apart * (count - 1), tf.int32)
        return first + apart * tf.range(count)

    def after_step(self):
        step = tf.cast(self.optimizer.iterations, tf.float32)
        keep = tf.minimum(self.average, step / (step + 10))  # the first weights are soon forgotten
        for average, weight in zip(self.averaged.weights, self.generator.weights, strict=True):
            average.assign(keep * average + (1 - keep) * weight)

    def draw(self, count, condition, seed):
        return self.compose(*self.noise(count, tf.constant([0, seed], tf.int64)), condition)

    def compose(self, content, motion, condition=None, motion_condition=None) -> np.ndarray:
        """Clips from noise of your own, so that content and motion can come from different clips: `parts()["clips"]`."""
        return self.parts(content, motion, condition, motion_condition)["clips"]

    def parts(self, content, motion, condition=None, motion_condition=None) -> dict[str, np.ndarray]:
        """Clips from noise of your own, and what they were put together from.

        Args:
            content: (count, content_size), standard normal.
            motion: (count, time + 1, motion_size), standard normal.
            condition: what is asked for, as in `generate`.
            motion_condition: what is asked of the motion, if that is something else.

        Returns:
            All float32: `clips` (count, time, height, width, channels), values in [-1, 1]; `background` (count, height,
            width, channels); and, with objects, `objects` (count, objects, height, width, channels + 1), colours times
            cover, then the cover from 0 to 1; `poses` (count, time, objects, 4), as `layers.Place` takes them.

        Raises:
            ValueError: for noise of other shapes, or conditions that do not fit.
        """
        content, motion = as_array(content, "content"), as_array(motion, "motion")
        count = len(content) if content.ndim else 0
        for name, noise, shape in (
            ("content", content, (count, self.content_size)),
            ("motion", motion, (count, self.clip_shape[0] + 1, self.motion_size)),
        ):
            if noise.shape != shape or not np.isfinite(noise).all():
                raise ValueError(f"{name} has shape {noise.shape}, but finite numbers {shape} were expected.")
        check_count(count, "the number of clips")
        inputs = [tf.constant(content, tf.float32), tf.constant(motion, tf.float32)]
        for one in (condition, condition if motion_condition is None else motion_condition):
            one = self.check_condition(one, count)
            inputs += [self.prepared(one, count, training=False)] if self.conditional else []
        batches = [self.averaged([part[start : start + 64] for part in inputs]) for start in range(0, count, 64)]
        parts = {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]}
        self.check_finite(parts["clips"])
        return parts

    def prepared(self, condition, count, training):
        """Conditions as whole numbers (count, columns), 0 for what is left open."""
        if not self.conditional:
            return None
        numbers = self.vocabulary.numbers(condition, count)
        if training and self.drop:
            dice = tf.random.stateless_uniform((count,), self.step_seed() + tf.constant([2, 0], tf.int64))
            numbers *= tf.cast(dice >= self.drop, tf.int32)[:, None]
        return numbers

    def check_condition(self, condition, count):
        if condition is None or not self.conditional:
            return super().check_condition(condition, count)
        return self.vocabulary.check(condition, count)

    def check_condition_spec(self, spec):
        super().check_condition_spec(spec)
        self.vocabulary.check_spec(spec)
