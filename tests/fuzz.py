"""Feeds broken files to everything that reads a file: python tests/fuzz.py [--inputs N] [--seed S] [KIND …]

Each kind of file has a reader and a few small whole files. Inputs are hostile files as they are, such as one that promises a
billion frames, and then whole files that were cut, flipped, swapped and lied about, some with their checksums mended, so that
the lie is believed. A child process reads one after the other; this one watches it. An input is

    accepted   where the reader gives what it promises,
    refused    where it raises ValueError or OSError with one sentence that names the file,
    failed     otherwise: another error, a crash, no answer, more than `SECONDS` of processor time or `MEBIBYTES` of memory.

What failed is kept in `out/fuzz` with its number: the same number and seed make the same input again.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import queue
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import vidgen_tf as vg

SECONDS = 60  # of processor time that an input may take
PATIENCE = 300  # seconds without an answer, after which a child is taken for dead; the machine may do other work
# Of memory that an input may take beside what the child had before: as much as the largest clip.
MEBIBYTES = int(os.environ.get("FUZZ_MEBIBYTES", "2048"))
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)  # what lies about sizes like to say
CLIP = (5, 20, 24, 3)


def noise(*shape: int) -> np.ndarray:
    """Pixels by chance as a clip or a batch, the same ones every time."""
    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return levels.astype(np.float32) / np.float32(127.5) - 1


def broken(data: bytes, dice: np.random.Generator) -> bytes:
    """A file with one to three things wrong with it, more often near its ends, where the headers are."""
    data = bytearray(data)
    for _ in range(dice.integers(1, 4)):
        if len(data) < 9:
            break
        near = min(len(data), int(dice.choice([64, 400, len(data)])))
        at = int(dice.integers(near) if dice.random() < 0.8 else len(data) - 1 - dice.integers(near))
        more = int(dice.integers(1, min(64, len(data))))
        other = int(dice.integers(len(data)))
        match dice.integers(9):
            case 0:  # cut short
                del data[at:]
            case 1:  # one bit
                data[at] ^= 1 << int(dice.integers(8))
            case 2:  # one byte
                data[at] = dice.integers(256)
            case 3:  # some bytes by chance
                data[at : at + more] = dice.bytes(min(more, len(data) - at))
            case 4:  # some bytes all alike
                data[at : at + more] = bytes([int(dice.choice([0, 255]))]) * min(more, len(data) - at)
            case 5:  # a size that is a lie
                lie, order = int(dice.choice(NUMBERS)), str(dice.choice(["<I", ">I"]))
                data[at : at + 4] = struct.pack(order, lie)
            case 6:  # two pieces in each other's place
                data[at : at + more], data[other : other + more] = data[other : other + more], data[at : at + more]
            case 7:  # a piece twice
                data[other:other] = data[at : at + more]
            case 8:  # a piece missing
                del data[at : at + more]
    return bytes(data)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def broken_png(data: bytes, dice: np.random.Generator) -> bytes:
    """Half of the time with checksums that are right again, or whole chunks that are swapped or missing."""
    if dice.random() < 0.5:
        return broken(data, dice)
    chunks, at = [], 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(dice.integers(1, 4)):
        at, other = (int(place) for place in dice.integers(len(chunks), size=2))
        kind, content = chunks[at]
        match dice.integers(4):
            case 0:
                chunks[at], chunks[other] = chunks[other], chunks[at]
            case 1:
                chunks.insert(at, chunks[other])
            case _:
                chunks[at] = kind, broken(content, dice)
    return data[:8] + b"".join(png_chunk(*chunk) for chunk in chunks)


def boxes_of(data: bytes, start: int = 0) -> list[int]:
    """Where the boxes of an mp4 begin, those inside of other boxes too."""
    found = []
    while start + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if size < 8 or start + size > len(data):
            break
        found.append(start)
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            found += boxes_of(data[: start + size], start + 8)
        start += size
    return found


def broken_mp4(data: bytes, dice: np.random.Generator) -> bytes:
    """Half of the time with a lie in one of the first numbers of a box: its size, its kind, how much it promises."""
    if dice.random() < 0.5:
        return broken(data, dice)
    data, found = bytearray(data), boxes_of(data)
    for _ in range(dice.integers(1, 3)):
        at = int(dice.choice(found)) + 4 * int(dice.integers(7))
        lie = int(dice.choice(NUMBERS)) if dice.random() < 0.7 else int(dice.integers(2**32))
        data[at : at + 4] = struct.pack(">I", lie)
    return bytes(data)


def broken_zip(data: bytes, dice: np.random.Generator) -> bytes:
    """Half of the time with checksums that are right again: what is stored is broken, not the archive."""
    if dice.random() < 0.5:
        return broken(data, dice)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        stored = [(name, archive.read(name)) for name in archive.namelist()]
    at = int(dice.integers(len(stored)))
    name, content = stored[at]
    match dice.integers(4):
        case 0:
            stored[at] = name, stored[int(dice.integers(len(stored)))][1]
        case 1:
            del stored[at]
        case _:
            lied = broken_json if name.endswith(".json") else broken
            stored[at] = name, lied(content, dice)
    return archive_of(stored)


def archive_of(stored: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # a name twice is meant
        for name, content in stored:
            archive.writestr(name, content)
    return file.getvalue()


LIES = (
    None,
    True,
    -1,
    0,
    2.5,
    10**9,
    10**30,
    "",
    "Lambda",
    "../../etc/passwd",
    "é\0<b>",
    [],
    {},
    [[0]],
    {"preset": "none"},
)


def broken_json(data: bytes, dice: np.random.Generator) -> bytes:
    """Mostly with a value that is a lie, a missing or a wrong name in it; the text itself stays well formed."""
    if dice.random() < 0.2:
        return broken(data, dice)
    tree = json.loads(data)
    for _ in range(dice.integers(1, 3)):
        node, parent, key = tree, None, None
        while isinstance(node, (dict, list)) and node and (parent is None or dice.random() < 0.85):
            parent, key = (
                node,
                list(node)[dice.integers(len(node))] if isinstance(node, dict) else dice.integers(len(node)),
            )
            node = node[key]
        if parent is None:
            break
        match dice.integers(4):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[f"{key}s"] = parent.pop(key)
            case _:
                parent[key] = LIES[dice.integers(len(LIES))]
    return json.dumps(tree).encode()


def broken_gzip(data: bytes, dice: np.random.Generator) -> bytes:
    """Half of the time with a checksum that is right again."""
    return broken(data, dice) if dice.random() < 0.5 else gzip.compress(broken(gzip.decompress(data), dice), 1)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        file: the name of the file that is broken, in a folder of its own.
        read: what reads it, from the path of the file.
        whole: small whole files, that are to be broken.
        share: of all inputs.
        hostile: files that are read as they are.
        breaks: makes a broken file out of a whole one.
        beside: other files of the folder.
        slow: whether TensorFlow is needed.
    """

    file: str
    read: Callable[[Path], None]
    whole: Callable[[], list[bytes]]
    share: float
    hostile: Callable[[], list[bytes]] = list
    breaks: Callable[[bytes, np.random.Generator], bytes] = broken
    beside: dict[str, bytes] = field(default_factory=dict)
    slow: bool = False


