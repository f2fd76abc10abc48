"""The detector: boxes as heat and back, the loss and average precision in closed form, mirrors, and one sentence for what is wrong."""

import numpy as np
import pytest
from conftest import refuses

import vidgen_tf as vg
from vidgen_tf.detector import MOST, _augmented, _focal_loss, _mirrored, _seen
from vidgen_tf.quiet import keras

SHAPE = (8, 32, 48, 3)


@pytest.fixture(scope="module")
def street():
    return vg.Street("A", real=True, light="day", rain=False).sample(6, 3)


@pytest.fixture(scope="module")
def detector():
    return vg.Detector(SHAPE)


def truth_of(*boxes, kind=0, visible=1.0) -> dict[str, np.ndarray]:
    """The truth of one clip of one frame."""
    boxes = np.array(boxes, np.float32)[None, None]
    return {
        "boxes": boxes,
        "kind": np.full((1, boxes.shape[2]), kind),
        "visible": np.full(boxes.shape[:3], visible, np.float32),
    }


def found_of(*boxes, scores=None, kind=0) -> dict[str, np.ndarray]:
    boxes = np.array(boxes, np.float32)[None, None]
    scores = np.linspace(0.9, 0.5, boxes.shape[2]) if scores is None else np.array(scores)
    return {"boxes": boxes, "score": scores[None, None], "kind": np.full(boxes.shape[:3], kind)}


def perfect(truth) -> dict[str, np.ndarray]:
    """What a detector that makes no mistake finds: exactly the true boxes."""
    boxes = truth["boxes"]
    return {
        "boxes": np.nan_to_num(boxes),
        "score": np.isfinite(boxes[..., 0]) * 0.9,
        "kind": np.broadcast_to(truth["kind"][:, None], boxes.shape[:3]),
    }


ONE, TWO, FAR = (4, 4, 8, 12), (20, 10, 32, 16), (40, 20, 44, 30)


def test_intersection_over_union_of_shifted_boxes_is_known():
    for shift in range(5):
        moved = np.add(ONE, (shift, 0, shift, 0))
        shared = max(0, 4 - shift) * 8
        assert vg.box_iou(np.array(ONE), moved) == pytest.approx(shared / (2 * 4 * 8 - shared))


def test_average_precision_of_what_is_known():
    both = truth_of(ONE, TWO)
    assert vg.average_precision(found_of(ONE, TWO), both) == pytest.approx(100)
    assert vg.average_precision(found_of(ONE), both) == pytest.approx(50)  # one miss of two
    assert vg.average_precision(found_of(FAR), both) == 0
    assert vg.average_precision(found_of(ONE, TWO, FAR), both) == pytest.approx(100)  # a false box after all true ones
    assert vg.average_precision(found_of(FAR, ONE, TWO), both) == pytest.approx(100 * 2 / 3)  # and before them
    assert vg.average_precision(found_of(ONE, FAR, TWO), both) == pytest.approx(100 * (0.5 + 0.5 * 2 / 3))
    assert vg.average_precision(found_of(ONE, ONE, TWO), both) == pytest.approx(
        100 * (0.5 + 0.5 * 2 / 3)
    )  # found twice
    assert vg.average_precision(found_of(ONE, TWO, scores=(0.01, 0.01)), both) == 0  # sure of nothing
    assert vg.average_precision(found_of(ONE, TWO, kind=1), both) == 0  # takes people for vehicles


def test_average_precision_asks_only_for_the_order_of_scores(street):
    truth, dice = street.truth, np.random.default_rng(0)
    found = perfect(truth)
    assert vg.average_precision(found, truth) == pytest.approx(100)
    extra = dice.uniform(0, 20, (*found["boxes"].shape[:2], 8, 2))
    mixed = {
        "boxes": np.concatenate([found["boxes"], np.concatenate([extra, extra + 4], axis=-1)], axis=2),
        "kind": np.concatenate([found["kind"], dice.integers(2, size=extra.shape[:3])], axis=2),
    }
    scores = np.concatenate([np.where(found["score"] > 0, 0.9, 0), np.full(extra.shape[:3], 0.1)], axis=2)
    assert vg.average_precision(mixed | {"score": scores}, truth) == pytest.approx(100)
    shuffled = dice.uniform(0.1, 0.9, scores.shape) * (scores > 0)
    value = vg.average_precision(mixed | {"score": shuffled}, truth)
    assert 5 < value < 70
    assert vg.average_precision(mixed | {"score": shuffled**3}, truth, least_iou=0.5) <= value  # some fall below 0.02
    assert vg.average_precision(mixed | {"score": (1 + shuffled) / 2 * (scores > 0)}, truth) == pytest.approx(value)
    order = dice.permutation(scores.shape[2])
    turned = {name: values[:, :, order] for name, values in (mixed | {"score": shuffled}).items()}
    assert vg.average_precision(turned, truth) == pytest.approx(value)


