"""What takes a seed: the same seed gives the same, another one gives others."""

import numpy as np
import pytest

import vidgen_tf as vg
from vidgen_tf.worlds.anatomy import Anatomy, paint_cases, redraw_outlines
from vidgen_tf.worlds.street import Street

WORLD = Anatomy(slices=8, size=16)


class Painter:
    """Grey slices, of one grey or of one that its seed says."""

    def __init__(self, heeds: bool):
        self.heeds = heeds

    def generate(self, count, *, seed, known, mask):
        grey = np.random.default_rng(seed).uniform(-0.5, 0.5) if self.heeds else 0.0
        return np.full_like(known, grey)


def redrawn(seed):
    sample = WORLD.sample(3, 0)
    return np.stack(redraw_outlines(sample.truth["lesion"], sample.truth["organ"], 2, seed))


def painted(seed, heeds, noise):
    sample = WORLD.sample(2, 0)
    return paint_cases(Painter(heeds), sample.truth["lesion"], sample.truth["organ"], seed=seed, noise=noise)


def begun(seed):
    return vg.Segmenter(WORLD.clip_shape, width=4, seed=seed).unet.trainable_variables[0].numpy()


def learned(seed):
    segmenter, clips = vg.Segmenter(WORLD.clip_shape, width=4), WORLD.sample(4, 0).clips
    segmenter.learn(clips, 2, seed=seed)
    return np.asarray(segmenter(clips[..., :1]))


def filmed(seed):
    numbers = np.zeros((1, 25), np.float32)
    numbers[0, 6] = -1  # dry, and nobody there
    return Street(real=True).render(numbers, seed).clips


@pytest.mark.parametrize("made", [
    redrawn, lambda seed: painted(seed, True, 0), lambda seed: painted(seed, False, 0.1), begun, learned, filmed,
], ids=["redraw_outlines", "paint_cases", "noise of paint_cases", "Segmenter", "Segmenter.learn", "Street.render"])  # fmt: skip
def test_another_seed_gives_others(made):
    one, again, other = made(1), made(1), made(2)
    np.testing.assert_allclose(one, again, atol=1e-5)
    assert np.abs(one.astype(float) - other).max() > 1e-3
