"""Small adverts: a real product picture, then the same product coloured, lit and moved, as one customer would like it.

Frame 0 is the shop's photograph: a picture of Fashion-MNIST as it is, grey on black. In all later frames the product has a
colour, lies in the light of a mood, and sways from side to side at a pace. So a model that is given frame 0 must keep the
product and make all the rest, and the picture and four labels (and, where both happen, whether it sways to the right or to the left first) decide
the clip entirely: `render` draws it, and `read` holds made clips beside it.

What a product is made of: where the picture has ink g, from 0 to 1, it covers the ground by min(1, COVER · g), and shows its
colour times the light of the mood times a shade that rises with g from DARK to 1.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed, check_values, fit_picture
from vidgen_tf.worlds import Sample, World
from vidgen_tf.worlds.pictures import DATA, PRODUCTS, SOURCES

FRAMES, SIDE, PRODUCT = 16, 32, 24  # frames of a clip; pixels of a frame and of the product's picture in it
SWAY = 4  # pixels to either side; the product's picture then just touches the border of the frame
COVER, DARK = 5.0, 0.3
CHUNK = 64  # clips that `read` works on at a time
EDGE = 3  # rows at the top and at the bottom in which the ground alone is seen

SHELVES = {  # where a shop puts the ten kinds of product
    "top": ("t-shirt", "pullover", "coat", "shirt"),
    "trousers": ("trouser",),
    "dress": ("dress",),
    "shoes": ("sandal", "sneaker", "ankle boot"),
    "bag": ("bag",),
}
COLORS = {  # red, green, blue from 0 to 1
    "red": (0.90, 0.15, 0.15),
    "yellow": (0.95, 0.80, 0.10),
    "green": (0.15, 0.70, 0.20),
    "cyan": (0.10, 0.75, 0.80),
    "blue": (0.20, 0.30, 0.95),
    "magenta": (0.85, 0.20, 0.80),
}
PACES = {"still": 0, "slow": 1, "fast": 2}  # how often a clip it sways to and fro
MOODS = {  # the light; the ground at the top and at the bottom
    "bright": ((1.00, 1.00, 1.00), (0.95, 0.95, 0.92), (0.72, 0.73, 0.75)),
    "warm": ((1.00, 0.82, 0.60), (0.62, 0.38, 0.24), (0.30, 0.16, 0.10)),
    "night": ((0.62, 0.72, 1.00), (0.04, 0.06, 0.18), (0.10, 0.15, 0.36)),
}
LABELS = {"product": tuple(SHELVES), "color": tuple(COLORS), "pace": tuple(PACES), "mood": tuple(MOODS)}

LEAST_COSINE = 0.94  # of a colour and what is seen: two of the six colours have at most 0.90, any of them and grey too
LEAST_GAP = 0.15  # from the ground, the root of summed squares: what is nearer to it is ground
LEAST_PIXELS = 12  # of product in a frame
MOST_WANDERING = 1.0  # pixels, root mean square, that a product may be off its way
MOST_GROUND = 0.12  # root mean square by which a ground may differ from that of its mood


class Adverts(World):
    """Adverts of 16 frames, 32×32 pixels, in colour: the shop's photograph, then 15 frames of the product as a customer likes it.

    Each of the five shelves is equally likely, each picture of a shelf too. Truth of `sample`:
        labels: int (count, 4), the numbers of product (shelf), colour, pace and mood in `LABELS`.
        picture: int (count,), the number of the picture in this part, from 0.
        kind: int (count,), which of the ten kinds of Fashion-MNIST it is.
        first: int (count,), 1 where it sways to the right first, -1 to the left; both look alike where it is still.
    The caption is as "a red bag, fast, at night". The same seed gives the same bits on every machine.

    Args:
        part: "train" or "test": 6,000 and 1,000 pictures.
        both: whether samples sway to the left first as often as to the right; else always to the right, so that a photograph
            and labels leave nothing open.

    Attributes:
        stills: uint8 (pictures in the part, 24, 24), reduced from 28×28.
        shelf: int (pictures in the part,), the number of the shelf of each.
        kinds: int (pictures in the part,), which of the ten kinds each is.
        licence, credit: of the pictures.

    Raises:
        ValueError: for another part, or `both` that is neither True nor False.
    """

    clip_shape = (FRAMES, SIDE, SIDE, 3)
    labels = LABELS

    def __init__(self, part: str = "train", both: bool = False):
        train, self.licence, self.credit = SOURCES["products"]
        parts = {"train": slice(train), "test": slice(train, None)}
        if not isinstance(part, str) or part not in parts:
            raise ValueError(f"part is {part!r:.40}, but 'train' or 'test' was expected.")
        if not isinstance(both, bool):
            raise ValueError(f"both is {both!r:.40}, but True or False was expected.")
        self.both = both
        with np.load(DATA / "products.npz") as stored:
            pictures, self.kinds = stored["pictures"][parts[part]], stored["labels"][parts[part]].astype(np.int64)
        size = (PRODUCT, PRODUCT)
        self.stills = np.stack([np.asarray(fit_picture(Image.fromarray(picture), size)) for picture in pictures])
        shelf_of = {kind: number for number, kinds in enumerate(SHELVES.values()) for kind in kinds}
        self.shelf = np.array([shelf_of[kind] for kind in PRODUCTS])[self.kinds]
        self._on_shelf = [np.flatnonzero(self.shelf == number) for number in range(len(SHELVES))]

    def __len__(self) -> int:
        return len(self.stills)

    def sample(self, count: int, seed: int) -> Sample:
        """`count` adverts of random pictures for random labels; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        generator = np.random.default_rng(check_seed(seed))
        labels = np.stack([generator.integers(len(names), size=count) for names in LABELS.values()], axis=1)
        place, first = generator.random(count), generator.choice([-1, 1] if self.both else [1], size=count)
        on_shelf = [self._on_shelf[shelf] for shelf in labels[:, 0]]
        picture = np.array([each[int(share * len(each))] for each, share in zip(on_shelf, place, strict=True)])
        clips = self.render(self.stills[picture], labels[:, 1:], first)
        truth = {"labels": labels, "picture": picture, "kind": self.kinds[picture], "first": first}
        return Sample(clips, tuple(caption_of(each) for each in labels), truth)

    def render(self, stills: np.ndarray, looks: np.ndarray, first: np.ndarray | int = 1) -> np.ndarray:
        """The adverts of these pictures.

        Args:
            stills: uint8 (count, 24, 24), products on black, such as `stills` of a world.
            looks: int (count, 3), the numbers of colour, pace and mood.
            first: 1 for a way that begins to the right, -1 to the left; one for all, or (count,).

        Returns:
            float32 (count, 16, 32, 32, 3), values in [-1, 1].

        Raises:
            ValueError: for other shapes, types or numbers.
        """
        stills, looks = as_array(stills, "stills"), as_array(looks, "looks")
        if stills.ndim != 3 or stills.shape[1:] != (PRODUCT, PRODUCT) or stills.dtype != np.uint8:
            raise ValueError(
                f"stills has shape {stills.shape} and type {stills.dtype}, but uint8 (count, {PRODUCT}, {PRODUCT}) was expected."
            )
        most = [len(LABELS[name]) for name in ("color", "pace", "mood")]
        fits = looks.shape == (len(stills), 3) and looks.dtype.kind in "iu"
        if not fits or not ((looks >= 0) & (looks < most)).all():
            raise ValueError(
                f"looks is {looks.tolist()!s:.60}, but whole numbers ({len(stills)}, 3) below {most} were expected: colour, "
                "pace and mood of each advert."
            )
        first = as_array(first, "first")
        if first.shape not in ((), (len(stills),)) or not np.isin(first, (-1, 1)).all():
            raise ValueError(
                f"first is {first.tolist()!s:.60}, but 1 (right) or -1 (left) was expected, for all or for each."
            )
        check_values((len(stills), *self.clip_shape), "the adverts")
        ink = np.pad(stills.astype(np.float32) / 255, ((0, 0), *[((SIDE - PRODUCT) // 2,) * 2] * 2))[..., None]
        color, pace, mood = looks.T
        light, ground = LIGHTS[mood][:, None, None], GROUNDS[mood]  # (count, 1, 1, 3), (count, 32, 1, 3)
        shown = light * TINTS[color][:, None, None] * (DARK + (1 - DARK) * ink)
        shown = ground + np.minimum(1, COVER * ink) * (shown - ground)  # where it begins, (count, 32, 32, 3)
        clips = np.empty((len(stills), *self.clip_shape), np.float32)
        clips[:, 0] = 2 * ink - 1
        moved = WAYS[pace] * np.broadcast_to(first, len(stills))[:, None]
        for frame in range(1, FRAMES):  # all columns of a ground are alike, so that it may move too
            columns = (np.arange(SIDE) - moved[:, frame, None]) % SIDE
            clips[:, frame] = 2 * np.take_along_axis(shown, columns[:, None, :, None], axis=2) - 1
        return clips

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What made clips show, by rules alone; the shelf is left to a classifier of pictures.

        The mood is that whose ground is nearest in the rows that no product reaches. The colour is that of the mean product,
        less the light of the mood, if the cosine of both is 0.94 at least. The pace is that whose way is nearest to the centre
        of what is not ground, if it is off by at most one pixel (root mean square).

        Args:
            clips: float32 (count, 16, 32, 32, 3).

        Returns:
            `color`, `pace`, `mood`: int (count,), numbers in `LABELS`, or -1 where none is near;
            `first`: int (count,), 1 or -1, by the way that is nearest;
            `picture`: uint8 (count, 24, 24), the photograph in frame 0;
            `center`: float64 (count, 15), pixels from the middle of its way to the right, NaN where no product is seen;
            `error`: float64 (count,), root mean square difference of frames 1 to 15 from what `render` makes of frame 0 and of
            these labels, NaN where one of them is -1. Two photographs of one shelf are 0.3 to 0.5 apart.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        clips = check_clips(clips, self.clip_shape)
        parts = [self._seen(clips[start : start + CHUNK]) for start in range(0, len(clips), CHUNK)]
        far, cosine, center = (np.concatenate(each) for each in zip(*parts, strict=True))
        mood = far.argmin(axis=1)
        ways = (WAYS[:, None] * np.array([1, -1])[:, None])[:, :, 1:].reshape(-1, FRAMES - 1)  # of all paces and firsts
        off = center[:, None] - ways  # the middle of the way is the mean of this, since products are not symmetric
        middle = off.mean(axis=2, keepdims=True)
        wandering = np.nan_to_num(np.sqrt(np.mean((off - middle) ** 2, axis=2)), nan=np.inf)
        way = wandering.argmin(axis=1)
        rows = np.arange(len(clips))
        found = {
            "color": np.where(cosine.max(axis=1) >= LEAST_COSINE, cosine.argmax(axis=1), -1),
            "pace": np.where(wandering[rows, way] <= MOST_WANDERING, way // 2, -1),
            "mood": np.where(far.min(axis=1) <= MOST_GROUND, mood, -1),
            "first": np.where(way % 2, -1, 1),
            "picture": self._photograph(clips),
            "center": center - middle[rows, way],
        }
        looks = np.stack([found[name] for name in ("color", "pace", "mood")], axis=1)
        told, error = (looks >= 0).all(axis=1), np.full(len(clips), np.nan)
        if told.any():
            ideal = self.render(found["picture"][told], looks[told], found["first"][told])
            error[told] = np.sqrt(np.mean((ideal[:, 1:].astype(np.float64) - clips[told, 1:]) ** 2, axis=(1, 2, 3, 4)))
        return found | {"error": error}

    def scores(self, clips: np.ndarray, captions: Sequence = ()) -> dict[str, float]:
        """How good made clips are, by the rules of `read`.

        Args:
            clips: float32 (count, 16, 32, 32, 3).
            captions: labels int (count, 4) that the clips were made for, or ().

        Returns:
            Shares of clips from 0 to 1: "readable", with a colour, a pace and a mood; and for labels "color", "pace" and "mood"
            as asked, and "profile", all three. "error" is the mean of the readable clips' `error`, 2 where none is.

        Raises:
            ValueError: for another number of clips than labels, or clips of another shape.
        """
        if len(captions):
            clips, captions = self.check_asked(clips, captions, len(LABELS), "labels")
        found = self.read(clips)
        read = np.stack([found[name] for name in ("color", "pace", "mood")], axis=1)
        told = (read >= 0).all(axis=1)
        scores = {"readable": float(told.mean()), "error": float(found["error"][told].mean()) if told.any() else 2.0}
        if len(captions):
            same = read == captions[:, 1:]
            scores |= dict(zip(("color", "pace", "mood"), same.mean(axis=0).tolist(), strict=True))
            scores["profile"] = float(same.all(axis=1).mean())
        return scores

    @staticmethod
    def _seen(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How far the ground is from that of each mood (count, moods), the cosine of the product's colour and each of the six
        (count, colors), and the centre of what is not ground (count, 15), NaN where nothing is seen."""
        shown = (np.moveaxis(clips[:, 1:], -1, 0) + 1) / 2  # (3, count, 15, 32, 32)
        edge = np.concatenate([shown[..., :EDGE, :], shown[..., -EDGE:, :]], axis=3).mean(axis=(2, 4))  # (3, count, 6)
        known = np.concatenate([GROUNDS[:, :EDGE, 0], GROUNDS[:, -EDGE:, 0]], axis=1)  # (moods, 6, 3)
        far = np.sqrt(np.mean((np.moveaxis(edge, 0, -1)[:, None] - known) ** 2, axis=(2, 3)))
        mood = far.argmin(axis=1)
        ground = np.moveaxis(GROUNDS[mood], -1, 0)[:, :, None]  # (3, count, 1, 32, 1)
        squares = ((each - under) ** 2 for each, under in zip(shown, ground, strict=True))
        gap = np.sqrt(sum(squares))  # (count, 15, 32, 32)
        weight = np.where(gap > LEAST_GAP, gap, 0)
        plain = shown / LIGHTS[mood].T[:, :, None, None, None]
        color = weight * (plain.max(axis=0) - plain.min(axis=0))  # what is grey tells no colour
        tint = np.stack([(color * each).sum(axis=(1, 2, 3)) for each in plain], axis=1)
        enough = (weight > 0).sum(axis=(2, 3)) >= LEAST_PIXELS
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = (tint / np.linalg.norm(tint, axis=1, keepdims=True)) @ (TINTS / LENGTHS).T
            center = np.where(enough, (weight.sum(axis=2) @ np.arange(SIDE)) / weight.sum(axis=(2, 3)), np.nan)
        return far, np.nan_to_num(cosine), center

    @staticmethod
    def _photograph(clips: np.ndarray) -> np.ndarray:
        """Frame 0 as a grey picture, uint8 (count, 24, 24)."""
        edge = (SIDE - PRODUCT) // 2
        grey = (clips[:, 0, edge:-edge, edge:-edge].mean(axis=-1) + 1) * 127.5
        return np.rint(grey).astype(np.uint8)


def photograph(stills: np.ndarray) -> np.ndarray:
    """Product pictures as the frame 0 of an advert, to be given to a model as a known frame.

    Args:
        stills: uint8 (count, 24, 24), such as `Adverts().stills`.

    Returns:
        float32 (count, 16, 32, 32, 3): the picture in frame 0, grey on black; 0 in all other frames.

    Raises:
        ValueError: for another shape or type.
    """
    stills = as_array(stills, "stills")
    if stills.ndim != 3 or stills.shape[1:] != (PRODUCT, PRODUCT) or stills.dtype != np.uint8:
        raise ValueError(
            f"stills has shape {stills.shape} and type {stills.dtype}, but uint8 (count, {PRODUCT}, {PRODUCT}) was expected."
        )
    clips = np.zeros((len(stills), *Adverts.clip_shape), np.float32)
    clips[:, 0] = -1
    edge = (SIDE - PRODUCT) // 2
    clips[:, 0, edge:-edge, edge:-edge] = (2 * (stills.astype(np.float32) / 255) - 1)[..., None]
    return clips


def caption_of(labels: Sequence[int] | np.ndarray) -> str:
    """The sentence for the four labels of an advert, such as "a red bag, fast, at night"."""
    product, color, pace, mood = (names[int(each)] for names, each in zip(LABELS.values(), labels, strict=True))
    article = "" if product in ("trousers", "shoes") else "a "
    light = {"bright": "in bright light", "warm": "in warm light", "night": "at night"}[mood]
    return f"{article}{color} {product}, {pace}, {light}"


TINTS = np.array(list(COLORS.values()), np.float32)
LENGTHS = np.linalg.norm(TINTS, axis=1, keepdims=True)
LIGHTS = np.array([light for light, _, _ in MOODS.values()], np.float32)
_ROWS = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
GROUNDS = np.stack([(1 - _ROWS) * np.float32(top) + _ROWS * np.float32(bottom) for _, top, bottom in MOODS.values()])
# Pixels to the right, (paces, frames).
WAYS = np.rint([SWAY * np.sin(2 * np.pi * turns * np.arange(FRAMES) / FRAMES) for turns in PACES.values()]).astype(int)
