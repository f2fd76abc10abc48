"""The drawn anatomy, its reader, the segmenter, and rays through a volume."""

import numpy as np
import pytest
from conftest import noise, refuses

import vidgen_tf as vg
from vidgen_tf.clips import check_clips
from vidgen_tf.worlds.anatomy import Anatomy, Slices, _depth, known_and_painted, paint_cases, redraw_outlines


@pytest.fixture(scope="module")
def sample():
    return Anatomy().sample(30, 4)


def test_a_sample_keeps_the_contract(sample):
    check_clips(sample.clips, Anatomy().clip_shape)
    assert sample.clips.shape == (30, 16, 32, 32, 3)
    assert sample.captions == ("an organ with a lesion",) * 30
    assert {name: values.shape for name, values in sample.truth.items()} == {
        "lesion": (30, 16, 32, 32),
        "organ": (30, 16, 32, 32),
        "volume": (30,),
        "contrast": (30, 2),
    }
    assert set(np.unique(sample.clips[..., 1:])) == {-1, 1}
    np.testing.assert_array_equal(sample.clips[..., 1] > 0, sample.truth["lesion"])
    np.testing.assert_array_equal(sample.clips[..., 2] > 0, sample.truth["organ"])
    assert not (sample.truth["lesion"] & ~sample.truth["organ"]).any()  # a lesion lies in its organ


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (Anatomy(0.5, 8, 16).sample(6, seed) for seed in (5, 5, 6))
    assert first.clips.tobytes() == again.clips.tobytes()
    assert (first.clips != other.clips).any()


def test_a_healthy_organ_has_no_lesion():
    sample = Anatomy(lesions=0.0).sample(5, 0)
    assert not sample.truth["lesion"].any()
    assert set(sample.captions) == {"a healthy organ"}
    assert (sample.truth["volume"] == 0).all()
    found = Anatomy().read(sample.clips)
    assert (found["pieces"] == 0).all()
    assert np.isnan([found["core"], found["rim"], found["inside"]]).all()
    ill = Anatomy(lesions=0.5).sample(60, 1).truth["volume"] > 0
    assert 15 < ill.sum() < 45


def test_volumes_are_in_millilitres(sample):
    assert Anatomy().voxel == pytest.approx(12 * 6 * 6 / 1000)  # mm³
    np.testing.assert_allclose(sample.truth["volume"], sample.truth["lesion"].sum(axis=(1, 2, 3)) * 0.432)
    assert 2 < np.median(sample.truth["volume"]) < 200
    assert 500 < np.median(sample.truth["organ"].sum(axis=(1, 2, 3)) * 0.432) < 2500  # a liver has about 1500


def test_no_threshold_finds_the_lesion(sample):
    """The best brightness interval of any, chosen with the truth at hand, within the organ that is known."""
    scan, lesion, organ = sample.clips[..., 0], sample.truth["lesion"], sample.truth["organ"]
    levels = np.linspace(-1, 1, 17)
    best = max(
        vg.dice((scan > low) & (scan < high) & organ, lesion).mean() for low in levels for high in levels if high > low
    )
    assert best < 0.55


def test_what_is_read_is_the_truth(sample):
    found = Anatomy().read(sample.clips)
    np.testing.assert_array_equal(found["lesion"], sample.truth["lesion"])
    np.testing.assert_array_equal(found["organ"], sample.truth["organ"])
    np.testing.assert_allclose(found["volume"], sample.truth["volume"])
    assert (found["inside"] == 1).all()
    large = sample.truth["volume"] > 40
    assert np.corrcoef(found["core"][large], sample.truth["contrast"][large, 0])[0, 1] > 0.5
    assert np.corrcoef(found["rim"][large], sample.truth["contrast"][large, 1])[0, 1] > 0.4
    assert (sample.truth["contrast"][:, 0] < 0).all()  # a dark core
    assert (sample.truth["contrast"][:, 1] > 0).all()  # and a bright rim
    scores = Anatomy().scores(sample.clips)
    assert set(scores) == {"one", "inside", "dark", "rimmed"}
    assert min(scores.values()) > 0.85


