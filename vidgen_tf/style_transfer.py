"""Style transfer for clips: what is seen stays, how it is painted comes from another picture, and little flickers.

One pass through a network paints a frame. What it knows of the style picture are the means and deviations of its features;
from these a small network says which mean and deviation each channel shall have on the way (adaptive instance norm):

    restyled = deviation · (x - mean of x) / (deviation of x) + mean

Training lowers three things. *Content*: features of the painted frame are where those of the frame are. *Style*: its Gram
matrices, that is which features occur together wherever it may be, are those of the style picture. *Time*: what is painted
on a thing moves with it, so a painted frame, moved along the optical flow, is the next painted frame wherever that could
be seen before. The flow is needed in training alone.

The features are those of a network of ours (`PictureFeatures`), which has learned to tell pictures apart by small parts.

L. Gatys, A. Ecker, M. Bethge: Image Style Transfer Using Convolutional Neural Networks. CVPR 2016
J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution. ECCV 2016,
https://arxiv.org/abs/1603.08155
X. Huang, S. Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization. ICCV 2017,
https://arxiv.org/abs/1703.06868
G. Ghiasi et al.: Exploring the Structure of a Real-time, Arbitrary Neural Artistic Stylization Network. BMVC 2017,
https://arxiv.org/abs/1705.06830 (the style picture says means and deviations)
M. Ruder, A. Dosovitskiy, T. Brox: Artistic Style Transfer for Videos. GCPR 2016, https://arxiv.org/abs/1604.08610
H. Huang et al.: Real-Time Neural Style Transfer for Videos. CVPR 2017 (time in the loss, no flow afterwards)
W. Wang, J. Xu, L. Zhang, Y. Wang, J. Liu: Consistent Video Style Transfer via Compound Regularization. AAAI 2020
(motion that is made, and noise, for training)
"""

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed
from vidgen_tf.layers import Warp
from vidgen_tf.quiet import keras, tf
from vidgen_tf.styles import style_picture
from vidgen_tf.video_model import HasPreset, VideoModel, shared

EPSILON = 1e-5  # is added to variances
CONTENT = 2  # the layer of features, from 0, in which content is compared: its pixels are blocks of 4 × 4
LEAST = 16  # pixels of a side
SMALLEST = 8  # of a side whose features are looked at: the coarsest are blocks of 8 × 8


def gram(maps):
    """Gram matrices: how strongly each two channels occur together, the mean over all places of their product.

    Args:
        maps: (batch, height, width, channels).

    Returns:
        (batch, channels, channels), symmetric.
    """
    places = keras.ops.reshape(maps, (-1, maps.shape[1] * maps.shape[2], maps.shape[3]))
    return keras.ops.matmul(keras.ops.transpose(places, (0, 2, 1)), places) / (maps.shape[1] * maps.shape[2])


