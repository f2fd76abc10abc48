"""The GAN that moves pictures along a flow: its frames against their formula, its flows in bounds, and whether it learns
to move what it sees."""

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf import presets
from vidgen_tf.families.optical_flow import FlowWarpGAN, _inside, _shortened
from vidgen_tf.layers import Warp
from vidgen_tf.metrics import endpoint_error, frechet_distance
from vidgen_tf.quiet import keras, tf
from vidgen_tf.video_model import draw_seed
from vidgen_tf.worlds.linear_gaussian import LinearGaussian

CLIP = (4, 10, 14, 3)


def model(clip=CLIP, **options) -> FlowWarpGAN:
    return FlowWarpGAN(clip, **{"width": 4, "content_size": 3, "motion_size": 2} | options)


def parts(one: FlowWarpGAN, count: int = 3, seed: int = 7) -> dict[str, np.ndarray]:
    return one.parts(*one.noise(count, draw_seed(seed)))


def ready(one: FlowWarpGAN, rate: float = 2e-3) -> FlowWarpGAN:
    one.compile(keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99))
    return one


def clips(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, *CLIP)).astype("float32")


def shuffled_weights(one: FlowWarpGAN) -> FlowWarpGAN:
    """Masks and flows of all sizes, as no training has made them yet."""
    noise = np.random.default_rng(1)
    one.averaged.set_weights([w + noise.normal(0, 0.3, w.shape) * (w.ndim > 1) for w in one.averaged.get_weights()])
    return one


# ----------------------------------------------------------------------------------------------------- the parts


def test_the_parts_have_their_shapes_and_stay_in_bounds():
    made = parts(shuffled_weights(model(farthest=6.0)))
    shapes = {"clips": (4, 10, 14, 3), "flow": (3, 10, 14, 2), "mask": (3, 10, 14), "residual": (3, 10, 14, 3)}
    assert {name: part.shape[1:] for name, part in made.items()} == shapes
    assert all(part.dtype == np.float32 for part in made.values())
    assert 1 < np.linalg.norm(made["flow"], axis=-1).max() <= 6
    assert made["mask"].min() == 0  # beyond the border
    assert made["mask"].max() <= 1
    assert np.abs(made["clips"]).max() <= 1 + 1e-6
    assert np.abs(made["residual"]).max() <= 1


