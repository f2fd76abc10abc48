"""How well clips keep the outline of a sketch: python benchmarks/sketches.py NAME [--clips N]

NAME is a preset of a `SketchAdapter` on a model of `Shapes`. Sketches are drawn from held-out captions; each line of the table is
a way to make a clip for them, and tells how far the region of its first frame is the asked one (intersection over union: the mean, and
the share of clips with 0.8 at least), how far the region of the second frame is that of the first one, which is low where a clip starts
with a jerk, and how many clips show what the caption says. Real clips, and what is left of them behind the autoencoder, are the limits.
"""

import argparse

import numpy as np

import vidgen_tf as vg
from vidgen_tf.worlds.shapes import agrees


def ways(model, sample, regions, seed):
    """Names of ways, and clips that they make."""
    diffusion, count, captions = model.diffusion, len(regions), sample.captions
    yield "real clips", sample.clips
    yield "through the autoencoder", diffusion.autoencoder.decode(diffusion.autoencoder.encode(sample.clips))
    yield "words alone", diffusion.generate(count, captions, seed=seed)
    if diffusion.fills:
        painted = np.repeat(vg.painted(regions, captions)[:, None], model.clip_shape[0], axis=1)
        first = vg.known_frames(model.clip_shape, [0])
        for keep in ("pixels", "latents"):
            told = {"known": painted, "mask": first, "keep": keep}
            yield f"painted, kept in {keep}", diffusion.generate(count, captions, seed=seed, **told)
        yield "... by Heun's steps", diffusion.generate(count, captions, seed=seed, sampler="heun", steps=8, **told)
    yield "adapter", model.generate(count, captions, seed=seed, region=regions)
    yield "adapter, heun", model.generate(count, captions, seed=seed, region=regions, sampler="heun", steps=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    model = vg.VideoModel.from_preset(chosen.name)
    world = vg.Shapes(model.clip_shape[0], model.clip_shape[1], part="test")
    sample = world.sample(chosen.clips, chosen.seed)
    drawings = vg.drawn(sample.truth, model.clip_shape[1], chosen.seed)
    regions = np.stack([vg.region_of(drawing, model.clip_shape[1]) for drawing in drawings])
    print(f"{'':26}   IoU  >=0.8  frames 0-1  caption  motion")
    for name, clips in ways(model, sample, regions, chosen.seed):
        first, second = (np.asarray(model.regions_of(clips[:, frame:]))[..., 0] > 0.5 for frame in (0, 1))
        same = vg.intersection_over_union(first, regions > 0.5)
        steady, reading = vg.intersection_over_union(first, second), world.read(clips)
        said = [
            agrees(sample.captions, reading, labels).mean()
            for labels in (("color", "shape", "size", "motion"), ("motion",))
        ]
        print(
            f"{name:26} {same.mean():.3f}  {(same >= 0.8).mean():5.2f}  {steady.mean():10.3f}  {said[0]:7.2f}  {said[1]:6.2f}"
        )


if __name__ == "__main__":
    main()
