"""The path tracer against closed forms: energy, lamps, glass, lenses, densities, and the laws of its own noise."""

import math

import numpy as np
import pytest
from conftest import refuses

from vidgen_tf import materials, path_tracing
from vidgen_tf.materials import DIFFUSE, GLASS, METAL, evaluated, fresnel, gain, scattered
from vidgen_tf.path_tracing import developed, features, radiance, rendered, undeveloped
from vidgen_tf.quiet import tf
from vidgen_tf.scenes import (
    Box,
    Camera,
    Material,
    Pyramid,
    Rectangle,
    Scene,
    Sphere,
    floor,
    glowing,
    orbit,
    pack,
    turned,
)

WHITE, DARK = (1.0, 1.0, 1.0), {"zenith": (0, 0, 0), "horizon": (0, 0, 0)}
DOWN = Camera((0, 3, 0.001), (0, 0, 0), 1.0)  # looks straight down at the origin, through a narrow window
MATERIALS = {
    "diffuse": Material(WHITE),
    "mirror": Material(WHITE, "mirror"),
    "glass": Material(WHITE, "glass"),
    "metal, fine": Material(WHITE, "metal", roughness=0.05),
    "metal": Material(WHITE, "metal", roughness=0.4),
    "metal, coarse": Material(WHITE, "metal", roughness=1.0),
}


def mean(scene, **options) -> np.ndarray:
    """The mean light of a picture, (3,)."""
    options = {"height": 8, "width": 8, "samples": 64, "seed": 0} | options
    return radiance(pack(scene, 1), **options).numpy().mean((0, 1))


def things_of(kind: str, rays: int, **more) -> dict:
    """A material for many rays, as the functions of `materials` take it."""
    number = {"diffuse": DIFFUSE, "metal": METAL, "glass": GLASS}[kind]
    row = {"roughness": 0.4, "index": 1.5, "compensated": 0.0} | more
    one = {name: tf.fill((rays,), tf.constant(value, tf.float32)) for name, value in row.items()}
    return one | {"kind": tf.fill((rays,), number), "color": tf.ones((3, rays)), "gain": tf.ones((3, rays))}


def towards(angle: float, rays: int) -> tf.Tensor:
    """A direction at an angle to +y, for many rays, (3, rays)."""
    return tf.tile(tf.constant([[math.sin(angle)], [math.cos(angle)], [0.0]], tf.float32), (1, rays))


UP = tf.constant([[0.0], [1.0], [0.0]])


def hemisphere(side: int = 400) -> tuple[tf.Tensor, float]:
    """Directions above the plane y = 0 on an even grid of height and angle, (3, side²), and the angle that each stands for."""
    height, turn = np.meshgrid((np.arange(side) + 0.5) / side, 2 * np.pi * (np.arange(side) + 0.5) / side)
    across = np.sqrt(1 - height**2)
    grid = np.stack([across * np.cos(turn), height, across * np.sin(turn)]).reshape(3, -1)
    return tf.constant(grid, tf.float32), 2 * math.pi / side**2


# ---------------------------------------------------------------------------------------------------- energy


@pytest.mark.parametrize("name", MATERIALS)
def test_white_furnace_a_white_ball_in_white_light_cannot_be_seen(name):
    ball = Scene(
        (Sphere((0, 0, 0), 1.0, MATERIALS[name]),), Camera((0, 0, 5), (0, 0, 0), 18), zenith=WHITE, horizon=WHITE
    )
    picture = radiance(pack(ball, 1), height=8, width=8, samples=2048, seed=0, bounces=64).numpy().mean(-1)
    assert picture.mean() == pytest.approx(1, abs=0.01)  # the standard error of the coarse metal is 0.002,
    assert picture[2:6, 2:6].mean() == pytest.approx(1, abs=0.015)  # and in the middle 0.004


def test_white_furnace_nor_can_a_crowd_of_white_things():
    crowd = [Sphere((1.5 * i, 1, 0.5 * i * i), 0.7, material) for i, material in enumerate(MATERIALS.values(), -2)]
    crowd += [Box((0, 0.5, 2), (0.5, 0.5, 0.2), Material(WHITE), turned((0, 1, 0), 0.4))]
    crowd += [Pyramid((-1.5, 0.5, 1.8), (0.5, 0.5, 0.5), Material(WHITE)), floor(Material(WHITE))]
    scene = Scene(tuple(crowd), Camera((0, 2, 7), (0, 1, 0)), zenith=WHITE, horizon=WHITE)
    np.testing.assert_allclose(mean(scene, samples=256, bounces=100, height=12, width=16), 1, atol=0.01)


