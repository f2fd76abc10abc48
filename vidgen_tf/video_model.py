"""The contract that every family of generators keeps: `VideoModel`, a `keras.Model`.

To write a new family, subclass `VideoModel` in a file of its own under `families/` and state three things:

1. `__init__(self, clip_shape, …, **kwargs)`: pass `clip_shape` on, make the layers, build them at once
   (the shapes are known), and set `self.built = True`; `get_config` returns every argument, so that `save`
   and `load` work. Decorate the class with `@keras.saving.register_keras_serializable(package="vidgen_tf")`.
2. `losses_of(clips, condition, training)`: a dictionary of scalars. `"loss"` is what training lowers; the
   others are its named terms and are logged beside it: name them in the class attribute `loss_names`.
   Draw noise with `tf.random.stateless_*` keyed by `self.step_seed()`: an integer seed would be
   frozen when the step is traced.
3. `draw(count, condition, seed)`: new clips. Key every random number by `seed`.

Everything else is Keras's own: `compile`, `fit`, `evaluate`, `save`. Data is `clips`, or pairs
`(clips, condition)`, as arrays or as a `tf.data.Dataset` of batches. A family whose training is not one loss
(a GAN) overrides `train_step`. A model inside another is an argument of its `__init__`.

Then add the family to the list in `tests/test_families.py` and write its lesson.
"""

import os
import zipfile
from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_path, check_seed, check_values, reason_of
from vidgen_tf.quiet import keras, tf, weights_up_to

BATCH = 64  # clips that go through a network at once outside of training
UNFOLDED = 20  # times the size of its file that a model may take; weights as Keras writes them are not even zipped


class HasPreset:
    """What a model needs for `presets`, beside being a `keras.Model`: which of its weights a preset holds."""

    @property
    def preset_weights(self) -> list[keras.Variable]:
        """The weights that a preset of this model holds."""
        return self.weights

    def set_preset_weights(self, weights: list[np.ndarray]) -> None:
        """Takes the weights of a preset, in the order of `preset_weights`."""
        for variable, weight in zip(self.preset_weights, weights, strict=True):
            variable.assign(weight)

    def fit(self, x=None, y=None, **kwargs):
        """`keras.Model.fit`; for a model that was built for several devices `scale_out.fit`."""
        where = getattr(self, "distribute_strategy", None)
        if where is None or where.num_replicas_in_sync == 1:
            return super().fit(x, y, **kwargs)
        from vidgen_tf import scale_out

        return scale_out.fit(self, x, **kwargs)

    @classmethod
    def from_file(cls, path: str | os.PathLike):
        """A model that `save` wrote to a file; nothing that the file holds is executed, and only classes of the kit are made.

        Raises:
            FileNotFoundError: where there is no such file.
            ValueError: for a file that is damaged, unfolds to far more than it should, or holds code or another model.
        """
        import vidgen_tf

        path = check_path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}; check the name.")
        for name in vidgen_tf.__all__:  # Keras knows a class once its module is loaded
            getattr(vidgen_tf, name)
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(part.file_size for part in archive.infolist())
            if size > UNFOLDED * path.stat().st_size:
                raise ValueError(f"it unfolds to more than {UNFOLDED} times its size")
            with weights_up_to(size):  # each takes more than a byte
                model = keras.saving.load_model(path, safe_mode=True)
        except Exception as error:  # on broken files Keras, zipfile and h5py raise nearly everything
            raise ValueError(
                f"{path} holds no model of the kit, whole and without code ({reason_of(error)})."
            ) from None
        if not isinstance(model, cls):
            raise ValueError(f"{path} holds a {type(model).__name__}, not a {cls.__name__}.")
        return model


