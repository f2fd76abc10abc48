"""A variational autoencoder for video: an encoder that says which latents a frame may have come from, a decoder that turns
latents into frames, and a recurrent prior that has learned how latents follow each other.

Each frame has a latent z (batch, latent_size), from which it is decoded. A memory h runs along, h[t] = GRU(h[t-1], z[t]),
and from it the prior p says what to expect of the next latent. Before the first frame a few *scene
latents*, from which no frame is decoded, run through the same chain: with them the first frame is not drawn from one
Gaussian. Nobody can compute the likelihood p(clip) of such a model, but a bound below it: the *evidence lower bound*, a
sum over latents,

    log p(clip)  ≥  E log p(frame[t] | z[t])  -  KL( q(z[t] | h[t-1], clip) || p(z[t] | h[t-1]) )
                    ^ minus the reconstruction   ^ kl

where E is over latents drawn from the encoder's q. Frames are Gaussian about what is decoded; their deviation, the
`noise`, is one learned number, so both terms are in nats. Training may still weigh the second one (`beta`).

D. Kingma, M. Welling: Auto-Encoding Variational Bayes. ICLR 2014, https://arxiv.org/abs/1312.6114
J. Chung et al.: A Recurrent Latent Variable Model for Sequential Data. NeurIPS 2015, https://arxiv.org/abs/1506.02216
E. Denton, R. Fergus: Stochastic Video Generation with a Learned Prior (SVG-LP). ICML 2018, https://arxiv.org/abs/1802.07687
R. Krishnan, U. Shalit, D. Sontag: Structured Inference Networks for Nonlinear State Space Models. AAAI 2017,
https://arxiv.org/abs/1609.09869 (the encoder looks ahead)
O. Rybkin, K. Daniilidis, S. Levine: Simple and Effective VAE Training with Calibrated Decoders (σ-VAE). ICML 2021,
https://arxiv.org/abs/2006.13202 (the learned noise)
D. Kingma et al.: Improved Variational Inference with Inverse Autoregressive Flow. NeurIPS 2016,
https://arxiv.org/abs/1606.04934 (free bits)
Y. Burda, R. Grosse, R. Salakhutdinov: Importance Weighted Autoencoders. ICLR 2016, https://arxiv.org/abs/1509.00519
"""

import math

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.layers import soft_argmax
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel, batches, draw_seed, evenly_apart

FINEST = 2 / 255 / math.sqrt(12)  # the deviation of rounding to 256 grey levels: no noise is learned below it
START_NOISE = 0.5  # before training
SURE = -2.0  # log variance of the encoder's latents before training: with more, noise drowns what they tell
KEEP = 0.98  # how much of the averaged noise is kept in a step
FEATURES, AHEAD = 128, 64  # numbers that the encoder keeps of a frame, and of the frames after it


