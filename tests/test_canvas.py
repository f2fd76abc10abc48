"""The canvas and the panel for sketches, without a browser: what its text means, and what the widgets do."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from vidgen_tf import Diffusion, Shapes, SketchAdapter, canvas, panel
from vidgen_tf.metrics import intersection_over_union
from vidgen_tf.worlds.shapes import parse
from vidgen_tf.worlds.sketches import region_of

CLIP = (8, 24, 24, 3)
SENTENCE = "a red square moves left"
SQUARE = "64,64 192,64\n192,64 192,192 64,192\n64,192 64,70\n"


@pytest.fixture(scope="module")
def studio():
    model = Diffusion(CLIP, Shapes.words, patch=(4, 8, 8), width=8, blocks=1, heads=2, jumps=0.25)
    branch = SketchAdapter(CLIP, model, width=8, blocks=1, heads=2)
    last = branch.adapter.get_layer("last").kernel
    last.assign(np.random.default_rng(0).normal(0, 0.3, last.shape))
    return panel.Studio(branch, [SENTENCE], parse)


def read(picture):
    return region_of(picture, 24)


def tell(region, prompt):
    assert prompt == SENTENCE  # checked, and without capitals or a full stop
    return {"region": region[None]}


@pytest.mark.parametrize(
    ("text", "strokes"),
    [
        ("", []),
        (" \n\n", []),
        ("1,2 3,4\n5,6\n", [[(1, 2), (3, 4)], [(5, 6)]]),
        ("-1,2", [[(-1, 2)]]),
        ("1,2 x,3 4 5,6,7 <b>,1 123456,1 8,9", [[(1, 2), (8, 9)]]),
        ("nothing", []),
    ],
)
def test_text_as_strokes(text, strokes):
    assert canvas.strokes_of(text) == strokes


def test_strokes_become_a_picture():
    drawn = canvas.Canvas()
    assert drawn.picture() is None
    drawn.strokes.value = SQUARE
    picture = drawn.picture()
    assert (picture.shape, picture.dtype) == ((256, 256), np.uint8)
    assert picture[64, 128] == picture[128, 192] == 0
    assert picture[128, 128] == 255
    wanted = np.zeros((1, 24, 24))
    wanted[:, 6:18, 6:18] = 1
    assert intersection_over_union(read(picture)[None], wanted)[0] > 0.95
    before = drawn.screen.value
    drawn.cleared.click()
    assert drawn.picture() is None
    assert drawn.screen.value != before  # so that the browser makes the canvas anew


def test_a_tap_leaves_a_dot_and_a_stroke_is_as_wide_as_the_pen():
    drawn = canvas.Canvas()
    drawn.strokes.value = "50,50\n"
    ink = drawn.picture() < 128
    assert ink[50, 50]
    assert canvas.PEN**2 / 2 < ink.sum() < 1.6 * canvas.PEN**2
    drawn.strokes.value = "64,64 192,64\n100,100 100,200\n"
    ink = drawn.picture() < 128
    assert ink[:90, 128].sum() == ink[150, :128].sum() == canvas.PEN
    assert ink[64, :].sum() == pytest.approx(192 - 64 + canvas.PEN, abs=2)  # with its round ends


def test_the_page_has_what_the_script_looks_for():
    drawn = canvas.Canvas()
    assert "vidgen-canvas" in drawn.box._dom_classes
    assert "closest('.vidgen-canvas').querySelector('textarea')" in drawn.screen.value
    assert drawn.strokes in drawn.box.children
    attributes = re.findall(r'(\w+)="([^"]*)"', drawn.screen.value)
    assert {"onpointerdown", "onpointermove", "onpointerup"} <= {name for name, _ in attributes}
    for _, script in attributes:
        assert all(script.count(opening) == script.count(closing) for opening, closing in ("()", "{}", "[]"))


def test_draw_describe_generate_see_take_away(studio):
    box = canvas.sketch_panel(studio, read, tell)
    box.prompt.value = SENTENCE
    box.button.click()
    plain = studio.gallery[0].clip
    np.testing.assert_array_equal(plain, studio.model.generate(1, [SENTENCE], seed=0)[0])

    box.canvas.strokes.value = "64,64 192,64"
    assert "enclose nothing" in box.trouble.value
    box.button.click()
    assert "enclose nothing" in box.answer.value
    assert len(studio.gallery) == 1

    box.canvas.strokes.value = SQUARE
    assert box.trouble.value == ""
    with Image.open(io.BytesIO(box.understood.value)) as picture:
        assert 0.2 < (np.asarray(picture) < 128).mean() < 0.3
    box.button.click()
    assert box.answer.value == ""
    region = read(box.canvas.picture())[None]
    np.testing.assert_array_equal(
        studio.gallery[0].clip, studio.model.generate(1, [SENTENCE], seed=0, region=region)[0]
    )
    assert np.abs(studio.gallery[0].clip - plain).max() > 0.01
    assert "download=" in box.gallery.children[0].children[1].value


def test_what_lies_far_outside_is_left_out():
    assert canvas.strokes_of("99999,99999 1,1 -256,512 -257,0 0,513") == [[(1, 1), (-256, 512)]]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.full((24, 24), np.nan), "from 0 to 1"),
        (np.full((24, 24), 9.0), "from 0 to 1"),
        (np.zeros((0, 0)), "(0, 0)"),
        (np.zeros(3), "(3,)"),
        (None, "numbers"),
        (KeyError("lost"), "KeyError"),
    ],
)
def test_a_region_that_cannot_be_is_told_on_the_panel(studio, answer, words):
    def wrong(picture):
        if isinstance(answer, Exception):
            raise answer
        return answer

    box = canvas.sketch_panel(studio, wrong, tell)
    assert box.trouble.value == ""
    box.canvas.strokes.value = SQUARE
    assert words in box.trouble.value
    box.prompt.value = SENTENCE
    before = studio.gallery
    box.button.click()
    assert words in box.answer.value
    assert studio.gallery is before
