"""The contract: what every family of generators keeps. To add a family, add an entry to FAMILIES.

Each model here is tiny and trains for seconds: the contract asks whether it learns, not how well.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.clips import to_uint8
from vidgen_tf.families.autoregressive import TokenVideo
from vidgen_tf.families.dense import DenseFrameGenerator
from vidgen_tf.families.diffusion import Diffusion
from vidgen_tf.families.gan import DenseGAN, VideoGAN
from vidgen_tf.families.next_frame import NextFrame
from vidgen_tf.families.normalizing_flow import FlowGAN, NormalizingFlow
from vidgen_tf.families.optical_flow import FlowWarpGAN
from vidgen_tf.families.physically_based import PathTracer, thrown_balls
from vidgen_tf.families.sketch_adapter import SketchAdapter
from vidgen_tf.families.vae import VideoVAE
from vidgen_tf.metrics import nearest
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import VideoModel

CLIP = (4, 6, 6, 3)


@dataclass(frozen=True)
class Family:
    """What the contract needs to know of a family: how to build a tiny one, and on what it learns."""

    name: str
    build: Callable[[], VideoModel]
    clips: np.ndarray  # (count, *CLIP)
    condition: np.ndarray | None = None
    bad_conditions: tuple = field(default_factory=tuple)
    learning_rate: float = 0.02
    epochs: int = 12  # until it has learned something
    adversarial: bool = False  # two players: no loss says how good the clips are
    steps_to_move: int = 1  # until every weight has moved: a layer that starts at zero holds up those before it
    branch: bool = False  # on another model, which stays as it is and makes the clips where nothing else is asked for
    learns: bool = True  # a renderer has no weights: only what COMPUTED names is asked of it


def waves(count: int) -> np.ndarray:
    """Clips that differ: (count, *CLIP)."""
    return np.stack([np.roll(smooth(*CLIP), 2 * index, axis=2) * (-1) ** index for index in range(count)])


def disks(count: int) -> np.ndarray:
    """Clips of one disk each that crosses a dark frame, of another colour and on another line: (count, *CLIP)."""
    time, height, width, channels = CLIP
    t, y, x = np.mgrid[:time, :height, :width].astype(np.float32)
    clips = np.full((count, *CLIP), -0.8, np.float32)
    for index, clip in enumerate(clips):
        inside = np.hypot(x - 1.5 - t, y - 1 - index % 4) < 1.6
        clip[inside, index % channels] = 0.8
    return clips


def sketch_adapter() -> SketchAdapter:
    """A branch on a diffusion that was not trained, but whose weights are large enough for words to be heard."""
    diffusion = Diffusion(CLIP, ("up", "and", "down"), patch=(2, 2, 2), width=32, blocks=1, heads=2)
    dice = np.random.default_rng(0)
    for weight in diffusion.trainable_variables:
        weight.assign_add(dice.normal(0, 0.1, weight.shape).astype("float32"))
    return SketchAdapter(CLIP, diffusion, width=16, blocks=1, heads=2)


TINY_TOKENIZER = {"patch": 3, "codes": 16, "code_size": 4, "width": 8}

FAMILIES = [
    Family("dense, one clip", lambda: DenseFrameGenerator(CLIP, latent_size=8, hidden=(16, 16)), waves(1)),
    Family(
        "dense, three clips",
        lambda: DenseFrameGenerator(CLIP, clip_count=3, latent_size=8, hidden=(16, 16)),
        waves(3),
        np.arange(3),
        (np.array([0, 1, 3]), np.array([0, 1, -1]), np.array([0.0, 1.0, 2.0]), np.array(["a", "b", "c"])),
    ),
    Family(
        "dense GAN",
        lambda: DenseGAN(CLIP, latent_size=8, hidden=(32, 32), loss="relativistic", penalty=1.0),
        waves(4),
        learning_rate=2e-3, epochs=300, adversarial=True,
    ),
    Family(
        "video GAN, no condition",
        lambda: VideoGAN(CLIP, width=4, content_size=4, motion_size=2),
        disks(4),
        learning_rate=2e-3, epochs=200, adversarial=True,
    ),
    Family(
        "video GAN, labels",
        lambda: VideoGAN(CLIP, (4, 2), width=4, content_size=4, motion_size=2),
        disks(4),
        np.array([[0, 1], [1, 0], [2, 1], [3, 0]]),
        (
            np.array([[0, 1], [4, 0], [2, 1], [3, 0]]), np.array([[0, 2]] * 4), np.array([[0, -2]] * 4),
            np.array([0, 1, 2, 3]), np.zeros((4, 2)), np.array([["a", "b"]] * 4),
        ),
        learning_rate=2e-3, epochs=200, adversarial=True,
    ),
    Family(
        "video GAN, sentences",
        lambda: VideoGAN(CLIP, ("up", "and", "down"), width=4, content_size=4, motion_size=2),
        disks(4),
        np.array(["up", "down", "up and down", "down and up"]),
        (np.array(["up", "left", "up", "down"]), np.array(["up " * 17] * 4), np.arange(4), np.array([["up"]] * 4)),
        learning_rate=2e-3, epochs=200, adversarial=True,
    ),
    Family(
        "flow warp GAN",
        lambda: FlowWarpGAN(CLIP, width=4, content_size=4, motion_size=2),
        disks(4),
        learning_rate=2e-3, epochs=200, adversarial=True,
    ),
    Family(
        "flow",
        lambda: NormalizingFlow(CLIP, levels=2, steps=1, width=4),
        disks(4),
        epochs=60, steps_to_move=2,
    ),
    Family(
        "flow GAN",
        lambda: FlowGAN(CLIP, levels=2, steps=1, width=4),
        disks(4),
        learning_rate=5e-3, epochs=100, adversarial=True, steps_to_move=2,
    ),
    Family(
        "VAE", lambda: VideoVAE(CLIP, latent_size=4, memory_size=16, width=8), waves(4), learning_rate=5e-3, epochs=200
    ),
    Family(
        "next frame",
        lambda: NextFrame(CLIP, given=2, width=8, depth=1, windows=1, starts=4),
        disks(4),
        learning_rate=5e-3, epochs=100,
    ),
    Family(
        "next frame, memory",
        lambda: NextFrame(CLIP, given=1, width=8, depth=1, memory_size=4, starts=4),
        disks(4),
        learning_rate=5e-3, epochs=150,
    ),
    Family(
        "tokens",
        lambda: TokenVideo(CLIP, None, TINY_TOKENIZER, width=16, blocks=1, heads=2, tokenizer_steps=100),
        disks(4),
        learning_rate=1e-2, epochs=100,
    ),
    Family(
        "tokens, sentences",
        lambda: TokenVideo(CLIP, ("up", "and", "down"), TINY_TOKENIZER, 16, 1, 2, tokenizer_steps=100),
        disks(4),
        np.array(["up", "down", "up and down", "down and up"]),
        (np.array(["up", "left", "up", "down"]), np.array(["up " * 17] * 4), np.arange(4), np.array([["up"]] * 4)),
        learning_rate=1e-2, epochs=100,
    ),
    Family(
        "diffusion of noise",
        lambda: Diffusion(CLIP, setting="ddim", patch=(1, 2, 2), width=32, blocks=1, heads=2),
        disks(4),
        learning_rate=1e-2, epochs=300,
    ),
    Family(
        "diffusion, sentences",
        lambda: Diffusion(
            CLIP, ("up", "and", "down"), patch=(2, 2, 2), width=32, blocks=1, heads=2, fills=True, jumps=0.25, guidance=1.5
        ),
        disks(4),
        np.array(["up", "down", "up and down", "down and up"]),
        (np.array(["up", "left", "up", "down"]), np.array(["up " * 17] * 4), np.arange(4), np.array([["up"]] * 4)),
        learning_rate=3e-3, epochs=400,
    ),
    Family(
        "diffusion, quantities",
        lambda: Diffusion(CLIP, {"speed": 1, "path": 2}, patch=(2, 2, 2), width=32, blocks=1, heads=2),
        disks(4),
        np.array([[-1, 0, 0], [1, 0, 0.5], [-0.5, 1, 1], [0.5, np.nan, -1]], np.float32),
        (np.zeros((4, 2)), np.zeros(4), np.full((4, 3), 3.1), np.array([["a", "b", "c"]] * 4)),
        learning_rate=3e-3, epochs=400,
    ),
    Family(
        "sketch adapter",
        sketch_adapter,
        disks(4),
        np.array(["up", "down", "up and down", "down and up"]),
        (np.array(["up", "left", "up", "down"]), np.array(["up " * 17] * 4), np.arange(4), np.array([["up"]] * 4)),
        epochs=3, steps_to_move=2, branch=True,
    ),
    Family(
        "path tracer",
        lambda: PathTracer(CLIP, samples=2, bounces=3),
        disks(4),
        np.array([thrown_balls(CLIP[0], seed) for seed in range(4)]),
        learns=False,
    ),
]  # fmt: skip

COMPUTED = {
    "test_it_makes_as_many_clips_as_asked_for_in_the_convention",
    "test_the_same_seed_makes_the_same_clips_and_another_seed_others",
    "test_every_seed_in_range_works",
    "test_generate_does_not_change_the_model",
    "test_bad_counts_are_refused",
    "test_bad_seeds_are_refused",
    "test_a_seed_must_be_given",
    "test_bad_conditions_are_refused",
    "test_a_condition_is_heard",
    "test_a_configuration_says_everything",
    "test_unknown_presets_are_refused",
    "test_bad_clip_shapes_are_refused",
}


def compiled(family: Family, *, eager: bool = False) -> VideoModel:
    """A new model; `eager` saves the second that it takes to trace a step, where only few steps are made."""
    model = family.build()
    model.compile(keras.optimizers.Adam(family.learning_rate), run_eagerly=eager)
    return model


def weights_of(model: keras.Model) -> list[np.ndarray]:
    return [weight.numpy().copy() for weight in model.weights]


def train(model: VideoModel, family: Family, epochs: int | None = None, **options) -> VideoModel:
    epochs = family.epochs if epochs is None else epochs
    model.fit(family.clips, family.condition, batch_size=len(family.clips), epochs=epochs, verbose=0, **options)
    return model


@cache
def _trained(index: int) -> VideoModel:
    family = FAMILIES[index]
    return train(compiled(family), family) if family.learns else family.build()


@pytest.fixture(params=range(len(FAMILIES)), ids=[family.name for family in FAMILIES])
def number(request) -> int:
    if not FAMILIES[request.param].learns and request.function.__name__ not in COMPUTED:
        pytest.skip(f"{FAMILIES[request.param].name} does not learn")
    return request.param


@pytest.fixture
def family(number) -> Family:
    return FAMILIES[number]


@pytest.fixture
def trained(number) -> VideoModel:
    """Trained once for all tests: read it, do not change it."""
    return _trained(number)


# -------------------------------------------------------------------------------------------------- generate


@pytest.mark.parametrize("count", [1, 2, 7, np.int64(3)])
def test_it_makes_as_many_clips_as_asked_for_in_the_convention(trained, count):
    clips = trained.generate(count, seed=0)
    assert isinstance(clips, np.ndarray)
    assert clips.shape == (count, *CLIP)
    assert clips.dtype == np.float32
    assert clips.min() >= -1
    assert clips.max() <= 1


def test_the_same_seed_makes_the_same_clips_and_another_seed_others(trained):
    # sixteen clips: some families draw from the few that they were shown, and one may be far likelier than others
    first, again, other = (trained.generate(16, seed=seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first - first[:1]).max() > 1e-3  # nor are the clips of one call all the same
    keras.utils.set_random_seed(99)
    np.random.seed(98)  # noqa: NPY002 - no global state has a say
    assert first.tobytes() == trained.generate(16, seed=1).tobytes()


@pytest.mark.parametrize("seed", [0, 2**31, 2**32, 2**63 - 1])
def test_every_seed_in_range_works(trained, seed):
    assert np.isfinite(trained.generate(1, seed=seed)).all()


def test_generate_does_not_change_the_model(trained):
    before = weights_of(trained)
    trained.generate(2, seed=5)
    for old, new in zip(before, weights_of(trained), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "3", None])
def test_bad_counts_are_refused(trained, count):
    with refuses("count", repr(count)):
        trained.generate(count, seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", None, 2**63])
def test_bad_seeds_are_refused(trained, seed):
    with refuses("seed", repr(seed)):
        trained.generate(1, seed=seed)


def test_a_seed_must_be_given(trained):
    with pytest.raises(TypeError, match="seed"):
        trained.generate(1)


def test_bad_conditions_are_refused(trained, family):
    if not trained.conditional:
        with refuses("takes no condition"):
            trained.generate(1, np.zeros(1, int), seed=0)
        return
    with refuses("condition", "2 clips"):
        trained.generate(2, np.zeros(3, int), seed=0)
    with refuses("condition", "one entry"):
        trained.generate(1, np.array(0), seed=0)
    for bad in family.bad_conditions:
        with refuses("condition"):
            trained.generate(len(bad), bad, seed=0)
        with refuses("condition"):
            trained.fit(family.clips, bad, verbose=0)


def test_a_condition_is_heard(trained, family):
    if family.condition is None:
        pytest.skip(f"{family.name} learns without a condition")
    made = [trained.generate(1, family.condition[[index]], seed=0) for index in range(len(family.condition))]
    assert max(np.abs(clip - made[-1]).max() for clip in made[:-1]) > 1e-3  # a word that is not heard changes no bit
    both = trained.generate(2, family.condition[[0, -1]], seed=0)
    assert np.abs(both[0] - both[1]).max() > 0.01


def test_broken_weights_are_said_to_be_broken(family):
    model = family.build()
    for weight in model.weights:
        weight.assign(tf.fill(weight.shape, np.nan))
    with refuses("Diffusion" if family.branch else type(model).__name__, "NaN", "weights are broken"):
        model.generate(1, seed=0)


def test_training_stops_where_the_weights_are_broken(family):
    model = compiled(family, eager=True)
    for weight in model.weights:
        if "float" in weight.dtype:
            weight.assign(tf.fill(weight.shape, np.nan))
    with refuses("Training stopped", "NaN", "smaller learning rate"):
        train(model, family, epochs=1)


def test_the_seed_decides_on_the_first_weights(trained):
    config, kind = trained.get_config(), type(trained)
    seed = config["seed"]
    first, again, other = (kind.from_config(config | {"seed": each}) for each in (seed, seed, seed + 1))
    for one, same in zip(first.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, same)
    pairs = list(zip(first.trainable_weights, other.trainable_weights, strict=True))
    drawn = [(one, new) for one, new in pairs if len(one.shape) > 1 and np.ptp(one) > 0]  # neither biases nor zeros
    assert drawn
    assert [one.path for one, new in drawn if np.array_equal(one, new)] == []


# ---------------------------------------------------------------------------------------------------- losses


def test_losses_are_the_named_scalars_and_finite(trained, family):
    for training in (False, True):
        losses = trained.losses_of(tf.constant(family.clips), family.condition, training)
        assert tuple(losses) == trained.loss_names
        assert trained.loss_names[0] == "loss"
        for value in losses.values():
            assert tuple(value.shape) == ()
            assert np.isfinite(float(value))


def test_evaluate_is_the_mean_of_the_losses_over_batches(trained, family):
    conditions = [None] * len(family.clips) if family.condition is None else family.condition[:, None]
    by_hand = [
        {name: float(value) for name, value in trained.losses_of(clip[None], condition, False).items()}
        for clip, condition in zip(family.clips, conditions, strict=True)
    ]
    found = trained.evaluate(family.clips, family.condition, batch_size=1, verbose=0, return_dict=True)
    assert set(found) == set(trained.loss_names)
    for name in trained.loss_names:
        # float32 sums in another order.
        assert found[name] == pytest.approx(np.mean([losses[name] for losses in by_hand]), rel=1e-5)


# ------------------------------------------------------------------------------------------------------- fit


def far_from_data(model: VideoModel, family: Family) -> float:
    """The mean distance of made clips to the nearest real one."""
    condition = None if family.condition is None else np.repeat(family.condition, 64 // len(family.clips), axis=0)
    made = model.generate(64 if condition is None else len(condition), condition, seed=3)
    return nearest(made, family.clips)[1].mean()


def test_training_brings_made_clips_nearer_to_real_ones(trained, family):
    if family.branch:
        pytest.skip("only what is asked for besides changes a clip")
    assert far_from_data(trained, family) < 0.85 * far_from_data(compiled(family), family)


def test_fit_lowers_the_loss_on_its_data(trained, family):
    if family.adversarial:
        pytest.skip("two players: each loss depends on the other")
    if family.branch:
        pytest.skip("the model that stays as it is has learned nothing here")
    before = compiled(family, eager=True).evaluate(family.clips, family.condition, verbose=0, return_dict=True)["loss"]
    after = trained.evaluate(family.clips, family.condition, verbose=0, return_dict=True)["loss"]
    assert after < 0.7 * before


def test_fit_logs_the_named_losses(trained):
    assert set(trained.history.history) == set(trained.loss_names)


def test_fit_takes_a_dataset_as_well_and_learns_the_same(family):
    data = (family.clips,) if family.condition is None else (family.clips, family.condition)
    dataset = tf.data.Dataset.from_tensors(data if len(data) == 2 else data[0]).repeat()
    model = compiled(family)
    model.fit(dataset, epochs=1, steps_per_epoch=12, verbose=0)
    again = train(compiled(family), family, epochs=12, shuffle=False)
    # The same batches in the same order; float32 sums in another order drift by less than 1e-3 in 12 steps.
    for one, other in zip(weights_of(model), weights_of(again), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_first_steps_move_every_trainable_weight(family):
    model = compiled(family, eager=True)
    names = [weight.path for weight in model.trainable_variables]
    before = [weight.numpy() for weight in model.trainable_variables]
    train(model, family, epochs=family.steps_to_move)
    still = [
        name
        for name, old, new in zip(names, before, model.trainable_variables, strict=True)
        if np.array_equal(old, new.numpy())
    ]
    assert names
    assert still == []


def test_two_trainings_from_one_seed_give_the_same_weights():
    for family in (family for family in FAMILIES if family.learns):
        results = []
        for _ in range(2):
            keras.utils.set_random_seed(3)
            results.append(weights_of(train(compiled(family, eager=True), family, epochs=2)))
        for first, again in zip(*results, strict=True):
            np.testing.assert_array_equal(first, again)


def test_every_batch_size_works(family):
    model = compiled(family, eager=True)
    for batch_size in (1, 2, 32):
        model.fit(family.clips, family.condition, batch_size=batch_size, verbose=0)
        assert np.isfinite(model.evaluate(family.clips, family.condition, batch_size=batch_size, verbose=0)).all()


def test_data_that_is_not_its_kind_is_refused_at_once_and_changes_nothing(family):
    model = compiled(family, eager=True)
    before, clips, condition = weights_of(model), family.clips, family.condition
    nan = clips.copy()
    nan[0, 0, 0, 0, 0] = np.nan
    for bad, word in (
        (nan, "nan"),
        (clips * 127, "[-1, 1]"),
        (to_uint8(clips), "to_float"),
        (clips.astype(float), "float64"),
        (tf.constant(clips * 127), "[-1, 1]"),
        (clips[0], "5 axes"),
        (clips[:, :-1], "(batch, 4, 6, 6, 3)"),
        (clips[:, :, :-1], "(batch, 4, 6, 6, 3)"),
        (clips[:, :, :, :-1], "(batch, 4, 6, 6, 3)"),
        (clips[..., :1], "(batch, 4, 6, 6, 3)"),
        (clips[:0], "empty"),
        (None, "array of numbers"),
        ((clip for clip in clips), "generator"),
    ):
        for use in (model.fit, model.evaluate):
            with refuses(word):
                use(bad, condition, verbose=0)
    for bad, word in (
        (to_uint8(clips), "float32"),
        (clips[:, :-1], "(batch, 4, 6, 6, 3)"),
        ({"clips": clips}, "float32"),
    ):
        with refuses(word):
            model.fit(tf.data.Dataset.from_tensors(bad), verbose=0)
    empty = tf.data.Dataset.from_tensors(clips if condition is None else (clips, condition)).take(0)
    for use in (model.fit, model.evaluate):
        with refuses("no batch"):
            use(empty, verbose=0)
    if condition is not None:
        with refuses("condition"):
            model.fit(clips, condition[:-1], verbose=0)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    train(model, family, epochs=1)  # and it is none the worse


def test_validation_data_is_looked_at_too(family):
    model = compiled(family, eager=True)
    validation = (family.clips * 127, family.condition)
    with refuses("[-1, 1]"):
        model.fit(family.clips, family.condition, validation_data=validation, verbose=0)


class Interrupts(keras.callbacks.Callback):
    """Ctrl-C in the third step."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 3:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_a_model_that_goes_on(family):
    model = compiled(family, eager=True)
    with pytest.raises(KeyboardInterrupt):
        train(model, family, epochs=9, callbacks=[Interrupts()])
    assert np.isfinite(model.generate(1, seed=0)).all()
    train(model, family, epochs=2)
    assert int(model.optimizer.iterations) == 5


