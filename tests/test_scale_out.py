"""Several devices and machines give the weights of one, and a training that was cut off ends as if it had not been.

Run as a program, this file trains tiny recipes in a process of its own: with two virtual devices, or as one of two workers.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import refuses, tree

import vidgen_tf
from vidgen_tf import presets, scale_out
from vidgen_tf.__main__ import main
from vidgen_tf.callbacks import Board
from vidgen_tf.quiet import keras, tf

BALLS, SHAPES = {"frames": 6, "size": 12}, {"frames": 8, "size": 24}
ADAM = {"name": "Adam", "learning_rate": 0.01}
SAYS = [
    "a",
    "and",
    "small",
    "large",
    "red",
    "yellow",
    "green",
    "cyan",
    "blue",
    "magenta",
    "circle",
    "square",
    "triangle",
    "cross",
    "moves",
    "left",
    "right",
    "up",
    "down",
]
BASE = {
    "world": "Balls", "world_config": BALLS, "test_config": BALLS, "data": {}, "seed": 2, "batch_size": 4, "steps": 6,
    "optimizer": ADAM, "test_steps": 1,
}  # fmt: skip
RECIPES = {
    "exact": BASE | {  # no chance in a step; norms clipped, averages, two parts, one of them with weights held
        "family": "NextFrame", "config": {"clip_shape": [6, 12, 12, 1], "given": 2, "width": 4, "depth": 1, "starts": 3},
        "steps": 10, "optimizer": ADAM | {"global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.9}, "warmup_steps": 3,
        "stages": [{"steps": 5, "hold": ["bias"]}, {"steps": 5, "optimizer": {"learning_rate": 0.02}, "train_on": [10, 5]}],
    },
    "sentences": BASE | {
        "family": "Diffusion", "world": "Shapes", "world_config": SHAPES, "test_config": SHAPES, "data": {"captions": True},
        "config": {
            "clip_shape": [8, 24, 24, 3], "condition": [*SAYS, "bounces", "circles", "grows", "shrinks", "rotates"],
            "patch": [4, 8, 8], "width": 8, "blocks": 1, "heads": 2,
        },
        "optimizer": ADAM | {"global_clipnorm": 0.1, "epsilon": 1e-3},  # slopes that are 0 but for rounding stay small
    },
    "game": BASE | {
        "family": "DenseGAN",
        "config": {"clip_shape": [6, 12, 12, 1], "latent_size": 8, "hidden": [16], "loss": "relativistic", "penalty": 1.0},
    },
    "flow": BASE | {
        "family": "NormalizingFlow", "config": {"clip_shape": [4, 8, 8, 1], "levels": 1, "steps": 1, "width": 4},
        "world": "LinearGaussian", "world_config": {"frames": 4, "size": 8}, "test_config": {"frames": 4, "size": 8},
    },
}  # fmt: skip
SPREAD = ("exact", "sentences", "game")  # trained on two devices and by two workers


def put_recipes(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, recipe in RECIPES.items():
        (folder / f"{name}.json").write_text(json.dumps({"recipe": recipe, "record": {}}))
    return folder


class Weights(keras.callbacks.Callback):
    """Writes all weights, as they are when `fit` ends, to a file."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_end(self, logs=None):
        np.savez(self.path, *self.model.get_weights())


def program(folder: Path, arguments: list[str]) -> None:
    """`command …`: the command line; `spread DEVICES [WORKERS RANK]`: trains all of SPREAD, weights into `folder`."""
    presets.FOLDER = put_recipes(folder / f"presets-{os.getpid()}")
    if arguments[0] == "command":
        sys.exit(main(arguments[1:]))
    if arguments[0] == "devices":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        where, mine = scale_out.strategy(all_devices=True), "devices"
    else:
        where, mine = (
            scale_out.strategy(workers=arguments[1].split(","), rank=int(arguments[2])),
            f"worker{arguments[2]}",
        )
    (folder / mine).mkdir()
    for name in SPREAD:
        presets.train(
            name, folder / mine, verbose=0, every=0, where=where, callbacks=[Weights(folder / f"{mine}-{name}")]
        )
    (folder / f"{mine}-done").touch()
    scale_out.leave()


def process(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, __file__, str(folder), *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(vidgen_tf.__file__).parents[1]), *sys.path])}
    log = (folder / f"log-{time.monotonic_ns()}").open("w")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def ends_well(folder: Path, *processes: subprocess.Popen) -> None:
    try:
        codes = [each.wait(timeout=900) for each in processes]
    finally:
        for each in processes:
            each.kill()
    assert set(codes) == {0}, "\n".join(log.read_text()[-1500:] for log in folder.glob("log-*"))


