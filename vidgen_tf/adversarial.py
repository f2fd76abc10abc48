"""Adversarial training: a generator learns from a discriminator that learns to tell its clips from real ones.

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
A. Odena, C. Olah, J. Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017,
https://arxiv.org/abs/1610.09585 (the naming loss)
S. Tulyakov, M.-Y. Liu, X. Yang, J. Kautz: MoCoGAN: Decomposing Motion and Content for Video Generation. CVPR 2018,
https://arxiv.org/abs/1707.04993 (`ContentMotionModel`)
"""

import math

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_number, check_seed, check_values
from vidgen_tf.layers import joined, leaky
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel, batches, draw_seed, evenly_apart, shared

LOSSES = ("classic", "relativistic")
COLLAPSED = 0.02  # made clips that differ less than this share of what real clips differ are all the same


class AdversarialModel(VideoModel):
    """What all GANs share: two networks, two optimizers, one step.

    A subclass sets `generator` and `discriminator` and says how they are called: `noise`, `make`, `rate`. A discriminator
    may have several opinions, of the clip and of single frames say: the losses and penalties of all are added. It may
    also name what it sees. To misname a real clip costs the discriminator; a made clip that is misnamed by more than the
    real one with the same condition costs the generator. By more only: else signs that no real clip has would pay.

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
        self.loss_kind, self.penalty = loss, check_number(penalty, "penalty")
        self.penalty_share = check_number(penalty_share, "penalty_share")
        if not 0 < penalty_share <= 1:
            raise ValueError(f"penalty_share is {penalty_share}, but a share above 0 and at most 1 was expected.")
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
        """The opinions of clips, each a tensor of logits (batch, …): the higher, the more real; and by how much each name
        of a clip was missed, in nats (batch, names): no names where nothing is named."""
        return [self.discriminator(clips, training=training)], tf.zeros((tf.shape(clips)[0], 0))

    def compile(self, optimizer="adam", discriminator_optimizer=None, **kwargs):
        """`keras.Model.compile` with one optimizer for each network; the second is a copy of the first by default.

        `jit_compile=True` (XLA) trains dense networks faster (`benchmarks/gan.py`), but drops the checks that stop a
        training gone wrong; so it is off by default.
        """
        kwargs.setdefault("jit_compile", False)
        super().compile(optimizer=optimizer, **kwargs)
        if discriminator_optimizer is None:
            discriminator_optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        self.alike_for.assign(0)
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def get_compile_config(self):
        if not self.compiled:
            return {}
        optimizers = {"optimizer": self.optimizer, "discriminator_optimizer": self.discriminator_optimizer}
        return {name: keras.optimizers.serialize(one) for name, one in optimizers.items()}

    def compile_from_config(self, config):
        self.compile(**{name: keras.optimizers.deserialize(one) for name, one in config.items()})

    def losses_of(self, clips, condition, training):
        """What the two networks lower, `loss` (the generator's) and `discriminator_loss` (penalties included); the mean
        `margin` D(real) - D(made); and `diversity`: how much made clips differ, as a share of what real ones do. In
        `evaluate` all batches share one draw of noise."""
        condition = self.prepared(condition, tf.shape(clips)[0], training)
        made = self.make(self.noise(tf.shape(clips)[0], self.step_seed()), condition, training)
        opinions, misnamed = self.rate_both(clips, made, condition, training)
        further = self.further_terms(clips, training)
        return {
            "loss": self.generator_pays(opinions, misnamed, further),
            "discriminator_loss": self.discriminator_pays(opinions, misnamed, clips, made, condition, training),
            "margin": margin(opinions),
            "diversity": diversity(clips, made),
        } | further

    def rate_both(self, clips, made, condition, training):
        """The logits of real and of made clips, for each opinion, and how misnamed both are, (2, batch, names): from one
        pass of the discriminator over both."""
        twice = None if condition is None else tf.concat([condition, condition], axis=0)
        opinions, misnamed = self.rate(tf.concat([clips, made], axis=0), twice, training)
        return [tf.split(logits, 2) for logits in opinions], tf.stack(tf.split(misnamed, 2))

    def further_terms(self, clips: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """What else of a batch of real clips is logged, and may be lowered: scalars that `loss_names` ends with."""
        return {}

    def generator_pays(self, opinions: list, misnamed: tf.Tensor, further: dict[str, tf.Tensor]) -> tf.Tensor:
        """All that the generator lowers: a scalar from pairs of logits, from how misnamed real and made clips are, and from
        the further terms, if any."""
        return sum(self.generator_loss(*pair) for pair in opinions) + self.naming_loss(misnamed[1], misnamed[0])

    def discriminator_pays(self, opinions: list, misnamed: tf.Tensor, clips, made, condition, training) -> tf.Tensor:
        """All that the discriminator lowers, penalties included: a scalar."""
        loss = sum(self.discriminator_loss(*pair) for pair in opinions) + self.naming_loss(misnamed[0])
        return loss + self.penalties(clips, made, condition, training)

    def naming_loss(self, misnamed: tf.Tensor, allowed=0.0) -> tf.Tensor:
        """What it costs that clips are misnamed by more than is allowed: a scalar from nats (batch, names)."""
        return self.naming * tf.reduce_mean(tf.reduce_sum(tf.nn.relu(misnamed - allowed), axis=1))

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
                discriminator_loss = self.discriminator_pays(opinions, misnamed, clips, made, condition, True)
            with tape.stop_recording():
                differs = diversity(clips, made)
                with tf.control_dependencies(self.stop_if_alike(differs, tf.shape(clips)[0])):
                    slopes = inner.gradient(discriminator_loss, self.discriminator.trainable_variables)
                slopes = finite(slopes, discriminator_loss)
                self.discriminator_optimizer.apply(slopes, self.discriminator.trainable_variables)
            # The same made clips, rated by the discriminator that has just learned from them; real ones as before it did.
            rated, misnamed_now = self.rate(made, condition, True)
            pairs = [(tf.stop_gradient(real), now) for (real, _), now in zip(opinions, rated, strict=True)]
            further = self.further_terms(clips, True)
            loss = self.generator_pays(pairs, [tf.stop_gradient(misnamed[0]), misnamed_now], further)
        slopes = finite(tape.gradient(loss, self.generator.trainable_variables), loss)
        self.optimizer.apply(slopes, self.generator.trainable_variables)
        self.after_step()
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(clips)[0])
        terms = {"discriminator_loss": discriminator_loss, "margin": margin(opinions), "diversity": differs} | further
        for name, value in terms.items():
            self.terms[name].update_state(value, sample_weight=tf.shape(clips)[0])
        return self.get_metrics_result()

    def stop_if_alike(self, differs: tf.Tensor, count: tf.Tensor) -> list[tf.Operation]:
        """What a step must wait for: training stops once the diversity has been next to nothing for `patience` steps.
        A batch of one clip says nothing about that."""
        alike = tf.where(count < 2, self.alike_for, tf.where(differs < COLLAPSED, self.alike_for + 1, 0))
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
        return self.make(self.noise(count, draw_seed(seed)), condition, False)


LOOKS = 4  # frames of a clip that are looked at one by one
PATH_SIZE = 64  # numbers of the motion latent of a frame


class ContentMotionModel(AdversarialModel):
    """What GANs for video share that keep content and motion apart: noise for what is seen, noise for how it moves, and
    clips drawn with averaged weights.

    A subclass writes `_generator(name)`, a model whose outputs are the parts of clips, "clips" among them, and
    `_discriminator()`; and calls `_networks()` once all that they need is set.

    Args:
        clip_shape: (time, height, width, channels).
        width: channels of the widest pictures; deeper ones have up to four times as many.
        content_size, motion_size: numbers of noise for a clip and for a frame.
        average: how much of the averaged weights is kept in a step at most, from 0 (none) to below 1; in the first
            steps less, step / (step + 10).
        loss, penalty, penalty_share, patience, seed: as in `AdversarialModel`.

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(self, clip_shape, width, content_size, motion_size, average, **kwargs):
        super().__init__(clip_shape, **kwargs)
        self.width = check_count(width, "width")
        self.content_size = check_count(content_size, "content_size")
        self.motion_size = check_count(motion_size, "motion_size")
        check_values(self.clip_shape, "a clip")
        check_values((4 * self.width, 4 * self.width, 16), "a layer")
        check_values((self.content_size + (self.clip_shape[0] + 1) * self.motion_size, 256), "a layer")
        self.average = check_number(average, "average", below=1)
        self.halvings = max(1, math.ceil(math.log2(max(self.clip_shape[1:3]) / 4)))  # down to at most 4 × 4
        self.random = keras.random.SeedGenerator(self.seed % 2**31)

    def get_config(self):
        return super().get_config() | {
            "width": self.width, "content_size": self.content_size, "motion_size": self.motion_size,
            "average": self.average,
        }  # fmt: skip

    def _networks(self) -> None:
        self.generator = self._generator("generator")
        self.averaged = self._generator("averaged")
        self.averaged.set_weights(self.generator.get_weights())
        self.averaged.trainable = False
        self.discriminator = self._discriminator()
        self.built = True

    # Blocks, whose weights all come from one stream of random numbers.

    def _normal(self, deviation: float):
        return keras.initializers.RandomNormal(stddev=deviation, seed=self.random)

    def _dense(self, x, units, activation=None, initializer=None):
        initializer = initializer or keras.initializers.HeNormal(self.random)
        return keras.layers.Dense(units, activation, kernel_initializer=initializer)(x)

    def _conv(self, x, channels, size, strides=1):
        """A convolution over all axes between batch and channels, with leaky ReLU."""
        layer = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)[len(x.shape) - 3]
        he = keras.initializers.HeNormal(self.random)
        return leaky(layer(channels, size, strides, "same", kernel_initializer=he)(x))

    def _paint(self, x, channels, deviation):
        """From vectors (batch, n) to pictures (batch, height, width, channels), before any activation."""
        layers, (height, width) = keras.layers, self.clip_shape[1:3]
        first = [-(-side // 2**self.halvings) for side in (height, width)]
        widths = [self.width * 2 ** min(level, 2) for level in range(self.halvings)]
        x = leaky(self._dense(leaky(self._dense(x, 256)), first[0] * first[1] * widths[-1]))
        x = keras.ops.reshape(x, (-1, *first, widths[-1]))
        for wide in widths[-2::-1]:
            x, he = layers.BatchNormalization(momentum=0.9)(x), keras.initializers.HeNormal(self.random)
            x = leaky(layers.Conv2DTranspose(wide, 4, 2, "same", kernel_initializer=he)(x))
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Conv2DTranspose(channels, 4, 2, "same", kernel_initializer=self._normal(deviation))(x)
        return x[:, :height, :width]

    def _latents(self, motion, vector: list, repeat: keras.layers.RepeatVector) -> tuple:
        """The motion latents of all frames (batch, time, n), from motion noise (batch, time + 1, motion_size). Before them
        what they start from: the first noise and the `vector`s of what else is known; after them what lasts, the same in
        all frames (batch, PATH_SIZE). `repeat` gives a vector to each frame."""
        first, time = joined([motion[:, 0], *vector]), motion.shape[1] - 1
        steps = joined([motion[:, 1:], *[repeat(v) for v in vector]])
        gru = keras.layers.GRU(
            PATH_SIZE, return_sequences=True, unroll=True,
            kernel_initializer=keras.initializers.GlorotUniform(self.random),
            recurrent_initializer=keras.initializers.Orthogonal(seed=self.random),
        )  # fmt: skip
        path = gru(steps, initial_state=self._dense(first, PATH_SIZE, "tanh"))  # (batch, time, 64): the motion latents
        lasting = leaky(self._dense(first, PATH_SIZE))  # the same in all frames
        path = joined([path, repeat(lasting)])
        # A hand that turns once in a clip tells the time: with it, a latent that stays the same draws a circle.
        around = 2 * np.pi * np.linspace(0, 1, time, dtype="float32")[:, None]
        path = joined([path, path * np.cos(around), path * np.sin(around)])
        return first, path, lasting

    # Noise, frames to look at, weights.

    def noise(self, count, seed):
        """Content (count, content_size) and motion noise (count, time + 1, motion_size)."""
        content = tf.random.stateless_normal((count, self.content_size), seed)
        motion = tf.random.stateless_normal(
            (count, self.clip_shape[0] + 1, self.motion_size), seed + tf.constant([1, 0], tf.int64)
        )
        return content, motion

    def check_noise(self, content: np.ndarray, motion: np.ndarray) -> list[tf.Tensor]:
        """Content and motion noise as tensors, if they fit `noise`, for at least one clip; else ValueError."""
        content, motion = as_array(content, "content"), as_array(motion, "motion")
        count = len(content) if content.ndim else 0
        for name, noise, shape in (
            ("content", content, (count, self.content_size)),
            ("motion", motion, (count, self.clip_shape[0] + 1, self.motion_size)),
        ):
            if noise.shape != shape or not np.isfinite(noise).all():
                raise ValueError(f"{name} has shape {noise.shape}, but finite numbers {shape} were expected.")
        check_count(count, "the number of clips")
        return [tf.constant(content, tf.float32), tf.constant(motion, tf.float32)]

    def in_batches(self, network: keras.Model, inputs: list[tf.Tensor]) -> dict[str, np.ndarray]:
        """The parts that a network makes of its inputs, of some clips at a time."""
        made = [network(list(few)) for few in zip(*map(batches, inputs), strict=True)]
        parts = {name: np.concatenate([few[name].numpy() for few in made]) for name in made[0]}
        self.check_finite(parts["clips"])
        return parts

    def looks(self) -> tf.Tensor:
        """The numbers of the frames that this step looks at closely, evenly apart."""
        time = self.clip_shape[0]
        return evenly_apart(time, min(LOOKS, time), self.step_seed() + tf.constant([3, 0], tf.int64))

    def after_step(self):
        step = tf.cast(self.optimizer.iterations, tf.float32)
        keep = tf.minimum(self.average, step / (step + 10))  # the first weights are soon forgotten
        for average, weight in zip(self.averaged.weights, self.generator.weights, strict=True):
            average.assign(keep * average + (1 - keep) * weight)

    @property
    def preset_weights(self):
        return self.averaged.weights

    def set_preset_weights(self, weights):
        self.averaged.set_weights(weights)
        self.generator.set_weights(weights)


def finite(slopes: list[tf.Tensor], loss: tf.Tensor) -> list[tf.Tensor]:
    """The slopes, as this replica's share, if they and the loss are finite numbers; else training stops before they reach
    the weights."""
    check = tf.debugging.assert_equal(
        tf.math.is_finite(loss + tf.linalg.global_norm(slopes)), True,
        "the losses became NaN or infinite; go back to weights that were saved before, "
        "and try a smaller learning rate or a larger penalty",
    )  # fmt: skip
    with tf.control_dependencies([check] if check is not None else []):
        return [shared(tf.identity(slope)) for slope in slopes]


def margin(opinions: list) -> tf.Tensor:
    """How far the discriminator holds real clips above made ones: a mean over its opinions' pairs of logits."""
    return sum(tf.reduce_mean(real - made) for real, made in opinions) / len(opinions)


def diversity(real: tf.Tensor, made: tf.Tensor) -> tf.Tensor:
    """How much made clips differ from each other, as a share of how much real ones do: the ratio of the standard
    deviations over the batch, of each value, rooted in the mean square. 1 where real ones do not differ."""
    spread = [tf.sqrt(tf.reduce_mean(tf.math.reduce_variance(clips, axis=0))) for clips in (real, made)]
    return tf.where(spread[0] > 1e-6, spread[1] / tf.maximum(spread[0], 1e-6), 1.0)
