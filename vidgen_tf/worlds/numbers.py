"""A hundred pictures and no more: the numbers from 00 to 99, each as likely as the next.

Of most worlds nobody knows how many different pictures they hold, so nobody knows what full marks in variety
would be. Here it is known: a generator that has learned everything makes every number, equally often, and
each clip it makes takes ln 100 = 4.6 nats to name. One that has collapsed makes a few, and `read` counts them.

A number is two digits of 5×7 cells with one column between them, a cell is 2×2 pixels of ink, +1, on a
background of -1, in the middle of 28×28 pixels.
"""

import math
from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed, check_values
from vidgen_tf.metrics import mode_coverage
from vidgen_tf.worlds import Sample, World

SIDE, CELL = 28, 2  # pixels
MODES = 100  # numbers that two digits can write

# Root mean square errors: the nearest two numbers, such as 00 and 08, are 0.35 apart. The mean of all hundred is 0.37
# from the nearest number, a number with one digit right and the mean of all digits for the other 0.27, an empty
# picture 0.67. None of the three may pass for a number.
TOLERANCE = 0.25

FONT = (  # the digits from 0 to 9, side by side
    ".###. ..#.. .###. ####. #..#. ##### ..##. ##### .###. .###.",
    "#...# .##.. #...# ....# #..#. #.... .#... ....# #...# #...#",
    "#..## #.#.. ....# ....# #..#. ####. #.... ...#. #...# #...#",
    "#.#.# ..#.. ..##. .###. ##### ....# ####. ..#.. .###. .####",
    "##..# ..#.. .#... ....# ...#. ....# #...# ..#.. #...# ....#",
    "#...# ..#.. #.... ....# ...#. #...# #...# .#... #...# ...#.",
    ".###. ##### ##### ####. ...#. .###. .###. .#... .###. .##..",
)
DIGITS = np.array([[[cell == "#" for cell in row.split()[digit]] for row in FONT] for digit in range(10)])


def _pictures() -> np.ndarray:
    """All the numbers in their order, float32 (100, 28, 28)."""
    numbers = np.arange(MODES)
    gap = np.zeros((MODES, len(FONT), 1), bool)
    cells = np.concatenate([DIGITS[numbers // 10], gap, DIGITS[numbers % 10]], axis=2)
    ink = cells.repeat(CELL, axis=1).repeat(CELL, axis=2)
    top, left = (SIDE - ink.shape[1]) // 2, (SIDE - ink.shape[2]) // 2
    pictures = np.full((MODES, SIDE, SIDE), -1, np.float32)
    pictures[:, top : top + ink.shape[1], left : left + ink.shape[2]][ink] = 1
    return pictures


class Numbers(World):
    """Pictures of equally likely numbers, so that full marks in coverage and in entropy are known.

    Its truth holds `number` (count,), from 0. A caption reads "the number 42", or "the number 07".

    Args:
        modes: how many numbers there are, from 00 on: 2 to 100.

    Raises:
        ValueError: for another number of modes.
    """

    clip_shape = (1, SIDE, SIDE, 1)

    def __init__(self, modes: int = MODES):
        if check_count(modes, "modes", least=2) > MODES:
            raise ValueError(f"modes is {modes}, but two digits write {MODES} numbers; give 2 to {MODES}.")
        self.modes = int(modes)
        self._pictures = _pictures()[:modes]

    def __len__(self) -> int:
        return self.modes

    @property
    def entropy(self) -> float:
        """What a clip tells, in nats: ln(modes), 4.605 for a hundred numbers."""
        return math.log(self.modes)

    def sample(self, count: int, seed: int) -> Sample:
        """`count` numbers, each drawn evenly from all; see `World.sample`."""
        check_values((check_count(count), *self.clip_shape), "a sample")
        numbers = np.random.default_rng(check_seed(seed)).integers(self.modes, size=count)
        return Sample(
            self.render(numbers), tuple(f"the number {number:02d}" for number in numbers), {"number": numbers}
        )

    def render(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """Pictures of these numbers.

        Args:
            numbers: whole numbers (count,) from 0 to modes - 1.

        Returns:
            float32 (count, 1, 28, 28, 1), values -1 and 1.

        Raises:
            ValueError: for anything else than such a list.
        """
        numbers = as_array(numbers, "numbers")
        if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
            raise ValueError(
                f"numbers has shape {numbers.shape} and type {numbers.dtype}, but a list of whole numbers was expected, "
                "such as [4, 2]."
            )
        if numbers.min() < 0 or numbers.max() >= self.modes:
            raise ValueError(
                f"numbers goes from {numbers.min()} to {numbers.max()}, but 0 to {self.modes - 1} was expected."
            )
        check_values((len(numbers), *self.clip_shape), "the pictures")
        return self._pictures[numbers][:, None, :, :, None]

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Which number each clip shows, if any.

        The nearest two numbers are 0.35 apart (root mean square). A clip counts as a number up to an error of 0.25,
        TOLERANCE: noise of that size does no harm, but a blur of many numbers or of many digits is none.

        Args:
            clips: float32 (count, 1, 28, 28, 1).

        Returns:
            `number`: int (count,), the nearest of this world's numbers, or -1 where its error is above 0.25;
            `error`: float (count,), the root mean square error of the nearest number.

        Raises:
            ValueError: for clips that break the convention or have another shape.
        """
        clips = check_clips(clips, self.clip_shape)
        known = self._pictures.reshape(self.modes, -1).astype(np.float64)
        shown = clips.reshape(len(clips), -1).astype(np.float64)
        number = (shown @ known.T).argmax(axis=1)  # the nearest, since all values of all numbers are ±1
        error = np.sqrt(np.mean((shown - known[number]) ** 2, axis=1))
        return {"number": np.where(error <= TOLERANCE, number, -1), "error": error}

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """Shares from 0 to 1 of made clips: "readable" as a number, and "modes": of all numbers, those that occur. The
        captions are not looked at."""
        number = self.read(clips)["number"]
        return {"readable": float((number >= 0).mean()), "modes": mode_coverage(number, self.modes)}