def _bounded(raw):
    """Log variances, kept between -4 and 4."""
    return 4 * tf.tanh(raw / 4)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class VideoVAE(VideoModel):
    """A variational autoencoder whose prior over the latents of consecutive frames is a recurrent network.

    `generate` draws latents from the prior, frame by frame, and decodes them; `encode` and `decode` go from clips to latents
    and back, so it also serves as the autoencoder under models of latents; `continuation` goes on from given frames,
    each time in another way.

    Args:
        clip_shape: (time, height, width, channels).
        latent_size: numbers of the latent of a frame.
        memory_size: numbers of the memory that runs through the frames.
        width: channels of the largest feature maps of encoder and decoder; smaller maps have up to four times as many.
        beta: weight of the `kl` in training; 1 is the bound itself.
        rise: training steps in which that weight goes from 1 to beta, by the same factor in each.
        free_nats: nats that a frame's latent may tell at no cost in training: a cure for collapse; 0 gives none.
        noise: deviation of pixels about what is decoded, in units of clip values; None learns it.
        scene_latents: how many latents are drawn before that of the first frame.
        decoded_frames: how many frames of each clip a training step decodes, evenly apart, to save time; None takes all.
        looks_ahead: whether the encoder sees all frames given to it, or only those up to the one that it encodes.
        seed: of the weights.

    Attributes:
        latent_shape: (time, latent_size), the shape of a clip's latents.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "reconstruction", "kl", "noise")

    def __init__(
        self, clip_shape, latent_size=32, memory_size=256, width=32, beta=1.0, rise=0, free_nats=0.0, noise=None,
        scene_latents=2, decoded_frames=None, looks_ahead=True, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, **kwargs)
        self.latent_size, self.memory_size, self.width = (
            check_count(latent_size, "latent_size"),
            check_count(memory_size, "memory_size"),
            check_count(width, "width"),
        )
        self.beta, self.free_nats = check_number(beta, "beta"), check_number(free_nats, "free_nats")
        self.rise = check_count(rise, "rise", least=0)
        if self.rise and not self.beta:
            raise ValueError("beta is 0, which no factor leads to; with rise, a beta above 0 was expected.")
        self.given_noise = None if noise is None else check_number(noise, "noise", least=1e-4)
        self.scene_latents = check_count(scene_latents, "scene_latents", least=0)
        most = self.clip_shape[0]
        self.decoded_frames = most if decoded_frames is None else check_count(decoded_frames, "decoded_frames")
        if self.decoded_frames > most:
            raise ValueError(f"decoded_frames is {decoded_frames}, but a clip has {most} frames; give at most as many.")
        if not isinstance(looks_ahead, bool):
            raise ValueError(f"looks_ahead is {looks_ahead!r}, but True or False was expected.")
        self.looks_ahead, self.seed = looks_ahead, check_seed(seed)
        self.latent_shape = (self.clip_shape[0], self.latent_size)
        check_values(self.clip_shape, "a clip")
        check_values((4 * self.memory_size, self.memory_size + self.latent_size), "a layer")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.halvings = max(1, math.ceil(math.log2(max(self.clip_shape[1:3]) / 4)))  # down to at most 4 × 4
        check_values((4, 4, *[self.width, *self._widths()][-2:]), "a layer")
        self.feature_size = FEATURES + (AHEAD if looks_ahead else 0)
        self.frame_encoder, self.frame_decoder = self._frame_encoder(), self._frame_decoder()
        self.prior = self._gaussian(self.memory_size, "prior")
        self.posterior = self._gaussian(self.memory_size + self.feature_size, "posterior", SURE)
        self.memory = keras.layers.GRUCell(
            self.memory_size, kernel_initializer=self._glorot(),
            recurrent_initializer=keras.initializers.Orthogonal(seed=self.random), name="memory",
        )  # fmt: skip
        self.memory.build((None, self.latent_size))
        if looks_ahead:  # a recurrent network that reads the frames from the last to the first
            self.ahead = keras.layers.GRU(
                AHEAD, return_sequences=True, go_backwards=True, kernel_initializer=self._glorot(),
                recurrent_initializer=keras.initializers.Orthogonal(seed=self.random), name="ahead",
            )  # fmt: skip
            self.ahead.build((None, None, FEATURES))
        self.first_memory = self.add_weight(shape=(1, self.memory_size), initializer="zeros", name="first_memory")
        if noise is None:
            self.variance = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(START_NOISE**2),
                trainable=False,
                name="variance",
                aggregation="mean",
            )
        self.built = True

    # The networks.

    def _glorot(self):
        return keras.initializers.GlorotUniform(self.random)

    def _he(self):
        return keras.initializers.HeNormal(self.random)

    def _dense(self, x, units, activation=None):
        return keras.layers.Dense(units, activation, kernel_initializer=self._glorot())(x)

    def _widths(self) -> list[int]:
        """Channels of the feature maps, from the largest map to the smallest."""
        return [self.width * 2 ** min(level, 2) for level in range(self.halvings)]

    def _frame_encoder(self) -> keras.Model:
        """Frames (frames, height, width, channels) to features (frames, FEATURES): what the smallest maps show, and of each
        channel of the larger ones where it is strongest, its largest value and its mean."""
        ops = keras.ops
        x = frames = keras.Input(self.clip_shape[1:])
        found = []
        for level, channels in enumerate(self._widths()):
            x = ops.silu(keras.layers.Conv2D(channels, 4, 2, "same", kernel_initializer=self._he())(x))
            if level < 2:
                found += [soft_argmax(x), ops.max(x, axis=(1, 2)), ops.mean(x, axis=(1, 2))]
        x = ops.concatenate([keras.layers.Flatten()(x), *found], axis=-1)
        return keras.Model(frames, self._dense(x, FEATURES, "silu"), name="frame_encoder")

    def _frame_decoder(self) -> keras.Model:
        """Latents (frames, latent_size) to the means of frames (frames, height, width, channels), in [-1, 1]. Without the
        normalisation small things are learned many times slower."""
        height, width, channels = self.clip_shape[1:]
        first, widths = [-(-side // 2**self.halvings) for side in (height, width)], self._widths()
        latents = keras.Input((self.latent_size,))
        x = self._dense(self._dense(latents, 256, "silu"), first[0] * first[1] * widths[-1], "silu")
        x = keras.ops.reshape(x, (-1, *first, widths[-1]))
        for wide in [*widths[-2::-1], widths[0]]:
            x = keras.layers.Conv2DTranspose(wide, 4, 2, "same", kernel_initializer=self._he())(x)
            x = keras.ops.silu(keras.layers.GroupNormalization(math.gcd(8, wide))(x))
        x = keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer=self._glorot())(x)
        return keras.Model(latents, keras.ops.tanh(x[:, :height, :width]), name="frame_decoder")

    def _gaussian(self, size: int, name: str, log_variance: float = 0.0) -> keras.Model:
        """Vectors (batch, size) to the mean and the raw log variance of a latent, (batch, 2 · latent_size); the latter is
        `log_variance` at the start."""
        x = given = keras.Input((size,))
        bias = np.repeat([0.0, log_variance], self.latent_size)
        x = keras.layers.Dense(
            2 * self.latent_size, kernel_initializer=self._glorot(),
            bias_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(bias, dtype),
        )(self._dense(x, 128, "silu"))  # fmt: skip
        return keras.Model(given, x, name=name)

    # What the model is made of: features of frames, latents drawn one after the other, frames decoded.

    @property
    def noise(self) -> tf.Tensor:
        """The deviation of pixels about what is decoded: a scalar, in units of clip values."""
        if self.given_noise is not None:
            return tf.constant(self.given_noise, tf.float32)
        return tf.maximum(tf.sqrt(self.variance), FINEST)

    def features(self, clips: tf.Tensor) -> tf.Tensor:
        """What the encoder sees of clips (batch, time, height, width, channels): (batch, time, feature_size)."""
        seen = self.frame_encoder(tf.reshape(clips, (-1, *self.clip_shape[1:])))
        seen = tf.reshape(seen, (-1, clips.shape[1], FEATURES))
        if not self.looks_ahead:
            return seen
        return tf.concat([seen, tf.reverse(self.ahead(seen), axis=[1])], axis=-1)

    def follow(self, noise: tf.Tensor, seen: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Latents one after the other: from the encoder for the frames whose features are given, then from the prior.

        Args:
            noise: (batch, scene_latents + time, latent_size), standard normal; 0 takes the mean of each latent.
            seen: features (batch, frames, feature_size) of the first frames; None draws all from the prior.

        Returns:
            `latents` (batch, time, latent_size) of frames; and of all latents from the encoder, in nats: `kl`
            (batch, scene_latents + frames), and `log_ratio` of the same shape, log p - log q of the latents drawn.
        """
        memory = tf.repeat(tf.convert_to_tensor(self.first_memory), tf.shape(noise)[0], axis=0)
        scene = self.scene_latents
        told = 0 if seen is None else scene + seen.shape[1]
        latents, kl, log_ratio = [], [], []
        for t in range(noise.shape[1]):
            mean, log_variance = self._moments(self.prior(memory))
            if t < told:
                prior_mean, prior_log_variance = mean, log_variance
                mean, log_variance = self._moments(
                    self.posterior(tf.concat([memory, seen[:, max(t - scene, 0)]], axis=-1))
                )
                off = tf.square(mean - prior_mean) + tf.exp(log_variance)
                both = prior_log_variance - log_variance
                kl.append(0.5 * tf.reduce_sum(both + off * tf.exp(-prior_log_variance) - 1, axis=-1))
            latent = mean + tf.exp(0.5 * log_variance) * noise[:, t]
            if t < told:
                far = tf.square(latent - prior_mean) * tf.exp(-prior_log_variance)
                log_ratio.append(-0.5 * tf.reduce_sum(both + far - tf.square(noise[:, t]), axis=-1))
            memory, _ = self.memory(latent, [memory])
            latents.append(latent)
        found = {"latents": latents[scene:]} | ({"kl": kl, "log_ratio": log_ratio} if told else {})
        return {name: tf.stack(values, axis=1) for name, values in found.items()}

    def _normal(self, count, time: int, seed: tf.Tensor) -> tf.Tensor:
        """Standard normal noise for the latents of clips."""
        return tf.random.stateless_normal((count, self.scene_latents + time, self.latent_size), seed)

    def _moments(self, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        mean, log_variance = tf.split(raw, 2, axis=-1)
        return mean, _bounded(log_variance)

    def frames_of(self, latents: tf.Tensor) -> tf.Tensor:
        """Latents (batch, time, latent_size) to clips (batch, time, height, width, channels)."""
        frames = self.frame_decoder(tf.reshape(latents, (-1, self.latent_size)))
        return tf.reshape(frames, (-1, latents.shape[1], *self.clip_shape[1:]))

    def surprise(self, clips: tf.Tensor, decoded: tf.Tensor, noise: tf.Tensor | None = None) -> tf.Tensor:
        """-log p(clips | latents) in nats, (batch,), from what was decoded; with another noise than the model's if given."""
        noise, values = self.noise if noise is None else noise, math.prod(clips.shape[1:])
        errors = tf.reduce_sum(tf.square(clips - decoded), axis=(1, 2, 3, 4))
        return 0.5 * errors / tf.square(noise) + values * (tf.math.log(noise) + 0.5 * math.log(2 * math.pi))

    def _learn_noise(self, clips: tf.Tensor, decoded: tf.Tensor) -> tf.Tensor:
        """The deviation under which a batch is likeliest, the root mean square error; its square goes into the average that
        the model keeps."""
        error = tf.stop_gradient(tf.reduce_mean(tf.square(clips - decoded)))
        step = tf.cast(self.optimizer.iterations, tf.float32) if getattr(self, "optimizer", None) else 0.0
        keep = tf.minimum(KEEP, step / (step + 3))  # what the first steps say is soon forgotten
        self.variance.assign(keep * self.variance + (1 - keep) * error)
        return tf.maximum(tf.sqrt(error), FINEST)

    def losses_of(self, clips, condition, training):
        """In nats a clip: `loss`, `reconstruction`, `kl`; and the `noise`. In `evaluate` the loss is minus the evidence lower
        bound, reconstruction + kl. In training the kl counts `beta` times, and with `free_nats` a latent's kl only where it
        is more than that in the mean of the batch. Where the noise is learned, `noise` and `reconstruction` are in training
        those of the noise that suits the batch best, in `evaluate` those of the average that the model keeps."""
        seed = self.step_seed() if training else draw_seed(0)  # evaluation does not depend on the step
        drawn = self._normal(tf.shape(clips)[0], self.clip_shape[0], seed)
        found = self.follow(drawn, self.features(clips))
        looks = self.looks() if training else tf.range(self.clip_shape[0])
        shown = tf.ensure_shape(tf.gather(clips, looks, axis=1), (None, looks.shape[0], *self.clip_shape[1:]))
        decoded = self.frames_of(tf.gather(found["latents"], looks, axis=1))
        learns = training and self.given_noise is None
        noise = self._learn_noise(shown, decoded) if learns else self.noise
        reconstruction = tf.reduce_mean(self.surprise(shown, decoded, noise)) * (self.clip_shape[0] / looks.shape[0])
        kl = tf.reduce_mean(found["kl"], axis=0)  # (scene_latents + time,)
        paid = self.kl_weight() * tf.reduce_sum(tf.maximum(kl, self.free_nats)) if training else tf.reduce_sum(kl)
        return {
            "loss": reconstruction + paid, "reconstruction": reconstruction, "kl": tf.reduce_sum(kl),
            "noise": noise,
        }  # fmt: skip

    def kl_weight(self) -> tf.Tensor:
        """The weight of the kl in this training step."""
        if not self.rise:
            return tf.constant(self.beta, tf.float32)
        return tf.pow(self.beta, tf.minimum(tf.cast(self.step_seed()[1], tf.float32) / self.rise, 1.0))

    def looks(self) -> tf.Tensor:
        """The numbers of the frames that this training step decodes, evenly apart."""
        seed = self.step_seed() + tf.constant([1, 0], tf.int64)
        return evenly_apart(self.clip_shape[0], self.decoded_frames, seed)

    # What it is used for.

    def draw(self, count, condition, seed):
        noise = self._normal(count, self.clip_shape[0], draw_seed(seed))
        return np.concatenate([self.frames_of(self.follow(part)["latents"]).numpy() for part in batches(noise)])

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """The latents that clips most likely came from: the means of the encoder's Gaussians.

        Args:
            clips: float32 (count, time, height, width, channels); fewer frames than `clip_shape` has will do.

        Returns:
            float32 (count, time, latent_size).

        Raises:
            ValueError: for clips of another shape or range.
        """
        found = [
            self.follow(0 * self._normal(len(part), part.shape[1], draw_seed(0)), self.features(part))[
                "latents"
            ].numpy()
            for part in batches(self._check_frames(clips))
        ]
        return self.check_finite(np.concatenate(found))

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """The clips that latents stand for.

        Args:
            latents: (count, time, latent_size), such as `encode` gives; fewer frames than `clip_shape` has will do.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for latents of another shape, or numbers that are not finite.
        """
        latents = as_array(latents, "latents")
        time = self.clip_shape[0]
        fits = latents.ndim == 3 and latents.shape[2] == self.latent_size and 1 <= latents.shape[1] <= time
        if not fits or not len(latents) or latents.dtype.kind not in "iuf" or not np.isfinite(latents).all():
            raise ValueError(
                f"latents has shape {latents.shape}, but finite numbers (count, {time} or fewer, {self.latent_size}) were "
                "expected, such as encode gives."
            )
        return self.check_finite(
            np.concatenate([self.frames_of(p).numpy() for p in batches(latents.astype(np.float32))])
        )

    def interpolate(self, first: np.ndarray, last: np.ndarray, count: int) -> np.ndarray:
        """A walk from one clip to another: clips decoded from latents on the straight line between theirs.

        Args:
            first, last: one clip each, float32 (time, height, width, channels).
            count: how many clips, at least 2; the first and the last are the two clips as the model knows them.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for clips of another shape or range, or a count below 2.
        """
        check_values((check_count(count, least=2), *self.clip_shape), "the clips")
        ends = [self.encode(as_array(clip, "a clip to interpolate")[None])[0] for clip in (first, last)]
        if ends[0].shape != ends[1].shape:
            raise ValueError(f"first has {len(ends[0])} frames and last {len(ends[1])}, but as many were expected.")
        share = np.linspace(0, 1, count, dtype=np.float32)[:, None, None]
        return self.decode((1 - share) * ends[0] + share * ends[1])

    def continuation(self, given: np.ndarray, futures: int = 1, *, seed: int) -> np.ndarray:
        """Clips that begin with given frames, each gone on with in several ways.

        Args:
            given: the first frames of clips, float32 (count, frames, height, width, channels), fewer than `clip_shape` has.
            futures: how many continuations of each, at least 1.
            seed: whole number from 0; the same seed gives the same futures.

        Returns:
            float32 (count, futures, time, height, width, channels): the given frames as they are, then new ones.

        Raises:
            ValueError: for frames of another shape or range or as many as a clip has, a bad number of futures, or a bad seed.
        """
        given = self._check_frames(given)
        check_count(futures, "futures")
        check_seed(seed)
        (count, frames), time = given.shape[:2], self.clip_shape[0]
        if frames >= time:
            raise ValueError(f"given has {frames} frames, but fewer than the {time} of a clip were expected; cut it.")
        check_values((count, futures, *self.clip_shape), "the clips")
        noise = self._normal(count * futures, time, draw_seed(seed))
        made = []
        for begun, part in zip(batches(np.repeat(given, futures, axis=0)), batches(noise), strict=True):
            latents = self.follow(part, self.features(begun))["latents"]
            made.append(np.concatenate([begun, self.frames_of(latents[:, frames:]).numpy()], axis=1))
        return self.check_finite(np.concatenate(made)).reshape(count, futures, *self.clip_shape)

    def bound(self, clips: np.ndarray, samples: int = 1, *, seed: int = 0) -> np.ndarray:
        """A number below each clip's log-likelihood, up to the chance of the draws: the evidence lower bound for one sample,
        for more the importance-weighted one, log mean p(clip, z) / q(z | clip), which rises to the likelihood.

        Args:
            clips: float32 (count, time, height, width, channels).
            samples: latents drawn from the encoder for each clip.
            seed: of the draws, whole number from 0.

        Returns:
            float64 (count,), nats a clip: log densities of values in [-1, 1].

        Raises:
            ValueError: for clips of another shape or range, a bad number of samples, or a bad seed.
        """
        clips = check_clips(clips, self.clip_shape)
        check_count(samples, "samples")
        check_seed(seed)
        bounds = []
        own = tf.constant([-5, seed], tf.int64)  # neither training nor `generate` draws from it
        for number, part in enumerate(batches(clips)):
            seen = self.features(part)
            log_weights = []
            for sample in range(samples):
                key = tf.random.fold_in(own, tf.constant(number * samples + sample, tf.int64))
                found = self.follow(self._normal(len(part), self.clip_shape[0], key), seen)
                surprise = self.surprise(part, self.frames_of(found["latents"]))
                # With one sample the kl in closed form: the same mean, less chance.
                told = (
                    -tf.reduce_sum(found["kl"], axis=1) if samples == 1 else tf.reduce_sum(found["log_ratio"], axis=1)
                )
                log_weights.append((told - surprise).numpy().astype(np.float64))
            bounds.append(np.logaddexp.reduce(log_weights, axis=0) - math.log(samples))
        return self.check_finite(np.concatenate(bounds))

    def _check_frames(self, clips) -> np.ndarray:
        """Clips with at most the frames of `clip_shape`, else ValueError."""
        clips = check_clips(clips)
        time, *frame = self.clip_shape
        if list(clips.shape[2:]) != frame or clips.shape[1] > time:
            raise ValueError(
                f"The clips have shape {clips.shape}, but (count, {time} or fewer, {', '.join(map(str, frame))}) was expected; "
                "cut or resize them."
            )
        return clips

    def get_config(self):
        return super().get_config() | {
            "latent_size": self.latent_size, "memory_size": self.memory_size, "width": self.width, "beta": self.beta,
            "rise": self.rise,
            "free_nats": self.free_nats, "noise": self.given_noise,
            "scene_latents": self.scene_latents,
            "decoded_frames": self.decoded_frames, "looks_ahead": self.looks_ahead, "seed": self.seed,
        }  # fmt: skip