def test_what_is_no_lesion_scores_low(sample):
    assert Anatomy().scores(noise(4, 16, 32, 32, 3))["inside"] == 0
    moved = sample.clips.copy()
    moved[..., 1] = sample.clips[::-1, ..., 1]  # the outline of another patient
    scores = Anatomy().scores(moved)
    assert scores["rimmed"] < 0.6
    grey = sample.clips.copy()
    grey[..., 0] = 0
    assert Anatomy().scores(grey)["rimmed"] == Anatomy().scores(grey)["dark"] == 0
    two = sample.clips.copy()
    two[..., 1] = -1
    two[:, 2:5, 3:7, 3:7, 1] = two[:, 8:11, 20:25, 20:25, 1] = 1
    assert (Anatomy().read(two)["pieces"] == 2).all()


def test_a_speck_beside_a_lesion_is_no_piece(sample):
    clips = sample.clips[:1].copy()
    clips[..., 1] = -1
    clips[0, 4:7, 8:12, 8:12, 1] = 1  # 48 voxels
    clips[0, 10, 20, 20:23, 1] = 1  # and three apart
    assert Anatomy().read(clips)["pieces"] == 1
    clips[0, 10, 20:24, 20:23, 1] = 1  # twelve are a piece
    assert Anatomy().read(clips)["pieces"] == 2


def test_healthy_organs_have_bright_vessels_and_dark_cysts():
    bright, dark = [], []
    for clip in Anatomy(lesions=0.0).sample(20, 2).clips:
        organ = clip[..., 2] > 0
        inside = clip[..., 0][_depth(organ) > 2] - np.median(clip[..., 0][organ])
        bright.append((inside > 0.15).mean())
        dark.append((inside < -0.25).mean())
    assert 0.03 < np.mean(bright) < 0.09
    assert 0.08 < np.mean(dark) < 0.18


def test_depth_counts_voxels_to_the_border():
    mask = np.zeros((1, 7, 7), bool)
    mask[0, 1:6, 1:6] = True
    np.testing.assert_array_equal(_depth(mask)[0, 3], [0, 1, 2, 3, 2, 1, 0])
    assert _depth(np.ones((2, 3, 3), bool)).max() == 2  # beyond the border is outside


@pytest.mark.parametrize(("arguments", "word"), [
    ({"lesions": 1.5}, "lesions"), ({"lesions": True}, "lesions"), ({"lesions": "all"}, "lesions"),
    ({"slices": 4}, "slices"), ({"size": 8}, "size"), ({"size": 16.0}, "size"),
])  # fmt: skip
def test_bad_arguments_are_refused(arguments, word):
    with refuses(word):
        Anatomy(**arguments)


def test_bad_clips_are_refused():
    with refuses("shape"):
        Anatomy().read(noise(2, 16, 30, 32, 3))
    with refuses("count"):
        Anatomy().sample(0, 0)


# ----------------------------------------------------------------------------------------------- outlines


def test_dice_is_what_two_outlines_share():
    one, other = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    one[0, :2], other[0, 1:3] = True, True  # half of each
    one[1], other[1] = True, True
    np.testing.assert_allclose(vg.dice(one, other), [0.5, 1, 1])
    np.testing.assert_allclose(vg.dice(one, ~one), [0, 0, 0])
    overlap = vg.intersection_over_union(one, other)
    np.testing.assert_allclose(vg.dice(one, other), 2 * overlap / (1 + overlap))
    with refuses("bool"):
        vg.dice(one, other.astype(float))
    with refuses("shape"):
        vg.dice(one, other[:, :2])


@pytest.fixture(scope="module")
def world():
    return Anatomy(slices=8, size=16)


def test_a_segmenter_learns_by_heart_what_it_sees_often(world):
    cases = world.sample(4, 0)
    segmenter = vg.Segmenter(world.clip_shape, width=8)
    before = vg.dice(segmenter.segment(cases.clips), cases.truth["lesion"]).mean()
    segmenter.learn(cases.clips, 100, seed=0, augment=False)
    after = vg.dice(segmenter.segment(cases.clips), cases.truth["lesion"]).mean()
    assert before < 0.4 < 0.7 < after


