"""Trust: models from files execute nothing, names lead nowhere else, and no end of a program leaves anything half done."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import noise, refuses, steps, tree
from PIL import Image

import vidgen_tf as vg
from vidgen_tf import clips, presets, scale_out, scoreboard
from vidgen_tf.clips import read_clip, write_clip
from vidgen_tf.quiet import keras, weights_up_to
from vidgen_tf.scale_out import Checkpoint

ENDINGS = [".mp4", ".gif", ".png", ""]
ROOT = Path(__file__).parent.parent


def tiny() -> vg.DenseFrameGenerator:
    return vg.DenseFrameGenerator((2, 4, 4, 1), latent_size=3, hidden=(4, 5))


# ------------------------------------------------------------------------------------------------- model files


def archive(path: Path, **changes: bytes) -> Path:
    """A copy of the file of a model, in which what has these names is other; names are written with _ for the dot."""
    tiny().save(path)
    with zipfile.ZipFile(path) as whole:
        stored = {name: whole.read(name) for name in whole.namelist()}
    for name, content in changes.items():
        stored[next(known for known in stored if known.replace(".", "_") == name)] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as again:
        for name, content in stored.items():
            again.writestr(name, content)
    return path


def config_of(path: Path, **changes) -> bytes:
    """The configuration of the file of a model, with other entries."""
    with zipfile.ZipFile(archive(path)) as whole:
        return json.dumps(json.loads(whole.read("config.json")) | changes).encode()


def test_a_model_comes_back_from_its_file_as_itself(tmp_path):
    model, path = tiny(), tmp_path / "model.keras"
    model.save(path)
    for kind in (vg.VideoModel, vg.DenseFrameGenerator):
        again = kind.from_file(path)
        assert again.generate(1, seed=3).tobytes() == model.generate(1, seed=3).tobytes()
    with refuses("model.keras", "DenseFrameGenerator", "not a VideoVAE"):
        vg.VideoVAE.from_file(str(path))
    assert vg.VideoModel.from_file(archive(tmp_path / "zipped.keras")).clip_shape == model.clip_shape


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gan_comes_back_from_its_file_whether_it_was_compiled_or_not(tmp_path, compiled):
    model, path = vg.DenseGAN((2, 4, 4, 1), latent_size=3, hidden=(4, 5)), tmp_path / "model.keras"
    if compiled:
        model.compile("sgd")
    model.save(path)
    again = vg.VideoModel.from_file(path)
    assert again.compiled == compiled
    assert again.generate(1, seed=3).tobytes() == model.generate(1, seed=3).tobytes()


def test_a_model_comes_back_in_a_process_that_has_made_none(tmp_path):
    path = tmp_path / "model.keras"
    tiny().save(path)
    code = f"import vidgen_tf as vg; print(type(vg.VideoModel.from_file({str(path)!r})).__name__)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert told.stdout == "DenseFrameGenerator\n", told.stderr


def test_a_network_larger_than_its_file_is_not_made(tmp_path):
    for config in ({"latent_size": 10**9}, {"hidden": [10**5, 10**5]}, {"hidden": [100] * 3000}):
        told = json.loads(config_of(tmp_path / "whole.keras"))
        told["config"] |= config
        archive(tmp_path / "model.keras", config_json=json.dumps(told).encode())
        with refuses("model.keras", "weights"):
            vg.VideoModel.from_file(tmp_path / "model.keras")
    assert tiny().count_params() > 0  # and afterwards networks are made as before


def test_what_other_threads_make_meanwhile_does_not_count():
    made = []
    with weights_up_to(10):
        other = threading.Thread(target=lambda: made.append(tiny().count_params()))
        other.start()
        other.join()
        with pytest.raises(ValueError, match="more than 10 weights"):
            tiny()
    assert made == [tiny().count_params()]


def test_a_file_with_code_in_it_is_refused_and_nothing_runs(tmp_path):
    path, proof = tmp_path / "model.keras", tmp_path / "broken into"
    layer = keras.layers.Lambda(lambda x, place=str(proof): [x, __import__("os").mkdir(place)][0], output_shape=(3,))
    keras.Sequential([layer]).save(path)
    with refuses("model.keras", "without code"):
        vg.VideoModel.from_file(path)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "mkdir"), ("builtins", "exec"), ("subprocess", "Popen"), ("vidgen_tf.clips", "write_clip"), ("keras.config", "enable_unsafe_deserialization")],
)  # fmt: skip
def test_a_class_of_somebody_else_is_refused(tmp_path, module, name):
    path = tmp_path / "model.keras"
    config = {"path": str(tmp_path / "broken into"), "clip": [[[[0.0]]]]}
    told = config_of(path, module=module, class_name=name, registered_name=name, config=config)
    archive(path, config_json=told)
    with refuses("model.keras", "no model of the kit"):
        vg.VideoModel.from_file(path)
    assert set(tree(tmp_path)) == {"model.keras"}


def test_damaged_files_others_and_bombs_are_refused(tmp_path):
    path = tmp_path / "model.keras"
    with refuses("model.keras", "check the name", error=FileNotFoundError):
        vg.VideoModel.from_file(path)
    for content in (b"", b"a text", archive(path).read_bytes()[:900], zipped({}), zipped({"config.json": b"{}"})):
        path.write_bytes(content)
        with refuses("model.keras", "no model of the kit"):
            vg.VideoModel.from_file(path)
    for name in ("config_json", "model_weights_h5"):
        bomb = archive(path, **{name: bytes(10**7)})
        with refuses("model.keras", "unfolds to more than"):
            vg.VideoModel.from_file(bomb)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    with refuses("model.keras", "Sequential", "not a VideoModel"):
        vg.VideoModel.from_file(path)
    archive(path).rename(tmp_path / "model.h5")
    with refuses("model.h5", "no model of the kit"):
        vg.VideoModel.from_file(tmp_path / "model.h5")


def zipped(content: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------------ presets


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one small preset, "small", in the place of those that ship."""
    weights, file = [weight.numpy().astype(np.float16) for weight in tiny().preset_weights], io.BytesIO()
    np.savez_compressed(file, **{f"{index:03d}": weight for index, weight in enumerate(weights)})
    (tmp_path / "small.npz").write_bytes(file.getvalue())
    recipe = {
        "family": "DenseFrameGenerator",
        "config": {"clip_shape": [2, 4, 4, 1], "latent_size": 3, "hidden": [4, 5]},
    }
    record = {"sha256": presets.hashlib.sha256(file.getvalue()).hexdigest()}
    (tmp_path / "small.json").write_text(json.dumps({"recipe": recipe, "record": record}))
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    return tmp_path


