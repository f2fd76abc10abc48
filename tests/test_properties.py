"""What holds for all inputs, not for chosen ones: hypothesis draws them, the same ones in every run."""

import contextlib
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import vidgen_tf as vg
from vidgen_tf import canvas, panel
from vidgen_tf.clips import check_path, to_float, to_uint8
from vidgen_tf.text import LIMIT, MOST_WORDS, Vocabulary
from vidgen_tf.worlds.shapes import parse

settings.register_profile(
    "house", deadline=None, derandomize=True, max_examples=60, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("house")

ANY = st.text(max_size=60)
HOSTILE = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onclick='x",
        "</div>",
        "&lt;b&gt;",
        "<!--",
        "]]>",
        "a\0b",
    ]
)
SHOWN = st.one_of(ANY, HOSTILE, st.lists(HOSTILE, max_size=3).map("".join))
SEEDS = st.integers(0, 2**63 - 1)
CHANNELS = st.sampled_from([1, 3])


def answer(function, *arguments):
    """What a function returns, or None if it refuses, which it must do by ValueError or OSError with one sentence."""
    try:
        return function(*arguments)
    except (ValueError, OSError) as refusal:
        one_sentence(str(refusal))
        return None


# ------------------------------------------------------------------------------------------------------- clips


@given(arrays.arrays(np.uint8, arrays.array_shapes(max_side=5)))
def test_levels_survive_there_and_back_in_every_shape(levels):
    floats = to_float(levels)
    assert floats.dtype == np.float32
    assert np.abs(floats).max() <= 1
    np.testing.assert_array_equal(to_uint8(floats), levels)


@given(arrays.arrays(np.float32, arrays.array_shapes(max_side=5), elements=st.floats(-1, 1, width=32)))
def test_floats_lose_at_most_half_a_level(values):
    # Half a level of 2 / 255, and the roundings of numbers up to 255 in float32: 3e-5 of 127.5.
    assert np.abs(to_float(to_uint8(values)).astype(float) - values).max() <= 1 / 255 + 3e-7