class VideoModel(HasPreset, keras.Model):
    """A generator of clips; see the module's docstring for how to write one.

    Args:
        clip_shape: (time, height, width, channels) of the clips it learns and makes.

    Attributes:
        loss_names: what `losses_of` returns, `"loss"` first.
        conditional: whether `generate` and `losses_of` take a condition.
        vocabulary: the `text.Vocabulary` of a family whose conditions are sentences or labels, else None.
        mixed: whether it can also be trained in "mixed_bfloat16".
        fixed: attributes with models inside of this one, whose weights `fit` leaves as they are.
    """

    loss_names: tuple[str, ...] = ("loss",)
    conditional = False
    vocabulary = None
    mixed = False
    fixed: tuple[str, ...] = ()

    def __init__(self, clip_shape: tuple[int, int, int, int], **kwargs):
        super().__init__(**kwargs)
        self.clip_shape = check_clip_shape(clip_shape)
        self.terms = {name: keras.metrics.Mean(name) for name in self.loss_names[1:]}

    def losses_of(self, clips: tf.Tensor, condition: tf.Tensor | None, training: bool) -> dict[str, tf.Tensor]:
        """The scalars named in `loss_names`, for clips (batch, time, height, width, channels)."""
        raise NotImplementedError(f"{type(self).__name__} must say what training lowers: write losses_of.")

    def draw(self, count: int, condition: np.ndarray | None, seed: int) -> tf.Tensor:
        """New clips (count, time, height, width, channels); called by `generate` with arguments that are checked."""
        raise NotImplementedError(f"{type(self).__name__} must say how it makes clips: write draw.")

    def generate(self, count: int, condition: np.ndarray | None = None, *, seed: int, **settings) -> np.ndarray:
        """New clips: the same seed gives the same clips.

        Args:
            count: how many clips, at least 1.
            condition: what is asked for, one entry a clip, where the family takes one; its docstring says what.
            seed: whole number from 0.
            settings: what the `draw` of this family takes besides; its own `generate` names them.

        Returns:
            float32 (count, time, height, width, channels), values in [-1, 1].

        Raises:
            ValueError: for a count below 1, a seed that is no whole number, or a condition that does not fit.
        """
        check_count(count)
        check_seed(seed)
        check_values((count, *self.clip_shape), "the clips")
        clips = np.asarray(self.draw(count, self.check_condition(condition, count), seed, **settings), np.float32)
        if clips.shape != (count, *self.clip_shape):
            raise RuntimeError(f"{type(self).__name__}.draw made {clips.shape}, not {(count, *self.clip_shape)}.")
        return np.clip(self.check_finite(clips), -1, 1)

    def check_finite(self, made: np.ndarray) -> np.ndarray:
        """What the model made, if it has no NaN or infinity; else ValueError."""
        if not np.isfinite(made).all():
            raise ValueError(
                f"{type(self).__name__} made NaN or infinite numbers: its weights are broken; "
                "build it anew and train it with a smaller learning rate."
            )
        return made

    def check_condition(self, condition: np.ndarray | None, count: int) -> np.ndarray | None:
        """The condition as an array with one entry for each of `count` clips, or ValueError."""
        if condition is None:
            return None
        if not self.conditional:
            raise ValueError(f"{type(self).__name__} takes no condition, but one was given; leave it out.")
        if self.vocabulary is not None:
            return self.vocabulary.check(condition, count)
        condition = as_array(condition, "condition")
        if condition.ndim == 0 or len(condition) != count:
            raise ValueError(
                f"condition has shape {condition.shape}, but one entry for each of {count} clips was expected."
            )
        return condition

    def check_condition_spec(self, spec) -> None:
        """ValueError if the conditions of a dataset, of which only shape and type are known, cannot fit."""
        if not self.conditional:
            raise ValueError(f"{type(self).__name__} takes no condition, but the dataset holds pairs; leave it out.")
        if self.vocabulary is not None:
            self.vocabulary.check_spec(spec)

    @classmethod
    def from_preset(cls, name: str) -> "VideoModel":
        """A model with trained weights that ship with the kit; `python -m vidgen_tf list` names them.

        Raises:
            ValueError: for an unknown name, damaged weights, or the preset of another family.
        """
        from vidgen_tf import presets

        model = presets.load(name)
        if not isinstance(model, cls):
            raise ValueError(f"The preset {name!r} is a {type(model).__name__}, not a {cls.__name__}.")
        return model

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """What `fit` changes: all trainable weights but those of the models named in `fixed`."""
        inside = [getattr(self, name, None) for name in self.fixed]
        kept = {id(weight) for model in inside if model is not None for weight in model.weights}
        return [weight for weight in super().trainable_weights if id(weight) not in kept]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """As `trainable_weights`."""
        return self.trainable_weights

    def get_config(self) -> dict:
        return {"clip_shape": self.clip_shape, "name": self.name}

    def before_fit(self, x, batch_size: int) -> None:
        """Called by `fit` before the first step, with clips or a dataset that are checked: for what starts from the data."""

    def step_seed(self) -> tf.Tensor:
        """Another seed for each step and each replica, the same when a run is resumed."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer = getattr(self, "optimizer", None)  # there is none before compile
        step = optimizer.iterations if optimizer is not None else 0
        return tf.stack([4 * tf.cast(replica, tf.int64), tf.cast(step, tf.int64)])  # each step draws four times

    # What follows ties the contract to Keras.

    def call(self, clips, training=False):
        """The clips themselves: Keras calls the model before it asks for the loss, and all work is in `losses_of`."""
        return clips

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        losses = self.losses_of(self.checked(x), y, training)
        for name, term in self.terms.items():
            term.update_state(losses[name])
        if not training:
            return shared(losses["loss"])
        check = tf.debugging.assert_equal(
            tf.math.is_finite(losses["loss"]), True,
            "the loss became NaN or infinite, so the weights are broken; go back to weights that were saved before, or "
            "build the model anew, and try a smaller learning rate",
        )  # fmt: skip
        with tf.control_dependencies([check] if check is not None else []):
            return shared(tf.identity(losses["loss"]))

    def checked(self, clips: tf.Tensor) -> tf.Tensor:
        """The clips of a batch, once their shape fits and their values lie in [-1, 1]; for use inside of a step."""
        self.check_shape(clips)
        lowest, highest = tf.reduce_min(clips), tf.reduce_max(clips)  # NaN spreads to both
        checks = [
            tf.debugging.assert_greater_equal(lowest, -1.0, "the clips have values below -1, or NaN"),
            tf.debugging.assert_less_equal(highest, 1.0, "the clips have values above 1, or NaN"),
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            return tf.identity(clips)

    def fit(self, x=None, y=None, **kwargs):
        """`keras.Model.fit`, after a look at the data: x is clips or a dataset of batches, y the condition. ValueError for
        data that do not fit, and where the loss becomes NaN or infinite (not with `jit_compile`, which drops all checks)."""
        for name in ("sample_weight", "class_weight"):
            if kwargs.get(name) is not None:
                raise ValueError(f"{name} was given, but all clips weigh the same here; leave it out.")
        x, y = self.check_data(x, y)
        validation = kwargs.get("validation_data")
        if isinstance(validation, tuple):
            kwargs["validation_data"] = (*self.check_data(*validation[:2]), *validation[2:])
        elif validation is not None:
            self.check_data(validation)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # a dataset has its own order; Keras warns otherwise
        for name in {"epochs", "batch_size", "steps_per_epoch"} & kwargs.keys():
            if kwargs[name] is not None:
                check_count(kwargs[name], name)
        try:
            with refusals_in_one_sentence():
                self.before_fit(x, kwargs.get("batch_size") or 32)
                if getattr(self, "compiled", False) and not self.optimizer.built:
                    self.optimizer.build(self.trainable_variables)  # a step that creates variables is traced twice
                return super().fit(x, y, **kwargs)
        except Exception:
            self.train_function = None  # a step that failed while it was traced cannot be traced again
            raise

    def predict(self, *args, **kwargs):
        """There is no prediction of clips from clips: raises ValueError and says what to call instead."""
        raise ValueError(f"{type(self).__name__} makes clips with generate(count, seed=0); it has no predict.")

    def evaluate(self, x=None, y=None, **kwargs):
        """`keras.Model.evaluate`, after a look at the data."""
        x, y = self.check_data(x, y)
        with refusals_in_one_sentence():
            return super().evaluate(x, y, **kwargs)

    def check_data(self, x, y=None) -> tuple:
        """Clips and condition as `fit` takes them; ValueError for clips of another kind, shape, type or range, none at all,
        or a condition that does not fit. Of a dataset only shape and type are known before it runs."""
        if isinstance(x, tf.data.Dataset):
            spec = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
            if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.float32:
                raise ValueError(
                    f"The dataset holds {spec}, but batches of float32 clips, or pairs (clips, condition), were expected."
                )
            self.check_shape(spec)
            if y is not None:
                raise ValueError(
                    "A condition came beside a dataset; zip it into the dataset: pairs (clips, condition)."
                )
            if x.cardinality() == 0:
                raise ValueError("The dataset has no batch in it; give at least one.")
            if isinstance(x.element_spec, tuple) and len(x.element_spec) > 2:
                raise ValueError(
                    f"The dataset holds {len(x.element_spec)} things side by side, but batches of clips, or pairs "
                    "(clips, condition), were expected."
                )
            if isinstance(x.element_spec, tuple) and len(x.element_spec) == 2:
                self.check_condition_spec(x.element_spec[1])
        elif x is None or isinstance(x, (list, tuple)) or hasattr(x, "__array__"):
            x = check_clips(x)
            self.check_shape(x)
            y = self.check_condition(y, len(x))
        else:
            raise ValueError(
                f"The clips came as a {type(x).__name__}, but an array or a tf.data.Dataset of batches was expected; "
                "np.stack or tf.data.Dataset.from_generator make one."
            )
        return x, y

    def check_shape(self, clips) -> None:
        """Raises ValueError for anything whose frames or length are not `clip_shape`."""
        shape = () if clips.shape is None or tf.TensorShape(clips.shape).rank is None else tuple(clips.shape)
        if len(shape) != 5 or any(
            have not in (None, want) for have, want in zip(shape[1:], self.clip_shape, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__} got clips of shape {shape}, but (batch, {', '.join(map(str, self.clip_shape))}) "
                "was expected; cut or resize them, or build the model with another clip_shape."
            )


def shared(loss: tf.Tensor) -> tf.Tensor:
    """What a replica adds to the loss of the whole batch, whose mean over all replicas is lowered."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return loss if replicas == 1 else loss / replicas


