"""The judge: a small video network whose features say how far two sets of clips are apart.

Distances between sets of clips (`frechet_distance`, `polynomial_mmd`) compare *features*: numbers that matter to
the eye, not pixels. Elsewhere they come from a network trained on photographs or on films of people; ours learned
to read the worlds' own clips: for each colour whether a thing of that colour is there and, if it is, its shape,
size, motion, and its path over all frames. What it needs for its answers must be in its `feature_size` numbers:
whoever freezes or blurs a clip moves them. What it was never asked for (noise, say) it may not see; that is why a
measure is tried on controls first.

Three frames are looked at closely, and what is found is pooled over all places: a shape is a shape wherever it is. Beside
that all frames pass two convolutions (the first one sees three frames). Of each channel is kept *where* it is strongest
(a soft argmax), and how strong: a path that convolutions over time alone then read.

M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter: GANs Trained by a Two Time-Scale Update Rule
Converge to a Local Nash Equilibrium. NeurIPS 2017, https://arxiv.org/abs/1706.08500 (distances in feature space)
T. Unterthiner et al.: Towards Accurate Generative Models of Video. 2018, https://arxiv.org/abs/1812.01717
"""

import numpy as np

from vidgen_tf.clips import check_clips, check_count, check_number
from vidgen_tf.layers import soft_argmax
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import HasPreset, check_clip_shape, shared


