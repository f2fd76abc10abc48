"""A GAN whose clips are moved rather than painted: one picture, and the optical flow that carries it from frame to frame.

What is at a pixel x mostly was somewhere else a moment ago. So a network makes a *flow*, pixels per frame, for each later
frame, and pixels look up where they come from; only what could not be seen before is painted:

    frame[t](x) = mask[t](x) · frame[t-1](x - flow[t](x)) + (1 - mask[t](x)) · residual[t](x)

A texture is so painted once, and moves as one thing does; a network that paints each frame has to learn that it stays.
Where things go is learned from clips alone, since a discriminator sees whether they move as real ones do. How far they go,
and how much is moved rather than painted, starts near what real clips need.

C. Vondrick, A. Torralba: Generating the Future with Adversarial Transformers. CVPR 2017
X. Liang, L. Lee, W. Dai, E. Xing: Dual Motion GAN for Future-Flow Embedded Video Prediction. ICCV 2017,
https://arxiv.org/abs/1708.00284
K. Ohnishi, S. Yamamoto, Y. Ushiku, T. Harada: Hierarchical Video Generation from Orthogonal Information: Optical Flow and
Texture (FTGAN). AAAI 2018, https://arxiv.org/abs/1711.09618
Z. Hao, X. Huang, S. Belongie: Controllable Video Generation with Sparse Trajectories. CVPR 2018 (copied pixels, and others
that are painted where nothing can be copied)
S. Tulyakov, M.-Y. Liu, X. Yang, J. Kautz: MoCoGAN: Decomposing Motion and Content for Video Generation. CVPR 2018,
https://arxiv.org/abs/1707.04993 (the two kinds of noise)
"""

import numpy as np

from vidgen_tf.adversarial import LOOKS, ContentMotionModel
from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.layers import Warp, comes_from, leaky, spread
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import draw_seed

COARSE = 4  # pixels of a frame, along each side, for one place of the grid on which flows differ
START_SPEED = 0.4  # before training, as a share of the farthest: nobody learns from clips that stand still
REST = 0.3  # headings much shorter than this are at rest
STEADY = 2.0  # before training, how much larger the part of a heading is that lasts than the part that changes
START_MASK = 4.0  # the mask's logit before training: 98 % is moved, for what is painted anew need not learn to move


def _inside(flow):
    """1 for pixels that come from inside of the frame, and falling to 0 where they come from a pixel beyond its border:
    (batch, height, width, 1)."""
    ops, (height, width) = keras.ops, flow.shape[1:3]
    points, last = comes_from(flow), np.array([width - 1, height - 1], "float32")
    along_x, along_y = ops.split(ops.relu(1 - ops.relu(-points) - ops.relu(points - last)), 2, axis=-1)
    return along_x * along_y


