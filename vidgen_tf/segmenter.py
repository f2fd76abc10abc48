"""A segmenter: a small network that draws the outline of a lesion into the slices of a volume, and how well it did.

For each slice it looks at this one and its two neighbours, as someone does who scrolls through a scan: a U-Net, which shrinks
the slice twice to see what lies around, and joins what it saw at each size on the way back. It learns from volumes with
outlines, by cross-entropy and by the Dice coefficient itself, since few voxels belong to a lesion.

O. Ronneberger, P. Fischer, T. Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015,
https://arxiv.org/abs/1505.04597
F. Milletari, N. Navab, S.-A. Ahmadi: V-Net. 3DV 2016, https://arxiv.org/abs/1606.04797 (the Dice coefficient as a loss)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import check_clip_shape

# Log odds of a lesion before any training; so it begins near "nothing", from where it must find what is there.
RARE = -2.0
SLICES = 256  # that go through the network at once outside of training


def dice(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How far two outlines agree, 2 |both| / (|one| + |other|): the Dice coefficient.

    Args:
        found, true: bool (count, …), of one shape.

    Returns:
        float64 (count,) from 0, nothing in common, to 1, the same; 1 where both are empty.

    Raises:
        ValueError: for other types, or shapes that differ.

    L. Dice: Measures of the Amount of Ecologic Association Between Species. Ecology 26, 1945.
    """
    found, true = as_array(found, "found"), as_array(true, "true")
    if found.dtype != bool or true.dtype != bool or found.shape != true.shape or found.ndim < 2:
        raise ValueError(
            f"outlines {found.dtype} {found.shape} and {true.dtype} {true.shape} came, but bool (count, …), twice the same "
            "shape, were expected; compare with > 0."
        )
    found, true = (outline.reshape(len(outline), -1) for outline in (found, true))
    both, all_ = 2 * (found & true).sum(axis=1), found.sum(axis=1) + true.sum(axis=1)
    return np.where(all_ > 0, both / np.maximum(all_, 1), 1.0)


