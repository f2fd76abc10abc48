"""`TokenVideo`: causal, a probability that sums to 1, draws that follow it, with and without kept keys and values."""

import itertools

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf import presets
from vidgen_tf.families.autoregressive import TokenVideo, attention, nucleus_of
from vidgen_tf.quiet import keras, tf
from vidgen_tf.tokenizer import VQVAE
from vidgen_tf.worlds.bouncer import Bouncer

SHAPE = (4, 6, 6, 1)
TOKENIZER = {"patch": 3, "codes": 5, "code_size": 3, "width": 4}
WORDS = ("up", "and", "down")


def small(condition=None, tokenizer=None, **options) -> TokenVideo:
    """A model of 16 tokens, shaken so that no logit is flat."""
    options = {"width": 8, "blocks": 2, "heads": 2, "tokenizer_steps": 3} | options
    model = TokenVideo(SHAPE, condition, TOKENIZER if tokenizer is None else tokenizer, **options)
    dice = np.random.default_rng(3)
    for weight in model.trainable_weights:
        if len(weight.shape) > 1:
            weight.assign_add(dice.normal(0, 0.4, weight.shape).astype("float32"))
    return model


def clips_of(count: int, shape=SHAPE) -> np.ndarray:
    return np.stack([np.roll(smooth(*shape), index, axis=2) * (-1) ** index for index in range(count)])


def some_tokens(count: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).integers(5, size=(count, 16)), tf.int32)


def numbers_of(model: TokenVideo, sentences):
    return model.numbers(
        None if sentences is None else tf.constant(sentences), 1 if sentences is None else len(sentences)
    )


# ------------------------------------------------------------------------------------------- the transformer


def test_attention_is_the_mean_of_values_weighted_by_how_well_keys_fit():
    dice = np.random.default_rng(0)
    query, key, value = (dice.normal(size=(2, n, 3, 4)).astype("float32") for n in (5, 6, 6))
    seen = dice.random((5, 6)) < 0.6
    seen[:, 0] = True
    found = attention(*map(tf.constant, (query, key, value)), seen).numpy()
    for batch, token, head in itertools.product(range(2), range(5), range(3)):
        fit = np.where(seen[token], key[batch, :, head] @ query[batch, token, head] / 2, -np.inf)
        share = np.exp(fit - fit.max())
        np.testing.assert_allclose(found[batch, token, head], share / share.sum() @ value[batch, :, head], atol=1e-5)


@pytest.mark.parametrize("condition", [None, WORDS])
def test_a_token_changes_no_logit_of_itself_or_of_one_before_it(condition):
    model, tokens = small(condition), some_tokens(1).numpy()
    numbers = numbers_of(model, ["up and down"])
    before = model.logits(tf.constant(tokens), numbers).numpy()
    assert before.shape == (1, 16, 5)
    for place in range(16):
        other = tokens.copy()
        other[0, place] = (other[0, place] + 1) % 5
        moved = np.abs(model.logits(tf.constant(other), numbers).numpy() - before).max(axis=(0, 2))
        assert not moved[: place + 1].any()
        assert (moved[place + 1 :] > 0).all()


def test_all_tokens_see_the_whole_condition_and_each_its_own_place():
    model, tokens = small(WORDS), some_tokens(1)
    said = [model.logits(tokens, numbers_of(model, [words])).numpy() for words in ("up and up", "up and down")]
    assert (np.abs(said[0] - said[1]).max(axis=(0, 2)) > 0).all()  # though they differ in the third word only
    same = model.logits(tf.zeros((1, 16), tf.int32), numbers_of(model, ["up"])).numpy()[0]
    assert len(np.unique(same.round(5), axis=0)) == 16


def test_the_probabilities_of_all_sequences_sum_to_one():
    tokenizer = VQVAE((2, 2, 4, 1), patch=2, codes=3, code_size=2, width=4)
    model = TokenVideo((2, 2, 4, 1), (2,), tokenizer, width=8, blocks=2, heads=2)
    every = np.array(list(itertools.product(range(3), repeat=4)))
    for label in (None, [0], [1]):
        numbers = model.numbers(None if label is None else [label] * len(every), len(every))
        chances = np.exp(-model.nats(tf.constant(every, tf.int32), numbers).numpy().astype(float))
        assert chances.sum() == pytest.approx(1, abs=1e-5)  # float32
        assert np.ptp(chances) > 1e-4


