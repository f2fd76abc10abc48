"""Style pictures: the convention, the seed, and that styles differ from each other more than their pictures do."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.clips import check_clips
from vidgen_tf.styles import PALETTES, STYLES, style_picture


@pytest.mark.parametrize("name", STYLES)
def test_a_style_picture_keeps_the_convention_and_the_seed_decides(name):
    picture = style_picture(name, 40, seed=3)
    assert picture.shape == (40, 40, 3)
    check_clips(picture[None], batch=False)
    assert picture.tobytes() == style_picture(name, 40, seed=3).tobytes()
    assert np.abs(picture - style_picture(name, 40, seed=4)).max() > 0.1
    assert picture.std() > 0.1


def test_pictures_of_one_style_have_its_colours():
    colors = {name: np.concatenate([style_picture(name, 96, s).mean(axis=(0, 1)) for s in (0, 1)]) for name in PALETTES}
    for name, found in colors.items():
        assert np.abs(found[:3] - found[3:]).max() < 0.35, name


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("cubism",), "'cubism'"), ((None,), "style"), (("marble", 8), "size"), (("marble", 513), "size"),
     (("marble", 2.5), "size"), (("marble", 64, -1), "seed")],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments, word):
    with refuses(word):
        style_picture(*arguments)
