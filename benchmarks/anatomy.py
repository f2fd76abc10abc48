"""A clinic with six outlined cases, and what it gains from cases that were generated: python benchmarks/anatomy.py [FILE]

Clinic A has the 1,000 cases that the preset anatomy-cases was trained on, and may not hand out one of them; clinic B has six.
For each of five seeds other six cases, another start, and a segmenter trained with as many steps on: the few as they are;
the few, augmented; with 150 cases that the preset painted for outlines that were redrawn from the few; and on many real cases.
The Dice coefficient is that of 100 held-out cases. Then: whose neighbours are the scans that the preset made?

FILE is a small JSON table; vidgen_tf/data/anatomy.json is what the lesson prints. It took 27.5 minutes on two cores.
"""

import json
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

import vidgen_tf as vg
from vidgen_tf.clips import whole_or_absent

SEEDS, FEW, MADE, HELD, STEPS = 5, 6, 150, 100, 200


def coarse(cases: np.ndarray) -> np.ndarray:
    """Means of scans over blocks of 2 × 4 × 4 voxels: anatomy without noise, (count, 8, 8, 8, 1)."""
    count, slices, height, width = cases.shape[:4]
    blocks = cases[..., 0].reshape(count, slices // 2, 2, height // 4, 4, width // 4, 4)
    return blocks.mean(axis=(2, 4, 6))[..., None]


def neighbours(made: np.ndarray, seen: np.ndarray, unseen: np.ndarray) -> dict[str, float]:
    """Shares of made cases, in %: nearer to a case that was seen in training than to all of as many that were not ("nearer",
    50 by chance); nearer to one that was seen than any unseen case is ("closest")."""
    to_seen, to_unseen, usual = (
        vg.nearest(coarse(a), coarse(b))[1] for a, b in ((made, seen), (made, unseen), (unseen, seen))
    )
    return {"nearer": 100 * float((to_seen < to_unseen).mean()), "closest": 100 * float((to_seen < usual.min()).mean())}


def study(world: vg.Anatomy, model: vg.Diffusion, file: Path | None = None) -> dict:
    """The table; it is written into the file after each seed."""
    many, held = world.sample(1000, 0).clips, world.sample(HELD, 10**6)
    unseen = world.sample(1000, 2 * 10**6).clips
    rows, privacy, watch = {}, [], time.perf_counter()
    for seed in range(SEEDS):
        sample = world.sample(FEW, 3 * 10**6 + seed)
        few = sample.clips
        outlines = vg.redraw_outlines(sample.truth["lesion"], sample.truth["organ"], MADE, seed)
        made = vg.paint_cases(model, *outlines, seed=seed, sampler="euler", steps=6)
        several = [few] * (MADE // FEW // 3)  # every fourth case is a real one
        trained_on = {
            "few": (few, False),
            "few, augmented": (few, True),
            "few and painted by A": (np.concatenate([*several, made]), True),
            "many": (many, True),
        }
        for name, (cases, augment) in trained_on.items():
            segmenter = vg.Segmenter(world.clip_shape, 8, seed=seed)
            segmenter.learn(cases, STEPS, seed, augment=augment)
            score = float(vg.dice(segmenter.segment(held.clips), held.truth["lesion"]).mean())
            rows.setdefault(name, []).append(round(100 * score, 2))
            print(f"seed {seed}, {name}: Dice {rows[name][-1]}, {time.perf_counter() - watch:.0f} seconds", flush=True)
        privacy.append(neighbours(made, many, unseen))
        means = {key: round(float(np.mean([one[key] for one in privacy])), 1) for key in privacy[0]}
        minutes = round((time.perf_counter() - watch) / 60, 1)
        table = {"date": date.today().isoformat(), "minutes": minutes, "dice": rows, "privacy": {"preset": means}}
        if file is not None:
            with whole_or_absent(file) as part:
                part.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    return table


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(json.dumps(study(vg.Anatomy(), vg.Diffusion.from_preset("anatomy-cases"), path), indent=2))
