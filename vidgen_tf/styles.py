"""Pictures whose style can be taken: made by rules from a seed, or in the public domain and shipped in scikit-image.

A style here is what is left of a picture when it is forgotten where things are: its colours, how its strokes are laid, how
coarse its grain is. So patterns are enough, and a pattern can be made at any size: brush strokes that follow a field of
directions, tiles, dots, hatching, washes of colour, veins.
"""

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vidgen_tf.clips import check_count, check_seed, check_size, check_values, fit_picture, to_float

LARGEST = 512  # pixels a side
SHIPPED = {  # in scikit-image: file; credit
    "tissue": ("ihc.png", "immunohistochemical staining, no known copyright restrictions"),
    "galaxies": ("hubble_deep_field.jpg", "NASA, public domain"),
    "gravel": ("gravel.png", "CC0Textures, CC0"),
}
PALETTES = {  # red, green, blue from 0 to 255
    "strokes": ("#12235e", "#1f4e9c", "#4f8fd0", "#a7d0e8", "#f2cf4a", "#e39b1f"),
    "mosaic": ("#b5402a", "#e0a33a", "#2f6f73", "#f1e3c0", "#7a2048", "#3c8d5a"),
    "halftone": ("#f4ead0", "#d8322e", "#1d4fa0"),
    "woodcut": ("#f3ead8", "#1a1512"),
    "watercolour": ("#f6f1e6", "#7fb7c9", "#d98f9f", "#e8c26a", "#6d8f5f"),
    "marble": ("#f5efe6", "#c9b8a4", "#6b4f43", "#1f2a2e"),
}
STYLES = (*PALETTES, *SHIPPED)


def style_picture(name: str, size: int = 64, seed: int = 0) -> np.ndarray:
    """A picture in one of the styles that ship; `STYLES` names them.

    Args:
        name: "strokes", "mosaic", "halftone", "woodcut", "watercolour" and "marble" are made by rules; "tissue",
            "galaxies" and "gravel" are read from scikit-image (immunohistochemistry, NASA's Hubble deep field, CC0Textures).
        size: side in pixels, from 16 to 512. Strokes and dots keep their size in pixels: a larger picture has more of them.
        seed: whole number from 0: another picture in the same style, or another part of the same picture.

    Returns:
        float32 (size, size, 3), values in [-1, 1]; the same bits for the same arguments.

    Raises:
        ValueError: for an unknown name, a size out of range, or a seed that is no whole number.
    """
    if not isinstance(name, str) or name not in STYLES:
        raise ValueError(f"There is no style {name!r:.60}; known: {', '.join(STYLES)}.")
    check_size(check_count(size, "size", least=16))
    if size > LARGEST:
        raise ValueError(f"size is {size}, but at most {LARGEST} pixels were expected; make it smaller.")
    check_values((size, size, 3), "the picture")
    dice = np.random.default_rng(check_seed(seed))
    if name in SHIPPED:
        return _part(SHIPPED[name][0], size, dice)
    colors = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in PALETTES[name]], np.float64)
    made = globals()[f"_{name}"](size, dice, colors)
    return to_float(np.clip(np.rint(made), 0, 255).astype(np.uint8))


def read_shipped(file: str) -> Image.Image:
    """A picture out of scikit-image's folder of data, red, green and blue, without importing scikit-image."""
    spec = importlib.util.find_spec("skimage")
    if spec is None:
        raise ModuleNotFoundError(
            f"The picture {file} is carried by the package scikit-image, which is not installed; "
            "install it with: python -m pip install scikit-image"
        )
    with Image.open(Path(spec.submodule_search_locations[0]) / "data" / file) as opened:
        return opened.convert("RGB")