def temporal_loss(clips, flow, seen):
    """How far each frame is from the frame before it, moved along a flow: the mean square over the pixels seen before.

    Args:
        clips: (batch, time, height, width, channels).
        flow: (batch, time - 1, height, width, 2), pixels per frame, as in `metrics.warping_error`, whose square this is.
        seen: (batch, time - 1, height, width), true or 1 where a pixel could be seen in the frame before.

    Returns:
        A scalar; 0 if no pixel could be seen.
    """
    ops, shape = keras.ops, clips.shape[2:]
    before, now = (ops.reshape(part, (-1, *shape)) for part in (clips[:, :-1], clips[:, 1:]))
    moved = Warp()(before, ops.reshape(flow, (-1, *shape[:2], 2)))
    seen = ops.reshape(ops.cast(seen, now.dtype), (-1, *shape[:2]))
    return ops.sum(ops.mean(ops.square(now - moved), axis=-1) * seen) / ops.maximum(ops.sum(seen), 1)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class AdaptiveInstanceNorm(keras.layers.Layer):
    """Gives each channel another mean and deviation, those that a style asks for.

    Called with maps (frames, height, width, channels), means (styles, channels) and deviations (styles, channels), it returns
    maps of the same shape. Consecutive frames share a style where there are fewer styles than frames; means and deviations
    of the maps are then taken over all of them, so a frame that is a little brighter than its neighbours stays so.
    """

    def call(self, maps, means, deviations):
        ops = keras.ops
        clips = ops.reshape(maps, (ops.shape(means)[0], -1, *ops.shape(maps)[1:]))
        mean, variance = ops.moments(clips, axes=(1, 2, 3), keepdims=True)
        means, deviations = (wanted[:, None, None, None] for wanted in (means, deviations))
        return ops.reshape(means + deviations * (clips - mean) * ops.rsqrt(variance + EPSILON), ops.shape(maps))

    def compute_output_spec(self, maps, means, deviations):
        return keras.KerasTensor(maps.shape, maps.dtype)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class PictureFeatures(HasPreset, keras.Model):
    """Features of pictures of any size, in four layers: each one's pixels are 1, 2, 4 and 8 of the picture's wide.

    To learn what is worth a feature it tells which of some pictures a part of it comes from; it hears of no place, only of the
    mean of each feature. Train it on `world.dataset(batch_size, seed, truth=features.truth)` of a `MovingCamera` over
    photographs and patterns. Over these each feature has about the mean 0 and the deviation 1, by batch norm: a Gram matrix
    so tells what is special about a picture and not what all have in common.

    Args:
        pictures: how many it is to tell apart, at least 2.
        width: channels of the first layer; the others have 2, 3 and 4 times as many.
        seed: of the first weights.

    Attributes:
        channels: of the four layers.

    Raises:
        ValueError: for counts that are none.
    """

    truth = ("picture",)

    def __init__(self, pictures=17, width=16, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.pictures, self.width = check_count(pictures, "pictures", least=2), check_count(width, "width")
        self.seed = check_seed(seed)
        self.channels = tuple(self.width * times for times in (1, 2, 3, 4))
        layers, random = keras.layers, keras.random.SeedGenerator(self.seed % 2**31)
        x, found = keras.Input((None, None, 3)), []
        picture = x
        for channels in self.channels:
            x = layers.AveragePooling2D(2)(x) if found else x
            x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=keras.initializers.HeNormal(random))(x)
            x = layers.BatchNormalization(momentum=0.9, center=False, scale=False)(keras.ops.relu(x))
            found.append(x)
        self.layers_of = keras.Model(picture, found, name="layers_of")
        means = keras.ops.concatenate([keras.ops.mean(x, axis=(1, 2)) for x in found], axis=-1)
        start = keras.initializers.GlorotNormal(random)
        self.teller = keras.Model(found, layers.Dense(self.pictures, kernel_initializer=start)(means), name="teller")
        self.right = keras.metrics.Mean("accuracy")
        self.built = True

    def call(self, clips, training=False):
        """Clips (batch, time, height, width, 3), of which the first frames are looked at, to logits (batch, pictures)."""
        return self.teller(self.layers_of(clips[:, 0], training=training))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        told = tf.cast(tf.argmax(y_pred, axis=-1), y["picture"].dtype) == y["picture"]
        self.right.update_state(tf.cast(told, tf.float32))
        return shared(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y["picture"], y_pred)))

    def maps(self, pictures) -> list:
        """The four layers of pictures (batch, height, width, 3): (batch, height / 2^layer, width / 2^layer, channels)."""
        return self.layers_of(pictures, training=False)

    def style_distance(self, clips: np.ndarray, picture: np.ndarray) -> np.ndarray:
        """How far clips are from a picture's style: see `style_loss`, the mean over their frames.

        Args:
            clips: float32 (count, time, height, width, 3).
            picture: float32 (height, width, 3), values in [-1, 1]; of any size.

        Returns:
            float64 (count,), from 0.

        Raises:
            ValueError: for clips or a picture that break the convention, have other than 3 channels, or fewer than 8 pixels a side.
        """
        clips = _check_coloured(clips)
        wanted = style_of(self.maps(check_picture(picture)[None]))
        found = [style_of(self.maps(clip)) for clip in clips]
        return np.array([float(style_loss(style, wanted)) for style in found])

    def content_distance(self, clips: np.ndarray, source: np.ndarray) -> np.ndarray:
        """How far clips are from showing what their sources show: the mean squared difference of normalised features.

        Args:
            clips, source: float32 (count, time, height, width, 3), of one shape.

        Returns:
            float64 (count,): 0 for copies, about 2 for unrelated clips.

        Raises:
            ValueError: for clips that break the convention, differ in shape, have other than 3 channels, or fewer than 8 pixels a
                side.
        """
        clips = _check_coloured(clips)
        source = check_clips(source, clips.shape[1:], name="source")
        if len(clips) != len(source):
            raise ValueError(f"source has {len(source)} clips, but one for each of {len(clips)} clips was expected.")
        pairs = zip(clips, source, strict=True)
        return np.array([float(content_loss(self.maps(clip), self.maps(other))) for clip, other in pairs])

    def fit(self, x=None, y=None, **kwargs):
        """`keras.Model.fit`, after a look at the data: a dataset of pairs (clips, truth), or clips and their truth.

        Raises:
            ValueError: where the number of each clip's picture is missing, or there is no such picture.
        """
        spec = x.element_spec if isinstance(x, tf.data.Dataset) else (check_clips(x), y)
        truth = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
        if not isinstance(truth, dict) or "picture" not in truth:
            raise ValueError(
                f"PictureFeatures learns from pairs (clips, truth), the truth with 'picture', but {type(truth).__name__} came "
                "beside the clips; make them with world.dataset(…, truth=features.truth)."
            )
        if not isinstance(x, tf.data.Dataset):
            picture = as_array(truth["picture"], "the truth's picture")
            if (
                picture.shape != (len(x),)
                or picture.dtype.kind not in "iu"
                or not np.isin(picture, range(self.pictures)).all()
            ):
                raise ValueError(
                    f"the truth's picture has shape {picture.shape}, but a whole number from 0 to {self.pictures - 1} for each clip "
                    "was expected."
                )
        try:
            return super().fit(x, y, **kwargs)
        except Exception:
            self.train_function = None  # a step that failed while it was traced cannot be traced again
            raise

    def get_config(self):
        return {"pictures": self.pictures, "width": self.width, "seed": self.seed, "name": self.name}


