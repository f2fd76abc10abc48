"""All performance figures of the kit, as ratios, with the theory beside each: python benchmarks/run.py [--only PART ...]

A ratio of two things that were measured in turns holds on a slow machine too; on a busy one it is uncertain, and the last line says so.
Parts: listing2, listing1 (needs PyTorch for one of its rows), tokens, steps, families, growth. Each takes a minute or two.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import dense
import gan
import numpy as np

import vidgen_tf as vg
from vidgen_tf import presets
from vidgen_tf.quiet import keras, tf
from vidgen_tf.scoreboard import recipes, untrained

PRODUCT = 2048  # side of the matrices whose product says what the machine can do


def seconds(work: Callable) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turns(ways: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, once a round; what is compiled on the first call is not measured."""
    for way in ways.values():
        way()
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(seconds(way))
    return found


def ratio(slow: list[float], fast: list[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def matmul_peak() -> float:
    """FLOP/s of a large product of float32 matrices: the most that this machine does."""
    a = tf.random.normal((PRODUCT, PRODUCT))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    multiply()
    return 2 * PRODUCT**3 / min(seconds(lambda: multiply().numpy()) for _ in range(5))


# ------------------------------------------------------------------------------------------------ counting


def operations(graph) -> float:
    """FLOP of all products and convolutions in a traced graph and in the functions that it calls. Loops count once, and what has
    no known shape not at all: so it is a lower bound."""
    total = 0.0
    for op in graph.get_operations():
        for value in op.node_def.attr.values():
            for name in [value.func.name, *[each.name for each in value.list.func]]:
                if name and (op.type.endswith("Call") or op.type.endswith("While")):
                    inner = getattr(graph, "_functions", {}).get(name)
                    total += operations(inner.graph) if hasattr(inner, "graph") else 0.0
        total += _of_one(op)
    return total


def _of_one(op) -> float:
    size = lambda tensor: float(np.prod([0 if side is None else side for side in tensor.shape.as_list()]))  # noqa: E731
    try:
        if op.type in ("MatMul", "BatchMatMulV2", "BatchMatMulV3"):
            across = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
            return 2 * size(op.outputs[0]) * op.inputs[0].shape[-2 if across else -1]
        if op.type == "Einsum":
            terms = op.get_attr("equation").decode().split("->")[0].split(",")
            sides = {}
            for term, tensor in zip(terms, op.inputs, strict=True):
                sides |= dict(
                    zip(term.replace("...", ""), tensor.shape.as_list()[-len(term.replace("...", "")) :], strict=True)
                )
            return 2 * float(np.prod(list(sides.values())))
        if op.type in ("Conv2D", "Conv3D"):
            kernel = op.inputs[1].shape.as_list()
            return 2 * size(op.outputs[0]) * float(np.prod(kernel[:-1]))
        if op.type in ("Conv2DBackpropInput", "Conv3DBackpropInputV2"):
            return 2 * size(op.inputs[2]) * float(np.prod(op.inputs[1].shape.as_list()[:-1]))
        if op.type in ("Conv2DBackpropFilter", "Conv3DBackpropFilterV2"):
            return 2 * size(op.inputs[2]) * float(np.prod(op.outputs[0].shape.as_list()[:-1]))
    except (TypeError, ValueError):  # a side that is not known before it runs
        return 0.0
    return 0.0


def step_of(model: keras.Model, batch):
    """A compiled training step as a function without arguments, and its FLOP."""
    step = tf.function(lambda data: model.train_step(data), autograph=False)
    batch = tf.nest.map_structure(tf.constant, batch)
    concrete = step.get_concrete_function(batch)
    return lambda: tf.nest.map_structure(lambda value: value.numpy(), step(batch)), operations(concrete.graph)


def check_counting() -> None:
    """A dense layer of 16 clips: forward, and back to the weights, 2 · 16 · 5 · 7 each; nothing asks for slopes of its input."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7)])
    model.compile("sgd", "mse")
    _, counted = step_of(model, (np.zeros((16, 5), np.float32), np.zeros((16, 7), np.float32)))
    assert counted == 2 * (2 * 16 * 5 * 7), counted


# ------------------------------------------------------------------------------------------------ parts


def listing2(rounds: int) -> None:
    """One call for each of 100 frames, against one batched call."""
    times = dense.measured(rounds)
    loop, network_loop, batched_predict, batched = times
    same = f"{dense.FRAMES}× if a call cost its overhead only, 1× if none"
    other = "more than that: the two kinds of call differ, too"
    for slow, fast, theory in ((loop, batched_predict, same), (network_loop, batched, same), (loop, batched, other)):
        row(f"{slow} / {fast}", f"{ratio(times[slow], times[fast]):.1f}×", theory)


def listing1(rounds: int) -> None:
    """The textbook GAN, in this kit and in PyTorch."""
    times, least = gan.measured(rounds)
    for name, taken in times.items():
        share = statistics.median(a / b for a, b in zip(least, taken, strict=True))
        row(
            f"listing 1, {name}: share of the machine's limit",
            f"{share:.0%}",
            "100 %: products at peak, then Adam's memory",
        )
    for name in [name for name in times if name != "PyTorch" and "PyTorch" in times]:
        row(f"listing 1, PyTorch / {name}", f"{ratio(times['PyTorch'], times[name]):.2f}×", "1×: the same arithmetic")


def tokens(rounds: int) -> None:
    """Keys and values that are kept, against computing all places again."""
    model = presets.load("tokens-bouncer")
    places = int(np.prod(model.tokenizer.grid))
    ways = {str(cached): lambda cached=cached: model.generate(8, seed=0, cached=cached) for cached in (True, False)}
    times = in_turns(ways, rounds)
    row(
        "tokens without cache / with",
        f"{ratio(times['False'], times['True']):.1f}×",
        f"{places}× fewer places computed",
    )


def steps(rounds: int) -> None:
    """Many small steps of a diffusion, against few trained jumps."""
    model = presets.load("diffusion-bouncer")
    few, many = len(model.way), 64
    ways = {
        "many": lambda: model.generate(32, seed=0, sampler="euler", steps=many),
        "few": lambda: model.generate(32, seed=0),
    }
    times = in_turns(ways, rounds)
    row(
        f"{many} steps / {few} jumps",
        f"{ratio(times['many'], times['few']):.1f}×",
        f"{many / few:.0f}× fewer evaluations",
    )


def families(rounds: int) -> None:
    """How much of the machine's peak the training of each family reaches; and whether clips are made faster than they are used."""
    check_counting()
    board = recipes()
    world = vg.Shapes(**board["train_config"])
    make = [seconds(lambda number=number: world.sample(64, number)) for number in range(1 + rounds)]
    made = 64 / statistics.median(make[1:])
    for each in board["rows"]:
        if "parts" not in each:
            continue
        models, part = untrained(each["parts"]), each["parts"][-1]
        model, count = models[-1], part["batch_size"]
        model.compile(keras.optimizers.Adam(1e-4))
        sample = world.sample(count, 0)
        for earlier in models[:-1]:  # what folds the clips must have been trained, if only for a step
            earlier.compile(keras.optimizers.Adam(1e-4))
            earlier.fit(sample.clips, verbose=0)
        batch = sample.clips
        if part.get("captions"):
            batch = (sample.clips, np.array(sample.captions, object))
        elif "numbered" in part:
            batch = (sample.clips, np.arange(count))
        model.before_fit(*(batch if isinstance(batch, tuple) else (batch,))[:1], count)
        step, counted = step_of(model, batch)
        step()
        taken, peak = statistics.median(seconds(step) for _ in range(rounds)), matmul_peak()
        row(
            f"{each['name']}: share of the matmul peak in training",
            f"{counted / taken / peak:.0%}",
            "100 %: nothing but products",
        )
        if "numbered" not in part:  # else the clips are made once
            row(
                f"{each['name']}: clips made / clips used",
                f"{made * taken / count:.1f}×",
                "≥ 5×, so that data never wait",
            )
        keras.backend.clear_session()


def growth(rounds: int) -> None:
    """How the cost of a training step grows with frames and with the side of a frame: exponents, fitted on a double logarithm."""
    kinds = {
        "transformer over patches": lambda shape: vg.Diffusion(shape, prediction="clip", patch=(4, 4, 4), width=64, blocks=2),
        "convolutions, next frame": lambda shape: vg.NextFrame(shape, width=24, depth=2),
        "convolutions, VAE": lambda shape: vg.VideoVAE(shape, width=8, memory_size=32),
    }  # fmt: skip
    for kind, build in kinds.items():
        for what, shapes in (
            ("frames", [(count, 32, 32, 3) for count in (8, 16, 32)]),
            ("side", [(8, side, side, 3) for side in (16, 32, 64)]),
        ):
            sizes, taken, counted = [], [], []
            for shape in shapes:
                model = build(shape)
                model.compile(keras.optimizers.Adam(1e-4))
                step, flop = step_of(model, np.zeros((32, *shape), np.float32))
                step()
                sizes.append(shape[0] if what == "frames" else shape[1])
                taken.append(statistics.median(seconds(step) for _ in range(rounds)))
                counted.append(flop)
            slope = lambda values, sizes=sizes: np.polyfit(np.log(sizes), np.log(values), 1)[0]  # noqa: E731
            row(
                f"{kind}: exponent of the cost in {what}",
                f"{slope(taken):.2f}",
                f"{slope(counted):.2f} by its operations",
            )


PARTS = {part.__name__: part for part in (listing2, listing1, tokens, steps, families, growth)}


def row(what: str, measured: str, theory: str) -> None:
    print(f"| {what} | {measured} | {theory} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured (default: 5)")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    print("| what | measured | theory |\n|---|---|---|")
    for name in chosen.only:
        PARTS[name](chosen.rounds)
    if load > 0.3:
        print(f"This machine was busy when it began (load {load:.1f}): these figures are not to be quoted.")


if __name__ == "__main__":
    main()