# ------------------------------------------------------------------------------------------------------ files


def test_a_saved_model_comes_back_the_same(trained, family, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")  # in safe mode, without custom_objects
    assert type(again) is type(trained)
    assert again.get_config() == trained.get_config()
    assert again.generate(2, seed=4).tobytes() == trained.generate(2, seed=4).tobytes()
    assert again.evaluate(family.clips, family.condition, verbose=0, return_dict=True) == pytest.approx(
        trained.evaluate(family.clips, family.condition, verbose=0, return_dict=True), rel=1e-6
    )
    train(again, family, epochs=1)
    assert int(again.optimizer.iterations) == int(trained.optimizer.iterations) + 1  # the optimizer came with it


def test_a_configuration_says_everything(trained):
    copy = type(trained).from_config(trained.get_config())
    assert [weight.shape for weight in copy.weights] == [weight.shape for weight in trained.weights]
    assert copy.clip_shape == trained.clip_shape == CLIP


def test_it_is_built_and_registered_at_once(family):
    model = family.build()
    assert model.built
    assert model.count_params() > 0
    name = keras.saving.get_registered_name(type(model))
    assert name == f"vidgen_tf>{type(model).__name__}"


def test_unknown_presets_are_refused(trained):
    with refuses("'nonsense'", "dense-bunny"):
        type(trained).from_preset("nonsense")


@pytest.mark.parametrize("bad", [(4, 6, 6), (4, 6, 6, 2), (0, 6, 6, 3), (4, 6, 6.5, 3), 5, None, "4663", (4, -6, 6, 3)])
def test_bad_clip_shapes_are_refused(trained, bad):
    with refuses("clip_shape"):
        type(trained)(bad)


# ------------------------------------------------------------------------------------------------ the base class


def test_the_base_class_says_what_a_family_must_write():
    base = VideoModel(CLIP)
    with refuses("VideoModel", "write losses_of", error=NotImplementedError):
        base.losses_of(waves(1), None, False)
    with refuses("VideoModel", "write draw", error=NotImplementedError):
        base.generate(1, seed=0)
    with refuses("takes no condition"):
        base.generate(1, np.zeros(1), seed=0)


class Stumbles(VideoModel):
    """A family whose first loss fails, as one's own do."""

    def __init__(self):
        super().__init__(CLIP)
        self.mean = self.add_weight(shape=CLIP, name="mean")
        self.built, self.calls = True, 0

    def losses_of(self, clips, condition, training):
        self.calls += 1
        if self.calls <= 2:
            raise ValueError("the first two attempts fail in this test")
        return {"loss": tf.reduce_mean(tf.square(clips - self.mean))}


def test_after_a_loss_that_failed_fit_can_be_called_again():
    model = Stumbles()
    model.compile("adam")
    for _ in range(2):
        with pytest.raises(ValueError, match="attempts fail"):
            model.fit(waves(1), verbose=0)
    model.fit(waves(1), verbose=0)
    assert model.mean.numpy().any()


class Draws(VideoModel):
    """A family whose draw is given."""

    def __init__(self, made: np.ndarray):
        super().__init__(CLIP)
        self.made = made

    def draw(self, count, condition, seed):
        return self.made


def test_what_draw_makes_is_checked():
    with refuses("Draws.draw", "(2, 4, 6, 6, 3)", "(1, 4, 6, 6, 3)", error=RuntimeError):
        Draws(waves(2)).generate(1, seed=0)
    for broken in (np.nan, np.inf):
        with refuses("Draws", "NaN"):
            Draws(np.full((1, *CLIP), broken, np.float32)).generate(1, seed=0)
    # A network without tanh may overshoot; what comes out keeps the convention.
    np.testing.assert_array_equal(Draws(3 * waves(1)).generate(1, seed=0), np.clip(3 * waves(1), -1, 1))
