"""The next frame from the frames before it: where nothing is left to chance, to foretell is to generate.

A convolutional network looks at the last few frames and says by how much the next one differs from the last; a
recurrent memory can tell it of those before. Fed with its own frames it goes on for as long as one likes:

    frame[t] = tanh(2 · frame[t-1] + change),    change = painter(x, memory[t]),    x = eye(frame[t-given], …, frame[t-1]),
    memory[t] = keep · memory[t-1] + (1 - keep) · new,    keep and new from x and memory[t-1]    (a convolutional GRU)

It is trained on the frames before each frame as they were in truth (teacher forcing), by the squared error: so where the
future is open, it shows the mean of all futures, which may be like none of them.

X. Shi et al.: Convolutional LSTM Network. NeurIPS 2015, https://arxiv.org/abs/1506.04214
N. Ballas, L. Yao, C. Pal, A. Courville: Delving Deeper into Convolutional Networks for Learning Video Representations.
ICLR 2016, https://arxiv.org/abs/1511.06432 (the convolutional GRU)
M. Mathieu, C. Couprie, Y. LeCun: Deep multi-scale video prediction beyond mean square error. ICLR 2016,
https://arxiv.org/abs/1511.05440 (what the mean of all futures looks like)
N. Kalchbrenner et al.: Video Pixel Networks. ICML 2017, https://arxiv.org/abs/1610.00527 (the cross-entropy of grey values)
"""

import numpy as np

from vidgen_tf.clips import check_clips, check_count, check_seed, check_values
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel, batches, draw_seed

SHARPEN = 2.0  # tanh(2 · frame) is nearly the frame where it is black or white
FARTHEST = 7.0  # from 0, before the tanh, of what is shown: never quite black or white, so never infinitely wrong
VIEWS = 8  # of a square: four turns, each also mirrored
WINDOWS = 512  # go through the networks at once outside of training


