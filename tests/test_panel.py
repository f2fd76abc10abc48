"""The panel: what it answers, keeps and hands out, with widgets and without."""

import io

import numpy as np
import pytest
from conftest import refuses, steps
from PIL import Image

from vidgen_tf import Bouncer, Diffusion, Shapes, panel
from vidgen_tf.worlds.shapes import parse

CLIP = (8, 24, 24, 3)
SENTENCES = ("a red circle moves left", "a red cross rotates", "a small blue circle bounces")


@pytest.fixture(scope="module")
def model():
    return Diffusion(CLIP, Shapes.words, patch=(4, 8, 8), width=8, blocks=1, heads=2, jumps=0.25)


@pytest.fixture
def studio(model):
    return panel.Studio(model, SENTENCES, parse, kept=2)


def test_a_prompt_becomes_a_clip_and_the_newest_stand_first(studio, model):
    first, second, third = (studio.make(prompt, seed) for seed, prompt in enumerate(SENTENCES))
    assert studio.gallery == [third, second]
    assert (first.prompt, first.seed) == (SENTENCES[0], 0)
    np.testing.assert_array_equal(second.clip, model.generate(1, [SENTENCES[1]], seed=1)[0])
    same = studio.make("  A red   CROSS rotates. ", 1)
    assert same.prompt == SENTENCES[1]
    np.testing.assert_array_equal(same.clip, second.clip)


def test_steps_and_guidance_are_heeded(studio, model):
    made = studio.make(SENTENCES[0], 3, steps=5, guidance=3.0)
    again = model.generate(1, [SENTENCES[0]], seed=3, sampler="euler", steps=5, guidance=3.0)
    np.testing.assert_array_equal(made.clip, again[0])


def test_steps_without_guidance_are_those_of_euler():
    model = Diffusion(CLIP, Shapes.words, patch=(4, 8, 8), width=8, blocks=1, heads=2, jumps=0.25)
    dice = np.random.default_rng(0)
    for weight in model.trainable_variables:  # so that the number of steps makes a difference
        weight.assign_add(dice.normal(0, 0.2, weight.shape).astype("float32"))
    made = panel.Studio(model).make(SENTENCES[0], 3, steps=5).clip
    ways = {"sampler": "euler", "steps": 5}, {"sampler": "euler", "steps": 6}, {}
    right, *wrong = (model.generate(1, [SENTENCES[0]], seed=3, **way)[0] for way in ways)
    np.testing.assert_array_equal(made, right)
    for other in wrong:
        assert np.abs(made - other).max() > 1e-3


def test_each_step_is_told(studio):
    told = []
    studio.make(SENTENCES[0], watch=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", ["empty"]),
        (" \n", ["empty"]),
        (None, ["empty"]),
        ("a red cirle moves left", ["'cirle'", "known"]),
        ("a red <b>circle</b> moves left", ["'<b>circle</b>' is not a known shape"]),
        ("red circle", ["'red'", "first word"]),
        ("a circle rotates", ["colour"]),
        ("a " * 150, ["300", "200"]),
    ],
)
def test_what_is_no_sentence_is_refused_and_nothing_is_lost(studio, prompt, words):
    studio.make(SENTENCES[0])
    with refuses(*words):
        studio.make(prompt)
    assert len(studio.gallery) == 1


def test_completions_go_on_as_the_examples_do(studio, model):
    assert studio.completions("") == ["a"]
    assert studio.completions("a ") == ["a red", "a small"]
    assert studio.completions("a r") == ["a red"]
    assert studio.completions("A RED c") == ["a red circle", "a red cross"]
    assert studio.completions("a red cross rotates ") == []
    assert studio.completions("a nothing ") == []
    assert len(panel.Studio(model).completions("", most=3)) == 3
    assert panel.Studio(model).completions("a sh") == ["a shrinks"]


@pytest.mark.parametrize(("kind", "starts"), [("mp4", b"ftyp"), ("gif", b"GIF8"), ("png", b"\x89PNG")])
def test_a_clip_can_be_taken_away(studio, kind, starts):
    made = studio.make(SENTENCES[2], 7)
    data = made.file(kind)
    assert starts in data[:12]
    assert made.name == "a-small-blue-circle-bounces-7"
    if kind == "png":
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.n_frames, picture.size) == (CLIP[0], CLIP[1:3])
    with refuses("kind", "'avi'"):
        made.file("avi")


