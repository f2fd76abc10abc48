"""Generative adversarial networks: the dense textbook pair, and a GAN for video that keeps content and motion apart.

Losses, penalties and the training step are those of all GANs: `adversarial.AdversarialModel`.

I. Goodfellow et al.: Generative Adversarial Nets. NeurIPS 2014, https://arxiv.org/abs/1406.2661
S. Tulyakov, M.-Y. Liu, X. Yang, J. Kautz: MoCoGAN: Decomposing Motion and Content for Video Generation. CVPR 2018,
https://arxiv.org/abs/1707.04993
C. Vondrick, H. Pirsiavash, A. Torralba: Generating Videos with Scene Dynamics (VGAN). NeurIPS 2016,
https://arxiv.org/abs/1609.02612
T. Miyato, M. Koyama: cGANs with Projection Discriminator. ICLR 2018, https://arxiv.org/abs/1802.05637
A. Odena, C. Olah, J. Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs. ICML 2017,
https://arxiv.org/abs/1610.09585 (the naming loss)
S. Levine, C. Finn, T. Darrell, P. Abbeel: End-to-End Training of Deep Visuomotor Policies. JMLR 17 (2016),
https://arxiv.org/abs/1504.00702 (the discriminator's paths)
"""

import math

import numpy as np

from vidgen_tf.adversarial import LOOKS, AdversarialModel, ContentMotionModel
from vidgen_tf.clips import check_count, check_number, check_values
from vidgen_tf.layers import Place, joined, leaky, pooled, soft_argmax, spread
from vidgen_tf.quiet import keras, tf
from vidgen_tf.text import Vocabulary
from vidgen_tf.video_model import draw_seed

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
        check_values((math.prod(self.clip_shape), max(self.hidden)), "a layer")
        random = keras.random.SeedGenerator(self.seed % 2**31)
        dense = lambda units, activation=None, use_bias=True: keras.layers.Dense(  # noqa: E731
            units, activation, use_bias, kernel_initializer=keras.initializers.GlorotUniform(random)
        )
        self.generator = keras.Sequential(
            [
                keras.Input((self.latent_size,)),
                *[dense(units, "relu") for units in self.hidden],
                dense(math.prod(self.clip_shape), "tanh"),
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


# Poses are (x, y, log size, angle), in halves of a frame, in logarithms, in radians. Their spread at the start, before
# training: only a little of turning, since a sheet seen at all angles is learned as a mixture of all (a star, LOG.md).
START_SPREAD = [0.45, 0.45, 0.45, 0.03]
SPEED = np.array([0.17, 0.17, 0.4, 0.17])  # before training, as a share of FARTHEST
FARTHEST = np.array([6.0, 6.0, 1.6, 4.0], "float32")  # steps of a whole clip; a real circle takes up to 5.8 halves
OFF_CENTRE = 0.85  # no place lies farther out, in halves of the frame
SIZES = (-1.4, 0.0)  # logarithms of the smallest and of the largest sheet; 0 fills the frame


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoGAN(ContentMotionModel):
    """A GAN whose clips have one content and a motion: what is seen is painted once, how it moves frame by frame.

    The content latent (batch, content_size) is the same for all frames of a clip. Convolutional networks paint from it,
    once, the background and the objects, each on a transparent sheet. The motion latents (batch, time, 64) are a
    recurrent network's path through noise (batch, time + 1, motion_size), and it knows the time. They are all that
    differs between frames: from each comes a heading, and from the first noise a speed, by which an object moves, grows
    and turns; the frame is the sheets laid over the background. So objects last, but cannot bend, and the background
    stands still.

    The discriminator has two opinions: of the clip (of each channel of what it sees in a frame it keeps only where and
    how strong that is: paths over all frames), and of four of its frames, seen closely one by one. Clips are drawn with
    weights averaged over the steps.

    The condition is a sentence for each clip, str (count,), where `condition` lists the known words; or labels,
    int (count, columns), -1 for one that is left open, where `condition` lists how many classes each column has.
    In training it is left out now and then (`drop`), so `generate` works without one. The discriminator rates how well
    clip and condition agree (a projection), and also has to name the condition's words, once from the four frames and
    once from the clip: what decides a word, such as a corner or a turn, is learned much faster by name. Behind objects the
    background never hears the condition: who must ask for a ground needs another family.

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
        super().__init__(
            clip_shape, width, content_size, motion_size, average, loss=loss, penalty=penalty, penalty_share=penalty_share,
            patience=patience, seed=seed, **kwargs,
        )  # fmt: skip
        self.objects = check_count(objects, "objects", least=0)
        if not self.objects and self.clip_shape[0] > 1:
            raise ValueError(
                f"objects is 0, so nothing would move in {self.clip_shape[0]} frames; at least 1 was expected."
            )
        self.naming, self.drop = check_number(naming, "naming"), check_number(drop, "drop", below=1)
        self.vocabulary = None if condition is None else Vocabulary(condition)
        self.conditional = condition is not None
        if self.conditional and self.vocabulary.measured:
            raise ValueError(
                f"condition is {condition!r:.80}, but this family knows words or labels, and no quantities."
            )
        self._networks()

    # The networks. Of an absent condition no vector is left, so its lists are empty.

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

    def _smooth(self, x):
        """From vectors (batch, n) to pictures that hold no more than 4 × 4 colours, mixed between; as `_paint`."""
        (height, width), channels = self.clip_shape[1:3], self.clip_shape[3]
        spots = keras.ops.reshape(leaky(self._dense(leaky(self._dense(x, 128)), 4 * 4 * 16)), (-1, 4, 4, 16))
        spots = keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer=self._normal(0.03))(spots)
        color = spread(self._dense(leaky(self._dense(x, 64)), channels), 1.0, center=True)
        spots = spots + keras.ops.reshape(color, (-1, 1, 1, channels))
        return keras.ops.image.resize(spots, (height, width), "bilinear")

    def _poses(self, motion, vector: list):
        """The way of one object: poses (batch, time, 4), as `layers.Place` takes them, from motion noise."""
        time, repeat = self.clip_shape[0], keras.layers.RepeatVector(self.clip_shape[0])
        first, path, lasting = self._latents(motion, vector, repeat)
        start = spread(self._dense(leaky(self._dense(first, 64)), 4), START_SPREAD)
        # A step is a speed, one for the whole clip, times a heading. Headings are normalised; only a speed can stop a
        # thing, and the sentence decides it. Normalised steps were made small in all clips, and nothing turned.
        bias = keras.initializers.Constant(np.log(SPEED / (1 - SPEED)))
        speed = keras.layers.Dense(4, "sigmoid", kernel_initializer=self._normal(0.05), bias_initializer=bias)(lasting)
        step = repeat(speed) * keras.ops.tanh(spread(self._dense(path, 4), 1.0)) * FARTHEST / time
        way = keras.ops.expand_dims(start, 1) + keras.ops.cumsum(step, axis=1)
        middle, half = (SIZES[0] + SIZES[1]) / 2, (SIZES[1] - SIZES[0]) / 2
        place, size = OFF_CENTRE * keras.ops.tanh(way[..., :2]), half * keras.ops.tanh(way[..., 2:3]) + middle
        return keras.ops.concatenate([place, size, way[..., 3:]], axis=-1)

    def _generator(self, name) -> keras.Model:
        """Content, motion noise and, if there is one, a condition for each of the two, to the parts of clips."""
        ops, (time, height, width, channels) = keras.ops, self.clip_shape
        encoder, content_numbers, motion_numbers = self._encoder(), self._numbers(), self._numbers()
        content, motion = keras.Input((self.content_size,)), keras.Input((time + 1, self.motion_size))
        seen = joined([content, *map(encoder, content_numbers)])
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
        "opinions", logits of clips (batch,), left out where they have one frame, and of the frames (batch, LOOKS); and,
        with a condition, to "names", logits for each of its words (batch, vocabulary.size) from the frames and again
        from the clip. Names are given without a look at the condition."""
        ops, flat, width = keras.ops, keras.layers.Flatten(), self.width
        clips, numbers = keras.Input(self.clip_shape), self._numbers()
        looks = keras.Input((min(LOOKS, self.clip_shape[0]), *self.clip_shape[1:]))

        # What is there is found anywhere in a frame (pooled over places), and where it is (flattened).
        x = self._conv(ops.reshape(looks, (-1, *looks.shape[2:])), max(1, width // 2), 3)
        x = self._conv(x, width, 4, 2)
        if self.halvings > 1:
            x = self._conv(self._conv(x, width, 3), width * 2, 4, 2)
        anywhere = pooled(x)
        for level in range(2, self.halvings):
            x = self._conv(x, width * 2 ** min(level - 1, 2), 4, 2)
        close = ops.concatenate([flat(x), anywhere], axis=-1)
        opinions = [self._opinion(close, numbers, looks.shape[1])]
        if numbers:
            seen = ops.mean(ops.reshape(leaky(self._dense(anywhere, 128)), (-1, looks.shape[1], 128)), axis=1)
            names = [self._dense(seen, self.vocabulary.size, initializer=self._normal(0.02))]

        if self.clip_shape[0] > 1:
            # Of each channel only where it is strongest is kept, and how strong: a path over the frames.
            x = self._conv(clips, max(1, width // 2), (3, 4, 4), (1, 2, 2))
            x = self._conv(ops.reshape(x, (-1, *x.shape[2:])), width, 3)
            x = ops.concatenate([soft_argmax(x), pooled(x)], axis=-1)
            x = ops.reshape(x, (-1, self.clip_shape[0], x.shape[-1]))
            while x.shape[1] > 4:
                x = self._conv(x, width * 2, 4, 2)
            close = ops.reshape(leaky(self._dense(close, 128)), (-1, looks.shape[1] * 128))  # a turn needs both
            x = ops.concatenate([flat(x), close], axis=-1)
            opinions.insert(0, self._opinion(x, numbers, 1)[:, 0])
            if numbers:
                seen = leaky(self._dense(x, 128))
                names.append(self._dense(seen, self.vocabulary.size, initializer=self._normal(0.02)))
        outputs = {"opinions": opinions} | ({"names": names} if numbers else {})
        return keras.Model([clips, looks, *numbers], outputs, name="discriminator")

    def _opinion(self, x, numbers, looks):
        """Logits (batch, looks) from what was seen (batch · looks, n), and how well it agrees with the condition."""
        x = leaky(self._dense(x, 256))
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
            "condition": self.vocabulary and self.vocabulary.known, "objects": self.objects, "naming": self.naming,
            "drop": self.drop,
        }  # fmt: skip

    def make(self, noise, condition, training):
        given = [] if condition is None else [condition, condition]
        return self.generator([*noise, *given], training=training)["clips"]

    def rate(self, clips, condition, training):
        """Opinions of clips (batch,) and of four of their frames (batch, 4), at the same times in all of a step; and
        what it costs to misname the condition's words."""
        clips = tf.convert_to_tensor(clips)
        looks = tf.gather(clips, self.looks(), axis=1)
        if condition is None:
            return self.discriminator([clips, looks], training=training)["opinions"], tf.zeros((tf.shape(clips)[0], 0))
        said = self.discriminator([clips, looks, condition], training=training)
        named, asked = self.vocabulary.named(condition)
        costs = [asked * tf.nn.sigmoid_cross_entropy_with_logits(named, names) for names in said["names"]]
        return said["opinions"], tf.concat(costs, axis=1)

    def draw(self, count, condition, seed):
        return self.compose(*self.noise(count, draw_seed(seed)), condition)

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
        inputs = self.check_noise(content, motion)
        count = len(inputs[0])
        for one in (condition, condition if motion_condition is None else motion_condition):
            one = self.check_condition(one, count)
            inputs += [self.prepared(one, count, training=False)] if self.conditional else []
        return self.in_batches(self.averaged, inputs)

    def prepared(self, condition, count, training):
        """Conditions as whole numbers (count, columns), 0 for what is left open."""
        if not self.conditional:
            return None
        numbers = self.vocabulary.numbers(condition, count)
        if training and self.drop:
            dice = tf.random.stateless_uniform((count,), self.step_seed() + tf.constant([2, 0], tf.int64))
            numbers *= tf.cast(dice >= self.drop, tf.int32)[:, None]
        return numbers