def addresses() -> str:
    """Two free ports of this machine."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other))


def saved(path: Path) -> list[np.ndarray]:
    with np.load(path.with_suffix(".npz")) as file:
        return [file[name] for name in file.files]


def far(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return max(np.abs(one.astype(float) - other).max() for one, other in zip(some, others, strict=True))


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "FOLDER", put_recipes(tmp_path / "presets"))
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    """What came of all SPREAD recipes: on two virtual devices, and as two workers."""
    folder = tmp_path_factory.mktemp("spread")
    workers = addresses()
    ends_well(folder, process(folder, "devices"), *(process(folder, "workers", workers, rank) for rank in "01"))
    return folder


# ------------------------------------------------------------------------------------------------ several replicas


def test_two_devices_and_two_workers_end_with_the_weights_of_one_device(spread, recipes):
    presets.train("exact", recipes, verbose=0, callbacks=[Weights(recipes / "one")])
    one = saved(recipes / "one")
    for name in ("devices", "worker0", "worker1"):
        assert far(saved(spread / f"{name}-exact"), one) < 1e-5


@pytest.mark.parametrize("name", SPREAD)
def test_it_makes_no_difference_how_replicas_are_spread(spread, name):
    devices = saved(spread / f"devices-{name}")
    for worker in ("worker0", "worker1"):
        assert far(saved(spread / f"{worker}-{name}"), devices) < 1e-5


def in_turns(recipe: dict, same_noise: bool) -> list[np.ndarray]:
    """The weights of one device that takes the halves of each batch one after the other, each with its replica's noise."""
    keras.utils.set_random_seed(recipe["seed"])
    model = presets.build(recipe)
    world = getattr(vidgen_tf, recipe["world"])(**recipe["world_config"])
    model.compile(presets.optimizer_of(recipe, recipe["steps"]))
    data = world.dataset(recipe["batch_size"], recipe["seed"], **recipe["data"])

    @tf.function
    def slopes_of(clips, condition, key):
        model.step_seed = lambda: key
        with tf.GradientTape() as tape:
            loss = model.losses_of(clips, condition, True)["loss"]
        return [tf.convert_to_tensor(slope) for slope in tape.gradient(loss, model.trainable_variables)]

    for step, (clips, condition) in enumerate(data.take(recipe["steps"])):
        keys = [tf.constant([0 if same_noise else 4 * replica, step], tf.int64) for replica in range(2)]
        slopes = [slopes_of(clips[2 * r :][:2], condition[2 * r :][:2], key) for r, key in enumerate(keys)]
        mean = [(one + other) / 2 for one, other in zip(*slopes, strict=True)]
        model.optimizer.apply(mean, model.trainable_variables)
    return model.get_weights()


def test_two_devices_with_noise_are_one_that_takes_the_parts_in_turns_and_noise_differs_between_them(spread):
    found = saved(spread / "devices-sentences")
    assert far(found, in_turns(RECIPES["sentences"], same_noise=False)) < 1e-5
    assert far(found, in_turns(RECIPES["sentences"], same_noise=True)) > 1e-3


def test_only_the_chief_writes(spread):
    assert set(tree(spread / "worker0")) == {f"{name}.{kind}" for name in SPREAD for kind in ("json", "npz")}
    assert tree(spread / "worker1") == {}
    assert {f"worker{rank}-done" for rank in (0, 1)} < set(tree(spread))
    for name in SPREAD:
        record = json.loads((spread / "worker0" / f"{name}.json").read_text())["record"]
        assert record["hardware"].endswith(", 2 replicas")
        assert far(saved(spread / "worker0" / name), saved(spread / "devices" / name)) < 2e-3  # float16


def test_a_worker_that_dies_and_returns_goes_on(recipes, tmp_path):
    workers, out = addresses(), tmp_path / "new"
    train = ["command", "train", "exact", "--out", str(out), "--every", "0", "--steps", "60"]
    train += ["--workers", workers, "--rank"]
    chief, other = process(tmp_path, *train, "0"), process(tmp_path, *train, "1")
    wait_for(out / "exact.checkpoint", chief)
    other.kill()
    other.wait()
    ends_well(tmp_path, chief, process(tmp_path, *train, "1"))
    assert any("is gone" in log.read_text() for log in tmp_path.glob("log-*"))
    assert set(tree(out)) == {"exact.json", "exact.npz"}
    presets.train("exact", recipes, steps=60, verbose=0)
    # float16, of weights of one device and of two: equal but for the last digit here and there
    assert far(saved(out / "exact"), saved(recipes / "exact")) < 2e-3


