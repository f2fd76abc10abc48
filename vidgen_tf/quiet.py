"""TensorFlow and Keras without their start-up noise: `from vidgen_tf.quiet import keras, tf`.

TensorFlow writes to the process's error stream from C++ when it is imported and when it first looks for
devices; no Python setting removes the first lines. So the stream is pointed at a file for these two moments.
If the import fails, what was written is shown with the error: nothing is swallowed that explains a failure.
"""

import math
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Sends what is written to file descriptor 2 to a file; shows it only if the body raises."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(saved, 2)
            noise.seek(0)
            os.write(2, noise.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow has fast kernels for all processors, but uses them by itself only where there is AVX-512; without them the
# slopes of 3-D convolutions take fourteen times as long.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
with quiet_stderr():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()
    # One of its rewritings of a graph fails on leaky ReLU, says so on the error stream in the midst of a lesson, and gains little.
    tf.config.optimizer.set_experimental_options({"remapping": False})

_ONE = threading.RLock()


@contextmanager
def weights_up_to(most: int) -> Iterator[None]:
    """While the body makes networks from what a file says, ValueError before they have more than so many weights in all.
    One thread after the other; what others make meanwhile does not count."""
    layer, made, thread = keras.layers.Layer, 0, threading.get_ident()

    def counted(self, shape=None, *arguments, **options):
        nonlocal made
        if threading.get_ident() == thread:
            made += math.prod(shape or ())
            if made > most:
                raise ValueError(f"it asks for a network of more than {most:,} weights")
        return add_weight(self, shape, *arguments, **options)

    with _ONE:
        add_weight = layer.add_weight
        layer.add_weight = counted
        try:
            yield
        finally:
            layer.add_weight = add_weight


__all__ = ["keras", "quiet_stderr", "tf", "weights_up_to"]
