"""Pictures: stills that ship, stills out of a package, and a folder of your own that is opened lazily."""

import importlib.util

import numpy as np
import pytest
from conftest import noise, refuses
from PIL import Image

from vidgen_tf.clips import check_clips, decibels, to_uint8
from vidgen_tf.worlds import Sample
from vidgen_tf.worlds.pictures import DATA, PRODUCTS, SOURCES, Pictures


@pytest.fixture
def celeba(tmp_path):
    """A folder like CelebA's: 20 portraits of 178×218 pixels, flat but for the face, two of them in a folder below."""
    folder = tmp_path / "img_align_celeba"
    (folder / "more").mkdir(parents=True)
    for number in range(1, 21):
        picture = Image.new("RGB", (178, 218), level(number))
        picture.paste("red", (0, 0, 178, 16))  # above the middle square
        picture.paste("red", (0, 208, 178, 218))  # and below it; JPEG mixes blocks of 16 rows
        picture.save(folder / ("more" if number > 18 else ".") / f"{number:06d}.jpg", quality=95)
    for name in ("list_attr.txt", ".000001.jpg", "Thumbs.db"):
        (folder / name).write_text("no picture")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "000001.jpg").write_text("no picture")
    return folder


def level(number: int) -> tuple[int, int, int]:
    """The colour of a portrait: blue tells its number."""
    return (40, 90, 10 * number)


def still(path, picture: Image.Image, channels: int = 3, size: int = 8) -> np.ndarray:
    """What the world makes of one picture: uint8 (size, size, channels)."""
    picture.save(path / "one.png")
    return to_uint8(Pictures(path, size, channels).clips[0, 0])


def faces(**options) -> Pictures:
    if importlib.util.find_spec("skimage") is None:
        pytest.skip("scikit-image, which carries the faces, is not installed")
    return Pictures("faces", **options)


# ----------------------------------------------------------------------------------------------- what ships