def test_the_small_preset_is_whole(folder):
    assert presets.load("small").clip_shape == (2, 4, 4, 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"recipe": {}}', b'{"recipe": {"config": []}, "record": {}}', b"[" * 99_999, b"\xff"])  # fmt: skip
def test_a_damaged_card_is_one_sentence(folder, content):
    (folder / "small.json").write_bytes(content)
    for function in (presets.card, presets.load):
        with refuses("small.json", "damaged", "get the file anew"):
            function("small")


@pytest.mark.parametrize(
    "family", ["write_clip", "check", "Footage", "Material", "presets", "__doc__", "os", "", None, 5, []]
)
def test_a_card_makes_nothing_but_models(folder, family):
    card = presets.card("small")
    config = {"path": str(folder / "broken-into.png"), "clip": np.zeros((1, 2, 2, 3)).tolist()}
    (folder / "small.json").write_text(json.dumps(card | {"recipe": {"family": family, "config": config}}))
    before = tree(folder)
    with refuses("small.json", repr(family), "kind of model"):
        presets.load("small")
    assert tree(folder) == before


def test_a_card_of_a_huge_network_is_refused_before_it_is_made(folder):
    card = presets.card("small")
    for change in ({"latent_size": 10**9}, {"hidden": [10**5, 10**5]}):
        told = card["recipe"] | {"config": card["recipe"]["config"] | change}
        (folder / "small.json").write_text(json.dumps(card | {"recipe": told}))
        with refuses("small.json", "100,000,000 weights"):
            presets.load("small")


