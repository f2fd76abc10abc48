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
T. Miyato, M. Koyama: cGANs with Projection Discriminator. ICLR 2018, https://arxiv.org/abs/1802.05637
"""

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_seed
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel

LOSSES = ("classic", "relativistic")
COLLAPSED = 0.02  # made clips that differ less than this share of what real clips differ are all the same


class AdversarialModel(VideoModel):
    """What all GANs share: two networks, two optimizers, one step.

    A subclass sets `generator` and `discriminator` and says how they are called: `noise`, `make`, `rate`.

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

    def rate(self, clips: tf.Tensor, condition: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Logits (batch,) of clips: the higher, the more real."""
        return self.discriminator(clips, training=training)

    def compile(self, optimizer="adam", discriminator_optimizer=None, **kwargs):
        """`keras.Model.compile` with one optimizer for each network; the second is a copy of the first by default."""
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
        real_logit, made_logit = self.rate_both(clips, made, condition, training)
        return {
            "loss": self.generator_loss(real_logit, made_logit),
            "discriminator_loss": self.discriminator_loss(real_logit, made_logit)
            + self.penalties(clips, made, condition, training),
            "margin": tf.reduce_mean(real_logit - made_logit),
            "diversity": diversity(clips, made),
        }

    def step_seed(self) -> tf.Tensor:
        """Another seed for each step and each replica, the same when a run is resumed."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = self.optimizer.iterations if self.optimizer is not None else 0
        return tf.stack([tf.cast(replica, tf.int64), tf.cast(step, tf.int64)])

    def rate_both(self, clips, made, condition, training):
        """The logits of real and made clips, from one pass of the discriminator over both."""
        twice = None if condition is None else tf.concat([condition, condition], axis=0)
        return tf.split(self.rate(tf.concat([clips, made], axis=0), twice, training), 2)

    def discriminator_loss(self, real_logit: tf.Tensor, made_logit: tf.Tensor) -> tf.Tensor:
        """The loss of the discriminator without penalties: a scalar from logits (batch,)."""
        if self.loss_kind == "relativistic":
            return tf.reduce_mean(tf.nn.softplus(made_logit - real_logit))
        return tf.reduce_mean(tf.nn.softplus(-real_logit)) + tf.reduce_mean(tf.nn.softplus(made_logit))

    def generator_loss(self, real_logit: tf.Tensor, made_logit: tf.Tensor) -> tf.Tensor:
        """The loss of the generator: a scalar from logits (batch,)."""
        if self.loss_kind == "relativistic":
            return tf.reduce_mean(tf.nn.softplus(real_logit - made_logit))
        return tf.reduce_mean(tf.nn.softplus(-made_logit))

    def penalties(self, clips, made, condition, training) -> tf.Tensor:
        """penalty/2 · (R1 + R2): the squared length of D's gradient at real and at made clips, a mean over a share of
        the batch."""
        if not self.penalty:
            return tf.zeros(())
        few = tf.cast(tf.math.ceil(tf.cast(tf.shape(clips)[0], tf.float32) * self.penalty_share), tf.int32)
        both = tf.concat([clips[:few], made[:few]], axis=0)
        twice = None if condition is None else tf.concat([condition[:few], condition[:few]], axis=0)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(both)
            logits = self.rate(both, twice, training)
        slope = tape.gradient(logits, both)
        lengths = tf.reduce_sum(tf.square(slope), axis=(1, 2, 3, 4))  # (2 · few,)
        return self.penalty * tf.reduce_mean(lengths)  # the mean over both halves is half of R1 + R2

    def train_step(self, data):
        clips, condition, _ = keras.utils.unpack_x_y_sample_weight(data)
        clips = self.checked(clips)
        condition = self.prepared(condition, tf.shape(clips)[0], training=True)
        with tf.GradientTape() as tape:
            made = self.make(self.noise(tf.shape(clips)[0], self.step_seed()), condition, True)
            with tape.stop_recording(), tf.GradientTape() as inner:
                real_logit, made_logit = self.rate_both(clips, made, condition, True)
                discriminator_loss = self.discriminator_loss(real_logit, made_logit)
                discriminator_loss += self.penalties(clips, made, condition, True)
            with tape.stop_recording():
                differs = diversity(clips, made)
                with tf.control_dependencies(self.stop_if_alike(differs)):
                    slopes = inner.gradient(discriminator_loss, self.discriminator.trainable_variables)
                slopes = finite(slopes, discriminator_loss)
                self.discriminator_optimizer.apply(slopes, self.discriminator.trainable_variables)
            # The same made clips, rated by the discriminator that has just learned from them.
            loss = self.generator_loss(tf.stop_gradient(real_logit), self.rate(made, condition, True))
        slopes = finite(tape.gradient(loss, self.generator.trainable_variables), loss)
        self.optimizer.apply(slopes, self.generator.trainable_variables)
        self.after_step()
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(clips)[0])
        margin = tf.reduce_mean(real_logit - made_logit)
        for name, value in (("discriminator_loss", discriminator_loss), ("margin", margin), ("diversity", differs)):
            self.terms[name].update_state(value)
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


