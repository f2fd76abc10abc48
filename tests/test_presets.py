"""Presets: the weights that ship are the ones on the card, give the card's scores, and nothing else gets in."""

import hashlib
import io
import json
import os
import shutil
from datetime import date

import numpy as np
import pytest
from conftest import refuses, tree

import vidgen_tf
from vidgen_tf import presets
from vidgen_tf.families.dense import DenseFrameGenerator
from vidgen_tf.quiet import keras
from vidgen_tf.video_model import VideoModel

RECIPE = {
    "family",
    "config",
    "world",
    "world_config",
    "test_config",
    "data",
    "seed",
    "batch_size",
    "steps",
    "optimizer",
}
RECORD = {"date", "steps", "minutes", "hardware", "tensorflow", "keras", "scores", "sha256"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the presets' folder, in their place, to be damaged."""
    copy = shutil.copytree(presets.FOLDER, tmp_path / "presets")
    monkeypatch.setattr(presets, "FOLDER", copy)
    return copy


@pytest.fixture
def small(folder):
    """A preset "small" with a tiny recipe and no weights yet, in the copied folder."""
    card = presets.card("dense-bunny")
    window = {"name": "bunny", "frames": 4, "size": 8}
    card["recipe"] |= {
        "config": {"clip_shape": [4, 8, 8, 3], "seed": 0, "latent_size": 4, "hidden": [8, 8]},
        "world_config": window,
        "test_config": window | {"part": "test"},
        "steps": 3,
        "seed": 3,
    }
    (folder / "small.json").write_text(json.dumps(card))
    return "small"


def arrays(*values: np.ndarray, **options) -> bytes:
    """An npz file with these arrays, named as weights are."""
    file = io.BytesIO()
    np.savez_compressed(file, **{f"{index:03d}": value for index, value in enumerate(values)}, **options)
    return file.getvalue()


# --------------------------------------------------------------------------------------------- those that ship

SCORED = {
    "test_steps",
    "test_clips",
    "test_on",
    "test_known",
    "test_sketches",
    "test_painted",
}  # a recipe has one of them


@pytest.mark.parametrize("name", presets.names())
def test_a_card_says_how_the_weights_came_about(name):
    card = presets.card(name)
    recipe, record = card["recipe"], card["record"]
    assert set(card) == {"recipe", "record"}
    further = set(recipe) - RECIPE
    assert set(recipe) >= RECIPE
    assert further & SCORED
    assert further <= SCORED | {"train_on", "judge", "warmup_steps", "precision", "seen_clips", "stages"}
    assert sum(stage["steps"] for stage in recipe.get("stages", [recipe])) == recipe["steps"]
    assert set(record) == RECORD
    assert record["steps"] == recipe["steps"]  # the run followed the recipe to its end
    assert record["minutes"] > 0
    assert date.fromisoformat(record["date"])
    assert recipe["family"] in vidgen_tf.__all__
    assert recipe["world"] in vidgen_tf.__all__
    weights = presets.FOLDER / f"{name}.npz"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == record["sha256"]
    with np.load(weights, allow_pickle=False) as file:
        for key in file.files:
            assert file[key].dtype == np.float16
            assert np.isfinite(file[key]).all()


@pytest.mark.parametrize(("name", "goal"), [("flow-texture", 0.03), ("vae-texture", 0.10)])
def test_no_model_beats_the_exact_likelihood_and_these_come_near(name, goal):
    held = vidgen_tf.LinearGaussian().sample(512, seed=99)
    model = presets.load(name)
    found = model.log_prob(held.clips) if name == "flow-texture" else model.bound(held.clips)
    below = held.truth["log_prob"] - found  # nats a clip
    error = below.std() / np.sqrt(len(below))
    assert below.mean() > 3 * error  # better than the truth, on average, would be a mistake in the measurement
    assert below.mean() < goal * abs(held.truth["log_prob"].mean())
    flatter = held.clips * np.float32(0.8)  # less contrast is likelier than any real clip: so the sign is not wrong
    assert vidgen_tf.LinearGaussian().log_prob(flatter).mean() > held.truth["log_prob"].mean()


def test_the_next_frame_of_bouncing_balls_is_foretold_as_well_as_is_promised():
    clips = vidgen_tf.Balls().sample(*vidgen_tf.Balls.TEST).clips[:60]
    model = presets.load("next-balls")
    errors = vidgen_tf.Balls.frame_errors(clips[:, model.given :], model.predict_next(clips))
    assert errors.mean() < 0.12  # PGN, the best that was published: 0.65
    few = clips[:12]
    views = vidgen_tf.Balls.frame_errors(few[:, model.given :], model.predict_next(few, self_ensemble=True))
    assert views.mean() < 0.1
    futures = clips.copy()
    futures[:, 51:] = -1  # nothing of the frame that is asked for is seen, nor of those after it
    np.testing.assert_allclose(model.predict_next(futures)[:, :47], model.predict_next(clips)[:, :47], atol=1e-5)


def test_keypoints_follow_the_things_of_held_out_clips():
    world = vidgen_tf.Shapes(part="test")
    sample, model = world.sample(60, seed=98), presets.load("keypoints-shapes")
    latents = model.encode(sample.clips)
    scores = world.scores(model.decode(latents), sample.captions)
    assert min(scores["color"], scores["size"], scores["motion"]) > 0.95
    assert scores["shape"] > 0.9
    assert scores["caption_but_size"] > 0.88
    position, there = model.keypoints_of(latents)
    away = np.linalg.norm(position[:, :, None] - sample.truth["position"][:, :, :, None], axis=-1)
    nearest = np.where(there[:, :, None] > 0.5, away, np.inf).min(axis=-1)  # (n, time, thing), NaN for an absent thing
    assert np.nanmedian(nearest) < 0.5
    things = [len(caption.split(" and ")) for caption in sample.captions]
    assert abs((there > 0.5).sum(axis=-1).mean() - np.mean(things)) < 0.1  # one keypoint for each thing


def test_clips_for_held_out_sentences_are_as_asked():
    world, model = vidgen_tf.Shapes(part="test"), presets.load("text-shapes")
    sample = world.sample(64, seed=98)
    clips = model.generate(64, sample.captions, seed=3)
    scores = world.scores(clips, sample.captions)
    assert min(scores["color"], scores["size"]) > 0.95
    assert scores["permanence"] > 0.85
    assert scores["caption_but_size"] > 0.78
    others = sample.captions[1:] + sample.captions[:1]
    assert world.scores(clips, others)["caption_but_size"] < 0.15


def test_between_the_first_and_the_last_frame_things_go_their_way():
    sample, model = vidgen_tf.Shapes(part="test").sample(32, seed=97), presets.load("text-shapes")
    films, frames = sample.clips, [0, 15]
    made = model.generate(
        32, sample.captions, seed=3, known=films, mask=vidgen_tf.known_frames(films.shape[1:], frames)
    )
    np.testing.assert_array_equal(made[:, frames], films[:, frames])
    share = np.linspace(0, 1, 16, dtype=np.float32)[:, None, None, None]
    blend = (1 - share) * films[:, :1] + share * films[:, -1:]
    ours, plain = (np.mean((films - clips)[:, 1:-1] ** 2) for clips in (made, blend))
    assert 10 * np.log10(plain / ours) > 1.5


def test_tokens_of_the_bouncer_cost_hardly_more_than_the_truth():
    world = vidgen_tf.Bouncer()
    held = world.sample(1000, seed=99)
    over = presets.load("tokens-bouncer").log_prob(held.clips) - held.truth["log_prob"]  # below 0 where it costs more
    error = over.std() / np.sqrt(len(over))
    assert over.mean() < 2 * error  # no model beats the truth
    assert -over.mean() < 0.05 * world.entropy


@pytest.mark.parametrize("name", presets.names())
def test_the_weights_that_ship_give_the_scores_on_the_card(name):
    card = presets.card(name)
    recipe = card["recipe"]
    model = presets.load(name)
    assert type(model).__name__ == recipe["family"]
    # Four digits are on the card; another processor sums in another order. A worse model is off by far more.
    assert presets.scores_of(model, recipe) == pytest.approx(card["record"]["scores"], rel=0.01, abs=0.01)
    if isinstance(model, VideoModel) and type(model).draw is not VideoModel.draw:  # it makes clips
        made = model.generate(4, seed=0)
        assert made.shape == (4, *model.clip_shape)
        assert made.std() > 0.1


def test_all_that_ships_has_a_card_and_is_small():
    files = {path.name for path in presets.FOLDER.iterdir()}
    assert files == {f"{name}{ending}" for name in presets.names() for ending in (".json", ".npz")}
    assert presets.names() == sorted(presets.names())
    assert sum(path.stat().st_size for path in presets.FOLDER.iterdir()) < 40e6


def test_the_score_of_the_dense_preset_is_not_worse_than_the_mean_picture():
    model = DenseFrameGenerator.from_preset("dense-bunny")
    clip = vidgen_tf.Footage("bunny", 100, 32).clip[None]
    still = np.repeat(clip.mean(axis=1, keepdims=True), 100, axis=1)
    assert vidgen_tf.psnr(clip, model.decode(model.codes.numpy()))[0] > vidgen_tf.psnr(clip, still)[0] + 10


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["nonsense", "", "../presets/dense-bunny", "dense-bunny.json", None, 5])
def test_unknown_names_are_refused(name):
    for function in (presets.card, presets.load, VideoModel.from_preset):
        with refuses(repr(name), "dense-bunny"):
            function(name)


