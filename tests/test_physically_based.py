"""The renderer under the contract of a family: scenes in, clips out; and scenes from captions."""

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf.denoiser import Denoiser
from vidgen_tf.families.physically_based import PathTracer, thrown_balls
from vidgen_tf.path_tracing import developed, features, radiance
from vidgen_tf.quiet import keras
from vidgen_tf.scenes import Box, Camera, Pyramid, Rectangle, Scene, Sphere, floor, pack
from vidgen_tf.worlds.scenes import scenes_of
from vidgen_tf.worlds.shapes import Shapes, agrees

CLIP = (3, 8, 8, 3)


def test_a_frame_is_the_developed_light_of_its_moment():
    path = np.array([[-1, 0.5, 0], [0, 0.5, 0], [1, 0.5, 0]], float)
    scene = Scene((floor(), Sphere(path, 0.5)), Camera((0, 1, 5), (0, 0.5, 0)), exposure=0.7)
    clip = PathTracer(CLIP, samples=64).generate(1, [scene], seed=3)[0]
    for frame in range(3):
        light = radiance(pack(scene, 3), frame, height=8, width=8, samples=256, seed=9)
        assert np.abs(clip[frame] - developed(light, 0.7)).mean() < 0.03
    assert np.abs(clip[0] - clip[2]).max() > 0.1


def test_a_denoiser_cleans_the_light_of_each_frame_before_it_is_developed():
    scene, denoiser = thrown_balls(3, 1), Denoiser(4, 1, 1, seed=2)
    output = denoiser.chooser.layers[-1]
    dice = np.random.default_rng(0)
    output.set_weights([dice.normal(0, 1, weights.shape) for weights in output.get_weights()])
    plain, tracer = (PathTracer(CLIP, samples=2, denoiser=one) for one in (None, denoiser))
    arrays = pack(scene, 3)
    own = int(np.random.SeedSequence([5, 0]).generate_state(1, np.uint64)[0] >> 1)  # the seed of the first clip
    made, noisy = (each.generate(1, [scene], seed=5)[0] for each in (tracer, plain))
    for frame in range(3):
        light = plain.light(arrays, frame, own).numpy()
        np.testing.assert_array_equal(noisy[frame], developed(light, scene.exposure))
        seen = features(arrays, frame, height=8, width=8, samples=4, seed=own).numpy()
        clean = denoiser.clean(light[None], seen[None])[0]
        np.testing.assert_allclose(made[frame], developed(clean, scene.exposure), atol=1e-5)
        assert np.abs(made[frame] - noisy[frame]).max() > 0.05


def test_clips_of_one_call_are_those_of_single_calls_and_have_noise_of_their_own():
    scene, tracer = thrown_balls(3, 1), PathTracer(CLIP, samples=2)
    both = tracer.generate(2, [scene, scene], seed=5)
    np.testing.assert_array_equal(both[:1], tracer.generate(1, [scene], seed=5))
    assert np.abs(both[0] - both[1]).max() > 1e-3
    assert tracer.rays > 3 * 64 * 2


def test_more_samples_mean_less_noise_and_bounces_more_light():
    scene = thrown_balls(3, 2)
    few, many, best = (PathTracer(CLIP, samples=samples).generate(1, [scene], seed=seed)
                       for samples, seed in ((1, 0), (16, 1), (256, 2)))  # fmt: skip
    assert np.square(many - best).mean() < 0.3 * np.square(few - best).mean()
    assert PathTracer(CLIP, samples=64, bounces=1).generate(1, [scene], seed=2).mean() < best.mean()


def test_thrown_balls_are_a_scene_of_their_seed():
    one, again, other = thrown_balls(5, 3), thrown_balls(5, 3), thrown_balls(5, 4)
    for name, values in pack(one, 5).items():
        np.testing.assert_array_equal(values, pack(again, 5)[name])
    assert not np.array_equal(pack(one, 5)["camera"], pack(other, 5)["camera"])
    for seed in range(30):
        balls = [thing for thing in thrown_balls(2, seed).things if isinstance(thing, Sphere)]
        assert 3 <= len(balls) <= 5  # and none of them overlap, or simulate would have said so


def test_it_says_that_it_has_nothing_to_learn():
    tracer, clips = PathTracer(CLIP), np.zeros((1, *CLIP), np.float32)
    for use in (tracer.fit, tracer.evaluate):
        with refuses("nothing to learn", "Denoiser"):
            use(clips)


def test_a_saved_renderer_comes_back_the_same(tmp_path):
    tracer = PathTracer(CLIP, samples=2, bounces=4)
    tracer.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == tracer.get_config()
    assert again.generate(1, seed=4).tobytes() == tracer.generate(1, seed=4).tobytes()


def test_bad_arguments_are_refused_in_one_sentence():
    scene = thrown_balls(3, 0)
    for make, words in (
        (lambda: PathTracer((3, 8, 8, 1)), ("clip_shape", "3 channels")),
        (lambda: PathTracer(CLIP, samples=0), ("samples", "0")),
        (lambda: PathTracer(CLIP, bounces=0), ("bounces", "0")),
        (lambda: PathTracer(CLIP, denoiser=3), ("denoiser", "Denoiser")),
        (lambda: PathTracer(CLIP).generate(2, [scene], seed=0), ("condition", "2 clips")),
        (lambda: PathTracer(CLIP).generate(1, scene, seed=0), ("condition", "list")),
        (lambda: PathTracer(CLIP).generate(1, ["a red ball bounces"], seed=0), ("condition", "scenes_of")),
        (lambda: PathTracer(CLIP).generate(1, [thrown_balls(4, 0)], seed=0), ("4 frames", "3")),
    ):
        with refuses(*words):
            make()