def test_a_recipe_that_does_not_work_names_its_card(folder):
    card = presets.card("small")
    for change, words in (({"hiden": [3]}, "hiden"), ({"clip_shape": "big"}, "clip_shape"), ({"latent_size": {"preset": "none"}}, "'none'"), ({"latent_size": {"preset": "small"}}, "small")):  # fmt: skip
        told = card["recipe"] | {"config": card["recipe"]["config"] | change}
        (folder / "small.json").write_text(json.dumps(card | {"recipe": told}))
        with refuses("small.json", words):
            presets.load("small")


@pytest.mark.parametrize("record", [{}, {"sha256": None}, {"sha256": ""}, {"sha256": 5}, {"sha256": "0" * 64}])
def test_without_the_right_hash_no_weights_are_taken(folder, record):
    (folder / "small.json").write_text(json.dumps(presets.card("small") | {"record": record}))
    with refuses("small.npz", "hash"):
        presets.load("small")


def test_weights_that_unfold_to_more_than_the_model_holds_are_not_unfolded(tmp_path, monkeypatch):
    path, model = tmp_path / "bomb.npz", tiny()
    np.savez_compressed(path, **{f"{index:03d}": np.zeros(10**6 if index == 0 else 1) for index in range(12)})
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", None)
    with refuses("bomb.npz", "unfolds"):
        presets.set_weights(model, path)


def test_members_that_are_no_arrays_are_refused(tmp_path):
    path = tmp_path / "members.npz"
    path.write_bytes(zipped({f"{index:03d}": b"no array" for index in range(len(tiny().preset_weights))}))
    with refuses("members.npz", "no finite numbers"):
        presets.set_weights(tiny(), path)


# ---------------------------------------------------------------------------------- shards, scoreboards, checkpoints

NPZ = zipped({"000.npy": b"no array"})


@pytest.fixture
def shards(tmp_path):
    """A folder with one shard of three clips."""
    write_clip(tmp_path / "videos.gif", noise(6, 8, 8, 3))
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos.gif").rename(tmp_path / "videos" / "a.gif")
    return vg.write_shards(tmp_path / "shards", tmp_path / "videos", 2, 8)


def indexed(shards: Path, /, **changes) -> None:
    """Writes another index, in which the checksum is that of the shard as it is now."""
    index = json.loads((shards / "index.json").read_text())
    one = index["shards"][0] | {"crc32": zlib.crc32((shards / "00000.npy").read_bytes())}
    one |= {name: value for name, value in changes.items() if name in one}
    (shards / "index.json").write_text(
        json.dumps(index | {"shards": [one]} | {k: v for k, v in changes.items() if k not in one})
    )


@pytest.mark.parametrize("array", [np.zeros((3, 2, 8, 8, 3), np.float32), np.zeros((2, 2, 8, 8, 3), np.uint8), np.zeros((3, 2, 8, 8, 3), ">u2"), None, b"", NPZ, b"\x93NUMPY\x01\x00"])  # fmt: skip
def test_a_shard_of_somebody_else_is_refused_though_its_checksum_is_right(shards, array):
    path = shards / "00000.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, np.full((3, 2, 8, 8, 3), "", object) if array is None else array, allow_pickle=True)
    indexed(shards)
    with refuses("00000.npy", "get it anew"):
        vg.Shards(shards)


@pytest.mark.parametrize(
    "change",
    [
        {"clip_shape": [2, 8, 8]}, {"clip_shape": [2, 8, 8, 2]}, {"clips": 10**30}, {"clips": -3}, {"clips": True}, {"captions": "abc"},
        {"captions": ["a"]}, {"captions": [["a"]] * 3}, {"captions": ["\ud800"] * 3}, {"crc32": None}, {"file": "a\nb"}, {"file": "\0"}, {"shards": [5]}, {"shards": "no"},
    ],
    ids=str,
)  # fmt: skip
def test_an_index_that_lies_is_refused(shards, change):
    indexed(shards, **change)
    with refuses("index.json", "anew"):
        vg.Shards(shards)