def read_clip(path: Path) -> None:
    assert vg.check_clips(vg.read_clip(path, 50, 16), batch=False).shape[1:] == (16, 16, 3)


def read_footage(path: Path) -> None:
    vg.check_clips(vg.Footage(path.parent, None, 16, part="all").sample(1, 0).clips)


def read_pictures(path: Path) -> None:
    vg.check_clips(vg.Pictures(path.parent, 16, 3, part="all").clips, (1, 16, 16, 3))


def read_drawing(path: Path) -> None:
    try:
        region = vg.region_of(path, 32)
    except ValueError as refusal:  # a picture that can be read, but is no drawing: the sentence has no need of its name
        raise ValueError(f"{path.name}: {refusal}") from None
    assert region.shape == (32, 32)
    assert region.min() >= 0
    assert region.max() <= 1


def read_idx(path: Path) -> None:
    vg.check_clips(vg.MovingPictures(path, frames=3, part="all").sample(1, 0).clips)


def index(*contents: bytes) -> bytes:
    """Of a folder of shards that have these contents."""
    shards = [
        {"file": f"{number:05d}.npy", "clips": 3, "crc32": zlib.crc32(content), "captions": ["a", "b", "c"]}
        for number, content in enumerate(contents)
    ]
    return json.dumps({"clip_shape": [4, 8, 8, 3], "shards": shards}).encode()