@pytest.mark.parametrize("read_apart", [False, True])
def test_each_machine_gets_the_parts_of_its_replicas(read_apart):
    batches = np.arange(2 * 8 * 3).reshape(2, 8, 3)
    data = tf.data.Dataset.from_tensor_slices((batches, batches.astype(str)))
    parts = (
        (lambda machine, machines: data.map(lambda *pair: tuple(v[4 * machine :][:4] for v in pair)))
        if read_apart
        else None
    )
    for machine in range(2):
        context = SimpleNamespace(num_input_pipelines=2, input_pipeline_id=machine)
        found = list(scale_out._dealt(data, parts, 4, context))
        wanted = [batch[4 * machine + 2 * local :][:2] for batch in batches for local in range(2)]
        for (numbers, words), right in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(numbers, right)
            np.testing.assert_array_equal(words, right.astype(str).astype("S"))


# ------------------------------------------------------------------------------------------------ cut off


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the training ended before it could be stopped"
        assert time.monotonic() < until
        time.sleep(0.02)


class CutOff(keras.callbacks.Callback):
    """Ctrl-C in a step of this call."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_that_was_cut_off_ends_with_the_same_bits(recipes, name):
    whole = recipes / "whole"
    whole.mkdir()
    presets.train(name, whole, verbose=0, callbacks=[Weights(whole / "weights")])
    for step in (4, 5) if "stages" in RECIPES[name] else (4,):  # the second time within the second part of the recipe
        with pytest.raises(KeyboardInterrupt):
            presets.train(name, recipes, verbose=0, every=0, callbacks=[CutOff(step)])
        assert (recipes / f"{name}.checkpoint").is_file()
    presets.train(name, recipes, verbose=0, every=0, callbacks=[Weights(recipes / "weights")])
    assert (recipes / f"{name}.npz").read_bytes() == (whole / f"{name}.npz").read_bytes()
    for one, other in zip(saved(recipes / "weights"), saved(whole / "weights"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not list(recipes.glob("*.checkpoint*"))
    assert json.loads((recipes / f"{name}.json").read_text())["record"]["scores"]


def test_killed_at_any_moment_it_goes_on(recipes, tmp_path):
    train, out = ["command", "train", "exact", "--steps", "150", "--every", "0", "--out"], tmp_path / "killed"
    running, place = process(tmp_path, *train, str(out)), out / "exact.checkpoint"
    wait_for(place, running)
    time.sleep(np.random.default_rng().uniform(0, 0.3))  # really any moment
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    ends_well(tmp_path, process(tmp_path, *train, str(out)))
    presets.train("exact", recipes, steps=150, verbose=0)
    assert set(tree(out)) == {"exact.json", "exact.npz"}
    assert (out / "exact.npz").read_bytes() == (recipes / "exact.npz").read_bytes()


def test_a_checkpoint_is_whole_when_its_writing_is_cut_off(recipes, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        presets.train("game", recipes, verbose=0, every=0, callbacks=[CutOff(4)])
    whole = (recipes / "game.checkpoint").read_bytes()

    def half(file, **arrays):
        file.write(whole[: len(whole) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half)
        with pytest.raises(KeyboardInterrupt):
            presets.train("game", recipes, verbose=0, every=0)
    assert (recipes / "game.checkpoint").read_bytes() == whole
    presets.train("game", recipes, verbose=0, every=0)
    assert set(tree(recipes)) == {"game.json", "game.npz"}


def test_a_checkpoint_that_does_not_fit_is_refused_and_kept(recipes):
    with pytest.raises(KeyboardInterrupt):
        presets.train("game", recipes, verbose=0, every=0, callbacks=[CutOff(3)])
    path = recipes / "game.checkpoint"
    whole = path.read_bytes()
    with refuses("game.checkpoint", "another training"):
        presets.train("game", recipes, steps=5, verbose=0)
    assert path.read_bytes() == whole
    for damage in (whole[:-200], b"", b"text", whole[:300] + b"!!!!" + whole[304:]):
        path.write_bytes(damage)
        with refuses("game.checkpoint", "damaged", "remove it"):
            presets.train("game", recipes, verbose=0)


def test_worlds_and_fixed_clips_can_begin_at_any_batch(recipes):
    world = vidgen_tf.Shapes(**SHAPES)
    for later, all_of_it in (
        (world.dataset(2, 3, captions=True, first=3), world.dataset(2, 3, captions=True)),
        (
            presets._fixed(world, RECIPES["sentences"] | {"train_on": [6, 1]}, "train_on", 3),
            presets._fixed(world, RECIPES["sentences"] | {"train_on": [6, 1]}, "train_on"),
        ),
    ):
        for (clips, said), (same, words) in zip(later.take(2), all_of_it.skip(3), strict=False):
            np.testing.assert_array_equal(clips, same)
            np.testing.assert_array_equal(said, words)
    for bad in (-1, 1.5, None):
        with refuses("first", repr(bad)):
            world.dataset(2, 3, first=bad)


# ------------------------------------------------------------------------------------------------ refusals, options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rank": 0}, ["rank", "no workers"]),
        ({"workers": ["a:1"], "rank": 0}, ["two or more", "a:1"]),
        ({"workers": ["a:1", "a:1"], "rank": 0}, ["different"]),
        ({"workers": ["a:1", "b"], "rank": 0}, ["a:1,b"]),
        ({"workers": ["a:1", "b:2"]}, ["rank", "None"]),
        ({"workers": ["a:1", "b:2"], "rank": 2}, ["rank", "2"]),
        ({"workers": ["a:1", "b:2"], "rank": True}, ["rank", "True"]),
        ({"workers": ["a:1", "b:2"], "rank": 1, "all_devices": True}, ["beside workers"]),
    ],
)
def test_replicas_that_cannot_be_are_refused(arguments, words):
    with refuses(*words):
        scale_out.strategy(**arguments)


def test_one_device_needs_no_strategy():
    assert scale_out.strategy() is None
    if len(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")) == 1:
        assert scale_out.strategy(all_devices=True) is None
    assert scale_out.is_chief(None)
    optimizer = keras.optimizers.Adam()
    assert scale_out.joint(optimizer) is optimizer


def test_what_cannot_work_is_found_out_before_training(recipes):
    for options, words in (
        ({"precision": "float8"}, ["precision", "'float8'"]),
        ({"every": -1}, ["every", "-1"]),
        ({"every": float("nan")}, ["every", "nan"]),
    ):
        with refuses(*words):
            presets.train("game", recipes, verbose=0, **options)
    assert tree(recipes) == {}
    with refuses("4", "3 replicas", "divides"):
        scale_out.check_dealt(4, 3)


def test_the_command_line_refuses_in_one_sentence(recipes, capsys):
    for arguments, word in (
        (["--workers", "a:1,b:2"], "rank"),
        (["--rank", "1"], "workers"),
        (["--every", "-3"], "every"),
    ):
        assert main(["train", "game", "--out", str(recipes), *arguments]) == 1
        assert word in capsys.readouterr().err
    assert tree(recipes) == {}


def test_bfloat16_is_chosen_on_gpus_that_know_it_and_never_on_a_processor(monkeypatch):
    for known, expected in (
        ([], None), ([(7, 5)], None), ([(8, 0)], "mixed_bfloat16"), ([(9, 0), (7, 0)], None), ([None], None),
    ):  # fmt: skip
        details = {
            str(number): {} if each is None else {"compute_capability": each} for number, each in enumerate(known)
        }
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind, all_of=details: list(all_of))
        monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
        assert scale_out.best_precision() == expected


class Look(keras.callbacks.Callback):
    """Notes in what precision a network counts, and whether its steps are compiled by XLA."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        network = getattr(self.model, "denoiser", None) or self.model.generator
        names = {layer.dtype_policy.name for layer in network.layers if layer.weights and layer.name != "last"}
        self.seen.append((*names, self.model.jit_compile))