@pytest.mark.parametrize("ending", [".png", ".apng", ""])
@settings(max_examples=15)
@given(
    levels=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), CHANNELS).flatmap(
        lambda shape: arrays.arrays(np.uint8, shape)
    ),
    fps=st.floats(1, 100),
)
def test_exact_files_give_every_clip_back(tmp_path, ending, levels, fps):
    clip = to_float(levels)
    again = vg.read_clip(vg.write_clip(tmp_path / f"clip{ending}", clip, fps))
    np.testing.assert_array_equal(again, np.repeat(clip, 3 // clip.shape[-1], axis=-1))


NEARLY = st.one_of(
    st.tuples(*[st.integers(1, 3)] * 4, CHANNELS),
    st.tuples(*[st.integers(0, 3)] * 4, st.integers(0, 4)),
    arrays.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=3),
)
KINDS = st.sampled_from([np.float32] * 4 + [np.float64, np.float16, np.uint8, np.int64, bool, complex])


@settings(max_examples=200)
@given(NEARLY, KINDS, st.sampled_from([0, 1, -1, 0.5, -1.0000001, 1.001, 255, np.nan, np.inf]), st.booleans())
def test_a_batch_passes_exactly_if_it_keeps_the_convention(shape, kind, value, batch):
    with np.errstate(all="ignore"):
        clips = np.zeros(shape, kind)
        if clips.size:
            clips[(-1,) * clips.ndim] = value if kind not in (np.uint8, np.int64) or np.isfinite(value) else 0
    keeps = (
        clips.ndim == (5 if batch else 4)
        and clips.dtype == np.float32
        and 0 not in clips.shape
        and clips.shape[-1] in (1, 3)
        and bool(np.all((clips >= -1) & (clips <= 1)))  # NaN is neither
    )
    assert (answer(lambda: vg.check_clips(clips, batch=batch)) is not None) == keeps


@settings(max_examples=200)
@given(st.one_of(ANY, st.text("a/.\0~ ", max_size=20), st.integers(200, 5000).map("é".__mul__)))
def test_every_text_is_a_path_or_refused_in_one_sentence(text):
    path = answer(check_path, text)
    assert path is None or str(path)


@given(st.one_of(ANY, st.text("a./\ud800\n", max_size=20)))
def test_a_name_of_no_file_is_said_to_be_none(tmp_path, text):
    for read in (vg.read_clip, vg.Footage, vg.Pictures, vg.MovingPictures, vg.region_of):
        with pytest.raises((ValueError, OSError)) as caught:
            read(str(tmp_path / "absent") + text)
        assert len(str(caught.value)) < 400


# ---------------------------------------------------------------------------------------------------- conditions

WORDS = Vocabulary(vg.Shapes.words)
SENTENCES = st.lists(st.sampled_from(vg.Shapes.words), max_size=MOST_WORDS + 3).map(" ".join)


@given(st.one_of(SENTENCES, ANY, SHOWN))
def test_every_caption_is_numbered_or_refused(caption):
    checked = answer(WORDS.check, [caption], 1)
    words = caption.split()
    assert (checked is not None) == (set(words) <= set(vg.Shapes.words) and len(words) <= MOST_WORDS)
    if checked is not None:
        (numbers,) = WORDS.numbers(checked, 1).numpy()
        assert [WORDS.known[number - 1] for number in numbers if number] == words


@settings(max_examples=200)
@given(st.one_of(SENTENCES, ANY))
def test_every_text_is_a_sentence_of_the_shapes_or_refused(text):
    things = answer(parse, text)
    assert things is None or 1 <= len(things) <= 2


@settings(max_examples=10)
@given(SEEDS, st.integers(0, 7))
def test_every_sentence_that_a_world_says_is_understood_and_no_word_can_be_left_out(seed, place):
    (caption,) = vg.Shapes(objects=(1,)).sample_captions(1, seed)
    assert len(parse(caption)) == 1
    assert WORDS.check([caption], 1) is not None
    words = caption.split()
    shorter = answer(parse, " ".join(words[:place] + words[place + 1 :]))
    assert shorter is None or shorter != parse(caption) or place >= len(words)


@given(
    arrays.arrays(
        st.sampled_from([np.int64, np.int32, np.float64]),
        st.sampled_from([(2, 2), (2,), (1, 2), (2, 3)]),
        elements=st.integers(-3, 7),
    )
)
def test_labels_pass_exactly_if_they_are_known(labels):
    vocabulary = Vocabulary((6, 4))
    checked = answer(vocabulary.check, labels, 2)
    fits = labels.shape == (2, 2) and labels.dtype.kind == "i" and bool(((labels >= -1) & (labels < (6, 4))).all())
    assert (checked is not None) == fits
    if fits:
        numbers = vocabulary.numbers(checked, 2).numpy()
        np.testing.assert_array_equal(np.where(numbers > 0, numbers - 1 - [0, 6], -1), labels)


@given(
    arrays.arrays(
        np.float64, st.sampled_from([(2, 3), (2, 2), (3,)]), elements=st.one_of(st.floats(-3, 3), st.floats())
    )
)
def test_quantities_pass_exactly_if_they_are_near_zero(values):
    vocabulary = Vocabulary({"speed": 1, "path": 2})
    checked = answer(vocabulary.check, values, 2)
    fits = values.shape == (2, 3) and not (np.abs(values) > LIMIT).any()  # NaN is left open
    assert (checked is not None) == fits
    if fits:
        numbers = vocabulary.numbers(checked, 2).numpy()
        np.testing.assert_array_equal(numbers == 0, np.isnan(values))
        # Sums up to 7 in float32: half a last bit is 2.4e-7.
        np.testing.assert_allclose(np.where(numbers > 0, numbers - LIMIT - 1, 0), np.nan_to_num(values), atol=1e-6)


# -------------------------------------------------------------------------------------------------------- worlds

WORLDS = {
    "Shapes": lambda: vg.Shapes(8, 24), "Footage": lambda: vg.Footage("box", 4, 16), "Pictures": vg.Pictures, "Numbers": vg.Numbers,
    "LinearGaussian": vg.LinearGaussian, "Bouncer": lambda: vg.Bouncer(8), "Balls": lambda: vg.Balls(8),
    "Experiments": vg.Experiments, "MovingPictures": lambda: vg.MovingPictures(frames=4), "MovingCamera": vg.MovingCamera,
    "Faces": lambda: vg.Faces(4), "Portraits": vg.Portraits, "Adverts": vg.Adverts, "Anatomy": vg.Anatomy, "Slices": vg.Slices,
    "Street": lambda: vg.Street(frames=4), "Layouts": vg.Layouts,
}  # fmt: skip


@pytest.fixture(scope="module")
def worlds():
    """Each made once, when it is first asked for."""
    made = {}
    return lambda name: made[name] if name in made else made.setdefault(name, WORLDS[name]())


def test_all_worlds_are_here():
    from vidgen_tf.worlds import World

    kinds = [value for value in (getattr(vg, name) for name in vg.__all__) if isinstance(value, type)]
    assert {kind.__name__ for kind in kinds if issubclass(kind, World)} == {*WORLDS, "Films"}  # Films is slow: flow


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=4)
@given(seed=SEEDS, count=st.integers(1, 3))
def test_any_seed_gives_clips_in_the_convention_and_the_same_bits_twice(worlds, name, seed, count):
    world = worlds(name)
    sample, again = (world.sample(count, seed) for _ in range(2))
    vg.check_clips(sample.clips, world.clip_shape)
    assert len(sample.clips) == len(sample.captions) == count
    assert sample.clips.tobytes() == again.clips.tobytes()
    assert sample.captions == again.captions
    for key, values in sample.truth.items():
        assert len(values) == count
        assert values.tobytes() == again.truth[key].tobytes()
    if world.columns:
        numbers = sample.truth["numbers"]
        assert numbers.shape == (count, sum(world.columns.values()))
        assert np.nanmax(np.abs(numbers), initial=0) <= 1