def test_a_segmenter_looks_at_the_scan_alone_and_at_neighbouring_slices(world):
    segmenter, clips = vg.Segmenter(world.clip_shape, width=4), world.sample(2, 0).clips
    said = np.asarray(segmenter(clips[..., :1]))
    other = clips.copy()
    other[:, 4] = -other[:, 4]
    changed = (np.abs(np.asarray(segmenter(other[..., :1])) - said) > 1e-6).any(axis=(0, 2, 3, 4))
    np.testing.assert_array_equal(np.flatnonzero(changed), [3, 4, 5])
    blind = clips.copy()
    blind[..., 1:] = 0
    np.testing.assert_array_equal(segmenter.segment(clips), segmenter.segment(blind))


def test_the_lowest_and_the_highest_slice_have_air_beside_them(world):
    segmenter, scan = vg.Segmenter(world.clip_shape, width=4), world.sample(1, 0).clips[..., :1]
    said, air = np.asarray(segmenter(scan)), np.full_like(scan[:, :1], -1)
    up = np.asarray(segmenter(np.concatenate([air, scan[:, :-1]], axis=1)))
    down = np.asarray(segmenter(np.concatenate([scan[:, 1:], air], axis=1)))
    np.testing.assert_allclose(up[:, 1], said[:, 0], atol=1e-5)
    np.testing.assert_allclose(down[:, -2], said[:, -1], atol=1e-5)
    assert np.abs(said[:, 0] - said[:, -1]).max() > 0.01


def test_many_cases_are_segmented_as_each_of_them_is(world):
    segmenter, clips = vg.Segmenter(world.clip_shape, width=4), world.sample(40, 0).clips  # 320 slices: two parts
    segmenter.unet.layers[-1].bias.assign([-float(np.median(np.asarray(segmenter(clips[:4, ..., :1])))) - 2.0])
    found = segmenter.segment(clips)
    assert found.shape == (40, 8, 16, 16)
    assert 0.1 < found.mean() < 0.9
    alone = np.concatenate([segmenter.segment(clip[None]) for clip in clips])
    assert (found == alone).mean() > 0.999  # but for rounding


def test_a_case_is_changed_together_with_its_outline(world):
    from vidgen_tf.segmenter import _changed

    case = world.sample(1, 3).clips[0]
    case[..., 0] = case[..., 1]  # the scan is the outline
    chance = np.random.default_rng(0)
    changed = [_changed(case, chance) for _ in range(20)]
    for each in changed:
        assert ((each[..., 0] > 0) == (each[..., 1] > 0)).mean() > 0.99
        assert (each[..., 1] > 0).sum() == (case[..., 1] > 0).sum()
    assert sum((each[..., 1] != case[..., 1]).any() for each in changed) > 15
    assert np.std([each[..., 0].max() for each in changed]) > 0.01  # brighter or darker


def test_what_is_missed_is_the_cross_entropy_and_the_dice_coefficient_by_hand():
    from vidgen_tf.segmenter import _missed

    true, said = np.array([1, 0, 1, 0], np.float32), np.array([2.0, -1.0, 0.5, 3.0], np.float32)
    share = 1 / (1 + np.exp(-said))
    entropy = -np.mean(np.log(np.where(true > 0, share, 1 - share)))
    overlap = (2 * (share[0] + share[2]) + 1) / (2 + share.sum() + 1)
    found = float(_missed(true.reshape(1, 1, 2, 2, 1), said.reshape(1, 1, 2, 2, 1)))
    assert found == pytest.approx(entropy + 1 - overlap, rel=1e-5)


def test_the_same_seeds_train_the_same_segmenter(world):
    clips, made = world.sample(4, 0).clips, []
    for _ in range(2):
        segmenter = vg.Segmenter(world.clip_shape, width=4, seed=3)
        segmenter.learn(clips, 3, seed=5)
        made.append(np.asarray(segmenter(clips[..., :1])))
    np.testing.assert_allclose(made[0], made[1], atol=1e-5)


def test_a_segmenter_refuses_what_does_not_fit(world):
    with refuses("clip_shape"):
        vg.Segmenter((8, 18, 16, 3))
    with refuses("clip_shape"):
        vg.Segmenter((8, 16, 16, 1))
    segmenter = vg.Segmenter(world.clip_shape, width=4)
    with refuses("shape"):
        segmenter.segment(noise(1, 8, 32, 32, 1))
    with refuses("steps"):
        segmenter.learn(world.sample(2, 0).clips, 0, seed=0)
    with refuses("batch_size"):
        segmenter.learn(world.sample(2, 0).clips, 1, seed=0, batch_size=0)
    with refuses("seed is -1"):
        segmenter.learn(world.sample(2, 0).clips, 1, seed=-1)
    with refuses("shape"):
        segmenter.learn(noise(2, 8, 16, 16, 1), 1, seed=0)


