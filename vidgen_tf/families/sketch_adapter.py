"""A sketch says where: a small branch on a model of clips that is already trained and stays as it is.

The model knows words, but nobody can say with words where exactly a thing shall be. The branch reads a drawing, as the region
that its lines enclose, beside the words, and adds what it found to the tokens of the model, in each of its blocks:

    tokens ← tokens + attention(tokens) + control,    control = adapter(region, words)

The last layer of the branch starts at zero, so before training the model makes the clips that it always made, and what it knows
is never lost: only the branch is trained, with the model's own loss. It learns to read much sooner if it is also asked to guess
the clip, all by itself, for what it needs to know for that is what the model needs to hear:

    loss = loss of the diffusion + mean (guess - clip)²

A guess is the mean of all clips that fit, so it is a blur, and nobody is shown it. No drawings are needed to learn from. In training the region
is that of the clip's first frame where something is, and it is bent a little, as by a hand that is not quite sure.

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
from vidgen_tf.video_model import VideoModel, batches, draw_seed

FAINT = 0.3  # the least difference from the ground that counts as all covered; what differs less counts in part
BENDS = 4  # places in a row, and in a column, that a hand goes astray at; between them it goes astray smoothly


@keras.saving.register_keras_serializable(package="vidgen_tf")
class SketchAdapter(VideoModel):
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

    fixed = ("diffusion",)
    loss_names = ("loss", "denoising", "guess")

    def __init__(self, clip_shape, diffusion=None, width=128, blocks=2, heads=4, wobble=0.4, seed=0, **kwargs):
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
        check_values((self.width, diffusion.control_shape[0] * diffusion.control_shape[2]), "a layer")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.warp = Warp()
        self.adapter = self._adapter()
        self.built = True

    def _adapter(self) -> keras.Model:
        """As many tokens as the model has, those of its words first, look at the sketch and at each other."""
        ops, size, layers = keras.ops, self.width, keras.layers
        times, count, width = self.diffusion.control_shape
        glorot, he = keras.initializers.GlorotUniform(self.random), keras.initializers.HeNormal(self.random)
        dense = lambda units, **more: layers.Dense(units, kernel_initializer=glorot, **more)  # noqa: E731
        conv = lambda x, *shape: layers.Conv2D(size // 2, *shape, padding="same", kernel_initializer=he)(x)  # noqa: E731
        norm = lambda x: layers.LayerNormalization()(x)  # noqa: E731
        height, sides = self.clip_shape[1], self.clip_shape[2]
        inputs = {"region": keras.Input((height, sides, 1), name="region")}
        y, x = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in (height, sides)), indexing="ij")
        here = ops.zeros_like(inputs["region"]) + np.stack([x, y], axis=-1)  # so that a mean over cells is a place
        cells = conv(ops.concatenate([inputs["region"], here], axis=-1), 4, 2)
        for _ in range(2):
            cells = cells + conv(ops.silu(conv(ops.silu(cells), 3)), 3)
        cells = norm(dense(size)(ops.reshape(cells, (-1, cells.shape[1] * cells.shape[2], cells.shape[3]))))
        tokens = ops.zeros_like(cells[:, :1]) + positions(count, size)
        if self.vocabulary is not None:
            inputs["read"] = keras.Input((self.vocabulary.columns, self.diffusion.width), name="read")
            told = dense(size)(inputs["read"])
            tokens = tokens + ops.pad(told, ((0, 0), (0, count - self.vocabulary.columns), (0, 0)))
        tokens = dense(size)(tokens)
        split = lambda x: ops.reshape(x, (-1, x.shape[1], self.heads, size // self.heads))  # noqa: E731
        for _ in range(self.blocks):
            found = ops.dot_product_attention(*(split(dense(size)(part)) for part in (norm(tokens), cells, cells)))
            tokens = tokens + dense(size)(ops.reshape(found, (-1, count, size)))
            tokens = tokens + attend(norm(tokens), self.heads, self.random)
            tokens = tokens + dense(size)(dense(4 * size, activation="gelu")(norm(tokens)))
        tokens = norm(tokens)
        control = layers.Dense(times * width, kernel_initializer="zeros", dtype="float32", name="last")(tokens)
        control = ops.transpose(ops.reshape(control, (-1, count, times, width)), (0, 2, 1, 3))
        patch, shape = self.diffusion.patch, self.diffusion.latent_shape
        guess = dense(math.prod(patch) * shape[3], dtype="float32", name="guess")(tokens)
        parts = math.prod(shape[:3]) // math.prod(patch)
        return keras.Model(inputs, {"control": control, "guess": guess[:, -parts:]}, name="adapter")

    # Training.

    def regions_of(self, clips, seed=None):
        """Where something is in the first frames of clips: (batch, height, width, 1) from 0, the ground, to 1.

        The ground is the colour in the middle of all. How much of a pixel is covered shows beside the most that differs from
        the ground nearby. With a seed, such as `step_seed`, the region is bent as by a hand that draws.
        """
        ops = keras.ops
        first = clips[:, 0]
        apart = ops.max(ops.abs(first - ops.median(first, axis=(1, 2), keepdims=True)), axis=-1, keepdims=True)
        region = apart / ops.maximum(ops.max_pool(apart, 5, 1, "same"), FAINT)
        if seed is None or not self.wobble:
            return region
        astray = self.wobble * tf.random.stateless_normal((tf.shape(clips)[0], BENDS, BENDS, 2), seed)
        return self.warp(region, ops.image.resize(astray, self.clip_shape[1:3]))

    def read(self, regions, words) -> dict:
        """What the branch says of regions (batch, height, width, 1) and of the numbers of words, int32 (batch, columns), None
        without a condition: "control" (batch, *control_shape), and "guess" (batch, tokens, values)."""
        if self.vocabulary is None:
            return self.adapter({"region": regions})
        read = self.diffusion.denoiser.get_layer("text_encoder")(words)
        return self.adapter({"region": regions, "read": keras.ops.stop_gradient(read)})

    def losses_of(self, clips, condition, training):
        """`denoising`, the loss of the diffusion when the branch sees where in the first frame something is, `guess`, the mean
        squared error of a value that the branch guesses, and the `loss`, their sum."""
        clips = tf.convert_to_tensor(clips)
        seed = self.step_seed() if training else draw_seed(0)
        words = None if self.vocabulary is None else self.vocabulary.numbers(condition, tf.shape(clips)[0])
        other = seed + tf.constant([1, 0], tf.int64)  # not that of the noise
        said = self.read(self.regions_of(clips, other if training else None), words)
        latents, known = self.diffusion.latents_of(clips), None
        if self.diffusion.fills:
            # told of nothing but the sketch, and the same for all, which saves a third of the time
            nothing = self.diffusion.known_in_training(tf.zeros((1, *self.clip_shape)))
            known = tf.repeat(nothing, tf.shape(clips)[0], axis=0)
        denoising = self.diffusion.loss_of(clips, condition, seed, training, said["control"], latents, known)
        blocks = folded(latents, self.diffusion.patch)
        guess = tf.reduce_mean(tf.square(tf.reshape(blocks, tf.shape(said["guess"])) - said["guess"]))
        return {"loss": denoising + guess, "denoising": denoising, "guess": guess}

    # What it is used for.

    def control_of(self, region: np.ndarray, condition=None) -> np.ndarray:
        """What the branch adds to the model's tokens.

        Args:
            region: (count, height, width), from 0 to 1 how much of each pixel of the first frame is within the lines of a sketch,
                as `vidgen_tf.region_of` tells it.
            condition: as in `generate`.

        Returns:
            float32 (count, *control_shape) for the argument `control` of the diffusion's `generate`.

        Raises:
            ValueError: for anything else, and for broken weights.
        """
        region = as_array(region, "region")
        if region.ndim != 3 or not len(region) or region.shape[1:] != self.clip_shape[1:3]:
            raise ValueError(
                f"region has shape {region.shape}, but (count, {self.clip_shape[1]}, {self.clip_shape[2]}) with numbers from 0 to 1 was expected, such as region_of gives."
            )
        if not (region.min() >= 0 and region.max() <= 1):  # NaN is neither
            raise ValueError(
                f"region has values from {region.min():.3g} to {region.max():.3g}, but 0 to 1 was expected; region_of gives them."
            )
        region, words = tf.constant(region[..., None], tf.float32), None
        condition = self.check_condition(condition, len(region))
        if self.vocabulary is not None:
            words = self.vocabulary.numbers(condition, len(region))
        made = [
            self.read(tf.gather(region, part), None if words is None else tf.gather(words, part))["control"].numpy()
            for part in batches(np.arange(len(region)))
        ]
        return self.check_finite(np.concatenate(made))

    def generate(self, count, condition=None, *, seed, region=None, **settings) -> np.ndarray:
        """New clips: the same seed gives the same clips.

        Args:
            count, condition, seed: as in `Diffusion.generate`.
            region: (count, height, width), as in `control_of`: what the first frames are asked to show; None asks for nothing,
                and the clips are those of the diffusion alone.
            settings: what `Diffusion.generate` takes besides.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for anything else.
        """
        settings = self._settings(count, condition, region, settings)
        return self.diffusion.generate(count, condition, seed=seed, **settings)

    def trajectory(self, count, condition=None, *, seed, shown, region=None, **settings) -> np.ndarray:
        """Clips on their way out of noise: as `Diffusion.trajectory`, with a region as in `generate`."""
        settings = self._settings(count, condition, region, settings)
        return self.diffusion.trajectory(count, condition, seed=seed, shown=shown, **settings)

    def _settings(self, count, condition, region, settings) -> dict:
        if region is None:
            return settings
        if settings.get("control") is not None:
            raise ValueError(
                "region and control were both given, but a region says the control; leave one of them out."
            )
        region = as_array(region, "region")
        if region.ndim and len(region) != check_count(count):
            raise ValueError(f"region has {len(region)} sketches, but one for each of {count} clips was expected.")
        return settings | {"control": self.control_of(region, condition)}

    @property
    def preset_weights(self):
        """The weights of the branch: the diffusion is a preset of its own."""
        return self.adapter.trainable_variables

    def get_config(self):
        return super().get_config() | {
            "diffusion": keras.saving.serialize_keras_object(self.diffusion), "width": self.width, "blocks": self.blocks,
            "heads": self.heads, "wobble": self.wobble, "seed": self.seed,
        }  # fmt: skip