def test_white_furnace_nor_can_a_ball_in_the_light_of_a_lamp_all_around_it():
    lamps = [Sphere((*position,), 1.0, glowing(1.0)) for position in 3 * np.concatenate([np.eye(3), -np.eye(3)])]
    scene = Scene(
        (*lamps, Sphere((0, 0, 0), 0.5, Material(WHITE))),
        Camera((1.5, 1.2, 1.5), (0, 0, 0), 20),
        zenith=WHITE,
        horizon=WHITE,
    )
    # Lamps as bright as the sky: half of the light is found by asking lamps, and it must fit the rest to the percent.
    np.testing.assert_allclose(mean(scene, samples=512, bounces=50), 1, atol=0.01)


def test_a_metal_without_compensation_loses_what_quadrature_says():
    directions, angle = hemisphere()
    rays = directions.shape[1]
    for roughness in (0.3, 0.7, 1.0):
        for out_angle in (0.2, 1.0):
            material, out = things_of("metal", rays, roughness=roughness), towards(out_angle, rays)
            value, _ = evaluated(material, tf.tile(UP, (1, rays)), out, directions)
            by_quadrature = float(tf.reduce_sum(value[0])) * angle
            factor = gain(material | {"compensated": tf.ones((rays,))}, tf.fill((rays,), math.cos(out_angle)))
            assert by_quadrature < 1
            assert by_quadrature * float(factor[0, 0]) == pytest.approx(1, abs=0.01)
            dice = tf.random.stateless_uniform((3, rays), (1, 2))
            _, weight, _ = scattered(material, tf.tile(UP, (1, rays)), out, tf.fill((rays,), False), dice)
            assert float(tf.reduce_mean(weight)) == pytest.approx(by_quadrature, abs=0.004)  # 160,000 draws


# ------------------------------------------------------------------------------------------ materials and glass


@pytest.mark.parametrize("kind", ["diffuse", "metal"])
@pytest.mark.parametrize("out_angle", [0.0, 0.9, 1.4])
def test_directions_are_drawn_with_the_density_that_is_said(kind, out_angle):
    directions, angle = hemisphere(600)
    rays = directions.shape[1]
    material, out, normal = things_of(kind, rays), towards(out_angle, rays), tf.tile(UP, (1, rays))
    _, density = evaluated(material, normal, out, directions)
    dice = tf.random.stateless_uniform((3, rays), (3, 4))
    drawn, _, said = scattered(material, normal, out, tf.fill((rays,), False), dice)
    above = np.asarray(drawn)[1] > 0
    assert float(tf.reduce_sum(density)) * angle == pytest.approx(above.mean(), abs=0.004)  # all that does not go under
    for moment in (lambda d: d[1] ** 2, lambda d: d[0], lambda d: d[0] * d[1], lambda d: d[2] ** 2):
        by_density = float(tf.reduce_sum(moment(directions) * density)) * angle
        assert np.mean(np.where(above, moment(np.asarray(drawn)), 0)) == pytest.approx(by_density, abs=0.006)
    again = evaluated(material, normal, out, drawn)[1]
    np.testing.assert_allclose(said, again, rtol=1e-3, atol=1e-4)


def test_fresnel_meets_its_closed_forms():
    assert float(fresnel(tf.constant(1.0), tf.constant(1 / 1.5))) == pytest.approx(0.04, rel=1e-4)
    brewster = math.atan(1.5)
    refracted = math.asin(math.sin(brewster) / 1.5)
    across = (math.sin(brewster - refracted) / math.sin(brewster + refracted)) ** 2  # and nothing of the other kind
    assert float(fresnel(tf.constant(math.cos(brewster)), tf.constant(1 / 1.5))) == pytest.approx(across / 2, rel=1e-3)
    critical = math.asin(1 / 1.5)
    assert float(fresnel(tf.constant(math.cos(critical + 0.01)), tf.constant(1.5))) == 1
    assert float(fresnel(tf.constant(math.cos(critical - 0.05)), tf.constant(1.5))) < 0.5
    assert float(fresnel(tf.constant(1e-4), tf.constant(1 / 1.5))) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("inside", [False, True])
