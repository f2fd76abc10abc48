"""The autoencoder of keypoints: what it draws moves with them, it finds things by itself, and what it refuses."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.keypoints import PART, POSITION, Fields, KeypointAutoencoder, asked_for, corners, places
from vidgen_tf.quiet import keras, tf
from vidgen_tf.worlds.shapes import Shapes

SHAPE = (8, 24, 24, 3)
WORLD = Shapes(frames=8, size=24, objects=(1,))


def small(**options) -> KeypointAutoencoder:
    return KeypointAutoencoder(
        **{"clip_shape": SHAPE, "keypoints": 3, "code": 4, "width": 8, "depth": 1, "hidden": 16} | options
    )


def dice_of_pixels(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(1e-6, 1, (count, 576)).astype(np.float32)


@pytest.fixture(scope="module")
def trained() -> KeypointAutoencoder:
    model = small(width=16, hidden=32, depth=2, sparsity=2e-3, seed=1)
    model.compile(keras.optimizers.Adam(4e-3))
    model.fit(WORLD.sample(400, 1).clips, epochs=40, batch_size=32, verbose=0)
    return model


def test_places_are_the_centres_of_pixels():
    found = places(2, 4)
    assert found.shape == (8, 2)
    np.testing.assert_allclose(found[:4, 0], [-0.75, -0.25, 0.25, 0.75])  # x runs along a row
    np.testing.assert_allclose(found[::4, 1], [-0.5, 0.5])


def test_keypoints_begin_with_the_corners_of_the_cube_of_colours():
    np.testing.assert_allclose(corners(3, 3), [[0.6, -0.6, -0.6], [-0.6, 0.6, -0.6], [0.6, 0.6, -0.6]], atol=1e-6)
    assert len({tuple(color) for color in corners(8, 3)}) == 8
    np.testing.assert_array_equal(corners(9, 3)[8], corners(1, 3)[0])


def test_a_keypoint_has_one_colour_whatever_its_code():
    fields, points = fields_and_points()
    points[:, :-1, 2] = 5  # all there
    points[:, 1:-1, :2] = 40  # and all but the first far away
    points[:, -1, :3] = -1
    drawn = fields(points).numpy() + 1  # on black: shares of one colour
    middle = drawn[drawn.sum(axis=-1) > 0.1]
    assert len(middle) > 10
    color = corners(3, 3)[0] + 1
    np.testing.assert_allclose(middle / middle[:, :1], np.broadcast_to(color / color[0], middle.shape), atol=1e-4)


def fields_and_points(seed: int = 0):
    fields, dice = Fields(12, 16, 3, hidden=8), np.random.default_rng(seed)
    points = dice.normal(0, 0.5, (2, 4, 7)).astype("float32")
    return fields, points


def test_what_is_drawn_moves_with_its_keypoint_and_changes_in_nothing_else():
    fields, points = fields_and_points()
    before = fields(points).numpy().reshape(2, 12, 16, 3)
    moved = points.copy()
    moved[:, :-1, 0] += 2 * 3 / 8  # three pixels to the right: of 16 in all, 2 is half a frame
    moved[:, :-1, 1] -= 2 * 2 / 6  # two pixels up, of 12
    after = fields(moved).numpy().reshape(2, 12, 16, 3)
    np.testing.assert_allclose(after[:, :-2, 3:], before[:, 2:, :-3], atol=1e-5)


def test_far_from_all_keypoints_there_is_the_ground():
    fields, points = fields_and_points()
    points[:, :-1, 0] = 40
    drawn = fields(points).numpy()
    np.testing.assert_allclose(drawn, np.broadcast_to(points[:, -1:, :3], drawn.shape), atol=1e-5)


def test_some_pixels_are_those_of_the_whole_picture():
    fields, points = fields_and_points()
    pixels = np.array([[5, 0, 191, 77], [1, 2, 3, 190]], np.int32)  # others of each
    whole = np.take_along_axis(fields(points).numpy(), pixels[..., None], axis=1)
    np.testing.assert_allclose(fields(points, pixels), whole, atol=1e-6)


def test_pixels_near_a_thing_are_asked_for_rather_than_those_of_the_ground():
    pictures, dice = np.full((400, 16, 16, 3), -0.5, np.float32), np.random.default_rng(1)
    pictures[:, 4:7, 9:12] = 0.5
    pixels = asked_for(pictures, dice.uniform(1e-6, 1, (400, 256)).astype(np.float32)).numpy()
    assert pixels.shape == (400, 256 // PART)
    assert all(len(set(row)) == 256 // PART for row in pixels)  # none of them twice
    asked = np.bincount(pixels.ravel(), minlength=256).reshape(16, 16) / 400
    near = np.zeros((16, 16), bool)
    near[2:9, 7:14] = True  # two pixels around it
    assert asked[near].min() > 0.4
    assert asked[~near].max() < 0.1
    assert asked[~near].min() > 0  # but the ground is asked for, too


def test_pixels_of_an_empty_picture_are_all_asked_for_equally():
    dice = np.random.default_rng(2).uniform(1e-6, 1, (2000, 64)).astype(np.float32)
    asked = np.bincount(asked_for(np.zeros((2000, 8, 8, 3), np.float32), dice).numpy().ravel(), minlength=64) / 2000
    np.testing.assert_allclose(asked, 1 / PART, atol=0.03)  # four standard deviations


def test_latents_have_the_shape_that_is_promised_and_go_back_through_the_scale():
    model, clips = small(), WORLD.sample(5, 3).clips
    for _ in range(3):  # the scale is something
        model.cost(clips, np.zeros((5, 4, 6), np.float32), np.linspace(0, 0.99, 5, dtype=np.float32), dice_of_pixels(5))
    assert model.latent_shape == (8, 1, 4, 6)
    latents = model.encode(clips)
    assert latents.shape == (5, 8, 1, 4, 6)
    assert latents.dtype == np.float32
    by_hand = model.fields(model.encoder(clips.reshape(-1, 24, 24, 3))).numpy().reshape(clips.shape)
    np.testing.assert_allclose(model.decode(latents), np.clip(by_hand, -1, 1), atol=1e-4)


def test_it_learns_to_give_clips_back_and_finds_the_things_untold(trained):
    sample = WORLD.sample(60, 7)
    latents = trained.encode(sample.clips)
    error = np.mean((trained.decode(latents) - sample.clips) ** 2)
    nothing = np.mean((np.median(sample.clips, axis=(2, 3), keepdims=True) - sample.clips) ** 2)  # the ground alone
    assert error < 0.35 * nothing
    position, there = trained.keypoints_of(latents)
    assert position.shape == (60, 8, 3, 2)
    # The keypoint that is there most lies on the thing, whose smallest radius is 2 pixels.
    most = there.mean(axis=1).argmax(axis=1)
    away = np.linalg.norm(position[np.arange(60), :, most] - sample.truth["position"][:, :, 0], axis=-1)
    assert np.median(away) < 2


def test_over_all_clips_latents_have_mean_zero_and_positions_a_larger_deviation(trained):
    latents = trained.encode(WORLD.sample(200, 9).clips)
    latents[..., :-1, :2] /= POSITION
    latents = latents.reshape(-1, 24)
    used = trained.scale.moving_variance.numpy() > 1e-2
    assert used.sum() > 8
    # The statistics are moving averages of batches in training, so they are near the last ones, not equal.
    assert np.median(np.abs(latents.mean(axis=0)[used])) < 0.3
    assert np.median(np.abs(latents.std(axis=0)[used] - 1)) < 0.25


def test_the_loss_is_the_squared_error_and_what_keypoints_cost():
    model, clips = small(sparsity=0.5), WORLD.sample(3, 2).clips
    model.compile(run_eagerly=True)
    said = model.evaluate(clips, verbose=0, return_dict=True)
    points = model.encoder(clips.reshape(-1, 24, 24, 3)).numpy()
    error = np.mean((model.fields(points).numpy() - clips.reshape(-1, 576, 3)) ** 2)
    assert said["squared_error"] == pytest.approx(error, rel=1e-3)
    assert said["presence"] == pytest.approx(points[:, :-1, 2].sum(axis=1).mean(), rel=1e-4)
    assert said["loss"] == pytest.approx(error + 0.5 * said["presence"] / 3, rel=1e-3)


def test_training_looks_at_one_frame_of_each_clip_and_at_some_pixels():
    model, clips = small(), WORLD.sample(2, 2).clips
    which, every = np.array([0.999, 0.0], np.float32), dice_of_pixels(2)
    error, _ = model.cost(clips, np.zeros((2, 4, 6), np.float32), which, every)
    chosen = np.stack([clips[0, -1], clips[1, 0]])
    pixels = asked_for(chosen, every).numpy()[..., None]
    difference = model.fields(model.encoder(chosen)).numpy() - chosen.reshape(2, 576, 3)
    assert float(error) == pytest.approx(np.mean(np.take_along_axis(difference, pixels, axis=1) ** 2), rel=1e-4)
    noisy, _ = model.cost(clips, 50 * np.ones((2, 4, 6), np.float32), which, every)
    assert float(noisy) != pytest.approx(float(error), rel=1e-3)


def test_what_is_not_there_is_nowhere():
    model = small()
    points = model.encoder(WORLD.sample(2, 2).clips[:, 0]).numpy()
    there = points[:, :-1, 2]
    assert (there > 0).all()
    assert (there < 1).all()
    assert (np.abs(points[:, :-1, :2]) <= 2 * there[..., None] + 1e-6).all()


def test_what_does_not_fit_is_refused(trained):
    with refuses("even"):
        small(clip_shape=(8, 25, 24, 3))
    with refuses("3 channels"):
        small(clip_shape=(8, 24, 24, 1))
    with refuses("code", "1"):
        small(code=1)
    for name in ("keypoints", "code", "width", "depth", "hidden", "noise", "sparsity", "seed"):
        with refuses(name, "-1"):
            small(**{name: -1})
    with refuses("clip"):
        trained.encode(WORLD.sample(1, 1).clips[:, :2])
    for wrong in (np.zeros((1, 8, 1, 4, 5)), np.full((1, 8, 1, 4, 6), np.nan)):
        with refuses("latents", "finite"):
            trained.decode(wrong)
        with refuses("latents", "finite"):
            trained.keypoints_of(wrong)
    with refuses("no clips of its own"):
        trained.generate(1, seed=0)


def test_the_seed_decides_on_the_weights():
    first, again, other = (small(seed=seed).preset_weights for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_it_comes_back_from_a_file_and_from_its_preset_weights(trained, tmp_path):
    clips = WORLD.sample(3, 4).clips
    trained.save(tmp_path / "keypoints.keras")
    again = keras.models.load_model(tmp_path / "keypoints.keras")
    assert again.get_config() == trained.get_config()
    assert again.encode(clips).tobytes() == trained.encode(clips).tobytes()
    new = small(width=16, hidden=32, depth=2, seed=5)
    new.set_preset_weights([weight.numpy() for weight in trained.preset_weights])
    assert new.decode(new.encode(clips)).tobytes() == trained.decode(trained.encode(clips)).tobytes()


def test_each_step_draws_other_frames_and_other_noise():
    model = small(noise=1.0)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    clips = np.repeat(WORLD.sample(1, 3).clips, 4, axis=0)
    first = model.fit(clips, epochs=2, batch_size=4, shuffle=False, verbose=0).history["loss"]
    assert first[0] != first[1]  # nothing was learned at a rate of 0


def test_fields_come_back_from_their_config():
    fields = Fields(12, 16, 3, hidden=8, seed=4)
    again = Fields.from_config(fields.get_config())
    points = np.zeros((1, 3, 6), np.float32)
    np.testing.assert_array_equal(fields(points), again(tf.constant(points)))