def _shortened(arrows):
    """Arrows (…, 2) in the same directions, none as long as 1, and most nearly so: how fast things are is the speed's.
    Squashed along each axis instead, they gather on a square; by tanh of their length, speeds tremble."""
    return arrows / keras.ops.sqrt(keras.ops.sum(arrows**2, axis=-1, keepdims=True) + REST**2)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class FlowWarpGAN(ContentMotionModel):
    """A GAN whose clips are one painted picture, moved from frame to frame along a flow that it makes.

    From content noise (batch, content_size) transposed convolutions paint the first frame. A recurrent network makes the
    motion latents of all frames from noise (batch, time + 1, motion_size). From these comes each frame's *heading*, which
    a speed multiplies that is one for the clip; a look at the frame before, in blocks of 4 × 4 pixels, makes headings differ
    from place to place. That is the flow. A second network looks at the frame so moved and says how much of it holds
    (the mask) and what is to be painted in its place (the residual). From beyond the border nothing can be moved in: there
    the mask is 0.

    The discriminator has two opinions: of the clip, by convolutions over time and place, and of four of its frames, one by
    one. Clips are drawn with weights averaged over the steps. It takes no condition.

    Args:
        clip_shape: (time, height, width, channels), at least 2 frames.
        farthest: pixels that nothing moves farther than from a frame to the next, above 0.
        width: channels of the widest pictures; deeper ones have up to four times as many.
        content_size, motion_size: numbers of noise for a clip and for a frame.
        loss, penalty, penalty_share, patience, seed: as in `AdversarialModel`.
        average: how much of the averaged weights is kept in a step at most, from 0 (none) to below 1; in the first
            steps less, step / (step + 10).

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(
        self, clip_shape, farthest=4.0, width=32, content_size=64, motion_size=8, loss="relativistic", penalty=0.2,
        penalty_share=0.25, average=0.998, patience=500, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(
            clip_shape, width, content_size, motion_size, average, loss=loss, penalty=penalty, penalty_share=penalty_share,
            patience=patience, seed=seed, **kwargs,
        )  # fmt: skip
        if self.clip_shape[0] < 2:
            raise ValueError(f"clip_shape is {self.clip_shape}, but at least 2 frames were expected: one cannot move.")
        self.farthest = check_number(farthest, "farthest")
        if not self.farthest:
            raise ValueError("farthest is 0, so nothing could move; pixels a frame above 0 were expected, such as 4.")
        self._networks()

    # The networks.

    def _generator(self, name) -> keras.Model:
        """Content and motion noise to the parts of clips; the model inside that moves pictures is called "mover"."""
        content, motion = keras.Input((self.content_size,)), keras.Input((self.clip_shape[0] + 1, self.motion_size))
        first = keras.ops.tanh(self._paint(content, self.clip_shape[-1], 0.05))
        return keras.Model([content, motion], self._mover()([first, motion]), name=name)

    def _mover(self) -> keras.Model:
        """First frames (batch, height, width, channels) and motion noise to the parts of clips."""
        ops, time = keras.ops, self.clip_shape[0]
        first, motion = keras.Input(self.clip_shape[1:]), keras.Input((time + 1, self.motion_size))
        repeat = keras.layers.RepeatVector(time)
        _, path, lasting = self._latents(motion, [], repeat)
        # A speed, one for the clip, times headings that are normalised: else motion is switched off in all clips early on.
        bias = keras.initializers.Constant(float(np.log(START_SPEED / (1 - START_SPEED))))
        speed = keras.layers.Dense(1, "sigmoid", kernel_initializer=self._normal(0.05), bias_initializer=bias)(lasting)
        speed = self.farthest * speed[:, None, None]
        # Most things keep their way: a part of the heading lasts.
        heading = spread(self._dense(path, 2) + STEADY * repeat(self._dense(lasting, 2)), 1.0)

        warp, bend, mend = Warp(), self._heading_of_places(path.shape[-1]), self._mask_and_residual(path.shape[-1])
        parts = {"clips": [first], "flow": [], "mask": [], "residual": []}
        # A frame is the first one, looked up once where the flows so far lead to (`way`), as far as it is still seen; and
        # what has been painted since. To look up each frame in the frame before would blur it more and more.
        seen, painted = ops.ones_like(first[..., :1]), ops.zeros_like(first)
        way = ops.concatenate([ops.zeros_like(seen)] * 2, axis=-1)
        for t in range(1, time):
            flow = speed * _shortened(bend([parts["clips"][-1], path[:, t]]) + heading[:, t, None, None])
            way, seen, painted = ops.split(warp(ops.concatenate([way, seen, painted], axis=-1), flow), [2, 3], axis=-1)
            way = way + flow
            moved, inside = seen * warp(first, way) + painted, _inside(flow)
            # Were the mask free there, what lies at the border would be smeared in.
            mask, residual = mend([moved, inside, path[:, t]])
            mask = mask * inside
            seen, painted = mask * seen, mask * painted + (1 - mask) * residual
            made = (mask * moved + (1 - mask) * residual, flow, mask[..., 0], residual)
            for name, part in zip(parts, made, strict=True):
                parts[name].append(part)
        return keras.Model(
            [first, motion], {name: ops.stack(part, axis=1) for name, part in parts.items()}, name="mover"
        )

    def _heading_of_places(self, size: int) -> keras.Model:
        """A frame and a motion latent (batch, size) to what is added to the heading, (batch, height, width, 2)."""
        frame, latent = keras.Input(self.clip_shape[1:]), keras.Input((size,))
        (height, width), channels = self.clip_shape[1:3], max(1, self.width // 2)
        x = keras.layers.AveragePooling2D(COARSE, padding="same")(frame)
        x = self._conv(x, channels, 3) + self._dense(latent, channels)[:, None, None]
        x = self._conv(leaky(x), channels, 3)
        x = keras.layers.Conv2D(2, 3, padding="same", kernel_initializer=self._normal(0.02))(x)
        x = keras.ops.image.resize(x, [COARSE * side for side in x.shape[1:3]], "bilinear")
        return keras.Model([frame, latent], x[:, :height, :width])

    def _mask_and_residual(self, size: int) -> keras.Model:
        """A moved frame, where it comes from inside, and a motion latent (batch, size) to the mask (batch, height, width, 1)
        and the residual (batch, height, width, channels)."""
        ops, layers, channels = keras.ops, keras.layers, max(1, self.width // 2)
        moved, latent = keras.Input(self.clip_shape[1:]), keras.Input((size,))
        inside = keras.Input((*self.clip_shape[1:3], 1))
        half = self._conv(ops.concatenate([moved, inside], axis=-1), channels, 4, 2)
        x = self._conv(half, 2 * channels, 4, 2) + self._dense(latent, 2 * channels)[:, None, None]
        x, he = self._conv(leaky(x), 2 * channels, 3), keras.initializers.HeNormal(self.random)
        x = leaky(layers.Conv2DTranspose(channels, 4, 2, "same", kernel_initializer=he)(x))
        x = ops.concatenate([x[:, : half.shape[1], : half.shape[2]], half], axis=-1)
        x = layers.Conv2DTranspose(
            1 + self.clip_shape[3], 4, 2, "same", kernel_initializer=self._normal(0.02)
        )(x)[:, : self.clip_shape[1], : self.clip_shape[2]]  # fmt: skip
        mask, residual = ops.split(x, [1], axis=-1)
        return keras.Model([moved, inside, latent], [ops.sigmoid(mask + START_MASK), ops.tanh(residual)])

    def _discriminator(self) -> keras.Model:
        """Clips (batch, *clip_shape) and some of their frames (batch, LOOKS, …) to logits of the clips (batch,) and of the
        frames (batch, LOOKS)."""
        clips, looks = keras.Input(self.clip_shape), keras.Input((min(LOOKS, self.clip_shape[0]), *self.clip_shape[1:]))
        opinions = []
        for x, first in ((clips, (3, 4, 4)), (keras.ops.reshape(looks, (-1, *self.clip_shape[1:])), (4, 4))):
            strides = (1, 2, 2) if len(first) == 3 else 2  # of the clip every frame is seen before any is passed over
            x = self._conv(x, max(1, self.width // 2), first, strides)
            for level in range(1, self.halvings):
                x = self._conv(x, self.width * 2 ** min(level - 1, 2), 4, 2)
            x, he = leaky(self._dense(keras.layers.Flatten()(x), 256)), keras.initializers.HeNormal(self.random)
            x = keras.layers.Dense(1, use_bias=self.loss_kind == "classic", kernel_initializer=he)(x)
            opinions.append(x)
        clip, frames = opinions
        return keras.Model(
            [clips, looks], [clip[:, 0], keras.ops.reshape(frames, (-1, looks.shape[1]))], name="discriminator"
        )

    # Training.

    def get_config(self):
        return super().get_config() | {"farthest": self.farthest}

    def make(self, noise, condition, training):
        return self.generator(list(noise), training=training)["clips"]

    def rate(self, clips, condition, training):
        """Opinions of clips (batch,) and of up to four of their frames (batch, frames), at the same times in all of a step."""
        clips = tf.convert_to_tensor(clips)
        opinions = self.discriminator([clips, tf.gather(clips, self.looks(), axis=1)], training=training)
        return opinions, tf.zeros((tf.shape(clips)[0], 0))

    # Making clips.

    def draw(self, count, condition, seed):
        return self.parts(*self.noise(count, draw_seed(seed)))["clips"]

    def parts(self, content, motion) -> dict[str, np.ndarray]:
        """Clips from noise of your own, so that content and motion can come from different clips, and how they were made.

        Args:
            content: (count, content_size), standard normal.
            motion: (count, time + 1, motion_size), standard normal.

        Returns:
            All float32: `clips` (count, time, height, width, channels), values in [-1, 1]; `flow` (count, time - 1, height,
            width, 2), pixels per frame: what is at (x, y) in frame t + 1 was at (x, y) - flow[t] in frame t, as in
            `warping_error`; `mask` (count, time - 1, height, width), from 0 (painted) to 1 (moved); and `residual`
            (count, time - 1, height, width, channels), what is painted where the mask is 0.

        Raises:
            ValueError: for noise of other shapes.
        """
        return self.in_batches(self.averaged, self.check_noise(content, motion))

    def animate(self, picture: np.ndarray, count: int = 1, *, seed: int) -> np.ndarray:
        """Clips that begin with a given picture, moved by flows that the model makes: of those motions that it has learned.

        Args:
            picture: float32 (height, width, channels), values in [-1, 1].
            count: how many clips, each moved in another way.
            seed: whole number from 0; the motion noise is that of `generate` with the same count and seed.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1]; the first frame is the picture.

        Raises:
            ValueError: for a picture of another shape, type or range, a count below 1, a seed that is no whole number.
        """
        picture = as_array(picture, "picture")
        if picture.shape != self.clip_shape[1:]:
            raise ValueError(
                f"picture has shape {picture.shape}, but {self.clip_shape[1:]} was expected; cut or resize it."
            )
        check_clips(picture[None], batch=False, name="picture")
        check_values((check_count(count), *self.clip_shape), "the clips")
        _, motion = self.noise(count, draw_seed(check_seed(seed)))
        pictures = tf.repeat(tf.constant(picture[None]), count, axis=0)
        return np.clip(self.in_batches(self.averaged.get_layer("mover"), [pictures, motion])["clips"], -1, 1)