def draw_seed(seed: int) -> tf.Tensor:
    """The seed of the noise for `generate`: none of those that training draws from."""
    return tf.constant([-4, seed], tf.int64)


def evenly_apart(time: int, count: int, seed: tf.Tensor) -> tf.Tensor:
    """The numbers of `count` of `time` frames, evenly apart, the first one by chance."""
    apart = time // count
    first = tf.random.stateless_uniform((), seed, 0, time - apart * (count - 1), tf.int32)
    return first + apart * tf.range(count)


def batches(values: np.ndarray | tf.Tensor) -> list:
    """Parts of at most BATCH along the first axis, for what need not, and at some size cannot, be computed at once."""
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


@contextmanager
def refusals_in_one_sentence():
    """What a check inside of the compiled step refuses, as ValueError with its sentence and without the graph's trace."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        message = error.message.partition("assertion failed: [")[2].partition("]")[0].replace("\\'", "'")
        eager = error.message.partition("\nCondition x ")  # how it reads where the step is not compiled
        words = message or (eager[0] if eager[1] else "")
        reasons = [line.strip() for line in error.message.splitlines() if line.strip().startswith("ValueError: ")]
        if words:
            hint = "" if ";" in words else "; look at the batches of the data"  # some say themselves what to do
            raise ValueError(f"Training stopped: {' '.join(words.split())[:250]}{hint}.") from None
        if reasons:  # what a world refused while it made a batch
            raise ValueError(reasons[-1].removeprefix("ValueError: ")) from None
        raise


def check_clip_shape(clip_shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The shape as a tuple of four ints, if it is (time, height, width, 1 or 3); else ValueError."""
    if not isinstance(clip_shape, (tuple, list)) or len(clip_shape) != 4 or clip_shape[-1] not in (1, 3):
        raise ValueError(
            f"clip_shape is {clip_shape!r}, but (time, height, width, channels) with 1 or 3 channels was expected."
        )
    return tuple(check_count(size, "each size in clip_shape") for size in clip_shape)


def known_frames(clip_shape: tuple[int, int, int, int], frames: Sequence[int]) -> np.ndarray:
    """A mask for the argument `mask` of `generate`, where a family completes clips: these frames are known.

    Args:
        clip_shape: (time, height, width, channels).
        frames: their numbers, from 0, or from -1 backwards, as in [0, -1].

    Returns:
        bool (time, height, width).

    Raises:
        ValueError: for another shape, or a frame that a clip does not have.
    """
    clip_shape = check_clip_shape(clip_shape)
    if not isinstance(frames, (list, tuple, range, np.ndarray)):
        raise ValueError(f"frames is {frames!r:.60}, but a list of numbers of frames was expected, such as [0, -1].")
    mask = np.zeros(clip_shape[:3], bool)
    for frame in frames:
        if (
            isinstance(frame, bool)
            or not isinstance(frame, (int, np.integer))
            or not -clip_shape[0] <= frame < clip_shape[0]
        ):
            raise ValueError(f"frames holds {frame!r}, but numbers of a clip's {clip_shape[0]} frames were expected.")
        mask[frame] = True
    return mask