def test_log_prob_is_that_of_the_tokens_and_the_loss_its_mean():
    model, clips = small(WORDS, drop=0.0), clips_of(3)
    asked = np.array(["up", "down", "and"])
    tokens = model.tokenizer.encode(clips).reshape(3, 16)
    logits = model.logits(tf.constant(tokens), numbers_of(model, asked)).numpy().astype(float)
    chances = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = np.log(np.take_along_axis(chances, tokens[..., None], axis=-1)).sum(axis=(1, 2))
    np.testing.assert_allclose(model.log_prob(clips, asked), expected, rtol=1e-4)
    for training in (False, True):
        assert float(model.losses_of(tf.constant(clips), asked, training)["loss"]) == pytest.approx(
            -expected.mean(), rel=1e-4
        )
    assert np.abs(model.log_prob(clips) - expected).max() > 1e-3
    many = np.repeat(clips, 50, axis=0)  # more than go through at once
    np.testing.assert_allclose(model.log_prob(many, np.repeat(asked, 50)), np.repeat(expected, 50), rtol=1e-4)


def test_conditions_are_left_out_now_and_then_in_training_only():
    model = small(WORDS, drop=0.25)
    model.compile()
    asked = tf.constant(["up"] * 4000)
    kept = model.numbers(asked, 4000, training=True).numpy().any(axis=1)
    assert kept.mean() == pytest.approx(0.75, abs=4 * 0.0069)
    model.optimizer.iterations.assign(1)
    assert (model.numbers(asked, 4000, training=True).numpy().any(axis=1) != kept).any()
    assert model.numbers(asked, 4000).numpy().any(axis=1).all()


# --------------------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("condition", [None, WORDS])
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.5, "nucleus": 0.7}])
def test_what_is_kept_changes_no_draw(condition, settings):
    model = small(condition)
    asked = None if condition is None else ["up", "down", "", "up and down"]
    fast, slow = (model.generate(4, asked, seed=5, cached=cached, **settings) for cached in (True, False))
    assert fast.tobytes() == slow.tobytes()
    assert len(np.unique(fast.reshape(4, -1), axis=0)) > 1


def drawn(model, count, seed, **settings) -> np.ndarray:
    """Tokens (count, 16) of a model whose codes are known by what they decode to."""
    found = []
    keep = model.tokenizer.decode
    model.tokenizer.decode = lambda tokens: found.append(tokens) or keep(tokens)
    model.generate(count, seed=seed, **settings)
    del model.tokenizer.decode
    return found[0].reshape(count, -1)


def test_tokens_are_drawn_with_their_chances():
    model = small()
    tokens = drawn(model, 4096, 0)
    assert len(np.unique(tokens, axis=0)) > 1000  # no two parts of a long draw are alike
    logits = model.logits(tf.constant(tokens[:1])).numpy()[0, 0]
    chances = np.exp(logits) / np.exp(logits).sum()
    seen = np.bincount(tokens[:, 0], minlength=5) / 4096
    np.testing.assert_allclose(seen, chances, atol=4 * 0.5 / 64)
    first = tokens[:, 0].max()
    rest = tokens[tokens[:, 0] == first]
    logits = model.logits(tf.constant(rest[:1])).numpy()[0, 1]
    chances = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.bincount(rest[:, 1], minlength=5) / len(rest), chances, atol=2 / np.sqrt(len(rest)))


def test_cold_takes_the_likeliest_token_and_warmth_divides_the_logits():
    model = small()
    tokens = drawn(model, 3, 0, temperature=0.0)
    np.testing.assert_array_equal(tokens[0], tokens[1])
    np.testing.assert_array_equal(tokens, model.logits(tf.constant(tokens)).numpy().argmax(axis=-1))
    logits = model.logits(tf.constant(tokens[:1])).numpy()[0, 0] / 2
    chances = np.exp(logits) / np.exp(logits).sum()
    seen = np.bincount(drawn(model, 2048, 1, temperature=2.0)[:, 0], minlength=5) / 2048
    np.testing.assert_allclose(seen, chances, atol=4 * 0.5 / 45)
    np.testing.assert_array_equal(drawn(model, 3, 5, nucleus=1e-6), tokens)  # a nucleus of one


def smallest_set(chances: np.ndarray, mass: float) -> set[int]:
    """The fewest numbers that hold `mass` together, found by trying all sets."""
    for size in range(1, len(chances) + 1):
        best = max(itertools.combinations(range(len(chances)), size), key=lambda some: chances[list(some)].sum())
        if chances[list(best)].sum() >= mass:
            return set(best)
    return set(range(len(chances)))