def _check_coloured(clips: np.ndarray, name: str = "clips") -> np.ndarray:
    """The clips as they came, if they keep the convention, in colour, with at least 8 pixels a side; else ValueError."""
    clips = check_clips(clips, name=name)
    if clips.shape[4] != 3 or min(clips.shape[2:4]) < SMALLEST:
        raise ValueError(
            f"{name} has frames of shape {clips.shape[2:]}, but 3 channels and at least {SMALLEST} pixels a side were expected."
        )
    return clips


def style_of(layers: list) -> list:
    """What a style is: for each layer (batch, height, width, channels) its Gram matrices and the means of its features, which
    Gram matrices do not know apart from their negatives."""
    return [(gram(layer), keras.ops.mean(layer, axis=(1, 2))) for layer in layers]


def style_loss(found: list, wanted: list):
    """How far styles, as `style_of` gives them, are from those that are wanted: a scalar, the mean over layers and batch of

    |Gram - Gram'|² / |Gram'|² + |mean - mean'|² / trace Gram'
    """
    ops, total = keras.ops, 0.0
    for (one, mean), (other, wished) in zip(found, wanted, strict=True):
        apart = ops.sum(ops.square(one - other), axis=(1, 2)) / (ops.sum(ops.square(other), axis=(1, 2)) + EPSILON)
        trace = ops.sum(ops.diagonal(other, axis1=1, axis2=2), axis=-1)
        total += ops.mean(apart + ops.sum(ops.square(mean - wished), axis=-1) / (trace + EPSILON))
    return total / len(found)


def content_loss(found: list, wanted: list):
    """The mean squared difference of the features of layer `CONTENT`, each channel normalised over its frame: a scalar."""
    one, other = (normalised(layers[CONTENT]) for layers in (found, wanted))
    return keras.ops.mean(keras.ops.square(one - other))


def normalised(maps):
    """Maps (batch, height, width, channels) with the mean 0 and the deviation 1 of each channel of each frame."""
    mean, variance = keras.ops.moments(maps, axes=(1, 2), keepdims=True)
    return (maps - mean) * keras.ops.rsqrt(variance + EPSILON)


def statistics(layers: list):
    """What the painter knows of a style: the mean and the deviation of each feature, side by side: (batch, 2 · channels)."""
    moments = [keras.ops.moments(layer, axes=(1, 2)) for layer in layers]
    return keras.ops.concatenate(
        [part for mean, variance in moments for part in (mean, keras.ops.sqrt(variance + EPSILON))], axis=-1
    )


