"""Clips as pictures: filmstrip, grid, comparison, animation; and optical flow as colours, a clip like others.

Each of the four takes clips float32 (count, time, height, width, channels) in [-1, 1], or one clip without the
first axis, and returns a `Picture`, which a notebook shows when it is the last line of a cell. Animations are
animated PNGs: they need no player, survive the export to HTML, and stand still on their first frame elsewhere.
Captions are drawn as they are: no HTML, no mathematics, control characters replaced. To keep notebooks small a
picture has at most 256 colours, chosen for it; `vidgen_tf.write_clip` writes exact files.
"""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from vidgen_tf.clips import as_array, check_clips, check_count, check_fps, check_number, to_uint8, whole_or_absent

MAX_CELLS = 200  # pictures in one figure
MAX_ASPECT = 16  # how many times longer than wide a picture in a figure may be, or wider than long
MAX_PIXELS = 2**27  # pixels in all frames of an animation: 400 MB while it is made


@dataclass(frozen=True)
class Picture:
    """A finished picture, still or moving, that notebooks show and files keep.

    Attributes:
        png: the bytes of a PNG or animated PNG file.
        description: what is to be seen, for those who cannot see it; also its text in a notebook.
        width: at how many pixels a notebook shows it; None shows it at its own size.
    """

    png: bytes
    description: str
    width: int | None = None

    def __repr__(self) -> str:
        return self.description

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": self.png, "text/plain": self.description}
        metadata = {"alt": self.description} | ({"width": self.width} if self.width else {})
        return data, {"image/png": metadata}

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the PNG file, entirely or not at all, and returns its path."""
        path = Path(path)
        if path.suffix.lower() not in (".png", ".apng"):
            raise ValueError(f"{path.name} ends in {path.suffix!r}, but .png or .apng was expected.")
        with whole_or_absent(path) as part:
            part.write_bytes(self.png)
        return path


def filmstrip(
    clips: np.ndarray, frames: int = 10, captions: Sequence[str] | None = None, titles: Sequence[str] | None = None
) -> Picture:
    """Frames at equal steps in time, from left to right, titled `Frame i`; one row a clip.

    Args:
        clips: a clip or a batch of clips.
        frames: how many frames to show at most.
        captions: one a clip, written above its row.
        titles: one for each frame of a clip; None numbers them `Frame 0`, `Frame 1`, …

    Raises:
        ValueError: for clips that break the convention, captions that do not fit, or more than 200 pictures.
    """
    clips = _batch(clips)
    captions = _captions(captions, len(clips))
    times, titles = _moments(clips, frames, titles)
    titles = [titles for _ in clips]
    description = f"Filmstrip of {_described(clips)}, {len(times)} frames shown"
    return _table(clips[:, times], titles, [""] * len(clips), captions, description)


def grid(
    clips: np.ndarray, captions: Sequence[str] | None = None, columns: int = 4, time: int | None = None
) -> Picture:
    """One frame of each clip, side by side.

    Args:
        clips: a batch of clips.
        captions: one a clip, written above it.
        columns: pictures in a row.
        time: which frame; None takes the middle one.
    """
    clips = _batch(clips)
    captions = _captions(captions, len(clips)) or [""] * len(clips)
    time = clips.shape[1] // 2 if time is None else check_count(time, "time", least=0)
    if time >= clips.shape[1]:
        raise ValueError(f"time is {time}, but the clips have {clips.shape[1]} frames, from 0.")
    columns = min(check_count(columns, "columns"), len(clips))
    rows = -(-len(clips) // columns)
    cells = np.full((rows * columns, *clips.shape[2:]), np.nan, np.float32)
    cells[: len(clips)] = clips[:, time]
    titles = captions + [""] * (rows * columns - len(clips))
    return _table(
        cells.reshape(rows, columns, *clips.shape[2:]),
        [titles[row * columns : (row + 1) * columns] for row in range(rows)],
        [""] * rows, None, f"Grid of {_described(clips)}, frame {time} of each",
    )  # fmt: skip


def compare(rows: Mapping[str, np.ndarray], frames: int = 8, titles: Sequence[str] | None = None) -> Picture:
    """Clips below each other, frame under frame, each row with its name at the left.

    Args:
        rows: name to clip (time, height, width, channels); all with the same number of frames and frame size.
        frames: how many frames to show at most.
        titles: one for each frame of a clip; None numbers them `Frame 0`, `Frame 1`, …

    Raises:
        ValueError: for no rows, or clips of different shapes.
    """
    if not isinstance(rows, Mapping) or not rows:
        raise ValueError("compare got no rows, but a dictionary with a name and a clip for each row was expected.")
    clips = [check_clips(clip, batch=False, name=f"the clip {name!r}") for name, clip in rows.items()]
    shapes = {clip.shape[:3] for clip in clips}
    if len(shapes) > 1:
        raise ValueError(
            f"compare got clips of shapes {sorted(shapes)}, but one shape was expected; cut or resize them."
        )
    clips = np.stack([np.repeat(clip, 3 // clip.shape[-1], axis=-1) for clip in clips])
    times, titles = _moments(clips, frames, titles)
    titles = [titles] + [[""] * len(times)] * (len(clips) - 1)
    return _table(clips[:, times], titles, list(rows), None, f"Comparison of {', '.join(map(_plain, rows))}")


def animation(
    clips: np.ndarray, captions: Sequence[str] | None = None, fps: float = 12, columns: int = 4, side: int = 128
) -> Picture:
    """All clips at once, moving, in a grid.

    Args:
        clips: a clip or a batch of clips.
        captions: one a clip, written below it.
        fps: frames per second, from 1 to 60.
        columns: clips in a row.
        side: clips narrower than this many pixels are enlarged by a whole factor, pixels left square.
    """
    clips = _batch(clips)
    captions = _captions(captions, len(clips))
    check_fps(fps, 60)
    columns = min(check_count(columns, "columns"), len(clips))
    check_count(side, "side")
    count, time, height, width, _ = clips.shape
    if count > MAX_CELLS:
        raise ValueError(
            f"animation got {count} clips, but at most {MAX_CELLS} were expected; show clips[:{MAX_CELLS}]."
        )
    factor = max(1, -(-side // width))
    font = _font(12)
    lines = [_wrapped(caption, font, width * factor) for caption in captions or [""] * count]
    gap, text = 4, 16 * max(map(len, lines)) + 4 if captions else 0
    cell_width, cell_height = width * factor + gap, height * factor + text + gap
    rows = -(-count // columns)
    if columns * cell_width * rows * cell_height * time > MAX_PIXELS:
        raise ValueError(
            f"An animation of {time} frames of {columns * cell_width}×{rows * cell_height} pixels is too large; "
            "show fewer clips or frames, or give a smaller side=."
        )
    sheet = Image.new("RGB", (columns * cell_width - gap, rows * cell_height - gap), "white")
    pen = ImageDraw.Draw(sheet)
    for index, words in enumerate(lines):
        left, top = (index % columns) * cell_width, (index // columns) * cell_height + height * factor
        for number, line in enumerate(words if captions else []):
            pen.text((left, top + 16 * number), line, fill="black", font=font)
    pictures = to_uint8(np.repeat(clips, 3 // clips.shape[-1], axis=-1))
    sheets = []
    for moment in range(time):
        frame = sheet.copy()
        for index in range(count):
            picture = Image.fromarray(pictures[index, moment]).resize(
                (width * factor, height * factor), Image.Resampling.NEAREST
            )
            frame.paste(picture, ((index % columns) * cell_width, (index // columns) * cell_height))
        sheets.append(frame)
    shown = max(sheet.width, min(640, 3 * sheet.width))  # small clips are shown larger than they are stored
    return Picture(_png(sheets, 1000 / fps), f"Animation of {_described(clips)}", shown)


def flow_colors(flow: np.ndarray, farthest: float | None = None) -> np.ndarray:
    """Optical flow as colours: the hue says where things go, the strength how fast; white is what rests.

    To the right is red, down yellow-green, to the left cyan, up violet. Colours alone are hard to read: draw arrows too.

    Args:
        flow: float (…, height, width, 2) pixels per frame (x, y), x to the right and y down.
        farthest: the speed with the full colour, above 0; None takes the largest.

    Returns:
        float32 (…, height, width, 3), values in [-1, 1]: of the flow of a clip, a clip.

    Raises:
        ValueError: for an array of another shape, no pixels, numbers beyond a million, or a `farthest` that is not above 0.
    """
    flow = as_array(flow, "flow")
    fits = flow.ndim >= 3 and flow.shape[-1] == 2 and flow.size and flow.dtype.kind in "iuf"
    if not fits or not (np.abs(flow) <= 1e6).all():  # NaN is not
        raise ValueError(
            f"flow has shape {flow.shape}, but numbers below a million, (…, height, width, 2), were expected."
        )
    flow = flow.astype(np.float64)
    speed = np.linalg.norm(flow, axis=-1, keepdims=True)
    farthest = (speed.max() or 1.0) if farthest is None else check_number(farthest, "farthest")
    if not farthest:
        raise ValueError("farthest is 0, but the speed with the full colour was expected, above 0.")
    hue = 3 / np.pi * np.arctan2(flow[..., 1:], flow[..., :1])  # in sixths of the circle
    six = (hue + np.array([5, 3, 1])) % 6  # from hue and strength to red, green and blue
    share = np.clip(np.minimum(six, 4 - six), 0, 1)
    return (1 - 2 * np.minimum(speed / farthest, 1) * share).astype(np.float32)


def _moments(clips: np.ndarray, frames: int, titles: Sequence[str] | None) -> tuple[np.ndarray, list[str]]:
    """At most `frames` equal steps in time, and their titles."""
    time = clips.shape[1]
    if titles is None:
        titles = [f"Frame {moment}" for moment in range(time)]
    if isinstance(titles, str) or len(titles) != time:
        raise ValueError(f"{len(titles)} titles came for clips of {time} frames, but one for each frame was expected.")
    times = np.unique(np.linspace(0, time - 1, min(time, check_count(frames, "frames"))).round().astype(int))
    return times, [_plain(titles[moment]) for moment in times]


def _batch(clips: np.ndarray) -> np.ndarray:
    clips = as_array(clips, "clips")
    return check_clips(clips[None] if clips.ndim == 4 else clips)


def _captions(captions: Sequence[str] | None, count: int) -> list[str] | None:
    if captions is None:
        return None
    several = isinstance(captions, (Sequence, np.ndarray)) and not isinstance(captions, str)
    captions = list(captions) if several else [captions]
    if len(captions) != count:
        raise ValueError(f"{len(captions)} captions came for {count} clips, but one a clip was expected.")
    return [_plain(caption) for caption in captions]


def _plain(caption: str) -> str:
    """The caption on one line, without characters that cannot be drawn."""
    return "".join(letter if letter.isprintable() else " " for letter in str(caption))[:200]


def _described(clips: np.ndarray) -> str:
    count, time, height, width, _ = clips.shape
    return f"{count} clip{'s' if count > 1 else ''} of {time} frames, {height}×{width}"


def _wrapped(caption: str, font, width: int) -> list[str]:
    """The caption broken between words into lines that fit the width."""
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _table(cells, titles, names, captions, description) -> Picture:
    """A table of frames (rows, columns, height, width, channels) with a title above each and a name a row."""
    rows, columns, height, width, channels = cells.shape
    if rows * columns > MAX_CELLS:
        raise ValueError(f"{rows * columns} pictures were asked for, but at most {MAX_CELLS} fit; show fewer.")
    if not 1 / MAX_ASPECT <= height / width <= MAX_ASPECT:
        raise ValueError(
            f"Frames of {height}×{width} are too narrow to be seen; at most {MAX_ASPECT} to 1 was expected."
        )
    inch = min(1.8 if any(names) else 2.2, 11 / columns)
    gap = 0.03 * inch
    margin = 1.7 if any(names) else 0.0
    titles = [[_shortened(title, inch) for title in row] for row in titles]
    heads = [0.12 + 0.17 * max(1 + title.count("\n") if title else 0 for title in row) for row in titles]
    heads = [head + (0.3 if captions else 0) for head in heads]
    picture_height = inch * height / width
    size = (margin + columns * inch + 0.05, rows * picture_height + sum(heads) + 0.05)
    if size[0] * size[1] * 100**2 > MAX_PIXELS // 4:
        raise ValueError(f"A figure of {100 * size[0]:.0f}×{100 * size[1]:.0f} pixels is too large; show fewer clips.")
    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="none")
    above = 0.0  # inches from the top
    for row in range(rows):
        if captions:
            figure.text(0.05 / size[0], 1 - (above + 0.2) / size[1], captions[row], fontsize=11, parse_math=False)
        above += heads[row] + picture_height
        for column in range(columns):
            left, bottom = (margin + column * inch + gap) / size[0], 1 - (above - gap) / size[1]
            axes = figure.add_axes((left, bottom, (inch - 2 * gap) / size[0], (picture_height - gap) / size[1]))
            axes.set_axis_off()
            if np.isnan(cells[row, column]).any():
                continue
            picture = to_uint8(cells[row, column])
            axes.imshow(np.repeat(picture, 3 // channels, axis=-1), interpolation="nearest", aspect="auto")
            axes.set_title(titles[row][column], fontsize=10, pad=3, loc="center", parse_math=False)
        label = "\n".join(_wrapped(_plain(names[row]), _font(15), 150))
        middle = 1 - (above - picture_height / 2) / size[1]
        figure.text((margin - 0.1) / size[0], middle, label, ha="right", va="center", fontsize=11, parse_math=False)
    file = io.BytesIO()
    with warnings.catch_warnings():  # letters that the font has not are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(file, format="png")
    return Picture(_png([Image.open(file).convert("RGB")]), description)


def _png(sheets: list[Image.Image], milliseconds: float = 0) -> bytes:
    """The pictures as one PNG file, animated if there are several, in the 256 colours that suit them best."""
    few = sheets[:: max(1, len(sheets) * sheets[0].width * sheets[0].height // 2**22)]
    mosaic = Image.new("RGB", (few[0].width, few[0].height * len(few)))
    for index, sheet in enumerate(few):
        mosaic.paste(sheet, (0, index * sheet.height))
    palette = mosaic.quantize(256, dither=Image.Dither.NONE)
    first, *rest = [sheet.quantize(palette=palette, dither=Image.Dither.NONE) for sheet in sheets]
    file = io.BytesIO()
    more = {"save_all": True, "append_images": rest, "duration": milliseconds, "loop": 0} if rest else {}
    first.save(file, "PNG", **more)
    return file.getvalue()


def _shortened(title: str, inch: float) -> str:
    """The title broken into at most three lines of the picture's width; 10 points are 14 pixels here."""
    return "\n".join(_wrapped(title, _font(14), round(inch * 100) - 4)[:3])


def _font(pixels: int) -> ImageFont.FreeTypeFont:
    """The font of matplotlib, which comes with it, so that all machines draw alike."""
    return ImageFont.truetype(findfont("DejaVu Sans"), pixels)