def test_glass_bends_light_by_snells_law_and_reflects_by_fresnels(inside):
    rays, angle = 20_000, 0.6
    material, out = things_of("glass", rays), towards(angle, rays)
    dice = tf.random.stateless_uniform((3, rays), (5, 6))
    into, weight, density = scattered(material, tf.tile(UP, (1, rays)), out, tf.fill((rays,), inside), dice)
    into = np.asarray(into)
    passes = into[1] < 0
    ratio = 1.5 if inside else 1 / 1.5
    np.testing.assert_allclose(into[0][passes], -math.sin(angle) * ratio, atol=1e-5)  # on the other side of the normal
    np.testing.assert_allclose(
        into[:, ~passes].T, [[-math.sin(angle), math.cos(angle), 0]] * (~passes).sum(), atol=1e-5
    )
    share = float(fresnel(tf.constant(math.cos(angle)), tf.constant(ratio)))
    assert (~passes).mean() == pytest.approx(share, abs=4 * math.sqrt(share / rays))
    np.testing.assert_allclose(weight, 1, rtol=1e-5)
    assert not np.asarray(density).any()


def test_the_material_of_a_chessboard_changes_from_square_to_square():
    board = floor(Material((0.8, 0, 0), second=(0, 0.8, 0), scale=1.0))
    for x, z, channel in ((0.5, -0.5, 0), (1.5, -0.5, 1), (1.5, 0.5, 0), (-0.5, -0.5, 1)):
        camera = Camera((x, 3, z + 0.001), (x, 0, z), 1.0)
        light = mean(Scene((board,), camera, zenith=WHITE, horizon=WHITE))
        assert light[channel] == pytest.approx(0.8, rel=1e-3)
        assert light[1 - channel] == 0


# ----------------------------------------------------------------------------------------------------- lamps


def test_a_spherical_lamp_gives_the_irradiance_of_the_closed_form():
    for x in (0.0, 1.5):
        lamp = Sphere((x, 2, 0), 0.5, glowing(10.0))
        ground = floor(Material((0.5, 0.5, 0.5)))
        light = mean(Scene((ground, lamp), Camera((-0.1, 1, 2), (0, 0, 0), 1.0), **DARK), samples=512)
        distance = math.hypot(2, x)
        expected = 0.5 * 10 * (0.5 / distance) ** 2 * 2 / distance  # albedo · radiance · (r / d)² · cosine
        np.testing.assert_allclose(light, expected, rtol=0.01)


def test_a_rectangular_lamp_gives_the_form_factor_of_the_closed_form():
    lamp = Rectangle((0, 2, 0), (1, 0, 0), (0, 0, 0.6), glowing(5.0))  # its front is down
    light = mean(
        Scene((floor(Material((0.5, 0.5, 0.5))), lamp), Camera((-0.1, 1, 2), (0, 0, 0), 1.0), **DARK), samples=1024
    )
    a, b = 1 / 2, 0.6 / 2
    part = a / math.sqrt(1 + a * a) * math.atan(b / math.sqrt(1 + a * a))
    part += b / math.sqrt(1 + b * b) * math.atan(a / math.sqrt(1 + b * b))
    np.testing.assert_allclose(light, 0.5 * 5 * 4 * part / (2 * math.pi), rtol=0.01)


def test_a_lamp_shines_to_its_front_only():
    for sign, lit in ((1, True), (-1, False)):
        lamp = Rectangle((0, 2, 0), (1, 0, 0), (0, 0, sign * 1.0), glowing(5.0))
        light = mean(Scene((floor(), lamp), Camera((-0.1, 1, 2), (0, 0, 0), 1.0), **DARK))
        assert (light > 0).all() == lit