def read_index(path: Path) -> None:
    world = vg.Shards(path.parent, corrupt="skip")
    rows = next(world.order(0))
    assert len(rows) == world.count
    assert world.count in (3, 6)
    vg.check_clips(vg.to_float(np.stack([world._maps[shard][row] for shard, row in rows])), (4, 8, 8, 3))


def read_shard(path: Path) -> None:
    (path.parent / "index.json").write_bytes(index(path.read_bytes()))  # with the right checksum
    read_index(path)


def read_board(path: Path) -> None:
    from matplotlib import pyplot

    from vidgen_tf.scoreboard import table_of

    found = vg.read_scoreboard(path)
    assert table_of(found, found)
    pyplot.close(vg.draw_scoreboard(found, found))


def read_shown(path: Path) -> None:
    for clips in vg.scoreboard_clips(path).values():
        vg.check_clips(clips)


def read_checkpoint(path: Path) -> None:
    from vidgen_tf.scale_out import Checkpoint

    model, kept = _kept("weights", small_model), Checkpoint(path, {})
    if not model.compiled:
        model.compile("sgd")
    kept.take_up(model, kept.stage, 10)
    assert 0 <= kept.done < 10


def read_trial(path: Path) -> None:
    """What the watch must notice, so that it can be tested itself: a crash, a hang, and a gluttony."""
    match path.read_bytes():
        case b"crash":
            os.abort()
        case b"hang":
            time.sleep(600)
        case b"gluttony":
            np.ones((MEBIBYTES + 64) * 2**17)
        case b"refuse":
            raise ValueError("trial is refused, as it should be")


def small_model():
    return vg.DenseFrameGenerator((2, 4, 4, 1), latent_size=3, hidden=(4, 5))


def read_weights(path: Path) -> None:
    from vidgen_tf import presets

    model = _kept("weights", small_model)
    presets.set_weights(model, path)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def read_model(path: Path) -> None:
    import vidgen_tf as vg
    from vidgen_tf.quiet import keras

    keras.backend.clear_session()
    model = vg.VideoModel.from_file(path)
    assert isinstance(model, vg.VideoModel)


def read_card(path: Path) -> None:
    from vidgen_tf import presets
    from vidgen_tf.quiet import keras

    keras.backend.clear_session()
    presets.FOLDER = path.parent
    assert isinstance(presets.load(path.stem), keras.Model)


KEPT = {}


def _kept(name: str, make: Callable):
    if name not in KEPT:
        KEPT[name] = make()
    return KEPT[name]


def written(ending: str, shape: tuple = CLIP) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return vg.write_clip(Path(folder) / f"clip{ending}", noise(*shape)).read_bytes()


