"""The dense frame generator: one short vector, its code, becomes one frame; a path of codes becomes a clip.

Three dense layers turn a code z of 100 numbers into the H·W·3 numbers of a frame. There is no encoder: each
training frame x[n, t] has a code z[n, t] of its own, and codes and weights are learned together by gradient
descent (an *auto-decoder*):

    minimise over network and z:   mean of (x[n, t] - network(z[n, t]))²

The codes of a clip start on a smooth random path, so that frames that follow each other in time begin as
neighbours in code space; that is all the network ever learns about time.

P. Bojanowski, A. Joulin, D. Lopez-Paz, A. Szlam: Optimizing the Latent Space of Generative Networks.
ICML 2018, https://arxiv.org/abs/1707.05776
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel


def latent_path(keys: np.ndarray, count: int) -> np.ndarray:
    """A smooth path through given points: a Catmull-Rom spline, which passes through every key.

    E. Catmull, R. Rom: A Class of Local Interpolating Splines. Computer Aided Geometric Design, 1974.

    Args:
        keys: (..., keys, latent_size), at least two keys, taken as equally far apart in time.
        count: points on the path, at least 2; the first is the first key, the last is the last.

    Returns:
        (..., count, latent_size), in the type of `keys`, or float64 if those are whole numbers.

    Raises:
        ValueError: for fewer than two keys or points.
    """
    keys = as_array(keys, "keys")
    keys = keys if keys.dtype.kind == "f" else keys.astype(np.float64)
    if keys.ndim < 2 or keys.shape[-2] < 2:
        raise ValueError(f"keys have shape {keys.shape}, but (..., keys, latent_size) with two or more was expected.")
    check_count(count, least=2)
    last = keys.shape[-2] - 1
    time = np.linspace(0, last, count)
    segment = np.minimum(time.astype(int), last - 1)
    u = (time - segment)[:, None].astype(keys.dtype)  # (count, 1): 0 at the segment's start, 1 at its end
    ends = np.concatenate(
        [2 * keys[..., :1, :] - keys[..., 1:2, :], keys, 2 * keys[..., -1:, :] - keys[..., -2:-1, :]], axis=-2
    )
    before, start, stop, after = (ends[..., segment + shift, :] for shift in range(4))
    return start + 0.5 * u * (
        (stop - before)
        + u * (2 * before - 5 * start + 4 * stop - after)
        + u * u * (3 * (start - stop) + after - before)
    )


def smooth_codes(count: int, time: int, latent_size: int, seed: int) -> np.ndarray:
    """Codes along a smooth random path for each clip: a standard normal key every four frames.

    Returns:
        float32 (count, time, latent_size).
    """
    keys = tf.random.stateless_normal((count, max(2, time // 4), latent_size), [check_seed(seed), 0]).numpy()
    return latent_path(keys, time) if time > 1 else keys[:, :1]


@keras.saving.register_keras_serializable(package="vidgen_tf")
class DenseFrameGenerator(VideoModel):
    """Frames from codes by three dense layers, with one learned code for each frame of each training clip.

    The condition is the number of a training clip, from 0: int (count,). With one training clip it can be left
    out; else `generate` picks clips at random without it, and `fit` needs it.

    Args:
        clip_shape: (time, height, width, channels).
        clip_count: how many training clips it has codes for.
        latent_size: numbers in a code.
        hidden: units of the two hidden layers.
        seed: of the weights and of the path on which the codes start.

    Raises:
        ValueError: for a clip_shape, count, size or seed that is none.

    Attributes:
        network: `keras.Sequential`, (batch, latent_size) to (batch, height · width · channels) in [-1, 1].
        codes: the learned codes, a variable (clip_count, time, latent_size).
    """

    loss_names = ("loss", "psnr")
    conditional = True

    def __init__(self, clip_shape, clip_count=1, latent_size=100, hidden=(256, 512), seed=0, **kwargs):
        super().__init__(clip_shape, **kwargs)
        self.clip_count, self.latent_size = (
            check_count(clip_count, "clip_count"),
            check_count(latent_size, "latent_size"),
        )
        if not isinstance(hidden, (tuple, list)) or not hidden:
            raise ValueError(
                f"hidden is {hidden!r}, but the units of each hidden layer were expected, as in (256, 512)."
            )
        self.hidden, self.seed = tuple(check_count(units, "hidden") for units in hidden), check_seed(seed)
        time, *frame = self.clip_shape
        weights = keras.random.SeedGenerator(self.seed % 2**31)
        layers = [keras.Input((self.latent_size,))]
        for units in self.hidden:
            layers += [
                keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(weights)),
                keras.layers.LeakyReLU(negative_slope=0.2),
            ]
        layers += [
            keras.layers.Dense(
                int(np.prod(frame)), activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(weights)
            )
        ]
        self.network = keras.Sequential(layers, name="network")
        self.codes = self.add_weight(shape=(self.clip_count, time, self.latent_size), name="codes")
        self.codes.assign(smooth_codes(self.clip_count, time, self.latent_size, self.seed))
        self.built = True

    def get_config(self):
        return super().get_config() | {
            "clip_count": self.clip_count, "latent_size": self.latent_size, "hidden": self.hidden, "seed": self.seed,
        }  # fmt: skip

    def losses_of(self, clips, condition, training):
        """Mean squared error of the frames made from the learned codes, and the same in dB (`psnr`)."""
        if condition is None:
            self.check_alone(clips.shape[0])
            alone = tf.debugging.assert_equal(tf.shape(clips)[0], 1, "Several clips came without numbers as condition.")
            with tf.control_dependencies([alone]):  # the size of a batch may be known only in the step
                condition = tf.zeros((1,), tf.int32)
        condition = tf.cast(condition, tf.int32)
        known = tf.reduce_all((condition >= 0) & (condition < self.clip_count))
        check = tf.debugging.assert_equal(known, True, f"a condition is not a number from 0 to {self.clip_count - 1}")
        fits = tf.debugging.assert_equal(
            tf.shape(condition)[0], tf.shape(clips)[0], "a batch does not have one condition for each clip"
        )
        with tf.control_dependencies([made for made in (check, fits) if made is not None]):
            codes = tf.gather(self.codes, condition)  # (batch, time, latent_size)
        error = tf.reduce_mean(tf.square(self.frames_of(codes) - clips))
        return {"loss": error, "psnr": 10 * tf.math.log(4 / error) / tf.math.log(10.0)}

    def frames_of(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes (..., latent_size) to frames (..., height, width, channels) in one call of the network."""
        flat = self.network(tf.reshape(codes, (-1, self.latent_size)))
        return tf.reshape(flat, tf.concat([tf.shape(codes)[:-1], self.clip_shape[1:]], axis=0))

    def draw(self, count, condition, seed):
        """The frames of new `paths`, decoded in one call."""
        return self.frames_of(self.paths(count, condition, seed=seed))

    def paths(self, count: int, condition: np.ndarray | None = None, *, seed: int) -> np.ndarray:
        """New codes for whole clips, those that `generate` decodes: each is a smooth path through the codes of
        random moments of one training clip, one moment for every eight frames.

        Args:
            count: how many paths, at least 1.
            condition: the number of the training clip for each path; None picks at random.
            seed: whole number from 0.

        Returns:
            float32 (count, time, latent_size).

        Raises:
            ValueError: as `generate`.
        """
        check_count(count)
        check_seed(seed)
        condition = self.check_condition(condition, count)
        time = self.clip_shape[0]
        if condition is None:
            condition = tf.random.stateless_uniform((count,), [seed, 0], 0, self.clip_count, tf.int32).numpy()
        key_count = max(2, time // 8)
        moments = tf.random.stateless_uniform((count, key_count), [seed, 1], 0, time, tf.int32).numpy()
        keys = self.codes.numpy()[condition[:, None], moments]  # (count, key_count, latent_size)
        return latent_path(keys, time) if time > 1 else keys[:, :1]

    def check_condition(self, condition, count):
        condition = super().check_condition(condition, count)
        if condition is not None and (
            condition.ndim != 1
            or condition.dtype.kind not in "iu"
            or not ((condition >= 0) & (condition < self.clip_count)).all()
        ):
            raise ValueError(
                f"condition is {condition.tolist()!s:.60}, but whole numbers of training clips from 0 to {self.clip_count - 1} were expected."
            )
        return condition

    def check_condition_spec(self, spec):
        super().check_condition_spec(spec)
        if not (spec.dtype.is_integer and spec.shape.rank == 1):
            raise ValueError(f"The dataset's conditions are {spec}, but a whole number for each clip was expected.")

    def check_data(self, x, y=None):
        x, y = super().check_data(x, y)
        if isinstance(x, np.ndarray) and y is None:
            self.check_alone(len(x))
        elif isinstance(x, tf.data.Dataset) and isinstance(x.element_spec, tf.TensorSpec):
            self.check_alone(x.element_spec.shape[0])
        return x, y

    def check_alone(self, count: int | None) -> None:
        """Raises ValueError where clips need numbers and have none; None stands for a batch whose size is not known."""
        if self.clip_count > 1 or count not in (None, 1):
            raise ValueError(
                f"This model has codes for {self.clip_count} clip(s) and got {count} without saying which is which; "
                "give the clips' numbers as condition: fit(clips, numbers)."
            )

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Frames from codes of your own, in one call of the network.

        Args:
            codes: float (..., latent_size).

        Returns:
            float32 (..., height, width, channels) in [-1, 1].

        Raises:
            ValueError: for codes of another length, or with NaN.
        """
        codes = as_array(codes, "codes").astype(np.float32)
        if codes.ndim == 0 or codes.shape[-1] != self.latent_size or not np.isfinite(codes).all():
            raise ValueError(
                f"codes have shape {codes.shape}, but finite numbers (..., {self.latent_size}) were expected."
            )
        return self.check_finite(self.frames_of(codes).numpy())

    def encode(self, frames: np.ndarray, steps: int = 200, learning_rate: float = 0.05) -> np.ndarray:
        """The codes whose frames come nearest to given frames, found by gradient descent with the network frozen.

        Each search starts at the learned code whose frame is most alike.

        Args:
            frames: float32 (time, height, width, channels) in [-1, 1], any time.
            steps: steps of Adam.
            learning_rate: of Adam.

        Returns:
            float32 (time, latent_size).

        Raises:
            ValueError: for frames that break the convention or have another shape, or steps below 1.
        """
        frames = check_clips(frames, batch=False, name="frames")
        if frames.shape[1:] != self.clip_shape[1:]:
            raise ValueError(f"frames have shape {frames.shape}, but (time, {self.clip_shape[1:]}) was expected.")
        check_count(steps, "steps")
        learned = tf.reshape(self.codes, (-1, self.latent_size))
        remembered = tf.reshape(self.frames_of(learned), (learned.shape[0], -1))
        wanted = tf.constant(frames.reshape(len(frames), -1))
        distance = tf.reduce_sum(remembered**2, 1) - 2 * tf.matmul(wanted, remembered, transpose_b=True)
        codes = tf.Variable(tf.gather(learned, tf.argmin(distance, axis=1)))
        optimizer = keras.optimizers.Adam(learning_rate)
        optimizer.build([codes])

        @tf.function
        def step():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(codes)
                error = tf.reduce_sum(tf.reduce_mean(tf.square(self.network(codes) - wanted), axis=1))
            optimizer.apply_gradients([(tape.gradient(error, codes), codes)])

        for _ in range(steps):
            step()
        return self.check_finite(codes.numpy())