@pytest.mark.parametrize("name", ["a" * 5000, "", "..", "../videos", "/dev/zero"])
def test_a_shard_of_an_impossible_name_is_missing(shards, name):
    indexed(shards, file=name)
    with refuses("is missing"):
        vg.Shards(shards)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_in_the_place_of_shards_boards_and_checkpoints_are_not_waited_for(shards, tmp_path):
    (shards / "index.json").unlink()
    for path in (shards / "index.json", tmp_path / "scoreboard.json", tmp_path / "kept"):
        os.mkfifo(path)
    with refuses("index.json"):
        vg.Shards(shards)
    with refuses("scoreboard.json"):
        vg.read_scoreboard(tmp_path / "scoreboard.json")
    with refuses("scoreboard.json"):
        vg.scoreboard_clips(tmp_path / "scoreboard.json")
    with refuses("kept", "damaged"):
        Checkpoint(tmp_path / "kept", {})


ROWS = [
    [], {"x": None}, {"x": {"frechet": 5}}, {"x": {"frechet": [1, 2]}}, {"x": {"mmd": [1, 2, "3"]}}, {"x": {"coverage": "<b>"}}, {"x": {"flicker": None}},
    {"x": {"parameters": True}}, {"x": {"likelihood": 3.0}}, {"x": {"likelihood": {"below": 1}}}, {"x": {"failed": 5}}, {"x": {"memory": 10**400}},
]  # fmt: skip


@pytest.mark.parametrize("told", [*({"rows": rows} for rows in ROWS), {"minutes": "ten"}, {"minutes": None}], ids=str)
def test_a_scoreboard_with_a_lie_in_it_is_refused(tmp_path, told):
    path = tmp_path / "scoreboard.json"
    path.write_text(json.dumps({"minutes": 1.0, "hardware": "", "rows": {}} | told))
    with refuses("scoreboard.json", "damaged", "remove it"):
        vg.read_scoreboard(path)


@pytest.mark.parametrize("content", [b"null", b"5", b"[[0]]", b"[" * 99_999, b"\xff"])
def test_a_file_that_is_no_scoreboard_is_refused(tmp_path, content):
    path = tmp_path / "scoreboard.json"
    path.write_bytes(content)
    for read in (vg.read_scoreboard, scoreboard.recipes):
        with refuses("scoreboard.json", "damaged"):
            read(path)


def test_recipes_make_nothing_but_models_and_worlds(tmp_path):
    path, board = tmp_path / "recipes.json", scoreboard.recipes()
    for rows in ("rows", [5], [{"name": "x"}], [{"name": 5, "parts": []}]):
        path.write_text(json.dumps(board | {"rows": rows}))
        with refuses("recipes.json", "damaged"):
            scoreboard.recipes(path)
    config = {"path": str(tmp_path / "broken-into.png"), "clip": np.zeros((1, 2, 2, 3)).tolist()}
    for name in ("write_clip", "os", None):
        with refuses(repr(name), "kind of model"):
            scoreboard.untrained([{"family": name, "config": config}])
        with refuses(repr(name), "kind of world"):
            presets.world_of(name, config)
    assert set(tree(tmp_path)) == {"recipes.json"}


def test_clips_of_a_scoreboard_do_not_unfold_without_bound(tmp_path, monkeypatch):
    path = tmp_path / "scoreboard.npz"
    np.savez_compressed(path, one=np.zeros((4, 2, 4, 4, 3), np.uint8), two=np.zeros(3))
    assert set(vg.scoreboard_clips(path)) == {"one"}
    np.savez_compressed(path, one=np.zeros((4, 64, 512, 512, 5), np.uint8))
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", None)
    with refuses("scoreboard.npz", "unfolds to more than"):
        vg.scoreboard_clips(path)


