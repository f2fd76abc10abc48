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

import vidgen_tf as vg

STEPS = 300
FEW, MORE = 12, 384


def labelled(world, count, seed):
    sample = world.sample(count, seed)
    return sample.clips, sample.truth


def main(seeds=5, file=None):
    test = vg.Street("B", real=True).sample(120, 1000)
    dark, wet = test.truth["light"] < 0, test.truth["rain"] > -1
    parts = {"all": dark | ~dark, "day, dry": ~dark & ~wet, "day, rain": ~dark & wet, "night": dark}
    model = vg.Diffusion.from_preset("street-scenes")
    table = {}
    for seed in range(seeds):
        few = labelled(vg.Street("A", real=True, light="day", rain=False), FEW, seed)
        asked = vg.Street().sample(MORE, 500 + seed)
        cheap, made = (asked.clips, asked.truth), (vg.paint_street(model, asked, seed=seed), asked.truth)
        many = labelled(vg.Street("B", real=True), MORE, 2000 + seed)
        rows = {
            "few": ([few], False), "few + augmentation": ([few], True), "few + simulator": ([few, cheap], True),
            "few + generated": ([few, made], True), "generated": ([made], True), "many": ([many], True),
        }  # fmt: skip
        for name, (sets, augment) in rows.items():
            started = time.perf_counter()
            detector = vg.Detector(test.clips.shape[1:], seed)
            detector.learn(sets, STEPS, seed, augment=augment)
            found = detector.detect(test.clips)
            for part, which in parts.items():
                score = vg.average_precision(
                    *({key: each[which] for key, each in one.items()} for one in (found, test.truth))
                )
                table.setdefault(name, {}).setdefault(part, []).append(round(score, 1))
            seconds = time.perf_counter() - started
            print(
                seed, name, {part: values[-1] for part, values in table[name].items()}, f"{seconds:.0f} s", flush=True
            )
    if file:
        Path(file).write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*[int(each) for each in sys.argv[1:2]], *sys.argv[2:3])