def video(ending: str, codec: str, sound: bool = False) -> bytes:
    """A video in another container than `write_clip` knows."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{ending}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=12)
            stream.width, stream.height, stream.pix_fmt = 24, 16, "yuv420p"
            tone = container.add_stream("pcm_s16le", rate=8000) if sound else None
            for picture in np.uint8(127.5 * (noise(5, 16, 24, 3) + 1)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
            if sound:
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 2000), np.int16), format="s16", layout="mono")
                frame.sample_rate = 8000
                container.mux(tone.encode(frame))
                container.mux(tone.encode())
        return path.read_bytes()


def picture(ending: str, side: int = 20, mode: str = "RGB", **options) -> bytes:
    file, pixels = io.BytesIO(), Image.fromarray(np.uint8(127.5 * (noise(side, side, 3) + 1)))
    pixels.convert(mode).save(file, ending, **options)
    return file.getvalue()


def flat(ending: str, side: int = 8192, **options) -> bytes:
    """A picture as large as is read, which takes hardly any bytes."""
    file = io.BytesIO()
    Image.new("L", (side, side), 200).save(file, ending, **options)
    return file.getvalue()


def drawing() -> bytes:
    file, picture = io.BytesIO(), Image.new("RGBA", (64, 64), "white")
    ImageDraw.Draw(picture).ellipse((12, 16, 48, 50), outline="black", width=3)
    picture.save(file, "PNG")
    return file.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(bytes(99))), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def apng_of_frames(frames: int) -> bytes:
    whole = written(".png")
    return whole.replace(
        png_chunk(b"acTL", struct.pack(">II", 5, 0)), png_chunk(b"acTL", struct.pack(">II", frames, 0))
    )


def gif_of_size(width: int, height: int, frames: int = 1) -> bytes:
    screen = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00" + bytes(6)
    return screen + (b"\x2c" + bytes(4) + b"\x01\x00\x01\x00\x00" + b"\x02\x02\x44\x01\x00") * frames + b"\x3b"


def promising(data: bytes, box: bytes, numbers: tuple[int, ...]) -> bytes:
    """An mp4 in which the first numbers of a box (after its version and flags) are others."""
    at = data.index(box) + 8
    return data[:at] + struct.pack(f">{len(numbers)}I", *numbers) + data[at + 4 * len(numbers) :]


def hostile_mp4s() -> list[bytes]:
    whole, huge = written(".mp4"), 2**27
    at = whole.index(b"stsd") + 8 + 4 + 4 + 32  # width and height of the first entry of the table
    return [
        promising(whole, b"stsz", (1, huge)),
        promising(promising(promising(whole, b"stsz", (1, huge)), b"stsc", (1, 1, huge)), b"stts", (1, huge, 1)),
        promising(whole, b"stts", (1, 2**32 - 1, 1)),
        promising(whole, b"stts", (2**32 - 1, 1, 1)),
        promising(whole, b"stco", (2**32 - 1,)),
        whole[:at] + struct.pack(">HH", 65535, 65535) + whole[at + 4 :],
        *playlists(),
    ]


def playlists() -> list[bytes]:
    """Texts that FFmpeg takes for a video, whose pictures are elsewhere, or never come."""
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n"
    texts = ["ffconcat version 1.0\nfile clip.mp4\n", head + "clip.mp4\n", head + "http://127.0.0.1:9/a.ts\n"]
    return [text.encode() for text in texts]


def weights() -> bytes:
    file, arrays = io.BytesIO(), [weight.numpy().astype(np.float16) for weight in _kept("weights", small_model).weights]
    np.savez_compressed(file, **{f"{index:03d}": array for index, array in enumerate(arrays)})
    return file.getvalue()


def npy_of(shape: tuple, descr: str = "<f4", content: bytes = b"") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def hostile_weights() -> list[bytes]:
    arrays = [
        npy_of((10**12,)),
        npy_of((2**40, 2**40)),
        npy_of((3,), "|O", b"..."),
        npy_of((2**29,), "<f4", bytes(2**31)),
    ]
    return [archive_of([("000.npy", array)]) for array in arrays]


def model_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        small_model().save(path)
        return path.read_bytes()


def hostile_models() -> list[bytes]:
    """A layer with code of its own, a class of somebody else, and a weight file that unfolds to a gibibyte."""
    from vidgen_tf.quiet import keras

    found = []
    for layer in (keras.layers.Lambda(lambda x: x + 1), keras.layers.Dense(2)):
        model = keras.Sequential([keras.Input((3,)), layer])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            found.append(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(model_file())) as archive:
        stored = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(stored["config.json"])
    for place in ("os.system", "subprocess.Popen", "builtins.eval", "vidgen_tf.clips.write_clip"):
        module, _, name = place.rpartition(".")
        told = config | {"module": module, "class_name": name, "registered_name": name}
        found.append(archive_of([*(stored | {"config.json": json.dumps(told).encode()}).items()]))
    for name in ("model.weights.h5", "config.json"):
        found.append(archive_of([*(stored | {name: bytes(2**30)}).items()]))
    return found


def shard() -> bytes:
    file = io.BytesIO()
    np.save(file, np.uint8(127.5 * (noise(3, 4, 8, 8, 3) + 1)))
    return file.getvalue()


def hostile_shards() -> list[bytes]:
    whole = (3, 4, 8, 8, 3)
    return [
        npy_of((10**12, *whole[1:]), "|u1"), npy_of((2**62, 2**62), "|u1"), npy_of(whole, "|O", b"..."), npy_of(whole, "<f4", bytes(9216)),
        archive_of([("000.npy", shard())]), b"",
    ]  # fmt: skip


def board() -> bytes:
    row = {
        "frechet": [3.5, 2.5, 4.5],
        "mmd": [0.1, 0.05, 0.2],
        "coverage": 0.5,
        "permanence": 0.9,
        "flicker": 0.1,
        "memory": None,
    }
    cost = {"parameters": 12345, "clips_per_second": 20.5, "seconds_per_clip": 0.1, "memory": 1.5, "note": "one"}
    nats = {"likelihood": {"below": 3.5, "error": 0.5, "limit": -20.5}}
    rows = {"frozen": row, "made": row | cost | nats, "lost": {"failed": "it has no clips"}}
    return json.dumps({"minutes": 10.0, "hardware": "a machine", "rows": rows}).encode()


def hostile_boards() -> list[bytes]:
    told = json.loads(board())
    rows = (
        {"x": {"frechet": 10**400}},
        {"x": {"frechet": [1, 2]}},
        {"x": {"flicker": "<b>"}},
        {"x": None},
        [],
        {"x": {"coverage": 1e308}},
    )
    texts = [b"[" * 10**5, b"null", b"5", b"[[0]]", b"\xff\xfe", b'{"minutes": ' + b"9" * 10**5]
    return [json.dumps(told | {"rows": each}).encode() for each in rows] + texts


def shown() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **{name: np.zeros((4, 2, 4, 4, 3), np.uint8) for name in ("one", "two")})
    return file.getvalue()


def checkpoint() -> bytes:
    from vidgen_tf.scale_out import Checkpoint

    with tempfile.TemporaryDirectory() as folder:
        kept, model = Checkpoint(Path(folder) / "kept", {}), _kept("weights", small_model)
        model.compile("sgd")
        kept.set_model(model)
        kept.done = 3
        kept.keep()
        return kept.path.read_bytes()


def card() -> bytes:
    config = {"clip_shape": [2, 4, 4, 1], "latent_size": 3, "hidden": [4, 5]}
    recipe = {"family": "DenseFrameGenerator", "config": config}
    return json.dumps({"recipe": recipe, "record": {"sha256": hashlib.sha256(weights()).hexdigest()}}).encode()


def hostile_cards() -> list[bytes]:
    told = json.loads(card())
    families = ("write_clip", "check", "presets", "Footage", "no such", 5, None)
    config = {"path": "broken-into.png", "clip": [[[[0.0]]]], "name": "/dev/zero"}
    return [json.dumps(told | {"recipe": {"family": family, "config": config}}).encode() for family in families] + [
        b"[" * 10**5, b'{"recipe": ' * 10**4, b"[]", b"null", b"\xff\xfe"
    ]  # fmt: skip


def idx(count: int = 3, promised: int | None = None) -> bytes:
    pixels = np.uint8(127.5 * (noise(count, 28, 28) + 1))
    return struct.pack(">4I", 2051, count if promised is None else promised, 28, 28) + pixels.tobytes()


KINDS = {
    "mp4": Kind("clip.mp4", read_clip, lambda: [written(".mp4"), written(".mp4", (2, 16, 16, 1))], 0.14, hostile_mp4s, broken_mp4),
    "other videos": Kind(
        "clip.vid", read_clip, lambda: [video("mkv", "libx264", True), video("avi", "mpeg4"), video("webm", "libvpx"), video("ts", "mpeg2video")],
        0.08, playlists,
    ),
    "gif": Kind(
        "clip.gif", read_clip, lambda: [written(".gif"), written(".gif", (3, 9, 9, 1)), gif_of_size(30, 20, 3)], 0.12,
        lambda: [gif_of_size(65535, 65535), gif_of_size(8192, 8192, 3)],
    ),
    "png": Kind(
        "clip.png", read_clip, lambda: [written(".png"), picture("PNG", mode="P"), picture("PNG", mode="LA")], 0.12,
        lambda: [png_of_size(2**31 - 1, 1), png_of_size(60000, 60000), apng_of_frames(2**31), flat("PNG")], broken_png,
    ),
    "folder": Kind(
        "00001.png", read_footage, lambda: [picture("PNG", 16), picture("PNG", 8)], 0.08,
        lambda: [flat("PNG"), png_of_size(60000, 60000)], broken_png, {"00000.png": picture("PNG", 16), "note.txt": b"mine"},
    ),
    "pictures": Kind(
        "picture.jpg", read_pictures,
        lambda: [picture("JPEG"), picture("WEBP"), picture("BMP"), picture("TIFF"), picture("PNG", mode="RGBA"), picture("GIF")],
        0.12, lambda: [flat("TIFF", compression="tiff_deflate"), flat("WEBP", lossless=True), flat("JPEG")],
    ),
    "drawing": Kind("drawing.png", read_drawing, lambda: [drawing()], 0.06, lambda: [flat("PNG")], broken_png),
    "idx": Kind(
        "train-idx3-ubyte", read_idx, lambda: [idx(), idx(1)], 0.04,
        lambda: [idx(promised=2**31 - 1), idx(promised=5 * 10**5), idx(promised=0)],
    ),
    "idx, zipped": Kind(
        "train-idx3-ubyte.gz", read_idx, lambda: [gzip.compress(idx())], 0.04,
        lambda: [gzip.compress(idx(promised=1) + bytes(2**28), 1), gzip.compress(idx(promised=2**29))], broken_gzip,
    ),
    "weights": Kind("weights.npz", read_weights, lambda: [weights()], 0.14, hostile_weights, broken_zip, slow=True),
    "card": Kind("small.json", read_card, lambda: [card()], 0.03, hostile_cards, broken_json, slow=True),
    "model": Kind("model.keras", read_model, lambda: [model_file()], 0.03, hostile_models, broken_zip, slow=True),
    "shards": Kind("index.json", read_index, lambda: [index(shard(), shard())], 0.03, breaks=broken_json, beside={"00000.npy": shard(), "00001.npy": shard()}),
    "shard": Kind("00000.npy", read_shard, lambda: [shard()], 0.03, hostile_shards),
    "scoreboard": Kind("scoreboard.json", read_board, lambda: [board()], 0.03, hostile_boards, broken_json, slow=True),
    "shown": Kind("scoreboard.npz", read_shown, lambda: [shown()], 0.03, hostile_weights, broken_zip, slow=True),
    "checkpoint": Kind("kept", read_checkpoint, lambda: [checkpoint()], 0.03, hostile_weights, broken_zip, slow=True),
    "trial": Kind("trial", read_trial, lambda: [b"whole"], 0, lambda: [b"whole", b"crash", b"hang", b"gluttony", b"refuse"]),
}  # fmt: skip
ALL = [name for name, kind in KINDS.items() if kind.share]


def input_of(kind: Kind, number: int, seed: int) -> bytes:
    """The input with a number: the hostile files first, then broken ones."""
    hostile, whole = _kept(f"hostile {kind.file}", kind.hostile), _kept(f"whole {kind.file}", kind.whole)
    if number < len(hostile):
        return hostile[number]
    return kind.breaks(whole[number % len(whole)], np.random.default_rng([seed, number]))


# --------------------------------------------------------------------------------------------- the child, which reads


def peak(start: bool = False) -> float:
    """The most memory that this process had since the last start, in MiB; 0 where the system does not tell."""
    try:
        if start:
            Path("/proc/self/clear_refs").write_text("5")
        text = Path("/proc/self/status").read_text()
        return int(text.partition("VmRSS:" if start else "VmHWM:")[2].split()[0]) / 1024
    except OSError:
        return 0.0


def limit_memory() -> None:
    """So that an input which wants everything does not take the machine with it."""
    with contextlib.suppress(ImportError, OSError):
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 8 * 2**30,) * 2)


def verdict(kind: Kind, path: Path) -> tuple[str, str]:
    """What became of an input, and the sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow says of some that they are odd
            kind.read(path)
    except (ValueError, OSError) as refusal:
        text = str(refusal)
        named = path.stem in text or path.parent.name in text
        fine = named and "\n" not in text and 15 < len(text) < 300 and type(refusal).__module__ == "builtins"
        return ("refused" if fine else "failed"), f"{type(refusal).__name__}: {text}"
    except BaseException as error:
        return "failed", f"{type(error).__name__}: {error}"
    return "accepted", ""