def test_products_are_split_with_every_kind_equally_often_and_no_picture_in_both_parts():
    train, test, whole = (Pictures(part=part) for part in ("train", "test", "all"))
    assert (len(train), len(test), len(whole)) == (6000, 1000, 7000)
    np.testing.assert_array_equal(np.concatenate([train.clips, test.clips]), whole.clips)
    assert len({clip.tobytes() for clip in whole.clips}) == 7000
    for world in (train, test):
        labels = world.sample(20_000, 0).truth["label"]
        assert np.bincount(labels).min() > 1800
        with np.load(DATA / "products.npz") as stored:
            kinds = stored["labels"][:6000] if world is train else stored["labels"][6000:]
        np.testing.assert_array_equal(np.bincount(kinds), len(world) // 10)


def test_products_come_as_they_are_at_28_pixels():
    clips = Pictures().clips
    check_clips(clips)
    assert clips.shape == (6000, 1, 28, 28, 1)
    with np.load(DATA / "products.npz") as stored:
        np.testing.assert_array_equal(to_uint8(clips[:, 0, :, :, 0]), stored["pictures"][:6000])


def test_products_are_resized_and_their_grey_is_repeated():
    native, small = Pictures(part="test").clips, Pictures(size=14, channels=3, part="test").clips
    assert small.shape == (1000, 1, 14, 14, 3)
    np.testing.assert_array_equal(small, np.repeat(small[..., :1], 3, axis=-1))
    means = native.reshape(1000, 1, 14, 2, 14, 2, 1).mean(axis=(3, 5))
    np.testing.assert_allclose(small[..., :1], means, atol=1 / 127)


@pytest.mark.parametrize("part", ["train", "test", "all"])
def test_a_sample_keeps_the_contract(part):
    world = Pictures(part=part)
    sample = world.sample(50, seed=3)
    assert isinstance(sample, Sample)
    assert sample.clips.shape == (50, *world.clip_shape) == (50, 1, 28, 28, 1)
    np.testing.assert_array_equal(sample.clips, world.clips[sample.truth["picture"]])
    assert sample.captions == tuple(PRODUCTS[label] for label in sample.truth["label"])
    assert world.labels == PRODUCTS
    assert len(world.labels) == 10


def test_labels_are_those_of_the_pictures():
    world = Pictures(part="test")
    sample = world.sample(2000, 0)
    ink = to_uint8(sample.clips).mean(axis=(1, 2, 3, 4))
    kind = {name: ink[sample.truth["label"] == label].mean() for label, name in enumerate(world.labels)}
    assert max(kind["sandal"], kind["sneaker"], kind["trouser"]) < 70 < 85 < min(kind["pullover"], kind["coat"])
    shoes = np.isin(sample.truth["label"], [5, 7])  # low shoes leave the upper quarter empty
    assert (sample.clips[shoes][:, 0, :4] > -0.9).mean() < 0.05 < (sample.clips[~shoes][:, 0, :4] > -0.9).mean()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    world = Pictures(part="test")
    first, again, other = world.sample(20, 5), Pictures(part="test").sample(20, 5), world.sample(20, 6)
    assert first.clips.tobytes() == again.clips.tobytes()
    np.testing.assert_array_equal(first.truth["picture"], again.truth["picture"])
    assert (first.truth["picture"] != other.truth["picture"]).any()


def test_what_ships_is_small_and_credited():
    assert (DATA / "products.npz").stat().st_size < 4_000_000
    credits = (DATA / "CREDITS.md").read_text(encoding="utf-8")
    (line,) = [line for line in credits.splitlines() if "`products.npz`" in line]
    _, licence, credit = SOURCES["products"]
    assert (Pictures().licence, Pictures().credit) == (licence, credit)
    assert f"[{licence}]" in line
    assert credit in line
    assert "Copyright © [2017] Zalando SE" in credits
    assert "this permission notice shall be included in all copies" in credits


# ----------------------------------------------------------------------------------------------- faces


def test_faces_are_a_hundred_of_which_twenty_are_for_testing():
    train, test, whole = (faces(size=25, part=part) for part in ("train", "test", "all"))
    assert (len(train), len(test), len(whole)) == (80, 20, 100)
    np.testing.assert_array_equal(np.concatenate([train.clips, test.clips]), whole.clips)
    assert len({clip.tobytes() for clip in whole.clips}) == 100
    assert (whole.licence, whole.labels) == ("not stated", ())
    assert "scikit-image" in whole.credit
    sample = test.sample(3, 0)
    assert sample.captions == ("a face",) * 3
    assert list(sample.truth) == ["picture"]


def test_faces_are_the_first_hundred_patches_to_half_a_level():
    world = faces(size=25, part="all")
    spec = importlib.util.find_spec("skimage")
    patches = np.load(f"{spec.submodule_search_locations[0]}/data/lfw_subset.npy")
    np.testing.assert_allclose((world.clips[:, 0, :, :, 0] + 1) / 2, patches[:100], atol=0.51 / 255)
    assert faces().clips.shape == (80, 1, 28, 28, 1)
    assert faces(size=16, channels=3).clips.shape == (80, 1, 16, 16, 3)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refuses("scikit-image", "pip install scikit-image", error=ModuleNotFoundError):
        Pictures("faces")


# ----------------------------------------------------------------------------------------------- your own


def test_a_folder_gives_the_middle_squares_of_its_pictures_in_order(celeba):
    whole = Pictures(celeba, 16, 3, part="all")
    clips = whole.clips
    check_clips(clips)
    assert clips.shape == (20, 1, 16, 16, 3)
    for number, clip in enumerate(to_uint8(clips), start=1):
        np.testing.assert_allclose(clip, np.broadcast_to(level(number), clip.shape), atol=3)  # no red is left
    assert (whole.licence, whole.credit, whole.labels) == ("your own", "your own", ())
    grey = to_uint8(Pictures(str(celeba), 16, part="all").clips)
    assert grey.shape == (20, 1, 16, 16, 1)
    np.testing.assert_allclose(grey[0], 0.299 * 40 + 0.587 * 90 + 0.114 * 10, atol=3)


def test_a_folder_is_split_by_order_nine_to_one(celeba):
    train, test, whole = (Pictures(celeba, 8, 3, part=part) for part in ("train", "test", "all"))
    assert (len(train), len(test)) == (18, 2)
    np.testing.assert_array_equal(np.concatenate([train.clips, test.clips]), whole.clips)
    sample = test.sample(20, 0)
    assert sample.captions == tuple(f"{picture + 19:06d}" for picture in sample.truth["picture"])
    assert set(sample.truth["picture"]) == {0, 1}
    assert list(sample.truth) == ["picture"]
    np.testing.assert_array_equal(sample.clips, test.clips[sample.truth["picture"]])


@pytest.mark.parametrize(("count", "train"), [(2, 1), (3, 2), (4, 3), (10, 9), (11, 10), (16, 14)])
def test_both_parts_have_a_picture_where_there_are_two(tmp_path, count, train):
    for number in range(count):
        Image.new("L", (4, 4), number).save(tmp_path / f"{number:02d}.png")
    assert len(Pictures(tmp_path, 4)) == train
    assert len(Pictures(tmp_path, 4, part="test")) == count - train


def test_one_picture_is_for_training_and_none_for_testing(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "only.png")
    assert Pictures(tmp_path, 4).sample(2, 0).captions == ("only", "only")
    with refuses("1 picture", "'test'", "part='all'"):
        Pictures(tmp_path, 4, part="test")


def test_only_pictures_that_are_drawn_are_opened_and_each_once(celeba, monkeypatch):
    opened, really = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file: opened.append(file) or really(file))
    world = Pictures(celeba, 8, 3)
    assert opened == []
    sample = world.sample(5, 1)
    assert [f"{picture + 1:06d}.jpg" for picture in dict.fromkeys(sample.truth["picture"])] == [
        file[-10:] for file in opened
    ]
    world.sample(5, 1)
    assert len(opened) == len(set(sample.truth["picture"]))
    _ = world.clips
    _ = world.clips
    assert len(opened) == len(world) == 18