@keras.saving.register_keras_serializable(package="vidgen_tf")
class StyleTransfer(VideoModel):
    """Paints clips in the style of a picture, so that little flickers.

    Train it on pairs (clips, truth) of a world that knows its optical flow, as `MovingCamera().dataset(batch_size, seed,
    truth=model.truth)` hands them out; `stylize` then takes any clips.

    Args:
        clip_shape: (time, height, width, 3) of clips in training; height and width multiples of 4.
        features: `PictureFeatures`, already trained; `fit` leaves them as they are.
        styles: names of the styles that it learns, of `styles.STYLES`.
        width: channels of its coarsest pictures, a multiple of 4; finer ones have half and a quarter as many.
        depth: residual blocks.
        content, style, temporal: weights of the three terms of the loss.
        noise: deviation of what is added to frames in training, so that the noise of real footage is not painted.
        seed: of the first weights.

    Attributes:
        truth: the names out of a world's truth from which it learns.
        pictures: float32 (styles, 64, 64, 3), the style pictures.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "content", "style", "temporal")
    conditional = True
    fixed = ("features",)
    truth = ("flow", "seen")

    def __init__(
        self, clip_shape, features, styles=("strokes", "mosaic", "woodcut", "tissue"), width=32, depth=2, content=1.0,
        style=20.0, temporal=800.0, noise=0.03, seed=0, **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, **kwargs)
        if self.clip_shape[3] != 3 or any(side % 4 or side < LEAST for side in self.clip_shape[1:3]):
            raise ValueError(
                f"clip_shape is {clip_shape!r}, but 3 channels and sides of at least {LEAST} that 4 divides were expected."
            )
        if isinstance(features, dict):
            features = keras.saving.deserialize_keras_object(features)
        if isinstance(features, type) or not hasattr(features, "maps"):
            raise ValueError(f"features is {features!r:.60}, but PictureFeatures, already trained, were expected.")
        self.features = features
        if not isinstance(styles, (str, tuple, list)):
            raise ValueError(f"styles is {styles!r:.60}, but names of vidgen_tf.styles.STYLES were expected.")
        self.styles = (styles,) if isinstance(styles, str) else tuple(styles)
        if not self.styles:
            raise ValueError("styles names none, but one or more of vidgen_tf.styles.STYLES were expected.")
        self.pictures = np.stack([style_picture(name) for name in self.styles])
        self.width, self.depth = check_count(width, "width", least=4), check_count(depth, "depth", least=0)
        if self.width % 4:
            raise ValueError(
                f"width is {width}, but a multiple of 4 was expected: finer pictures have a quarter as many."
            )
        names = ("content", "style", "temporal", "noise")
        self.weights_of = {
            name: check_number(value, name)
            for name, value in zip(names, (content, style, temporal, noise), strict=True)
        }
        self.seed = check_seed(seed)
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.painter = self._painter()
        self.built = True

    def _painter(self) -> keras.Model:
        """Frames (frames, height, width, 3) and statistics of their styles (styles, size) to painted frames."""
        ops, layers, width = keras.ops, keras.layers, self.width
        frames, known = keras.Input((None, None, 3)), keras.Input((2 * sum(self.features.channels),))
        he = keras.initializers.HeNormal(self.random)
        asked = layers.Dense(2 * width, "relu", kernel_initializer=he)(layers.LayerNormalization()(known))
        small = keras.initializers.RandomNormal(stddev=0.05, seed=self.random)

        def conv(x, channels, kernel):
            side = kernel // 2  # mirrored at its border: zeros would be seen as an edge
            x = ops.pad(x, [[0, 0], [side, side], [side, side], [0, 0]], mode="reflect")
            return layers.Conv2D(channels, kernel, kernel_initializer=he)(x)

        def restyled(x):
            means, deviations = (layers.Dense(x.shape[-1], kernel_initializer=small)(asked) for _ in range(2))
            return AdaptiveInstanceNorm()(x, means, 1 + deviations)

        fine = ops.relu(restyled(conv(frames, width // 4, 5)))
        half = ops.relu(restyled(conv(layers.AveragePooling2D(2)(fine), width // 2, 3)))
        x = ops.relu(restyled(conv(layers.AveragePooling2D(2)(half), width, 3)))
        for _ in range(self.depth):
            x = x + restyled(conv(ops.relu(restyled(conv(x, width, 3))), width, 3))
        for finer, channels in ((half, width // 2), (fine, width // 4)):
            x = layers.UpSampling2D(interpolation="bilinear")(x)
            x = ops.relu(restyled(conv(ops.concatenate([x, finer], axis=-1), channels, 3)))
        change = layers.Conv2D(3, 1, kernel_initializer=small)(conv(x, width // 4, 3))
        grey = ops.mean(frames, axis=-1, keepdims=True)  # what is light stays light at first; colours are the style's
        return keras.Model([frames, known], ops.tanh(grey + change), name="painter")

    # Training.

    def losses_of(self, clips, condition, training):
        """The weighted sum `loss` of `content`, `style` and `temporal`; each clip gets one of the styles, in training by
        chance. The condition is the truth: flow and what was seen."""
        if condition is None:
            raise ValueError(
                f"StyleTransfer learns from pairs (clips, truth), the truth with {self.truth}, but none came."
            )
        count, index = tf.shape(clips)[0], tf.range(tf.shape(clips)[0]) % len(self.styles)
        frames = keras.ops.reshape(clips, (-1, *self.clip_shape[1:]))
        noisy = frames
        if training:
            seeds = tf.random.split(self.step_seed(), 2)
            index = tf.random.stateless_uniform((count,), seeds[0], 0, len(self.styles), tf.int32)
            noisy += self.weights_of["noise"] * tf.random.stateless_normal(tf.shape(frames), seeds[1])
        wanted = self.features.maps(tf.gather(tf.constant(self.pictures), index))
        made = self.painter([noisy, statistics(wanted)])
        found = self.features.maps(made)
        styles = [[tf.repeat(part, self.clip_shape[0], axis=0) for part in parts] for parts in style_of(wanted)]
        losses = {
            "content": content_loss(found, self.features.maps(frames)),
            "style": style_loss(style_of(found), styles),
            "temporal": temporal_loss(keras.ops.reshape(made, tf.shape(clips)), condition["flow"], condition["seen"]),
        }
        return {"loss": sum(self.weights_of[name] * value for name, value in losses.items())} | losses

    def check_condition(self, condition, count):
        """Flow and what was seen of `count` clips, as a world's truth has them; else ValueError."""
        time, height, width = self.clip_shape[:3]
        shapes = {"flow": (count, time - 1, height, width, 2), "seen": (count, time - 1, height, width)}
        given = condition if isinstance(condition, dict) else {}
        if set(given) != set(shapes) or any(np.shape(given[name]) != shapes[name] for name in shapes):
            shown = {name: np.shape(value) for name, value in given.items()} or type(condition).__name__
            raise ValueError(f"The condition is {shown!s:.120}, but a dictionary of arrays {shapes} was expected.")
        return {name: as_array(given[name], name) for name in shapes}

    def check_condition_spec(self, spec):
        """ValueError if the truth that a dataset hands out beside the clips is another than flow and what was seen."""
        if not isinstance(spec, dict) or set(spec) != set(self.truth):
            raise ValueError(
                f"The dataset holds {spec!s:.120} beside the clips, but {self.truth} of a world's truth were expected; "
                "make it with dataset(…, truth=model.truth)."
            )

    # Painting.

    def stylize(self, clips: np.ndarray, picture: np.ndarray, *, together: bool = True) -> np.ndarray:
        """Clips in the style of a picture. No optical flow is needed, and the same input gives the same bits.

        Args:
            clips: float32 (count, time, height, width, 3) of any length and size; height and width multiples of 4 from 16.
            picture: float32 (height, width, 3), values in [-1, 1], at least 16 pixels wide and high: one that it has
                learned, `style_picture(name)`, or another.
            together: whether channels are normalised over all frames of a clip; if not, each frame is painted as if it were
                alone.

        Returns:
            float32 of the shape of `clips`, values in [-1, 1].

        Raises:
            ValueError: for clips or a picture that break the convention, and for broken weights.
        """
        clips = check_clips(clips)
        height, width, channels = clips.shape[2:]
        if channels != 3 or height % 4 or width % 4 or min(height, width) < LEAST:
            raise ValueError(
                f"clips have frames of shape {clips.shape[2:]}, but 3 channels and sides of at least {LEAST} that 4 divides "
                "were expected; cut or resize them."
            )
        known = statistics(self.features.maps(check_picture(picture)[None]))
        each = [known if together else tf.repeat(known, len(clip), axis=0) for clip in clips]
        made = [self.painter([tf.constant(clip), style]).numpy() for clip, style in zip(clips, each, strict=True)]
        return np.clip(self.check_finite(np.stack(made)), -1, 1)

    def generate(self, count, condition=None, *, seed, **settings):
        """There are no clips of its own: raises ValueError and says what to call instead."""
        raise ValueError("StyleTransfer makes no clips of its own; stylize(clips, picture) paints given ones.")

    @property
    def preset_weights(self) -> list[keras.Variable]:
        """The weights of the painter: the features are a preset of their own."""
        return self.painter.weights

    def get_config(self):
        return super().get_config() | {
            "features": keras.saving.serialize_keras_object(self.features), "styles": self.styles, "width": self.width,
            "depth": self.depth, **self.weights_of, "seed": self.seed,
        }  # fmt: skip


def check_picture(picture: np.ndarray) -> np.ndarray:
    """The style picture as it came, if it is float32 (height, width, 3) in [-1, 1] and 16 × 16 pixels or more; else
    ValueError."""
    picture = as_array(picture, "picture")
    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < LEAST:
        raise ValueError(
            f"picture has shape {picture.shape}, but (height, width, 3) of at least {LEAST} × {LEAST} pixels was expected."
        )
    return check_clips(picture[None], batch=False, name="picture")[0]