def read_all(name: str, first: int, last: int, seed: int, folder: Path) -> None:
    """Reads the inputs of a kind from `first` to before `last`; for each, a line of JSON goes to the parent."""
    kind = KINDS[name]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for other, content in kind.beside.items():
        (folder / other).write_bytes(content)
    path = folder / kind.file
    path.write_bytes(_kept(f"whole {kind.file}", kind.whole)[0])
    if name == "card":
        (folder / "small.npz").write_bytes(weights())
    assert verdict(kind, path)[0] == "accepted", verdict(kind, path)  # and all is imported
    input_of(kind, first, seed)  # and all files are made
    limit_memory()
    answers.write("\n")
    for number in range(first, last):
        path.write_bytes(input_of(kind, number, seed))
        before, started = peak(start=True), time.process_time()
        found, text = verdict(kind, path)
        seconds, taken = time.process_time() - started, peak() - before
        if taken > MEBIBYTES or seconds > SECONDS:
            found, text = "failed", f"took {taken:.0f} MiB and {seconds:.0f} seconds; {text}"
        answers.write(json.dumps([number, found, seconds, taken, text]) + "\n")


# ------------------------------------------------------------------------------------------- the parent, which watches


@dataclass
class Row:
    """What became of the inputs of a kind; `failures` are pairs of a number and what happened."""

    counts: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    most: float = 0.0
    failures: list = field(default_factory=list)


