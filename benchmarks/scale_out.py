"""What it would take on 8 GPUs and on 64 machines: python benchmarks/scale_out.py

Measured here, in seconds of one core (not of the clock, so other work does not count): making clips, reading them from shards,
and the checksum. Measured on one GPU before (LOG.md, "A flagship that is not there yet"): 9,000 steps of 256 clips in 2.5
minutes. From the makers: the bandwidths. Computed: all else, with a ring, in which each machine sends 2 · (n - 1) / n times the
slopes. What is not counted: stragglers, and what of the sending hides behind the computing (none of it does, here).
"""

import tempfile
import time
from pathlib import Path

import numpy as np

import vidgen_tf as vg
from vidgen_tf.clips import to_uint8
from vidgen_tf.shards import _checksum

GPU_STEP, GPU_BATCH = 150 / 9_000, 256  # seconds, clips: measured on one GPU
BETWEEN_GPUS, BETWEEN_MACHINES, HOP = 450e9, 12.5e9, 30e-6  # bytes/s (NVLink 4, 100 Gb/s Ethernet), seconds a message


def cost(work, repeat: int = 3) -> float:
    """Seconds of this processor, the least of some tries."""
    found = []
    for _ in range(repeat):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    world = vg.Shapes(part="train")
    clips = world.sample(256, 0).clips
    made = cost(lambda: world.sample(256, 1)) / 256
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "00000.npy"
        np.save(path, to_uint8(clips))
        checked = cost(lambda: _checksum(path)) / path.stat().st_size
        rows = np.random.default_rng(0).permutation(256)
        shard = np.load(path, mmap_mode="r")
        read = cost(lambda: vg.to_float(np.stack([shard[row] for row in rows]))) / 256
    print(
        f"one core makes {1 / made:,.0f} clips a second, reads {1 / read:,.0f}, and checks {1 / checked / 1e9:.1f} GB"
    )
    model = vg.Diffusion((16, 32, 32, 3), ("a", "b"), patch=(4, 4, 4), width=192, blocks=6, heads=6)
    slopes = 4 * sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    print(f"the network has {slopes / 4e6:.1f} million weights, slopes of {slopes / 1e6:.0f} MB")
    print("| GPUs | clips a step | ms to send slopes | ms a step | clips/s | of full speed | cores that read shards |")
    for machines, gpus in ((1, 1), (1, 8), (64, 8)):
        inside = 2 * (gpus - 1) / gpus * slopes / BETWEEN_GPUS
        between = 2 * (machines - 1) * (slopes / machines / BETWEEN_MACHINES + HOP)
        step, count = GPU_STEP + inside + between, machines * gpus
        rate = count * GPU_BATCH / step
        print(
            f"| {count} | {count * GPU_BATCH:,} | {1e3 * (inside + between):.2f} | {1e3 * step:.1f} | {rate:,.0f} | "
            f"{GPU_STEP / step:.0%} | {rate / machines * read:.1f} a machine |"
        )
    print(
        f"made instead of read: {GPU_BATCH * 8 / GPU_STEP * made:.0f} cores a machine, if each made its own part only"
    )


if __name__ == "__main__":
    main()
