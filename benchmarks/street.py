"""What generated footage is worth to a detector: the same small network, trained on six kinds of footage, on another camera.

    python benchmarks/street.py [SEEDS] [FILE.json]

Tested on camera B, by day and night, dry and in rain, which nothing was trained on but the last row. The rows:

- few: 12 clips of camera A, by day, dry;
- few + augmentation: the same, mirrored, brighter or darker, with noise;
- few + simulator: and 384 clips of the cheap simulation, of other cameras each, day and night, dry and in rain;
- few + generated: and 384 clips that the preset `street-scenes` made for as many layouts, whose boxes are those that were drawn;
- generated: these alone, without a single labelled frame of a real camera;
- many: 384 clips of camera B itself, as a limit.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import vidgen_tf as vg
from vidgen_tf.quiet import keras, tf

STEPS, BATCH = 300, 32
FEW, MORE = 12, 384
KIND = 2  # persons and vehicles


def inputs_of(clips):
    """Frames beside their difference from the clip's median: (frames in all, 32, 48, 6)."""
    median = np.median(clips, axis=1, keepdims=True)
    return np.concatenate([clips, clips - median], axis=-1).reshape(-1, 32, 48, 6)


def targets_of(truth):
    """Heat of both kinds, width, height and offset of the centre in each of 16 × 24 cells: (frames in all, 16, 24, 6)."""
    boxes, seen = truth["boxes"].reshape(-1, 4, 4), truth["visible"].reshape(-1, 4)
    kind = np.repeat(truth["kind"], truth["boxes"].shape[1], axis=0)
    row, column = np.mgrid[:16, :24]
    target = np.zeros((len(boxes), 16, 24, KIND + 4), np.float32)
    for frame, agent in np.argwhere(np.isfinite(boxes[..., 0]) & (seen > 0.3) & (kind < KIND)):
        left, top, right, bottom = boxes[frame, agent]
        x, y = (left + right) / 4, (top + bottom) / 4  # in cells
        u, v = min(int(x), 23), min(int(y), 15)
        wide, high = max(0.5, (right - left) / 8), max(0.5, (bottom - top) / 8)
        heat = np.exp(-(((column - u) / wide) ** 2 + ((row - v) / high) ** 2))
        at = target[frame, ..., kind[frame, agent]]
        np.maximum(at, heat, out=at)
        target[frame, v, u, KIND:] = (right - left) / 8, (bottom - top) / 8, x - u, y - v
    return target


def loss_of(target, found):
    """Focal loss of the heat (Zhou et al. 2019), and absolute errors of boxes where a centre is."""
    heat, chance = target[..., :KIND], tf.clip_by_value(tf.sigmoid(found[..., :KIND]), 1e-4, 1 - 1e-4)
    center = tf.cast(heat > 0.999, tf.float32)
    hit = center * (1 - chance) ** 2 * tf.math.log(chance)
    miss = (1 - center) * (1 - heat) ** 4 * chance**2 * tf.math.log(1 - chance)
    size = tf.reduce_max(center, axis=-1, keepdims=True) * tf.abs(found[..., KIND:] - target[..., KIND:])
    return (tf.reduce_sum(size) - tf.reduce_sum(hit + miss)) / (1 + tf.reduce_sum(center))


def detector():
    conv = lambda units, stride=1, size=3: keras.layers.Conv2D(  # noqa: E731
        units, size, stride, "same", activation="relu", kernel_initializer="he_normal"
    )
    inputs = keras.Input((32, 48, 6))
    fine = conv(32)(conv(32, 2)(conv(16)(inputs)))
    coarse = conv(48)(conv(48)(conv(48, 2)(fine)))
    both = keras.layers.Concatenate()([fine, keras.layers.UpSampling2D()(coarse)])
    rare = keras.initializers.Constant([-3.0] * KIND + [0.5] * 4)
    return keras.Model(inputs, keras.layers.Conv2D(KIND + 4, 1, bias_initializer=rare)(conv(48, size=1)(both)))


def boxes_of(found, most=8):
    """Boxes, scores and kinds of the peaks of heat, the highest first: (frames, 8, 4), (frames, 8), (frames, 8)."""
    heat = 1 / (1 + np.exp(-found[..., :KIND]))
    wide = np.pad(heat, ((0, 0), (1, 1), (1, 1), (0, 0)))
    near = np.max([wide[:, y : y + 16, x : x + 24] for y in range(3) for x in range(3)], axis=0)
    flat = np.where(heat == near, heat, 0).reshape(len(heat), -1)
    best = np.argsort(-flat, axis=1, kind="stable")[:, :most]
    row, column, kind = np.unravel_index(best, heat.shape[1:])
    wide, high, x, y = np.moveaxis(found[np.arange(len(found))[:, None], row, column, KIND:], -1, 0)
    x, y = 2 * (column + x), 2 * (row + y)
    boxes = np.stack([x - 4 * wide, y - 4 * high, x + 4 * wide, y + 4 * high], axis=-1)
    return boxes, np.take_along_axis(flat, best, axis=1), kind


