"""The listing's loop, one call per frame, against one batched call: python benchmarks/dense.py

Prints the median ratio of interleaved runs in one process, so that it holds on a slow or busy machine too.
"""

import statistics
import time

import numpy as np

import vidgen_tf as vg
from vidgen_tf.quiet import keras

FRAMES, ROUNDS = 100, 5


def seconds(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measured(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each way to make FRAMES frames, once a round."""
    keras.utils.set_random_seed(0)
    model = vg.DenseFrameGenerator((FRAMES, 64, 64, 3))
    network = model.network
    noise = np.random.default_rng(0).standard_normal((FRAMES, 100)).astype("float32")
    ways = {
        "predict, one call a frame": lambda: [network.predict(noise[i : i + 1], verbose=0) for i in range(FRAMES)],
        "network, one call a frame": lambda: [network(noise[i : i + 1]).numpy() for i in range(FRAMES)],
        "predict, one batched call": lambda: network.predict(noise, batch_size=FRAMES, verbose=0),
        "decode, one batched call": lambda: model.decode(noise),
    }
    for way in ways.values():
        way()  # tracing and caches are not what is measured
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    return times


def main() -> None:
    times = measured()
    for name, taken in times.items():
        print(f"{name}: median {1000 * statistics.median(taken):.1f} ms for {FRAMES} frames of 64×64×3")
    loop, network_loop, batched_predict, batched = times
    for slow, fast in ((loop, batched_predict), (network_loop, batched), (loop, batched)):
        ratio = statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))
        print(f"{slow} / {fast}: {ratio:.1f}×")


if __name__ == "__main__":
    main()