def test_lamps_are_drawn_evenly_over_their_solid_angle():
    sphere = pack(Scene((Sphere((0, 3, 0), 1.0, glowing(1.0)),), DOWN), 1)
    sheet = pack(Scene((Rectangle((0, 2, 0), (1, 0, 0), (0, 0, 0.5), glowing(1.0)),), DOWN), 1)
    a, b = 1 / 2, 0.5 / 2
    angles = (
        2 * math.pi * (1 - math.sqrt(1 - 1 / 9)),
        4 * math.asin(a * b / math.sqrt((1 + a * a) * (1 + b * b))),
    )
    for arrays, expected in ((sphere, angles[0]), (sheet, angles[1])):
        scene = path_tracing.at_frame({name: tf.constant(value) for name, value in arrays.items()}, 0)
        point, time = tf.zeros((3, 50_000)), tf.zeros((50_000,))
        dice = tf.random.stateless_uniform((3, 50_000), (7, 8))
        direction, thing = path_tracing.towards_lamp(scene, point, time, dice)
        distance, met = path_tracing.intersect(scene, point, direction, time)
        np.testing.assert_array_equal(met, thing)
        density = path_tracing.lamp_density(scene, point, direction, time, thing, distance)
        assert float(tf.reduce_mean(1 / density)) == pytest.approx(expected, rel=0.005)


ROOM = Scene(
    (
        floor(Material((0.7, 0.7, 0.7))), Rectangle((0, 2, -2), (3, 0, 0), (0, 2, 0), Material((0.2, 0.6, 0.2))),
        Sphere((-0.7, 0.6, 0), 0.6, Material((0.9, 0.7, 0.4), "metal", roughness=0.3)), Sphere((0.7, 0.6, 0), 0.6, Material((0.7, 0.1, 0.1))),
        Box((0, 1.5, -1), (0.3, 0.3, 0.3)), Rectangle((0, 3, 0.5), (1, 0, 0), (0, 0, 1), glowing(4.0)), Sphere((1.5, 2, 1), 0.3, glowing(9.0)),
    ),
    Camera((0, 1.5, 5), (0, 1, 0), 38), zenith=(0.1, 0.1, 0.2), horizon=(0.1, 0.1, 0.1),
)  # fmt: skip


def error_of(pictures: np.ndarray) -> np.ndarray:
    """The standard error of the mean of renderings, (renderings, …)."""
    return pictures.std(0, ddof=1) / math.sqrt(len(pictures))


def renderings(count=8, arrays=None, **options) -> np.ndarray:
    """Mean light, (count, 3), of small pictures of the room with different seeds."""
    options = {"height": 10, "width": 10, "samples": 256} | options
    arrays = pack(ROOM, 1) if arrays is None else arrays
    return np.stack([radiance(arrays, seed=seed, **options).numpy().mean((0, 1)) for seed in range(count)])


def agree(one: np.ndarray, other: np.ndarray) -> None:
    """Asserts that two estimates have the same mean, to four standard errors, and that these are small."""
    error = np.hypot(error_of(one), error_of(other))
    assert (error < 0.02 * one.mean()).all()
    assert (np.abs(one.mean(0) - other.mean(0)) < 4 * error).all()


def test_paths_alone_find_the_same_light_as_with_lamps_asked_directly(monkeypatch):
    with_lamps = renderings()
    monkeypatch.setattr(path_tracing, "_lit_directly", lambda *arguments: tf.zeros((3, 1)))
    monkeypatch.setattr(path_tracing, "lamp_density", lambda scene, point, *arguments: tf.zeros_like(point[0]))
    monkeypatch.setattr(path_tracing, "_traced", path_tracing._traced.python_function)
    agree(with_lamps, renderings(6, samples=512))


def test_roulette_does_not_change_the_mean():
    agree(renderings(roulette=100, bounces=20), renderings(roulette=0, bounces=20))