def kept(path: Path, place=(0, 3, 1.5), write=np.savez, change=None) -> Path:
    """A checkpoint of the small model, in which the place or the first array may be other."""
    model = tiny()
    model.compile("sgd")
    arrays = [variable.numpy() for variable in scale_out._state(model)]
    arrays[0] = arrays[0] if change is None else change(arrays[0])
    with path.open("wb") as file:
        write(
            file,
            run=np.array("{}"),
            place=np.array(place),
            **{f"{index:04d}": array for index, array in enumerate(arrays)},
        )
    return path


def take_up(path: Path, steps: int = 10) -> Checkpoint:
    model, found = tiny(), Checkpoint(path, {})
    model.compile("sgd")
    found.take_up(model, 0, steps)
    return found


def test_a_whole_checkpoint_is_taken_up(tmp_path):
    found = take_up(kept(tmp_path / "kept"))
    found.check_taken()
    assert (found.stage, found.done, found.seconds) == (0, 3, 1.5)


@pytest.mark.parametrize(
    "place", [(0, -1, 0), (np.nan, 0, 0), (0, np.inf, 0), (0, 0), 5, (0, 3, -1), [[0, 3, 1]], "no", (-1, 3, 0)]
)
def test_a_checkpoint_of_an_impossible_place_is_refused(tmp_path, place):
    with refuses("kept", "damaged", "remove it"):
        take_up(kept(tmp_path / "kept", place))


def test_a_checkpoint_of_another_model_or_part_is_refused(tmp_path):
    changes = (
        lambda a: a.astype(np.float64),
        lambda a: a.view(np.int32),
        lambda a: a[:-1],
        lambda a: np.full(a.shape, "a"),
    )
    for change in changes:
        with refuses("kept", "does not fit"):
            take_up(kept(tmp_path / "kept", change=change))
    with refuses("kept", "does not fit"):
        take_up(kept(tmp_path / "kept"), steps=3)  # it is never written after the last step
    with refuses("kept", "no such part"):
        Checkpoint(kept(tmp_path / "kept", (7, 3, 1)), {}).check_taken()


def test_a_checkpoint_does_not_unfold(tmp_path):
    with refuses("kept", "unfolds to more than was written"):
        take_up(kept(tmp_path / "kept", write=np.savez_compressed, change=lambda a: np.zeros(10**6)))
    (tmp_path / "kept").write_bytes(NPZ)
    with refuses("kept", "damaged"):
        take_up(tmp_path / "kept")


def test_a_training_does_not_end_with_nothing_trained(folder, tmp_path, monkeypatch):
    """Because a checkpoint says that a part was reached which the recipe does not have."""
    card = presets.card("small")
    more = {
        "world": "Bouncer",
        "world_config": {},
        "test_config": {},
        "data": {},
        "seed": 0,
        "batch_size": 2,
        "steps": 2,
    }
    recipe = card["recipe"] | more | {"optimizer": {"name": "Adam", "learning_rate": 0.01}}
    (folder / "small.json").write_text(json.dumps(card | {"recipe": recipe}))
    (tmp_path / "out").mkdir()
    path = kept(tmp_path / "out" / "small.checkpoint", (7, 1, 1.0))
    run = json.dumps({"recipe": recipe, "steps": 2}, sort_keys=True)
    with np.load(path) as file:
        arrays = dict(file) | {"run": np.array(run)}
    with path.open("wb") as file:
        np.savez(file, **arrays)
    with refuses("small.checkpoint", "no such part"):
        presets.train("small", tmp_path / "out", verbose=0)
    assert set(tree(tmp_path / "out")) == {"small.checkpoint"}


# ------------------------------------------------------------------------------------------- where names lead to


