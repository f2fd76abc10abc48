"""Training on several devices and machines, and training that goes on where it was cut off.

Every replica, a device of some machine, has all weights and gets its part of each batch; the slopes of all parts are
added up, so that all replicas make the same step. `strategy` says which replicas there are; a model that is built and compiled
in its scope is trained by its own `fit`, which comes here (`fit`) where there are several. What holds:

- Without chance in a step, the weights are those of one device on the same batches, but for the order of sums.
- Noise differs between replicas and steps: it is keyed by both (`VideoModel.step_seed`). So the weights are those of one device
  that takes the parts one after the other, with the noise of each; how the replicas are spread over machines makes no difference.
- What looks at a whole batch (normalisation over it, diversity, the game of pairs) sees its own part alone.
- Worlds hand out whole batches, of which each machine makes all and takes its part: `fit`, `parts`.

`Checkpoint` keeps all weights and the state of the optimizers in one file. Batch i depends on nothing but the seed and i, and
noise on the step, so a run that is cut off at any moment and started again ends with the very bits of one that was not.

J. Dean and others: Large Scale Distributed Deep Networks. NeurIPS 2012 (data parallelism)
P. Patarasuk, X. Yuan: Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations. JPDC 69 (2009) (rings)
"""

import functools
import itertools
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vidgen_tf.clips import check_number, reason_of
from vidgen_tf.quiet import keras, tf

# ------------------------------------------------------------------------------------------------ the replicas


