"""An autoencoder for clips: it folds every few frames into a few hundred numbers, their *latents*, and unfolds them again.

Most of the values of a clip say nothing new: a neighbour has told it already, or the frame before. So models of clips learn
faster if they model latents (latent diffusion). A few frames, one after the other, are one picture of many channels here,
and a block of its pixels becomes one latent vector. Over all clips each of its numbers has the mean 0 and the variance
1, so a model of latents knows their scale; and in training a little noise is added to them, so that latents nearby mean
frames that look alike, and the small errors of a model do no harm. How one few frames follow others is not its
business: that is what the model of latents is for.

    latents = normalised(encoder(frames)),    frames ≈ decoder(latents + noise),    loss = mean (frames - decoder(…))²

R. Rombach, A. Blattmann, D. Lorenz, P. Esser, B. Ommer: High-Resolution Image Synthesis with Latent Diffusion Models.
CVPR 2022, https://arxiv.org/abs/2112.10752
A. Blattmann et al.: Align your Latents: High-Resolution Video Synthesis with Latent Diffusion Models. CVPR 2023,
https://arxiv.org/abs/2304.08818 (time in the model of latents)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.layers import folded, unfolded
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel, batches


class LatentSpace(VideoModel):
    """What a model of latents needs of an autoencoder; it states `latent_shape`, `latents_of` and `clips_of`.

    Attributes:
        latent_shape: (time, height, width, channels) of a clip's latents.
    """

    latent_shape: tuple[int, int, int, int]

    def latents_of(self, clips, training=False):
        """Clips (batch, *clip_shape) as latents (batch, *latent_shape), on any backend of Keras."""
        raise NotImplementedError(f"{type(self).__name__} must say how it folds clips: write latents_of.")

    def clips_of(self, latents, training=False):
        """Latents (batch, *latent_shape) as clips, not yet bounded, on any backend of Keras."""
        raise NotImplementedError(f"{type(self).__name__} must say how it unfolds latents: write clips_of.")

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """The latents of clips.

        Args:
            clips: float32 (count, time, height, width, channels).

        Returns:
            float32 (count, *latent_shape), scaled as the class says.

        Raises:
            ValueError: for clips of another shape or range, and for broken weights.
        """
        clips = check_clips(clips, self.clip_shape)
        return self.check_finite(np.concatenate([self.latents_of(part).numpy() for part in batches(clips)]))

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """The clips that latents stand for.

        Args:
            latents: (count, *latent_shape), finite numbers.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for latents of another shape, numbers that are not finite, and for broken weights.
        """
        latents = self.check_latents(latents)
        made = np.concatenate([self.clips_of(part).numpy() for part in batches(latents)])
        return np.clip(self.check_finite(made), -1, 1)

    def check_latents(self, latents: np.ndarray) -> np.ndarray:
        """The latents as float32, if they are finite numbers of the right shape; else ValueError."""
        latents = as_array(latents, "latents")
        fits = latents.ndim == 5 and latents.shape[1:] == self.latent_shape and len(latents)
        if not fits or latents.dtype.kind not in "iuf" or not np.abs(latents).max() < 1e6:  # NaN is not below it either
            raise ValueError(
                f"latents has shape {latents.shape}, but finite numbers (count, {', '.join(map(str, self.latent_shape))}) "
                "were expected, such as encode gives."
            )
        return latents.astype(np.float32)

    def generate(self, count, condition=None, *, seed, **settings):
        """There are no clips of its own: raises ValueError and says what makes some."""
        raise ValueError(
            f"{type(self).__name__} makes no clips of its own, only latents; train a model of latents on top of it."
        )


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Autoencoder(LatentSpace):
    """Clips to latents (time / block, height / patch, width / patch, latent_channels) and back, a few frames at a time.

    `compile` it and `fit` it on clips; `encode` and `decode` take and give arrays. Over all clips each latent channel has
    about the mean 0 and the variance 1.

    Args:
        clip_shape: (time, height, width, channels).
        block: how many frames are folded together; divides the time.
        patch: side of the block of pixels that one latent vector stands for, 2, 4, 8, …; divides height and width.
        latent_channels: numbers of a latent vector.
        width: channels at half the height and width of a frame; each time these are halved again there are twice as many.
        depth: residual blocks at each size, in the encoder and in the decoder.
        noise: deviation of what is added to the latents in training.
        seed: of the weights.

    Attributes:
        latent_shape: (time / block, height / patch, width / patch, latent_channels).
        encoder, decoder: the networks, from pictures (batch, height, width, block · channels) to latents and back.

    Raises:
        ValueError: for arguments other than these.
    """

    mixed = True

    def __init__(self, clip_shape, block=4, patch=4, latent_channels=8, width=48, depth=1, noise=0.1, seed=0, **kwargs):
        super().__init__(clip_shape, **kwargs)
        self.block, self.patch = check_count(block, "block"), check_count(patch, "patch", least=2)
        time, height, width_of_frame, _ = self.clip_shape
        if self.patch & (self.patch - 1):
            raise ValueError(f"patch is {patch}, but a power of 2 was expected.")
        if time % self.block or height % self.patch or width_of_frame % self.patch:
            raise ValueError(
                f"clip_shape is {self.clip_shape}, but a time in {self.block}s and a height and a width in {self.patch}s were expected."
            )
        self.halvings = self.patch.bit_length() - 1
        self.latent_channels = check_count(latent_channels, "latent_channels")
        self.width, self.depth = check_count(width, "width"), check_count(depth, "depth", least=0)
        self.noise, self.seed = check_number(noise, "noise"), check_seed(seed)
        check_values(self.clip_shape, "a clip")
        check_values((16 * self.width * self.patch // 2, self.width * self.patch // 2), "a layer")
        self.latent_shape = (
            time // self.block, height // self.patch, width_of_frame // self.patch, self.latent_channels,
        )  # fmt: skip
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.encoder, self.decoder = self._encoder(), self._decoder()
        self.built = True

    def _conv(self, x, channels, kernel, strides=1):
        he = keras.initializers.HeNormal(self.random)
        return keras.layers.Conv2D(channels, kernel, strides, "same", kernel_initializer=he)(x)

    def _residuals(self, x):
        """What is near. There is no normalisation: it would make the brightness of a thing depend on the size of all others."""
        for _ in range(self.depth):
            x = x + self._conv(keras.ops.silu(self._conv(keras.ops.silu(x), x.shape[-1], 3)), x.shape[-1], 3)
        return x

    def _encoder(self) -> keras.Model:
        """Pictures (batch, height, width, block · channels) to latents (batch, *latent_shape[1:])."""
        _, height, width, channels = self.clip_shape
        pictures = x = keras.Input((height, width, self.block * channels))
        for level in range(self.halvings):
            x = self._residuals(self._conv(x, self.width * 2**level, 4, 2))
        x = self._conv(keras.ops.silu(x), self.latent_channels, 1)
        normalised = keras.layers.BatchNormalization(
            momentum=0.9, center=False, scale=False, epsilon=1e-5, dtype="float32"
        )
        return keras.Model(pictures, normalised(x), name="encoder")

    def _decoder(self) -> keras.Model:
        """Latents (batch, *latent_shape[1:]) to pictures (batch, height, width, block · channels), not yet bounded."""
        latents = keras.Input(self.latent_shape[1:])
        x = self._conv(latents, self.width * 2 ** (self.halvings - 1), 3)
        for level in range(self.halvings - 1, -1, -1):
            x, he = self._residuals(x), keras.initializers.HeNormal(self.random)
            channels = self.width * 2 ** (level - 1) if level else self.block * self.clip_shape[3]
            grown = keras.layers.Conv2DTranspose(
                channels, 4, 2, "same", kernel_initializer=he, dtype=None if level else "float32"
            )
            x = grown(x if level else keras.ops.silu(x))
        return keras.Model(latents, x, name="decoder")

    def latents_of(self, clips, training=False):
        """Clips (batch, time, height, width, channels), of any time in blocks, as latents, on any backend of Keras."""
        pictures = folded(clips, (self.block, 1, 1))
        latents = self.encoder(keras.ops.reshape(pictures, (-1, *pictures.shape[2:])), training=training)
        return keras.ops.reshape(latents, (-1, pictures.shape[1], *self.latent_shape[1:]))

    def clips_of(self, latents, training=False):
        """Latents (batch, time / block, …) as clips, not yet bounded, on any backend of Keras."""
        pictures = self.decoder(keras.ops.reshape(latents, (-1, *self.latent_shape[1:])), training=training)
        pictures = keras.ops.reshape(pictures, (-1, latents.shape[1], *pictures.shape[1:]))
        return unfolded(pictures, (self.block, 1, 1))

    # Training.

    def cost(self, clips, noise=None, dice=None):
        """The loss, on any backend of Keras: the mean squared error of what comes back from its latents.

        Args:
            clips: (batch, *clip_shape).
            noise: standard normal (batch, 1, *latent_shape[1:]), added to the latents in training; None takes whole clips and
                adds none.
            dice: (batch,) uniform in [0, 1), where in each clip the `block` of frames begins that is learned in training.
        """
        if noise is None:
            return keras.ops.mean(keras.ops.square(self.clips_of(self.latents_of(clips)) - clips))
        time = self.clip_shape[0]
        first = keras.ops.floor(dice * (time - self.block + 1))
        index = first[:, None] + keras.ops.arange(self.block, dtype="float32")
        chosen = keras.ops.cast(index[..., None] == keras.ops.arange(time, dtype="float32"), clips.dtype)
        clips = keras.ops.einsum("bft,bthwc->bfhwc", chosen, clips)
        latents = self.latents_of(clips, training=True) + self.noise * noise
        return keras.ops.mean(keras.ops.square(self.clips_of(latents, training=True) - clips))

    def losses_of(self, clips, condition, training):
        """`loss` is the mean squared error of a value that comes back."""
        if not training:
            return {"loss": self.cost(clips)}
        seeds, count = tf.random.split(self.step_seed(), 2), tf.shape(clips)[0]
        noise = tf.random.stateless_normal((count, 1, *self.latent_shape[1:]), seeds[0])
        return {"loss": self.cost(clips, noise, tf.random.stateless_uniform((count,), seeds[1]))}

    @property
    def preset_weights(self) -> list[keras.Variable]:
        """The weights that a preset of the autoencoder holds: all but the states of random numbers."""
        return [*self.encoder.weights, *self.decoder.weights]

    def get_config(self):
        return super().get_config() | {
            "block": self.block, "patch": self.patch, "latent_channels": self.latent_channels, "width": self.width,
            "depth": self.depth, "noise": self.noise, "seed": self.seed,
        }  # fmt: skip
