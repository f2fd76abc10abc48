"""Trains a preset on a GPU for which there is JAX and no TensorFlow: python benchmarks/train_on_jax.py NAME --out DIR

The same recipe, the same Keras networks and the same loss (`cost`) as `python -m vidgen_tf train NAME`; only the random
numbers are JAX's, so the weights are others of the same kind. For families whose loss is written for any backend of Keras:
Autoencoder and Diffusion. Prints how good the clips of held-out captions are; `--set` changes the recipe, to try things.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
import types
from pathlib import Path
from unittest.mock import MagicMock

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import numpy as np

quiet = types.ModuleType("vidgen_tf.quiet")
quiet.keras, quiet.tf = keras, MagicMock()  # what stands in for TensorFlow is never called here
sys.modules["vidgen_tf.quiet"] = quiet
try:
    import av  # noqa: F401
except ImportError:
    sys.modules["av"] = MagicMock()

import vidgen_tf as vg
from vidgen_tf import presets
from vidgen_tf.clips import to_uint8
from vidgen_tf.worlds.shapes import agrees

STARTED = time.time()
PART = 500  # clips that are sampled at a time


def log(*values):
    print(f"[{time.time() - STARTED:6.1f} s]", *values, flush=True)


def sample_part(job):
    path, shape, start, count, seed, recipe = job
    clips = np.memmap(path, np.uint8, "r+", shape=shape)
    sample = getattr(vg, recipe["world"])(**recipe["world_config"]).sample(count, seed + start)
    clips[start : start + count] = to_uint8(sample.clips)
    return sample.captions


def sampled(count, recipe, clip_shape):
    """Clips as uint8, and their captions, from all processors."""
    path, shape = tempfile.mktemp(dir="/dev/shm"), (count, *clip_shape)
    np.memmap(path, np.uint8, "w+", shape=shape).flush()
    jobs = [(path, shape, start, min(PART, count - start), 10_000, recipe) for start in range(0, count, PART)]
    with multiprocessing.get_context("fork").Pool() as pool:
        captions = sum(pool.map(sample_part, jobs, chunksize=1), ())
    clips = np.array(np.memmap(path, np.uint8, "r", shape=shape))
    os.unlink(path)
    return clips, captions


def numbers_of(captions, words):
    table = {word: index + 1 for index, word in enumerate(words)}
    rows = [[table[word] for word in caption.split()] for caption in captions]
    return np.array([row + [0] * (16 - len(row)) for row in rows], np.int32)


def changed(recipe, settings):
    for setting in settings:
        path, value = setting.split("=", 1)
        *inside, last = path.split(".")
        place = recipe
        for name in inside:
            place = place.setdefault(name, {})
        place[last] = json.loads(value)
    return recipe


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--clips", type=int, default=60_000, help="different clips to train on")
    parser.add_argument("--test", type=int, default=300, help="clips to judge")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--chunk", type=int, default=100, help="steps between two looks")
    parser.add_argument("--set", nargs="*", default=[], help="such as steps=2000 config.width=128")
    chosen = parser.parse_args()
    recipe = changed(presets.card(chosen.name)["recipe"], chosen.set)
    chosen.out.mkdir(parents=True, exist_ok=True)
    shape = tuple(recipe["config"]["clip_shape"])
    clips, captions = sampled(chosen.clips, recipe, shape)
    log(f"{len(clips)} clips")
    run(chosen, recipe, clips, captions)


def run(chosen, recipe, clips, captions):
    import jax
    import jax.numpy as jnp

    log(jax.devices())
    keras.utils.set_random_seed(recipe["seed"])
    model = presets.build(recipe)
    if chosen.start:
        presets.set_weights(model, chosen.start)
    latent = recipe["family"] == "Autoencoder"
    trained = [*model.trainable_variables] if latent else [*model.denoiser.trainable_variables]
    others = [variable for variable in model.variables if all(variable is not one for one in trained)]
    log(f"{sum(int(np.prod(v.shape)) for v in trained):,} weights")
    pixels = lambda stored: stored.astype(jnp.float32) / 127.5 - 1  # noqa: E731
    frozen_values = [variable.value for variable in others]

    def with_values(function, values, rest, *arguments):
        """A function of the model under other values of its variables; and the values of the rest after it."""
        with keras.StatelessScope(
            state_mapping=[*zip(trained, values, strict=True), *zip(others, rest, strict=True)]
        ) as scope:
            found = function(*arguments)
        after = [scope.get_current_value(variable) for variable in others]
        return found, [old if new is None else new for old, new in zip(rest, after, strict=True)]

    data = {"clips": jnp.asarray(clips)}
    if not latent:
        if model.vocabulary is not None:
            data["words"] = jnp.asarray(numbers_of(captions, model.vocabulary.known))
        encode = jax.jit(lambda stored: model.latents_of(pixels(stored)))
        parts = [encode(data["clips"][start : start + 500]) for start in range(0, len(clips), 500)]
        data["latents"] = jnp.concatenate(parts) if model.autoencoder is not None else None
    batch, steps, adam = recipe["batch_size"], recipe["steps"], dict(recipe["optimizer"])
    most, warmup, momentum = adam["learning_rate"], recipe.get("warmup_steps", 0), adam.get("ema_momentum", 0.999)
    limit = adam.get("global_clipnorm", 1e9)

    def loss(values, rest, data, index, key):
        keys = jax.random.split(key, 3)
        shown = pixels(data["clips"][index])
        if latent:
            noise = jax.random.normal(keys[0], (batch, 1, *model.latent_shape[1:]))
            return with_values(model.cost, values, rest, shown, noise, jax.random.uniform(keys[1], (batch,)))
        latents = shown if data["latents"] is None else data["latents"][index]
        words = data["words"][index] if "words" in data else None
        noise, bell = jax.random.normal(keys[0], latents.shape), jax.random.normal(keys[1], (batch,))
        dice = jax.random.uniform(keys[2], (batch, 12))
        known = model.known_in_training(shown, dice) if model.fills else None
        return with_values(model.cost, values, rest, latents, words, known, noise, dice, bell)

    def rate_at(step):
        rising = most * (0.05 + 0.95 * step / max(1, warmup))
        return jnp.where(step < warmup, rising, most / 2 * (1 + jnp.cos(jnp.pi * (step - warmup) / (steps - warmup))))

    def step(state, number, data):
        values, rest, first, second, average, key = state
        key, draw, chance = jax.random.split(key, 3)
        index = jax.random.randint(draw, (batch,), 0, len(clips))
        (cost, rest), slopes = jax.value_and_grad(loss, has_aux=True)(values, rest, data, index, chance)
        norm = jnp.sqrt(sum(jnp.sum(slope**2) for slope in slopes))
        slopes = [slope * jnp.minimum(1.0, limit / (norm + 1e-9)) for slope in slopes]
        first = [0.9 * old + 0.1 * new for old, new in zip(first, slopes, strict=True)]
        second = [0.999 * old + 0.001 * new**2 for old, new in zip(second, slopes, strict=True)]
        scale = rate_at(number) * jnp.sqrt(1 - 0.999 ** (number + 1)) / (1 - 0.9 ** (number + 1))
        values = [v - scale * a / (jnp.sqrt(b) + 1e-7) for v, a, b in zip(values, first, second, strict=True)]
        keep = jnp.minimum(momentum, (1 + number) / (10 + number))
        average = [keep * old + (1 - keep) * new for old, new in zip(average, values, strict=True)]
        return (values, rest, first, second, average, key), (cost, norm)

    many = jax.jit(lambda state, numbers, data: jax.lax.scan(lambda s, n: step(s, n, data), state, numbers))
    zeros = lambda: [jnp.zeros_like(variable.value) for variable in trained]  # noqa: E731
    start = [variable.value for variable in trained]
    state = (start, frozen_values, zeros(), zeros(), list(start), jax.random.key(recipe["seed"]))
    begun, best, good = time.time(), np.inf, (start, frozen_values)
    for done in range(0, steps, chosen.chunk):
        state, (costs, norms) = many(state, jnp.arange(done, done + chosen.chunk, dtype=jnp.float32), data)
        cost = float(costs.mean())
        if not np.isfinite(cost) or cost > 20 * best:
            log(
                f"diverged after {done} steps (loss {cost:.4g}, best {best:.4g}): stopped, what was good before is kept"
            )
            break
        best, good = min(best, cost), (state[4], state[1])
        if done == chosen.chunk or (done // chosen.chunk) % 10 == 9:
            took = (time.time() - begun) / (done + chosen.chunk)
            log(
                f"step {done + chosen.chunk}: loss {cost:.5g}, norm {float(norms.mean()):.3g}, {1e3 * took:.1f} ms a step"
            )
        if (done // chosen.chunk) % 50 == 49:
            keep(chosen, recipe, model, trained, others, good, None, {})
    minutes = (time.time() - begun) / 60
    if latent:
        good = good[0], settled(model, trained, others, good, clips, jax)
    keep(chosen, recipe, model, trained, others, good, minutes, {"hardware": str(jax.devices()[0].device_kind)})
    judge(model, recipe, chosen, jax, jnp, latent)


def settled(model, trained, others, good, clips, jax):
    """The values of the other variables once the mean and the variance of latents are those of the averaged weights."""
    for variables, values in ((trained, good[0]), (others, good[1])):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    encode = jax.jit(lambda stored: model.latents_of(stored.astype("float32") / 127.5 - 1))
    found = np.concatenate(
        [np.asarray(encode(clips[start : start + 500])) for start in range(0, min(len(clips), 5000), 500)]
    )
    mean, variance = found.mean(axis=(0, 1, 2, 3)), found.var(axis=(0, 1, 2, 3))
    values = []
    for variable in others:
        value = np.asarray(variable.value)
        if "moving_mean" in variable.path:
            spread = next(other for other in others if "moving_variance" in other.path)
            value = value + mean * np.sqrt(np.asarray(spread.value) + 1e-5)
        values.append(value * variance if "moving_variance" in variable.path else value)
    return values


def keep(chosen, recipe, model, trained, others, good, minutes, record):
    """Writes the averaged weights, rounded to float16, and puts them into the model."""
    for variables, values in ((trained, good[0]), (others, good[1])):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    halves = [np.asarray(weight).astype(np.float16) for weight in model.preset_weights]
    np.savez_compressed(chosen.out / f"{chosen.name}.npz", **{f"{i:03d}": half for i, half in enumerate(halves)})
    if minutes is not None:
        model.set_preset_weights([half.astype(np.float32) for half in halves])
        record |= {"steps": recipe["steps"], "minutes": round(minutes, 2), "keras": keras.__version__}
        (chosen.out / f"{chosen.name}.json").write_text(
            json.dumps({"recipe": recipe, "record": record}, indent=2) + "\n"
        )
        log(f"wrote {chosen.name}, {minutes:.2f} minutes")


def shares(world, clips, captions):
    reading = world.read(np.clip(clips, -1, 1))
    asked = ("color", "shape", "motion")
    found = {"all": agrees(captions, reading, asked).mean(), "with size": agrees(captions, reading).mean()}
    found |= {label: agrees(captions, reading, (label,)).mean() for label in (*asked, "size")}
    return ", ".join(f"{name} {share:.3f}" for name, share in found.items())


def judge(model, recipe, chosen, jax, jnp, latent):
    """What the world reads from clips that come back, or that are made for seen and for held-out captions."""
    for part in ("train", "test"):
        world = getattr(vg, recipe["world"])(**(recipe["world_config"] | {"part": part}))
        sample = world.sample(chosen.test, 77)
        real, asked = sample.clips, sample.captions
        if latent:
            made = np.asarray(jax.jit(lambda clips: model.clips_of(model.latents_of(clips)))(real))
            log(part, f"{vg.psnr(real, np.clip(made, -1, 1)).mean():.2f} dB,", shares(world, made, asked))
            continue
        words = jnp.asarray(numbers_of(asked, model.vocabulary.known))
        velocity = jax.jit(model.predict_velocity)
        for sampler, steps in (("euler", 16), ("heun", 16), ("jumps", 4), ("jumps", 1))[: 4 if model.jumps else 2]:
            made = sample_clips(model, velocity, jax, jnp, words, sampler, steps, None)
            one = np.array([" and " not in caption for caption in asked])
            log(
                part,
                sampler,
                steps,
                shares(world, made, asked),
                "| one thing:",
                shares(world, made[one], [c for c in asked if " and " not in c]),
            )
            np.savez_compressed(
                chosen.out / f"look-{part}-{sampler}{steps}.npz",
                clips=to_uint8(np.clip(made[:12], -1, 1)),
                captions=np.array(asked[:12]),
            )
        parts = (("first and last", [0, -1]), ("first 4", [0, 1, 2, 3]), ("first", [0]))
        for name, frames in parts if model.fills is True else parts[2:] if model.fills else ():
            mask = np.zeros((1, real.shape[1], 1, 1, 1), np.float32)
            mask[:, frames] = 1
            known = model.known_of(jnp.asarray(real), jnp.broadcast_to(jnp.asarray(mask), (*real.shape[:-1], 1)))
            made = sample_clips(
                model,
                velocity,
                jax,
                jnp,
                words,
                "jumps" if model.jumps else "heun",
                4 if model.jumps else 16,
                known,
            )
            rest = [t for t in range(real.shape[1]) if t not in [frame % real.shape[1] for frame in frames]]
            share = np.linspace(0, 1, real.shape[1], dtype=np.float32)[:, None, None, None]
            blend = (
                real[:, :1] * (1 - share) + real[:, -1:] * share
                if -1 in frames
                else np.repeat(real[:, [frames[-1]]], real.shape[1], 1)
            )
            log(
                part,
                name,
                f"{vg.psnr(real[:, rest], np.clip(made, -1, 1)[:, rest]).mean():.2f} dB, baseline {vg.psnr(real[:, rest], blend[:, rest]).mean():.2f} dB",
            )


def sample_clips(model, velocity, jax, jnp, words, sampler, steps, known):
    count = len(words)
    x = jax.random.normal(jax.random.key(5), (count, *model.latent_shape))
    if model.fills and known is None:
        known = model.known_of(jnp.zeros((count, *model.clip_shape)), jnp.zeros((count, *model.clip_shape[:3], 1)))
    times = np.linspace(1, 0, steps + 1)
    times = times if sampler == "jumps" else model._shifted(times)

    def slope(x, now, jump):
        at = lambda value: jnp.full((count,), value, jnp.float32)  # noqa: E731
        said = velocity(x, at(now), at(jump), words, known)
        if sampler == "jumps" or model.guidance == 1:
            return said
        free = velocity(x, at(now), at(jump), jnp.zeros_like(words), known)
        return free + model.guidance * (said - free)

    for now, then in itertools.pairwise(times):
        direction = slope(x, now, now - then if sampler == "jumps" else 0.0)
        if sampler == "heun" and then > 0:
            direction = (direction + slope(x + (then - now) * direction, then, 0.0)) / 2
        x = x + (then - now) * direction
    return np.asarray(x if model.autoencoder is None else jax.jit(model.autoencoder.clips_of)(x))


if __name__ == "__main__":
    main()
