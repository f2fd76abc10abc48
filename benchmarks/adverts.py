"""How well adverts show what was asked for: python benchmarks/adverts.py NAME [--seeds N]

NAME is a preset of a `Diffusion` for `Adverts`. Each line of the table is a way to make a clip for each of the 270 profiles: from labels
alone, and with the photograph of a product of the test part as its known first frame, at several strengths of guidance. It tells in how
many clips colour, pace and mood are read as asked for (mean and deviation over seeds), the `error` that `Adverts.read` finds between a
clip and its own photograph, and the variety of the photographs in clips for one profile, as a share of that of real ones.
"""

import argparse

import numpy as np

import vidgen_tf as vg

EVERYONE = np.array(list(np.ndindex(5, 6, 3, 3)))
ONE = np.repeat([[4, 0, 2, 2]], 24, axis=0)  # red bags, fast, at night


def variety(stills):
    """Root mean square difference of pictures (n, height, width), the mean over all pairs."""
    values = stills.reshape(len(stills), -1) / 255
    apart = np.sqrt(np.mean((values[:, None] - values[None]) ** 2, axis=2))
    return apart.sum() / (len(stills) * (len(stills) - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    model, world = vg.VideoModel.from_preset(chosen.name), vg.Adverts("test")
    mask = vg.known_frames(model.clip_shape, [0])
    bags = variety(world.stills[np.flatnonzero(world.shelf == 4)[:24]])
    print(f"{'':32} colour   pace   mood   all three      error  variety")
    for way in ("labels alone", "photograph"):
        for guidance in (1.0, 2.0, 4.0, 8.0):
            shares, errors, varied = [], [], []
            for seed in range(chosen.seeds):
                dice = np.random.default_rng(seed)
                still = world.stills[[dice.choice(np.flatnonzero(world.shelf == shelf)) for shelf in EVERYONE[:, 0]]]
                told = {"known": vg.photograph(still), "mask": mask} if way == "photograph" else {}
                settings = {"seed": seed, "guidance": guidance, "sampler": "euler", "steps": 8}
                scores = world.scores(model.generate(len(EVERYONE), EVERYONE, **settings, **told), EVERYONE)
                shares.append([scores[name] for name in ("color", "pace", "mood", "profile")])
                errors.append(scores["error"])
                if not told:
                    varied.append(variety(world.read(model.generate(24, ONE, **settings))["picture"]) / bags)
            mean, apart = 100 * np.mean(shares, axis=0), 100 * np.std(shares, axis=0)
            seen = f"{100 * np.mean(varied):6.0f} %" if varied else ""
            print(
                f"{way + f', guidance {guidance:g}':32} {mean[0]:6.1f} {mean[1]:6.1f} {mean[2]:6.1f} {mean[3]:6.1f} ± {apart[3]:3.1f} "
                f"{np.mean(errors):10.3f}  {seen}"
            )


if __name__ == "__main__":
    main()