# --------------------------------------------------------------------------------------------------- rays


def cube(density: float, level: float = 1.0, side: int = 8) -> tuple:
    return np.full((side,) * 3, density), np.full((side, side, side, 3), level)


def test_a_ray_through_a_cube_loses_what_the_law_says():
    for density in (0.1, 0.7, 3.0):
        frame = vg.render_volume(*cube(density), [0], size=20, samples=400)[0]
        seen = (frame[10, 10, 0] + 1) / 2
        assert seen == pytest.approx(1 - np.exp(-2 * density), abs=0.01)  # the cube is 2 deep
    frame = vg.render_volume(*cube(0.7), [45], size=20, samples=400)[0]
    assert (frame[10, 10, 0] + 1) / 2 == pytest.approx(1 - np.exp(-0.7 * 2 * np.sqrt(2)), abs=0.03)


def test_what_lies_in_front_hides_what_lies_behind():
    density, colors = cube(50.0)
    colors[:, :4], colors[:, 4:] = (1, -1, -1), (-1, 1, -1)  # the front is red, the back green
    front, back = vg.render_volume(density, colors, [0, 180], size=16)
    np.testing.assert_allclose(front[8, 8], [1, -1, -1], atol=0.02)
    np.testing.assert_allclose(back[8, 8], [-1, 1, -1], atol=0.02)
    density[:, :4] = 0  # and air hides nothing
    np.testing.assert_allclose(vg.render_volume(density, colors, [0], size=16)[0, 8, 8], [-1, 1, -1], atol=0.02)


def test_the_first_axis_is_up_and_the_third_goes_to_the_right():
    density, colors = np.zeros((8, 8, 8)), np.ones((8, 8, 8, 3))
    density[6:, 3:5, :2] = 50
    bright = lambda frame: np.argwhere(frame[..., 0] > 0).mean(axis=0)  # noqa: E731
    row, column = bright(vg.render_volume(density, colors, [0], size=32)[0])
    assert row < 12
    assert column < 12
    row, column = bright(vg.render_volume(density, colors, [180], size=32)[0])
    assert row < 12
    assert column > 20
    above = vg.render_volume(density, colors, [0], tilt=90, size=32)[0]
    assert bright(above)[1] < 12
    assert 12 < bright(above)[0] < 20


def test_a_block_is_seen_where_a_projection_by_hand_puts_it():
    density, colors, size = np.zeros((8, 8, 8)), np.ones((8, 8, 8, 3)), 40
    density[5:7, 1:3, 1:3] = 50  # its middle is at (0.5, -0.5, -0.5)
    up, second, third, half = 0.5, -0.5, -0.5, np.sqrt(0.5)
    for turn, right in (
        (0, third),
        (90, second),
        (45, half * second + half * third),
        (-45, half * third - half * second),
    ):
        bright = np.argwhere(vg.render_volume(density, colors, [turn], size=size)[0, ..., 0] > 0)
        expected = [(place / 1.25 + 1) / 2 * size - 0.5 for place in (-up, right)]
        np.testing.assert_allclose(bright.mean(axis=0), expected, atol=0.3)


def test_the_eye_goes_against_the_clock_and_up():
    density, colors = cube(50.0)
    colors[..., 4:, :], colors[..., :4, :] = (1, -1, -1), (-1, 1, -1)  # where the third axis ends it is red
    right, left = vg.render_volume(density, colors, [90, -90], size=16)[:, 8, 8]
    np.testing.assert_allclose(right, [1, -1, -1], atol=0.02)
    np.testing.assert_allclose(left, [-1, 1, -1], atol=0.02)
    colors[4:], colors[:4] = (1, -1, -1), (-1, 1, -1)  # the last slice is red
    for tilt, color in ((90, [1, -1, -1]), (-90, [-1, 1, -1])):
        np.testing.assert_allclose(vg.render_volume(density, colors, [0], tilt, 16)[0, 8, 8], color, atol=0.02)


