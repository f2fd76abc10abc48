"""An autoencoder that folds a frame into a few things: where each one is, and what it looks like.

The latents of `Autoencoder` are a grid: each vector tells what is in its block of pixels, and a thing that moves runs through
them all. Here a latent vector belongs to a *keypoint*, a point that follows one thing through the clip, so a thing that moves left
is one number that falls. Nobody tells the network what the things are. It is only asked for the same frame again, and
since all it may keep of a frame is a few points with a few numbers each, it learns to put the points on the things.

Each keypoint has a heat map over the frame. All of them, and the ground, compete for each place (a softmax over them), so that a
thing belongs to one of them; a keypoint's position is the centre of what it owns, it is there if it owns something, and its code
is read where it is hot. A *field* draws it: a small network that is asked for each pixel how much of the thing is there, and
that knows nothing of the pixel but how far it is away from the keypoint. So wherever a thing goes, it looks the same.

One thing is told beforehand: a keypoint has one colour. It is learned, as the heat is, but both begin with red, green, yellow, blue
and so on; without that, the first steps decide by chance which keypoints come to life, and colours must share the others.

    frame ≈ mean of the colours of the ground and of the things, weighted by softmax(0, field_1, field_2, …)

F. Locatello et al.: Object-Centric Learning with Slot Attention. NeurIPS 2020, https://arxiv.org/abs/2006.15055 (competition)
T. Jakab, A. Gupta, H. Bilen, A. Vedaldi: Unsupervised Learning of Object Landmarks through Conditional Image Generation.
NeurIPS 2018, https://arxiv.org/abs/1806.07823
M. Minderer et al.: Unsupervised Learning of Object Structure and Dynamics from Videos. NeurIPS 2019,
https://arxiv.org/abs/1906.07889 (keypoints of clips that also say whether they are there)
N. Watters et al.: Spatial Broadcast Decoder. 2019, https://arxiv.org/abs/1901.07017 (a network that is asked pixel by pixel)
V. Sitzmann et al.: Implicit Neural Representations with Periodic Activation Functions. NeurIPS 2020,
https://arxiv.org/abs/2006.09661 (sines)
"""

import numpy as np

from vidgen_tf.autoencoder import LatentSpace
from vidgen_tf.clips import check_count, check_number, check_seed, check_values
from vidgen_tf.quiet import keras, tf