class Segmenter(keras.Model):
    """Draws an outline into each slice of a volume. `learn` trains it, `segment` uses it.

    Args:
        clip_shape: (slices, height, width, 3) of labelled volumes, as `Anatomy` has them; height and width are multiples of 4.
        width: channels at full size; twice as many at a half, four times at a quarter.
        seed: of the weights.

    Raises:
        ValueError: for other numbers.
    """

    def __init__(self, clip_shape: tuple[int, int, int, int], width: int = 12, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.clip_shape = check_clip_shape(clip_shape)
        if self.clip_shape[3] != 3 or any(side % 4 for side in self.clip_shape[1:3]):
            raise ValueError(
                f"clip_shape is {clip_shape!r}, but (slices, height, width, 3) was expected, sides a multiple of 4."
            )
        self.width, self.random = check_count(width, "width"), keras.random.SeedGenerator(check_seed(seed) % 2**31)
        self.unet = self._unet()
        self.built = True

    def _unet(self) -> keras.Model:
        """Three neighbouring slices (batch, height, width, 3) to log odds (batch, height, width, 1)."""
        ops, layers, kept = keras.ops, keras.layers, []

        def twice(x, channels):
            for _ in range(2):
                start = keras.initializers.HeNormal(self.random)
                x = layers.Conv2D(channels, 3, padding="same", use_bias=False, kernel_initializer=start)(x)
                x = ops.silu(layers.GroupNormalization(4 if channels % 4 == 0 else 1)(x))
            return x

        seen = keras.Input((*self.clip_shape[1:3], 3))
        x = seen
        for channels in (self.width, 2 * self.width):
            kept.append(twice(x, channels))
            x = layers.MaxPooling2D()(kept[-1])
        x = twice(x, 4 * self.width)
        for skip in reversed(kept):
            x = twice(
                ops.concatenate([layers.UpSampling2D(interpolation="bilinear")(x), skip], axis=-1), skip.shape[-1]
            )
        start = {"kernel_initializer": keras.initializers.HeNormal(self.random)}
        last = layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(RARE), **start)(x)
        return keras.Model(seen, last, name="unet")

    def call(self, volumes, training=False):
        """Log odds (batch, slices, height, width, 1) of scans (batch, slices, height, width, 1)."""
        slices, height, width = self.clip_shape[:3]
        more = keras.ops.pad(volumes, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)), constant_values=-1.0)
        seen = keras.ops.concatenate([more[:, :-2], more[:, 1:-1], more[:, 2:]], axis=-1)
        said = self.unet(keras.ops.reshape(seen, (-1, height, width, 3)), training=training)
        return keras.ops.reshape(said, (-1, slices, height, width, 1))

    def learn(self, cases: np.ndarray, steps: int, seed: int, *, augment: bool = True, batch_size: int = 4, **kwargs):
        """Trains on labelled volumes for so many steps, with Adam.

        Args:
            cases: float32 (count, slices, height, width, 3): scan, outline of the lesion, outline of the organ, which is not
                looked at.
            steps: of training.
            seed: of the order of the cases, and of what is done to them.
            augment: whether the cases are mirrored, shifted by up to 4 pixels round the edge (what leaves a slice on one side comes
                in on the other), and made brighter, darker and noisier by chance.
            batch_size: volumes in a step.
            kwargs: as in `fit`.

        Returns:
            The history that `fit` returns.

        Raises:
            ValueError: for cases that break the convention or have another shape than `clip_shape`, steps or a batch size that
                are no whole numbers from 1, or a seed that is none from 0.
        """
        cases = check_clips(cases, self.clip_shape)
        check_count(steps, "steps"), check_count(batch_size, "batch_size"), check_seed(seed)
        chance = np.random.default_rng(seed)

        def batches():
            while True:
                some = cases[chance.integers(len(cases), size=batch_size)]
                some = np.stack([_changed(case, chance) for case in some]) if augment else some
                yield some[..., :1], (some[..., 1:2] > 0).astype(np.float32)

        kind = tf.TensorSpec((batch_size, *self.clip_shape[:3], 1), tf.float32)
        data = tf.data.Dataset.from_generator(batches, output_signature=(kind, kind)).prefetch(2)
        # Without the steps that warm it up it may answer "nothing".
        warm = {"warmup_target": 5e-3, "warmup_steps": min(30, steps // 4)} if steps >= 4 else {}
        rate = keras.optimizers.schedules.CosineDecay(
            5e-4 if warm else 5e-3, max(1, steps - warm.get("warmup_steps", 0)), **warm
        )
        self.compile(keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0), _missed)
        return self.fit(data, **({"steps_per_epoch": steps, "shuffle": False, "verbose": 0} | kwargs))

    def segment(self, scans: np.ndarray) -> np.ndarray:
        """The outline that it draws into scans.

        Args:
            scans: float32 (count, slices, height, width, channels); the first channel is looked at.

        Returns:
            bool (count, slices, height, width).

        Raises:
            ValueError: for other shapes.
        """
        scans = check_clips(scans)
        if scans.shape[1:4] != self.clip_shape[:3]:
            raise ValueError(
                f"scans have shape {scans.shape}, but {self.clip_shape[:3]} slices and pixels were expected."
            )
        some = max(1, SLICES // self.clip_shape[0])
        parts = [self(scans[start : start + some, ..., :1]) for start in range(0, len(scans), some)]
        return np.concatenate([np.asarray(part)[..., 0] > 0 for part in parts])


def _missed(true, said):
    """Cross-entropy, and 1 minus a soft Dice coefficient of the batch."""
    ops, share = keras.ops, keras.ops.sigmoid(said)
    entropy = ops.mean(keras.losses.binary_crossentropy(true, said, from_logits=True))
    return entropy + 1 - (2 * ops.sum(true * share) + 1) / (ops.sum(true) + ops.sum(share) + 1)


def _changed(case: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A labelled volume, mirrored, shifted, and as another scanner might show it."""
    case = case[:, :, :: chance.choice([-1, 1])]
    case = np.roll(case, chance.integers(-4, 5, size=2), axis=(1, 2)).copy()
    scan = case[..., 0] * chance.uniform(0.85, 1.15) + chance.uniform(-0.1, 0.1)
    case[..., 0] = np.clip(scan + chance.uniform(0, 0.06) * chance.standard_normal(scan.shape), -1, 1)
    return case