def test_what_is_hidden_counts_neither_way():
    hidden = truth_of(ONE, TWO)
    hidden["visible"][0, 0, 0] = 0.2
    assert vg.average_precision(found_of(ONE, TWO), hidden) == pytest.approx(100)
    assert vg.average_precision(found_of(TWO), hidden) == pytest.approx(100)
    right, wanted, got = vg.match_boxes(found_of(ONE, TWO, FAR), hidden, 0)
    assert right.tolist() == [True, False]
    assert wanted[0, 0].tolist() == got[0, 0].tolist() == [False, True]


def test_matches_are_right_ones_and_misses():
    right, wanted, got = vg.match_boxes(found_of(FAR, ONE), truth_of(ONE, TWO), 0)
    assert (right.tolist(), wanted[0, 0].tolist(), got[0, 0].tolist()) == ([False, True], [True, True], [True, False])
    moved = np.add(TWO, (2, 0, 2, 0))  # IoU 10 / 14
    for least, found in ((0.7, True), (0.72, False)):
        assert vg.match_boxes(found_of(moved), truth_of(TWO), 0, least_iou=least)[2].item() is found
    assert vg.match_boxes(found_of(ONE, scores=(0.29,)), truth_of(ONE), 0, least_score=0.3)[0].size == 0
    assert not vg.match_boxes(found_of(ONE), truth_of(ONE), 1)[1].any()


def test_heat_is_one_in_the_cell_of_a_centre_and_falls_off_as_a_bell(detector):
    goal = detector.encode(truth_of((20, 10, 28, 22), kind=1))[0, 0]  # the centre is (24, 16), in cell 12, 8
    assert goal.shape == (16, 24, 6)
    assert goal[..., 0].max() == 0
    assert np.unravel_index(goal[..., 1].argmax(), (16, 24)) == (8, 12)
    wide, high = 8 / 8, 12 / 8
    for step in (1, 2, 3):
        assert goal[8, 12 + step, 1] == pytest.approx(np.exp(-((step / wide) ** 2)))
        assert goal[8 - step, 12, 1] == pytest.approx(np.exp(-((step / high) ** 2)))
    np.testing.assert_allclose(goal[8, 12, 2:], [wide, high, 0, 0])
    assert np.count_nonzero(goal[..., 2:].any(axis=-1)) == 1


def test_boxes_come_back_from_their_goals(detector, street):
    goals = detector.encode(street.truth)
    answers = np.concatenate([np.where(goals[..., :2] > 0.999, 9.0, -9.0), goals[..., 2:]], axis=-1)
    found = detector.decode(answers)
    assert found["boxes"].shape == (*goals.shape[:2], MOST, 4)
    assert (np.diff(found["score"], axis=-1) <= 0).all()
    assert vg.average_precision(found, street.truth, least_iou=0.999) == pytest.approx(100)


def test_a_mirrored_street_has_mirrored_goals_and_twice_is_the_identity(detector, street):
    seen, goals = _seen(street.clips), detector.encode(street.truth).reshape(-1, 16, 24, 6)
    turned = street.truth | {
        "boxes": np.array([48, 0, 48, 0]) + street.truth["boxes"][..., [2, 1, 0, 3]] * [-1, 1, -1, 1]
    }
    x, y = _mirrored(seen, goals)
    np.testing.assert_array_equal(x, _seen(street.clips[..., ::-1, :]))
    np.testing.assert_allclose(y, detector.encode(turned).reshape(y.shape), atol=1e-5)
    for once, twice in zip((seen, goals), _mirrored(x, y), strict=True):
        np.testing.assert_allclose(once, twice, atol=1e-6)


def test_augmentation_keeps_the_difference_from_the_median_in_step(street, detector):
    seen, goals = np.repeat(_seen(street.clips)[:1], 200, axis=0), np.zeros((200, 16, 24, 6), np.float32)
    seen = 0.2 * seen  # so that nothing is cut off
    x, _ = _augmented(seen, goals, np.random.default_rng(0))
    assert x.dtype == np.float32
    background = x[..., :3] + 1 - x[..., 3:]  # only the gain is left of the empty street, without noise
    gain = background / (seen[..., :3] + 1 - seen[..., 3:])
    direct = np.ptp(gain, axis=(1, 2)).max(axis=-1) < 1e-4
    assert 60 < direct.sum() < 140  # the others are mirrored
    assert 0.6 * 0.85 <= gain[direct].min() <= gain[direct].max() <= 1.3 * 1.15


def test_the_loss_is_the_sum_that_it_should_be():
    dice = np.random.default_rng(1)
    goal, answer = np.zeros((2, 4, 4, 6), np.float32), dice.normal(size=(2, 4, 4, 6)).astype(np.float32)
    goal[0, 1, 2], goal[0, 1, 1, 0] = [1, 0, 2, 3, 0.5, 0.5], 0.4
    chance, by_hand = 1 / (1 + np.exp(-answer[..., :2])), 0.0
    for place, heat in np.ndenumerate(goal[..., :2]):
        p = chance[place]
        by_hand -= (1 - p) ** 2 * np.log(p) if heat == 1 else (1 - heat) ** 4 * p**2 * np.log(1 - p)
    by_hand += np.abs(answer[0, 1, 2, 2:] - goal[0, 1, 2, 2:]).sum()
    assert float(_focal_loss(goal, answer)) == pytest.approx(by_hand / 2, rel=1e-5)


