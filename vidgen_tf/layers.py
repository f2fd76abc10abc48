"""Blocks that several networks use: warping (`bilinear`, `Place`, `Warp`), where something is (`soft_argmax`), and small
ones (`leaky`, `spread`, `pooled`, `joined`, `folded`, `unfolded`).

To warp is to let each point of a new frame look up its colour in a given picture.

Points are (x, y) in pixels, x to the right and y down; the centre of the first pixel is (0, 0). Between pixels colours
are mixed linearly, so a warp has a slope by where it looks: a network can learn where to move things.

M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu: Spatial Transformer Networks. NeurIPS 2015,
https://arxiv.org/abs/1506.02025
S. Levine, C. Finn, T. Darrell, P. Abbeel: End-to-End Training of Deep Visuomotor Policies. JMLR 17 (2016),
https://arxiv.org/abs/1504.00702 (the soft argmax)
"""

import numpy as np

from vidgen_tf.quiet import keras, tf

SHARPNESS = 4.0  # of the softmax in `soft_argmax`


def bilinear(pictures: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """The values of pictures at points between pixels; beyond their border they fade to 0 within one pixel.

    Args:
        pictures: (batch, height, width, channels).
        points: (batch, points, 2), each (x, y) in pixels.

    Returns:
        (batch, points, channels).

    Raises:
        ValueError: for other numbers of axes.
    """
    if len(pictures.shape) != 4 or len(points.shape) != 3 or points.shape[-1] != 2:
        raise ValueError(
            f"pictures {tuple(pictures.shape)} and points {tuple(points.shape)} came, but (batch, height, width, channels) "
            "and (batch, points, 2) were expected."
        )
    batch, height, width, channels = (tf.shape(pictures)[0], *pictures.shape[1:])
    bordered = tf.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)))
    # Each pixel beside its neighbours to the right, below, and below to the right: one look-up finds all four.
    four = [bordered[:, i : height + 1 + i, j : width + 1 + j] for i in (0, 1) for j in (0, 1)]
    four = tf.reshape(tf.concat(four, axis=-1), (batch, (height + 1) * (width + 1), 4 * channels))
    x, y = tf.split(points, 2, axis=-1)  # the slope of a split is cheaper than that of two slices
    x, y = tf.clip_by_value(x + 1, 0.0, width + 1.0), tf.clip_by_value(y + 1, 0.0, height + 1.0)
    column, row = tf.minimum(tf.floor(x), width), tf.minimum(tf.floor(y), height)
    to_right, down = x - column, y - row  # shares of the neighbour to the right, and below
    index = tf.cast(row * (width + 1) + column, tf.int32)[..., 0]
    index = tf.clip_by_value(index, 0, (height + 1) * (width + 1) - 1)  # a point that is NaN has values that are NaN
    found = tf.gather(four, index, batch_dims=1)
    above, below = tf.split(found, 2, axis=-1)
    left, right = tf.split(above * (1 - down) + below * down, 2, axis=-1)
    return left * (1 - to_right) + right * to_right


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Place(keras.layers.Layer):
    """Puts a sheet into each frame, moved, sized and turned: the similarity transforms of a spatial transformer.

    Called with sheets (batch, height, width, channels) and poses (batch, time, 4), it returns frames
    (batch, time, height, width, channels). A pose is (x, y, log size, angle): where the sheet's centre lies, in halves
    of the frame's longer side from its middle; how large it is, 0 for as large as the frame; and its turn in radians,
    clockwise on the screen.

    Raises:
        ValueError: for other numbers of axes.
    """

    def __call__(self, sheets, poses, **options):  # what `call` raises, Keras would wrap into many lines
        if len(sheets.shape) != 4 or len(poses.shape) != 3 or poses.shape[-1] != 4:
            raise ValueError(
                f"sheets {tuple(sheets.shape)} and poses {tuple(poses.shape)} came, but (batch, height, width, channels) "
                "and (batch, time, 4) were expected."
            )
        return super().__call__(sheets, poses, **options)

    def call(self, sheets, poses):
        height, width, channels = sheets.shape[1:]
        time, unit = poses.shape[1], max(height, width) / 2
        y, x = tf.meshgrid(tf.range(height, dtype=sheets.dtype), tf.range(width, dtype=sheets.dtype), indexing="ij")
        middle = ((width - 1) / 2, (height - 1) / 2)
        x, y = (tf.reshape((side - half) / unit, (1, 1, -1)) for side, half in zip((x, y), middle, strict=True))
        left, top, size, angle = tf.split(poses, 4, axis=-1)
        x, y = x - left, y - top  # (batch, time, height · width)
        size, cosine, sine = tf.exp(size), tf.cos(angle), tf.sin(angle)
        looked_up = tf.stack(
            [(cosine * x + sine * y) / size * unit + middle[0], (cosine * y - sine * x) / size * unit + middle[1]],
            axis=-1,
        )
        values = bilinear(sheets, tf.reshape(looked_up, (-1, time * height * width, 2)))
        return tf.reshape(values, (-1, time, height, width, channels))

    def compute_output_spec(self, sheets, poses):
        return keras.KerasTensor((sheets.shape[0], poses.shape[1], *sheets.shape[1:]), sheets.dtype)


