"""Do the three generators of lesson 6 get the same time? python benchmarks/optical_flow.py

Steps of each recipe on this machine, interleaved; the median of each, what the recipe's steps take at that pace, and its
ratio to that of `warp-texture`. The minutes on the cards also count what else the machine did on that day.
"""

import statistics
import time

import vidgen_tf as vg
from vidgen_tf import presets
from vidgen_tf.quiet import keras

NAMES, STEPS, ROUNDS = ("warp-texture", "paint-texture", "gan-texture"), 20, 5


def main():
    runs = {}
    for name in NAMES:
        recipe = presets.card(name)["recipe"]
        model, world = presets.build(recipe), getattr(vg, recipe["world"])(**recipe["world_config"])
        model.compile(keras.optimizers.Adam(recipe["optimizer"]["learning_rate"]))
        runs[name] = recipe, model, world.dataset(recipe["batch_size"], seed=0)
        model.fit(runs[name][2], steps_per_epoch=5, verbose=0)  # traced before it is timed
    seconds = {name: [] for name in NAMES}
    for _ in range(ROUNDS):
        for name, (_, model, data) in runs.items():
            started = time.perf_counter()
            model.fit(data, steps_per_epoch=STEPS, verbose=0)
            seconds[name].append((time.perf_counter() - started) / STEPS)
    minutes = {name: statistics.median(seconds[name]) * runs[name][0]["steps"] / 60 for name in NAMES}
    for name in NAMES:
        print(
            f"{name:14} {statistics.median(seconds[name]):.3f} s a step, {runs[name][0]['steps']} steps in "
            f"{minutes[name]:.1f} minutes, {minutes[name] / minutes[NAMES[0]]:.2f} times {NAMES[0]}"
        )


if __name__ == "__main__":
    main()