@keras.saving.register_keras_serializable(package="vidgen_tf")
class Judge(HasPreset, keras.Model):
    """Reads labels and paths from clips; its features are what distances between sets of clips are measured in.

    Train it on pairs (clips, truth) of a world whose things have different colours, as
    `world.dataset(batch_size, seed, truth=judge.truth)` hands them out.

    Args:
        clip_shape: (time, height, width, channels).
        colors: how many colours a thing can have, at least 2.
        labels: name to number of classes, for each thing.
        feature_size: numbers in a clip's features.
        width: channels of the first convolution.
        label_weights: name to weight, in the loss, of labels that are harder to learn than others; 1 for those not named.

    Attributes:
        truth: the names out of a world's truth from which it learns.

    Raises:
        ValueError: for arguments other than these.
    """

    def __init__(self, clip_shape, colors=6, labels=None, feature_size=128, width=24, label_weights=None, **kwargs):
        super().__init__(**kwargs)
        self.clip_shape = check_clip_shape(clip_shape)
        labels = {"shape": 4, "size": 3, "motion": 9} if labels is None else labels
        if not isinstance(labels, dict) or {"count", "color", "present", "position", "pixels", "loss"} & set(labels):
            raise ValueError(
                f"labels is {labels!r:.80}, but names to numbers of classes, as in {{'shape': 4}}, were expected; "
                "count, color, present, position, pixels and loss are taken."
            )
        self.labels = {name: check_count(classes, f"labels[{name!r}]") for name, classes in labels.items()}
        self.colors, self.feature_size, self.width = (
            check_count(colors, "colors", least=2),
            check_count(feature_size, "feature_size"),
            check_count(width, "width"),
        )
        unknown = sorted(set(label_weights or {}) - set(self.labels))
        if unknown:
            raise ValueError(f"label_weights names {unknown}, but the labels are {list(self.labels)}.")
        weights = {
            name: check_number(weight, f"label_weights[{name!r}]") for name, weight in (label_weights or {}).items()
        }
        self.label_weights = dict.fromkeys(self.labels, 1.0) | weights
        self.truth = ("count", "color", *self.labels, "position")
        self.term_names = ("present", *self.labels, "position")
        self.sizes = [1, *self.labels.values(), 2 * self.clip_shape[0]]  # of the answers for one colour
        self.eye = self._eye()
        layers = keras.layers
        self.mouth = keras.Sequential(
            [
                keras.Input((self.feature_size,)),
                layers.Dense(256, activation="relu"),
                layers.Dense(self.colors * sum(self.sizes)),
                layers.Reshape((self.colors, sum(self.sizes))),
            ],
            name="mouth",
        )
        self.terms = {name: keras.metrics.Mean(name) for name in ("color", *self.labels, "pixels")}
        self.built = True

    def _eye(self) -> keras.Model:
        """Clips (batch, *clip_shape) to features (batch, feature_size): what things look like, found anywhere in three
        frames, beside how they move, found in small pictures of all frames."""
        layers, width = keras.layers, self.width
        time = self.clip_shape[0]
        active = lambda x: layers.LeakyReLU(negative_slope=0.2)(layers.BatchNormalization()(x))  # noqa: E731
        clips = keras.Input(self.clip_shape)

        apart = max(1, time // 3)
        few = clips[:, time // 6 : time // 6 + 3 * apart : apart]
        x = keras.ops.reshape(few, (-1, *self.clip_shape[1:]))
        for channels, kernel, stride in ((width, 3, 1), (2 * width, 4, 2), (2 * width, 3, 1), (4 * width, 4, 2)):
            x = active(layers.Conv2D(channels, kernel, stride, "same")(x))
        looks = keras.ops.reshape(
            x, (-1, few.shape[1] * x.shape[1] * x.shape[2], x.shape[3])
        )  # (batch, places, channels)
        looks = keras.ops.concatenate([keras.ops.max(looks, axis=1), keras.ops.mean(looks, axis=1)], axis=-1)

        x = active(layers.Conv3D(width, (3, 4, 4), (1, 2, 2), "same")(clips))
        x = keras.ops.reshape(x, (-1, *x.shape[2:]))  # (batch · time, height / 2, width / 2, channels)
        x = active(layers.Conv2D(2 * width, 3, 1, "same")(x))
        found = keras.ops.concatenate(
            [soft_argmax(x), keras.ops.max(x, axis=(1, 2)), keras.ops.mean(x, axis=(1, 2))], axis=-1
        )
        x = keras.ops.reshape(found, (-1, time, found.shape[-1]))  # (batch, time, 8 · width)
        for _ in range(2):
            x = active(layers.Conv1D(4 * width, 4, 2, "same")(x))
        x = keras.ops.concatenate([looks, layers.Flatten()(x)], axis=-1)
        return keras.Model(clips, layers.Dense(self.feature_size)(x), name="eye")

    def get_config(self):
        return {
            "clip_shape": self.clip_shape, "colors": self.colors, "labels": self.labels,
            "feature_size": self.feature_size, "width": self.width, "label_weights": self.label_weights, "name": self.name,
        }  # fmt: skip

    def call(self, clips, training=False):
        """Answers for every colour, (batch, colors, 1 + classes … + 2 · time), as logits and relative places."""
        return self.mouth(self.eye(clips, training=training), training=training)

    def answers(self, y_pred: tf.Tensor) -> dict[str, tf.Tensor]:
        """What `call` returned, by name: present (batch, colors, 1), each label (batch, colors, classes),
        position (batch, colors, 2 · time) from -1 to 1 across the frame."""
        return dict(zip(self.term_names, tf.split(y_pred, self.sizes, axis=-1), strict=True))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        time, height, width = self.clip_shape[:3]
        slot = tf.one_hot(y["color"], self.colors)  # (batch, 2 things, colors); an absent thing, -1, is all zero
        present = tf.reduce_sum(slot, axis=1)  # (batch, colors)
        answers = self.answers(y_pred)
        said = answers["present"][..., 0]
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(present, said)) * self.colors
        self.terms["color"].update_state(tf.reduce_all((said > 0) == (present > 0), axis=-1))
        things = tf.maximum(tf.reduce_sum(present), 1)
        for name in self.labels:
            wanted = tf.reduce_sum(slot * tf.cast(y[name], tf.float32)[..., None], axis=1)  # (batch, colors)
            wanted = tf.cast(wanted, tf.int32)
            cross = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(wanted, 0), answers[name])
            loss += self.label_weights[name] * tf.reduce_sum(cross * present) / things
            right = tf.cast(tf.argmax(answers[name], axis=-1, output_type=tf.int32) == wanted, tf.float32)
            self.terms[name].update_state(right, sample_weight=present)
        place = tf.where(tf.math.is_nan(y["position"]), 0.0, y["position"])  # (batch, time, 2 things, 2)
        place = tf.einsum("btkx,bkc->bctx", place, slot) / [width / 2, height / 2] - 1
        miss = tf.square(tf.reshape(answers["position"], (-1, self.colors, time, 2)) - place)
        loss += 10 * tf.reduce_sum(tf.reduce_mean(miss, axis=(2, 3)) * present) / things
        far = tf.sqrt(tf.reduce_sum(miss * [(width / 2) ** 2, (height / 2) ** 2], axis=-1))  # pixels
        self.terms["pixels"].update_state(tf.reduce_mean(far, axis=2), sample_weight=present)
        return shared(loss)

    def features(self, clips: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The numbers in which sets of clips are compared.

        Args:
            clips: float32 (count, *clip_shape) in [-1, 1].
            batch_size: clips at a time.

        Returns:
            float32 (count, feature_size).

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        return self._in_batches(self.eye, clips, batch_size)

    def read(self, clips: np.ndarray, batch_size: int = 64) -> dict[str, np.ndarray]:
        """What the judge sees of the two things that it is surest of: "count" (n,), "color" and each label (n, 2) in the
        order of colours, -1 where a thing is absent, and "position" float32 (n, time, 2 things, 2) in pixels.

        Raises:
            ValueError: as `features`.
        """
        answers = {
            name: value.numpy() for name, value in self.answers(self._in_batches(self, clips, batch_size)).items()
        }
        said = answers["present"][..., 0]  # (n, colors)
        likely = np.argsort(-said, axis=1)[:, :2]
        there = np.take_along_axis(said, likely, axis=1) > 0
        color = np.where(there, likely, self.colors)
        order = np.argsort(color, axis=1)
        likely, there = np.take_along_axis(likely, order, 1), np.take_along_axis(there, order, 1)
        time, height, width = self.clip_shape[:3]
        found = {"count": there.sum(axis=1), "color": np.where(there, likely, -1)}
        rows = np.arange(len(said))[:, None]
        for name in self.labels:
            found[name] = np.where(there, answers[name].argmax(-1)[rows, likely], -1)
        place = answers["position"].reshape(-1, self.colors, time, 2)[rows, likely]  # (n, 2 things, time, 2)
        place = (place + 1) * np.array([width / 2, height / 2], np.float32)
        found["position"] = np.where(there[..., None, None], place, np.nan).transpose(0, 2, 1, 3)
        return found

    def _in_batches(self, network: keras.Model, clips: np.ndarray, batch_size: int) -> np.ndarray:
        clips = check_clips(clips, self.clip_shape)
        check_count(batch_size, "batch_size")
        parts = range(0, len(clips), batch_size)
        return np.concatenate([network(clips[start : start + batch_size], training=False).numpy() for start in parts])