def _part(file: str, size: int, dice) -> np.ndarray:
    """A random square of a picture that was made half as large, or as small as `size`."""
    picture = read_shipped(file)
    side = max(size, min(picture.size) // 2)
    picture = np.asarray(fit_picture(picture, (side, side)))
    top, left = dice.integers(side - size + 1, size=2)
    return to_float(picture[top : top + size, left : left + size].copy())


def _clouds(size: int, dice, grain: float) -> np.ndarray:
    """Smooth noise of about the mean 0 and the deviation 1, whose blobs are `grain` pixels wide: (size, size)."""
    cells = int(np.ceil(size / grain)) + 3
    noise = Image.fromarray(dice.standard_normal((cells, cells)).astype(np.float32))
    large = np.asarray(noise.resize((round(cells * grain),) * 2, Image.Resampling.BICUBIC), np.float64)
    return large[round(grain) :, round(grain) :][:size, :size] / 0.65


def _mixed(colors: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Colours of a palette, mixed between neighbours: 0 is its first one, 1 its last."""
    where = np.clip(where, 0, 1) * (len(colors) - 1)
    low = np.minimum(where.astype(int), len(colors) - 2)
    share = (where - low)[..., None]
    return colors[low] * (1 - share) + colors[low + 1] * share


def _strokes(size, dice, colors):
    angle, tone = 1.5 * _clouds(size, dice, 30), 0.45 + 0.3 * _clouds(size, dice, 20)
    sheet = Image.new("RGB", (2 * size, 2 * size), tuple(colors[0].astype(int).tolist()))
    draw = ImageDraw.Draw(sheet)
    for x, y in dice.integers(size, size=(size * size // 6, 2)):
        along = 3.5 * np.array([np.cos(angle[y, x]), np.sin(angle[y, x])])
        color = _mixed(colors, tone[y, x] + 0.12 * dice.standard_normal()) + 8 * dice.standard_normal()
        ends = [2 * (x - along[0]), 2 * (y - along[1]), 2 * (x + along[0]), 2 * (y + along[1])]
        draw.line(ends, tuple(np.clip(color, 0, 255).astype(int).tolist()), 4)
    return np.asarray(sheet.resize((size, size), Image.Resampling.BOX), np.float64)


def _mosaic(size, dice, colors):
    step = 7.0  # pixels of a tile
    rows = np.arange(-1, size // step + 2)
    points = np.stack(np.meshgrid(rows, rows), axis=-1).reshape(-1, 2) * step
    points = points + dice.uniform(-2.2, 2.2, points.shape)
    tone = 0.5 + 0.3 * _clouds(size, dice, 24)[tuple(np.clip(points[:, ::-1], 0, size - 1).astype(int).T)]
    tiles = _mixed(colors, np.round(tone * 5) / 5) + 9 * dice.standard_normal((len(points), 1))
    places = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)[..., None, :]
    far = np.sqrt(((places - points) ** 2).sum(axis=-1))  # (size, size, tiles)
    two = np.partition(far, 1, axis=-1)
    joint = np.clip((two[..., 1] - two[..., 0]) / 1.6, 0, 1)[..., None]
    return tiles[far.argmin(axis=-1)] * joint + 28 * (1 - joint)


def _halftone(size, dice, colors):
    sheet, places = np.broadcast_to(colors[0], (size, size, 3)), np.arange(size)
    for ink, angle in ((1, 0.26), (2, 1.05)):
        x = (places * np.cos(angle) + places[:, None] * np.sin(angle)) * np.pi / 5
        y = (places[:, None] * np.cos(angle) - places * np.sin(angle)) * np.pi / 5
        # Where it is above 0, there is ink.
        screen = (np.cos(x) * np.cos(y) + 0.9 * np.tanh(_clouds(size, dice, 26))) * 3
        share = 1 / (1 + np.exp(-2 * screen))[..., None]
        sheet = sheet * (1 - share + share * colors[ink] / 255)
    return sheet


def _woodcut(size, dice, colors):
    tone, bend = np.tanh(_clouds(size, dice, 26)), _clouds(size, dice, 40)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    lines = np.sin((x * 0.45 + y * 0.9) * 2 * np.pi / 5 + 2.5 * bend)
    return _mixed(colors, 0.5 + 1.6 * (lines * 0.75 + 0.9 * tone))


def _watercolour(size, dice, colors):
    sheet = np.broadcast_to(colors[0], (size, size, 3))
    for color in colors[1:]:
        wash = _clouds(size, dice, 28) + 0.25 * _clouds(size, dice, 6)
        share = 1 / (1 + np.exp(-6 * (wash - 0.2)))
        edge = np.exp(-((wash - 0.25) ** 2) / 0.02)  # pigment gathers where a wash ends
        share = np.clip(0.55 * share + 0.3 * edge, 0, 1)[..., None]
        sheet = sheet * (1 - share + share * color / 255)
    return sheet + 5 * dice.standard_normal((size, size, 1))


def _marble(size, dice, colors):
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    bent = 2.2 * _clouds(size, dice, 28) + 0.9 * _clouds(size, dice, 12) + 0.4 * _clouds(size, dice, 6)
    return _mixed(colors, np.abs(np.sin((x + 0.6 * y) * 2 * np.pi / 42 + bent)) ** 3 * -1 + 0.9)
