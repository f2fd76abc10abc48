"""An autoencoder for clips: it folds each frame into a few hundred numbers, its *latents*, and unfolds them again.

Most of the values of a picture say nothing new: a neighbour has told it already. So models of clips learn faster if they model
latents (latent diffusion). Here 8 × 8 pixels become one latent vector. Over all clips each of its numbers has the mean 0
and the variance 1, so a model of latents knows their scale; and in training a little noise is added to them, so that latents
nearby mean frames that look alike, and the small errors of a model do no harm. How frames follow each other is not
its business: that is what the model of latents is for.

    latents = normalised(encoder(frame)),    frame ≈ decoder(latents + noise),    loss = mean (frame - decoder(…))²

R. Rombach, A. Blattmann, D. Lorenz, P. Esser, B. Ommer: High-Resolution Image Synthesis with Latent Diffusion Models.
CVPR 2022, https://arxiv.org/abs/2112.10752
A. Blattmann et al.: Align your Latents: High-Resolution Video Synthesis with Latent Diffusion Models. CVPR 2023,
https://arxiv.org/abs/2304.08818 (frames one by one, time in the model of latents)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import batches, check_clip_shape

HALVINGS = 3  # one latent vector stands for 8 × 8 pixels


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Autoencoder(keras.Model):
    """Clips to latents (time, height / 8, width / 8, latent_channels) and back, frame by frame.

    `compile` it and `fit` it on clips; `encode` and `decode` take and give arrays.

    Args:
        clip_shape: (time, height, width, channels); height and width in eights.
        latent_channels: numbers of a latent vector.
        width: channels at half the height and width of a frame; each time these are halved again there are twice as many.
        depth: residual blocks at each size, in the encoder and in the decoder.
        noise: deviation of what is added to the latents in training.
        seed: of the weights.

    Attributes:
        latent_shape: (time, height / 8, width / 8, latent_channels).

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(self, clip_shape, latent_channels=16, width=48, depth=1, noise=0.05, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.clip_shape = check_clip_shape(clip_shape)
        time, height, width_of_frame, _ = self.clip_shape
        if height % 2**HALVINGS or width_of_frame % 2**HALVINGS:
            raise ValueError(f"clip_shape is {self.clip_shape}, but a height and a width in eights were expected.")
        self.latent_channels = check_count(latent_channels, "latent_channels")
        self.width, self.depth = check_count(width, "width"), check_count(depth, "depth", least=0)
        self.noise, self.seed = check_number(noise, "noise"), check_seed(seed)
        check_values(self.clip_shape, "a clip")
        check_values((16 * 4 * self.width, 2 * self.width), "a layer")
        self.latent_shape = (time, height // 2**HALVINGS, width_of_frame // 2**HALVINGS, self.latent_channels)
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
        """Clips (batch, *clip_shape) to latents (batch, *latent_shape)."""
        clips = keras.Input(self.clip_shape)
        x = keras.ops.reshape(clips, (-1, *self.clip_shape[1:]))
        for level in range(HALVINGS):
            x = self._residuals(self._conv(x, self.width * 2**level, 4, 2))
        x = self._conv(keras.ops.silu(x), self.latent_channels, 1)
        x = keras.layers.BatchNormalization(momentum=0.9, center=False, scale=False, epsilon=1e-5)(x)
        return keras.Model(clips, keras.ops.reshape(x, (-1, *self.latent_shape)), name="encoder")

    def _decoder(self) -> keras.Model:
        """Latents (batch, *latent_shape) to clips (batch, *clip_shape), not yet bounded."""
        latents = keras.Input(self.latent_shape)
        x = keras.ops.reshape(latents, (-1, *self.latent_shape[1:]))
        x = self._conv(x, self.width * 2 ** (HALVINGS - 1), 3)
        for level in range(HALVINGS - 1, -1, -1):
            x, he = self._residuals(x), keras.initializers.HeNormal(self.random)
            channels = self.width * 2 ** (level - 1) if level else self.clip_shape[3]
            x = x if level else keras.ops.silu(x)
            x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", kernel_initializer=he)(x)
        return keras.Model(latents, keras.ops.reshape(x, (-1, *self.clip_shape)), name="decoder")

    # Training.

    def call(self, clips, training=False):
        """The clips themselves: Keras calls the model before it asks for the loss, and all work is in `cost`."""
        return clips

    def cost(self, clips, noise=None):
        """The loss, on any backend of Keras: the mean squared error of clips (batch, *clip_shape) that come back from their
        latents, to which `noise`, standard normal of their shape, is added in training."""
        latents = self.encoder(clips, training=noise is not None)
        latents = latents if noise is None else latents + self.noise * noise
        return keras.ops.mean(keras.ops.square(self.decoder(latents) - clips))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            return self.cost(x)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = self.optimizer.iterations if getattr(self, "optimizer", None) else 0
        seed = tf.stack([tf.cast(replica, tf.int64), tf.cast(step, tf.int64)])
        return self.cost(x, tf.random.stateless_normal((tf.shape(x)[0], *self.latent_shape), seed))

    # What it is used for.

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """The latents of clips.

        Args:
            clips: float32 (count, time, height, width, channels).

        Returns:
            float32 (count, *latent_shape); each channel has about the mean 0 and the variance 1.

        Raises:
            ValueError: for clips of another shape or range.
        """
        clips = check_clips(clips, self.clip_shape)
        return np.concatenate([self.encoder(part).numpy() for part in batches(clips)])

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """The clips that latents stand for.

        Args:
            latents: (count, *latent_shape), finite numbers.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for latents of another shape, or numbers that are not finite.
        """
        latents = as_array(latents, "latents")
        fits = latents.ndim == 5 and latents.shape[1:] == self.latent_shape and len(latents)
        if not fits or latents.dtype.kind not in "iuf" or not np.isfinite(latents).all():
            raise ValueError(
                f"latents has shape {latents.shape}, but finite numbers (count, {', '.join(map(str, self.latent_shape))}) "
                "were expected, such as encode gives."
            )
        made = np.concatenate([self.decoder(part).numpy() for part in batches(latents.astype(np.float32))])
        return np.clip(made, -1, 1)

    @property
    def preset_weights(self) -> list[keras.Variable]:
        """The weights that a preset of the autoencoder holds: all but the states of random numbers."""
        return [*self.encoder.weights, *self.decoder.weights]

    def set_preset_weights(self, weights: list[np.ndarray]) -> None:
        """Takes the weights of a preset, in the order of `preset_weights`."""
        for variable, weight in zip(self.preset_weights, weights, strict=True):
            variable.assign(weight)

    def get_config(self):
        return {
            "clip_shape": self.clip_shape, "latent_channels": self.latent_channels, "width": self.width,
            "depth": self.depth, "noise": self.noise, "seed": self.seed, "name": self.name,
        }  # fmt: skip