def test_another_familys_preset_is_refused():
    class Other(VideoModel):
        """A family without presets."""

    with refuses("'dense-bunny'", "DenseFrameGenerator", "not a Other"):
        Other.from_preset("dense-bunny")


@pytest.mark.parametrize("damage", ["flip", "cut", "longer", "empty"])
def test_damaged_weights_are_refused(folder, damage):
    path = folder / "dense-bunny.npz"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut": data[:-100], "longer": data + b"!", "empty": b""}.get(damage, bytes(data)))
    with refuses("dense-bunny.npz", "damaged"):
        presets.load("dense-bunny")


def foreign() -> dict[str, bytes]:
    """Files that are no weights of the model of the next test."""
    right = [weight.numpy() for weight in tiny().weights]
    pickled = np.array([{"a": 1}], dtype=object)
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    whole = arrays(*right)
    return {
        "another shape": arrays(*right[:-1], np.zeros(7)),
        "one too few": arrays(*right[:-1]),
        "one too many": arrays(*right, np.zeros(7)),
        "transposed": arrays(*(weight.T for weight in right)),
        "other names": arrays(*right[1:], other=right[0]),
        "pickled objects": arrays(pickled, *right[1:]),
        "a single array": single.getvalue(),
        "text": b"no weights",
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "no arrays": arrays(),
    }