@pytest.mark.parametrize("mass", [0.01, 0.3, 0.7, 0.95, 1.0])
def test_the_nucleus_is_the_smallest_set_that_holds_the_mass(mass):
    chances = np.random.default_rng(1).dirichlet(np.full(6, 0.7), 40).astype("float32")
    kept = nucleus_of(tf.constant(chances), tf.constant(mass, tf.float32)).numpy()
    for row, which in zip(chances, kept, strict=True):
        assert set(np.flatnonzero(which)) == (set(range(6)) if mass == 1 else smallest_set(row, mass))
    even = nucleus_of(tf.fill((1, 4), 0.25), tf.constant(0.5)).numpy()
    assert even.tolist() == [[True, True, False, False]]
    tiny = nucleus_of(tf.constant([[1.0, 1e-12]]), tf.constant(1.0))  # 1 takes all, though sums are rounded
    assert tiny.numpy().all()


def test_only_the_nucleus_is_drawn():
    model = small()
    tokens = drawn(model, 256, 0, nucleus=0.6)
    logits = model.logits(tf.constant(tokens)).numpy()
    kept = nucleus_of(tf.nn.softmax(logits), tf.constant(0.6)).numpy()
    share = np.take_along_axis(kept, tokens[..., None], axis=-1).mean()
    assert share > 0.999  # not quite all, since in other batches logits are rounded in another way
    assert len(np.unique(tokens, axis=0)) > 10


LONG_UP, LONG_DOWN = " ".join(["up"] * 16), " ".join(["down"] * 16)  # all places speak


def test_a_condition_decides_what_is_drawn():
    model = small(WORDS)
    up, down, none = (model.generate(16, asked, seed=0) for asked in ([LONG_UP] * 16, [LONG_DOWN] * 16, None))
    assert np.abs(up - down).max() > 1e-3
    assert np.abs(up - none).max() > 1e-3
    mixed = model.generate(16, [LONG_UP, LONG_DOWN] * 8, seed=0)
    np.testing.assert_allclose(mixed[::2], up[::2], atol=1e-5)
    np.testing.assert_allclose(mixed[1::2], down[1::2], atol=1e-5)


def test_broken_logits_make_no_clips():
    model = small()
    model.head.trainable_weights[-1].assign([np.nan] * 5)  # the tokenizer is whole
    for cached in (True, False):
        with refuses("TokenVideo", "weights are broken"):
            model.generate(2, seed=0, cached=cached)
    with refuses("TokenVideo", "weights are broken"):
        model.log_prob(clips_of(1))


# ----------------------------------------------------------------------------------------------- continuation


def test_a_continuation_keeps_what_is_given_and_goes_on_from_it():
    model, clips = small(), clips_of(3)
    futures = model.continuation(clips[:, :2], 5, seed=0)
    assert (futures.shape, futures.dtype) == ((3, 5, *SHAPE), np.float32)
    np.testing.assert_array_equal(futures[:, :, :2], np.repeat(clips[:, None, :2], 5, axis=1))
    assert all(len(np.unique(each[:, 2:].reshape(5, -1), axis=0)) > 1 for each in futures)
    assert futures.tobytes() == model.continuation(clips[:, :2], 5, seed=0).tobytes()
    assert np.abs(futures - model.continuation(clips[:, :2], 5, seed=1)).max() > 1e-3
    # Drawn without chance, it is what the logits say of the tokens that are given.
    cold = model.continuation(clips[:, :2], seed=0, temperature=0.0)[:, 0]
    tokens = np.pad(model.tokenizer.encode(clips[:, :2]).reshape(3, 8), ((0, 0), (0, 8)))
    for place in range(8, 16):
        tokens[:, place] = model.logits(tf.constant(tokens)).numpy()[:, place].argmax(axis=-1)
    np.testing.assert_allclose(cold[:, 2:], model.tokenizer.decode(tokens.reshape(3, 4, 2, 2))[:, 2:], atol=1e-6)