def test_a_playlist_opens_no_other_file_not_itself_and_no_network(tmp_path):
    write_clip(tmp_path / "secret.mp4", noise(5, 16, 16, 3))
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n"
    texts = {
        "list.ffconcat": "ffconcat version 1.0\nfile secret.mp4\n", "itself.ffconcat": "ffconcat version 1.0\nfile itself.ffconcat\n",
        "list.m3u8": f"{head}secret.mp4\n#EXT-X-ENDLIST\n", "live.m3u8": f"{head}secret.mp4\n",
        "far.m3u8": f"{head}http://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        started = time.perf_counter()
        with refuses(name):
            read_clip(tmp_path / name)
        assert time.perf_counter() - started < 30  # the live one used to be waited for without end


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    write_clip(tmp_path / "mine.png", steps(2))
    write_clip(tmp_path / "mine", steps(2))
    before = tree(tmp_path)
    for name in ("mine.png", "mine"):
        link = tmp_path / f"link.{name}".removesuffix(".mine")
        link.symlink_to(tmp_path / name)
        write_clip(link, steps(5))
        assert not link.is_symlink()
        assert len(read_clip(link)) == 5
    assert {name: content for name, content in tree(tmp_path).items() if name.startswith("mine")} == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    (tmp_path / "some").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "some" / "00000.png")
    for place in ("pipe.mp4", "pipe.png", "some/00001.png"):
        os.mkfifo(tmp_path / place)
    for name in ("pipe.mp4", "pipe.png"):
        for read in (read_clip, vg.Footage, vg.MovingPictures, vg.region_of, vg.VideoModel.from_file):
            with refuses(name, "file"):
                read(tmp_path / name)
        with refuses(name, "file"):
            write_clip(tmp_path / name, steps(2))
    with refuses("00001.png"):
        read_clip(tmp_path / "some")
    with refuses("00001.png"):
        vg.Pictures(tmp_path / "some", part="all").clips  # noqa: B018


# ------------------------------------------------------------------------------------- side by side, and cut short

WRITER = """
import signal
import sys
import numpy as np
from vidgen_tf.clips import write_clip
signal.signal(signal.SIGINT, signal.default_int_handler)  # who was started in the background would never hear Ctrl-C
path, level, times = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
clip = np.full((int(4 + 2 * level), 8, 8, 3), level, np.float32)
clip[::2] *= np.float32(0.9)  # a GIF would store frames that are alike only once
print("ready", flush=True)
for _ in range(times):
    write_clip(path, clip)
"""


