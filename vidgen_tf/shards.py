"""Clips beyond memory: a folder of shards with an index, written from videos and read by tf.data.

A shard is a NumPy file, uint8 (clips, time, height, width, channels), of which only what is needed comes into memory; the
index, `index.json`, says how many clips each has, what is seen in them, and a checksum. `Shards` has what training asks of a
world: a recipe may name it, {"world": "Shards", "world_config": {"folder": "…"}}. Batch i depends on the seed and i alone, so
a training goes on where it was cut off without reading what came before.

    write_shards("clips", "my_videos", frames=16, size=32)
    model.fit(Shards("clips").dataset(64, seed=0), steps_per_epoch=1000)
"""

import json
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidgen_tf.clips import (
    check_count,
    check_path,
    check_seed,
    check_size,
    check_values,
    films,
    reason_of,
    to_float,
    whole_or_absent,
)

CHOICES = ("stop", "skip")


def write_shards(
    folder: Path, videos: Path, frames: int = 16, size: int | tuple[int, int] = 32, *, every: int | None = None,
    in_shard: int = 1024, broken: str = "stop",
) -> Path:  # fmt: skip
    """Cuts videos into clips and writes these as shards.

    Args:
        folder: a new one, which is there entirely or not at all.
        videos: a folder of videos, and of folders of pictures, read in the order of their names. Beside x.mp4 a file x.txt may
            say in one line what is seen; else nothing is said.
        frames: of a clip; what is left at the end of a video is not used.
        size: side in pixels or (height, width), cut and resized as `read_clip` does.
        every: a clip begins at each so many frames; None takes `frames`, so clips do not overlap.
        in_shard: clips in a shard, which are kept in memory until it is written.
        broken: what to do about a video that cannot be read to its end: "stop" with an error, or "skip" what is left of it
            with a warning. Both name it.

    Returns:
        The folder.

    Raises:
        ValueError: for bad arguments, a folder that exists, videos without a single clip, or a broken video.
        OSError: where nothing can be written.
    """
    folder, videos = check_path(folder), check_path(videos)
    size, frames = check_size(size), check_count(frames, "frames")
    every = frames if every is None else check_count(every, "every")
    if size is None:
        raise ValueError("size is None, but clips of one size were expected; give a side in pixels.")
    check_choice(broken, "broken")
    check_values((check_count(in_shard, "in_shard"), frames, *size, 3), "a shard")
    if not videos.is_dir():
        raise FileNotFoundError(f"There is no folder {videos} with videos; check the name.")
    if folder.exists():
        raise ValueError(f"{folder} is already there; give another name, or remove it.")
    shards, clips, said = [], [], []
    with whole_or_absent(folder) as part:
        part.mkdir()

        def flush():
            content = np.stack(clips)
            path = part / f"{len(shards):05d}.npy"
            np.save(path, content)
            shards.append({"file": path.name, "clips": len(clips), "crc32": _checksum(path), "captions": [*said]})
            clips.clear()
            said.clear()

        for path in sorted(path for path in videos.iterdir() if path.suffix != ".txt" and path.name[0] != "."):
            text = path.with_suffix(".txt")
            caption = " ".join(text.read_text(encoding="utf-8").split()) if text.is_file() else ""
            try:
                for clip in films(path, frames, size, every):
                    clips.append(clip)
                    said.append(caption)
                    if len(clips) == in_shard:
                        flush()
            except ValueError as error:
                if broken == "stop":
                    raise
                warnings.warn(f"Left out from here on: {error}", stacklevel=2)
        if clips:
            flush()
        if not shards:
            raise ValueError(f"{videos} has no video of {frames} frames in it; give fewer frames, or other videos.")
        index = {"clip_shape": [frames, *size, 3], "shards": shards}
        (part / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    return folder


def check_choice(choice: str, name: str) -> None:
    """ValueError for anything but "stop" or "skip"."""
    if choice not in CHOICES:
        raise ValueError(f"{name} is {choice!r:.40}, but one of {', '.join(CHOICES)} was expected.")


def _checksum(path: Path) -> int:
    """The CRC-32 of a file, read a little at a time."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            found = zlib.crc32(block, found)
    return found


def _told(one: dict) -> tuple[str, int, int, list[str]]:
    """Name, count, checksum and captions of a shard, as an index tells them."""
    name, clips, captions = str(one["file"]), check_count(one["clips"], "clips"), one["captions"]
    if not name.isprintable():
        raise ValueError(f"{name!r:.60} is no name of a shard")
    if not isinstance(captions, list) or len(captions) != clips:
        raise ValueError(f"{name:.60} has {clips} clips, but not as many captions")
    "".join(captions).encode()  # each is a text, of characters that can be written
    return name, clips, int(one["crc32"]), captions


class Shards:
    """Clips in a folder that `write_shards` made. All shards are read once at the beginning, to check them.

    Args:
        folder: of the shards.
        corrupt: what to do about a shard that is missing or not as it was written: "stop" with an error, or "skip" it with a
            warning. Both name it.
        part: "train" leaves out the last clips of each shard, "test" takes only these, "all" takes all.
        held: share of the clips that are left out, at least one of each shard.

    Attributes:
        clip_shape: (time, height, width, channels).
        count: how many clips there are.
        skipped: names of the shards that were left out.
        divisible: that each of several machines can read its part of a batch alone, see `dataset`.

    Raises:
        ValueError: for a folder without an index, a damaged one, or one of which nothing is left.
    """

    endless, divisible = False, True

    def __init__(self, folder: Path, corrupt: str = "stop", part: str = "all", held: float = 0.1):
        self.folder = check_path(folder)
        check_choice(corrupt, "corrupt")
        if part not in ("all", "train", "test"):
            raise ValueError(f"part is {part!r:.40}, but one of all, train, test was expected.")
        try:
            index = json.loads(check_path(self.folder / "index.json").read_text(encoding="utf-8"))
            self.clip_shape = tuple(check_count(side, "clip_shape") for side in index["clip_shape"])
            if len(self.clip_shape) != 4 or self.clip_shape[3] not in (1, 3):
                raise ValueError(f"clip_shape is {self.clip_shape!s:.60}, not that of clips of 1 or 3 channels")
            shards = [_told(one) for one in index["shards"]]
        except Exception as error:  # of an index that anybody may have changed
            raise ValueError(
                f"{self.folder} has no sound index.json ({reason_of(error)}); write the shards anew."
            ) from None
        self.skipped, self._maps, self._captions, self._rows = [], [], [], []
        for name, clips, crc, captions in shards:
            reason = self._fault(name, clips, crc)
            if reason and corrupt == "stop":
                raise ValueError(
                    f"The shard {name:.60} of {self.folder} {reason}; get it anew, or leave it out with corrupt='skip'."
                )
            if reason:
                warnings.warn(f"The shard {name:.60} of {self.folder} {reason} and is left out.", stacklevel=2)
                self.skipped.append(name)
                continue
            cut = clips - max(1, round(held * clips))
            rows = {"all": range(clips), "train": range(cut), "test": range(cut, clips)}[part]
            self._maps.append(np.load(self.folder / name, mmap_mode="r", allow_pickle=False))
            self._captions.append(np.array(captions, dtype=object))
            self._rows.append(np.stack([np.full(len(rows), len(self._maps) - 1), np.array(rows, np.int64)], axis=1))
        self.count = sum(map(len, self._rows))
        if not self.count:
            raise ValueError(f"{self.folder} has no clip left for part {part!r}; write the shards anew.")

    def _fault(self, name: str, clips: int, crc: int) -> str:
        path = self.folder / name
        if path.parent != self.folder or not os.path.isfile(path):  # a name that no file can have is no error here
            return "is missing"
        if _checksum(path) != crc:
            return "is damaged, its checksum is not the one in the index"
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            shape, kind = found.shape, found.dtype
        except Exception as error:  # on files that are none of NumPy's it raises nearly everything
            return f"is no array ({reason_of(error)})"
        if shape != (clips, *self.clip_shape) or kind != np.uint8:
            return f"has the shape {shape!s:.60} of {kind!s:.20}, not {(clips, *self.clip_shape)} of uint8"
        return ""

    def order(self, seed: int, first: int = 0) -> Iterator[np.ndarray]:
        """The clips again and again, each time in another order, from clip number `first` of this stream on: int64 (n, 2),
        shard and row. Four shards at a time are mixed, so that only these are being read."""
        epoch, begin = divmod(first, self.count)
        while True:
            dice = np.random.default_rng([seed, epoch])
            shards = dice.permutation(len(self._rows))
            rows = [
                dice.permutation(np.concatenate([self._rows[s] for s in shards[i : i + 4]]))
                for i in range(0, len(shards), 4)
            ]
            yield np.concatenate(rows)[begin:]
            epoch, begin = epoch + 1, 0

    def dataset(
        self, batch_size: int, seed: int, *, captions: bool = False, truth=(), first: int = 0, part: tuple[int, int] = (0, 1),
    ):  # fmt: skip
        """An endless stream of clips for `fit`, as that of a world.

        Args:
            batch_size: clips in a batch.
            seed: of the order.
            captions: also hand out what is seen.
            truth: nothing is known but the captions, so this must stay empty.
            first: the number of the batch to begin with; those before it are not read.
            part: (i, n): of each batch only the i-th of n parts, for the i-th of n machines; the others are not read.

        Returns:
            tf.data.Dataset of float32 (batch_size / n, time, height, width, channels), or of pairs with a string tensor.

        Raises:
            ValueError: for other arguments, or a batch that n does not divide.
        """
        check_count(batch_size, "batch_size")
        check_seed(seed)
        check_count(first, "first", least=0)
        number, parts = part
        if truth or batch_size % parts:
            what = (
                f"truth {truth!r:.40}, of which videos say nothing,"
                if truth
                else f"{batch_size} clips for {parts} machines"
            )
            raise ValueError(
                f"{what} was asked for; batches of clips and captions that can be dealt out evenly are there."
            )
        from vidgen_tf.quiet import tf

        size = batch_size // parts

        def batches():
            left = np.empty((0, 2), np.int64)
            for rows in self.order(seed, first * batch_size):
                left = np.concatenate([left, rows])
                while len(left) >= batch_size:
                    yield left[number * size : (number + 1) * size]
                    left = left[batch_size:]

        def read(rows):
            return to_float(np.stack([self._maps[shard][row] for shard, row in rows]))

        def say(rows):
            return np.array([self._captions[shard][row] for shard, row in rows], dtype=object)

        def look_up(rows):
            clips = tf.ensure_shape(tf.numpy_function(read, [rows], tf.float32), (size, *self.clip_shape))
            if not captions:
                return clips
            return clips, tf.ensure_shape(tf.numpy_function(say, [rows], tf.string), (size,))

        data = tf.data.Dataset.from_generator(batches, output_signature=tf.TensorSpec((size, 2), tf.int64))
        return data.map(look_up, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