# ------------------------------------------------------------------------------------------------- captions

WORDS = ("a red ball bounces", "a large blue cube rotates", "a green pyramid moves left and a small cyan cross grows")


def test_captions_become_the_things_they_name():
    ball, cube, two = scenes_of(WORDS, seed=0)
    kinds = [[type(thing) for thing in scene.things if type(thing) is not Rectangle] for scene in (ball, cube, two)]
    assert kinds == [[Sphere], [Box], [Pyramid, Box, Box]]
    assert ball.things[1].material.color[0] > 5 * max(ball.things[1].material.color[1:])
    height = ball.things[1].position[:, 1]
    assert np.diff(height)[0] < 0  # it falls,
    assert np.diff(height).max() > 0  # and comes back
    assert np.ptp(two.things[1].position[:, 0]) == pytest.approx(3.5)
    assert np.ptp(two.things[2].half[:, 0]) > 0.1
    for scene in (ball, cube, two):
        for values in pack(scene, 16).values():
            assert np.isfinite(values).all()


def test_a_ball_that_rolls_turns_as_far_as_it_goes():
    ball = scenes_of(["a red ball moves right"], seed=0, frames=9)[0].things[1]
    step = np.diff(ball.position[:, 0])
    np.testing.assert_allclose(step, step[0], rtol=1e-3)  # it sinks in by less than a millimetre
    between = np.einsum("tij,tkj->tik", ball.turn[1:], ball.turn[:-1])
    angle = np.arctan2(between[:, 0, 1], between[:, 0, 0])  # clockwise about the axis towards the camera
    np.testing.assert_allclose(angle, step / ball.radius[0], rtol=2e-3)


def test_the_same_seed_places_things_in_the_same_way():
    for name in ("solid_position", "sphere_position"):
        one, again, other = (pack(scenes_of(["a red ball bounces"], seed=s)[0], 16)[name] for s in (0, 0, 1))
        np.testing.assert_array_equal(one, again)
        assert name == "solid_position" or not np.array_equal(one, other)


def places_of(caption: str, seed: int) -> list[np.ndarray]:
    """Where the things of a caption are, each (16, 3)."""
    return [thing.position for thing in scenes_of([caption], seed=seed)[0].things[1:-1]]


@pytest.mark.parametrize("motion", ["moves left", "moves right", "moves up", "circles", "grows", "bounces"])
def test_a_seed_decides_where_things_are_but_not_where_they_go_left_or_right(motion):
    one, other = (np.stack(places_of(f"a red ball {motion} and a blue cube {motion}", seed)) for seed in (0, 1))
    assert np.array_equal(one, other) == (motion in ("moves left", "moves right"))


@pytest.mark.parametrize(
    "motion", ["moves left", "moves right", "moves up", "moves down", "circles", "grows", "bounces"]
)
def test_two_things_keep_to_lanes_of_their_own(motion):
    axis = 2 if motion in ("moves left", "moves right") else 0  # in depth, or side by side
    for seed in range(3):
        first, second = places_of(f"a red ball {motion} and a blue cube {motion}", seed)
        lanes = np.array([first[0, axis], second[0, axis]])
        if motion == "circles":
            lanes = np.array([first[:, axis].mean(), second[:, axis].mean()])  # the middle of the round
        np.testing.assert_allclose(lanes, [0.95, -0.95], atol=1e-6 if axis == 2 else 0.2)


def test_what_circles_goes_either_way_round():
    ways = set()
    for seed in range(8):
        (path,) = places_of("a red ball circles", seed)
        angle = np.unwrap(np.arctan2(*(path - path.mean(axis=0)).T[1::-1]))
        np.testing.assert_allclose(np.abs(np.diff(angle)), 2 * np.pi / 16, rtol=1e-6)
        ways.add(int(np.sign(angle[-1] - angle[0])))
    assert ways == {-1, 1}


def test_what_is_rendered_is_read_as_what_was_asked_for():
    world = Shapes(16, 32, objects=(1,))
    captions = [caption for caption in world.sample_captions(14, 5) if "bounces" not in caption]
    clips = PathTracer((16, 32, 32, 3), samples=4, bounces=3).generate(
        len(captions), scenes_of(captions, seed=1), seed=2
    )
    reading = world.read(clips)
    assert agrees(captions, reading, ("color",)).all()
    assert agrees(captions, reading, ("color", "motion")).mean() > 0.8  # rules made for flat shapes, and noise
    assert agrees(captions, reading, ("shape",)).mean() > 0.8


def test_bad_captions_are_refused_in_one_sentence():
    for change, words in (
        ({"captions": "a red ball bounces"}, ("captions", "brackets")),
        ({"captions": []}, ("captions", "empty")),
        ({"captions": ["a red dog bounces"]}, ("'dog'", "circle")),
        ({"captions": [3]}, ("caption", "3")),
        ({"captions": ["a red ball rotates"]}, ("rotates",)),
        ({"seed": -1}, ("seed", "-1")),
        ({"frames": 1}, ("frames", "1")),
        ({"fps": 0}, ("fps", "0")),
        ({"kind": "wood"}, ("wood", "glass")),
    ):
        with refuses(*words):
            scenes_of(**{"captions": ["a red ball bounces"], "seed": 0} | change)


def test_a_denoiser_must_be_there_and_not_its_class_alone():
    with refuses("denoiser", "trained"):
        PathTracer((2, 8, 8, 3), denoiser=Denoiser)