def test_a_continuation_hears_its_condition():
    model, clips = small(WORDS), clips_of(2)
    asked = [LONG_UP] * 2, [LONG_DOWN] * 2, [LONG_UP, LONG_DOWN]
    up, down, mixed = (model.continuation(clips[:, :1], 6, each, seed=0) for each in asked)
    assert np.abs(up - down).max() > 1e-3
    np.testing.assert_allclose(mixed[0], up[0], atol=1e-5)
    np.testing.assert_allclose(mixed[1], down[1], atol=1e-5)
    with refuses("condition", "2 clips"):
        model.continuation(clips[:, :1], 6, ["up"] * 12, seed=0)


# ---------------------------------------------------------------------------------------------- the tokenizer


def test_fit_trains_a_new_tokenizer_first_and_never_again():
    model, clips = small(tokenizer_steps=7), clips_of(4)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(clips, batch_size=2, epochs=1, verbose=0)
    assert float(model.tokenizer.trained) == 7
    before = [weight.numpy() for weight in model.tokenizer.weights]
    model.fit(clips, batch_size=2, epochs=2, verbose=0)
    for old, new in zip(before, model.tokenizer.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    fixed = {weight.path for weight in model.tokenizer.weights}
    assert not fixed & {weight.path for weight in model.trainable_weights}
    assert len(model.optimizer.variables) < 3 * len(model.trainable_weights)


@pytest.mark.parametrize("paired", [False, True])
def test_a_tokenizer_learns_from_a_dataset_too(paired):
    model, clips = small(WORDS, tokenizer_steps=5), clips_of(4)
    model.compile()
    data = tf.data.Dataset.from_tensor_slices((clips, ["up"] * 4) if paired else clips).batch(2)
    model.before_fit(data, 32)
    assert float(model.tokenizer.trained) == 5


def test_a_tokenizer_that_comes_trained_stays_as_it_is_and_can_go_on_learning(tmp_path):
    tokenizer, clips = VQVAE((2, *SHAPE[1:]), block=2, **TOKENIZER), clips_of(4)
    model = small(tokenizer=tokenizer, tokenizer_steps=None)
    model.compile(keras.optimizers.Adam(1e-3))
    with refuses("tokenizer was never trained"):
        model.fit(clips, verbose=0)
    tokenizer.compile(keras.optimizers.Adam(1e-3))
    tokenizer.fit(clips[:, :2], verbose=0)
    before = tokenizer.get_weights()
    model.fit(clips, verbose=0)
    for old, new in zip(before, tokenizer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert (model.grid, model.length) == ((2, 2, 2), 8)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.tokenizer.clip_shape == (2, *SHAPE[1:])
    assert again.generate(2, seed=0).tobytes() == model.generate(2, seed=0).tobytes()
    again.fit(clips, verbose=0)
    for old, new in zip(before, again.tokenizer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    tokenizer.fit(clips[:, :2], verbose=0)  # its own fit still moves it
    assert not np.array_equal(before[0], tokenizer.get_weights()[0])


def test_given_frames_come_in_blocks():
    model = small(tokenizer=VQVAE(SHAPE, block=2, **TOKENIZER))
    assert model.continuation(clips_of(1)[:, :2], seed=0).shape == (1, 1, *SHAPE)
    with refuses("time that 2 divides"):
        model.continuation(clips_of(1)[:, :1], seed=0)


def test_a_preset_holds_both_and_is_built_from_plain_data(tmp_path):
    recipe = {
        "family": "TokenVideo",
        "config": {
            "clip_shape": [*SHAPE],
            "condition": [*WORDS],
            "tokenizer": TOKENIZER,
            "width": 8,
            "blocks": 1,
            "heads": 2,
        },
    }
    model, again, clips = presets.build(recipe), presets.build(recipe | {"seed": 1}), clips_of(2)
    for weight in model.weights:
        weight.assign_add(0.1 * tf.random.stateless_normal(weight.shape, (3, 4)))
    halves = {f"{index:03d}": weight.numpy().astype("float16") for index, weight in enumerate(model.preset_weights)}
    np.savez(tmp_path / "weights.npz", **halves)
    for each in (model, again):
        presets.set_weights(each, tmp_path / "weights.npz")
        assert float(each.tokenizer.trained) == 1000
    np.testing.assert_array_equal(model.log_prob(clips), again.log_prob(clips))
    assert model.generate(2, seed=0).tobytes() == again.generate(2, seed=0).tobytes()
    assert len(model.preset_weights) == len(model.weights) - 1
    one, two = {weight.path for weight in model.preset_weights}, {weight.path for weight in model.tokenizer.weights}
    assert two - {model.tokenizer.trained.path} < one


def test_a_broken_tokenizer_stops_training():
    model = small()
    model.compile()
    model.tokenizer.codebook.assign(tf.fill(model.tokenizer.codebook.shape, np.nan))
    for answer in (lambda: model.fit(clips_of(2), verbose=0), lambda: model.evaluate(clips_of(2), verbose=0)):
        with refuses("NaN in the tokenizer"):
            answer()
    with refuses("NaN in the tokenizer"):
        model.log_prob(clips_of(2))


def test_on_a_world_of_chance_the_nats_fall_towards_its_entropy_and_not_below():
    world = Bouncer(frames=4, cells=3)  # frames of 8×8 pixels
    clips, held_out = world.sample(2000, 0).clips, world.sample(500, 1).clips
    model = TokenVideo(
        world.clip_shape, None, {"patch": 4, "codes": 24, "width": 16}, width=32, blocks=2, tokenizer_steps=400
    )
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, 600)), steps_per_execution=20)
    model.fit(clips, batch_size=20, epochs=6, verbose=0)
    places = world.render(np.array([[(column, row)] * 4 for column in range(3) for row in range(3)]))
    assert len(np.unique(model.tokenizer.encode(places).reshape(9, -1), axis=0)) == 9
    exact, found = world.log_prob(held_out).mean(), model.log_prob(held_out).mean()
    assert 1.1 * exact < found < exact + 0.01  # the same clips, so chance has no say
    assert world.scores(model.generate(200, seed=0))["possible"] > 0.85


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokenizer": 3}, ("tokenizer is 3", "VQVAE")), ({"tokenizer": {"sides": 3}}, ("'sides'", "patch")),
        ({"tokenizer": {"patch": 4}}, ("patch is 4",)), ({"width": 1}, ("width",)), ({"heads": 3}, ("heads is 3", "8")),
        ({"blocks": 0}, ("blocks",)), ({"drop": 1.0}, ("drop",)), ({"tokenizer_steps": -1}, ("tokenizer_steps",)),
        ({"condition": ("up", "up")}, ("condition",)), ({"seed": -1}, ("seed",)), ({"width": 2**20}, ("a layer",)),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(options, words):
    with refuses(*words):
        small(**options)


