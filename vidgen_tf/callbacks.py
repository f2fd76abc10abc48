"""What happens during `fit`: frames that appear while the network learns.

Each picture is a new output below the last, so that the notebook keeps the whole story and runs the same as a
test; an output that overwrites itself would do neither.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np

from vidgen_tf import preview
from vidgen_tf.clips import check_count, check_path, to_uint8
from vidgen_tf.quiet import keras, tf


class LiveFrames(keras.callbacks.Callback):
    """Shows a filmstrip before training, after epochs 1, 2, 4, 8, …, and after the last: learning is fastest at first.

    Args:
        clips_of: what to show: model to a clip (time, height, width, channels), or to a batch of clips.
        frames: frames in a filmstrip at most.
        titles: one for each frame of a clip; None numbers them.
        show: what is done with each `Picture`; None shows it in the notebook.
    """

    def __init__(
        self,
        clips_of: Callable[[keras.Model], np.ndarray],
        frames: int = 10,
        titles: Sequence[str] | None = None,
        show: Callable[[preview.Picture], None] | None = None,
    ):
        super().__init__()
        if not callable(clips_of):
            raise ValueError(f"clips_of is {clips_of!r:.60}, but a function from the model to clips was expected.")
        self.clips_of, self.frames, self.titles = clips_of, check_count(frames, "frames"), titles
        self.show = show or _display

    def on_train_begin(self, logs=None):
        self._picture("before training", {})

    def on_epoch_end(self, epoch, logs=None):
        done, last = epoch + 1, self.params["epochs"]
        if done & (done - 1) == 0 or done == last:  # a power of two has a single bit
            self._picture(f"after epoch {done} of {last}", logs or {})

    def _picture(self, moment: str, logs: dict) -> None:
        clips = np.asarray(self.clips_of(self.model))
        clips = clips[None] if clips.ndim == 4 else clips
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in logs.items())
        captions = [f"{moment}: {numbers}" if numbers else moment] + [""] * (len(clips) - 1)
        picture = preview.filmstrip(clips, self.frames, captions, self.titles)
        self.show(preview.Picture(picture.png, f"{picture.description}, {moment}", picture.width))


class Board(keras.callbacks.Callback):
    """Writes what TensorBoard shows: after each epoch the losses, and the frames of some new clips side by side.

    TensorBoard itself is not needed to write; to look: `pip install tensorboard`, `tensorboard --logdir FOLDER`.

    Args:
        folder: where to; it is made.
        count: how many new clips, the same seed each time; 0 for none. Models that make none by themselves show none.
    """

    def __init__(self, folder: str | os.PathLike, count: int = 4):
        super().__init__()
        self.folder, self.count = check_path(folder), check_count(count, "count", least=0)
        self.writer = None

    def on_epoch_end(self, epoch, logs=None):
        self.writer = self.writer or tf.summary.create_file_writer(str(self.folder))
        step = int(self.model.optimizer.iterations)
        with self.writer.as_default():
            for name, value in (logs or {}).items():
                _tell(name, tf.constant(float(value)), step, "scalars")
            for number, clip in enumerate(self._clips()):
                strip = np.concatenate(to_uint8(clip), axis=1)  # (height, time · width, channels)
                sides = [str(side).encode() for side in (strip.shape[1], strip.shape[0])]
                _tell(f"clip {number}", tf.constant([*sides, tf.io.encode_png(strip).numpy()]), step, "images")
        self.writer.flush()

    def _clips(self) -> np.ndarray | list:
        try:
            return self.model.generate(self.count, seed=0) if self.count and hasattr(self.model, "generate") else []
        except (NotImplementedError, ValueError):  # it makes none by itself, or its weights are broken
            return []


def _tell(name: str, value: tf.Tensor, step: int, plugin: str) -> None:
    """One summary, for a plugin of TensorBoard."""
    metadata = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": plugin})
    tf.summary.write(name, value, step, metadata)


def _display(picture: preview.Picture) -> None:
    from IPython.display import display

    display(picture)