def strategy(
    all_devices: bool = False, workers: Sequence[str] = (), rank: int | None = None
) -> tf.distribute.Strategy | None:
    """Where a model is to be trained; call it before anything else is computed.

    Args:
        all_devices: on all GPUs of this machine, or on all its processors as TensorFlow counts them where it has no GPU (one,
            unless TensorFlow was told to make more of it).
        workers: "host:port" of several machines, or of several processes, the same list on each. It waits until all are there.
        rank: which of the workers this is, from 0, the chief.

    Returns:
        The strategy, whose `scope()` models are built and compiled in; None for one device.

    Raises:
        ValueError: for an address or a rank that cannot be, a rank without workers, or all devices beside workers.
    """
    if not workers:
        if rank is not None:
            raise ValueError(f"rank is {rank!r}, but there are no workers; give all their addresses too.")
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if not all_devices or len(devices) == 1:
            return None
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    wrong = [worker for worker in workers if not re.fullmatch(r"[\w.\-]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5}", worker)]
    if wrong or len(set(workers)) < max(2, len(workers)):
        raise ValueError(
            f"workers are {','.join(workers)!r:.100}, but two or more different addresses were expected, such as a:2001,b:2001."
        )
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank < len(workers):
        raise ValueError(
            f"rank is {rank!r}, but the number of this one of {len(workers)} workers was expected, 0 for the first."
        )
    if all_devices:
        raise ValueError("all devices were asked for beside workers, which use all their GPUs anyway; leave that out.")
    cluster = tf.train.ClusterSpec({"worker": list(workers)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, task_type="worker", task_id=rank)
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def several_machines(where: tf.distribute.Strategy | None) -> bool:
    """Whether a strategy is one of several workers."""
    return isinstance(where, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(where: tf.distribute.Strategy | None) -> bool:
    """Whether this process is the one that writes files."""
    return not several_machines(where) or where.cluster_resolver.task_id == 0


class LostWorkerError(ConnectionError):
    """Another worker is gone, so no step can be made."""


@contextmanager
def others_may_die(where: tf.distribute.Strategy | None) -> Iterator[None]:
    """Raises `LostWorkerError` for what TensorFlow says in many ways when another worker is gone."""
    gone = (
        tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
        tf.errors.InternalError, tf.errors.FailedPreconditionError, tf.errors.UnknownError,
    )  # fmt: skip
    try:
        yield
    except gone as error:
        if not several_machines(where):
            raise
        raise LostWorkerError("Another worker is gone; start it again with the same command.") from error


def start_anew() -> None:
    """Runs the very command of this process again, in its place."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)


def leave() -> None:
    """Ends this process at once, once all is written: after training on several replicas TensorFlow's own way takes minutes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def agreed(values: np.ndarray, where: tf.distribute.Strategy | None) -> np.ndarray:
    """The chief's bytes, uint8 (n,), on every worker; the others give as many of any value."""
    if not several_machines(where):
        return values
    pairs = np.frombuffer(values.tobytes() + b"\0" * (len(values) % 2), np.uint16)

    @tf.function(autograph=False)
    def ask(own):
        def mine():
            first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
            return tf.where(first, own, tf.zeros_like(own))  # a sum with zeros keeps the chief's

        return where.reduce("SUM", where.run(mine), axis=None)

    told = ask(tf.constant(pairs, tf.float32)).numpy().astype(np.uint16)  # exact, and every device adds float32
    return np.frombuffer(told.tobytes(), np.uint8)[: len(values)]


def joint(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The same optimizer, but where there are several replicas it adds their slopes up before it clips them, as one device
    would; Keras's own clips those of each replica."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return optimizer
    kind = type(optimizer)

    class Joint(kind):
        def apply(self, grads, trainable_variables=None):
            known = [slope for slope in grads if slope is not None]
            summed = iter(tf.distribute.get_replica_context().all_reduce("SUM", known))
            super().apply([None if slope is None else next(summed) for slope in grads], trainable_variables)

        def _all_reduce_sum_gradients(self, grads_and_vars):
            return grads_and_vars

    Joint.__name__ = kind.__name__
    return Joint.from_config(optimizer.get_config())


# ------------------------------------------------------------------------------------------------ the loop


def fit(
    model: keras.Model, data: tf.data.Dataset, *, epochs: int = 1, steps_per_epoch: int | None = None,
    verbose: str | int = "auto", callbacks: Sequence[keras.callbacks.Callback] = (), shuffle: bool = False,
    parts: Callable[[int, int], tf.data.Dataset] | None = None,
) -> keras.callbacks.History:  # fmt: skip
    """Trains a model on all replicas of the strategy in whose scope it was built; models call it from their own `fit`.

    Keras's loop cannot be used: with several machines it stops at the first batch, and it takes no sentences.

    Args:
        model: compiled, in the same scope; an optimizer that clips slopes should be `joint`.
        data: endless batches for all replicas together, the same on each machine: clips, or pairs (clips, condition).
        epochs, steps_per_epoch, verbose, callbacks: as in Keras's `fit`; callbacks run on every machine.
        shuffle: ignored; the dataset has its own order.
        parts: what to read in the place of `data` on several machines: from number and count of the machine to a dataset
            of its part of every batch. Without it each machine makes whole batches and cuts out its part.

    Returns:
        Keras's history, of the means over all replicas.

    Raises:
        ValueError: for anything but a dataset of batches that can be dealt out evenly, or without `steps_per_epoch`.
    """
    where = model.distribute_strategy
    replicas = where.num_replicas_in_sync
    if not isinstance(data, tf.data.Dataset) or steps_per_epoch is None:
        raise ValueError("On several devices fit takes a tf.data.Dataset of batches and steps_per_epoch; give both.")
    first = tf.nest.flatten(data.element_spec)[0].shape[0]
    if first is not None:
        check_dealt(first, replicas)
    iterator = iter(where.distribute_datasets_from_function(functools.partial(_dealt, data, parts, replicas)))
    names = []

    def one(batch):
        logs = model.train_step(batch)
        names[:] = logs  # known once it is traced
        return tf.stack([tf.cast(value, tf.float32) for value in logs.values()])

    @tf.function(autograph=False)
    def step():
        return where.reduce("MEAN", where.run(one, args=(next(iterator),)), axis=None)

    if not is_chief(where):
        verbose = 0
    callbacks = keras.callbacks.CallbackList(
        [*(callbacks or ())], add_history=True, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=steps_per_epoch,
        model=model,
    )  # fmt: skip
    model.stop_training = False
    with where.scope():
        callbacks.on_train_begin()
        for epoch in range(epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            for number in range(steps_per_epoch):
                callbacks.on_train_batch_begin(number)
                values = step().numpy().tolist()
                logs = dict(zip(names, values, strict=True))
                callbacks.on_train_batch_end(number, logs)
                if model.stop_training:
                    break
            callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs)
    return model.history


def check_dealt(batch_size: int, replicas: int) -> None:
    """ValueError if a batch cannot be dealt out evenly."""
    if batch_size % replicas:
        raise ValueError(
            f"Batches of {batch_size} cannot be dealt out evenly to {replicas} replicas; take a number of devices that divides it."
        )


def _dealt(data, parts, replicas, context) -> tf.data.Dataset:
    """What this machine reads: the batches of its replicas, one after the other."""
    machines, machine = context.num_input_pipelines, context.input_pipeline_id
    local = replicas // machines
    whole, begin = (replicas, machine * local) if parts is None or machines == 1 else (local, 0)

    def cut(*batch):
        def share(values):
            even = tf.debugging.assert_equal(tf.shape(values)[0] % whole, 0, "a batch cannot be dealt out evenly")
            with tf.control_dependencies([even]):
                sides = tf.concat([[whole, tf.shape(values)[0] // whole], tf.shape(values)[1:]], axis=0)
            dealt = tf.reshape(values, sides)[begin : begin + local]
            size = None if values.shape[0] is None else values.shape[0] // whole
            return tf.ensure_shape(dealt, (local, size, *values.shape[1:]))

        return tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(share, batch if len(batch) > 1 else batch[0]))

    if whole != replicas:
        data = parts(machine, machines)
    return data.flat_map(cut).prefetch(2)


# ------------------------------------------------------------------------------------------------ going on


class Checkpoint(keras.callbacks.Callback):
    """Keeps in one file all that a training needs to go on, whole at any moment; and takes it up again.

    Args:
        path: of the file; what was kept there is read at once.
        run: what the training is, as plain data: another one is not taken up.
        every: seconds between two times that it is written; 0 writes after each step.
        where: the strategy, if the training has one. Only the chief reads and writes, and tells the others.

    Attributes:
        stage, done: the part of the training that was reached, and steps done in it.
        seconds: that were spent before.

    Raises:
        ValueError: for a file that is damaged, or of another training.
    """

    def __init__(
        self, path: Path, run: dict, every: float = 60.0, where: tf.distribute.Strategy | None = None
    ):  # fmt: skip
        super().__init__()
        self.path, self.where, self.every = path, where, check_number(every, "every")
        self.run = json.dumps(run, sort_keys=True)
        self.stage = self.done = self.steps = 0
        self.seconds, self.arrays = 0.0, None
        if is_chief(where) and path.exists():
            self._read()
        told = np.array([zlib.crc32(self.run.encode()), self.arrays is not None, self.stage, self.done], np.int64)
        mark, found, self.stage, self.done = agreed(told.view(np.uint8), where).view(np.int64).tolist()
        if mark != told[0]:
            raise ValueError(
                "This worker was asked for another training than the first one; give all the same command."
            )
        self.found = bool(found)
        self.begun = self.written = time.monotonic()

    def _read(self) -> None:
        name = self.path.name
        try:
            with np.load(self.path if self.path.is_file() else "", allow_pickle=False) as file:
                if sum(part.file_size for part in file.zip.infolist()) > self.path.stat().st_size:
                    raise ValueError("it unfolds to more than was written")
                run, place = str(file["run"]), np.asarray(file["place"])
                self.arrays = [np.asarray(file[f"{index:04d}"]) for index in range(len(file.files) - 2)]
            if place.shape != (3,) or not (np.isfinite(place).all() and (place >= 0).all()):
                raise ValueError("it does not say how far the training was")
            self.stage, self.done, self.seconds = int(place[0]), int(place[1]), float(place[2])
        except Exception as error:  # on broken files zipfile, zlib and NumPy raise nearly everything
            raise ValueError(f"{name} is damaged ({reason_of(error)}); remove it to begin anew.") from None
        if run != self.run:
            raise ValueError(
                f"{name} was left by another training, of other steps maybe; go on with that, or remove it."
            )

    def take_up(self, model: keras.Model, stage: int, steps: int) -> None:
        """Begins a part of the training, of so many steps, with a compiled model: with what was kept, where that is of this part."""
        self.steps, variables, found, self.found = steps, _state(model), self.found, False
        if not found:
            self.stage, self.done = stage, 0
            return
        own = [np.zeros(variable.shape, variable.dtype) for variable in variables]
        kept, self.arrays = own if self.arrays is None else self.arrays, None
        # NumPy writes types that are not its own, such as bfloat16, as plain bytes ("V").
        same = [
            a.shape == b.shape and (a.dtype == b.dtype or a.dtype.str == f"|V{b.itemsize}")
            for a, b in zip(kept, own, strict=False)
        ]
        if len(kept) != len(own) or not all(same) or self.done >= steps:
            raise ValueError(f"{self.path.name} does not fit this model; remove it to begin anew.")
        told = agreed(np.frombuffer(b"".join(array.tobytes() for array in kept), np.uint8), self.where).tobytes()
        ends = list(itertools.accumulate(array.nbytes for array in own))
        for variable, array, end in zip(variables, own, ends, strict=True):
            value = np.frombuffer(told[end - array.nbytes : end], array.dtype).reshape(array.shape)
            variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        # Not after the last step: what Keras does at the end, such as to put averages in the place of weights, is still to come.
        late = time.monotonic() - self.written >= self.every and self.done < self.steps
        if late and is_chief(self.where):
            self.keep()

    def check_taken(self) -> None:
        """ValueError if what was kept is of a part that this training does not have, so that nothing was trained."""
        if self.found:
            raise ValueError(f"{self.path.name} is damaged: this training has no such part; remove it to begin anew.")

    def spent(self) -> float:
        """Seconds of training, those before it was cut off included."""
        return self.seconds + time.monotonic() - self.begun

    def keep(self) -> None:
        """Writes the file under another name, makes sure that the disk has it, and renames it."""
        arrays = {f"{index:04d}": variable.numpy() for index, variable in enumerate(_state(self.model))}
        part = self.path.with_name(f".{self.path.name}.part")
        with part.open("wb") as file:
            np.savez(file, run=np.array(self.run), place=np.array([self.stage, self.done, self.spent()]), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path)
        self.written = time.monotonic()

    def remove(self) -> None:
        """Once it is no longer needed."""
        for path in (self.path, self.path.with_name(f".{self.path.name}.part")):
            path.unlink(missing_ok=True)


def _state(model: keras.Model) -> list[keras.Variable]:
    """All that changes in training: weights, counters, and the state of all optimizers."""
    optimizers = [value for value in vars(model).values() if isinstance(value, keras.optimizers.Optimizer)]
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    found = [*model.variables, *(variable for optimizer in optimizers for variable in optimizer.variables)]
    return list({id(variable): variable for variable in found}.values())


# ------------------------------------------------------------------------------------------------ the device


def best_precision() -> str | None:
    """What networks should count in where nothing else is said: "mixed_bfloat16" if all GPUs here know it, as they do from
    compute capability 8.0 (Ampere) on; else None, for what is usual. Never on a processor, of which most are slower with it."""
    known = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return "mixed_bfloat16" if known and min(known) >= (8, 0) else None
