"""What happens during `fit`: frames that appear while the network learns.

Each picture is a new output below the last, so that the notebook keeps the whole story and runs the same as a
test; an output that overwrites itself would do neither.
"""

from collections.abc import Callable

import numpy as np

from vidgen_tf import preview
from vidgen_tf.clips import check_count
from vidgen_tf.quiet import keras


class LiveFrames(keras.callbacks.Callback):
    """Shows a filmstrip at the start of training and after every few epochs.

    Args:
        clips_of: what to show: model to clips (count, time, height, width, channels).
        every: epochs between two filmstrips.
        frames: frames in a filmstrip at most.
        show: what is done with each `Picture`; None shows it in the notebook.
    """

    def __init__(
        self,
        clips_of: Callable[[keras.Model], np.ndarray],
        every: int = 1,
        frames: int = 10,
        show: Callable[[preview.Picture], None] | None = None,
    ):
        super().__init__()
        self.clips_of, self.every, self.frames = clips_of, check_count(every, "every"), check_count(frames, "frames")
        self.show = show or _display

    def on_train_begin(self, logs=None):
        self._picture("before training", {})

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            self._picture(f"after epoch {epoch + 1} of {self.params['epochs']}", logs or {})

    def _picture(self, moment: str, logs: dict) -> None:
        clips = self.clips_of(self.model)
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in logs.items())
        captions = [f"{moment}: {numbers}" if numbers else moment] + [""] * (len(clips) - 1)
        picture = preview.filmstrip(clips, self.frames, captions)
        self.show(preview.Picture(picture.png, f"{picture.description}, {moment}", picture.width))


def _display(picture: preview.Picture) -> None:
    from IPython.display import display

    display(picture)
