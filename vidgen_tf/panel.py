"""A platform in miniature: a prompt goes in, a clip comes out, stands in a gallery, and can be taken away as a file.

`Studio` does the work and knows nothing of widgets, so that a test or another screen can use it as well; `panel` puts
widgets on it. What does not work is answered on the panel in one sentence, and what was made before stays.
"""

import base64
import html
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidgen_tf import preview
from vidgen_tf.clips import check_count, check_number, write_clip
from vidgen_tf.video_model import VideoModel

KINDS = {"mp4": "video/mp4", "gif": "image/gif", "png": "image/png"}
LONGEST = 200  # characters of a prompt


@dataclass(frozen=True)
class Made:
    """A clip that was made, and what for.

    Attributes:
        prompt, seed, steps, guidance: what was asked for.
        clip: float32 (time, height, width, channels) in [-1, 1].
        fps: frames per second of its files.
    """

    prompt: str
    seed: int
    steps: int
    guidance: float | None
    clip: np.ndarray
    fps: float = 12

    @property
    def name(self) -> str:
        """For a file, without an ending: letters, digits and hyphens only."""
        letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.prompt.lower())
        return f"{letters[:60].strip('-')}-{self.seed}"

    def file(self, kind: str) -> bytes:
        """The clip as the bytes of an mp4, a gif or an animated png.

        Raises:
            ValueError: for another kind.
            OSError: where there is no space for it.
        """
        if not isinstance(kind, str) or kind not in KINDS:
            raise ValueError(f"kind is {kind!r}, but one of {', '.join(KINDS)} was expected.")
        try:
            with tempfile.TemporaryDirectory() as folder:
                return write_clip(Path(folder) / f"clip.{kind}", self.clip, self.fps).read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"The {kind} of the clip cannot be made ({reason}); free some space and try again.") from None


class Studio:
    """Makes clips for prompts, and keeps the newest.

    Args:
        model: one that was trained on sentences, best a `Diffusion`: others know no steps and no guidance.
        examples: sentences as they should be; completions follow them.
        check: called with a prompt; raises ValueError if it is no sentence. None takes all sentences of known words.
        kept: how many clips the gallery holds.

    Attributes:
        gallery: what was made, the newest first.

    Raises:
        ValueError: for a model that takes no sentences.
    """

    def __init__(
        self,
        model: VideoModel,
        examples: Sequence[str] = (),
        check: Callable[[str], object] | None = None,
        kept: int = 8,
    ):
        vocabulary = getattr(model, "vocabulary", None)
        if vocabulary is None or not vocabulary.textual:
            raise ValueError(
                f"model is {model!r:.60}, but one that takes sentences was expected; build it with their words."
            )
        if isinstance(examples, str) or not isinstance(examples, Iterable):
            raise ValueError(f"examples is {examples!r:.60}, but a list of sentences was expected, or () for none.")
        if check is not None and not callable(check):
            raise ValueError(f"check is {check!r:.60}, but a function that takes a prompt, or None, was expected.")
        self.model, self.check, self.kept = model, check, check_count(kept, "kept")
        self.gallery: list[Made] = []
        self._next: dict[str, dict[str, None]] = {}
        for example in examples:
            if not isinstance(example, str):
                raise ValueError(f"examples holds {example!r:.60}, but sentences were expected.")
            words = ["", *example.split()]
            for word, following in zip(words, [*words[1:], None], strict=True):
                self._next.setdefault(word, {}).update({following: None} if following else {})

    def completions(self, prompt: str, most: int = 12) -> list[str]:
        """The prompt with its last word completed, or with a next one, as the examples go on; at most so many."""
        if not isinstance(prompt, str):
            raise ValueError(f"prompt is {prompt!r:.60}, but a sentence, or its beginning, was expected.")
        words = prompt.lower().split()
        begun = words.pop() if words and not prompt.endswith(" ") else ""
        last = words[-1] if words else ""
        known = self._next.get(last, {}) if self._next else dict.fromkeys(self.model.vocabulary.known)
        return [" ".join([*words, word]) for word in known if word.startswith(begun)][:most]

    def make(
        self,
        prompt: str,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        watch: Callable[[int, int], None] | None = None,
        asked: Callable[[str], dict] | None = None,
    ) -> Made:
        """A clip for a prompt; it also goes into the gallery.

        Args:
            prompt: a sentence; capitals, spaces and a full stop do no harm.
            seed: another one makes another clip.
            steps, guidance: with neither, as the model does it best; else by Euler's steps, as in `Diffusion.generate`. The guidance
                is from 1 to below 100.
            watch: called after each step with (how many are done, how many there are).
            asked: called with the prompt, once it is a sentence; what else the model's `generate` takes, for one clip, such as
                {"region": …}.

        Raises:
            ValueError: for an empty or overlong prompt, an unknown word, or no sentence.
        """
        if not isinstance(prompt, str) or not prompt.strip():
            raise ValueError("The prompt is empty; write what shall be seen, such as 'a red circle moves left'.")
        if len(prompt) > LONGEST:
            raise ValueError(
                f"The prompt has {len(prompt)} characters, but {LONGEST} at most were expected; shorten it."
            )
        prompt = " ".join(prompt.lower().strip().removesuffix(".").split())
        if self.check is not None:
            self.check(prompt)  # it can tell what a word stands for
        self.model.check_condition([prompt], 1)
        check_guidance(guidance)
        way = {} if steps is None and guidance is None else {"sampler": "euler", "steps": steps, "guidance": guidance}
        if way and not hasattr(self.model, "trajectory"):
            raise ValueError(f"{type(self.model).__name__} makes a clip in one go; leave steps and guidance out.")
        if watch is not None and hasattr(self.model, "trajectory"):
            way["watch"] = watch
        clip = self.model.generate(1, [prompt], seed=seed, **way, **(asked(prompt) if asked else {}))[0]
        made = Made(prompt, seed, steps, guidance, clip)
        self.gallery = [made, *self.gallery][: self.kept]
        return made