def test_error_falls_with_the_root_of_the_samples():
    samples, errors = (4, 16, 64, 256), []
    arrays = pack(ROOM, 1)
    for count in samples:
        pairs = [
            [radiance(arrays, height=16, width=16, samples=count, seed=seed).numpy() for seed in (2 * k, 2 * k + 1)]
            for k in range(512 // count)
        ]
        errors.append(np.sqrt(np.mean([np.square(one - other) / 2 for one, other in pairs])))
    slope = np.polyfit(np.log(samples), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.05)


# ---------------------------------------------------------------------------------------- shapes and cameras


def test_rays_meet_things_on_their_surfaces_and_nowhere_before():
    turn = turned((1, 2, 0.5), 0.8)
    things = [
        Sphere((0.3, 0, 0), 0.8), Box((0.2, 0.1, 0), (0.5, 0.3, 0.7), turn=turn), Pyramid((0, 0.2, 0), (0.6, 0.5, 0.4), turn=turn),
        Rectangle((0, 0, 0.2), (0.7, 0.7, 0), (-0.3, 0.3, 0)),
    ]  # fmt: skip
    dice = np.random.default_rng(0)
    origin = 3 * materials.normalized(tf.constant(dice.normal(size=(3, 4000)), tf.float32))
    target = tf.constant(dice.uniform(-0.8, 0.8, (3, 4000)), tf.float32)
    direction, time = materials.normalized(target - origin), tf.zeros((4000,))
    for number, thing in enumerate(things):
        arrays = pack(Scene((thing,), DOWN), 1)
        scene = path_tracing.at_frame({name: tf.constant(value) for name, value in arrays.items()}, 0)
        distance, met = (np.asarray(value) for value in path_tracing.intersect(scene, origin, direction, time))
        hits = distance < path_tracing.FAR
        assert 0.1 < hits.mean() < 0.95
        along = np.linspace(0.0, 8.0, 801)
        inside = np.stack([depth_in(thing, np.asarray(origin + step * direction)) < -1e-3 for step in along])
        met_inside = inside.any(0)
        if not isinstance(thing, Rectangle):
            assert not (met_inside & ~hits).any()
            first = along[inside.argmax(0)]
            assert (distance[hits & met_inside] <= first[hits & met_inside] + 1e-3).all()
        point = np.asarray(origin) + distance * np.asarray(direction)
        np.testing.assert_allclose(depth_in(thing, point[:, hits]), 0, atol=2e-4)
        normal, _ = path_tracing.surface_at(
            scene, tf.constant(point[:, hits]), time[: hits.sum()], tf.constant(met[hits])
        )
        outside = depth_in(thing, point[:, hits] + 1e-2 * np.asarray(normal))
        assert (outside > 5e-3 if number < 3 else np.abs(outside) > 5e-3).mean() > 0.99


def depth_in(thing, points: np.ndarray) -> np.ndarray:
    """How far points (3, n) are outside of a thing's surface, negative inside; by definition, not by rays."""
    away = points - np.reshape(thing.position, (3, 1))
    if isinstance(thing, Sphere):
        return np.linalg.norm(away, axis=0) - thing.radius
    if isinstance(thing, Rectangle):
        side, other = (np.array(axis) for axis in (thing.side, thing.other))
        over = max((np.abs(axis @ away) / (axis @ axis)).max() for axis in (side, other)) - 1
        normal = np.cross(side, other) / np.linalg.norm(np.cross(side, other))
        return np.abs(normal @ away) + max(0.0, over)
    x, y, z = local = np.asarray(thing.turn).T @ away
    half = np.array(thing.half)
    if type(thing) is Box:
        return (np.abs(local) - half[:, None]).max(0)
    width = (half[1] - y) / (2 * half[1])  # of the pyramid at this height, as a share of its base
    slopes = [(np.abs(a) - h * width) / math.hypot(1, h / (2 * half[1])) for a, h in ((x, half[0]), (z, half[2]))]
    return np.maximum(np.maximum(*slopes), -y - half[1])


def spread_of(picture: np.ndarray) -> float:
    """The variance of light along x, in pixels."""
    light, x = picture.sum((0, 2)), np.arange(picture.shape[1])
    middle = (light * x).sum() / light.sum()
    return (light * (x - middle) ** 2).sum() / light.sum()


@pytest.mark.parametrize("distance", [2.0, 4.0, 6.0])
def test_what_is_out_of_focus_becomes_a_disc_of_the_right_size(distance):
    aperture, focus = 0.2, 4.0
    camera = Camera((0, 0, 0), (0, 0, -1), 20, aperture=aperture, focus=focus)
    star = Sphere((0, 0, -distance), 0.01, glowing(1e4))
    picture = radiance(pack(Scene((star,), camera, **DARK), 1), height=48, width=48, samples=4096, seed=0).numpy()
    pixels = 48 / (2 * focus * math.tan(math.radians(10)))  # for each metre, at the distance of focus
    radius = aperture * abs(1 - focus / distance) * pixels
    own = (
        0.01 * focus / distance * pixels
    ) ** 2 / 4 + 1 / 6  # the star itself, and pixels twice: drawn in one, counted in one
    assert spread_of(picture) == pytest.approx(radius**2 / 4, rel=0.08, abs=2 * own)


def test_an_open_shutter_smears_what_moves_along_its_way():
    for shutter in (0.0, 1.0):
        path = np.array([[-1.0, 0, -10], [1.0, 0, -10]])
        scene = Scene((Sphere(path, 0.2, glowing(1.0)),), Camera((0, 0, 0), (0, 0, -1), 20, shutter=shutter), **DARK)
        picture = radiance(pack(scene, 2), 0, height=32, width=32, samples=256, seed=0).numpy()
        pixels = 32 / (2 * 10 * math.tan(math.radians(10)))
        # A strip of length l has the variance l² / 12; a disc r² / 4.
        assert spread_of(picture) == pytest.approx(
            ((2 * shutter) ** 2 / 12 + 0.2**2 / 4) * pixels**2 + 1 / 12, rel=0.05
        )
        assert picture.sum() == pytest.approx(math.pi * 0.2**2 * pixels**2 * 3, rel=0.03)  # no light is lost


def test_a_camera_in_orbit_sees_what_is_round_from_all_sides_the_same():
    camera = Camera(orbit((0, 0.5, 0), 4, 1, 6), (0, 0.5, 0))
    arrays = pack(Scene((floor(), Sphere((0, 0.5, 0), 0.5, glowing(1.0))), camera), 6)
    pictures = [radiance(arrays, frame, height=16, width=16, samples=256, seed=3).numpy() for frame in range(6)]
    for picture in pictures[1:]:
        assert np.abs(picture - pictures[0]).mean() < 0.01
    distance = np.linalg.norm(orbit((1, 0, 2), 3, 4, 5) - [1, 0, 2], axis=1)
    np.testing.assert_allclose(distance, 5)


def test_left_is_left_and_up_is_up():
    for position, rows, columns in (((-1, 0, 0), slice(None), slice(8)), ((0, 1, 0), slice(8), slice(None))):
        scene = Scene((Sphere(position, 0.3, glowing(1.0)),), Camera((0, 0, 5), (0, 0, 0)), **DARK)
        picture = radiance(pack(scene, 1), height=16, width=16, samples=16, seed=0).numpy()
        assert picture[rows, columns].sum() == picture.sum() > 0


# -------------------------------------------------------------------------------------------------- contract


def test_the_same_seed_gives_the_same_bits_and_another_another_noise():
    arrays = pack(ROOM, 1)
    one, again, other = (radiance(arrays, height=9, width=7, samples=5, seed=seed).numpy() for seed in (1, 1, 2))
    assert one.shape == (9, 7, 3)
    assert one.tobytes() == again.tobytes()
    assert np.abs(one - other).max() > 1e-3


def test_the_parts_in_which_a_picture_is_rendered_do_not_change_its_mean():
    arrays = pack(ROOM, 1)
    small, whole = (rendered(arrays, 0, 12, 12, 200, 0, chunk=chunk)[0].numpy() for chunk in (512, 2**16))
    assert not np.array_equal(small, whole)
    assert np.abs(small.mean((0, 1)) - whole.mean((0, 1))).max() < 0.03 * whole.mean()


def test_features_are_those_of_what_is_met_first():
    scene = Scene((Sphere((0, 0, 0), 1.0, Material((0.2, 0.4, 0.6))),), Camera((0, 0, 5), (0, 0, 0), 40))
    seen = features(pack(scene, 1), height=9, width=9, samples=64, seed=0).numpy()
    np.testing.assert_allclose(seen[4, 4, :3], [0.2, 0.4, 0.6], atol=1e-5)
    np.testing.assert_allclose(seen[4, 4, 3:6], [0, 0, 1], atol=0.05)
    assert seen[4, 4, 6] == pytest.approx(1 / 5, abs=0.01)
    assert not seen[0, 0].any()


def test_pictures_are_developed_and_undeveloped():
    light = np.linspace(0, 6, 50, dtype=np.float32)
    picture = developed(light, 1.3).numpy()
    assert picture[0] == pytest.approx(-1, abs=1e-3)
    assert (np.diff(picture) > 0).all()
    assert picture[-1] < 1
    np.testing.assert_allclose(undeveloped(picture, 1.3), light, rtol=0.01, atol=1e-4)


def slope_of(arrays: dict, name: str, index: tuple, frame=0, **options) -> tuple[float, float]:
    """The slope of the mean light by one number of the arrays: by the tape, and by finite differences with the same dice."""
    options = {"height": 8, "width": 8, "samples": 64, "seed": 2, "roulette": 100} | options
    values = tf.Variable(arrays[name])
    with tf.GradientTape() as tape:
        light = tf.reduce_mean(radiance(arrays | {name: values}, frame, **options))
    by_tape = float(tape.gradient(light, values).numpy()[index])
    lights = []
    for step in (0.01, -0.01):
        changed = arrays[name].copy()
        changed[index] += step
        lights.append(float(tf.reduce_mean(radiance(arrays | {name: changed}, frame, **options))))
    return by_tape, (lights[0] - lights[1]) / 0.02


def test_slopes_by_color_glow_and_sky_are_those_of_finite_differences():
    arrays = pack(ROOM, 1)
    for name, index in (("color", (1, 0)), ("color", (0, 1)), ("glow", (6, 2)), ("sky", (0, 1))):
        by_tape, by_difference = slope_of(arrays, name, index)
        assert abs(by_tape) > 1e-5
        assert by_tape == pytest.approx(by_difference, rel=0.02)


def test_the_slope_by_a_lamps_place_is_that_of_the_closed_form_where_nothing_is_hidden():
    lamp = Sphere((1.0, 2, 0), 0.2, glowing(50.0))
    arrays = pack(Scene((floor(Material((0.5,) * 3)), lamp), Camera((-0.1, 1, 2), (0, 0, 0), 1.0), **DARK), 1)
    by_tape, _ = slope_of(arrays, "sphere_position", (0, 0, 0), samples=1024)
    expected = 0.5 * 50 * 0.2**2 * 2 * -3 * 1.0 / 5**2.5  # of albedo · radiance · r² · h / (x² + h²)^1.5 by x
    assert by_tape == pytest.approx(expected, rel=0.02)


def test_the_slope_by_place_misses_what_edges_hide():
    # A bright ball on a dark ground: all the light that its step brings is at its edge, and there the tape sees nothing.
    scene = Scene((Sphere((0.9, 0, 0), 0.5, glowing(1.0)),), Camera((0, 0, 5), (0, 0, 0), 20), **DARK)
    by_tape, by_difference = slope_of(pack(scene, 1), "sphere_position", (0, 0, 0), samples=1024)
    assert by_tape == 0
    assert by_difference < -0.01


# ---------------------------------------------------------------------------------------------------- refusals


def test_bad_things_are_refused_in_one_sentence():
    for make, words in (
        (lambda: Material((1.2, 0, 0)), ("color", "0 to 1", "glow")),
        (lambda: Material((0.5, 0.5)), ("color", "three numbers")),
        (lambda: Material(kind="wood"), ("wood", "diffuse")),
        (lambda: Material(kind="metal", roughness=0), ("roughness", "0.02")),
        (lambda: Material(kind="glass", index=1), ("index", "1.5")),
        (lambda: Material(scale=0), ("scale",)),
        (lambda: Material(glow=(-1, 0, 0)), ("glow", "from 0")),
        (lambda: Sphere((0, 0)), ("position", "three numbers")),
        (lambda: Sphere((0, np.inf, 0)), ("position", "finite")),
        (lambda: Sphere((0, 0, 0), 0), ("radius", "above 0")),
        (lambda: Sphere((0, 0, 0), 1, "red"), ("material", "Material")),
        (lambda: Sphere((0, 0, 0), 1, turn=2 * np.eye(3)), ("turn", "rotation")),
        (lambda: Sphere((0, 0, 0), 1, turn=np.eye(2)), ("turn", "(3, 3)")),
        (lambda: Box((0, 0, 0), 1.0), ("half", "three numbers")),
        (lambda: Rectangle((0, 0, 0), (1, 0, 0), (1, 0, 0)), ("right angle",)),
        (lambda: Rectangle((0, 0, 0), material=glowing(1.0), endless=True), ("endless", "glow")),
        (lambda: turned((0, 0, 0), 1), ("axis", "direction")),
        (lambda: Camera((0, 0, 0), (0, 0, 0)), ("camera", "move")),
        (lambda: Camera((0, 5, 0), (0, 0, 0)), ("straight", "side")),
        (lambda: Camera((0, 0, 5), field_of_view=180), ("field_of_view", "180")),
        (lambda: Camera((0, 0, 5), shutter=2), ("shutter", "0 to 1")),
        (lambda: Camera((0, 0, 5), focus=0), ("focus", "above 0")),
        (lambda: Camera(np.ones((3, 3)), np.zeros((2, 3))), ("3 frames", "look_at 2")),
        (lambda: Scene((), DOWN), ("things",)),
        (lambda: Scene((3,), DOWN), ("things holds 3", "Sphere")),
        (lambda: Scene((Box((0, 0, 0), material=glowing(1.0)),), DOWN), ("Box", "lamp")),
        (lambda: Scene((floor(),), None), ("camera", "Camera")),
        (lambda: Scene((floor(),), DOWN, zenith=(1, 1)), ("zenith", "three numbers")),
        (lambda: Scene((floor(),), DOWN, exposure=0), ("exposure", "black")),
        (lambda: pack(3, 1), ("Scene",)),
        (lambda: pack(Scene((Sphere(np.zeros((3, 3)) + 1),), DOWN), 4), ("position", "3 frames", "4")),
        (lambda: orbit((0, 0, 0), 1, 1, 0), ("frames", "0")),
    ):
        with refuses(*words):
            make()


def test_bad_calls_are_refused_in_one_sentence():
    arrays, good = pack(ROOM, 1), {"height": 4, "width": 4, "samples": 1, "seed": 0}
    for change, words in (
        ({"height": 0}, ("height", "0")), ({"width": 2.5}, ("width", "2.5")), ({"samples": 0}, ("samples", "0")),
        ({"seed": -1}, ("seed", "-1")), ({"frame": 1}, ("frame", "1 frames")), ({"frame": -1}, ("frame", "-1")),
        ({"arrays": 3}, ("arrays", "pack")), ({"arrays": {}}, ("arrays", "pack")),
        ({"arrays": arrays | {"color": np.zeros((2, 2))}}, ("color", "(2, 2)")), ({"bounces": -1}, ("bounces", "-1")),
    ):  # fmt: skip
        with refuses(*words):
            radiance(**{"arrays": arrays} | good | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"height": 2**31, "width": 2**31}, ["the picture", "smaller"]),
        ({"samples": 2**31}, ["paths of a pixel", "fewer"]),
    ],
)
def test_what_would_not_fit_is_refused(change, words):
    for draws in (radiance, features):
        with refuses(*words):
            draws(pack(ROOM, 1), **{"height": 4, "width": 4, "samples": 1, "seed": 0} | change)