def watched(name: str, first: int, last: int, seed: int, keep: Path) -> Row:
    """Lets children read the inputs of a kind from `first` to before `last`; a new one starts where one has died."""
    row, number = Row(), first
    while number < last:
        with tempfile.TemporaryDirectory(prefix="fuzz.") as folder:
            command = [sys.executable, __file__, "--child", name, str(number), str(last), str(seed), folder]
            told = tempfile.TemporaryFile()  # noqa: SIM115
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True)
            lines = _lines(child)
            patience = 2 * PATIENCE  # it starts
            while number < last:
                happened = "the process died"
                try:
                    line = lines.get(timeout=patience)
                except queue.Empty:
                    line, happened = "", f"no answer for {patience} seconds"
                    child.kill()
                patience = PATIENCE
                if line == "\n":
                    continue
                if line:
                    number, found, seconds, taken, text = json.loads(line)
                else:
                    child.wait()
                    told.seek(0)
                    tail = told.read().decode(errors="replace").strip().splitlines()[-1:]
                    found, seconds, taken, text = "failed", 0.0, 0.0, f"{happened} ({child.returncode}) {tail}"
                row.counts[found] += 1
                row.slowest, row.most = max(row.slowest, seconds), max(row.most, taken)
                if found == "failed":
                    row.failures.append((number, text))
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{number}-{KINDS[name].file}").write_bytes(input_of(KINDS[name], number, seed))
                number += 1
                if not line:
                    break
            child.kill()
            child.wait()
    return row