@settings(max_examples=30)
@given(st.one_of(st.integers(max_value=-1), st.integers(2**63), st.floats(), st.booleans(), st.none(), ANY))
def test_what_is_no_seed_is_refused_by_every_world(worlds, seed):
    for name in ("Shapes", "Bouncer", "Numbers", "Balls"):
        assert answer(worlds(name).sample, 1, seed) is None


# ---------------------------------------------------------------------------------------------------------- HTML


class Seen(HTMLParser):
    """The tags with their attributes' names, and the words, of a piece of HTML, as a browser would take it."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.words = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, [name for name, _ in attributes]))

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, data):
        self.tags.append("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment


@pytest.fixture(scope="module")
def card():
    """The HTML of a card for a prompt; its three files are made once."""
    clip = to_float(np.zeros((2, 8, 8, 3), np.uint8))
    widgets, files = panel.needed_widgets(), {}

    def made_of(prompt: str) -> str:
        made = panel.Made(prompt, 3, None, None, clip)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel.Made, "file", lambda self, kind: files.setdefault(kind, kind.encode()))
            return panel._card(widgets, made).children[1].value

    return made_of


@settings(max_examples=100)
@given(SHOWN)
def test_a_card_has_the_tags_of_the_kit_and_the_words_of_the_prompt(card, prompt):
    seen = Seen(card(prompt))
    assert seen.tags == Seen(card("a")).tags
    # A parser may pass over line ends and zero bytes in its own way; all else is there as it was written.
    assert "".join(seen.words).startswith(prompt) or re.search(r"[\r\0]", prompt)
    assert re.fullmatch(r"[a-z0-9-]{1,62}", panel.Made(prompt, 3, None, None, None).name)  # also the name of a file


class Refuses:
    """A studio that refuses with any text."""

    gallery = ()

    def __init__(self, text: str, kind: type[Exception]):
        self.text, self.kind = text, kind

    def completions(self, prompt):
        return []

    def make(self, *arguments, **more):
        raise self.kind(self.text)


@settings(max_examples=40)
@given(SHOWN, st.sampled_from([ValueError, OSError, KeyError]))
def test_what_is_refused_is_told_as_text_on_every_panel(text, kind):
    def read(picture):
        raise ValueError(text)

    box = canvas.sketch_panel(Refuses(text, kind), read, lambda region, prompt: {})
    with contextlib.suppress(KeyError):  # an error that nobody foresaw is told, and raised as well
        box.button.click()
    answers = [box.answer.value]
    box.canvas.strokes.value = "1,1 5,5\n"
    answers.append(box.trouble.value)
    assert [Seen(told).tags for told in answers] == [[("b", []), "/b"], []]


@settings(max_examples=6)
@given(SHOWN)
def test_every_title_is_drawn_and_stays_a_picture(title):
    clip = to_float(np.zeros((2, 8, 8, 3), np.uint8))
    for picture in (vg.filmstrip(clip, captions=[title], titles=[title] * 2), vg.compare({title: clip})):
        data, metadata = picture._repr_mimebundle_()
        assert set(data) == {"image/png", "text/plain"}
        assert set(metadata) == {"image/png"}
        assert picture.description.isprintable()


@settings(max_examples=200)
@given(st.one_of(ANY, st.text("0123456789,- \n", max_size=60), st.text("0²٣,\n ", max_size=20)))
def test_strokes_are_points_on_or_near_the_canvas_whatever_comes(text):
    points = list(itertools.chain(*canvas.strokes_of(text)))
    assert all(-canvas.SIDE <= part <= 2 * canvas.SIDE for point in points for part in point)