def tiny() -> DenseFrameGenerator:
    return DenseFrameGenerator((2, 4, 4, 1), latent_size=3, hidden=(4, 5))


@pytest.mark.parametrize("kind", foreign())
def test_foreign_files_are_refused_and_the_model_stays(tmp_path, kind):
    model, path = tiny(), tmp_path / "foreign.npz"
    before = model.get_weights()
    path.write_bytes(foreign()[kind])
    with refuses("foreign.npz"):
        presets.set_weights(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Executes:
    """What a pickle can do: make a folder when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_file_of_weights_executes_nothing(tmp_path):
    model, path = tiny(), tmp_path / "pickle.npz"
    first, *rest = model.get_weights()
    pickled = np.empty(first.shape, object)
    pickled[...] = 0
    pickled[0, 0] = Executes(str(tmp_path / "broken into"))
    path.write_bytes(arrays(pickled, *rest))
    with refuses("pickle.npz"):
        presets.set_weights(model, path)
    assert set(tree(tmp_path)) == {"pickle.npz"}


def test_a_wrong_byte_anywhere_is_refused_or_harmless_even_without_a_hash(tmp_path):
    model, path = tiny(), tmp_path / "weights.npz"
    whole = arrays(*(weight.numpy().astype(np.float16) for weight in model.weights))
    generator, refused = np.random.default_rng(0), 0
    for _ in range(150):
        data = bytearray(whole)
        data[generator.integers(len(data))] = generator.integers(256)
        path.write_bytes(data)
        try:
            presets.set_weights(model, path)
        except ValueError:
            refused += 1
    assert refused > 50


# ------------------------------------------------------------------------------------------------------ train


def test_training_writes_a_card_and_weights_that_load(folder, small, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    drawn, dataset = [], vidgen_tf.Footage.dataset
    monkeypatch.setattr(
        vidgen_tf.Footage,
        "dataset",
        lambda self, size, seed, **options: (drawn.append(seed), dataset(self, size, seed, **options))[1],
    )
    model = presets.train(small, out, steps=2, verbose=0)
    assert drawn == [3, 4]  # training by the recipe's seed, the score by the next
    assert float(model.optimizer.learning_rate) < 1e-9  # it falls to zero
    assert set(tree(out)) == {"small.json", "small.npz"}
    card = json.loads((out / "small.json").read_text())
    assert card["recipe"] == presets.card(small)["recipe"]
    assert set(card["record"]) == RECORD
    assert card["record"]["steps"] == 2
    assert int(model.optimizer.iterations) == 2
    assert set(card["record"]["scores"]) == {"loss", "psnr"}
    for file in out.iterdir():
        shutil.copy(file, folder)
    loaded = presets.load(small)
    assert loaded.generate(1, seed=0).tobytes() == model.generate(1, seed=0).tobytes()  # the rounded weights, both
    loaded.compile("adam")
    test = vidgen_tf.Footage("bunny", 4, 8, part="test")  # the score is one of clips that it did not train on
    scores = loaded.evaluate(test.dataset(1, 4), steps=1, verbose=0, return_dict=True)
    assert scores == pytest.approx(card["record"]["scores"], rel=1e-3)  # four digits are on the card

    second = tmp_path / "second"
    second.mkdir()
    seeds = []
    monkeypatch.setattr(keras.utils, "set_random_seed", seeds.append)
    presets.train(small, second, steps=2, verbose=0)
    assert seeds == [card["recipe"]["seed"]]  # what ran before does not matter
    assert (second / "small.npz").read_bytes() == (out / "small.npz").read_bytes()

    presets.train(small, out, verbose=0)  # in place of the older files, with the recipe's own steps
    assert json.loads((out / "small.json").read_text())["record"]["steps"] == 3
    assert (second / "small.npz").read_bytes() != (out / "small.npz").read_bytes()


def test_a_training_goes_in_parts_of_which_each_may_hold_some_weights(folder, small, tmp_path):
    recipe = presets.card(small)["recipe"] | {"steps": 4}
    other = recipe["world_config"] | {"name": "box"}
    recipe["stages"] = [
        {"steps": 3, "hold": ["kernel"]},
        {"steps": 1, "optimizer": {"learning_rate": 0.5}, "world_config": other},
    ]
    (first, early), (second, late) = presets.stages_of(recipe, 4)
    assert (early, late, first["optimizer"], first["seed"]) == (3, 1, recipe["optimizer"], recipe["seed"])
    assert second["optimizer"] == recipe["optimizer"] | {"learning_rate": 0.5}
    assert second["world_config"] == other
    assert [share for _, share in presets.stages_of(recipe, 40)] == [30, 10]
    assert [share for _, share in presets.stages_of(recipe, 1)] == [1]  # the shorter one has no step left
    (folder / "small.json").write_text(json.dumps({"recipe": recipe, "record": {}}))
    keras.utils.set_random_seed(recipe["seed"])
    start = [weight.numpy().astype(np.float16) for weight in presets.build(recipe).trainable_variables]

    def moved(model):  # names of weights that are no longer as they began
        names = [weight.path.split("/")[-1] for weight in model.trainable_variables]
        ends = [weight.numpy() for weight in model.trainable_variables]
        return {name for name, end, begun in zip(names, ends, start, strict=True) if (end != begun).any()}

    held = presets.train(small, tmp_path, steps=1, verbose=0)
    assert "bias" in moved(held)
    assert "kernel" not in moved(held)
    assert all(weight.trainable for weight in held.trainable_variables)
    assert moved(presets.train(small, tmp_path, verbose=0)) >= {"bias", "kernel"}
    assert json.loads((tmp_path / "small.json").read_text())["record"]["steps"] == 4


def test_a_recipe_may_name_the_very_clips_that_it_trains_and_is_scored_on(folder, tmp_path):
    recipe = {
        "family": "NextFrame", "config": {"clip_shape": [6, 12, 12, 1], "given": 2, "width": 4, "depth": 1, "starts": 3},
        "world": "Balls", "world_config": {"frames": 6, "size": 12}, "test_config": {"frames": 6, "size": 12}, "data": {},
        "seed": 2, "batch_size": 4, "steps": 4, "optimizer": {"name": "Adam", "learning_rate": 0.001}, "train_on": [10, 5], "test_on": [6, 8],
    }  # fmt: skip
    (folder / "tiny.json").write_text(json.dumps({"recipe": recipe, "record": {}}))
    out = tmp_path / "out"
    out.mkdir()
    model = presets.train("tiny", out, verbose=0)
    world = vidgen_tf.Balls(frames=6, size=12)
    known = world.sample(10, 5).clips[:, :2]
    for start in model.starts.numpy():  # it has seen no other clips
        assert min(np.abs(start - beginning).max() for beginning in known) < 1e-3  # float16
    held = world.sample(6, 8).clips
    model.compile()
    scores = model.evaluate(held, batch_size=4, verbose=0, return_dict=True)
    assert json.loads((out / "tiny.json").read_text())["record"]["scores"] == pytest.approx(scores, rel=1e-3)


def test_fixed_clips_come_with_their_captions(folder, tmp_path):
    world = vidgen_tf.Shapes(frames=8, size=24)
    recipe = {"batch_size": 4, "seed": 3, "data": {"captions": True}, "train_on": [10, 5]}
    clips, captions = next(iter(presets._fixed(world, recipe, "train_on")))
    sample = world.sample(10, 5)
    for clip, caption in zip(clips.numpy(), captions.numpy(), strict=True):
        place = next(i for i in range(10) if np.array_equal(sample.clips[i], clip))
        assert caption.decode() == sample.captions[place]


def test_seen_and_held_out_captions_are_scored_apart():
    asked = []

    class Painter:
        conditional, compiled = True, True

        def generate(self, count, condition, *, seed):
            asked.append(condition)
            return (
                vidgen_tf.Shapes().render(condition, seed).clips
                if len(asked) == 1
                else np.zeros((count, 16, 32, 32, 3), "float32")
            )

    recipe = {"world": "Shapes", "world_config": {"part": "train"}, "test_config": {"part": "test"}, "seed": 4}
    recipe |= {"data": {"captions": True}, "test_clips": 12, "seen_clips": 10}
    scores = presets.scores_of(Painter(), recipe)
    assert asked == [vidgen_tf.Shapes(part=part).sample_captions(n, 5) for part, n in (("test", 12), ("train", 10))]
    assert scores["caption"] == scores["caption_but_size"] == 1
    assert scores["seen_caption"] == scores["seen_caption_but_size"] == 0


def test_sketches_are_scored_by_the_outlines_of_first_frames():
    world = vidgen_tf.Shapes(part="test")
    small = vidgen_tf.Diffusion(world.clip_shape, patch=(16, 16, 16), width=4, blocks=1, heads=1)
    model = vidgen_tf.SketchAdapter(world.clip_shape, small, width=4, blocks=1, heads=1)
    recipe = {"world": "Shapes", "test_config": {"part": "test"}, "seed": 4, "test_sketches": 12}
    asked = []

    def answers(clips):
        model.generate = lambda count, captions, *, seed, region: (asked.append((captions, region)), clips)[1]
        return presets.scores_of(model, recipe)

    sample = world.sample(12, 5)
    real, others = answers(sample.clips), answers(sample.clips[::-1].copy())
    assert asked[0][0] == sample.captions
    assert asked[0][1].shape == (12, 32, 32)
    assert real["outline"] > 0.8
    assert real["outlines"] > 0.5
    assert real["caption"] == 1
    assert others["outline"] < 0.3
    assert others["outlines"] == 0


def test_clips_that_go_on_from_known_frames_are_scored_beside_the_true_ones():
    world = vidgen_tf.Layouts()
    model = vidgen_tf.Diffusion(world.clip_shape, world.columns, patch=(2, 16, 16), width=4, blocks=1, heads=1)
    recipe = {"world": "Layouts", "test_config": {}, "seed": 4, "data": {"truth": "numbers"}, "test_known": 12}
    sample, told = world.sample(12, 5), {}

    def answers(clips):
        model.generate = lambda count, numbers, **more: (told.update(more, numbers=numbers), clips)[1]
        return presets.scores_of(model, recipe)

    right = answers(np.clip(sample.clips + np.float32(0.02), -1, 1))
    np.testing.assert_array_equal(told["numbers"], sample.truth["numbers"])
    np.testing.assert_array_equal(told["known"], sample.clips)
    assert told["mask"][0].all()
    assert not told["mask"][1:].any()
    assert right["known_light"] == 1
    assert right["known_psnr"] == pytest.approx(40, abs=0.2)  # 2 / 0.02 is 40 dB
    assert answers(sample.clips[::-1].copy())["known_psnr"] < 25


def test_painted_clips_are_scored_by_style_content_and_flicker():
    class Copies:
        styles, compiled = ("mosaic",), True
        features = vidgen_tf.PictureFeatures(2, width=4, seed=1)
        noise = 0.0

        def stylize(self, clips, picture):
            noise = self.noise * np.random.default_rng(0).standard_normal(clips.shape)
            return np.clip(clips + noise, -1, 1).astype(np.float32)

    model, small = Copies(), {"names": ["box"], "frames": 3, "size": 16, "part": "test"}
    recipe = {"world": "Films", "test_config": small, "seed": 4, "test_painted": 2}
    copied = presets.scores_of(model, recipe)
    assert set(copied) == {"style_mosaic", "content_mosaic", "flicker_mosaic"}
    assert copied["flicker_mosaic"] == 1
    assert copied["content_mosaic"] == pytest.approx(0, abs=1e-6)
    assert copied["style_mosaic"] > 0
    model.noise = 0.3
    noisy = presets.scores_of(model, recipe)
    assert noisy["flicker_mosaic"] > 2
    assert noisy["content_mosaic"] > 0.03


def test_a_recipe_names_its_optimizer():
    muon = {
        "name": "Muon",
        "learning_rate": 0.01,
        "adam_lr_ratio": 0.5,
        "weight_decay": 0.0,
        "exclude_layers": ["last"],
    }
    dice, spread, changes = np.random.default_rng(0), np.diag([10.0, 3.0, 1.0, 0.3]), {}
    for kind, recipe in {"Adam": {"name": "Adam", "learning_rate": 0.01}, "Muon": muon}.items():
        hidden, last = (keras.layers.Dense(4, name=name, use_bias=False) for name in ("hidden", "last"))
        for layer in (hidden, last):
            layer.build((None, 4))
        optimizer = presets.optimizer_of({"optimizer": recipe}, steps=10)
        assert type(optimizer).__name__ == kind
        slope = np.linalg.qr(dice.standard_normal((4, 4)))[0] @ spread @ np.linalg.qr(dice.standard_normal((4, 4)))[0]
        before = [layer.kernel.numpy().copy() for layer in (hidden, last)]
        optimizer.apply([keras.ops.convert_to_tensor(slope, "float32")] * 2, [hidden.kernel, last.kernel])
        after = [layer.kernel.numpy() for layer in (hidden, last)]
        changes[kind] = [new - old for old, new in zip(before, after, strict=True)]
    np.testing.assert_allclose(np.abs(changes["Adam"]), 0.01, rtol=0.02)
    np.testing.assert_allclose(np.abs(changes["Muon"][1]), 0.005, rtol=0.02)  # the last layer: Adam, at half the rate
    sizes = np.linalg.svd(changes["Muon"][0], compute_uv=False)
    assert sizes[0] / sizes[-1] < 2  # 33 in the slope


def test_a_recipe_may_train_in_another_precision(folder, tmp_path):
    recipe = {
        "family": "Diffusion", "config": {"clip_shape": [8, 24, 24, 3], "patch": [4, 8, 8], "width": 8, "blocks": 1, "heads": 2},
        "world": "Shapes", "world_config": {"frames": 8, "size": 24}, "test_config": {"frames": 8, "size": 24}, "data": {},
        "seed": 2, "batch_size": 4, "steps": 2, "optimizer": {"name": "Adam", "learning_rate": 0.001}, "test_steps": 1,
        "precision": "mixed_bfloat16",
    }  # fmt: skip
    (folder / "tiny.json").write_text(json.dumps({"recipe": recipe, "record": {}}))
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.extend(layer.dtype_policy.name for layer in self.model.denoiser.layers if layer.weights)

    out = tmp_path / "out"
    out.mkdir()
    model = presets.train("tiny", out, verbose=0, callbacks=[Look()])
    assert "mixed_bfloat16" in seen
    assert keras.mixed_precision.dtype_policy().name == "float32"
    assert {layer.dtype_policy.name for layer in model.denoiser.layers if layer.weights} == {"float32"}
    record = json.loads((out / "tiny.json").read_text())["record"]
    assert np.isfinite(record["scores"]["loss"])


def test_an_argument_may_be_a_preset(folder, tmp_path):
    shape = [2, 8, 8, 1]
    inner = {
        "family": "Autoencoder",
        "config": {"clip_shape": shape, "block": 1, "patch": 8, "width": 4, "latent_channels": 2},
    }
    model = presets.build(inner)
    for weight in model.preset_weights:
        weight.assign(np.float32(np.float16(0.5)) * np.ones(weight.shape, np.float32))
    content = arrays(*[weight.numpy().astype(np.float16) for weight in model.preset_weights])
    (folder / "inner.npz").write_bytes(content)
    record = {"sha256": hashlib.sha256(content).hexdigest()}
    (folder / "inner.json").write_text(json.dumps({"recipe": inner, "record": record}))
    outer = presets.build(
        {
            "family": "Diffusion",
            "config": {
                "clip_shape": shape, "autoencoder": {"preset": "inner"}, "patch": [1, 1, 1], "width": 8, "blocks": 1,
                "heads": 1,
            },
        }
    )  # fmt: skip
    assert all((weight.numpy() == 0.5).all() for weight in outer.autoencoder.preset_weights)
    assert outer.latent_shape == (2, 1, 1, 2)


def test_what_cannot_work_is_found_out_before_training(small, tmp_path, monkeypatch):
    def trains(*args, **options):
        raise AssertionError("the training has begun")

    monkeypatch.setattr(keras.Model, "fit", trains)
    before = tree(tmp_path)
    with refuses("absent", "make it first", error=FileNotFoundError):
        presets.train(small, tmp_path / "absent")
    with refuses("'nonsense'"):
        presets.train("nonsense", tmp_path)
    for steps in (0, -1, 2.5):
        with refuses("steps", repr(steps)):
            presets.train(small, tmp_path, steps=steps)
    whole = presets.card(small)
    for key in RECIPE - {"config"}:  # without a configuration it would be no card
        recipe = {name: value for name, value in whole["recipe"].items() if name != key}
        (presets.FOLDER / "small.json").write_text(json.dumps(whole | {"recipe": recipe}))
        with refuses("small.json", f"does not say {key};"):
            presets.train(small, tmp_path)
    (presets.FOLDER / "small.json").write_text(json.dumps(whole))
    assert tree(tmp_path) == before


def test_an_interrupted_training_leaves_nothing(small, tmp_path, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    out.mkdir()
    for moment in ("fit", "evaluate"):
        with monkeypatch.context() as patch:
            patch.setattr(keras.Model, moment, interrupted)
            with pytest.raises(KeyboardInterrupt):
                presets.train(small, out, steps=1, verbose=0)
        assert tree(out) == {}


def test_card_and_weights_are_put_in_their_places_while_no_other_process_may(small, tmp_path, monkeypatch):
    out, seen, replace = tmp_path / "out", [], os.replace
    out.mkdir()

    def looked(source, target):
        seen.append((os.path.basename(target), (out / ".small.writing").is_dir()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", looked)
    presets.train(small, out, steps=1, verbose=0)
    assert sorted(seen) == [("small.json", True), ("small.npz", True)]
    assert set(tree(out)) == {"small.json", "small.npz"}


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    model = presets.build({"family": "DenseFrameGenerator", "config": presets.card("dense-bunny")["recipe"]["config"]})
    path = tmp_path / "broken.npz"
    with refuses("broken.npz is missing"):
        presets.set_weights(model, path)
    for wrong in (np.nan, np.inf):
        path.write_bytes(arrays(*[np.full(weight.shape, wrong, np.float16) for weight in model.preset_weights]))
        with refuses("broken.npz holds values that are no finite numbers"):
            presets.set_weights(model, path)
    path.write_bytes(arrays(np.array(["a"])))
    with refuses("no finite numbers"):
        presets.set_weights(model, path)
