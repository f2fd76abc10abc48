"""A sketch says where: a small network beside a model of clips that is already trained and stays as it is.

The model knows words, but nobody can say with words where exactly a thing shall be. There are two ways to let it see a drawing, as the
region that its lines enclose.

`SketchAdapter` is a branch that adds what it found to the tokens of the model, in each of its blocks:

    tokens ← tokens + attention(tokens) + control,    control = adapter(region, words)

The last layer of the branch starts at zero, so before training the model makes the clips that it always made, and what it knows
is never lost: only the branch is trained, with the model's own loss. It learns to read much sooner if it is also asked to guess
the clip, all by itself, for what it needs to know for that is what the model needs to hear:

    loss = loss of the diffusion + mean (guess - clip)²

A guess is the mean of all clips that fit, so it is a blur, and nobody is shown it.

`SketchPainter` speaks the language that the model already knows: it colours the drawing as the words say, and the model is told
the first frame of the clip, as it was in its own training. What is painted stays in the model's latents after each step
(`keep="latents"` of `Diffusion.generate`). The painter needs no pass through the model to learn:

    loss = mean |painted - first frame|

No drawings are needed to learn from, for either. In training the region is that of the clip's first frame where something is, and it
is bent a little, as by a hand that is not quite sure.

L. Zhang, A. Rao, M. Agrawala: Adding Conditional Control to Text-to-Image Diffusion Models (ControlNet). ICCV 2023,
https://arxiv.org/abs/2302.05543 (a frozen model, and layers that start at zero)
C. Mou et al.: T2I-Adapter: Learning Adapters to Dig out More Controllable Ability for Text-to-Image Diffusion Models.
AAAI 2024, https://arxiv.org/abs/2302.08453 (the branch sees neither noise nor time, so it runs once for each clip)
"""

import math

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_number, check_seed, check_values
from vidgen_tf.layers import Warp, folded
from vidgen_tf.quiet import keras, tf
from vidgen_tf.text import attend, positions
from vidgen_tf.video_model import VideoModel, batches, draw_seed, known_frames

FAINT = 0.3  # what differs less from the ground is ground
BENDS = 4  # places in a row, and in a column, that a hand goes astray at; between them it goes astray smoothly