def test_a_frame_shows_a_square_with_sides_of_two_and_a_half():
    frame = vg.render_volume(*cube(50.0), [0], size=40)[0]
    assert ((frame[20, :, 0] > 0).sum(), (frame[:, 20, 0] > 0).sum()) == (32, 32)  # 2 of 2.5


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_voxel_is_in_the_middle_of_its_part_of_the_cube(number):
    place = 1.25 * ((2 * np.arange(100) + 1) / 100 - 1)
    density, dark = cube(50.0, -1.0)
    for axis in (0, 2):
        colors = dark.copy()
        np.moveaxis(colors, axis, 0)[number] = 1
        frame = vg.render_volume(density, colors, [0], size=100)[0, ..., 0] + 1
        light = frame[:, 50] if axis == 0 else frame[50]
        middle = (light * (-place if axis == 0 else place)).sum() / light.sum()
        assert middle == pytest.approx((2 * number + 1) / 8 - 1, abs=0.05)


def test_a_turn_by_360_degrees_changes_nothing_and_nothing_is_black():
    dice = np.random.default_rng(0)
    density, colors = dice.random((6, 8, 8)), dice.uniform(-1, 1, (6, 8, 8, 3))
    frames = vg.render_volume(density, colors, [30, 390], tilt=20, size=16)
    check_clips(frames, batch=False)
    np.testing.assert_allclose(frames[0], frames[1], atol=1e-4)
    assert (vg.render_volume(0 * density, colors, [0], size=16) == -1).all()


def test_bad_volumes_are_refused():
    density, colors = cube(1.0)
    for bad in ((-density, colors, [0]), (density, 2 * colors, [0]), (density[0], colors, [0]), (density, colors, 0.0)):
        with refuses("density", "turns"):
            vg.render_volume(*bad)
    with refuses("angles"):
        vg.render_volume(density, colors, [np.nan])
    with refuses("tilt"):
        vg.render_volume(density, colors, [0], tilt=100)
    with refuses("size"):
        vg.render_volume(density, colors, [0], size=0)


# ------------------------------------------------------------------------------------- painted slice by slice


def test_slices_pair_what_is_known_with_what_is_there():
    world, cases = Slices(), Anatomy().sample(3, 5).clips
    sample = world.sample(40, 5)  # two cases and a half
    check_clips(sample.clips, world.clip_shape)
    np.testing.assert_array_equal(sample.clips[:, 1], cases.reshape(48, 32, 32, 3)[:40])
    np.testing.assert_array_equal(sample.clips[..., 1:][:, 0], sample.clips[..., 1:][:, 1])  # the outlines are told
    np.testing.assert_array_equal(
        sample.clips[1:16, 0, ..., 0], sample.clips[:15, 1, ..., 0]
    )  # the slice below is told
    assert (sample.clips[[0, 16, 32], 0, ..., 0] == -1).all()  # but there is none below the lowest
    np.testing.assert_array_equal(sample.truth["lesion"], sample.clips[:, 1, ..., 1] > 0)
    assert {caption for caption in sample.captions} == {
        "a slice",
        "a slice of an organ",
        "a slice of an organ with a lesion",
    }


def test_slices_are_read_by_their_brightness():
    world = Slices()
    clips = world.sample(160, 5).clips
    right = world.scores(clips)
    assert 0.25 < right["organ"] < 0.5
    wrong = clips.copy()
    wrong[..., 1:] = np.roll(clips[..., 1:], 5, axis=3)
    assert world.scores(wrong)["organ"] < 0.7 * right["organ"]
    drawn = np.full((1, 2, 32, 32, 3), -1, np.float32)
    drawn[0, 1, 4:28, 4:28, 0] = -0.25
    drawn[0, 1, 8:20, 8:20, 0], drawn[0, :, 8:20, 8:20, 2] = 0.25, 1
    drawn[0, 1, 10:12, 10:12, 0], drawn[0, :, 10:12, 10:12, 1] = 0.75, 1
    assert world.read(drawn)["organ"] == pytest.approx(0.5)
    assert world.read(drawn)["lesion"] == pytest.approx(0.5)