def average_precision(found, truth, least=0.5):
    """Area under precision over recall, the mean of both kinds, in %; what is hidden by more than 0.7 counts neither way."""
    boxes, scores, kinds = found
    true, seen = truth["boxes"].reshape(-1, 4, 4), truth["visible"].reshape(-1, 4)
    kind = np.repeat(truth["kind"], truth["boxes"].shape[1], axis=0)
    there = np.isfinite(true[..., 0])
    overlap = np.nan_to_num(vg.box_iou(boxes[:, :, None], true[:, None]))  # (frames, found, true)
    areas = []
    for this in range(KIND):
        wanted = there & (kind == this) & (seen > 0.3)
        free, hits = wanted.copy(), []
        order = np.argsort(-scores, axis=None, kind="stable")
        for frame, one in zip(*np.unravel_index(order, scores.shape), strict=True):
            if kinds[frame, one] != this or scores[frame, one] < 0.02:
                continue
            fits = overlap[frame, one] * (there & (kind == this))[frame]
            best = np.where(free[frame], fits, 0).argmax()
            if free[frame, best] and fits[best] >= least:
                free[frame, best] = False
                hits.append(1)
            elif not (fits * ~wanted[frame]).max() >= least:  # else it found something hidden
                hits.append(0)
        hits = np.array(hits, float)
        recall, precision = hits.cumsum() / wanted.sum(), hits.cumsum() / np.arange(1, len(hits) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        areas.append(np.sum(np.diff(recall, prepend=0) * precision))
    return 100 * np.mean(areas)


def mirrored(x, y):
    """Left and right exchanged, in inputs and targets."""
    y = y[:, :, ::-1].copy()
    y[..., KIND + 2] = np.where(y[..., KIND] > 0, 1 - y[..., KIND + 2], 0)
    return x[:, :, ::-1], y


def augmented(x, y, dice):
    """Half of them mirrored, other contrasts, brightness and colours, and noise."""
    x, y = x.copy(), y.copy()
    half = dice.random(len(x)) < 0.5
    x[half], y[half] = mirrored(x[half], y[half])
    gain = dice.uniform(0.6, 1.3, (len(x), 1, 1, 1)) * dice.uniform(0.85, 1.15, (len(x), 1, 1, 3))
    noise = dice.uniform(0, 0.1, (len(x), 1, 1, 1)) * dice.standard_normal((*x.shape[:3], 3))
    x[..., :3] = np.clip((x[..., :3] + 1) * gain - 1 + noise, -1, 1)
    x[..., 3:] = x[..., 3:] * gain + noise
    return x.astype(np.float32), y


def trained(sets, seed, augment=True, steps=STEPS):
    """A detector after so many steps on batches with the same share of each set (inputs, targets)."""
    keras.utils.set_random_seed(seed)
    dice, net = np.random.default_rng(seed), detector()
    net.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), loss_of)

    def batches():
        while True:
            picks = [dice.integers(len(x), size=BATCH // len(sets)) for x, _ in sets]
            x, y = (
                np.concatenate([each[part][pick] for each, pick in zip(sets, picks, strict=True)]) for part in (0, 1)
            )
            yield augmented(x, y, dice) if augment else (x, y)

    kinds = (tf.TensorSpec((BATCH, 32, 48, 6)), tf.TensorSpec((BATCH, 16, 24, KIND + 4)))
    data = tf.data.Dataset.from_generator(batches, output_signature=kinds).prefetch(2)
    net.fit(data, steps_per_epoch=steps, epochs=1, verbose=0)
    return net


def footage_of(model, sample, seed):
    """What the preset makes of the layouts of a sample, frame by frame, in the weather of each street."""
    layouts = sample.truth["layouts"]
    pairs = np.repeat(layouts.reshape(-1, 1, *layouts.shape[2:]), 2, axis=1)  # the drawing, and a frame to be made
    weather, mask = sample.truth["weather"].repeat(layouts.shape[1], axis=0), vg.known_frames(model.clip_shape, [0])
    made = model.generate(len(pairs), weather, seed=seed, known=pairs, mask=mask, sampler="euler", steps=2)
    return made[:, 1].reshape(layouts.shape)


def labelled(clips, truth):
    return inputs_of(clips), targets_of(truth)


def main(seeds=5, file=None):
    test = vg.Street("B", real=True).sample(120, 1000)
    dark, wet = test.truth["light"] < 0, test.truth["rain"] > -1
    parts = {"all": dark | ~dark, "day, dry": ~dark & ~wet, "day, rain": ~dark & wet, "night": dark}
    model = vg.Diffusion.from_preset("street-scenes")
    table = {}
    for seed in range(seeds):
        few = labelled(
            *(lambda s: (s.clips, s.truth))(vg.Street("A", real=True, light="day", rain=False).sample(FEW, seed))
        )
        asked = vg.Street().sample(MORE, 500 + seed)
        cheap = labelled(asked.clips, asked.truth)
        made = labelled(footage_of(model, asked, seed), asked.truth)
        many = labelled(*(lambda s: (s.clips, s.truth))(vg.Street("B", real=True).sample(MORE, 2000 + seed)))
        rows = {
            "few": ([few], False), "few + augmentation": ([few], True), "few + simulator": ([few, cheap], True),
            "few + generated": ([few, made], True), "generated": ([made], True), "many": ([many], True),
        }  # fmt: skip
        for name, (sets, augment) in rows.items():
            started = time.perf_counter()
            net = trained(sets, seed, augment)
            found = net.predict(inputs_of(test.clips), batch_size=256, verbose=0)
            for part, which in parts.items():
                truth = {key: value[which] for key, value in test.truth.items() if key in ("boxes", "visible", "kind")}
                score = average_precision(boxes_of(found[np.repeat(which, 8)]), truth)
                table.setdefault(name, {}).setdefault(part, []).append(round(float(score), 1))
            seconds = time.perf_counter() - started
            print(
                seed, name, {part: values[-1] for part, values in table[name].items()}, f"{seconds:.0f} s", flush=True
            )
    if file:
        Path(file).write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*[int(each) for each in sys.argv[1:2]], *sys.argv[2:3])
