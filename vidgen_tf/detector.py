"""A detector: a small network that draws boxes around persons and vehicles, and how good its boxes are.

It looks at each frame and at its difference from the clip's median, which is the empty street, and answers on a grid of cells of
2 × 2 pixels: how likely the centre of a person or of a vehicle lies in the cell (the heat), and how large the box around it is.
Training has a goal for each cell: heat that is 1 where a centre is and falls off around it. Nearly all cells are empty, so the
loss weighs down what is already right.

X. Zhou, D. Wang, P. Krähenbühl: Objects as Points. 2019, https://arxiv.org/abs/1904.07850 (CenterNet: boxes as heat)
T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár: Focal Loss for Dense Object Detection. ICCV 2017,
https://arxiv.org/abs/1708.02002
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed
from vidgen_tf.metrics import box_iou
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import check_clip_shape

KINDS = 2  # of things that are found: the first ones of a street's truth, persons and vehicles
VISIBLE = 0.3  # share of a thing that must be visible; what is hidden by more is no goal, and counts neither way
MOST = 8  # boxes in a frame
FRAMES = 256  # that go through the network at once outside of training


class Detector(keras.Model):
    """Draws boxes around persons and vehicles in clips of a camera that stands still. `learn` trains it, `detect` uses it.

    Args:
        clip_shape: (frames, height, width, 3) of labelled clips, as `Street` has them; height and width are multiples of 4.
        seed: of the weights.

    Raises:
        ValueError: for other numbers.

    X. Zhou, D. Wang, P. Krähenbühl: Objects as Points. 2019, https://arxiv.org/abs/1904.07850
    """

    def __init__(self, clip_shape: tuple[int, int, int, int], seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.clip_shape = check_clip_shape(clip_shape)
        if self.clip_shape[3] != 3 or any(side % 4 for side in self.clip_shape[1:3]):
            raise ValueError(
                f"clip_shape is {clip_shape!r}, but (frames, height, width, 3) was expected, sides a multiple of 4."
            )
        self.network = self._network(random.Random(check_seed(seed)))
        self.built = True

    def _network(self, dice: random.Random) -> keras.Model:
        """Frames beside their difference from the median (batch, height, width, 6) to (batch, height / 2, width / 2, 2 + 4). The
        dice fall as Keras's own do after `keras.utils.set_random_seed`, and nothing else that is random changes."""
        layers, seed = keras.layers, lambda: dice.randint(1, 10**9)

        def conv(units, stride=1, size=3):
            start = keras.initializers.HeNormal(seed())
            return layers.Conv2D(units, size, stride, "same", activation="relu", kernel_initializer=start)

        seen = keras.Input((*self.clip_shape[1:3], 6))
        fine = conv(32)(conv(32, 2)(conv(16)(seen)))  # cells of 2 × 2 pixels
        coarse = conv(48)(conv(48)(conv(48, 2)(fine)))  # of 4 × 4: sees farther
        both = layers.Concatenate()([fine, layers.UpSampling2D()(coarse)])
        rare = keras.initializers.Constant([-3.0] * KINDS + [0.5] * 4)  # few cells have a centre
        last = layers.Conv2D(
            KINDS + 4, 1, bias_initializer=rare, kernel_initializer=keras.initializers.GlorotUniform(seed())
        )
        return keras.Model(seen, last(conv(48, size=1)(both)), name="network")

    def call(self, frames, training=False):
        """Answers (batch, height / 2, width / 2, 2 + 4) to frames beside their difference from the median (batch, height, width,
        6): log odds of a centre of each kind, then width and height, as `encode` has them, and where in the cell the centre is."""
        return self.network(frames, training=training)

    def learn(
        self,
        sets: Sequence[tuple[np.ndarray, dict[str, np.ndarray]]],
        steps: int,
        seed: int,
        *,
        augment: bool = True,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains on single frames of labelled clips for so many steps, with Adam and the focal loss.

        Args:
            sets: pairs of clips, float32 (count, frames, height, width, 3), and their truth, as in `encode`. Each step takes as
                many frames from one set as from the other, however large they are.
            steps: of training.
            seed: of the order of the frames, and of what is done to them.
            augment: whether frames are mirrored, and made brighter, darker, noisier and of other colours, by chance.
            batch_size: frames in a step, a multiple of the number of sets.
            kwargs: as in `fit`. With epochs=4, say steps_per_epoch=steps // 4.

        Returns:
            The history that `fit` returns.

        Raises:
            ValueError: for clips or a truth that do not fit.

        T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár: Focal Loss for Dense Object Detection. ICCV 2017,
        https://arxiv.org/abs/1708.02002
        """
        if (
            not isinstance(sets, list | tuple)
            or not sets
            or not all(type(one) is tuple and len(one) == 2 for one in sets)
        ):
            raise ValueError("sets must be a list of pairs (clips, truth), such as [(sample.clips, sample.truth)].")
        check_count(steps, "steps"), check_count(batch_size, "batch_size")
        if batch_size % len(sets):
            raise ValueError(
                f"batch_size is {batch_size}, but a multiple of {len(sets)}, the number of sets, was expected."
            )
        dice, labelled = np.random.default_rng(check_seed(seed)), [self._labelled(*one) for one in sets]

        def batches():
            while True:
                picks = [dice.integers(len(x), size=batch_size // len(sets)) for x, _ in labelled]
                x, y = (
                    np.concatenate([one[part][pick] for one, pick in zip(labelled, picks, strict=True)])
                    for part in (0, 1)
                )
                yield _augmented(x, y, dice) if augment else (x, y)

        height, width = self.clip_shape[1:3]
        kinds = (
            tf.TensorSpec((batch_size, height, width, 6)),
            tf.TensorSpec((batch_size, height // 2, width // 2, KINDS + 4)),
        )
        data = tf.data.Dataset.from_generator(batches, output_signature=kinds).prefetch(2)
        self.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), _focal_loss)
        return self.fit(data, **({"steps_per_epoch": steps, "shuffle": False, "verbose": 0} | kwargs))

    def _labelled(self, clips, truth) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees and what it should answer, frame by frame."""
        goals = self.encode(truth)
        if goals.shape[:2] != check_clips(clips, self.clip_shape).shape[:2]:
            raise ValueError(
                f"{len(clips)} clips of {clips.shape[1]} frames came with the truth of {goals.shape[0]} of {goals.shape[1]} "
                "frames; give both of the same sample."
            )
        return _seen(clips), goals.reshape(-1, *goals.shape[2:])

    def detect(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """The boxes that it draws into clips, eight in each frame, the surest first; most of them have a score near 0.

        Args:
            clips: float32 (count, frames, height, width, 3), of any number of frames.

        Returns:
            `boxes`: float32 (count, frames, 8, 4), left, top, right and bottom in pixels, not cut at the frame;
            `score`: float32 (count, frames, 8), from 0 to 1, the heat of the box's centre;
            `kind`: int (count, frames, 8), 0 a person, 1 a vehicle.

        Raises:
            ValueError: for clips that break the convention or have frames of another size.
        """
        clips = check_clips(clips)
        if clips.shape[2:] != self.clip_shape[1:]:
            raise ValueError(f"clips have frames of shape {clips.shape[2:]}, but {self.clip_shape[1:]} was expected.")
        answers = self.predict(_seen(clips), batch_size=FRAMES, verbose=0)
        return self.decode(answers.reshape(*clips.shape[:2], *answers.shape[1:]))

    def encode(self, truth: dict[str, np.ndarray]) -> np.ndarray:
        """Boxes as what the network should answer: heat around each centre, and in the centre's cell the box.

        Args:
            truth: as of `Street`: `boxes` (count, frames, agents, 4), left, top, right and bottom in pixels, NaN for none;
                `kind`, int (count, agents), 0 a person, 1 a vehicle, others are not looked at; `visible` (count, frames, agents),
                from 0 to 1; what is hidden by 0.7 or more is left out.

        Returns:
            float32 (count, frames, height / 2, width / 2, 2 + 4): heat of persons and of vehicles, 0 to 1; width and height of
            the box in units of 8 pixels; the centre's column and row in the cell, 0 to 1. Four zeros in cells without a centre;
            of several centres in one cell the last agent's box.

        Raises:
            ValueError: for a truth without these three, or of other shapes.
        """
        boxes, kind, wanted = _things(truth)
        rows, columns = self.clip_shape[1] // 2, self.clip_shape[2] // 2
        row, column = np.mgrid[:rows, :columns]
        goals = np.zeros((*boxes.shape[:2], rows, columns, KINDS + 4), np.float32)
        for clip, frame, agent in np.argwhere(wanted):
            left, top, right, bottom = boxes[clip, frame, agent]
            x, y = (left + right) / 4, (top + bottom) / 4  # in cells
            u, v = min(max(int(x), 0), columns - 1), min(max(int(y), 0), rows - 1)
            wide, high = max(0.5, (right - left) / 8), max(0.5, (bottom - top) / 8)
            heat = np.exp(-(((column - u) / wide) ** 2 + ((row - v) / high) ** 2))
            at = goals[clip, frame, ..., kind[clip, frame, agent]]
            np.maximum(at, heat, out=at)
            goals[clip, frame, v, u, KINDS:] = (right - left) / 8, (bottom - top) / 8, x - u, y - v
        return goals

    def decode(self, answers: np.ndarray) -> dict[str, np.ndarray]:
        """Answers of the network as boxes: each cell that is as hot as the hottest of its eight neighbours, or hotter, is a centre.

        Args:
            answers: float (count, frames, height / 2, width / 2, 2 + 4), as `encode` gives, but log odds in the place of heat.

        Returns:
            `boxes`, `score` and `kind`, as `detect`.

        Raises:
            ValueError: for another shape.
        """
        answers, grid = as_array(answers, "answers"), tuple(side // 2 for side in self.clip_shape[1:3])
        if answers.ndim != 5 or answers.shape[2:] != (*grid, KINDS + 4):
            raise ValueError(
                f"answers have shape {answers.shape}, but (count, frames, {grid[0]}, {grid[1]}, {KINDS + 4}) was expected."
            )
        found = answers.reshape(-1, *answers.shape[2:])
        heat = 1 / (1 + np.exp(-np.maximum(found[..., :KINDS], -80)))
        wide = np.pad(heat, ((0, 0), (1, 1), (1, 1), (0, 0)))
        near = np.max([wide[:, y : y + grid[0], x : x + grid[1]] for y in range(3) for x in range(3)], axis=0)
        flat = np.where(heat == near, heat, 0).reshape(len(heat), -1)
        best = np.argsort(-flat, axis=1, kind="stable")[:, :MOST]
        row, column, kind = np.unravel_index(best, heat.shape[1:])
        width, height, x, y = np.moveaxis(found[np.arange(len(found))[:, None], row, column, KINDS:], -1, 0)
        x, y = 2 * (column + x), 2 * (row + y)
        boxes = np.stack([x - 4 * width, y - 4 * height, x + 4 * width, y + 4 * height], axis=-1)
        result = {"boxes": boxes, "score": np.take_along_axis(flat, best, axis=1), "kind": kind}
        return {name: values.reshape(*answers.shape[:2], *values.shape[1:]) for name, values in result.items()}


def match_boxes(
    found: dict[str, np.ndarray],
    truth: dict[str, np.ndarray],
    kind: int,
    *,
    least_iou: float = 0.5,
    least_score: float = 0.02,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which found boxes of a kind are right, and which true ones are found.

    The surest box goes first and takes the true box of its frame that it fits best. A true box can be taken once, so what finds it
    again is wrong. A box that fits only something hidden by 0.7 or more is neither right nor wrong.

    Args:
        found: as of `Detector.detect`.
        truth: as of `Street`: `boxes` (count, frames, agents, 4), `kind` (count, agents), `visible` (count, frames, agents).
        kind: 0 for persons, 1 for vehicles.
        least_iou: intersection over union from which on a box fits, above 0 and at most 1.
        least_score: boxes with a lower score are left out, 0 to 1.

    Returns:
        `right`: bool (n,), for each found box that counts, the highest score first;
        `wanted`: bool (count, frames, agents), the true boxes that should be found;
        `got`: bool, of the same shape, those of them that are.

    Raises:
        ValueError: for other names, shapes or numbers.
    """
    boxes, scores, kinds = _answers(found)
    true, true_kind, wanted = _things(truth)
    if boxes.shape[:2] != true.shape[:2]:
        raise ValueError(
            f"boxes of {boxes.shape[0]} clips of {boxes.shape[1]} frames came with the truth of {true.shape[0]} of "
            f"{true.shape[1]} frames; give both of the same clips."
        )
    if check_count(kind, "kind", least=0) >= KINDS:
        raise ValueError(f"kind is {kind}, but 0, a person, or 1, a vehicle, was expected.")
    if not 0 < check_number(least_iou, "least_iou") <= 1:
        raise ValueError(f"least_iou is {least_iou!r}, but a number above 0 and at most 1 was expected.")
    least_score = check_number(least_score, "least_score")
    there, wanted = np.isfinite(true[..., 0]) & (true_kind == kind), wanted & (true_kind == kind)
    overlap = np.nan_to_num(box_iou(boxes[..., :, None, :], true[..., None, :, :]))  # (count, frames, found, agents)
    free, right = wanted.copy(), []
    order = np.argsort(-scores, axis=None, kind="stable")
    for clip, frame, one in zip(*np.unravel_index(order, scores.shape), strict=True):
        if kinds[clip, frame, one] != kind or scores[clip, frame, one] < least_score:
            continue
        at = clip, frame
        fits = overlap[clip, frame, one] * there[at]
        best = np.where(free[at], fits, 0).argmax()
        if free[at][best] and fits[best] >= least_iou:
            free[at][best] = False
            right.append(True)
        elif not (fits * ~wanted[at]).max() >= least_iou:  # else it found something hidden
            right.append(False)
    return np.array(right, bool), wanted, wanted & ~free


def average_precision(found: dict[str, np.ndarray], truth: dict[str, np.ndarray], *, least_iou: float = 0.5) -> float:
    """The area under precision over recall, the mean over persons and vehicles, in %.

    Down the list of found boxes, the surest first, precision is the share of boxes so far that are right, recall the share of true
    boxes that are found so far. Precision counts as the best that is still reached farther down. Boxes are right as in `match_boxes`;
    a kind of which there is no true box is left out.

    Args:
        found: as of `Detector.detect`.
        truth: as in `match_boxes`.
        least_iou: intersection over union from which on a box fits, above 0 and at most 1.

    Returns:
        From 0, nothing is found, to 100, all is found before anything wrong.

    Raises:
        ValueError: for other names, shapes or numbers, or without any true box that is visible.

    M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman: The Pascal Visual Object Classes (VOC) Challenge.
    International Journal of Computer Vision 88, 2010, https://doi.org/10.1007/s11263-009-0275-4
    """
    areas = []
    for kind in range(KINDS):
        right, wanted, _ = match_boxes(found, truth, kind, least_iou=least_iou)
        if wanted.any():
            recall, precision = right.cumsum() / wanted.sum(), right.cumsum() / np.arange(1, len(right) + 1)
            precision = np.maximum.accumulate(precision[::-1])[::-1]
            areas.append(np.sum(np.diff(recall, prepend=0) * precision))
    if not areas:
        raise ValueError("the truth has no visible person or vehicle, but at least one was expected; take more clips.")
    return float(100 * np.mean(areas))


def _seen(clips: np.ndarray) -> np.ndarray:
    """Frames beside their difference from the clip's median: (frames in all, height, width, 6)."""
    median = np.median(clips, axis=1, keepdims=True)
    return np.concatenate([clips, clips - median], axis=-1).reshape(-1, *clips.shape[2:4], 6)


def _things(truth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (count, frames, agents, 4), kinds (count, frames, agents), and which of them should be found, if the truth is one."""
    boxes, kind, visible = _named(truth, "truth", ("boxes", "kind", "visible"))
    shape = boxes.shape[:3]
    if boxes.ndim != 4 or boxes.shape[3] != 4 or kind.shape != shape[::2] or visible.shape != shape:
        raise ValueError(
            f"the truth has boxes {boxes.shape}, kind {kind.shape} and visible {visible.shape}, but (count, frames, agents, 4), "
            "(count, agents) and (count, frames, agents) were expected."
        )
    kind = np.broadcast_to(kind[:, None], shape)
    return boxes, kind, np.isfinite(boxes).all(axis=-1) & (visible > VISIBLE) & (kind >= 0) & (kind < KINDS)


def _answers(found) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and kinds, if they are what `detect` gives."""
    boxes, scores, kinds = _named(found, "found", ("boxes", "score", "kind"))
    if boxes.ndim != 4 or boxes.shape[3] != 4 or scores.shape != boxes.shape[:3] or kinds.shape != boxes.shape[:3]:
        raise ValueError(
            f"found has boxes {boxes.shape}, score {scores.shape} and kind {kinds.shape}, but (count, frames, boxes, 4) and twice "
            "(count, frames, boxes) were expected."
        )
    return boxes, scores, kinds


def _named(given, name: str, keys: tuple[str, ...]) -> list[np.ndarray]:
    if not isinstance(given, dict) or any(key not in given for key in keys):
        came = f"{', '.join(map(str, given)):.60}" if isinstance(given, dict) else type(given).__name__
        raise ValueError(f"{name} is {came or 'empty'}, but a dictionary with {', '.join(keys)} was expected.")
    return [as_array(given[key], key) for key in keys]


def _focal_loss(goal, answer):
    """Focal loss of the heat, as Zhou et al. have it, and absolute errors of boxes where a centre is."""
    ops = keras.ops
    heat, chance = goal[..., :KINDS], ops.clip(ops.sigmoid(answer[..., :KINDS]), 1e-4, 1 - 1e-4)
    center = ops.cast(heat > 0.999, "float32")
    hit = center * (1 - chance) ** 2 * ops.log(chance)
    miss = (1 - center) * (1 - heat) ** 4 * chance**2 * ops.log(1 - chance)
    size = ops.max(center, axis=-1, keepdims=True) * ops.abs(answer[..., KINDS:] - goal[..., KINDS:])
    return (ops.sum(size) - ops.sum(hit + miss)) / (1 + ops.sum(center))


def _mirrored(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right exchanged, in what the network sees and in its goal."""
    y = y[:, :, ::-1].copy()
    y[..., KINDS + 2] = np.where(y[..., KINDS] > 0, 1 - y[..., KINDS + 2], 0)
    return x[:, :, ::-1], y


def _augmented(x: np.ndarray, y: np.ndarray, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Half of them mirrored, other contrasts, brightness and colours, and noise."""
    x, y = x.copy(), y.copy()
    half = dice.random(len(x)) < 0.5
    x[half], y[half] = _mirrored(x[half], y[half])
    gain = dice.uniform(0.6, 1.3, (len(x), 1, 1, 1)) * dice.uniform(0.85, 1.15, (len(x), 1, 1, 3))
    noise = dice.uniform(0, 0.1, (len(x), 1, 1, 1)) * dice.standard_normal((*x.shape[:3], 3))
    x[..., :3] = np.clip((x[..., :3] + 1) * gain - 1 + noise, -1, 1)
    x[..., 3:] = x[..., 3:] * gain + noise
    return x.astype(np.float32), y