def writer(path: Path, level: float, times: int) -> subprocess.Popen:
    """A process that writes clips of a grey level, of 4 + 2 · level frames, again and again."""
    command = [sys.executable, "-c", WRITER, str(path), str(level), str(times)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_one_of_two(clip: np.ndarray) -> None:
    """Asserts that a clip is wholly that of one writer: grey 1 or -1, of 6 or 2 frames."""
    level = round(float(clip.mean()))
    assert (abs(clip - level) < 0.12).all()
    assert len(clip) == 4 + 2 * level


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_processes_may_write_the_same_clip(tmp_path, ending):
    path = tmp_path / f"clip{ending}"
    both = [writer(path, level, 15 if ending == ".mp4" else 60) for level in (1.0, -1.0)]
    for process in both:
        _, told = process.communicate(timeout=240)
        assert (process.returncode, told) == (0, "")
    check_one_of_two(read_clip(path))
    assert {name.split("/")[0] for name in tree(tmp_path)} == {path.name}  # and nothing is left beside


@pytest.mark.parametrize("ending", [".mp4", ".gif", ".png"])
def test_who_is_killed_leaves_the_old_file_or_the_new_one(tmp_path, ending):
    path = tmp_path / f"clip{ending}"
    write_clip(path, steps(2) / 20 - np.float32(0.95))
    for delay in (0.01, 0.07):
        process = writer(path, 1.0, 10**6)
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.communicate()
        check_one_of_two(read_clip(path))


@pytest.mark.skipif(os.name != "posix", reason="there is no such signal here")
@pytest.mark.parametrize("ending", ENDINGS)
def test_ctrl_c_at_any_moment_leaves_a_whole_clip(tmp_path, ending):
    path = tmp_path / f"clip{ending}"
    write_clip(path, steps(2) / 20 - np.float32(0.95))
    for delay in (0.0, 0.03, 0.1):
        process = writer(path, 1.0, 10**6)
        try:
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()  # nobody stays behind if this fails
        assert "KeyboardInterrupt" in told
        check_one_of_two(read_clip(path))


def test_an_interrupt_between_the_two_moves_of_a_folder_loses_nothing(tmp_path, monkeypatch):
    path, replace = write_clip(tmp_path / "clip", steps(2)), os.replace
    before = tree(tmp_path)

    def interrupted(source, target):
        replace(source, target)
        if Path(source) == path:  # the old one is out of the way, and the new one not there yet
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_clip(path, steps(5))
    assert tree(tmp_path) == before


def test_another_process_that_comes_between_look_and_move_is_not_an_error(tmp_path, monkeypatch):
    path, exists, looks = write_clip(tmp_path / "clip", steps(2)), Path.exists, []
    monkeypatch.setattr(  # away at the first look, and back at once
        Path, "exists", lambda this: exists(this) and (this != path or bool(looks) or looks.append(1) is not None)
    )
    write_clip(path, steps(5))
    monkeypatch.undo()
    assert looks
    assert len(read_clip(path)) == 5
    assert {name.split("/")[0] for name in tree(tmp_path)} == {path.name}


def test_an_old_folder_that_cannot_be_put_back_is_not_thrown_away(tmp_path, monkeypatch):
    path, replace = write_clip(tmp_path / "clip", steps(2)), os.replace
    before = tree(path)

    def moves(source, target):
        if Path(target) == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", moves)
    with refuses("cannot be written", error=PermissionError):
        write_clip(path, steps(5))
    assert [tree(kept) for kept in tmp_path.glob(".vidgen.*/old*")] == [before]


def test_two_trainings_side_by_side_leave_a_card_that_fits_its_weights(folder, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    held, sign = [], tmp_path / "out" / ".small.writing"
    sign.mkdir()  # another process is writing just now, and is done after three looks
    monkeypatch.setattr(
        presets.time, "sleep", lambda seconds: held.append(seconds) or (len(held) == 3 and sign.rmdir())
    )
    with presets._alone(tmp_path / "out", "small"):
        assert sign.is_dir()
    assert len(held) == 3
    assert tree(tmp_path / "out") == {}
    sign.mkdir()  # of one that was killed: it does not count for ever
    monkeypatch.setattr(presets.time, "sleep", held.append)
    with presets._alone(tmp_path / "out", "small"):
        assert 20 < sum(held) < 60
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize("what", ["filmstrip", "clip", "folder", "preset"])
def test_where_nothing_can_be_written_it_is_one_sentence(tmp_path, monkeypatch, what):
    def refused(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "old.png").write_bytes(b"old")
    before = tree(tmp_path)
    strip = vg.filmstrip(steps(2)) if what == "filmstrip" else None
    monkeypatch.setattr(clips.tempfile, "mkdtemp", refused)  # root may write everywhere, so the system is asked in vain
    with refuses("Permission denied", "another place", error=PermissionError):
        if what == "filmstrip":
            strip.save(tmp_path / "old.png")
        elif what == "preset":
            with clips.whole_or_absent(tmp_path / "small.npz") as part:
                part.write_bytes(b"weights")
        else:
            write_clip(tmp_path / ("clip.mp4" if what == "clip" else "clip"), steps(2))
    assert tree(tmp_path) == before


def test_an_interrupt_while_clips_are_made_leaves_the_process_and_the_model(monkeypatch):
    model = tiny()
    first, draw = model.generate(2, seed=1), type(model).draw

    def interrupted(self, *arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model), "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.generate(2, seed=1)
    monkeypatch.setattr(type(model), "draw", draw)
    assert model.generate(2, seed=1).tobytes() == first.tobytes()
