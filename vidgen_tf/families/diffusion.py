"""Diffusion: clips are covered with noise little by little, a network learns to see through it, and new clips grow out of
nothing but noise.

At time t, from 0 (the clip) to 1 (noise), what one sees is

    x(t) = signal_rate(t) · clip + noise_rate(t) · noise

and the network predicts the noise, the clip, or the velocity dx/dt; from any of the three follow the others. To make a clip
one starts at x(1), which is noise, and jumps from time to time: estimate clip and noise, and put them together again
as they will be at the next time. This one formula is DDPM, DDIM and rectified flow: they differ in the rates, in what
is predicted, and in whether fresh noise comes in on the way (`SETTINGS`). Few jumps do if the network is also trained
to jump far: one jump shall lead where two of half its length lead (`jumps`).

What is asked for enters in one way: words or quantities as tokens beside those of the clip (and all together beside the time),
and known pixels, with a mask that says which are known, added to the tokens of their place: the first frame, the first
and the last one, a border, a hole. Where there is an autoencoder, known pixels go through it too. Both are left out at
random in training, so the network also knows what clips look like when nothing is asked for, and sampling can go away
from that, towards what the words say (classifier-free guidance). A branch that was trained later, on a model that stays as it is,
can have its say in each block: `control` is added to the tokens there (L. Zhang, A. Rao, M. Agrawala: Adding Conditional
Control to Text-to-Image Diffusion Models. ICCV 2023, https://arxiv.org/abs/2302.05543).

J. Ho, A. Jain, P. Abbeel: Denoising Diffusion Probabilistic Models (DDPM). NeurIPS 2020, https://arxiv.org/abs/2006.11239
J. Song, C. Meng, S. Ermon: Denoising Diffusion Implicit Models (DDIM). ICLR 2021, https://arxiv.org/abs/2010.02502
X. Liu, C. Gong, Q. Liu: Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow. ICLR 2023,
https://arxiv.org/abs/2209.03003
T. Salimans, J. Ho: Progressive Distillation for Fast Sampling of Diffusion Models. ICLR 2022,
https://arxiv.org/abs/2202.00512 (velocities)
P. Esser et al.: Scaling Rectified Flow Transformers for High-Resolution Image Synthesis. ICML 2024,
https://arxiv.org/abs/2403.03206 (times from a logistic normal, and their shift)
J. Ho, T. Salimans: Classifier-Free Diffusion Guidance. 2022, https://arxiv.org/abs/2207.12598
W. Peebles, S. Xie: Scalable Diffusion Models with Transformers (DiT). ICCV 2023, https://arxiv.org/abs/2212.09748
F. Bao et al.: All are Worth Words: A ViT Backbone for Diffusion Models (U-ViT). CVPR 2023, https://arxiv.org/abs/2209.12152
(a convolution after the last layer, over the borders of tokens: `mend`)
T. Li, K. He: Back to Basics: Let Denoising Generative Models Denoise (JiT). 2025, https://arxiv.org/abs/2511.13720
(clips are predicted, and the error is that of the velocity that follows)
K. Frans, D. Hafner, S. Levine, P. Abbeel: One Step Diffusion via Shortcut Models. ICLR 2025,
https://arxiv.org/abs/2410.12557 (`jumps`)
"""

import functools
import itertools
import math

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values
from vidgen_tf.layers import beside_in_time, folded, unfolded
from vidgen_tf.noise_schedules import (
    LEAST,
    PREDICTIONS,
    SCHEDULES,
    beside,
    check_known,
    rates,
    slopes,
    told_apart,
    waves,
)
from vidgen_tf.quiet import keras, tf
from vidgen_tf.text import Vocabulary, attend, positions, text_encoder, waves_of
from vidgen_tf.video_model import BATCH, VideoModel, batches, draw_seed

SAMPLERS = ("euler", "heun", "ancestral", "jumps")
SETTINGS = {  # name: schedule, prediction, sampler, steps
    "ddpm": ("ddpm", "noise", "ancestral", 250),
    "ddim": ("ddpm", "noise", "euler", 50),
    "rectified flow": ("linear", "velocity", "heun", 16),
}
MOST_STEPS = 10_000
LEVELS = 5  # jumps of 1, 1/2, … 1/16 of the way are trained
DICE = 12  # that are thrown for each clip in training
FILLS = 4  # ways of hiding a part of a clip in training, see `_masks`