def _joined(vectors: list):
    """Vectors side by side; one alone is itself."""
    return keras.ops.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]


def _check_vocabulary(condition):
    """What a VideoGAN is told about conditions, as a tuple of words or of numbers of classes; else ValueError."""
    if condition is None:
        return None
    if isinstance(condition, (tuple, list)) and condition:
        if all(isinstance(word, str) and word and not set(word) & set(" \t\n") for word in condition):
            if len(set(condition)) == len(condition):
                return tuple(condition)
        elif not any(isinstance(entry, str) for entry in condition):
            return tuple(check_count(classes, "each number of classes in condition") for classes in condition)
    raise ValueError(
        f"condition is {condition!r:.80}, but None, different words, or numbers of classes as in (6, 4) were expected."
    )


MOST_WORDS = 16  # in a sentence
PATH_SIZE = 64  # numbers of the motion latent of a frame


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoGAN(AdversarialModel):
    """A GAN whose clips have one content and a motion: what is seen is drawn once, how it moves frame by frame.

    The content latent (batch, content_size) is the same for all frames of a clip. The motion latents
    (batch, time, 64) are a recurrent network's path through noise (batch, time + 1, motion_size); they are all that
    differs between frames. A convolutional network draws each frame from both. The discriminator sees the whole clip:
    its first convolution spans four frames, strided ones shrink each frame, then it convolves over time. Clips are
    drawn with weights averaged over the steps.

    The condition is a sentence for each clip, str (count,), where `condition` lists the known words; or labels,
    int (count, columns), -1 for one that is left open, where `condition` lists how many classes each column has.
    In training it is left out now and then (`drop`), so `generate` works without one.

    Args:
        clip_shape: (time, height, width, channels).
        condition: None, the words of sentences, or the number of classes of each label.
        width: channels of the widest pictures; deeper ones have up to four times as many.
        content_size, motion_size: numbers of noise for a clip and for a frame.
        loss, penalty, penalty_share, patience, seed: as in `AdversarialModel`.
        drop: share of the training clips whose condition is left out.
        average: how much of the averaged weights is kept in a step, from 0 (none) to below 1.

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(
        self, clip_shape, condition=None, width=32, content_size=64, motion_size=8, loss="relativistic", penalty=1.0,
        penalty_share=0.25, drop=0.1, average=0.999, patience=500, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, loss, penalty, penalty_share, patience, seed, **kwargs)
        self.width, self.content_size, self.motion_size = (
            check_count(width, "width"),
            check_count(content_size, "content_size"),
            check_count(motion_size, "motion_size"),
        )
        for name, value in (("drop", drop), ("average", average)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ValueError(f"{name} is {value!r}, but a number from 0 to below 1 was expected.")
        self.drop, self.average = float(drop), float(average)
        self.condition = _check_vocabulary(condition)
        self.conditional = self.condition is not None
        self.textual = self.conditional and isinstance(self.condition[0], str)
        if self.textual:
            numbers = tf.range(1, len(self.condition) + 1)
            table = tf.lookup.KeyValueTensorInitializer(tf.constant(self.condition), numbers)
            self.number_of = tf.lookup.StaticHashTable(table, default_value=-1)
        weights = keras.random.SeedGenerator(self.seed % 2**31)
        self.halvings = max(1, int(np.ceil(np.log2(max(self.clip_shape[1:3]) / 4))))  # down to at most 4 × 4
        self.generator = self._generator(weights, "generator")
        self.averaged = self._generator(weights, "averaged")
        self.averaged.set_weights(self.generator.get_weights())
        self.averaged.trainable = False
        self.discriminator = self._discriminator(weights)
        self.built = True

    def _condition(self, weights) -> tuple[list, list]:
        """The input for a condition and its vector (batch, 64), as lists of one; or of none, without conditions."""
        if not self.conditional:
            return [], []
        numbers = keras.Input((MOST_WORDS if self.textual else len(self.condition),), dtype="int32")
        normal = keras.initializers.RandomNormal(stddev=1.0, seed=weights)
        known = len(self.condition) if self.textual else sum(self.condition)
        x = keras.layers.Embedding(known + 1, 32, embeddings_initializer=normal)(numbers)
        return [numbers], [
            keras.layers.Dense(64, kernel_initializer=keras.initializers.HeNormal(weights))(keras.layers.Flatten()(x))
        ]

    def _generator(self, weights, name) -> keras.Model:
        """Content, motion noise and, if there is one, a condition for each of the two, to clips."""
        layers, he = keras.layers, lambda: keras.initializers.HeNormal(weights)
        time, height, width, channels = self.clip_shape
        dense = lambda units, activation=None: layers.Dense(units, activation, kernel_initializer=he())  # noqa: E731
        repeat, normal = layers.RepeatVector(time), lambda x: layers.BatchNormalization(momentum=0.9)(x)
        numbers, vector = self._condition(weights)
        encoder = keras.Model(numbers, vector, name=f"{name}_condition") if numbers else None
        content_numbers, motion_numbers = ([keras.Input(n.shape[1:], dtype="int32") for n in numbers] for _ in range(2))

        # How it moves: a recurrent network walks through the noise of the motion.
        vector = encoder(motion_numbers) if encoder else []
        motion = keras.Input((time + 1, self.motion_size))
        steps = _joined([motion[:, 1:], *[repeat(v) for v in vector]])
        start = dense(PATH_SIZE, "tanh")(_joined([motion[:, 0], *vector]))
        gru = layers.GRU(
            PATH_SIZE, return_sequences=True, unroll=True,
            kernel_initializer=keras.initializers.GlorotUniform(weights),
            recurrent_initializer=keras.initializers.Orthogonal(seed=weights),
        )  # fmt: skip
        path = gru(steps, initial_state=start)  # (batch, time, 64): the motion latents

        # What is seen: each frame is painted from the content and its motion latent.
        vector = encoder(content_numbers) if encoder else []
        content = keras.Input((self.content_size,))
        x = _joined([*[repeat(v) for v in (content, *vector)], path])  # (batch, time, all that a frame needs)
        x = layers.LeakyReLU(negative_slope=0.2)(dense(256)(x))
        first = [-(-side // 2**self.halvings) for side in (height, width)]
        widths = [self.width * 2 ** min(level, 2) for level in range(self.halvings)]
        x = layers.LeakyReLU(negative_slope=0.2)(dense(first[0] * first[1] * widths[-1])(x))
        x = keras.ops.reshape(x, (-1, *first, widths[-1]))  # (batch · time, 4, 4, channels)
        for wide in widths[-2::-1]:
            x = layers.Conv2DTranspose(wide, 4, 2, "same", kernel_initializer=he())(normal(x))
            x = layers.LeakyReLU(negative_slope=0.2)(x)
        glorot = keras.initializers.GlorotUniform(weights)
        x = layers.Conv2DTranspose(channels, 4, 2, "same", activation="tanh", kernel_initializer=glorot)(normal(x))
        x = keras.ops.reshape(x[:, :height, :width], (-1, *self.clip_shape))
        return keras.Model([content, motion, *content_numbers, *motion_numbers], x, name=name)

    def _discriminator(self, weights) -> keras.Model:
        """Clips (batch, *clip_shape) and, if there is one, their condition, to logits (batch,): some frames are looked at
        closely, anywhere in them; all are looked at from farther away, in order."""
        layers, he = keras.layers, lambda: keras.initializers.HeNormal(weights)
        time = self.clip_shape[0]
        conv = lambda x, *options: layers.LeakyReLU(negative_slope=0.2)(  # noqa: E731
            layers.Conv2D(*options, "same", kernel_initializer=he())(x)
        )
        numbers, vector = self._condition(weights)
        clips = keras.Input(self.clip_shape)

        few = clips[:, time // 6 :: max(1, time // 3)]
        x = keras.ops.reshape(few, (-1, *self.clip_shape[1:]))
        x = conv(conv(x, self.width // 2 + 1, 3, 1), self.width, 4, 2)
        for level in range(1, self.halvings):
            x = conv(conv(x, x.shape[-1], 3, 1), self.width * 2 ** min(level, 2), 4, 2)
            if level == 1:
                break
        looks = keras.ops.reshape(x, (-1, few.shape[1] * x.shape[1] * x.shape[2], x.shape[3]))
        looks = keras.ops.concatenate([keras.ops.max(looks, axis=1), keras.ops.mean(looks, axis=1)], axis=-1)

        pace = 2 if time >= 8 else 1  # frames in a step of the first convolution
        x = layers.Conv3D(self.width, (4, 4, 4), (pace, 2, 2), "same", kernel_initializer=he())(clips)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
        time = x.shape[1]
        x = keras.ops.reshape(x, (-1, *x.shape[2:]))  # (batch · time, height / 2, width / 2, channels)
        for level in range(1, self.halvings):
            x = conv(x, self.width * 2 ** min(level, 2), 4, 2)
        x = keras.ops.reshape(x, (-1, time, x.shape[1] * x.shape[2], x.shape[3]))  # (batch, time, places, channels)
        while x.shape[1] > 4:
            x = conv(x, self.width * 4, (4, 1), (2, 1))
        x = keras.ops.concatenate([layers.Flatten()(x), looks], axis=-1)
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(256, kernel_initializer=he())(x))
        logit = layers.Dense(1, use_bias=self.loss_kind == "classic", kernel_initializer=he())(x)[:, 0]
        for v in vector:  # the projection: how well the clip agrees with what was asked for
            agreement = layers.Dense(256, use_bias=False, kernel_initializer=he())(v)
            logit = logit + keras.ops.sum(x * agreement, axis=-1) / 16
        return keras.Model([clips, *numbers], logit, name="discriminator")

    def get_config(self):
        return super().get_config() | {
            "condition": self.condition, "width": self.width, "content_size": self.content_size,
            "motion_size": self.motion_size, "drop": self.drop, "average": self.average,
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
        return self.generator([*noise, *([] if condition is None else [condition, condition])], training=training)

    def rate(self, clips, condition, training):
        return self.discriminator([clips, *([] if condition is None else [condition])], training=training)

    def after_step(self):
        step = tf.cast(self.optimizer.iterations, tf.float32)
        keep = tf.minimum(self.average, step / (step + 10))  # the first weights are soon forgotten
        for average, weight in zip(self.averaged.weights, self.generator.weights, strict=True):
            average.assign(keep * average + (1 - keep) * weight)

    def draw(self, count, condition, seed):
        return self.compose(*self.noise(count, tf.constant([0, seed], tf.int64)), condition)

    def compose(self, content, motion, condition=None, motion_condition=None) -> np.ndarray:
        """Clips from noise of your own, so that content and motion can come from different clips.

        Args:
            content: (count, content_size), standard normal.
            motion: (count, time + 1, motion_size), standard normal.
            condition: what is asked for, as in `generate`.
            motion_condition: what is asked of the motion, if that is something else.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

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
        inputs = [tf.constant(content, tf.float32), tf.constant(motion, tf.float32)]
        if self.conditional:
            motion_condition = condition if motion_condition is None else motion_condition
            for one in (condition, motion_condition):
                inputs.append(self.prepared(self.check_condition(one, count), count, training=False))
        parts = [[part[start : start + 64] for part in inputs] for start in range(0, count, 64)]
        return self.check_finite(np.concatenate([self.averaged(part).numpy() for part in parts]))

    def prepared(self, condition, count, training):
        """Conditions as whole numbers (count, columns), 0 for what is left open."""
        if not self.conditional:
            return None
        if condition is None:
            return tf.zeros((count, MOST_WORDS if self.textual else len(self.condition)), tf.int32)
        condition = tf.convert_to_tensor(condition)
        if self.textual:
            words = tf.strings.split(condition)
            short = tf.debugging.assert_less_equal(
                tf.reduce_max(words.row_lengths()), np.int64(MOST_WORDS), f"a sentence has more than {MOST_WORDS} words"
            )
            words = words.to_tensor("", shape=(None, MOST_WORDS))
            numbers = tf.where(words == "", 0, self.number_of.lookup(words))
            most = len(self.condition)
        else:
            short, numbers, most = None, tf.cast(condition, tf.int32) + 1, tf.constant(self.condition)
        known = tf.debugging.assert_equal(
            tf.reduce_all((numbers >= 0) & (numbers <= most)),
            True,
            "a condition has a word or a label that is not known",
        )
        fits = tf.debugging.assert_equal(
            tf.shape(numbers)[0], count, "a batch does not have one condition for each clip"
        )
        with tf.control_dependencies([check for check in (short, known, fits) if check is not None]):
            numbers = tf.identity(numbers)
        if not self.textual:
            numbers = tf.where(
                numbers > 0, numbers + np.cumsum([0, *self.condition[:-1]], dtype=np.int32), 0
            )  # each column has its own
        if training and self.drop:
            dice = tf.random.stateless_uniform((count,), self.step_seed() + tf.constant([2, 0], tf.int64))
            numbers *= tf.cast(dice >= self.drop, tf.int32)[:, None]
        return numbers

    def check_condition(self, condition, count):
        if condition is None or not self.conditional:
            return super().check_condition(condition, count)
        if not self.textual:
            condition = super().check_condition(condition, count)
            fits = condition.ndim == 2 and condition.shape[1] == len(self.condition) and condition.dtype.kind in "iu"
            if not fits or not ((condition >= -1) & (condition < self.condition)).all():
                raise ValueError(
                    f"condition is {condition.tolist()!s:.60}, but labels (count, {len(self.condition)}) below "
                    f"{self.condition} were expected, -1 for one that is left open."
                )
            return condition
        if isinstance(condition, tf.Tensor) and condition.dtype == tf.string:
            condition = [sentence.decode() for sentence in condition.numpy().ravel().tolist()]
        condition = np.asarray(condition, object)
        if condition.shape != (count,):
            raise ValueError(
                f"condition has shape {condition.shape}, but a list of sentences with one entry for each of {count} clips "
                "was expected."
            )
        if not all(isinstance(sentence, str) for sentence in condition):
            raise ValueError(f"condition holds {condition[0]!r:.60}, but sentences were expected.")
        for sentence in condition:
            words = sentence.split()
            if unknown := [word for word in words if word not in self.condition]:
                raise ValueError(
                    f"condition has the unknown word {unknown[0][:40]!r}; known: {', '.join(self.condition)!s:.180}."
                )
            if len(words) > MOST_WORDS:
                raise ValueError(
                    f"condition has a sentence of {len(words)} words, but {MOST_WORDS} at most were expected."
                )
        return tf.constant(condition, tf.string)

    def check_condition_spec(self, spec):
        super().check_condition_spec(spec)
        rank, kind = (1, "a sentence") if self.textual else (2, f"{len(self.condition)} whole numbers")
        fits = isinstance(spec, tf.TensorSpec) and spec.shape.rank == rank
        if not fits or not (spec.dtype == tf.string if self.textual else spec.dtype.is_integer):
            raise ValueError(f"The dataset's conditions are {spec!s:.80}, but {kind} for each clip was expected.")