@pytest.mark.parametrize("shape", [(4, 6, 9, 1), (4, 6, 6, 3), (3, 6, 6, 1)])
def test_a_tokenizer_of_other_clips_is_refused(shape):
    tokenizer = VQVAE((4, *shape[1:]), block=2, **TOKENIZER)
    with refuses("tokenizer is for", "VQVAE"):
        TokenVideo((shape[0], 6, 6, 1), tokenizer=tokenizer)


def test_bad_settings_are_refused():
    model, clips = small(), clips_of(2)
    for use in (model.generate, lambda count, **settings: model.continuation(clips[:, :1], count, **settings)):
        for nucleus in (0, 1.5, -1, "all"):
            with refuses("nucleus", repr(nucleus)):
                use(1, seed=0, nucleus=nucleus)
        for temperature in (-0.1, None, np.nan):
            with refuses("temperature", repr(temperature)):
                use(1, seed=0, temperature=temperature)
    with refuses("futures", "0"):
        model.continuation(clips[:, :1], 0, seed=0)
    with refuses("seed", "-1"):
        model.continuation(clips[:, :1], seed=-1)
    with refuses("given has 4 frames", "cut it"):
        model.continuation(clips, seed=0)
    with refuses("(count, time, 6, 6, 1)"):
        model.continuation(clips[:, :1, :3], seed=0)
    with refuses("takes no condition"):
        model.continuation(clips[:, :1], 1, ["up"] * 2, seed=0)
    with refuses("(4, 6, 6, 1) was expected"):
        model.log_prob(clips[:, :2])
    with refuses("unknown word 'left'"):
        small(WORDS).log_prob(clips, ["up", "left"])


def test_each_of_many_clips_hears_its_own_condition():
    model, words = small(WORDS), (LONG_UP, LONG_DOWN)
    asked = [words[index % 2] for index in range(90)]
    other = asked[:64] + [words[(index + 1) % 2] for index in range(64, 90)]
    one, two = (model.generate(90, each, seed=0) for each in (asked, other))
    np.testing.assert_allclose(one[:64], two[:64], atol=1e-5)
    assert np.abs(one[64:] - two[64:]).max() > 1e-3