def test_arrows_are_shortened_in_their_own_direction():
    arrows = np.random.default_rng(0).normal(0, 2, (500, 2)).astype("float32")
    short = _shortened(tf.constant(arrows)).numpy()
    length, before = np.linalg.norm(short, axis=-1), np.linalg.norm(arrows, axis=-1)
    np.testing.assert_allclose(length, np.cos(np.arctan(0.3 / before)), rtol=1e-4)
    np.testing.assert_allclose(short / length[:, None], arrows / before[:, None], atol=1e-5)
    at_rest = tf.Variable(tf.zeros((1, 2)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(_shortened(at_rest))
    np.testing.assert_allclose(tape.gradient(total, at_rest), 1 / 0.3, rtol=1e-4)  # there, as everywhere, a slope


def test_frames_are_the_first_one_looked_up_once_and_what_was_painted_since():
    made = parts(shuffled_weights(model()))
    first, warp = tf.constant(made["clips"][:, 0]), Warp()
    way, seen, painted = tf.zeros((3, 10, 14, 2)), tf.ones((3, 10, 14, 1)), tf.zeros((3, 10, 14, 3))
    for t in range(3):
        flow, mask, residual = made["flow"][:, t], made["mask"][:, t, ..., None], made["residual"][:, t]
        way = warp(way, flow) + flow
        seen, painted = mask * warp(seen, flow), mask * warp(painted, flow) + (1 - mask) * residual
        np.testing.assert_allclose(made["clips"][:, t + 1], seen * warp(first, way) + painted, atol=1e-5)


def test_a_smooth_frame_is_the_frame_before_moved_and_the_residual():
    one = model()
    _, motion = one.noise(3, draw_seed(7))
    made = one.in_batches(one.averaged.get_layer("mover"), [tf.constant([smooth(*CLIP)[0]] * 3), motion])
    mask = made["mask"][..., None]
    for t in range(3):
        by_hand = (
            mask[:, t] * Warp()(made["clips"][:, t], made["flow"][:, t]) + (1 - mask[:, t]) * made["residual"][:, t]
        )
        np.testing.assert_allclose(made["clips"][:, t + 1], by_hand, atol=0.05)  # each frame is looked up in the first
        assert np.abs(made["clips"][:, t + 1] - made["clips"][:, t]).max() > 0.2


def test_the_second_frame_is_the_first_one_moved_and_the_residual():
    made = parts(shuffled_weights(model()))
    mask = made["mask"][:, 0, ..., None]
    moved = Warp()(made["clips"][:, 0], made["flow"][:, 0])
    np.testing.assert_allclose(made["clips"][:, 1], mask * moved + (1 - mask) * made["residual"][:, 0], atol=1e-5)


def test_the_mask_is_0_for_what_comes_from_beyond_the_border():
    flow = np.zeros((1, 3, 4, 2), "float32")
    flow[0, :, :, 0] = 1.25  # from the left
    np.testing.assert_allclose(_inside(flow)[0, :, :, 0], [[0, 0.75, 1, 1]] * 3)
    flow[0, :, :, 1] = -0.5  # and from below
    np.testing.assert_allclose(_inside(flow)[0, :, :, 0], np.outer([1, 1, 0.5], [0, 0.75, 1, 1]))
    made = parts(shuffled_weights(model()))
    inside = np.stack([_inside(made["flow"][:, t]) for t in range(3)], axis=1)[..., 0]
    assert (made["mask"] <= inside).all()
    assert (made["mask"][inside == 0] == 0).all()


def test_before_training_things_move_steadily_at_the_speed_of_real_ones_and_hardly_anything_is_painted():
    one = model((8, 24, 24, 1), width=8, farthest=4.0)
    made = one.generator(one.noise(64, draw_seed(0)), training=True)  # normalised over the batch
    flow = made["flow"].numpy().mean(axis=(2, 3))  # (count, time - 1, xy)
    speed = np.linalg.norm(flow, axis=-1)
    assert 1 < speed.mean() < 2
    assert np.linalg.norm(flow.mean(axis=1), axis=-1).mean() > 0.7 * speed.mean()  # most of it lasts
    assert np.abs(flow.mean(axis=(0, 1))).max() < 0.5  # to all sides
    assert made["mask"].numpy()[:, :, 6:-6, 6:-6].min() > 0.9


def test_content_is_what_is_seen_and_motion_how_it_moves():
    one = model()
    content, motion = one.noise(2, draw_seed(3))
    made, other_motion = one.parts(content, motion), one.parts(content, motion[::-1])
    np.testing.assert_allclose(made["clips"][:, 0], other_motion["clips"][:, 0], atol=1e-6)
    assert np.abs(made["flow"] - other_motion["flow"]).max() > 0.1
    other_content = one.parts(content[::-1], motion)
    assert np.abs(made["clips"][:, 0] - other_content["clips"][:, 0]).max() > 1e-3
    # Of the picture the flow knows little before training, and the heading nothing.
    np.testing.assert_allclose(made["flow"], other_content["flow"], atol=0.2)


def test_a_heading_is_that_of_its_own_frame():
    one = model((6, 16, 16, 1))
    content, motion = (part.numpy() for part in one.noise(4, draw_seed(3)))
    for frame in (1, 3, 5):
        other = motion.copy()
        other[:, 1 + frame] += 2  # the noise from which this frame's motion latent is made
        change = np.abs(one.parts(content, other)["flow"] - one.parts(content, motion)["flow"]).max(axis=(0, 2, 3, 4))
        assert (change[: frame - 1] == 0).all()
        assert change[frame - 1] > 0.1  # more than what the look at the frame before can add before training


def test_a_heading_sees_the_frame_before_and_the_mask_and_residual_the_picture():
    one = model((4, 48, 48, 1))
    mender = next(part for part in one.averaged.get_layer("mover").layers if len(getattr(part, "outputs", [])) == 2)
    pictures, motion = tf.constant(smooth(2, 48, 48, 1)), tf.repeat(one.noise(1, draw_seed(3))[1], 2, axis=0)
    made = one.in_batches(one.averaged.get_layer("mover"), [pictures, motion])
    for part in ("mask", "residual"):  # in the middle no border is seen
        assert np.abs(made[part][0, 0, 24, 24] - made[part][1, 0, 24, 24]).max() > 1e-6, part
    mender.set_weights([10 * weight for weight in mender.get_weights()])
    other = one.in_batches(one.averaged.get_layer("mover"), [pictures, motion])
    change = np.abs(other["flow"] - made["flow"]).max(axis=(0, 2, 3, 4))
    assert change[0] == 0  # the first picture is as it was
    assert (change[1:] > 0).all()


def test_content_and_motion_are_drawn_apart():
    content, motion = (part.numpy().ravel() for part in model(content_size=64).noise(8, draw_seed(3)))
    assert not np.isin(content, motion).any()


def test_the_discriminator_looks_at_other_frames_in_each_step():
    one, moving = ready(model((9, 8, 8, 1))), np.random.default_rng(0).uniform(-1, 1, (2, 9, 8, 8, 1)).astype("float32")
    seen = set()
    for step in range(12):
        one.optimizer.iterations.assign(step)
        looks = one.looks().numpy()
        seen.add(tuple(looks))
        given = one.rate(moving, None, False)[0]
        expected = one.discriminator([moving, moving[:, looks]])
        for opinion, value in zip(given, expected, strict=True):
            np.testing.assert_allclose(opinion, value, atol=1e-6)
    assert len(seen) > 1


@pytest.mark.parametrize(("loss", "bias"), [("classic", True), ("relativistic", False)])
def test_only_the_classic_loss_asks_how_real_alone(loss, bias):
    heads = [layer for layer in model(loss=loss).discriminator.layers if getattr(layer, "units", 0) == 1]
    assert [head.use_bias for head in heads] == [bias, bias]


@pytest.mark.parametrize(
    "options", [{"clip": (10**6, 10**6, 8, 1)}, {"content_size": 10**10}, {"motion_size": 10**10}, {"width": 10**5}]
)
def test_what_no_machine_holds_is_refused_before_it_is_built(options):
    with refuses("at most"):
        model(**options)


@pytest.mark.parametrize("clip", [(2, 5, 9, 3), (9, 17, 4, 1), (3, 1, 1, 1), (5, 3, 33, 1)])
def test_every_size_of_clip_works(clip):
    one = model(clip, width=2)
    assert one.generate(2, seed=0).shape == (2, *clip)
    opinions = one.rate(np.zeros((2, *clip), "float32"), None, False)[0]
    assert [logits.shape for logits in opinions] == [(2,), (2, min(4, clip[0]))]


# ---------------------------------------------------------------------------------------------------- animate


def test_a_picture_is_animated_from_its_own_colours():
    one, picture = model(), clips(1)[0, 0]
    made = one.animate(picture, 3, seed=5)
    assert made.shape == (3, *CLIP)
    assert made.dtype == np.float32
    assert np.abs(made).max() <= 1
    np.testing.assert_array_equal(made[:, 0], [picture] * 3)
    assert np.abs(made[0] - made[1]).max() > 0.1  # each in another way
    np.testing.assert_array_equal(made, one.animate(picture, 3, seed=5))
    assert np.abs(made - one.animate(picture, 3, seed=6)).max() > 0.1
    assert one.animate(picture, seed=5).shape == (1, *CLIP)


def test_the_first_frame_of_a_clip_is_animated_to_that_clip():
    one = model()
    made = parts(one, 1, seed=4)["clips"]
    np.testing.assert_allclose(one.animate(np.clip(made[0, 0], -1, 1), seed=4), made, atol=1e-5)


def test_pictures_that_cannot_be_animated_are_refused():
    one, picture = model(), clips(1)[0, 0]
    for bad, word in (
        (picture[None], "(10, 14, 3)"), (picture[:-1], "(10, 14, 3)"), (picture[..., :1], "(10, 14, 3)"),
        (picture * 127, "[-1, 1]"), (picture.astype(float), "float64"), (picture * np.nan, "nan"), (None, "picture"),
        ((picture * 127 + 128).astype("uint8"), "to_float"),
    ):  # fmt: skip
        with refuses(word):
            one.animate(bad, seed=0)
    for bad in ({"count": 0, "seed": 0}, {"count": 1.5, "seed": 0}, {"seed": -1}, {"seed": 0.5}):
        with refuses("expected"):
            one.animate(picture, **bad)


# --------------------------------------------------------------------------------------------------- training


def test_clips_come_from_the_averaged_weights_and_so_do_presets():
    one = ready(model(), rate=1e-2)
    one.fit(clips(), batch_size=4, epochs=4, verbose=0)
    made = one.generate(2, seed=1)
    assert [weight is averaged for weight, averaged in zip(one.preset_weights, one.averaged.weights, strict=True)]
    raw = one.generator([*one.noise(2, draw_seed(1))])["clips"].numpy()
    assert np.abs(made - np.clip(raw, -1, 1)).max() > 1e-4
    again = model(seed=5)
    again.set_preset_weights([weight.numpy() for weight in one.preset_weights])
    np.testing.assert_array_equal(again.generate(2, seed=1), made)
    np.testing.assert_array_equal(again.animate(made[0, 0], seed=2), one.animate(made[0, 0], seed=2))


def test_it_learns_which_way_a_texture_drifts():
    # All clips drift to the right; before training they move to all sides.
    world = LinearGaussian(frames=6, size=12, waves=4, velocities=((1.5, 0.0),), memory=1.0, signal=0.24, noise=0.01)
    one = ready(FlowWarpGAN(world.clip_shape, width=8, content_size=8, motion_size=2, penalty=0.1), rate=3e-3)
    before = parts(one, 64)
    one.fit(world.sample(256, 0).clips, batch_size=32, epochs=12, verbose=0)
    after = parts(one, 64)
    apart = [np.linalg.norm(made["flow"] - (1.5, 0), axis=-1).mean() for made in (before, after)]
    assert apart[1] < 0.5 * apart[0], apart  # a fifth is usual; processors differ


# ---------------------------------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"farthest": 0}, "farthest"), ({"farthest": -1}, "farthest"), ({"farthest": "far"}, "farthest"),
        ({"farthest": float("nan")}, "farthest"), ({"width": 0}, "width"), ({"content_size": 0}, "content_size"),
        ({"motion_size": 1.5}, "motion_size"), ({"average": 1.0}, "average"), ({"loss": "hinge"}, "hinge"),
        ({"penalty": -1}, "penalty"), ({"penalty_share": 0}, "penalty_share"), ({"patience": 0}, "patience"),
        ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(options, word):
    with refuses(word):
        model(**options)


def test_a_single_frame_cannot_move():
    with refuses("2 frames"):
        model((1, 10, 14, 3))


def test_noise_of_other_shapes_is_refused():
    one = model()
    content, motion = (part.numpy() for part in one.noise(2, draw_seed(0)))
    for bad in (
        (content[:, :-1], motion), (content, motion[:1]), (content, motion[:, 1:]), (content * np.nan, motion),
        (content[:0], motion[:0]),
    ):  # fmt: skip
        with refuses("expected"):
            one.parts(*bad)


# ------------------------------------------------------------------------------------------------- what it achieves


def test_the_preset_moves_as_the_world_does_and_better_than_those_that_paint():
    """Issue 4: an end-point error of at most 0.5 pixels where the world is textured; a warping error at least 30 % below
    VideoGAN's, at no worse Fréchet distance, on the same clips after the same time (benchmarks/optical_flow.py)."""
    recipe = presets.card("warp-texture")["recipe"]
    world = LinearGaussian(**recipe["world_config"])
    real = world.sample(1000, 11).clips
    waves = lambda clips: world.read(clips)["state"].reshape(len(clips), -1)  # noqa: E731
    models = {name: presets.load(name) for name in ("warp-texture", "gan-texture", "paint-texture")}
    made = {name: one.generate(1000, seed=12) for name, one in models.items()}
    frechet = {name: frechet_distance(waves(real), waves(clips)) for name, clips in made.items()}
    warping = {name: world.scores(clips)["warping_error"] for name, clips in made.items()}
    for other in ("gan-texture", "paint-texture"):
        assert presets.card(other)["recipe"]["world_config"] == recipe["world_config"]
        assert warping["warp-texture"] <= 0.7 * warping[other]
        assert frechet["warp-texture"] <= frechet[other]
    found = parts(models["warp-texture"], 300)
    velocity = world.read(np.clip(found["clips"], -1, 1))["velocity"]  # the likeliest of the world's eight
    flow, true = found["flow"], np.broadcast_to(velocity[:, None, None, None], found["flow"].shape)
    assert endpoint_error(flow, true).mean() <= 0.5
    assert endpoint_error(0 * flow, true).mean() > 1.4