def test_a_file_is_as_fast_as_its_clip():
    for fps, duration in ((5, 200), (10, 100)):
        made = panel.Made("a", 0, None, None, steps(3, channels=3), fps)
        with Image.open(io.BytesIO(made.file("gif"))) as picture:
            assert picture.info["duration"] == duration


def test_a_card_shows_the_prompt_as_it_was_written():
    made = panel.Made("<b>", 3, None, None, steps(3, channels=3))
    told = panel._card(panel.needed_widgets(), made).children[1].value
    assert "&lt;b&gt;<br>seed 3" in told
    assert "<b>" not in told


def test_a_model_must_take_sentences():
    for wrong in (None, Bouncer(), Diffusion(CLIP, patch=(8, 24, 24), width=4, blocks=1, heads=1)):
        with refuses("model", "sentences"):
            panel.Studio(wrong)
    with refuses("kept", "0"):
        panel.Studio(Diffusion(CLIP, ("a",), patch=(8, 24, 24), width=4, blocks=1, heads=1), kept=0)


def test_the_widgets_do_what_the_studio_does(studio):
    box = panel.panel(studio)
    assert box.prompt.options == ("a",)
    box.prompt.value = "a red c"
    assert box.prompt.options == ("a red circle", "a red cross")
    box.prompt.value = SENTENCES[1]
    box.button.click()
    assert (box.progress.value, box.progress.max, box.answer.value) == (4, 4, "")
    (card,) = box.gallery.children
    with Image.open(io.BytesIO(card.children[0].value)) as picture:
        assert picture.n_frames == CLIP[0]
    for kind in panel.KINDS:
        assert f'download="a-red-cross-rotates-0.{kind}"' in card.children[1].value

    box.best.value = False
    assert not box.steps.disabled
    assert not box.guidance.disabled
    box.steps.value, box.seed.value = 3, 5
    box.button.click()
    assert (studio.gallery[0].steps, studio.gallery[0].guidance, studio.gallery[0].seed) == (3, 2.0, 5)
    assert len(box.gallery.children) == 2

    box.prompt.value = "a <script>alert(1)</script>"
    box.button.click()
    assert "&lt;script&gt;" in box.answer.value
    assert "<script>" not in box.answer.value
    assert len(box.gallery.children) == 2
    assert not box.button.disabled


def test_an_error_that_nobody_foresaw_is_told_on_the_panel(studio):
    def broken(prompt):
        raise RuntimeError("no memory")

    box = panel.panel(panel.Studio(studio.model, check=broken))
    box.prompt.value = SENTENCES[1]
    box.button.click()  # ipywidgets logs what a callback raises
    assert "RuntimeError: no memory" in box.answer.value
    assert not box.button.disabled


@pytest.mark.parametrize("guidance", [0.5, 1e30, np.nan, "2"])
def test_guidance_is_from_1_to_below_100(studio, guidance):
    with refuses("guidance", "from 1"):
        studio.make(SENTENCES[0], guidance=guidance)
    assert studio.gallery == []


def test_what_is_no_list_and_no_function_is_refused(studio, model):
    for make, words in (
        (lambda: panel.Studio(model, None), ("examples", "None")),
        (lambda: panel.Studio(model, [1]), ("examples", "sentences")),
        (lambda: panel.Studio(model, check="x"), ("check", "'x'")),
        (lambda: studio.completions(None), ("prompt", "None")),
        (lambda: studio.make(SENTENCES[0]).file(["mp4"]), ("kind", "mp4")),
    ):
        with refuses(*words):
            make()


def test_without_space_for_its_files_a_clip_is_neither_shown_nor_kept(studio, monkeypatch):
    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    box = panel.panel(studio)
    box.prompt.value = SENTENCES[1]
    box.button.click()
    monkeypatch.setattr(panel.tempfile, "TemporaryDirectory", full)
    with refuses("mp4", "No space left", "free some space", error=OSError):
        studio.gallery[0].file("mp4")
    before = studio.gallery
    box.seed.value = 1
    box.button.click()
    assert "No space left" in box.answer.value
    assert "Errno" not in box.answer.value
    assert studio.gallery is before
    assert len(box.gallery.children) == 1


def test_an_interrupt_is_told_on_the_panel(studio):
    def interrupted(prompt):
        raise KeyboardInterrupt

    box = panel.panel(panel.Studio(studio.model, check=interrupted))
    box.prompt.value = SENTENCES[1]
    box.button.click()
    assert "Stopped." in box.answer.value
    assert not box.button.disabled