def _lines(child: subprocess.Popen) -> queue.Queue:
    """What a process writes, line by line; an empty one at its end."""
    lines = queue.Queue()

    def listen():
        for line in child.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=listen, daemon=True).start()
    return lines


def run(names: list[str], inputs: int, seed: int = 0, keep: Path = Path("out/fuzz"), first: int = 0) -> dict[str, Row]:
    """Reads about so many inputs in all, by the shares of the kinds, from number `first` on, and prints a table."""
    total, rows = sum(KINDS[name].share for name in names), {}
    print("kind            inputs  accepted  refused  failed   slowest    memory", flush=True)
    for name in names:
        row = rows[name] = watched(name, first, first + round(inputs * KINDS[name].share / total), seed, keep)
        counts = [row.counts[found] for found in ("accepted", "refused", "failed")]
        print(
            f"{name:14}{sum(counts):8}{counts[0]:10}{counts[1]:9}{counts[2]:8}{row.slowest:8.2f} s{row.most:6.0f} MiB",
            flush=True,
        )
        for number, text in row.failures[:5]:
            print(f"    {name} {number}: {text[:300]}", flush=True)
    everything = sum((row.counts for row in rows.values()), Counter())
    print(f"{sum(everything.values())} inputs, {everything['failed']} failed")
    return rows


def main(arguments: list[str]) -> int:
    """0 if nothing failed, else 1."""
    if arguments[:1] == ["--child"]:
        name, first, last, seed, folder = arguments[1:]
        read_all(name, int(first), int(last), int(seed), Path(folder))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--inputs", type=int, default=10_000, help="how many in all (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.kinds if name not in KINDS]:
        parser.error(f"there is no kind {unknown[0]!r}; known: {', '.join(KINDS)}")
    shutil.rmtree("out/fuzz", ignore_errors=True)
    rows = run(chosen.kinds or ALL, chosen.inputs, chosen.seed)
    return int(any(row.failures for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
