"""Listing 1 in this kit against listing 1 in PyTorch, on the same pictures in one run: python benchmarks/gan.py

PyTorch is no dependency of the kit; install it by hand for this. Runs are interleaved, and medians of ratios are
printed, so that they hold on a slow or busy machine too. Beside them stands the machine's limit for one step, computed
from what this machine was just measured to do: the arithmetic of all matrix products at the speed of a large one, plus
the memory traffic of Adam at the speed of copying.
"""

import statistics
import time
from itertools import pairwise

import numpy as np

import vidgen_tf as vg
from vidgen_tf.quiet import keras, tf

BATCH, STEPS, ROUNDS = 64, 100, 7
SIZES = (100, 256, 512, 1024, 784)


def seconds(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def keras_listing(pictures: np.ndarray, **options):
    """STEPS steps of the kit's DenseGAN as a function without arguments."""
    model = vg.DenseGAN((1, 28, 28, 1))
    model.compile(keras.optimizers.Adam(2e-4), **options)
    data = tf.data.Dataset.from_tensor_slices(pictures).repeat().batch(BATCH, drop_remainder=True).prefetch(2)
    return lambda: model.fit(data, steps_per_epoch=STEPS, verbose=0)


def torch_listing(pictures: np.ndarray):
    """STEPS steps of the listing in PyTorch, eager, as it is taught: real and made pictures in two passes."""
    import torch
    from torch import nn

    def dense(sizes, last):
        layers = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*layers[:-1], last)

    generator, discriminator = dense(SIZES, nn.Tanh()), dense((*SIZES[:0:-1], 1), nn.Sigmoid())
    adam_g = torch.optim.Adam(generator.parameters(), 2e-4)
    adam_d = torch.optim.Adam(discriminator.parameters(), 2e-4)
    entropy, ones, zeros = nn.BCELoss(), torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    data = torch.from_numpy(pictures.reshape(len(pictures), -1))

    def train():
        for step in range(STEPS):
            start = step * BATCH % (len(data) - BATCH)
            real, made = data[start : start + BATCH], generator(torch.randn(BATCH, SIZES[0]))
            adam_d.zero_grad()
            (entropy(discriminator(real), ones) + entropy(discriminator(made.detach()), zeros)).backward()
            adam_d.step()
            adam_g.zero_grad()
            entropy(discriminator(made), ones).backward()
            adam_g.step()

    return train


def limit() -> float:
    """Seconds that one step must take on this machine."""
    a = tf.random.normal((3072, 3072))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    multiply()
    speed = 2 * 3072**3 / min(seconds(lambda: multiply().numpy()) for _ in range(8))  # FLOP/s
    block, other = np.ones(2**25, np.float32), np.empty(2**25, np.float32)
    traffic = (
        2 * block.nbytes / min(seconds(lambda: np.copyto(other, block)) for _ in range(8))
    )  # bytes/s, read and write
    generator = sum(x * y for x, y in pairwise(SIZES))
    mirror = (*SIZES[:0:-1], 1)
    discriminator = sum(x * y for x, y in pairwise(mirror))
    first = mirror[0] * mirror[1]
    # Products of one picture: G forward, its weights' and inner slopes; D the same for a real and a made picture, without
    # slopes of pixels; and D forward and back to the pixels for G's step, without slopes of weights.
    products = 3 * generator - SIZES[0] * SIZES[1] + 2 * (3 * discriminator - first) + 2 * discriminator
    adam = 7 * 4 * (generator + discriminator)  # reads weight, two moments and slope; writes weight and moments
    print(f"machine: {speed / 1e9:.0f} GFLOP/s in a 3072² product, {traffic / 1e9:.1f} GB/s of memory")
    return 2 * products * BATCH / speed + adam / traffic


def measured(rounds: int = ROUNDS) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds of STEPS steps in each way, once a round; and the machine's limit for them, in each round."""
    keras.utils.set_random_seed(0)
    pictures = vg.Pictures("products").clips
    ways = {
        "kit": keras_listing(pictures, steps_per_execution=10),
        "kit, one step a call": keras_listing(pictures),
        "kit, XLA": keras_listing(pictures, steps_per_execution=10, jit_compile=True),
    }
    try:
        ways["PyTorch"] = torch_listing(pictures)
    except ModuleNotFoundError:
        print("PyTorch is not installed: python -m pip install torch; its row is left out.")
    for way in ways.values():
        way()  # tracing and caches are not what is measured
    times, least = {name: [] for name in ways}, []
    for _ in range(rounds):
        least.append(limit() * STEPS)
        for name, way in ways.items():
            times[name].append(seconds(way))
    return times, least


def main() -> None:
    times, least = measured()
    for name, taken in times.items():
        share = statistics.median(a / b for a, b in zip(least, taken, strict=True))
        print(f"{name}: median {STEPS * BATCH / statistics.median(taken):,.0f} pictures/s, {share:.0%} of the limit")
    if "PyTorch" in times:
        for name in list(times)[:-1]:
            ratio = statistics.median(a / b for a, b in zip(times["PyTorch"], times[name], strict=True))
            print(f"{name} / PyTorch: {ratio:.2f}×")


if __name__ == "__main__":
    main()