# ------------------------------------------------------------------------------------------------- the model


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Diffusion(VideoModel):
    """A transformer that takes the noise out of clips, or out of their latents.

    Args:
        clip_shape: (time, height, width, channels).
        condition: what clips are made for: None, the words of sentences, the numbers of classes of labels, or names of
            quantities and how many numbers each is; see `text.Vocabulary`.
        setting: "ddpm", "ddim" or "rectified flow": names schedule, prediction, and how `generate` samples.
        schedule, prediction: others than those of the setting; see `rates` and `told_apart`.
        autoencoder: an `Autoencoder` or a `KeypointAutoencoder` of such clips, already trained; the model then learns its
            latents. None learns pixels.
        patch: block (frames, rows, columns) of pixels, or of latents, that one token stands for.
        width: numbers of a token.
        blocks: how often tokens look at each other.
        heads: independent attentions in each block; they divide `width`.
        mend: channels of two last convolutions over time, which see over the borders of tokens; 0 for none. Without them,
            paths may tear where one token ends and the next begins.
        fills: whether it learns to complete clips of which only some pixels are known; "first": only the first frame, which it
            sees in three of four clips.
        jumps: share of each batch that learns to jump far, from 0 to below 1; on the linear schedule only.
        shift: how much more of the time is spent where there is much noise, in training and on the way of `generate`: time t
            becomes shift · t / (1 + (shift - 1) · t). The more values of a clip say the same, the more noise it takes to
            hide them.
        spread: deviation of the times that are trained at, before they are squeezed between 0 and 1 (a logistic normal): with
            more of it more of them lie near either end. Near the clip its last, small errors are mended.
        way: the jumps that `generate` takes when nothing else is said, each as a part of the way: 2 is a half. Where much is
            decided early, the first ones should be short: (8, 8, 4, 2). Each begins at a multiple of its length, as in training.
        guidance: what `generate` takes when nothing else is said, and what the jumps learn.
        drop: share of the clips of a batch whose condition is left out in training.
        seed: of the weights.

    Attributes:
        denoiser: the network; `inputs_of` says what it takes.
        control_shape: (blocks, tokens, width) of what a branch may add: the tokens are those of words, if there are any, then
            those of the clip.

    Raises:
        ValueError: for arguments other than these.
    """

    fixed, mixed = ("autoencoder",), True

    def __init__(
        self, clip_shape, condition=None, setting="rectified flow", schedule=None, prediction=None, autoencoder=None,
        patch=(2, 4, 4), width=128, blocks=4, heads=4, mend=0, fills=False, jumps=0.0, way=(4, 4, 4, 4), shift=1.0, spread=1.0, guidance=1.0, drop=0.1, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, **kwargs)
        check_known(setting, "setting", tuple(SETTINGS))
        self.setting, usual = setting, SETTINGS[setting]
        self.schedule = usual[0] if schedule is None else schedule
        self.prediction = usual[1] if prediction is None else prediction
        check_known(self.schedule, "schedule", SCHEDULES)
        check_known(self.prediction, "prediction", PREDICTIONS)
        if isinstance(autoencoder, dict):
            autoencoder = keras.saving.deserialize_keras_object(autoencoder)
        shape = getattr(autoencoder, "clip_shape", None) if hasattr(autoencoder, "latent_shape") else None
        if autoencoder is not None and shape != self.clip_shape:
            raise ValueError(
                f"autoencoder is {autoencoder!r:.60}, but an Autoencoder for clips of the shape {self.clip_shape} was expected."
            )
        self.autoencoder = autoencoder
        self.latent_shape = self.clip_shape if autoencoder is None else autoencoder.latent_shape
        fits = isinstance(patch, (tuple, list)) and len(patch) == 3
        self.patch = tuple(check_count(side, "patch") for side in patch) if fits else patch
        if not fits or any(side % part for side, part in zip(self.latent_shape, self.patch, strict=False)):
            raise ValueError(f"patch is {patch!r}, but a block of which {self.latent_shape[:3]} is made was expected.")
        self.width, self.blocks, self.heads = (
            check_count(width, "width", least=2), check_count(blocks, "blocks"), check_count(heads, "heads"),
        )  # fmt: skip
        if self.width % self.heads:
            raise ValueError(f"heads is {heads}, which does not divide the width {width}; give one that does.")
        self.mend = check_count(mend, "mend", least=0)
        if not isinstance(fills, bool) and fills != "first":
            raise ValueError(f"fills is {fills!r:.60}, but True, False or 'first' was expected.")
        self.fills = fills
        self.jumps, self.drop = check_number(jumps, "jumps", below=1), check_number(drop, "drop", below=1)
        if self.jumps and (self.schedule != "linear" or self.prediction == "noise"):
            raise ValueError("jumps are learned on the linear schedule, and not of noise; give another prediction.")
        parts = [2**level for level in range(LEVELS)]
        self.way = tuple(way) if isinstance(way, (tuple, list)) and all(part in parts for part in way) else ()
        left = 1 - np.cumsum([0, *(1 / part for part in self.way)])  # times: sums of halves of halves are exact
        if left[-1] or any(time * part % 1 for time, part in zip(left, self.way, strict=False)):
            raise ValueError(
                f"way is {way!r:.60}, but parts out of {parts} were expected that make up the whole way, such as (8, 8, 4, 2)."
            )
        self.shift = check_number(shift, "shift")
        if not self.shift:
            raise ValueError("shift is 0, which leaves no time but 0; a number above 0 was expected, 1 for no shift.")
        self.spread = check_number(spread, "spread")
        self.guidance, self.seed = check_number(guidance, "guidance"), check_seed(seed)
        self.vocabulary = None if condition is None else Vocabulary(condition)
        self.conditional = condition is not None
        check_values(self.clip_shape, "a clip")
        check_values((4 * self.width, self.width), "a layer")
        if self.vocabulary is not None:
            check_values((self.vocabulary.size + 1, self.width), "the embedding of a condition")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.denoiser = self._denoiser()
        self.control_shape = tuple(self.denoiser.input["control"].shape[1:])
        self._graphs = {}
        self.built = True

    # The network.

    def _dense(self, units, gain=1.0, **more):
        start = keras.initializers.VarianceScaling(gain, "fan_avg", "uniform", self.random)
        return keras.layers.Dense(units, kernel_initializer=start, **more)

    def _denoiser(self) -> keras.Model:
        """The transformer; see `inputs_of` for what goes in. Out comes a prediction (batch, *latent_shape)."""
        ops, size = keras.ops, self.width
        x, times, jumps = (
            keras.Input(self.latent_shape, name="x"),
            keras.Input((), name="times"),
            keras.Input((), name="jumps"),
        )
        inputs = {"x": x, "times": times, "jumps": jumps}
        patches = folded(x, self.patch)
        grid = patches.shape[1:4]
        tokens = self._dense(size)(patches)
        if self.fills:
            inputs["known"] = keras.Input((*self.latent_shape[:3], self._known_values()), name="known")
            known = self._dense(size, activation="gelu")(folded(inputs["known"], self.patch))
            tokens = tokens + self._dense(size)(known)
        tokens = ops.reshape(tokens + _places(grid, size), (-1, math.prod(grid), size))
        moment = self._dense(size, activation="silu")(waves(times, size))
        if self.jumps:
            moment = moment + self._dense(size)(waves(jumps, size))
        if self.vocabulary is not None:  # word by word, and all words together
            inputs["words"] = keras.Input((self.vocabulary.columns,), dtype=self.vocabulary.dtype, name="words")
            read = text_encoder(self.vocabulary, size, 2, self.heads, self.random)(inputs["words"])
            tokens = ops.concatenate([self._dense(size)(read), tokens], axis=1)
            moment = moment + self._dense(size)(ops.mean(read, axis=1))
            if self.vocabulary.measured:  # quantities decide all places at once, so all of them together, too
                told = keras.layers.Flatten()(waves_of(inputs["words"]))
                moment = moment + self._dense(size)(self._dense(2 * size, activation="silu")(told))
        moment = self._dense(size // 4 + 1, activation="silu")(moment)
        control = inputs["control"] = keras.Input((self.blocks, *tokens.shape[1:]), name="control")
        for number in range(self.blocks):
            tokens = self._block(tokens, moment, control[:, number])
        tokens = keras.layers.LayerNormalization(center=False, scale=False, epsilon=1e-6)(tokens[:, -math.prod(grid) :])
        scale, shift = ops.split(self._dense(2 * size, 0.01)(moment)[:, None], 2, axis=-1)
        last = self._dense(math.prod(self.patch) * self.latent_shape[3], 0.01, dtype="float32", name="last")
        tokens = tokens * (1 + scale) + shift
        apart = lambda tokens: unfolded(ops.reshape(tokens, (-1, *grid, tokens.shape[-1])), self.patch)  # noqa: E731
        said = apart(last(tokens))
        if self.mend:
            seen = ops.concatenate([apart(self._dense(math.prod(self.patch) * self.mend)(tokens)), x], axis=-1)
            seen = self._dense(self.mend, activation="silu")(beside_in_time(seen))
            start = {"kernel_initializer": "zeros", "dtype": "float32", "name": "mended"}
            said = said + keras.layers.Dense(self.latent_shape[3], **start)(beside_in_time(seen))
        return keras.Model(inputs, said, name="denoiser")

    def _block(self, tokens, moment, control):
        """A transformer block whose scales, shifts and gates depend on the moment (adaLN); the gates start near 0. The control
        joins where no path grows longer by it, since Keras orders weights by the longest path, and presets hold them in order."""
        ops, size = keras.ops, self.width
        six = ops.split(self._dense(6 * size, 0.01)(moment)[:, None], 6, axis=-1)
        norm = lambda x: keras.layers.LayerNormalization(center=False, scale=False, epsilon=1e-6)(x)  # noqa: E731
        tokens = tokens + control + six[2] * attend(norm(tokens) * (1 + six[0]) + six[1], self.heads, self.random)
        found = self._dense(4 * size, activation="gelu")(norm(tokens) * (1 + six[3]) + six[4])
        return tokens + six[5] * self._dense(size)(found)

    def inputs_of(self, x, times, jumps, words=None, known=None, control=None) -> dict:
        """What the `denoiser` takes, as a dictionary.

        Args:
            x: what is seen, (batch, *latent_shape).
            times: (batch,) from 0, the clip, to 1, noise.
            jumps: (batch,) how far the prediction shall lead, 0 for the slope at this moment.
            words: (batch, columns), the numbers of conditions; not without a condition.
            known: (batch, *latent_shape[:3], values), as `known_of` gives them; not without `fills`.
            control: (batch, *control_shape), added to the tokens within each block; None adds nothing.
        """
        if control is None:
            control = keras.ops.zeros((keras.ops.shape(x)[0], *self.control_shape))
        inputs = {"x": x, "times": times, "jumps": jumps, "control": control}
        if self.vocabulary is not None:
            inputs["words"] = words
        if self.fills:
            inputs["known"] = known
        return inputs

    def predict_velocity(self, x, times, jumps, words=None, known=None, control=None):
        """The slope of x by time, as it follows from what the network says; tensors as in `inputs_of`."""
        said = self.denoiser(self.inputs_of(x, times, jumps, words, known, control))
        if self.prediction == "velocity":
            return said
        clip, noise = told_apart(x, said, times, self.schedule, self.prediction)
        signal, rate = (beside(slope, x) for slope in slopes(times, self.schedule))
        return signal * clip + rate * noise

    # Training.

    def latents_of(self, clips: tf.Tensor) -> tf.Tensor:
        """What the model learns of clips: themselves, or their latents, (batch, *latent_shape)."""
        return clips if self.autoencoder is None else keras.ops.stop_gradient(self.autoencoder.latents_of(clips))

    def known_of(self, clips, mask):
        """What the network is told of known pixels: these, with grey in the place of all others, as it knows clips (as latents,
        where there is an autoencoder), and the mask.

        Args:
            clips: (batch, *clip_shape); what is not known may be anything.
            mask: (batch, time, height, width, 1), 1 where a pixel is known, else 0.

        Returns:
            (batch, *latent_shape[:3], values).
        """
        block, whole = self._block_of_pixels(), zip(self.clip_shape[:3], self.latent_shape[:3], strict=True)
        more = [(0, part * size - side) for size, (side, part) in zip(block, whole, strict=True)]
        told = folded(keras.ops.pad(mask, [(0, 0), *more, (0, 0)]), block)
        return keras.ops.concatenate([self.latents_of(clips * mask), told], axis=-1)

    def _block_of_pixels(self) -> tuple[int, int, int]:
        """The block (frames, rows, columns) of pixels of whose mask one latent vector tells."""
        return tuple(-(-side // part) for side, part in zip(self.clip_shape[:3], self.latent_shape[:3], strict=True))

    def _known_values(self) -> int:
        return self.latent_shape[3] + math.prod(self._block_of_pixels())

    def losses_of(self, clips, condition, training):
        """`loss`, the mean squared error of the noise, where that is predicted, else that of the velocity. In `evaluate` nothing
        is left out or known, and the times are evenly apart."""
        return {"loss": self.loss_of(clips, condition, self.step_seed() if training else draw_seed(0), training)}

    def loss_of(self, clips, condition, seed, training, control=None, latents=None, known=None):
        """The loss of clips and their conditions, with chance decided by a seed, such as `step_seed`; for a branch also with
        what it adds, (batch, *control_shape), and with the latents of the clips and what is told of them, where that is at hand."""
        clips = tf.convert_to_tensor(clips)
        count, latents = tf.shape(clips)[0], self.latents_of(clips) if latents is None else latents
        words = None if self.vocabulary is None else self.vocabulary.numbers(condition, count)
        seeds = tf.unstack(tf.random.split(seed, 3))
        noise = tf.random.stateless_normal(tf.shape(latents), seeds[0])
        dice = tf.random.stateless_uniform((count, DICE), seeds[1]) if training else None
        bell = tf.random.stateless_normal((count,), seeds[2]) if training else None
        if self.fills and known is None:
            known = self.known_in_training(clips, dice)
        return self.cost(latents, words, known, noise, dice, bell, control)

    def known_in_training(self, clips, dice=None):
        """What the network is told of clips in training, as in `known_of`: what the last eight of twelve dice say, or nothing."""
        if dice is None:
            return self.known_of(clips, keras.ops.zeros((keras.ops.shape(clips)[0], *self.clip_shape[:3], 1)))
        return self.known_of(clips, self._masks(dice[:, 4:]))

    def cost(self, latents, words, known, noise, dice=None, bell=None, control=None):
        """The loss, on any backend of Keras, once all that is left to chance has been drawn.

        Args:
            latents: what is learned of clips, (batch, *latent_shape).
            words: (batch, columns), numbers of conditions; None without a condition.
            known: what is told of the clips, as `known_of` gives it; None without `fills`.
            noise: standard normal, of the shape of latents.
            dice: (batch, 12) uniform in [0, 1), for training; None leaves nothing out and spreads the times evenly.
            bell: (batch,) standard normal, for training.
            control: (batch, *control_shape), what a branch adds; None adds nothing.
        """
        ops, count = keras.ops, keras.ops.shape(latents)[0]
        jumps = ops.zeros((count,))
        if dice is None:
            times = (ops.arange(count, dtype="float32") + 0.5) / ops.cast(count, "float32")
        else:
            times = self._times(bell, dice[:, 0])
            words = None if words is None else ops.where(dice[:, 1:2] < self.drop, 0, words)
            if self.jumps:
                first = ops.arange(count) < self._jumping(count)
                drawn, moments = self._jumps(dice[:, 2], dice[:, 3])
                jumps, times = ops.where(first, drawn, 0.0), ops.where(first, moments, times)
        signal, rate = (beside(value, latents) for value in rates(times, self.schedule))
        x = signal * latents + rate * noise
        signal, rate = (beside(value, latents) for value in slopes(times, self.schedule))
        wanted = noise if self.prediction == "noise" else signal * latents + rate * noise
        asked = _given(words=words, known=known, control=control)
        if dice is not None and self.jumps:
            wanted = self._where_two_lead(x, times, jumps, words, known, wanted, control)
        if self.prediction == "noise":
            found = self.denoiser(self.inputs_of(x, times, jumps, **asked))
        else:
            found = self.predict_velocity(x, times, jumps, **asked)
        return ops.mean(ops.square(found - wanted))

    def _times(self, bell, dice):
        """Times to train at: for rectified flow most often in the middle (a logistic normal), else evenly."""
        return self._shifted(
            keras.ops.sigmoid(self.spread * bell) if self.schedule == "linear" else LEAST + (1 - LEAST) * dice
        )

    def _shifted(self, times):
        return self.shift * times / (1 + (self.shift - 1) * times)

    def _jumping(self, count):
        """How many clips of a batch learn to jump; `count` is a number, or a tensor where it is not yet known."""
        if isinstance(count, int):
            return math.ceil(self.jumps * count)
        return keras.ops.cast(keras.ops.ceil(self.jumps * keras.ops.cast(count, "float32")), "int32")

    def _jumps(self, dice, other) -> tuple:
        """Lengths of jumps, 1 to 1/16, and times from which whole jumps lead to 0, for each of two dice."""
        parts = 2.0 ** keras.ops.floor(dice * LEVELS)
        return 1 / parts, (keras.ops.floor(other * parts) + 1) / parts

    def _where_two_lead(self, x, times, jumps, words, known, wanted, control=None):
        """For the first clips of the batch, in the place of what is wanted: the mean velocity of two jumps of half the length,
        as the network now makes them; the shortest ones are guided steps along its slope."""
        ops, share = keras.ops, self._jumping(keras.ops.shape(x)[0])
        now, t, half = x[:share], times[:share], jumps[:share] / 2
        asked = {name: value[:share] for name, value in _given(words=words, known=known, control=control).items()}
        shortest = half < 0.75 / 2 ** (LEVELS - 1)
        velocities = []
        for _ in range(2):
            velocity = self.predict_velocity(now, t, ops.where(shortest, 0.0, half), **asked)
            if words is not None and self.guidance != 1:
                nothing = asked | {"words": ops.zeros_like(asked["words"])}
                free = self.predict_velocity(now, t, ops.zeros_like(t), **nothing)
                guided = free + self.guidance * (velocity - free)
                velocity = ops.where(beside(ops.cast(shortest, "float32"), now) > 0, guided, velocity)
            velocities.append(velocity)
            now, t = now - beside(half, now) * velocity, t - half
        led = ops.stop_gradient((velocities[0] + velocities[1]) / 2)
        return ops.concatenate([led, wanted[share:]], axis=0)

    def _masks(self, dice):
        """What is known of each clip, (batch, time, height, width, 1), 1 or 0, by eight dice each: with `fills` "first" that
        frame in three of four; else half of the time nothing, or the first frames, the first and the last, all but a box, a box."""
        ops, (time, height, width) = keras.ops, self.clip_shape[:3]
        if self.fills == "first":
            first = (dice[:, :1] < 3 / 4) & (ops.arange(time)[None] == 0)
            return ops.tile(ops.cast(first, "float32")[:, :, None, None, None], (1, 1, height, width, 1))
        whole = lambda values: ops.cast(values, "int32")  # noqa: E731
        kind = whole(dice[:, 0] * 2 * FILLS)[:, None]  # 0 to 3; from 4 on nothing is known
        frame = ops.arange(time)[None]
        begun = whole(dice[:, 1:2] * (time // 2))  # the last frame of the known beginning
        inside = []
        for axis, side in ((1, height), (2, width)):
            length = whole((0.25 + 0.5 * dice[:, 2 * axis]) * side)
            start = whole(dice[:, 2 * axis + 1] * ops.cast(side - length + 1, "float32"))
            pixel = ops.arange(side)[None]
            inside.append((pixel >= start[:, None]) & (pixel < (start + length)[:, None]))
        inside = inside[0][:, :, None] & inside[1][:, None]
        frames = ((kind == 0) & (frame <= begun)) | ((kind == 1) & ((frame == 0) | (frame == time - 1)))
        box = ((kind == 2)[..., None] & ~inside) | ((kind == 3)[..., None] & inside)
        return ops.cast(frames[:, :, None, None] | box[:, None], "float32")[..., None]

    # What it is used for.

    def generate(
        self, count, condition=None, *, seed, known=None, mask=None, like=None, strength=None, sampler=None, steps=None,
        guidance=None, control=None, keep="pixels", watch=None,
    ) -> np.ndarray:  # fmt: skip
        """New clips: the same seed gives the same clips.

        Args:
            count: how many clips, at least 1.
            condition: a sentence, or labels, for each clip; None asks for nothing.
            seed: whole number from 0.
            known: float32 (count, time, height, width, channels) with pixels that are to stay, where `mask` is true.
            mask: bool (time, height, width), or one for each clip; see `known_frames`. With `fills` "first" frame 0 or nothing.
            like: float32 (count, time, height, width, channels), clips to make variations of: the way begins at them, covered
                with noise, and not at noise alone (C. Meng et al.: SDEdit. ICLR 2022, https://arxiv.org/abs/2108.01073).
            strength: how far they are covered, above 0, which changes nothing, to 1, which leaves nothing of them; with `like`.
            sampler: "euler", "heun" (two evaluations a step but for the last), "ancestral" (with fresh noise), or "jumps", as
                trained; None takes the setting's, or jumps if they were trained. Jumps begin at noise: not with `like`.
            steps: from noise to clip; None takes the setting's, or with jumps the model's `way`; a number of jumps takes so many
                of one length.
            guidance: how far to go towards the condition: 1 as far as the network says; others than 1 take two evaluations
                each. None takes the model's. Not with the sampler "jumps", which has learned it.
            control: float32 (count, *control_shape), what a branch adds to the tokens, as `SketchAdapter.control_of` gives it.
            keep: how known pixels stay. "pixels": they are laid over what was made. "latents": what they are in latents takes
                its place after every step, in all frames that are known in whole, so that nothing is laid over, and what is made
                around them fits (A. Lugmayr et al.: RePaint. CVPR 2022, https://arxiv.org/abs/2201.09865, for pixels).
            watch: called after each step of up to 64 clips, with how many steps are done and how many there are in all.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for anything else.
        """
        settings = self._settings(
            count, condition, known, mask, like, strength, sampler, steps, guidance, control, keep
        )
        made = super().generate(count, condition, seed=seed, watch=watch, **settings)
        return _kept(made, settings)

    def _settings(self, count, condition, known, mask, like, strength, sampler, steps, guidance, control, keep) -> dict:
        """How clips are drawn, checked and with what was left to the model filled in."""
        sampler = sampler or ("jumps" if self.jumps and like is None else SETTINGS[self.setting][2])
        check_known(sampler, "sampler", SAMPLERS)
        check_known(keep, "keep", ("pixels", "latents"))
        if sampler == "jumps" and not self.jumps:
            raise ValueError("sampler is 'jumps', but this model was not trained to jump; build it with jumps=0.25.")
        usual = steps is None
        steps = check_count(SETTINGS[self.setting][3] if usual else steps, "steps")
        if steps > MOST_STEPS:
            raise ValueError(f"steps is {steps}, but {MOST_STEPS} at most were expected; more of them change nothing.")
        if sampler == "jumps" and not usual and steps not in [2**level for level in range(LEVELS)]:
            raise ValueError(f"steps is {steps}, but the jumps that were trained take 1, 2, 4, 8 or 16.")
        if sampler == "jumps" and guidance is not None:
            raise ValueError(
                "guidance was given, but jumps have learned theirs; leave it out, or take another sampler."
            )
        towards = check_number(self.guidance if guidance is None else guidance, "guidance")
        if guidance is not None and condition is None:
            raise ValueError("guidance was given without a condition to go towards; give one, or leave guidance out.")
        if sampler == "jumps" or condition is None:
            towards = 1.0
        if (known is None) != (mask is None):
            raise ValueError(
                "known and mask go together: the pixels, and which of them are to stay; give both or none."
            )
        if known is not None:
            known, mask = self._check_known(known, mask, check_count(count))
            whole = mask.all(axis=(2, 3, 4)) == mask.any(axis=(2, 3, 4))
            if keep == "latents" and not whole.all():
                raise ValueError("keep is 'latents', but the mask splits a frame; mark whole frames, or keep 'pixels'.")
        if (like is None) != (strength is None):
            raise ValueError("like and strength go together: the clips, and how far from them; give both or none.")
        if like is not None:
            like = self._check_like(like, check_count(count), sampler)
            strength = check_number(strength, "strength")
            if not 0 < strength <= 1:
                raise ValueError(f"strength is {strength}, but a number above 0 and up to 1 was expected.")
        if control is not None:
            control = self._check_control(control, check_count(count))
        way = self.way if usual else [steps] * steps
        jumping = 1 - np.cumsum([0, *(1 / part for part in way)])
        times = jumping if sampler == "jumps" else self._shifted(np.linspace(1, 0, steps + 1))
        asked = {"known": known, "mask": mask, "like": like, "strength": strength, "control": control, "keep": keep}
        return asked | {"sampler": sampler, "times": times.astype(np.float32), "guidance": towards}

    def _check_control(self, control, count) -> np.ndarray:
        control, shape = as_array(control, "control"), (count, *self.control_shape)
        if control.shape != shape or control.dtype.kind != "f" or not np.isfinite(control).all():
            raise ValueError(
                f"control has shape {control.shape}, but finite numbers {shape} were expected; a branch for this model gives them."
            )
        return control.astype(np.float32)

    def _check_like(self, like, count, sampler) -> np.ndarray:
        like = check_clips(like, self.clip_shape)
        if len(like) != count:
            raise ValueError(f"like has {len(like)} clips, but one for each of {count} was expected.")
        if sampler == "jumps":
            raise ValueError("like was given, but jumps begin at noise; leave the sampler out, or take another.")
        return like

    def _check_known(self, known, mask, count) -> tuple[np.ndarray, np.ndarray]:
        if not self.fills:
            raise ValueError("known was given, but this model does not complete clips; build it with fills=True.")
        known, mask = check_clips(known, self.clip_shape), as_array(mask, "mask")
        shape = self.clip_shape[:3]
        if len(known) != count or mask.dtype != bool or mask.shape not in (shape, (count, *shape)):
            raise ValueError(
                f"known has shape {known.shape} and mask {mask.dtype} {mask.shape}, but {count} clips and a mask of bool "
                f"{shape}, or one for each clip, were expected."
            )
        if self.fills == "first" and (mask ^ mask[..., :1, :1, :1] & (np.arange(shape[0]) == 0)[:, None, None]).any():
            raise ValueError("mask is neither empty nor just frame 0, but with fills='first' no other was learned.")
        return known, np.broadcast_to(mask, (count, *shape))[..., None]

    def draw(self, count, condition, seed, watch, **settings):
        return self._looks(count, condition, seed, 1, watch, **settings)[-1]

    def trajectory(
        self, count, condition=None, *, seed, shown, known=None, mask=None, like=None, strength=None, sampler=None,
        steps=None, guidance=None, control=None, keep="pixels",
    ) -> np.ndarray:  # fmt: skip
        """Clips on their way out of noise, as the network sees them at `shown` moments, evenly apart; the last are those that
        `generate` makes.

        Args:
            shown: how many moments, from 1 to steps.
            count, condition, seed, known, mask, like, strength, sampler, steps, guidance, control, keep: as in `generate`.

        Returns:
            float32 (shown, count, time, height, width, channels).

        Raises:
            ValueError: for anything else.
        """
        check_count(count)
        check_seed(seed)
        settings = self._settings(
            count, condition, known, mask, like, strength, sampler, steps, guidance, control, keep
        )
        if check_count(shown, "shown") > (steps := len(settings["times"]) - 1):
            raise ValueError(f"shown is {shown}, but there are {steps} steps; show at most as many moments.")
        check_values((shown, count, *self.clip_shape), "the clips")
        found = self._looks(count, self.check_condition(condition, count), seed, shown, None, **settings)
        return _kept(self.check_finite(found), settings)

    def _looks(
        self, count, condition, seed, shown, watch, known, mask, like, strength, sampler, times, guidance, control, keep
    ):
        """As `trajectory`, of arguments that are checked."""
        words = None if self.vocabulary is None else self.vocabulary.numbers(condition, count).numpy()
        noise = tf.random.stateless_normal((count, *self.latent_shape), draw_seed(seed)).numpy()
        if self.fills and known is None:
            known, mask = np.zeros((count, *self.clip_shape), np.float32), np.zeros((*self.clip_shape[:3], 1), bool)
        mask = None if mask is None else np.broadcast_to(mask, (count, *self.clip_shape[:3], 1)).astype(np.float32)
        steps = len(times) - 1
        looks = {round((look + 1) * steps / shown) for look in range(shown)}
        parts, numbers, every = [], itertools.count(1), steps * -(-count // BATCH)
        done = (lambda: watch(next(numbers), every)) if watch else lambda: None
        for number, (x, part) in enumerate(zip(batches(noise), batches(np.arange(count)), strict=True)):
            fresh = tf.random.fold_in(draw_seed(seed), number + 1)
            asked = {name: value[part] for name, value in _given(words=words, control=control).items()}
            if self.fills:
                asked["known"] = self.known_of(known[part], mask[part])
            ahead, told = times if like is None else times * np.float32(strength), None
            if keep == "latents" and mask is not None:
                told = self._told_frames(asked["known"], mask[part]), tf.constant(x)
            if like is not None:
                signal, rate = (float(value) for value in rates(ahead[0], self.schedule))
                x = signal * self.latents_of(tf.constant(like[part])).numpy() + rate * x
            parts.append(self._sample(tf.constant(x), asked, fresh, sampler, ahead, guidance, looks, done, told))
        return np.concatenate(parts, axis=1)

    def _told_frames(self, known, mask) -> tuple[tf.Tensor, tf.Tensor]:
        """The latents of what is known, and in which of their frames, (batch, frames, 1, 1, 1), all is known."""
        frames = mask.all(axis=(2, 3, 4)).reshape(len(mask), self.latent_shape[0], -1).all(axis=2)
        return known[..., : self.latent_shape[3]], tf.constant(frames[:, :, None, None, None])

    def _sample(self, x, asked, fresh, sampler, times, guidance, looks, done, told) -> np.ndarray:
        """From what is seen at the first of the times to clips, step by step; see `trajectory`."""
        seen = []
        for step, (now, then) in enumerate(itertools.pairwise(times)):
            if sampler == "jumps":
                clip, noise = self._estimate(x, now, now - then, asked, 1.0)
            else:
                clip, noise = self._estimate(x, now, 0.0, asked, guidance)
            signal, rate = (float(value) for value in rates(then, self.schedule))
            signal_now, rate_now = (float(value) for value in rates(now, self.schedule))
            if sampler == "heun" and then > 0:
                slope = self._slope(clip, noise, now)
                ahead = signal * clip + rate * noise
                slope = (slope + self._slope(*self._estimate(ahead, then, 0.0, asked, guidance), then)) / 2
                x = x + (then - now) * slope
            elif sampler == "ancestral" and then > 0:
                new = rate * math.sqrt(max(0.0, 1 - (signal_now * rate / (rate_now * signal)) ** 2))
                key = tf.random.fold_in(fresh, step)
                x = signal * clip + math.sqrt(rate**2 - new**2) * noise
                x += new * tf.random.stateless_normal(tf.shape(x), key)
            else:
                x = signal * clip + rate * noise
            if told:
                (latents, frames), first = told
                x = tf.where(frames, signal * latents + rate * first, x)
                clip = tf.where(frames, latents, clip)
            done()
            if step + 1 in looks:
                seen.append(clip if self.autoencoder is None else self._unfolded(clip))
        return np.stack([np.clip(each, -1, 1) for each in seen])

    def _unfolded(self, latents) -> tf.Tensor:
        """Latents as clips, through one graph for batches of any size."""
        if "unfold" not in self._graphs:
            kind = [tf.TensorSpec((None, *self.latent_shape))]
            self._graphs["unfold"] = tf.function(self.autoencoder.clips_of, kind)
        return self._graphs["unfold"](latents)

    def _slope(self, clip, noise, time):
        signal, rate = (float(value) for value in slopes(time, self.schedule))
        return signal * clip + rate * noise

    def _estimate(self, x, time, jump, asked, guidance) -> tuple[tf.Tensor, tf.Tensor]:
        """Clip and noise as they are seen at a time; pixels are kept in [-1, 1]."""
        guided = guidance != 1
        key = (guided, *asked)
        if key not in self._graphs:  # batches of any size run through the same graph, so that sizes change no bit
            kinds = [tf.TensorSpec((None, *self.latent_shape)), *[tf.TensorSpec(())] * 3]
            kinds.append({name: tf.TensorSpec((None, *value.shape[1:]), value.dtype) for name, value in asked.items()})
            self._graphs[key] = tf.function(functools.partial(self._told, guided), kinds)
        numbers = (tf.constant(number, tf.float32) for number in (time, jump, guidance))
        return self._graphs[key](x, *numbers, asked)

    def _told(self, guided, x, time, jump, guidance, asked):
        times, jumps = (tf.repeat(value[None], tf.shape(x)[0]) for value in (time, jump))
        velocity = self.predict_velocity(x, times, jumps, **asked)
        if guided:
            free = self.predict_velocity(x, times, jumps, **(asked | {"words": tf.zeros_like(asked["words"])}))
            velocity = free + guidance * (velocity - free)
        clip, noise = told_apart(x, velocity, times, self.schedule, "velocity")
        if self.autoencoder is None:
            clip = tf.clip_by_value(clip, -1.0, 1.0)
            signal, rate = (beside(value, x) for value in rates(times, self.schedule))
            noise = (x - signal * clip) / tf.maximum(rate, LEAST)
        return clip, noise

    @property
    def preset_weights(self):
        """The weights of the denoiser: the autoencoder is a preset of its own."""
        return self.denoiser.trainable_variables

    def get_config(self):
        autoencoder = None if self.autoencoder is None else keras.saving.serialize_keras_object(self.autoencoder)
        return super().get_config() | {
            "condition": None if self.vocabulary is None else self.vocabulary.known, "setting": self.setting,
            "schedule": self.schedule, "prediction": self.prediction, "autoencoder": autoencoder, "patch": self.patch,
            "width": self.width, "blocks": self.blocks, "heads": self.heads, "mend": self.mend, "fills": self.fills, "jumps": self.jumps, "way": self.way, "shift": self.shift, "spread": self.spread,
            "guidance": self.guidance, "drop": self.drop, "seed": self.seed,
        }  # fmt: skip


def _given(**values) -> dict:
    """Those of the values that are not None, by name."""
    return {name: value for name, value in values.items() if value is not None}


def _kept(made: np.ndarray, settings: dict) -> np.ndarray:
    """What was made, with the known pixels as they came."""
    over = settings["known"] is not None and settings["keep"] == "pixels"
    return np.where(settings["mask"], settings["known"], made) if over else made


def _places(grid: tuple[int, int, int], size: int) -> np.ndarray:
    """What tells each token its place: float32 (*grid, size), a part for the time, one for the row, one for the column."""
    parts = [size - 2 * (size // 3), size // 3, size // 3]
    codes = [positions(length, part) for length, part in zip(grid, parts, strict=True)]
    index = np.meshgrid(*[np.arange(length) for length in grid], indexing="ij")
    return np.concatenate([code[where] for code, where in zip(codes, index, strict=True)], axis=-1)