PART = 8  # one of so many pixels is asked for in training
PLAIN = 0.05  # how often pixels of plain ground are asked for, where those near a thing have its contrast
POSITION = 3.0  # deviation of positions in latents, that of all else is 1: where things go is what clips are about
HEAT = 4.0  # sharpness of the heat maps
WARM = 1500  # steps of training after which presence has its full price
REACH = 32.0  # how fast a thing fades with the squared distance, in halves of a frame, unless its field objects
LEAST = 1e-6  # of the dice, whose logarithm is taken
WAVES = (2.0, 16.0)  # least and largest deviation of the wave numbers in the field's sines, by halves of a frame


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Fields(keras.layers.Layer):
    """Draws keypoints; see the module's docstring.

    Called with (batch, keypoints + 1, 2 + code), the last one the ground, and maybe with the numbers of some pixels of each
    picture, int32 (batch, pixels), row by row from 0, it returns the colours (batch, pixels, channels) of these, or of all.

    Args:
        height, width, channels: of the picture.
        hidden: numbers a pixel becomes on its way.
        seed: of the weights.
    """

    def __init__(self, height, width, channels, hidden=64, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.height, self.width, self.channels, self.hidden, self.seed = height, width, channels, hidden, seed
        self.places = places(height, width)

    def build(self, shape):
        keypoints, code, hidden = shape[1] - 1, shape[2] - 2, self.hidden
        random = keras.random.SeedGenerator(self.seed % 2**31)

        def weight(name, *sides, deviation=0.0):
            start = keras.initializers.RandomNormal(stddev=deviation, seed=random) if deviation else "zeros"
            return self.add_weight(name=name, shape=sides, initializer=start)

        deviations = np.geomspace(*WAVES, hidden).astype(np.float32)  # some to find things by, some to draw their edges
        draw = lambda shape, dtype: keras.random.normal(shape, dtype=dtype, seed=random) * deviations  # noqa: E731
        self.waves = self.add_weight(name="waves", shape=(2, hidden), initializer=draw)
        self.of_code = weight("of_code", code, hidden, deviation=0.5)
        self.phases = weight("phases", hidden, deviation=0.5)
        self.mix = weight("mix", hidden, hidden, deviation=(2 / hidden) ** 0.5)
        self.mix_bias = weight("mix_bias", hidden)
        self.cover = weight("cover", hidden, deviation=(1 / hidden) ** 0.5)
        begin = lambda shape, dtype: keras.ops.convert_to_tensor(corners(*shape), dtype)  # noqa: E731
        self.colors = self.add_weight(name="colors", shape=(keypoints, self.channels), initializer=begin)

    def call(self, points, pixels=None):
        ops = keras.ops
        at = ops.convert_to_tensor(self.places)
        at = at[None] if pixels is None else ops.take(at, pixels, axis=0)
        position, code = points[:, :-1, :2] / 2, points[:, :-1, 2:]
        # W · (pixel - position) + C · code, each part computed once and not for each pixel of each keypoint
        told = ops.matmul(code, self.of_code) + self.phases - ops.matmul(position, self.waves)
        seen = ops.sin(ops.matmul(at, self.waves)[:, None] + told[:, :, None])  # (batch, keypoints, pixels, hidden)
        seen = ops.silu(ops.matmul(seen, self.mix) + self.mix_bias)
        away = ops.sum(ops.square(at[:, None] - position[:, :, None]), axis=-1)
        cover = HEAT * (ops.einsum("bkph,h->bkp", seen, self.cover) + code[..., :1]) - 3 - REACH * away
        colors = ops.zeros_like(code[..., :1]) + self.colors
        colors = ops.concatenate([points[:, -1:, : self.channels], colors], axis=1)
        shares = ops.softmax(ops.concatenate([ops.zeros_like(cover[:, :1]), cover], axis=1), axis=1)
        return ops.einsum("bkp,bkc->bpc", shares, colors)

    def get_config(self):
        return super().get_config() | {
            "height": self.height, "width": self.width, "channels": self.channels, "hidden": self.hidden, "seed": self.seed,
        }  # fmt: skip


@keras.saving.register_keras_serializable(package="vidgen_tf")
class KeypointAutoencoder(LatentSpace):
    """Clips of a few things on a plain ground to keypoints (time, 1, keypoints + 1, 2 + code) and back, frame by frame.

    `compile` it and `fit` it on clips; `encode` and `decode` take and give arrays. Latents are scaled: over all clips
    each of their numbers has about the mean 0 and the deviation 1, and positions 3; `keypoints_of` gives them in pixels.

    Args:
        clip_shape: (time, height, width, 3); height and width even.
        keypoints: how many colours things may have.
        code: numbers that tell how a thing looks; the first one says how much it is there at all.
        width: channels of the encoder.
        depth: residual blocks of the encoder.
        hidden: numbers a pixel becomes in a field.
        noise: deviation of what is added in training, where 2 is half a frame.
        sparsity: what a frame full of keypoints costs, in squared error, after 1,500 steps; with more of it fewer share a thing.
        seed: of the weights.

    Attributes:
        latent_shape: (time, 1, keypoints + 1, 2 + code); the last of the keypoints is the ground.
        encoder: from pictures (batch, height, width, channels) to keypoints (batch, keypoints + 1, 2 + code), not scaled.
        fields: the way back.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "squared_error", "presence")

    def __init__(
        self, clip_shape, keypoints=6, code=8, width=32, depth=3, hidden=64, noise=0.02, sparsity=0.01, seed=0, **kwargs
    ):
        super().__init__(clip_shape, **kwargs)
        time, height, frame_width, channels = self.clip_shape
        if height % 2 or frame_width % 2:
            raise ValueError(f"clip_shape is {clip_shape!r}, but an even height and an even width were expected.")
        self.keypoints, self.code = check_count(keypoints, "keypoints"), check_count(code, "code", least=2)
        if channels != 3:
            raise ValueError(
                f"clip_shape is {clip_shape!r}, but 3 channels were expected: keypoints are known by their colour."
            )
        self.width, self.depth = check_count(width, "width"), check_count(depth, "depth", least=0)
        self.hidden, self.seed = check_count(hidden, "hidden"), check_seed(seed)
        self.noise, self.sparsity = check_number(noise, "noise"), check_number(sparsity, "sparsity")
        check_values(self.clip_shape, "a clip")
        check_values((9 * self.width, self.width), "a layer")
        check_values((self.keypoints * self.code, self.hidden), "a layer")
        check_values((self.hidden, self.hidden), "a layer")
        self.latent_shape = (time, 1, self.keypoints + 1, 2 + self.code)
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.encoder = self._encoder()
        self.fields = Fields(height, frame_width, channels, self.hidden, self.seed)
        self.fields.build((None, *self.latent_shape[2:]))
        self.scale = keras.layers.BatchNormalization(momentum=0.99, center=False, scale=False, epsilon=1e-4)
        self.scale.build((None, self.latent_shape[2] * self.latent_shape[3]))
        self.deviations = np.ones(self.latent_shape[2:], np.float32)
        self.deviations[:-1, :2] = POSITION
        self.built = True

    def _encoder(self) -> keras.Model:
        ops, dense = keras.ops, keras.layers.Dense
        _, height, width, channels = self.clip_shape
        pictures = keras.Input((height, width, channels))

        def conv(x, channels, kernel, strides=1):
            he = keras.initializers.HeNormal(self.random)
            return keras.layers.Conv2D(channels, kernel, strides, "same", kernel_initializer=he)(x)

        glorot = lambda: keras.initializers.GlorotUniform(self.random)  # noqa: E731
        x = conv(pictures, self.width, 4, 2)
        for _ in range(self.depth):
            x = x + conv(ops.silu(conv(ops.silu(x), self.width, 3)), self.width, 3)
        x, cells = ops.silu(x), height * width // 4
        begin = lambda shape, dtype: ops.convert_to_tensor(hues(*shape[:1:-1]).T[None, None], dtype)  # noqa: E731
        start = {"kernel_initializer": begin, "bias_initializer": keras.initializers.Constant(-2.5)}
        hue = keras.layers.Conv2D(self.keypoints, 1, **start)(keras.layers.AveragePooling2D(2)(pictures))
        more = keras.layers.Conv2D(self.keypoints, 1, kernel_initializer="zeros")(x)
        heat = HEAT * ops.reshape(hue + more, (-1, cells, self.keypoints))
        found = ops.reshape(conv(x, 2 * self.width, 1), (-1, cells, 2 * self.width))
        owned = ops.softmax(ops.concatenate([ops.zeros_like(heat[..., :1]), heat], axis=-1), axis=-1)[..., 1:]
        area = ops.sum(owned, axis=1)[..., None]  # in cells; what no keypoint owns is ground
        position = ops.einsum("bpk,pc->bkc", owned, places(height // 2, width // 2)) / (area + 0.01)
        who = ops.zeros_like(area) + np.eye(self.keypoints, dtype=np.float32)
        read = ops.einsum("bpk,bpc->bkc", ops.softmax(heat, axis=1), found)
        told = dense(64, activation="silu", kernel_initializer=glorot())(
            ops.concatenate([read, ops.log(area + 0.1), who], axis=-1)
        )
        there = dense(1, activation="sigmoid", kernel_initializer=glorot(), bias_initializer="ones")(told)
        there = there * area / (area + 1)
        code = dense(self.code - 1, kernel_initializer=glorot())(told)
        things = ops.concatenate([2 * there * position, there, there * code], axis=-1)  # what is not there is all 0
        ground = dense(32, activation="silu", kernel_initializer=glorot())(ops.mean(found, axis=1))
        ground = dense(2 + self.code, kernel_initializer=glorot())(ground)
        return keras.Model(pictures, ops.concatenate([things, ground[:, None]], axis=1), name="encoder")

    def _scaled(self, points, training=False):
        """Keypoints (batch, keypoints + 1, 2 + code) by the scale of all clips; in training it also learns that scale."""
        flat = keras.ops.reshape(points, (-1, points.shape[1] * points.shape[2]))
        return keras.ops.reshape(self.scale(flat, training=training), (-1, *points.shape[1:])) * self.deviations

    def _unscaled(self, latents):
        """Latents (…, keypoints + 1, 2 + code) as the fields take them."""
        shape = self.latent_shape[2:]
        deviation = keras.ops.reshape(keras.ops.sqrt(self.scale.moving_variance + self.scale.epsilon), shape)
        return latents * (deviation / self.deviations) + keras.ops.reshape(self.scale.moving_mean, shape)

    def latents_of(self, clips, training=False):
        """Clips (batch, time, height, width, channels), of any time, as latents, on any backend of Keras."""
        points = self.encoder(keras.ops.reshape(clips, (-1, *self.clip_shape[1:])), training=training)
        return keras.ops.reshape(self._scaled(points), (-1, clips.shape[1], *self.latent_shape[1:]))

    def clips_of(self, latents, training=False):
        """Latents (batch, time, …) as clips, not yet bounded, on any backend of Keras."""
        ops = keras.ops
        points = ops.moveaxis(self._unscaled(latents[:, :, 0]), 1, 0)  # frame by frame: fields need much memory
        pictures = ops.moveaxis(ops.map(self.fields, points), 0, 1)
        return ops.reshape(pictures, (-1, latents.shape[1], *self.clip_shape[1:]))

    def keypoints_of(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the keypoints of latents are, and how much they are there.

        Args:
            latents: (count, *latent_shape), such as `encode` gives.

        Returns:
            float32 (count, time, keypoints, 2) positions (x, y) in pixels, as in the worlds; (count, time, keypoints), about
            1 where there is a thing and 0 where there is none: its position then means nothing.
        """
        points = self._unscaled(keras.ops.convert_to_tensor(self.check_latents(latents)))[:, :, 0, :-1].numpy()
        there = points[..., 2]
        halves = np.array(self.clip_shape[2:0:-1], np.float32) / 2
        return (points[..., :2] / (2 * np.maximum(there, 0.1)[..., None]) + 1) * halves, there

    # Training.

    def cost(self, clips, noise=None, dice=None, dice_of_pixels=None):
        """The terms of the loss, on any backend of Keras.

        Args:
            clips: (batch, *clip_shape).
            noise: standard normal (batch, *latent_shape[2:]), added in training; None takes whole clips and adds none.
            dice: (batch,) uniform in [0, 1): which frame of each clip is learned in training.
            dice_of_pixels: (batch, height · width) uniform in (0, 1): which pixels are asked for in training.

        Returns:
            The mean squared error of a value that was asked for, and how many keypoints a frame has.
        """
        ops = keras.ops
        if noise is None:
            latents = self.latents_of(clips)
            presence = ops.mean(ops.sum(self._unscaled(latents)[:, :, 0, :-1, 2], axis=-1))
            return ops.mean(ops.square(self.clips_of(latents) - clips)), presence
        time = self.clip_shape[0]
        chosen = ops.floor(dice * time)[:, None] == ops.arange(time, dtype="float32")
        pictures = ops.einsum("bt,bthwc->bhwc", ops.cast(chosen, clips.dtype), clips)
        points = self.encoder(pictures, training=True)
        self._scaled(points, training=True)
        pixels = asked_for(pictures, dice_of_pixels)
        wanted = ops.reshape(pictures, (-1, len(self.fields.places), self.clip_shape[3]))
        wanted = ops.take_along_axis(wanted, pixels[..., None], axis=1)
        error = ops.mean(ops.square(self.fields(points + self.noise * noise, pixels) - wanted))
        return error, ops.mean(ops.sum(points[:, :-1, 2], axis=-1))

    def losses_of(self, clips, condition, training):
        """`squared_error` of a value that comes back, `presence`, how many keypoints a frame has, and the `loss` of both."""
        if not training:
            error, presence = self.cost(clips)
        else:
            seeds, count = tf.random.split(self.step_seed(), 3), tf.shape(clips)[0]
            noise = tf.random.stateless_normal((count, *self.latent_shape[2:]), seeds[0])
            dice = tf.random.stateless_uniform((count,), seeds[1])
            dice_of_pixels = tf.random.stateless_uniform((count, len(self.fields.places)), seeds[2], LEAST)
            error, presence = self.cost(clips, noise, dice, dice_of_pixels)
        price = self.sparsity * (self._warmth() if training else 1.0)
        loss = error + price * presence / self.keypoints
        return {"loss": loss, "squared_error": error, "presence": presence}

    def _warmth(self):
        """How much of the price is asked: little at first, so that no keypoint goes away before it has found its things."""
        steps = 1.0 if self.optimizer is None else keras.ops.cast(self.optimizer.iterations, "float32") / WARM
        return keras.ops.minimum(steps, 1.0) ** 2

    @property
    def preset_weights(self) -> list[keras.Variable]:
        """The weights that a preset holds: all but the states of random numbers."""
        return [*self.encoder.weights, *self.fields.weights, *self.scale.weights]

    def get_config(self):
        return super().get_config() | {
            "keypoints": self.keypoints, "code": self.code, "width": self.width, "depth": self.depth, "hidden": self.hidden,
            "noise": self.noise, "sparsity": self.sparsity, "seed": self.seed,
        }  # fmt: skip


def corners(keypoints: int, channels: int) -> np.ndarray:
    """The colours that keypoints begin with, float32 (keypoints, channels): corners of the cube of all colours, in the order of
    binary numbers; red, green, yellow, blue, magenta, cyan, white, black, and so on from the beginning."""
    return (1.2 * ((np.arange(1, keypoints + 1)[:, None] >> np.arange(channels)) % 2) - 0.6).astype(np.float32)


def hues(keypoints: int, channels: int) -> np.ndarray:
    """How much each channel says for each keypoint at the beginning, float32 (keypoints, channels): grey says nothing."""
    colors = corners(keypoints, channels)
    return 3 * (colors - colors.mean(axis=1, keepdims=True))


def asked_for(pictures, dice):
    """Some pixels of each picture, drawn without repetition, those near a thing rather than those of plain ground.

    Things fill a tenth of a picture, and all that is to be learned of their outlines lies within two pixels of them. So a pixel
    is drawn as often as the largest difference from the picture's mean colour in its 5 × 5 neighbours, plus `PLAIN`, says (by
    the largest of random keys, W. Kool, H. van Hoof, M. Welling: Stochastic Beams and Where to Find Them. ICML 2019).

    Args:
        pictures: (batch, height, width, channels).
        dice: (batch, height · width) uniform in (0, 1).

    Returns:
        int32 (batch, height · width / `PART`, rounded up), the numbers of pixels, row by row from 0.
    """
    ops = keras.ops
    contrast = ops.sum(ops.abs(pictures - ops.mean(pictures, axis=(1, 2), keepdims=True)), axis=-1, keepdims=True)
    contrast = ops.reshape(ops.max_pool(contrast, 5, 1, "same"), ops.shape(dice))
    keys = ops.log(contrast + PLAIN) - ops.log(-ops.log(dice))
    return ops.top_k(keys, -(-dice.shape[1] // PART), sorted=False)[1]


def places(height: int, width: int) -> np.ndarray:
    """Where the pixels of a picture are: float32 (height · width, 2), each (x, y) from -1 to 1, row by row."""
    x, y = (((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32) for side in (width, height))
    return np.stack(np.meshgrid(x, y, indexing="xy"), axis=-1).reshape(-1, 2)