def test_what_is_kept_is_small(celeba):
    world = Pictures(celeba, 8, 3)
    _ = world.clips
    assert {still.dtype for still in world._seen.values()} == {np.dtype(np.uint8)}
    assert sum(still.nbytes for still in world._seen.values()) == 18 * 8 * 8 * 3


def test_endings_may_be_capital_letters_and_of_five_kinds(tmp_path):
    for name in ("a.JPG", "b.jpeg", "c.Png", "d.bmp", "e.webp"):
        Image.new("RGB", (9, 7), "white").save(tmp_path / name)
    (tmp_path / "f.gif").write_bytes(b"not asked for")
    (tmp_path / "g.jpg.txt").write_bytes(b"not asked for")
    world = Pictures(tmp_path, 4, part="all")
    assert sorted(set(world.sample(100, 0).captions)) == list("abcde")
    np.testing.assert_allclose(world.clips, 1, atol=0.02)


def test_folders_below_come_in_the_order_of_their_names(tmp_path):
    for name in ("b/1.png", "a/2.png", "a-b/1.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    files = Pictures(tmp_path, 4, part="all")._files
    assert [str(file).replace("\\", "/").removeprefix(f"{tmp_path.as_posix()}/") for file in files] == [
        "a/2.png", "a-b/1.png", "b/1.png", "c.png"
    ]  # fmt: skip


def test_a_turned_photograph_is_set_upright(tmp_path):
    picture = Image.new("RGB", (8, 8), "black")
    picture.paste("white", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: what is above comes to the right
    picture.save(tmp_path / "one.png", exif=exif)
    turned = Pictures(tmp_path, 8).clips[0, 0, :, :, 0]
    assert (turned[:, 4:] == 1).all()
    assert (turned[:, :4] == -1).all()


def test_what_is_transparent_is_white(tmp_path):
    picture = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    picture.paste((0, 0, 255, 0), (0, 0, 8, 4))
    seen = still(tmp_path, picture)
    assert (seen[:4] == 255).all()
    assert (seen[4:] == (255, 0, 0)).all()
    assert (still(tmp_path, picture, channels=1)[..., 0] == [[255]] * 4 + [[76]] * 4).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGB", "RGBA"])
def test_pictures_of_every_mode_work(tmp_path, mode):
    picture = Image.new("RGB", (8, 8), "white")
    picture.paste("black", (0, 0, 3, 8))
    for channels in (1, 3):
        seen = still(tmp_path, picture.convert(mode), channels)
        assert seen.shape == (8, 8, channels)
        assert (seen[:, :3] == 0).all()
        assert (seen[:, 3:] == 255).all()


def test_pictures_of_16_bits_keep_their_greys(tmp_path):
    levels = np.repeat(np.arange(8, dtype=np.uint16)[:, None] * 8192, 8, axis=1)
    np.testing.assert_array_equal(still(tmp_path, Image.fromarray(levels), 1)[:, 0, 0], np.arange(8) * 32)


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_broken_file_is_named_when_it_is_drawn(celeba, content):
    whole = (celeba / "000007.jpg").read_bytes()
    (celeba / "000007.jpg").write_bytes(whole[: len(whole) // 2] if content is None else content)
    world = Pictures(celeba, 8)
    world.sample(1, 0)
    with refuses("000007.jpg", "cannot be read", "take it out"):
        _ = world.clips


def test_a_picture_too_large_is_refused(tmp_path):
    Image.new("1", (8193, 2)).save(tmp_path / "wide.png")
    with refuses("wide.png", "8193", "8192"):
        Pictures(tmp_path, 8).sample(1, 0)


def test_a_folder_without_pictures_a_file_and_no_folder_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with refuses(str(tmp_path), "no picture", ".jpg"):
        Pictures(tmp_path)
    with refuses("notes.txt", "is a file"):
        Pictures(tmp_path / "notes.txt")
    with refuses("'produkts'", "products, faces"):
        Pictures("produkts")
    with refuses("path", "''"):
        Pictures("")


# ----------------------------------------------------------------------------------------------- reading


def test_read_knows_exact_copies(celeba):
    for world in (Pictures(part="test"), Pictures(size=20, channels=3, part="test"), Pictures(celeba, 12, 3)):
        sample = world.sample(40, 1)
        found = world.read(sample.clips)
        np.testing.assert_array_equal(found["picture"], sample.truth["picture"])
        assert (found["psnr"] == np.inf).all()


@pytest.mark.parametrize("chunk", [1, 784 * 300, 784 * 1000, 2**22])
def test_read_finds_pictures_through_noise_whatever_the_chunk(monkeypatch, chunk):
    monkeypatch.setattr("vidgen_tf.worlds.pictures.CHUNK", chunk)
    world = Pictures(part="test")
    sample = world.sample(60, 2)
    spoilt = np.clip(sample.clips + 0.3 * noise(*sample.clips.shape), -1, 1)
    found = world.read(spoilt)
    np.testing.assert_array_equal(found["picture"], sample.truth["picture"])
    errors = np.mean((spoilt.astype(float) - sample.clips) ** 2, axis=(1, 2, 3, 4))
    np.testing.assert_allclose(found["psnr"], decibels(errors), rtol=1e-6)


def test_read_finds_the_nearest_of_all():
    world, clips = Pictures(part="test"), Pictures(part="train").clips[:30]
    errors = np.stack([np.mean((world.clips.astype(float) - clip) ** 2, axis=(1, 2, 3, 4)) for clip in clips])
    found = world.read(clips)
    np.testing.assert_array_equal(found["picture"], errors.argmin(axis=1))
    np.testing.assert_allclose(found["psnr"], decibels(errors.min(axis=1)), rtol=1e-6)


def test_read_refuses_other_sizes():
    with refuses("(1, 8, 8, 1)", "(1, 28, 28, 1)"):
        Pictures(part="test").read(noise(3, 1, 8, 8, 1))
    with refuses("float32"):
        Pictures(part="test").read(noise(3, 1, 28, 28, 1).astype(float))


# ----------------------------------------------------------------------------------------------- the contract


def test_a_dataset_is_an_endless_stream_that_its_seed_repeats(celeba):
    world = Pictures(celeba, 8, 3)
    batches = [list(world.dataset(4, seed=seed).take(3).as_numpy_iterator()) for seed in (1, 1, 2)]
    assert [batch.shape for batch in batches[0]] == [(4, 1, 8, 8, 3)] * 3
    np.testing.assert_array_equal(batches[0], batches[1])
    assert (np.array(batches[0]) != np.array(batches[2])).any()


def test_a_dataset_pairs_clips_with_their_labels():
    world = Pictures(part="test")
    clips, truth = next(iter(world.dataset(6, seed=1, truth=["label", "picture"])))
    np.testing.assert_array_equal(world.clips[truth["picture"].numpy()], clips)
    _, captions = next(iter(world.dataset(6, seed=1, captions=True)))
    assert [PRODUCTS[label] for label in truth["label"].numpy()] == [word.decode() for word in captions.numpy()]


@pytest.mark.parametrize("bad", [0, -1, 2.5, True, "3", None])
def test_bad_numbers_are_refused_everywhere(bad):
    world = Pictures(part="test")
    with refuses("count", repr(bad)):
        world.sample(bad, 0)
    with refuses("size", repr(bad)):
        Pictures(size=bad)
    with refuses("channels", repr(bad)):
        Pictures(channels=bad)
    if bad != 0:
        with refuses("seed", repr(bad)):
            world.sample(2, bad)


def test_unknown_parts_and_what_is_too_large_are_refused(celeba):
    with refuses("part", "'future'", "'train', 'test' or 'all'"):
        Pictures(part="future")
    with refuses("channels", "2", "1 (grey) or 3"):
        Pictures(channels=2)
    with refuses("size", "8193", "8192"):
        Pictures(size=8193)
    with refuses("a sample", "fit"):
        Pictures(part="test").sample(10**6, 0)
    with refuses("the whole part", "fit"):
        _ = Pictures(celeba, 4000, 3).clips


def test_truth_is_plain_numbers():
    truth = Pictures(part="test").sample(2, 0).truth
    assert {name: (values.dtype, values.shape) for name, values in truth.items()} == {
        "picture": (np.int64, (2,)),
        "label": (np.int64, (2,)),
    }