def test_paint_asks_for_each_slice_beside_the_one_below():
    cases = Anatomy().sample(4, 8).clips
    lesions, organs = cases[..., 1] > 0, cases[..., 2] > 0
    seen = []

    class Knows:
        """Answers with the true slices, and sees what it was asked with."""

        def generate(self, count, *, seed, known, mask, steps):
            assert mask[0].all()
            assert not mask[1].any()
            assert steps == 3
            seen.append((seed, known))
            return np.stack([known[:, 0], cases[:, len(seen) - 1]], axis=1)

    np.testing.assert_array_equal(paint_cases(Knows(), lesions, organs, seed=2, noise=0, steps=3), cases)
    assert len({seed for seed, _ in seen}) == 16
    for number, (_, known) in enumerate(seen):
        np.testing.assert_array_equal(known[:, 0], known_and_painted(cases)[:, number, 0])
    seen.clear()
    rough = paint_cases(Knows(), lesions, organs, seed=2, noise=0.1, steps=3)
    assert (rough - cases)[:, -1, ..., 0].std() == pytest.approx(0.1, rel=0.15)  # a little less, since air is -1
    np.testing.assert_array_equal(rough[..., 1:], cases[..., 1:])
    with refuses("noise is -1"):
        paint_cases(Knows(), lesions, organs, seed=2, noise=-1)
    with refuses("(count, slices, size, size)"):
        paint_cases(Knows(), lesions, organs[:, :5], seed=2)
    with refuses("(count, slices, size, size)"):
        paint_cases(Knows(), [[True]], [[True]], seed=2)
    with refuses("bool", "> 0"):
        paint_cases(Knows(), 1.0 * lesions, organs, seed=2)
    with refuses(f"seed is {2**62},", str(2**63 // 1000)):
        paint_cases(Knows(), lesions, organs, seed=2**62)
    seen.clear()
    paint_cases(Knows(), lesions, organs, seed=2**63 // 1000 - 1, steps=3)
    assert max(seed for seed, _ in seen) < 2**63


def test_redrawn_outlines_are_new_and_lesions_lie_in_their_organs(sample):
    lesions, organs = redraw_outlines(sample.truth["lesion"][:6], sample.truth["organ"][:6], 40, 3)
    assert lesions.shape == organs.shape == (40, 16, 32, 32)
    assert not (lesions & ~organs).any()
    assert (lesions.sum(axis=(1, 2, 3)) >= 20).all()
    for made, old in ((organs, sample.truth["organ"][:6]), (lesions, sample.truth["lesion"][:6])):
        assert len(np.unique(made.reshape(40, -1), axis=0)) == 40
        far = [vg.dice(made, np.broadcast_to(one, made.shape)).max() for one in old]
        assert max(far) < 0.98  # none is the one that it came from
        assert 0.6 < made.sum(axis=(1, 2, 3)).mean() / old.sum(axis=(1, 2, 3)).mean() < 1.4
    again, _ = redraw_outlines(sample.truth["lesion"][:6], sample.truth["organ"][:6], 40, 3)
    np.testing.assert_array_equal(again, lesions)
    with refuses("count is 0"):
        redraw_outlines(lesions, organs, 0, 1)
    with refuses("(count, slices, size, size)"):
        redraw_outlines(lesions, organs[:5], 3, 1)
    with refuses("bool", "> 0"):
        redraw_outlines(lesions, organs.astype(float), 3, 1)
    for name in ("lesion", "organ"):
        outlines = {"lesion": lesions[:3].copy(), "organ": organs[:3].copy()}
        outlines[name][1] = False
        with refuses(f"case 1 has no {name}"):
            redraw_outlines(outlines["lesion"], outlines["organ"], 3, 1)


def test_outlines_in_which_no_lesion_fits_end_in_a_refusal():
    lesions, organs = np.zeros((2, 1, 8, 16, 16), bool)
    lesions[0, 4, 8, 8], organs[0, 2:6, 4:12, 4:12] = True, True  # a lesion of one voxel
    with refuses("1000 tries", "larger"):
        redraw_outlines(lesions, organs, 1, 0)
    organs[:], organs[0, 4, 8, 8] = False, True  # and an organ that is gone once it is moved
    with refuses("1000 tries", "larger"):
        redraw_outlines(lesions, organs, 20, 0)