def test_a_short_training_lowers_the_loss_and_is_the_same_for_the_same_seed(street):
    def learned(seed):
        model = vg.Detector(SHAPE, seed=seed)
        history = model.learn(
            [(street.clips, street.truth)] * 2, 12, seed, batch_size=8, steps_per_epoch=3, epochs=4
        ).history["loss"]
        return model, history

    np.random.seed(7)  # noqa: NPY002 - what is global must not matter
    model, history = learned(1)
    assert history[-1] < 0.8 * history[0]
    again, same = learned(1)
    np.testing.assert_allclose(history, same, rtol=1e-4)
    assert learned(2)[1] != history
    found = model.detect(street.clips[:2])
    assert {name: values.shape for name, values in found.items()} == {
        "boxes": (2, 8, MOST, 4), "score": (2, 8, MOST), "kind": (2, 8, MOST)
    }  # fmt: skip
    np.testing.assert_allclose(again.detect(street.clips[:2])["score"], found["score"], atol=1e-4)
    assert model.detect(street.clips[:1, :3])["boxes"].shape == (1, 3, MOST, 4)  # any number of frames


def test_first_weights_are_those_of_keras_for_this_seed(detector):
    keras.utils.set_random_seed(5)
    first = keras.layers.Conv2D(32, 3, kernel_initializer="he_normal")  # the first that the network draws
    first.build((None, 32, 48, 32))
    kernels = [weight for weight in vg.Detector(SHAPE, seed=5).get_weights() if weight.shape == (3, 3, 32, 32)]
    assert any((kernel == np.array(first.kernel)).all() for kernel in kernels)
    assert sum(weight.size for weight in detector.get_weights()) == 74_390


def test_other_sizes(street):
    small = vg.Detector((3, 16, 20, 3))
    clips = street.clips[:, :3, :16, :20]
    assert small.detect(clips)["boxes"].shape == (6, 3, MOST, 4)
    assert small.encode(truth_of(ONE)).shape == (1, 1, 8, 10, 6)
    outside = small.encode(truth_of((-9, 2, -3, 6), (30, 30, 34, 40)))  # the nearest cell has the centre
    assert (outside[0, 0, ..., 0] == 1).sum() == 2


@pytest.mark.parametrize("shape", [(8, 30, 48, 3), (8, 32, 48, 1), (32, 48, 3), "street"])
def test_other_clip_shapes_are_refused(shape):
    with refuses("clip_shape"):
        vg.Detector(shape)


def test_what_learn_refuses(detector, street):
    one = (street.clips, street.truth)
    with refuses("list of pairs"):
        detector.learn(one, 4, 0)
    with refuses("list of pairs"):
        detector.learn([], 4, 0)
    with refuses("multiple of 3"):
        detector.learn([one] * 3, 4, 0)
    with refuses("steps", "0"):
        detector.learn([one], 0, 0)
    with refuses("seed"):
        detector.learn([one], 4, -1)
    with refuses("(8, 32, 48, 3)"):
        detector.learn([(street.clips[:, :4], street.truth)], 4, 0)
    with refuses("6 of 8", "same sample"):
        detector.learn([(street.clips[:3], street.truth)], 4, 0)
    with refuses("dictionary", "visible"):
        detector.learn([(street.clips, {"boxes": street.truth["boxes"]})], 4, 0)


def test_what_detect_encode_and_decode_refuse(detector, street):
    with refuses("(32, 48, 3)"):
        detector.detect(street.clips[:, :, :16])
    with refuses("float32"):
        detector.detect(street.clips.astype(float))
    with refuses("count, frames, agents"):
        detector.encode(street.truth | {"visible": street.truth["visible"][:, 0]})
    with refuses("dictionary"):
        detector.encode(street.truth["boxes"])
    with refuses("(count, frames, 16, 24, 6)"):
        detector.decode(np.zeros((8, 16, 24, 6)))


def test_what_measures_refuse(street):
    truth, found = street.truth, perfect(street.truth)
    with refuses("score", "dictionary"):
        vg.average_precision(truth, truth)
    with refuses("same clips"):
        vg.average_precision({name: values[:2] for name, values in found.items()}, truth)
    with refuses("no visible person"):
        vg.average_precision(found, truth | {"visible": 0 * truth["visible"]})
    with refuses("least_iou"):
        vg.average_precision(found, truth, least_iou=0)
    with refuses("least_iou"):
        vg.match_boxes(found, truth, 0, least_iou=1.5)
    with refuses("kind is 2"):
        vg.match_boxes(found, truth, 2)
    with refuses("twice (count, frames, boxes)"):
        vg.match_boxes(found | {"score": found["score"][0]}, truth, 0)
