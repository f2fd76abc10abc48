"""Trains a preset of `Diffusion` on latents that are computed once: python benchmarks/train_on_latents.py NAME --out DIR

The same recipe, network and loss as `python -m vidgen_tf train NAME`, which renders and folds each batch anew and so takes
longer. Here the clips are folded beforehand, each whole, and once more under what is known of it if something
is; the step is compiled by XLA. The averaged weights are written every ten minutes: `--start` goes on from them.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import vidgen_tf as vg
from vidgen_tf import presets
from vidgen_tf.families.diffusion import DICE
from vidgen_tf.quiet import keras, tf

PART = 200  # clips that are folded at a time


def folded_clips(model, recipe, count):
    """Latents of clips, their captions, what is told of them, and the dice that say so, all but the first of which are free."""
    world, dice = getattr(vg, recipe["world"])(**recipe["world_config"]), np.random.default_rng(recipe["seed"])
    dice = dice.random((count, DICE), dtype=np.float32)
    dice[:, 4] /= 2  # something is known of each
    fold, tell = tf.function(model.latents_of), tf.function(model.known_in_training)
    latents, captions, known = [], [], []
    for start in range(0, count, PART):
        sample = world.sample(PART, recipe["seed"] + start)
        captions += sample.captions
        latents.append(fold(sample.clips).numpy().astype(np.float16))
        known.append(tell(sample.clips, dice[start : start + PART]).numpy().astype(np.float16))
    return np.concatenate(latents), captions, np.concatenate(known)


def step_of(model, optimizer, average):
    """One step of training, compiled."""
    weights = model.denoiser.trainable_variables

    @tf.function(jit_compile=True)
    def step(latents, words, known, noise, dice, bell, keep):
        with tf.GradientTape() as tape:
            loss = model.cost(latents, words, known, noise, dice, bell)
        optimizer.apply(tape.gradient(loss, weights), weights)
        for mean, weight in zip(average, weights, strict=True):
            mean.assign(keep * mean + (1 - keep) * weight)
        return loss

    return step


def trained(model, recipe, count, write):
    """Follows the recipe, and returns the averaged weights."""
    latents, captions, known = folded_clips(model, recipe, count)
    words = model.vocabulary.numbers(tf.constant(captions), count).numpy()
    nothing = model.known_in_training(tf.zeros((1, *model.clip_shape))).numpy()
    settings, batch, steps = dict(recipe["optimizer"]), recipe["batch_size"], recipe["steps"]
    momentum = settings.pop("ema_momentum")
    settings.pop("use_ema")
    optimizer = presets.optimizer_of(recipe | {"optimizer": settings}, steps)
    optimizer.build(model.denoiser.trainable_variables)
    average = [tf.Variable(weight) for weight in model.denoiser.trainable_variables]
    step, random, losses, saved = step_of(model, optimizer, average), np.random.default_rng(1), [], time.time()
    for number in range(steps):
        chosen = random.integers(0, count, batch)
        dice, bell = random.random((batch, DICE), dtype=np.float32), random.standard_normal(batch, dtype=np.float32)
        noise = random.standard_normal((batch, *model.latent_shape), dtype=np.float32)
        told = np.where(random.random((batch, 1, 1, 1, 1)) < 0.5, nothing, known[chosen]).astype(np.float32)
        keep = np.float32(min(momentum, (1 + number) / (10 + number)))
        losses.append(step(latents[chosen].astype(np.float32), words[chosen], told, noise, dice, bell, keep))
        if number % 500 == 499:
            print(f"step {number + 1}: loss {np.mean(losses[-500:]):.4f}", flush=True)
        if time.time() - saved > 600:
            write(average)
            saved = time.time()
    return average


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--clips", type=int, default=40_000, help=f"different clips to train on, in {PART}s")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    chosen = parser.parse_args()
    recipe = presets.card(chosen.name)["recipe"]
    chosen.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe["seed"])
    model = presets.build(recipe)
    if chosen.start:
        presets.set_weights(model, chosen.start)

    def write(weights):
        halves = {f"{index:03d}": weight.numpy().astype(np.float16) for index, weight in enumerate(weights)}
        np.savez_compressed(chosen.out / f"{chosen.name}.npz", **halves)

    started = time.time()
    write(trained(model, recipe, chosen.clips, write))
    minutes = (time.time() - started) / 60
    presets.set_weights(model, chosen.out / f"{chosen.name}.npz")  # as they are rounded
    scores = presets.scores_of(model, recipe)
    print(json.dumps({"minutes": round(minutes, 2), "scores": scores}, indent=2))


if __name__ == "__main__":
    main()