def comes_from(flow):
    """Where each pixel comes from along a flow (batch, height, width, 2): points (x, y) in pixels, of the same shape."""
    x, y = np.meshgrid(np.arange(flow.shape[2], dtype="float32"), np.arange(flow.shape[1], dtype="float32"))
    return keras.ops.subtract(np.stack([x, y], axis=-1), flow)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Warp(keras.layers.Layer):
    """Moves pictures along an optical flow: each pixel looks up where it comes from.

    Called with pictures (batch, height, width, channels) and flow (batch, height, width, 2) in pixels, it returns pictures
    of the same shape. What is at (x, y) in them was at (x, y) - flow in the given ones, as in `metrics.warping_error`; from
    beyond the border comes what is at the border. Both have slopes: a network can learn where things move.

    Raises:
        ValueError: for other numbers of axes, or sizes that differ.
    """

    def __call__(self, pictures, flow, **options):  # what `call` raises, Keras would wrap into many lines
        sizes = [tuple(getattr(given, "shape", ())) for given in (pictures, flow)]
        counts = {size[0] for size in sizes if size} - {None}
        if len(sizes[0]) != 4 or sizes[1][1:] != (*sizes[0][1:3], 2) or len(counts) > 1 or 0 in sizes[0][1:]:
            raise ValueError(
                f"pictures {sizes[0]} and flow {sizes[1]} came, but (batch, height, width, channels) and "
                "(batch, height, width, 2) were expected, of as many pictures."
            )
        return super().__call__(pictures, flow, **options)

    def call(self, pictures, flow):
        height, width, channels = pictures.shape[1:]
        points = tf.clip_by_value(comes_from(flow), 0.0, np.array([width - 1, height - 1], "float32"))
        values = bilinear(pictures, tf.reshape(points, (-1, height * width, 2)))
        return tf.reshape(values, (-1, height, width, channels))

    def compute_output_spec(self, pictures, flow):
        return keras.KerasTensor(pictures.shape, pictures.dtype)


def soft_argmax(maps: tf.Tensor) -> tf.Tensor:
    """Where in a picture each of its channels is strongest: the mean place under a softmax over all places, so that
    there is a slope to follow.

    Args:
        maps: (batch, height, width, channels).

    Returns:
        (batch, 2 · channels): x and y of the first channel, of the second, …; -1 is the left or upper border, 1 the
        right or lower one.
    """
    height, width, channels = maps.shape[1:]
    y, x = (np.linspace(-1, 1, side, dtype="float32") for side in (height, width))
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)  # (height · width, xy)
    shares = keras.ops.softmax(SHARPNESS * keras.ops.reshape(maps, (-1, height * width, channels)), axis=1)
    return keras.ops.reshape(keras.ops.einsum("bpc,pk->bck", shares, places), (-1, 2 * channels))


def leaky(x):
    """Leaky ReLU of a tensor of any shape: values below 0 are a fifth of what they were."""
    return keras.layers.LeakyReLU(negative_slope=0.2)(x)


def spread(x, deviations, center=False):
    """Normalised over the batch, so that clips differ from the first step on: a network cannot hide an object that it
    still paints badly in a corner of all clips, nor give all the same background, nor move them all one way.

    Args:
        x: (batch, …, channels); each channel gets the mean 0 over all other axes.
        deviations: that each channel starts with, and may learn to change; a number or (channels,).
        center: whether another mean may be learned.
    """
    gamma = lambda shape, dtype=None: keras.ops.cast(keras.ops.broadcast_to(deviations, shape), dtype)  # noqa: E731
    return keras.layers.BatchNormalization(momentum=0.9, center=center, gamma_initializer=gamma)(x)


def pooled(x):
    """The largest and the mean value of each channel, over height and width: (…, height, width, channels) to
    (…, 2 · channels)."""
    return keras.ops.concatenate([keras.ops.max(x, axis=(-3, -2)), keras.ops.mean(x, axis=(-3, -2))], axis=-1)


def joined(vectors: list):
    """Vectors (…, n), (…, m), … side by side, (…, n + m + …); one alone is itself."""
    return keras.ops.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]


def folded(x, block: tuple[int, int, int]):
    """Blocks of pixels to channels: (batch, time, height, width, channels) to (batch, time / a, height / b, width / c,
    a · b · c · channels) for a block of (a, b, c)."""
    (time, height, width, channels), (a, b, c) = x.shape[1:], block
    x = keras.ops.reshape(x, (-1, time // a, a, height // b, b, width // c, c, channels))
    x = keras.ops.transpose(x, (0, 1, 3, 5, 2, 4, 6, 7))
    return keras.ops.reshape(x, (-1, time // a, height // b, width // c, a * b * c * channels))


def beside_in_time(x, reach: int = 2):
    """Each frame together with those up to `reach` before and after it, zeros beyond the ends: (batch, time, height, width,
    channels) to (batch, time, height, width, (2 · reach + 1) · channels). A dense layer on that is a convolution over time."""
    time = x.shape[1]
    x = keras.ops.pad(x, [(0, 0), (reach, reach), (0, 0), (0, 0), (0, 0)])
    return keras.ops.concatenate([x[:, first : first + time] for first in range(2 * reach + 1)], axis=-1)


def unfolded(x, block: tuple[int, int, int]):
    """Channels to blocks of pixels: what `folded` takes apart."""
    (time, height, width, values), (a, b, c) = x.shape[1:], block
    channels = values // (a * b * c)
    x = keras.ops.reshape(x, (-1, time, height, width, a, b, c, channels))
    x = keras.ops.transpose(x, (0, 1, 4, 2, 5, 3, 6, 7))
    return keras.ops.reshape(x, (-1, time * a, height * b, width * c, channels))