def test_arrays_that_do_not_belong_together_are_refused():
    arrays, two = pack(ROOM, 1), pack(ROOM, 2)
    for change, words in (
        ({"color": np.full_like(arrays["color"], np.nan)}, ("color", "finite")),
        ({"color": arrays["color"][:1]}, ("color", "in front")),
        ({"lights": [99]}, ("lights", "99")),
        ({"lights": []}, ("lights", "at least one")),
        ({"sphere_position": two["sphere_position"]}, ("sphere_position", "in front")),
        ({"lens": two["lens"]}, ("lens", "in front")),
        ({"sky": None}, ("sky", "numbers")),
    ):
        with refuses(*words):
            radiance(arrays | change, height=2, width=2, samples=1, seed=0)


def test_light_and_pictures_that_cannot_be_are_refused():
    for make, words in (
        (lambda: developed(-1.0), ("developed", "light from 0")),
        (lambda: developed(np.nan), ("developed", "light from 0")),
        (lambda: undeveloped(0.0, 0.0), ("undeveloped", "exposure above 0")),
        (lambda: glowing(1e39), ("glow", "1e+18")),
        (lambda: glowing(None), ("glow", "numbers")),
        (lambda: turned((0, 1, 0), np.nan), ("angle", "radians")),
        (lambda: orbit((0, 0, 0), np.nan, 1, 3), ("distance", "nan")),
        (lambda: orbit((0, 0, 0), "a", 1, 3), ("distance", "'a'")),
        (lambda: Sphere((0, 0, 0), 1, turn=np.diag([1, 1, -1])), ("turn", "reflection")),
        (lambda: Sphere((0, 0, 0), 1, turn=np.zeros((0, 3, 3))), ("turn", "empty")),
    ):
        with refuses(*words):
            make()
