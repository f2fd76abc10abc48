"""Worlds: where clips come from. A world turns a seed into clips whose truth is known.

Every world has the same three verbs:

- `sample(count, seed)` returns a `Sample`: clips, captions and truth, the same bits for the same seed;
- `read(clips)` reads back from pixels what can be read, so that generated clips are judged by rules;
- `dataset(batch_size, seed)` is an endless `tf.data.Dataset` of fresh samples, for `fit`.

To add a world, write one file with a subclass of `World` that has `clip_shape`, `sample` and `read`, and `scores`
where rules can say how good made clips are.
No world imports Keras; `dataset` alone imports TensorFlow, when it is called.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_seed


@dataclass(frozen=True)
class Sample:
    """What a world hands out: `count` clips and all that is known about them.

    Attributes:
        clips: float32 (count, time, height, width, channels), values in [-1, 1].
        captions: one plain English sentence a clip.
        truth: name to array; the first axis of each array is the clip. The world's docstring lists the names.
    """

    clips: np.ndarray
    captions: tuple[str, ...]
    truth: dict[str, np.ndarray] = field(default_factory=dict)


class World:
    """The contract of a world; see the module's docstring.

    Attributes:
        clip_shape: (time, height, width, channels) of every clip that `sample` makes.
        endless: whether another seed gives clips that were never seen before.
        divisible: whether each of several machines can read its part of a batch alone, by dataset(…, part=(i, n)).
        columns: names of quantities and how many numbers each of them is, where clips follow from quantities; the truth
            then holds them all as "numbers", float32 (count, sum of columns) in [-1, 1]. Else None.
    """

    clip_shape: tuple[int, int, int, int]
    endless, divisible = True, False
    columns: dict[str, int] | None = None

    def sample(self, count: int, seed: int) -> Sample:
        """`count` clips with captions and truth; the same seed gives the same bits."""
        raise NotImplementedError(f"{type(self).__name__} must say how it makes clips: write sample(count, seed).")

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """What can be read from the pixels of clips (count, time, height, width, channels), by name."""
        raise NotImplementedError(f"{type(self).__name__} must say what pixels tell: write read(clips).")

    def check_frames(self, clips: np.ndarray) -> np.ndarray:
        """Clips of any number of frames, if they keep the convention and their frames are as large as this world's; else
        ValueError."""
        clips = check_clips(clips)
        if clips.shape[2:] != self.clip_shape[1:]:
            raise ValueError(
                f"clips have frames of shape {clips.shape[2:]}, but {self.clip_shape[1:]} was expected; make the world with "
                "their size, or resize them."
            )
        return clips

    def check_asked(
        self, clips: np.ndarray, asked: np.ndarray, width: int | None = None, name: str = "numbers"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clips of this world, and the numbers that they were made for, a row of `width` (None: as many as `columns` say) for
        each; else ValueError."""
        clips, asked = check_clips(clips, self.clip_shape), as_array(asked, name)
        wanted = (len(clips), sum(self.columns.values()) if width is None else width)
        if asked.shape != wanted:
            raise ValueError(f"{name} of shape {asked.shape} came, but {wanted} was expected: a row for each clip.")
        return clips, asked

    def scores(self, clips: np.ndarray, captions: Sequence[str] = ()) -> dict[str, float]:
        """How good made clips (count, time, height, width, channels) are, by this world's rules: names to numbers; the
        world's docstring says which. Where they were made for captions, also how well they agree with them."""
        raise NotImplementedError(f"{type(self).__name__} has no rules for made clips: write scores(clips, captions).")

    def dataset(
        self, batch_size: int, seed: int, *, captions: bool = False, truth: str | Sequence[str] = (), first: int = 0
    ):
        """An endless stream of fresh clips for `fit`: batch i is `sample(batch_size, …)` of its own seed.

        Args:
            batch_size: clips in a batch, at least 1.
            seed: integer; the same seed gives the same stream.
            captions: also hand out the captions.
            truth: also hand out this of the truth, such as "numbers", or these names of it; either this or captions.
            first: the number of the batch to begin with; those before it are not made.

        Returns:
            tf.data.Dataset of float32 (batch_size, time, height, width, channels); with `captions` of pairs with a
            string tensor (batch_size,); with `truth` of pairs with a tensor, or for several names with a dictionary of
            tensors. Give `fit` its `steps_per_epoch`.

        Raises:
            ValueError: for a batch size below 1, a seed that is no integer, captions and truth at once, a name that the
                truth has not, or a first batch below 0.
        """
        check_count(batch_size, "batch_size", least=1)
        check_count(first, "first", least=0)
        check_seed(seed)
        if captions and truth:
            raise ValueError("The dataset was asked for captions and truth; ask for one of them.")
        known = self.sample(1, 0).truth if truth else {}
        names = (truth,) if isinstance(truth, str) else truth
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"The truth has no {unknown[0]!r}; known: {', '.join(known)}.")
        from vidgen_tf.quiet import tf

        def batches():
            for child in itertools.islice(_endless_seeds(seed), first, None):
                sample = self.sample(batch_size, child)
                if truth:
                    told = {name: sample.truth[name] for name in names}
                    yield sample.clips, told[truth] if isinstance(truth, str) else told
                else:
                    yield (sample.clips, np.array(sample.captions, dtype=object)) if captions else sample.clips

        signature = tf.TensorSpec((batch_size, *self.clip_shape), tf.float32)
        if captions:
            signature = (signature, tf.TensorSpec((batch_size,), tf.string))
        elif truth:
            kinds = {name: tf.TensorSpec((batch_size, *known[name].shape[1:]), known[name].dtype) for name in names}
            signature = (signature, kinds[truth] if isinstance(truth, str) else kinds)
        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def mean_of(values: np.ndarray) -> float:
    """The mean of those values that are finite; NaN if there are none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")


def _endless_seeds(seed: int):
    """Seeds that do not repeat, from one seed: 63-bit integers of a counter-based generator."""
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**63))