class _Sketch(VideoModel):
    """What adapter and painter share: a `Diffusion` that stays as it is, and regions."""

    fixed = ("diffusion",)

    def __init__(self, clip_shape, diffusion, width, blocks, heads, wobble, seed, **kwargs):
        super().__init__(clip_shape, **kwargs)
        if isinstance(diffusion, dict):
            diffusion = keras.saving.deserialize_keras_object(diffusion)
        if not hasattr(diffusion, "control_shape") or diffusion.clip_shape != self.clip_shape:
            raise ValueError(
                f"diffusion is {diffusion!r:.60}, but a trained Diffusion of clips of the shape {self.clip_shape} was expected."
            )
        self.diffusion = diffusion
        self.vocabulary, self.conditional = diffusion.vocabulary, diffusion.conditional
        self.width, self.blocks = check_count(width, "width", least=2), check_count(blocks, "blocks")
        self.heads = check_count(heads, "heads")
        if self.width % self.heads:
            raise ValueError(f"heads is {heads}, which does not divide the width {width}; give one that does.")
        self.wobble, self.seed = check_number(wobble, "wobble"), check_seed(seed)
        check_values((9 * self.width, self.width), "a layer")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.warp = Warp()

    def _start(self) -> tuple:
        """The inputs of a network, the region with the place of each pixel beside it, and how dense layers and convolutions are
        made."""
        layers, ops = keras.layers, keras.ops
        glorot, he = keras.initializers.GlorotUniform(self.random), keras.initializers.HeNormal(self.random)
        dense = lambda units, **more: layers.Dense(units, kernel_initializer=glorot, **more)  # noqa: E731
        conv = lambda x, *shape: layers.Conv2D(self.width // 2, *shape, padding="same", kernel_initializer=he)(x)  # noqa: E731
        height, sides = self.clip_shape[1:3]
        inputs = {"region": keras.Input((height, sides, 1), name="region")}
        if self.vocabulary is not None:
            inputs["read"] = keras.Input((self.vocabulary.columns, self.diffusion.width), name="read")
        y, x = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in (height, sides)), indexing="ij")
        here = ops.zeros_like(inputs["region"]) + np.stack([x, y], axis=-1)  # so that a mean over cells is a place
        return inputs, ops.concatenate([inputs["region"], here], axis=-1), dense, conv

    def _look(self, tokens, others, dense):
        """What tokens take from others, by attention."""
        ops, norm, size = keras.ops, keras.layers.LayerNormalization, self.width
        split = lambda x: ops.reshape(x, (-1, x.shape[1], self.heads, size // self.heads))  # noqa: E731
        found = ops.dot_product_attention(*(split(dense(size)(part)) for part in (norm()(tokens), others, others)))
        return dense(size)(ops.reshape(found, (-1, tokens.shape[1], size)))

    # Training.

    def bent(self, frames, seed):
        """Frames (batch, height, width, channels) as a hand would draw them that is not quite sure, by chance from a seed such as
        `step_seed`."""
        if not self.wobble:
            return frames
        astray = self.wobble * tf.random.stateless_normal((tf.shape(frames)[0], BENDS, BENDS, 2), seed)
        return self.warp(frames, keras.ops.image.resize(astray, self.clip_shape[1:3]))

    def regions_of(self, clips, seed=None):
        """Where something is in the first frames of clips: (batch, height, width, 1) from 0, the ground, to 1.

        The ground is the colour in the middle of all. How much of a pixel is covered shows beside the most that differs from
        the ground nearby. With a seed, such as `step_seed`, the region is bent as by a hand that draws.
        """
        ops = keras.ops
        first = clips[:, 0]
        apart = ops.max(ops.abs(first - ops.median(first, axis=(1, 2), keepdims=True)), axis=-1, keepdims=True)
        region = apart / ops.maximum(ops.max_pool(apart, 5, 1, "same"), FAINT)
        return region if seed is None else self.bent(region, seed)

    def numbers_of(self, condition, count):
        """Conditions as the model reads them, or None where it takes none."""
        return None if self.vocabulary is None else self.vocabulary.numbers(condition, count)

    def inputs_of(self, regions, words) -> dict:
        """What the network takes: regions (batch, height, width, 1), and of the numbers of words, int32 (batch, columns), None
        without a condition, what the model has read."""
        if self.vocabulary is None:
            return {"region": regions}
        read = self.diffusion.denoiser.get_layer("text_encoder")(words)
        return {"region": regions, "read": keras.ops.stop_gradient(read)}

    # What it is used for.

    def of_regions(self, told, region: np.ndarray, condition) -> np.ndarray:
        """What the network says of regions, as `control_of` and `paint` take them; `told` is what is wanted of its answer."""
        region = as_array(region, "region")
        if region.ndim != 3 or not len(region) or region.shape[1:] != self.clip_shape[1:3]:
            raise ValueError(
                f"region has shape {region.shape}, but (count, {self.clip_shape[1]}, {self.clip_shape[2]}) with numbers from 0 to 1 was expected, such as region_of gives."
            )
        if not (region.min() >= 0 and region.max() <= 1):  # NaN is neither
            raise ValueError(
                f"region has values from {region.min():.3g} to {region.max():.3g}, but 0 to 1 was expected; region_of gives them."
            )
        words = self.numbers_of(self.check_condition(condition, len(region)), len(region))
        region = tf.constant(region[..., None], tf.float32)
        made = []
        for part in batches(np.arange(len(region))):
            inputs = self.inputs_of(tf.gather(region, part), None if words is None else tf.gather(words, part))
            made.append(told(self.adapter(inputs)).numpy())
        return self.check_finite(np.concatenate(made))

    def generate(self, count, condition=None, *, seed, region=None, **settings) -> np.ndarray:
        """New clips: the same seed gives the same clips.

        Args:
            count, condition, seed: as in `Diffusion.generate`.
            region: (count, height, width): from 0 to 1 how much of each pixel of the first frame is within the lines of a sketch,
                as `vidgen_tf.region_of` tells it; None asks for nothing, and the clips are those of the diffusion alone.
            settings: what `Diffusion.generate` takes besides.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for anything else.
        """
        settings |= self._settings(count, condition, region)
        return self.diffusion.generate(count, condition, seed=seed, **settings)

    def trajectory(self, count, condition=None, *, seed, shown, region=None, **settings) -> np.ndarray:
        """Clips on their way out of noise: as `Diffusion.trajectory`, with a region as in `generate`."""
        settings |= self._settings(count, condition, region)
        return self.diffusion.trajectory(count, condition, seed=seed, shown=shown, **settings)

    def _settings(self, count, condition, region) -> dict:
        if region is None:
            return {}
        if len(as_array(region, "region")) != check_count(count):
            raise ValueError(f"region has {len(region)} sketches, but one for each of {count} clips was expected.")
        return self._told(region, condition)

    def _told(self, region, condition) -> dict:
        """What the diffusion's `generate` is given for regions."""
        raise NotImplementedError

    @property
    def preset_weights(self):
        """The weights of the network: the diffusion is a preset of its own."""
        return self.adapter.trainable_variables

    def get_config(self):
        return super().get_config() | {
            "diffusion": keras.saving.serialize_keras_object(self.diffusion), "width": self.width, "blocks": self.blocks,
            "heads": self.heads, "wobble": self.wobble, "seed": self.seed,
        }  # fmt: skip


@keras.saving.register_keras_serializable(package="vidgen_tf")
class SketchAdapter(_Sketch):
    """A branch that makes a trained `Diffusion` heed a sketch; `compile` it and `fit` it on clips and their conditions.

    Args:
        clip_shape: (time, height, width, channels).
        diffusion: the model of such clips, already trained; it stays as it is.
        width: numbers of a token of the branch.
        blocks: how often its tokens look at the sketch and at each other.
        heads: independent attentions in each block; they divide `width`.
        wobble: how far a drawing hand goes astray in training, a deviation in pixels.
        seed: of the weights.

    Attributes:
        adapter: the branch, from regions (batch, height, width, 1), and words that the model has read, to what is added, and to
            its guess of the clip, or of its latents, one block of it a token.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "denoising", "guess")

    def __init__(self, clip_shape, diffusion=None, width=128, blocks=2, heads=4, wobble=0.4, seed=0, **kwargs):
        super().__init__(clip_shape, diffusion, width, blocks, heads, wobble, seed, **kwargs)
        check_values((self.width, self.diffusion.control_shape[0] * self.diffusion.control_shape[2]), "a layer")
        self.adapter = self._adapter()
        self.built = True

    def _adapter(self) -> keras.Model:
        """As many tokens as the model has, those of its words first, look at the sketch and at each other."""
        ops, size, layers = keras.ops, self.width, keras.layers
        times, count, width = self.diffusion.control_shape
        norm = lambda x: layers.LayerNormalization()(x)  # noqa: E731
        inputs, seen, dense, conv = self._start()
        cells = conv(seen, 4, 2)
        for _ in range(2):
            cells = cells + conv(ops.silu(conv(ops.silu(cells), 3)), 3)
        cells = norm(dense(size)(ops.reshape(cells, (-1, cells.shape[1] * cells.shape[2], cells.shape[3]))))
        tokens = ops.zeros_like(cells[:, :1]) + positions(count, size)
        if self.vocabulary is not None:
            tokens = tokens + ops.pad(
                dense(size)(inputs["read"]), ((0, 0), (0, count - self.vocabulary.columns), (0, 0))
            )
        tokens = dense(size)(tokens)
        for _ in range(self.blocks):
            tokens = tokens + self._look(tokens, cells, dense)
            tokens = tokens + attend(norm(tokens), self.heads, self.random)
            tokens = tokens + dense(size)(dense(4 * size, activation="gelu")(norm(tokens)))
        tokens = norm(tokens)
        control = layers.Dense(times * width, kernel_initializer="zeros", dtype="float32", name="last")(tokens)
        control = ops.transpose(ops.reshape(control, (-1, count, times, width)), (0, 2, 1, 3))
        patch, shape = self.diffusion.patch, self.diffusion.latent_shape
        guess = dense(math.prod(patch) * shape[3], dtype="float32", name="guess")(tokens)
        parts = math.prod(shape[:3]) // math.prod(patch)
        return keras.Model(inputs, {"control": control, "guess": guess[:, -parts:]}, name="adapter")

    def losses_of(self, clips, condition, training):
        """`denoising`, the loss of the diffusion when the branch sees where in the first frame something is, `guess`, the mean
        squared error of a value that the branch guesses, and the `loss`, their sum."""
        clips = tf.convert_to_tensor(clips)
        seed = self.step_seed() if training else draw_seed(0)
        other = seed + tf.constant([1, 0], tf.int64)  # not that of the noise
        regions = self.regions_of(clips, other if training else None)
        said = self.adapter(self.inputs_of(regions, self.numbers_of(condition, tf.shape(clips)[0])))
        latents, known = self.diffusion.latents_of(clips), None
        if self.diffusion.fills:
            # told of nothing but the sketch, and the same for all, which saves a third of the time
            nothing = self.diffusion.known_in_training(tf.zeros((1, *self.clip_shape)))
            known = tf.repeat(nothing, tf.shape(clips)[0], axis=0)
        denoising = self.diffusion.loss_of(clips, condition, seed, training, said["control"], latents, known)
        blocks = folded(latents, self.diffusion.patch)
        guess = tf.reduce_mean(tf.square(tf.reshape(blocks, tf.shape(said["guess"])) - said["guess"]))
        return {"loss": denoising + guess, "denoising": denoising, "guess": guess}

    def control_of(self, region: np.ndarray, condition=None) -> np.ndarray:
        """What the branch adds to the model's tokens.

        Args:
            region, condition: as in `generate`.

        Returns:
            float32 (count, *control_shape) for the argument `control` of the diffusion's `generate`.

        Raises:
            ValueError: for anything else, and for broken weights.
        """
        return self.of_regions(lambda said: said["control"], region, condition)

    def _told(self, region, condition):
        return {"control": self.control_of(region, condition)}


@keras.saving.register_keras_serializable(package="vidgen_tf")
class SketchPainter(_Sketch):
    """A network that colours a sketch as words say, so that a trained `Diffusion` can go on from it; `compile` it and `fit` it on
    clips and their conditions.

    Args:
        clip_shape: (time, height, width, channels).
        diffusion: the model of such clips, already trained to complete clips (`fills`); it stays as it is.
        width: numbers of a cell of 4 × 4 pixels.
        blocks: how often cells look at the words and at each other.
        heads: independent attentions in each block; they divide `width`.
        wobble: how far a drawing hand goes astray in training, a deviation in pixels.
        ground: what is painted where nothing is drawn, a grey from -1 to 1.
        seed: of the weights.

    Attributes:
        adapter: the network, from regions (batch, height, width, 1), and words that the model has read, to the colour of the ink
            in each pixel, (batch, height, width, channels).

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss",)

    def __init__(
        self, clip_shape, diffusion=None, width=64, blocks=2, heads=4, wobble=0.4, ground=0.0, seed=0, **kwargs
    ):
        super().__init__(clip_shape, diffusion, width, blocks, heads, wobble, seed, **kwargs)
        self.ground = check_number(ground, "ground", least=-1)
        if not self.diffusion.fills:
            raise ValueError("diffusion was not trained to complete clips; give one that was built with fills=True.")
        self.adapter = self._adapter()
        self.built = True

    def _adapter(self) -> keras.Model:
        """Pixels to cells of 4 × 4, which look at the words and at each other, and back to pixels."""
        ops, size, layers, channels = keras.ops, self.width, keras.layers, self.clip_shape[3]
        norm = lambda x: layers.LayerNormalization()(x)  # noqa: E731
        inputs, seen, dense, conv = self._start()
        height, sides = self.clip_shape[1:3]
        seen = ops.pad(seen, ((0, 0), (0, -height % 4), (0, -sides % 4), (0, 0)))
        middle = conv(ops.silu(conv(seen, 4, 2)), 3)
        cells = conv(ops.silu(middle), 4, 2)
        rows, columns = cells.shape[1:3]
        cells = dense(size)(ops.reshape(cells, (-1, rows * columns, size // 2)))
        for _ in range(self.blocks):
            if self.vocabulary is not None:
                cells = cells + self._look(cells, dense(size)(inputs["read"]), dense)
            cells = cells + attend(norm(cells), self.heads, self.random)
            cells = cells + dense(size)(dense(4 * size, activation="gelu")(norm(cells)))
        halves = lambda x, values: ops.transpose(  # noqa: E731
            ops.reshape(x, (-1, x.shape[1], x.shape[2], 2, 2, values)), (0, 1, 3, 2, 4, 5)
        )
        cells = dense(2 * size)(ops.reshape(norm(cells), (-1, rows, columns, size)))
        cells = ops.reshape(halves(cells, size // 2), (-1, 2 * rows, 2 * columns, size // 2)) + middle
        cells = cells + conv(ops.silu(conv(ops.silu(cells), 3)), 3)
        ink = dense(4 * channels, dtype="float32", activation="tanh", name="ink")(ops.silu(cells))
        ink = ops.reshape(halves(ink, channels), (-1, 4 * rows, 4 * columns, channels))[:, :height, :sides]
        return keras.Model(inputs, ink, name="painter")

    def losses_of(self, clips, condition, training):
        """`loss`: the mean distance of a value of the ink from that of the first frame, within the region. (A distance and not its
        square: where the words leave it open, one of the possible colours is painted, and not their mean.)"""
        clips = tf.convert_to_tensor(clips)
        first, regions = clips[:, 0], self.regions_of(clips)
        if training:
            both = self.bent(tf.concat([first, regions], axis=-1), self.step_seed())
            first, regions = both[..., :-1], both[..., -1:]
        ink = self.adapter(self.inputs_of(regions, self.numbers_of(condition, tf.shape(clips)[0])))
        far = tf.reduce_mean(tf.abs(ink - first), axis=-1, keepdims=True)
        return {"loss": tf.reduce_sum(regions * far) / tf.maximum(tf.reduce_sum(regions), 1.0)}

    def paint(self, region: np.ndarray, condition=None) -> np.ndarray:
        """The first frame of a clip.

        Args:
            region, condition: as in `generate`.

        Returns:
            float32 (count, height, width, channels) in [-1, 1].

        Raises:
            ValueError: for anything else, and for broken weights.
        """
        ink = self.of_regions(lambda ink: ink, region, condition)
        return (self.ground + region[..., None] * (ink - self.ground)).astype(np.float32)

    def _told(self, region, condition):
        film = np.repeat(self.paint(region, condition)[:, None], self.clip_shape[0], axis=1)
        return {"known": film, "mask": known_frames(self.clip_shape, [0]), "keep": "latents"}

    def get_config(self):
        return super().get_config() | {"ground": self.ground}
