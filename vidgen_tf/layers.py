"""Layers that several families use. Warping: each point of a new frame looks up its colour in a given picture.

Points are (x, y) in pixels, x to the right and y down; the centre of the first pixel is (0, 0). Between pixels colours
are mixed linearly, so a warp has a slope by where it looks: a network can learn where to move things.

M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu: Spatial Transformer Networks. NeurIPS 2015,
https://arxiv.org/abs/1506.02025
"""

from vidgen_tf.quiet import keras, tf


def bilinear(pictures: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """The values of pictures at points between pixels; beyond their border they fade to 0 within one pixel.

    Args:
        pictures: (batch, height, width, channels).
        points: (batch, points, 2), each (x, y) in pixels.

    Returns:
        (batch, points, channels).
    """
    batch, height, width, channels = (tf.shape(pictures)[0], *pictures.shape[1:])
    wide = width + 2  # with a border of zeros
    flat = tf.reshape(tf.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0))), (batch, (height + 2) * wide, channels))
    x = tf.clip_by_value(points[..., 0] + 1, 0.0, width + 1.0)
    y = tf.clip_by_value(points[..., 1] + 1, 0.0, height + 1.0)
    left, top = tf.minimum(tf.floor(x), width), tf.minimum(tf.floor(y), height)
    right, down = (x - left)[..., None], (y - top)[..., None]  # shares of the neighbour to the right, and below
    corner = tf.cast(top * wide + left, tf.int32)
    value = lambda step: tf.gather(flat, corner + step, batch_dims=1)  # noqa: E731
    above = value(0) * (1 - right) + value(1) * right
    below = value(wide) * (1 - right) + value(wide + 1) * right
    return above * (1 - down) + below * down


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Place(keras.layers.Layer):
    """Puts a sheet into each frame, moved, sized and turned: the similarity transforms of a spatial transformer.

    Called with sheets (batch, height, width, channels) and poses (batch, time, 4), it returns frames
    (batch, time, height, width, channels). A pose is (x, y, log size, angle): where the sheet's centre lies, in halves
    of the frame's longer side from its middle; how large it is, 0 for as large as the frame; and its turn in radians,
    clockwise on the screen.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def call(self, sheets, poses):
        height, width, channels = sheets.shape[1:]
        time, unit = poses.shape[1], max(height, width) / 2
        y, x = tf.meshgrid(tf.range(height, dtype=sheets.dtype), tf.range(width, dtype=sheets.dtype), indexing="ij")
        middle = ((width - 1) / 2, (height - 1) / 2)
        x, y = (tf.reshape((side - half) / unit, (1, 1, -1)) for side, half in zip((x, y), middle, strict=True))
        x, y = x - poses[..., 0:1], y - poses[..., 1:2]  # (batch, time, height · width)
        size, cosine, sine = tf.exp(poses[..., 2:3]), tf.cos(poses[..., 3:4]), tf.sin(poses[..., 3:4])
        looked_up = tf.stack(
            [(cosine * x + sine * y) / size * unit + middle[0], (cosine * y - sine * x) / size * unit + middle[1]],
            axis=-1,
        )
        values = bilinear(sheets, tf.reshape(looked_up, (-1, time * height * width, 2)))
        return tf.reshape(values, (-1, time, height, width, channels))

    def compute_output_spec(self, sheets, poses):
        return keras.KerasTensor((sheets.shape[0], poses.shape[1], *sheets.shape[1:]), sheets.dtype)