@keras.saving.register_keras_serializable(package="vidgen_tf")
class NextFrame(VideoModel):
    """Foretells the next frame, and so all that follow.

    `predict_next` foretells each frame of clips from the true frames before it; `rollout` goes on from given frames with its
    own. It cannot begin: `generate` goes on from one of a few beginnings of training clips that it has kept (gray frames
    before training). They are remembered, the rest is made.

    Args:
        clip_shape: (time, height, width, channels).
        given: how many frames before a frame are seen at once; a clip has more.
        width: channels of the feature maps, which have half of the frame's height and width.
        depth: residual blocks of two convolutions each.
        memory_size: channels of the memory that runs through the frames; 0 for none.
        windows: how many frames of each clip a training step foretells, to save time: drawn at random, one after the other
            where there is a memory, which then begins with them. None takes all.
        distribution: None, or "bernoulli": a pixel's grey value from 0 to 1 is taken for the probability of ink, and the
            loss is the cross-entropy. Frames show probabilities in both cases; none are drawn.
        starts: how many beginnings are kept; no more different clips can be generated.
        seed: of the weights.

    Raises:
        ValueError: for arguments other than these.
    """

    loss_names = ("loss", "squared_error")

    def __init__(
        self, clip_shape, given=4, width=64, depth=5, memory_size=0, windows=None, distribution=None, starts=16, seed=0,
        **kwargs,
    ):  # fmt: skip
        super().__init__(clip_shape, **kwargs)
        self.given, self.width, self.depth = (
            check_count(given, "given"), check_count(width, "width"), check_count(depth, "depth", least=0)
        )  # fmt: skip
        if self.given >= self.clip_shape[0]:
            raise ValueError(
                f"given is {given}, but a clip has {self.clip_shape[0]} frames; give fewer, so that one is left to foretell."
            )
        self.memory_size = check_count(memory_size, "memory_size", least=0)
        self.foretold = self.clip_shape[0] - self.given  # frames of a clip
        self.windows = self.foretold if windows is None else check_count(windows, "windows")
        if self.windows > self.foretold:
            raise ValueError(
                f"windows is {windows}, but {self.foretold} frames of a clip can be foretold; give at most as many."
            )
        if distribution not in (None, "bernoulli"):
            raise ValueError(f"distribution is {distribution!r:.60}, but None or 'bernoulli' was expected.")
        self.distribution, self.seed = distribution, check_seed(seed)
        check_values(self.clip_shape, "a clip")
        check_values((3, 3, self.width + self.memory_size, max(self.width, 2 * self.memory_size)), "a layer")
        self.random = keras.random.SeedGenerator(self.seed % 2**31)
        self.coarse = tuple(-(-side // 2) for side in self.clip_shape[1:3])
        self.eye, self.painter = self._eye(), self._painter()
        self.memory = self._memory() if self.memory_size else None
        kept = (check_count(starts, "starts"), self.given, *self.clip_shape[1:])
        check_values(kept, "the beginnings that are kept")
        self.starts = self.add_weight(shape=kept, initializer="zeros", trainable=False, name="starts")
        self.built = True

    # The networks.

    def _conv(self, x, channels, activation=None, scale=2.0, bias="zeros"):
        start = keras.initializers.VarianceScaling(scale, seed=self.random)
        return keras.layers.Conv2D(channels, 3, padding="same", activation=activation, kernel_initializer=start,
                                   bias_initializer=bias)(x)  # fmt: skip

    def _eye(self) -> keras.Model:
        """Windows (batch, height, width, given · channels) to feature maps (batch, *coarse, width)."""
        windows = keras.Input((*self.clip_shape[1:3], self.given * self.clip_shape[3]))
        start = keras.initializers.HeNormal(self.random)
        x = keras.layers.Conv2D(self.width, 4, 2, "same", activation="relu", kernel_initializer=start)(windows)
        return keras.Model(windows, x, name="eye")

    def _memory(self) -> keras.Model:
        """Feature maps (batch, *coarse, width) and memory (batch, *coarse, memory_size) to the next memory."""
        x, old = keras.Input((*self.coarse, self.width)), keras.Input((*self.coarse, self.memory_size))
        gates = self._conv(keras.ops.concatenate([x, old], axis=-1), 2 * self.memory_size, "sigmoid", 1.0, "ones")
        keep, use = keras.ops.split(gates, 2, axis=-1)
        new = self._conv(keras.ops.concatenate([x, use * old], axis=-1), self.memory_size, "tanh", 1.0)
        return keras.Model([x, old], keep * old + (1 - keep) * new, name="memory")

    def _painter(self) -> keras.Model:
        """Feature maps (batch, *coarse, width), and the memory if there is one, to changes (batch, height, width, channels)."""
        height, width, channels = self.clip_shape[1:]
        inputs = [keras.Input((*self.coarse, size)) for size in (self.width, self.memory_size) if size]
        x = inputs[0]
        if self.memory_size:
            x = self._conv(keras.ops.concatenate(inputs, axis=-1), self.width, "relu")
        for _ in range(self.depth):
            x = keras.ops.relu(x + self._conv(self._conv(x, self.width, "relu"), self.width, scale=0.2))
        small = keras.initializers.VarianceScaling(0.02, seed=self.random)
        x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", kernel_initializer=small)(x)
        return keras.Model(inputs, x[:, :height, :width], name="painter")

    # What it is made of, on any backend of Keras.

    def foretell(self, clips):
        """What follows each window of `given` frames, from (batch, time, height, width, channels), but after the last frame:
        (batch, time - given, height, width, channels), before the tanh."""
        ops, frames = keras.ops, clips.shape[1] - self.given
        seen = ops.concatenate([clips[:, first : first + frames] for first in range(self.given)], axis=-1)
        x = self.eye(ops.reshape(seen, (-1, *seen.shape[2:])))
        inputs = [x]
        if self.memory is not None:
            x = ops.reshape(x, (-1, frames, *x.shape[1:]))
            memories = [self.first_memory(x)]
            for t in range(frames):
                memories.append(self.memory([x[:, t], memories[-1]]))
            inputs.append(ops.reshape(ops.stack(memories[1:], axis=1), (-1, *self.coarse, self.memory_size)))
        changes = ops.reshape(self.painter(inputs), (-1, frames, *self.clip_shape[1:]))
        return SHARPEN * clips[:, self.given - 1 : -1] + changes

    def first_memory(self, x):
        """The memory before the first frame, zeros (batch, *coarse, memory_size) for x (batch, …)."""
        return keras.ops.zeros((keras.ops.shape(x)[0], *self.coarse, self.memory_size))

    def costs(self, clips) -> dict:
        """The losses of clips (batch, time, …), time above `given`: the means over clips and frames of what `losses_of` names."""
        ops = keras.ops
        raw, true = self.foretell(clips), clips[:, self.given :]
        over = lambda values: ops.mean(ops.sum(values, axis=(2, 3, 4)))  # noqa: E731
        error = over(ops.square((ops.tanh(raw) - true) / 2))
        if self.distribution is None:
            return {"loss": error, "squared_error": error}
        logits, ink = 2 * raw, (true + 1) / 2  # sigmoid(2 · raw) is the grey value of tanh(raw)
        return {"loss": over(ops.softplus(logits) - ink * logits), "squared_error": error}

    def losses_of(self, clips, condition, training):
        """Of frames foretold from the true ones before them: `squared_error`, summed over a frame's pixels, in units of the
        whole range from black to white, ((a - b) / 2)²; and `loss`, which is the same, or for "bernoulli" the
        cross-entropy in nats a frame, never below that of the grey values with themselves."""
        if not training or self.windows == self.foretold:
            return self.costs(clips)
        count, run = (
            (1, self.windows) if self.memory_size else (self.windows, 1)
        )  # draws of a clip, frames foretold in each
        shape = (tf.shape(clips)[0], count)
        first = tf.random.stateless_uniform(shape, self.step_seed(), 0, self.foretold - run + 1, tf.int32)
        frames = tf.gather(clips, first[..., None] + tf.range(self.given + run), axis=1, batch_dims=1)
        return self.costs(tf.reshape(frames, (-1, self.given + run, *self.clip_shape[1:])))

    # What it is used for.

    def predict_next(self, clips: np.ndarray, *, self_ensemble: bool = False) -> np.ndarray:
        """Each frame of clips as it is foretold from the true frames before it.

        Args:
            clips: float32 (count, time, height, width, channels), of any time above `given`.
            self_ensemble: whether the answer is the mean over the eight views of a clip: turned by quarters, and mirrored (B. Lim
                et al.: Enhanced Deep Residual Networks for Single Image Super-Resolution (EDSR). CVPR Workshops 2017,
                https://arxiv.org/abs/1707.02921). It takes eight times as long and fits worlds in which every view of a clip is as
                likely as the clip; frames must be square.

        Returns:
            float32 (count, time - given, height, width, channels): frame `given` and those after it.

        Raises:
            ValueError: for clips of other frames or range, or too few frames, or no square frames.
        """
        clips = self._check_frames(clips, self.given + 1, self_ensemble)
        few = max(1, WINDOWS // (clips.shape[1] - self.given))  # clips at a time
        parts = []
        for start in range(0, len(clips), few):
            part = clips[start : start + few]
            shown = [_shown(self.foretell(view)).numpy() for view in (_views(part) if self_ensemble else [part])]
            parts.append(_mean_of_views(shown) if self_ensemble else shown[0])
        return self.check_finite(np.concatenate(parts))

    def rollout(self, given: np.ndarray, frames: int, *, self_ensemble: bool = False) -> np.ndarray:
        """What follows on given frames, each new frame made from the ones before it.

        Args:
            given: float32 (count, k, height, width, channels), k at least `given`; a memory is told all of them.
            frames: how many further frames, at least 1.
            self_ensemble: whether each new frame is the mean over eight views, as in `predict_next`.

        Returns:
            float32 (count, frames, height, width, channels), without the given ones.

        Raises:
            ValueError: for given frames of another shape or range, too few of them, no square ones, or a bad number of frames.
        """
        given = self._check_frames(given, self.given, self_ensemble)
        check_values((len(given), check_count(frames, "frames"), *self.clip_shape[1:]), "the clips")
        return self.check_finite(np.concatenate([self._roll(part, frames, self_ensemble) for part in batches(given)]))

    def _roll(self, shown: np.ndarray, frames: int, self_ensemble: bool = False) -> np.ndarray:
        shown = np.concatenate(_views(shown)) if self_ensemble else shown
        seen, made = list(np.moveaxis(shown, 1, 0)), []
        memory = self.first_memory(shown)
        first = self.given if self.memory_size else len(seen)
        for end in range(first, len(seen) + frames):
            x = self.eye(tf.concat(seen[end - self.given : end], axis=-1))
            memory = self.memory([x, memory]) if self.memory is not None else memory
            if end == len(seen):
                change = self.painter([x, memory] if self.memory is not None else [x])
                frame = _shown(SHARPEN * seen[-1] + change).numpy()
                if self_ensemble:
                    mean = _mean_of_views([view[:, None] for view in np.split(frame, VIEWS)])
                    frame = np.concatenate(_views(mean))[:, 0]
                seen.append(frame)
                made.append(frame[: len(frame) // VIEWS] if self_ensemble else frame)  # the first view is as it came
        return np.stack(made, axis=1)

    def draw(self, count, condition, seed):
        order = tf.argsort(tf.random.stateless_uniform(self.starts.shape[:1], draw_seed(seed))).numpy()
        starts = self.starts.numpy()[np.resize(order, count)]
        made = [self._roll(part, self.foretold) for part in batches(starts)]
        return np.concatenate([starts, np.concatenate(made)], axis=1)

    def remember(self, clips: np.ndarray) -> None:
        """Keeps the beginnings of these clips, float32 (count, time, height, width, channels), for `generate`: of the first
        ones if there are more than `starts`, several times if there are fewer."""
        clips = self._check_frames(clips, self.given)
        self.starts.assign(np.resize(clips[:, : self.given], self.starts.shape))

    def before_fit(self, x, batch_size):
        """Keeps the beginnings of the first clips, if none were kept before."""
        if self.starts.numpy().any():
            return
        if isinstance(x, tf.data.Dataset):
            first = []
            for batch in x:
                first.append((batch[0] if isinstance(batch, tuple) else batch)[:, : self.given].numpy())
                if sum(map(len, first)) >= self.starts.shape[0]:
                    break
            x = np.concatenate(first)
        self.remember(x)

    def _check_frames(self, clips, least: int, square: bool = False) -> np.ndarray:
        """Clips with at least as many frames, and square ones if asked for, else ValueError."""
        clips = check_clips(clips)
        if not isinstance(square, bool) or (square and self.clip_shape[1] != self.clip_shape[2]):
            raise ValueError(
                f"self_ensemble is {square!r:.40} for frames of {self.clip_shape[1]} × {self.clip_shape[2]} pixels, but True or "
                "False was expected, and True for square frames only."
            )
        if clips.shape[2:] != self.clip_shape[1:] or clips.shape[1] < least:
            raise ValueError(
                f"The clips have shape {clips.shape}, but (count, {least} or more, {', '.join(map(str, self.clip_shape[1:]))}) "
                "was expected; cut or resize them."
            )
        return clips

    def get_config(self):
        return super().get_config() | {
            "given": self.given, "width": self.width, "depth": self.depth, "memory_size": self.memory_size,
            "windows": self.windows, "distribution": self.distribution, "starts": self.starts.shape[0], "seed": self.seed,
        }  # fmt: skip


def _shown(raw: tf.Tensor) -> tf.Tensor:
    """Frames, from what they are before the tanh."""
    return tf.tanh(tf.clip_by_value(raw, -FARTHEST, FARTHEST))


def _views(clips: np.ndarray) -> list[np.ndarray]:
    """Clips (count, time, side, side, channels) as they are, turned by one to three quarters, and all of these mirrored."""
    turned = [np.rot90(clips, quarters, axes=(2, 3)) for quarters in range(VIEWS // 2)]
    return [np.ascontiguousarray(view) for view in (*turned, *(view[:, :, :, ::-1] for view in turned))]


def _mean_of_views(views: list[np.ndarray]) -> np.ndarray:
    """The mean of what is in such views, each turned back."""
    plain = [view if number < VIEWS // 2 else view[:, :, :, ::-1] for number, view in enumerate(views)]
    back = [np.rot90(view, -(number % (VIEWS // 2)), axes=(2, 3)) for number, view in enumerate(plain)]
    return np.mean(back, axis=0, dtype=np.float32)
