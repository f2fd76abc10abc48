"""A small network that takes the noise out of a rendered picture: few samples then look like many.

It does not paint. For each pixel it chooses weights for its neighbours, all from 0 to 1 and 1 in all, and the result is the
weighted mean of their light. This is done in passes, each of which reaches three times as far as the one before, with gaps
between the neighbours (à trous). What tells it which neighbours belong together is free of most noise: the colour, normal and
distance of what the camera meets first. The colour of the material is divided out before and multiplied back afterwards, so
edges of patterns stay sharp. Before it has learned anything all weights are equal: it begins as a plain mean.

It learns in linear light, since the mean of noisy light is right, and that of noisy pictures is not: a picture is a curved
function of light. So that bright places do not outweigh all else, squares are divided by the square of the brightness found.

S. Bako et al.: Kernel-Predicting Convolutional Networks for Denoising Monte Carlo Renderings. SIGGRAPH 2017,
https://doi.org/10.1145/3072959.3073708
J. Lehtinen et al.: Noise2Noise: Learning Image Restoration without Clean Data. ICML 2018, https://arxiv.org/abs/1803.04189
(why pictures that are themselves still noisy will do to learn from, and the loss)
H. Dammertz et al.: Edge-Avoiding À-Trous Wavelet Transform for Fast Global Illumination Filtering. HPG 2010 (the gaps)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_seed
from vidgen_tf.quiet import keras, tf

FEATURES = 7  # color, normal, nearness
DARK = 0.02  # is added to colours by which light is divided
LEAST = 0.1  # radiance; what is darker counts as if it were as bright
GAP = 3  # pixels between the neighbours of the second pass; that of the third is its square, and so on


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Denoiser(keras.Model):
    """Learns from pairs of pictures of the same view, one with few samples and one with more.

    Args:
        width: channels of its convolutions.
        depth: how many of them, besides the last.
        reach: how many neighbours there are in each direction, in each pass.
        passes: how often neighbours are mixed; with 2 the farthest is 4 · reach pixels away.
        seed: of the first weights.

    Raises:
        ValueError: for counts that are none.
    """

    def __init__(self, width=32, depth=4, reach=2, passes=2, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.width, self.depth = check_count(width, "width"), check_count(depth, "depth")
        self.reach, self.passes = check_count(reach, "reach"), check_count(passes, "passes")
        self.seed = check_seed(seed)
        random = keras.random.SeedGenerator(self.seed % 2**31)
        start = keras.initializers.HeNormal(random)
        x = inputs = keras.Input((None, None, 3 + FEATURES))
        for layer in range(self.depth):
            new = keras.layers.Conv2D(
                self.width, 3 if layer else 5, padding="same", activation="relu", kernel_initializer=start
            )(x)
            x = new if layer == 0 else x + new
        weights = keras.layers.Conv2D(self.passes * (2 * self.reach + 1) ** 2, 1, kernel_initializer="zeros")(x)
        self.chooser = keras.Model(inputs, weights, name="chooser")
        self.built = True

    def call(self, inputs, training=False):
        """Light and features, (batch, height, width, 3 + 7), as the light without its noise, (batch, height, width, 3)."""
        return self.light_of(inputs[..., :3], inputs[..., 3:])

    def light_of(self, light, features):
        """The light without its noise, (batch, height, width, 3)."""
        color = features[..., :3]
        there = tf.reduce_sum(tf.abs(features[..., 3:6]), axis=-1, keepdims=True) > 1e-6
        color = tf.where(there, color, 1.0) + DARK
        falls = light / color  # what falls on it, whatever its colour
        chosen = self.chooser(tf.concat([tf.math.log1p(falls), features], axis=-1))
        for turn, weights in enumerate(tf.split(chosen, self.passes, axis=-1)):
            falls = self._mixed(falls, tf.nn.softmax(weights), GAP**turn)
        return falls * color

    def _mixed(self, falls, weights, gap):
        """The weighted mean of the neighbours of each pixel, (batch, height, width, 3)."""
        side, edge = 2 * self.reach + 1, gap * self.reach
        height, width = tf.shape(falls)[1], tf.shape(falls)[2]
        rows, columns = (tf.clip_by_value(tf.range(-edge, size + edge), 0, size - 1) for size in (height, width))
        wide = tf.gather(
            tf.gather(falls, rows, axis=1), columns, axis=2
        )  # beyond its edge a picture stays as it is there
        total = 0.0
        for neighbor in range(side * side):
            y, x = (gap * step for step in divmod(neighbor, side))
            total += weights[..., neighbor : neighbor + 1] * wide[:, y : y + height, x : x + width]
        return total

    def clean(self, light: np.ndarray, features: np.ndarray) -> tf.Tensor:
        """The light of pictures without its noise.

        Args:
            light: float32 (batch, height, width, 3), of `path_tracing.radiance`.
            features: float32 (batch, height, width, 7), of `path_tracing.features`.

        Returns:
            float32 (batch, height, width, 3).

        Raises:
            ValueError: for other shapes.
        """
        light, features = as_array(light, "light"), as_array(features, "features")
        if light.ndim != 4 or light.shape[3] != 3 or features.shape != (*light.shape[:3], FEATURES):
            raise ValueError(
                f"light of shape {light.shape} and features of {features.shape} came, but (batch, height, width, 3) and "
                f"(batch, height, width, {FEATURES}) were expected."
            )
        _check_light(light, "light")
        _check_light(features, "features", None)
        return self._compiled(tf.constant(light, tf.float32), tf.constant(features, tf.float32))

    @tf.function(reduce_retracing=True)
    def _compiled(self, light, features):
        return self.light_of(light, features)

    def pairs(self, light, features, more, batch_size: int = 8) -> tf.data.Dataset:
        """An endless dataset for `fit`: batches of (light and features, light with more samples), mirrored by chance.

        Args:
            light: float32 (pictures, height, width, 3), with few samples.
            features: float32 (pictures, height, width, 7).
            more: light of the same views with more samples and other random numbers.
            batch_size: pictures in a batch.

        Raises:
            ValueError: for other shapes, no pictures, NaN, infinity, and light below 0.
        """
        light, features, more = (
            as_array(values, name) for values, name in ((light, "light"), (features, "features"), (more, "more"))
        )
        shape = light.shape
        fits = len(shape) == 4 and 0 not in shape and shape[3] == 3
        if not fits or features.shape != (*shape[:3], FEATURES) or more.shape != shape:
            raise ValueError(
                f"light {light.shape}, features {features.shape} and more {more.shape} came, but (pictures, height, width, 3), "
                f"(…, {FEATURES}) and (…, 3) of the same pictures, at least one, were expected."
            )
        _check_light(light, "light")
        _check_light(features, "features", None)
        _check_light(more, "more")
        light, features, more = (tf.constant(values, tf.float32) for values in (light, features, more))
        data = tf.data.Dataset.from_tensor_slices((tf.concat([light, features], axis=-1), more))
        data = data.shuffle(len(light), seed=self.seed).repeat().batch(check_count(batch_size, "batch_size"))
        flips = tf.data.Dataset.random(seed=self.seed)
        return tf.data.Dataset.zip(data, flips).map(_mirrored).prefetch(2)

    def fit(self, *args, **kwargs):
        """`keras.Model.fit`; ValueError where the loss has become NaN or infinite."""
        history = super().fit(*args, **kwargs)
        if not np.isfinite(history.history.get("loss", 0)).all():
            raise ValueError(
                "The loss became NaN or infinite, so the weights are broken; look at the data, build the denoiser anew, "
                "and try a smaller learning rate."
            )
        return history

    def get_config(self):
        names = ("width", "depth", "reach", "passes", "seed", "name")
        return {name: getattr(self, name) for name in names}


def _check_light(values: np.ndarray, name: str, least: float | None = 0) -> None:
    """ValueError for NaN, infinity, and what is below `least`."""
    if not np.isfinite(values).all() or (least is not None and values.min(initial=0) < least):
        below = "" if least is None else f" from {least}"
        raise ValueError(
            f"{name} has NaN, infinity or too small values in it, but finite numbers{below} were expected."
        )


@keras.saving.register_keras_serializable(package="vidgen_tf")
def relative_squares(more, found):
    """The loss: squared differences of light, divided by the square of the brightness found (Lehtinen et al. 2018).

    The divisor counts as a fixed number, so what is best is the mean of noisy light, neither brighter nor darker.

    Args:
        more: light with more samples, which may still be noisy, of any shape.
        found: light without noise, of the same shape.

    Returns:
        A number for each pixel, the mean over its colours.
    """
    brightness = tf.stop_gradient(found) + LEAST
    return tf.reduce_mean(tf.square((found - more) / brightness), axis=-1)


def _mirrored(pair, dice):
    """Both pictures of a pair with left and right, and with top and bottom, swapped or not. Normals are swapped in place with
    their pixels; their signs stay."""
    for axes, bit in (((2,), 1), ((1,), 2)):
        swap = (dice // bit) % 2 == 0
        pair = tuple(tf.cond(swap, lambda p=p, a=axes: tf.reverse(p, a), lambda p=p: p) for p in pair)
    return pair