def check_guidance(guidance: float | None) -> None:
    """ValueError for a guidance that is neither None nor a number from 1 to below 100."""
    if guidance is not None:
        check_number(guidance, "guidance", least=1, below=100)


def needed_widgets():
    """The module ipywidgets; ImportError in one sentence where it is missing."""
    try:
        import ipywidgets
    except ImportError:
        raise ImportError('The panel needs ipywidgets; install it with: pip install "vidgen-tf[lab]"') from None
    return ipywidgets


def panel(studio: Studio, above: Sequence = (), asked: Callable[[str], dict] | None = None):
    """Widgets for a studio: prompt with completions, seed, steps, guidance, progress, gallery, downloads.

    Args:
        studio: what does the work.
        above: more widgets, to stand first.
        asked: called with the prompt of each clip; gives what else the model's `generate` takes, as in `Studio.make`.

    Returns:
        An `ipywidgets.VBox` with the attributes `prompt`, `seed`, `best`, `steps`, `guidance`, `button`, `progress`,
        `answer`, `gallery`.

    Raises:
        ImportError: without ipywidgets.
    """
    widgets = needed_widgets()
    wide = widgets.Layout(width="420px")
    prompt = widgets.Combobox(
        placeholder="a red circle moves left", description="prompt", options=studio.completions(""), layout=wide,
        continuous_update=True, ensure_option=False,
    )  # fmt: skip
    seed = widgets.BoundedIntText(0, 0, 2**31 - 1, description="seed", tooltip="another one makes another clip")
    best = widgets.Checkbox(True, description="few trained jumps", indent=False)
    steps = widgets.IntSlider(16, 1, 50, description="steps", tooltip="more take longer", disabled=True, layout=wide)
    guidance = widgets.FloatSlider(
        2.0, min=1, max=10, step=0.5, description="guidance", tooltip="how closely the clip follows the prompt",
        disabled=True, layout=wide,
    )  # fmt: skip
    button = widgets.Button(description="generate", button_style="primary", icon="film")
    progress = widgets.IntProgress(0, 0, 1, layout=wide)
    answer, gallery = widgets.HTML(), widgets.HBox(layout=widgets.Layout(flex_flow="row wrap"))

    def complete(change):
        prompt.options = studio.completions(change["new"])

    def choose(change):
        steps.disabled = guidance.disabled = change["new"]

    def watch(done, of):
        progress.max, progress.value = of, done

    def make(_):
        button.disabled, progress.value, answer.value, before = True, 0, "", studio.gallery
        try:
            way = {} if best.value else {"steps": steps.value, "guidance": guidance.value}
            studio.make(prompt.value, seed.value, watch=watch, asked=asked, **way)
            gallery.children = [_card(widgets, made) for made in studio.gallery]
        except KeyboardInterrupt:
            answer.value, studio.gallery = "<b>Stopped.</b>", before
        except (ValueError, OSError) as error:
            answer.value, studio.gallery = f"<b>{html.escape(str(error))}</b>", before
        except Exception as error:  # a callback has no output of its own, so that nobody would see it
            answer.value = f"<b>{html.escape(f'{type(error).__name__}: {error}'[:300])}</b>"
            studio.gallery = before
            raise
        finally:
            button.disabled = False

    prompt.observe(complete, "value")
    best.observe(choose, "value")
    button.on_click(make)
    box = widgets.VBox([*above, prompt, widgets.HBox([seed, best]), steps, guidance, button, progress, answer, gallery])
    for name, widget in (
        ("prompt", prompt), ("seed", seed), ("best", best), ("steps", steps), ("guidance", guidance),
        ("button", button), ("progress", progress), ("answer", answer), ("gallery", gallery),
    ):  # fmt: skip
        setattr(box, name, widget)
    return box


def _card(widgets, made: Made):
    """A clip of the gallery, with its prompt and links to its files."""
    picture = widgets.Image(value=preview.animation(made.clip, side=160).png, format="png", width=160)
    look = "color: var(--jp-content-link-color, blue); text-decoration: underline"  # JupyterLab leaves links plain here
    links = " ".join(
        f'<a style="{look}" download="{made.name}.{kind}" '
        f'href="data:{mime};base64,{base64.b64encode(made.file(kind)).decode()}">{kind}</a>'
        for kind, mime in KINDS.items()
    )
    told = widgets.HTML(
        f'<div style="line-height: 1.4">{html.escape(made.prompt)}<br>seed {made.seed}: {links}</div>',
        layout=widgets.Layout(width="170px"),
    )
    return widgets.VBox([picture, told])
