"""A canvas to draw on in a notebook, and the panel for a sketch: draw, describe, generate, look, take away.

The browser draws by itself, without asking the kernel, so the line follows the hand. When the pen is lifted, the stroke goes to the
kernel as text, through a text field that nobody sees: x,y pairs, one line a stroke. So all that there is in Python is strokes, which
`picture` draws once more, and it takes nothing but ipywidgets.
"""

import html
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vidgen_tf.panel import Studio, needed_widgets, panel

SIDE = 256  # pixels of the canvas
PEN = 5  # thickness of a line, in its pixels
SCREEN = f"""<canvas width="{SIDE}" height="{SIDE}" data-round="ROUND" style="border: 1px solid gray; background: white;
touch-action: none; cursor: crosshair"
onpointerdown="this.setPointerCapture(event.pointerId); this.line = [[event.offsetX, event.offsetY]]"
onpointermove="if (!this.line) return; const pen = this.getContext('2d'), last = this.line[this.line.length - 1];
  pen.lineWidth = {PEN}; pen.lineCap = 'round'; pen.beginPath(); pen.moveTo(...last);
  pen.lineTo(event.offsetX, event.offsetY); pen.stroke(); this.line.push([event.offsetX, event.offsetY])"
onpointerup="if (!this.line) return; const told = this.closest('.vidgen-canvas').querySelector('textarea');
  told.value += this.line.map(point => point.map(Math.round).join(',')).join(' ') + '\\n'; this.line = null;
  told.dispatchEvent(new Event('input', {{bubbles: true}})); told.dispatchEvent(new Event('change', {{bubbles: true}}))"
></canvas>"""  # the border is beside the pixels: offsets count from within it


def strokes_of(text: str) -> list[list[tuple[int, int]]]:
    """Lines of points "x,y x,y …" as lists; what is no number, and what lies far outside, is left out."""
    strokes = []
    for line in text.splitlines():
        points = []
        for pair in line.split():
            x, _, y = pair.partition(",")
            numbers = all(part.removeprefix("-").isdecimal() and len(part) < 6 for part in (x, y))
            if numbers and all(-SIDE <= int(part) <= 2 * SIDE for part in (x, y)):
                points.append((int(x), int(y)))
        strokes += [points] if points else []
    return strokes


class Canvas:
    """A canvas of `SIDE` pixels, and a button that clears it.

    Attributes:
        box: the widgets, to be shown.
        strokes: the hidden text, one line a stroke.
        cleared: the button.

    Raises:
        ImportError: without ipywidgets.
    """

    def __init__(self):
        widgets, self._round = needed_widgets(), 0
        self.screen = widgets.HTML(SCREEN)
        self.strokes = widgets.Textarea(continuous_update=True, layout=widgets.Layout(display="none"))
        self.cleared = widgets.Button(description="clear", icon="eraser")
        self.cleared.on_click(lambda _: self.clear())
        self.box = widgets.VBox([self.screen, self.strokes, self.cleared])
        self.box.add_class("vidgen-canvas")

    def clear(self) -> None:
        """Takes all strokes away."""
        self.strokes.value = ""
        self._round += 1  # another text, so that the browser makes the canvas anew
        self.screen.value = SCREEN.replace("ROUND", str(self._round))

    def picture(self) -> np.ndarray | None:
        """What is drawn: uint8 (SIDE, SIDE), dark lines on white; None as long as there is nothing."""
        strokes, picture = strokes_of(self.strokes.value), Image.new("L", (SIDE, SIDE), 255)
        pen = ImageDraw.Draw(picture)
        for points in strokes:
            pen.line(points, 0, PEN, "curve")
            for x, y in (points[0], points[-1]):  # a round pen
                pen.ellipse((x - PEN / 2, y - PEN / 2, x + PEN / 2, y + PEN / 2), 0)
        return np.asarray(picture) if strokes else None


def sketch_panel(studio: Studio, read: Callable[[np.ndarray], np.ndarray], tell: Callable[[np.ndarray, str], dict]):
    """The panel of a studio with a canvas above it: what is drawn says where, the prompt says the rest; without a drawing the
    prompt says all.

    Args:
        studio: what makes the clips.
        read: from a picture to its region (side, side) from 0 to 1, as `region_of`; raises ValueError where there is none.
        tell: from a region and the prompt to what the model's `generate` is told for one clip, such as
            `lambda region, prompt: {"region": region[None]}` for a `SketchAdapter`.

    Returns:
        The `ipywidgets.VBox` of `panel`, with the attributes `canvas` and `understood`, the region as it was read.

    Raises:
        ImportError: without ipywidgets.
    """
    widgets, canvas = needed_widgets(), Canvas()
    understood = widgets.Image(format="png", width=SIDE, height=SIDE, layout=widgets.Layout(border="1px solid gray"))
    trouble = widgets.HTML()

    def region_now() -> np.ndarray | None:
        picture = canvas.picture()
        if picture is None:
            return None
        region = np.asarray(read(picture))
        flat = region.ndim == 2 and region.size and region.dtype.kind in "biuf"
        if not flat or not (region.min() >= 0 and region.max() <= 1):  # NaN is neither
            raise ValueError(
                f"The region that was read has shape {region.shape}, but (side, side) with numbers from 0 to 1 was expected."
            )
        return region

    def asked(prompt: str) -> dict:
        region = region_now()
        return {} if region is None else tell(region, prompt)

    def show(_=None):
        trouble.value, region = "", None
        try:
            region = region_now()
        except ValueError as error:
            trouble.value = html.escape(str(error))
        except Exception as error:  # a callback has no output of its own, so that nobody would see it
            trouble.value = html.escape(f"{type(error).__name__}: {error}"[:300])
        region = np.zeros((SIDE, SIDE)) if region is None else region
        file, grey = io.BytesIO(), Image.fromarray((255 - 255 * region).astype(np.uint8))
        grey.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file, "png")
        understood.value = file.getvalue()

    canvas.strokes.observe(show, "value")
    show()
    box = panel(studio, above=[widgets.HBox([canvas.box, widgets.VBox([understood, trouble])])], asked=asked)
    box.canvas, box.understood, box.trouble = canvas, understood, trouble
    return box