def test_precision_and_xla_are_options(recipes, monkeypatch):
    look = Look()
    options = {"steps": 1, "verbose": 0, "callbacks": [look]}
    presets.train("game", recipes, xla=True, **options)
    monkeypatch.setattr(scale_out, "best_precision", lambda: "mixed_bfloat16")  # as on a GPU
    presets.train("game", recipes, **options)  # not every family can count in it
    presets.train("sentences", recipes, **options)
    assert look.seen == [("float32", True), ("float32", False), ("mixed_bfloat16", False)]
    assert keras.mixed_precision.dtype_policy().name == "float32"
    with refuses("DenseGAN", "float32 only"):
        presets.train("game", recipes, precision="mixed_bfloat16")


def test_tensorboard_is_told_losses_and_clips(recipes, tmp_path):
    presets.train("game", recipes, steps=2, verbose=0, callbacks=[Board(tmp_path / "board", count=2)])
    (path,) = (tmp_path / "board").iterdir()
    values = [value for event in tf.compat.v1.train.summary_iterator(str(path)) for value in event.summary.value]
    kinds = {value.tag: value.metadata.plugin_data.plugin_name for value in values}
    assert kinds["loss"] == kinds["discriminator_loss"] == "scalars"
    assert kinds["clip 0"] == kinds["clip 1"] == "images"
    width, height, png = next(tf.make_ndarray(value.tensor).tolist() for value in values if value.tag == "clip 1")
    assert (width, height) == (b"72", b"12")  # six frames of 12 × 12 side by side
    assert tf.io.decode_png(png).shape == (12, 72, 1)


if __name__ == "__main__":
    program(Path(sys.argv[1]), sys.argv[2:])
