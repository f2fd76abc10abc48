"""The world of a moving camera, and optical flow estimated from pixels: truth against pixels and against each other."""

import numpy as np
import pytest
from conftest import noise, refuses
from PIL import Image

from vidgen_tf.flow_estimation import estimate_flow
from vidgen_tf.metrics import endpoint_error, warping_error
from vidgen_tf.worlds.camera import PHOTOGRAPHS, MovingCamera

WORLD = MovingCamera(("cat", "coffee", "strokes"), frames=3, size=32)


def test_the_same_seed_gives_the_same_bits():
    first, again, other = (WORLD.sample(3, seed) for seed in (1, 1, 2))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert first.clips.tobytes() != other.clips.tobytes()
    assert first.clips.shape == (3, 3, 32, 32, 3)
    assert first.captions[0] == f"a camera over the picture {WORLD.names[first.truth['picture'][0]]}"


def test_frames_follow_from_each_other_along_the_flow():
    sample = WORLD.sample(12, 3)
    flow, seen = sample.truth["flow"], sample.truth["seen"]
    still = warping_error(sample.clips, 0 * flow, seen)
    right, wrong = warping_error(sample.clips, flow, seen), warping_error(sample.clips, -flow, seen)
    moving = np.linalg.norm(flow, axis=-1).mean(axis=(1, 2, 3)) > 1
    assert moving.sum() > 3
    assert (right[moving] < 0.4 * still[moving]).all()  # what is left is what interpolation blurs
    assert (right[moving] < 0.3 * wrong[moving]).all()


def test_what_comes_from_beyond_the_border_was_not_seen():
    truth = WORLD.sample(6, 4).truth
    x, y = np.meshgrid(np.arange(32), np.arange(32))
    before = np.stack([x, y], axis=-1) - truth["flow"]
    inside = ((before > -1e-3) & (before < 31 + 1e-3)).all(axis=-1)
    assert (inside == truth["seen"]).mean() > 0.999


def test_no_pan_no_zoom_no_turn_is_no_flow(monkeypatch):
    monkeypatch.setattr("vidgen_tf.worlds.camera.ZOOM", 0)
    monkeypatch.setattr("vidgen_tf.worlds.camera.TURN", 0)
    sample = MovingCamera("cat", frames=3, size=16, farthest=0).sample(2, 0)
    np.testing.assert_allclose(sample.truth["flow"], 0, atol=1e-6)
    np.testing.assert_allclose(sample.clips[:, 0], sample.clips[:, 2], atol=1e-6)


def test_the_flow_that_is_read_is_near_the_truth():
    sample = MovingCamera(("cat", "coffee"), frames=2, size=48).sample(3, 5)
    read = MovingCamera(("cat",), size=48).read(sample.clips)
    error = endpoint_error(read["flow"], sample.truth["flow"], sample.truth["seen"])
    nothing = endpoint_error(0 * read["flow"], sample.truth["flow"], sample.truth["seen"])
    assert (error < 0.35 * nothing).all()
    assert (read["seen"] & sample.truth["seen"]).mean() > 0.7


def test_a_still_clip_has_no_flow_and_all_was_seen():
    clip = np.repeat(MovingCamera("cat", frames=1, size=32).sample(1, 0).clips, 2, axis=1)
    flow, seen = estimate_flow(clip)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(flow, 0, atol=1e-6)
    assert seen.all()


@pytest.mark.parametrize("tall", [False, True])
def test_what_enters_a_frame_that_is_not_square_was_not_seen(tall):
    """A picture of 24 × 51 pixels, of which a window of 48 goes three to the left, so that all in it goes to the right."""
    waves = np.random.default_rng(0).uniform(-0.9, 0.9, (9, 18)).astype(np.float32)
    wide = np.asarray(Image.fromarray(waves).resize((51, 24), Image.Resampling.BICUBIC)).clip(-1, 1)
    clip = np.stack([wide[:, 3:], wide[:, :-3]])
    flow, seen = estimate_flow((clip.transpose(0, 2, 1) if tall else clip)[None, ..., None])
    flow, seen = flow[0, 0], seen[0, 0]
    if tall:
        flow, seen = flow.transpose(1, 0, 2)[..., ::-1], seen.T
    assert not seen[:, :2].any()
    assert seen[:, 2].mean() < 0.5  # some come from the very edge
    assert seen[:, 3:].mean() > 0.9
    assert np.abs(flow[:, 3:] - [3, 0]).mean() < 0.3


@pytest.mark.parametrize("tall", [False, True])
def test_what_stretches_in_a_frame_that_is_not_square_is_seen_to_its_far_end(tall):
    """Its left border stays, and what is farther to the right goes farther, up to three pixels."""
    waves = Image.fromarray(np.random.default_rng(0).uniform(-0.9, 0.9, (9, 18)).astype(np.float32))
    frames = [np.asarray(waves.resize((width, 24), Image.Resampling.BICUBIC))[:, :48] for width in (48, 51)]
    clip = np.stack(frames).clip(-1, 1)
    flow, seen = estimate_flow((clip.transpose(0, 2, 1) if tall else clip)[None, ..., None])
    flow, seen = (flow[0, 0].transpose(1, 0, 2)[..., ::-1], seen[0, 0].T) if tall else (flow[0, 0], seen[0, 0])
    assert seen[:, 36:].mean() > 0.9
    assert np.abs(flow[..., 0] - 3 * np.arange(48) / 51).mean() < 0.3


def test_all_photographs_are_there():
    world = MovingCamera(frames=1, size=16)
    assert world.names == tuple(PHOTOGRAPHS)
    assert world.sample(1, 0).truth["flow"].shape == (1, 0, 16, 16, 2)


def test_bad_input_is_refused():
    for options in ({"names": ("dog",)}, {"names": ()}, {"size": 8}, {"size": 300}, {"frames": 0}, {"farthest": -1.0}):
        with refuses(next(iter(options))):
            MovingCamera(**options)
    with refuses("frames of shape"):
        WORLD.read(noise(1, 2, 16, 16, 3))
    for clips in (noise(1, 1, 32, 32, 3), noise(1, 2, 8, 32, 3)):
        with refuses("estimate_flow"):
            estimate_flow(clips)
