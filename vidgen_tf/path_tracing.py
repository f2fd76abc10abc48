"""Path tracing: light is followed backwards, from the camera, from one thing to the next, until it finds where it came from.

What leaves a point x in a direction o is what it sends out itself, and a share of all that arrives there (Kajiya's rendering
equation; n is the normal, f the material):

    L(x, o) = glow(x, o) + ∫ f(i, o) · L(x, i) · |n · i| di        over all directions i

The integral is estimated with one direction i, drawn with density p: f · L · |n · i| / p is right in the mean, whatever p is.
L(x, i) is estimated in the same way, and so on: a path. Two densities are used at each point, that of the material and that of
the lamps (next-event estimation), and what both can find is weighed by the power heuristic. Paths with little light end
by chance (Russian roulette); those that go on count more.

All rays of a chunk are computed at once. A vector of many rays is (3, rays), so that each operation runs along the rays.
Every path has random numbers of its own, by seed, frame, chunk and bounce. All of it is differentiable by the numbers in
the arrays of `scenes.pack`; what such slopes miss, since nobody can draw it, is what appears or is hidden at edges.

J. T. Kajiya: The Rendering Equation. SIGGRAPH 1986, https://doi.org/10.1145/15922.15902
R. L. Cook, T. Porter, L. Carpenter: Distributed Ray Tracing. SIGGRAPH 1984, https://doi.org/10.1145/800031.808590
(depth of field, motion blur)
J. Arvo, D. Kirk: Particle Transport and Image Synthesis. SIGGRAPH 1990, https://doi.org/10.1145/97879.97886 (roulette)
E. Veach: Robust Monte Carlo Methods for Light Transport Simulation. PhD thesis, Stanford University, 1997 (weights)
M. Pharr, W. Jakob, G. Humphreys: Physically Based Rendering, 4th edition. MIT Press 2023, https://pbr-book.org
"""

import math

from vidgen_tf.clips import check_count, check_seed, check_values
from vidgen_tf.materials import (
    DIFFUSE,
    GRAZING,
    METAL,
    TINY,
    dot,
    evaluated,
    gain,
    normalized,
    outwards,
    root,
    scattered,
)
from vidgen_tf.quiet import tf

CHUNK = 2**16  # paths that are followed at once
DICE = 8  # random numbers of a path at each bounce
NEAR, FAR = 1e-4, 1e8  # metres: nearer hits are the surface that a ray comes from; farther ones are the sky
OFFSET = 2e-4  # metres from a surface to where the next ray starts
SURVIVE = 0.95  # the largest chance that roulette gives to a path
GAMMA = 2.2

SPECS = {
    "sphere_position": (None, None, 3), "sphere_velocity": (None, None, 3), "sphere_radius": (None, None),
    "sphere_turn": (None, None, 3, 3), "solid_position": (None, None, 3), "solid_velocity": (None, None, 3),
    "solid_turn": (None, None, 3, 3), "solid_normals": (None, None, 6, 3), "solid_offsets": (None, None, 6),
    "sheet_position": (None, 3), "sheet_side": (None, 3), "sheet_other": (None, 3), "sheet_half": (None, 2),
    "color": (None, 3), "second": (None, 3), "glow": (None, 3), "surface": (None, 5), "lights": (None,),
    "camera": (None, 4, 3), "lens": (None, 4), "sky": (2, 3), "exposure": (),
}  # fmt: skip


# ------------------------------------------------------------------------------------- where a ray meets what


def at_frame(arrays: dict, frame) -> dict:
    """The arrays of one frame, with the axes of space in front: (3, things)."""
    scene = {}
    for name, values in arrays.items():
        if name in ("camera", "lens") or name.startswith(("sphere_", "solid_")):
            values = values[frame]
        scene[name] = tf.transpose(values) if len(values.shape) == 2 and name not in ("camera", "sky") else values
    scene["sphere_turn"] = tf.transpose(scene["sphere_turn"], (1, 2, 0))  # (3, 3, spheres)
    scene["solid_turn"] = tf.transpose(scene["solid_turn"], (1, 2, 0))
    scene["solid_normals"] = tf.transpose(scene["solid_normals"], (2, 1, 0))  # (3, faces, solids)
    scene["sheet_normal"] = tf.linalg.cross(arrays["sheet_side"], arrays["sheet_other"])
    scene["sheet_normal"] = tf.transpose(scene["sheet_normal"])
    scene["material"] = tf.concat([scene[name] for name in ("color", "second", "glow", "surface")], axis=0)
    scene["lights"] = tf.cast(arrays["lights"], tf.int32)
    return scene


def intersect(scene: dict, origin, direction, time):
    """How far it is to the nearest thing, and its number, (rays,) each; FAR or more where there is none."""
    distances = tf.concat(
        [
            _to_spheres(scene, origin, direction, time),
            _to_solids(scene, origin, direction, time),
            _to_sheets(scene, origin, direction),
        ],
        axis=0,
    )  # (things, rays)
    return tf.reduce_min(distances, axis=0), tf.argmin(distances, axis=0, output_type=tf.int32)


def _to_spheres(scene, origin, direction, time):
    center = scene["sphere_position"][..., None] + scene["sphere_velocity"][..., None] * time  # (3, spheres, rays)
    away = origin[:, None] - center
    middle = -tf.reduce_sum(away * direction[:, None], axis=0)  # along the ray, to the point nearest to the centre
    beside = away + middle * direction[:, None]
    square = scene["sphere_radius"][:, None] ** 2 - tf.reduce_sum(beside * beside, axis=0)
    half = root(square)
    near, far = middle - half, middle + half
    distance = tf.where(near > NEAR, near, far)
    return tf.where((square > 0) & (distance > NEAR), distance, FAR)


def _to_solids(scene, origin, direction, time):
    """The latest entry through a face's plane against the earliest exit."""
    normals = tf.reshape(scene["solid_normals"], (3, -1))  # (3, faces · solids)
    inside = tf.shape(scene["solid_position"])[1]
    shape = (6, inside, -1)
    of_position, of_velocity = (
        tf.reduce_sum(scene["solid_normals"] * scene[name][:, None], axis=0)[..., None]
        for name in ("solid_position", "solid_velocity")
    )  # (faces, solids, 1)
    falls = tf.reshape(tf.matmul(normals, direction, transpose_a=True), shape)  # (faces, solids, rays)
    height = tf.reshape(tf.matmul(normals, origin, transpose_a=True), shape) - of_position - of_velocity * time
    height -= scene["solid_offsets"][..., None]  # above each face
    crossing = -height / tf.where(tf.abs(falls) < 1e-9, 1e-9, falls)
    enters = tf.reduce_max(tf.where(falls < 0, crossing, -FAR), axis=0)
    leaves = tf.reduce_min(tf.where(falls >= 0, crossing, FAR), axis=0)
    distance = tf.where(enters > NEAR, enters, leaves)
    return tf.where((enters < leaves) & (distance > NEAR), distance, FAR)


def _to_sheets(scene, origin, direction):
    along, start, rest = {}, {}, {}
    for name in ("normal", "side", "other"):
        axes = scene[f"sheet_{name}"]
        along[name] = tf.matmul(axes, direction, transpose_a=True)  # (sheets, rays)
        start[name] = tf.matmul(axes, origin, transpose_a=True)
        rest[name] = dot(axes, scene["sheet_position"])[:, None]
    falls = along["normal"]
    distance = (rest["normal"] - start["normal"]) / tf.where(tf.abs(falls) < 1e-9, 1e-9, falls)
    hits = distance > NEAR
    for number, name in enumerate(("side", "other")):
        hits &= tf.abs(start[name] + distance * along[name] - rest[name]) <= scene["sheet_half"][number][:, None]
    return tf.where(hits, distance, FAR)


def _counts(scene):
    """How many spheres, and how many spheres and solids."""
    spheres = tf.shape(scene["sphere_position"])[1]
    return spheres, spheres + tf.shape(scene["solid_position"])[1]


def surface_at(scene: dict, point, time, thing):
    """The normal out of a thing's front, (3, rays), and the place on it in its own axes, (3, rays)."""
    spheres, flats = _counts(scene)
    ball, solid = tf.clip_by_value(thing, 0, spheres - 1), tf.clip_by_value(thing - spheres, 0, flats - spheres - 1)
    sheet = tf.maximum(thing - flats, 0)

    def there(name, number):
        return tf.gather(scene[name], number, axis=-1)

    center = there("sphere_position", ball) + there("sphere_velocity", ball) * time
    from_center = (point - center) / there("sphere_radius", ball)
    on_ball = tf.reduce_sum(there("sphere_turn", ball) * from_center[:, None], axis=0)
    away = point - there("solid_position", solid) - there("solid_velocity", solid) * time
    normals = there("solid_normals", solid)  # (3, faces, rays)
    height = tf.reduce_sum(normals * away[:, None], axis=0) - there("solid_offsets", solid)
    chosen = tf.one_hot(tf.argmax(height, axis=0), 6, axis=0)
    of_solid = tf.reduce_sum(normals * chosen, axis=1)
    # A face is no edge of squares.
    on_solid = tf.reduce_sum(there("solid_turn", solid) * away[:, None], axis=0) * 0.9995
    away = point - there("sheet_position", sheet)
    on_sheet = tf.stack(
        [dot(away, there("sheet_side", sheet)), dot(away, there("sheet_other", sheet)), 0 * point[0] + 1e-3]
    )
    is_ball, is_sheet = thing < spheres, thing >= flats
    normal = tf.where(is_ball, from_center, tf.where(is_sheet, there("sheet_normal", sheet), of_solid))
    return normalized(normal), tf.where(is_ball, on_ball, tf.where(is_sheet, on_sheet, on_solid))


def material_at(scene: dict, thing, place) -> dict:
    """What things are made of at a place: color and glow (3, rays), kind, roughness, index, compensated (rays,)."""
    rows = tf.gather(scene["material"], thing, axis=1)
    squares = tf.reduce_sum(tf.floor(place / tf.where(rows[12] > 0, rows[12], 1.0)), axis=0)
    odd = (rows[12] > 0) & (tf.math.floormod(squares, 2.0) > 0.5)
    return {
        "color": tf.where(odd, rows[3:6], rows[:3]), "glow": rows[6:9], "kind": tf.cast(rows[9], tf.int32),
        "roughness": rows[10], "index": rows[11], "compensated": rows[13],
    }  # fmt: skip


def sky(scene: dict, direction):
    """The radiance of the sky in directions (3, rays), of the same shape."""
    height = tf.abs(direction[1])
    return scene["sky"][0][:, None] * (1 - height) + scene["sky"][1][:, None] * height


# ----------------------------------------------------------------------------------------------------- lamps


def _lamp(scene, thing, time, point):
    """Of lamps that are spheres: direction of the centre, 1 - cosine of the cone that it fills, and whether the point is outside."""
    ball = tf.clip_by_value(thing, 0, _counts(scene)[0] - 1)
    center = (
        tf.gather(scene["sphere_position"], ball, axis=1) + tf.gather(scene["sphere_velocity"], ball, axis=1) * time
    )
    away = center - point
    square = tf.gather(scene["sphere_radius"], ball) ** 2 / tf.maximum(dot(away, away), TINY)
    return normalized(away), square / (1 + root(1 - square)), square < 1


def towards_lamp(scene: dict, point, time, dice):
    """A direction to a lamp, drawn evenly over the angles that a sphere fills, or over the area of a rectangle.

    Args:
        point: (3, rays).
        time: (rays,).
        dice: (3, rays).

    Returns:
        (direction (3, rays), number of the lamp (rays,)).
    """
    count = tf.shape(scene["lights"])[0]
    which = tf.minimum(tf.cast(dice[0] * tf.cast(count, tf.float32), tf.int32), count - 1)
    thing = tf.gather(scene["lights"], which)
    axis, narrow, _ = _lamp(scene, thing, time, point)
    cosine, angle = 1 - dice[1] * narrow, 2 * math.pi * dice[2]
    sine = root(1 - cosine**2)
    to_ball = outwards(tf.stack([sine * tf.cos(angle), sine * tf.sin(angle), cosine]), axis)
    spheres, flats = _counts(scene)
    sheet = tf.maximum(thing - flats, 0)
    half = tf.gather(scene["sheet_half"], sheet, axis=1) * (2 * dice[1:] - 1)
    on_sheet = tf.gather(scene["sheet_position"], sheet, axis=1) + half[0] * tf.gather(
        scene["sheet_side"], sheet, axis=1
    )
    on_sheet += half[1] * tf.gather(scene["sheet_other"], sheet, axis=1)
    return tf.where(thing < spheres, to_ball, normalized(on_sheet - point)), thing


def lamp_density(scene: dict, point, direction, time, thing, distance):
    """The density by angle with which `towards_lamp` draws a direction (3, rays) that meets `thing` at `distance`; 0 for what is no
    lamp."""
    spheres, flats = _counts(scene)
    _, narrow, outside = _lamp(scene, thing, time, point)
    of_ball = tf.where(outside, 1 / (2 * math.pi * tf.maximum(narrow, TINY)), 0.0)
    sheet = tf.maximum(thing - flats, 0)
    area = 4 * tf.reduce_prod(tf.gather(scene["sheet_half"], sheet, axis=1), axis=0)
    cosine = -dot(tf.gather(scene["sheet_normal"], sheet, axis=1), direction)
    of_sheet = tf.where(cosine > 0, distance**2 / (area * tf.maximum(cosine, 1e-6)), 0.0)
    density = tf.where(thing < spheres, of_ball, of_sheet)
    glows = tf.reduce_max(tf.gather(scene["glow"], thing, axis=1), axis=0) > 0
    return tf.where(glows, density / tf.cast(tf.shape(scene["lights"])[0], tf.float32), 0.0)


def _power(one, other):
    """Veach's power heuristic: the weight of what was drawn with density `one` where `other` could have drawn it too."""
    return 1 / (1 + tf.minimum(other / tf.maximum(one, TINY), 1e9) ** 2)


def _lit_directly(scene, material, normal, out, start, time, dice):
    """The light of one lamp that is seen from a point, (3, rays)."""
    direction, thing = towards_lamp(scene, start, time, dice)
    value, density = evaluated(material, normal, out, direction)
    distance, met = intersect(scene, start, direction, time)
    drawn = lamp_density(scene, start, direction, time, thing, distance)
    seen = (
        (met == thing) & (drawn > 0) & (distance < FAR) & ((material["kind"] == DIFFUSE) | (material["kind"] == METAL))
    )
    glow = tf.gather(scene["glow"], thing, axis=1)
    share = value * glow * _power(drawn, density) / tf.where(drawn > 0, drawn, 1.0)
    return tf.where(seen, share, 0.0)


# ----------------------------------------------------------------------------------------------------- paths


def camera_rays(scene: dict, pixel, height, width, dice):
    """Rays through pixels: origin and direction (3, rays), and the time in frames (rays,), from dice (5, rays)."""
    tangent, aperture, focus, shutter = tf.unstack(scene["lens"])
    position, right, up, forward = (scene["camera"][row][:, None] for row in range(4))
    rows, columns = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    y, x = tf.cast(pixel // width, tf.float32) + dice[0], tf.cast(pixel % width, tf.float32) + dice[1]
    x, y = tangent * (2 * x - columns) / rows, tangent * (rows - 2 * y) / rows
    sharp = focus * (forward + x * right + y * up)  # the point of this pixel that is in focus, from the lens's middle
    radius, angle = aperture * tf.sqrt(dice[2]), 2 * math.pi * dice[3]
    lens = radius * (tf.cos(angle) * right + tf.sin(angle) * up)
    return position + lens, normalized(sharp - lens), shutter * dice[4]


def _dice(seed, bounce, rays):
    return tf.random.stateless_uniform((DICE, rays), tf.random.fold_in(seed, bounce))


def _bounce(scene, seed, rays, bounce, last, roulette, traced, found, paths):
    """One ray of each path that is still alive: adds its light to `found` (rays, 3) and says how the path goes on."""
    origin, direction, time, weight, density, number = paths
    distance, thing = intersect(scene, origin, direction, time)
    missed, met = tf.where(distance >= FAR)[:, 0], tf.where(distance < FAR)[:, 0]
    found = _added(found, tf.gather(number, missed), _of(missed, weight) * sky(scene, _of(missed, direction)))
    origin, direction, time, weight, density, number, distance, thing = (
        _of(met, values) for values in (*paths, distance, thing)
    )
    point = origin + distance * direction
    normal, place = surface_at(scene, point, time, thing)
    material = material_at(scene, thing, place)
    inside = dot(normal, direction) > 0
    drawn = lamp_density(scene, origin, direction, time, thing, distance)
    share = tf.where(
        (density > 0) & (drawn > 0), _power(density, drawn), 1.0
    )  # after a mirror chance alone finds lamps
    found = _added(found, number, weight * tf.where(inside, 0.0, material["glow"] * share))

    going = tf.range(tf.where(bounce < last, tf.size(number), 0))  # all, or none after the last ray
    material = {name: _of(going, values) for name, values in material.items()}
    normal, direction, inside, point, time, weight, number = (
        _of(going, values) for values in (normal, direction, inside, point, time, weight, number)
    )
    normal, out = tf.where(inside, -normal, normal), -direction
    material["gain"] = gain(material, tf.maximum(dot(normal, out), GRAZING))
    dice = tf.gather(_dice(seed, bounce, rays), number, axis=1)
    start = point + OFFSET * normal
    found = _added(found, number, weight * _lit_directly(scene, material, normal, out, start, time, dice[:3]))
    traced += tf.cast(tf.size(distance) + tf.size(number), tf.int64)

    direction, factor, density = scattered(material, normal, out, inside, dice[3:6])
    weight = weight * factor
    brightest = tf.stop_gradient(tf.reduce_max(weight, axis=0))
    chance = tf.where(bounce >= roulette, tf.minimum(brightest, SURVIVE), 1.0)
    lives = tf.where((dice[6] < chance) & (brightest > 0))[:, 0]
    origin = tf.where(dot(direction, normal) > 0, start, point - OFFSET * normal)
    weight = weight / tf.maximum(chance, TINY)
    return traced, found, tuple(_of(lives, values) for values in (origin, direction, time, weight, density, number))


def _of(which, values):
    """The values of some of the rays, which are the last axis."""
    return tf.gather(values, which, axis=-1)


def _added(found, number, light):
    """`found` (rays, 3) with light (3, some rays) added to the paths of these numbers, of which none is there twice."""
    return tf.tensor_scatter_nd_add(found, number[:, None], tf.transpose(light))


_CHUNK_OF_FRAME = [  # what a compiled function is told: arrays; frame, first, pixels, samples, height, width; …
    {name: tf.TensorSpec(shape) for name, shape in SPECS.items()},
    tf.TensorSpec((6,), tf.int32),
]


@tf.function(input_signature=[*_CHUNK_OF_FRAME, tf.TensorSpec((2,), tf.int32), tf.TensorSpec((2,), tf.int32)])
def _traced(arrays, chunk, limits, seed):
    """The light of some pixels of a frame: radiance (pixels, 3), and how many rays were traced; see `radiance`."""
    frame, first, pixels, samples, height, width = tf.unstack(chunk)
    last, roulette = tf.unstack(limits)
    scene, rays = at_frame(arrays, frame), pixels * samples
    number = tf.range(rays)
    ray = camera_rays(scene, first + number // samples, height, width, _dice(seed, last + 1, rays)[:5])
    paths = (*ray, tf.ones((3, rays)), tf.zeros((rays,)), number)
    state = (tf.constant(0), tf.constant(0, tf.int64), tf.zeros((rays, 3)), paths)
    many, one = tf.TensorShape((3, None)), tf.TensorShape((None,))
    _, traced, found, _ = tf.while_loop(
        lambda bounce, traced, found, paths: (bounce <= last) & (tf.size(paths[-1]) > 0),
        lambda bounce, traced, found, paths: (
            bounce + 1,
            *_bounce(scene, seed, rays, bounce, last, roulette, traced, found, paths),
        ),
        state,
        (tf.TensorShape(()), tf.TensorShape(()), tf.TensorShape((None, 3)), (many, many, one, many, one, one)),
    )
    return tf.reduce_mean(tf.reshape(found, (pixels, samples, 3)), axis=1), traced


@tf.function(input_signature=[*_CHUNK_OF_FRAME, tf.TensorSpec((2,), tf.int32)])
def _seen(arrays, chunk, seed):
    """What the camera meets first: color, normal, 1 / (1 + distance), (pixels, 7), averaged over samples; 0 for the sky."""
    frame, first, pixels, samples, height, width = tf.unstack(chunk)
    scene, rays = at_frame(arrays, frame), pixels * samples
    pixel = first + tf.range(rays) // samples
    origin, direction, time = camera_rays(scene, pixel, height, width, _dice(seed, 0, rays)[:5])
    distance, thing = intersect(scene, origin, direction, time)
    normal, place = surface_at(scene, origin + distance * direction, time, thing)
    color = material_at(scene, thing, place)["color"]
    normal = tf.where(dot(normal, direction) > 0, -normal, normal)
    features = tf.concat([color, normal, 1 / (1 + distance[None])], axis=0)
    features = tf.where(distance < FAR, features, 0.0)
    return tf.reduce_mean(tf.reshape(tf.transpose(features), (pixels, samples, 7)), axis=1)


# --------------------------------------------------------------------------------------------- what is called


def radiance(
    arrays: dict,
    frame: int = 0,
    *,
    height: int,
    width: int,
    samples: int,
    seed: int,
    bounces: int = 8,
    roulette: int = 3,
) -> tf.Tensor:
    """A picture of one frame in linear light, differentiable by the arrays.

    Args:
        arrays: of `scenes.pack`; any of them may be tensors or variables, and a `tf.GradientTape` finds their slopes.
        frame: which one, from 0.
        height, width: of the picture, in pixels, which are square.
        samples: paths through each pixel.
        seed: whole number from 0.
        bounces: how often light is followed at most; what comes later is lost.
        roulette: from which bounce on paths may end by chance.

    Returns:
        float32 (height, width, 3), radiance, from 0.

    Raises:
        ValueError: for arrays that are none of `pack`, a frame that there is not, or anything that is no count.
    """
    return rendered(arrays, frame, height, width, samples, seed, bounces, roulette)[0]


def rendered(arrays, frame, height, width, samples, seed, bounces=8, roulette=3, chunk=CHUNK) -> tuple[tf.Tensor, int]:
    """As `radiance`, and how many rays were traced; `chunk` paths are followed at once."""
    arrays, frame = check_arrays(arrays, frame)
    check_seed(seed)
    sizes = [check_count(value, name) for name, value in (("height", height), ("width", width), ("samples", samples))]
    limits = [check_count(bounces, "bounces", least=0), check_count(roulette, "roulette", least=0)]
    height, width, samples = sizes
    check_values((height, width, 3), "the picture")
    check_values((samples,), "the paths of a pixel")
    rounds = -(-samples // (chunk // 8))
    traced, total = 0, 0.0
    for turn in range(rounds):
        some = samples * (turn + 1) // rounds - samples * turn // rounds
        step, parts = max(1, chunk // some), []
        for first in range(0, height * width, step):
            pixels = min(step, height * width - first)
            key = tf.random.fold_in(tf.random.fold_in(tf.constant([frame, seed], tf.int64), turn), first)
            part, rays = _traced(arrays, [frame, first, pixels, some, height, width], limits, key)
            parts.append(part)
            traced += int(rays)
        total += tf.concat(parts, axis=0) * (some / samples)
    return tf.reshape(total, (height, width, 3)), traced


def features(arrays: dict, frame: int = 0, *, height: int, width: int, samples: int, seed: int) -> tf.Tensor:
    """What the camera meets first: for the eyes of a network that takes noise away.

    Args:
        arrays, frame, height, width, samples, seed: as in `radiance`.

    Returns:
        float32 (height, width, 7): color of the material, normal, and 1 / (1 + distance in metres), each the mean over a pixel; all
        0 where there is only sky.
    """
    arrays, frame = check_arrays(arrays, frame)
    check_seed(seed)
    height, width, samples = (
        check_count(value, name) for name, value in (("height", height), ("width", width), ("samples", samples))
    )
    check_values((height, width, 7), "the picture")
    check_values((samples, DICE), "the paths of a pixel")
    step, parts = max(1, CHUNK // samples), []
    for first in range(0, height * width, step):
        key = tf.random.fold_in(tf.constant([-1 - frame, seed], tf.int64), first)
        pixels = min(step, height * width - first)
        parts.append(_seen(arrays, [frame, first, pixels, samples, height, width], key))
    return tf.reshape(tf.concat(parts, axis=0), (height, width, 7))


def check_arrays(arrays: dict, frame: int) -> tuple[dict, int]:
    """The arrays as tensors, and the number of the frame, if they are those of `scenes.pack`; else ValueError."""
    if not isinstance(arrays, dict) or set(arrays) != set(SPECS):
        raise ValueError(f"arrays is {type(arrays).__name__}, but what pack(scene, frames) gives was expected.")
    checked = {}
    for name, shape in SPECS.items():
        try:
            value = tf.convert_to_tensor(arrays[name], tf.float32)
        except (ValueError, TypeError):
            raise ValueError(f"arrays[{name!r}] holds no numbers of one shape; pack(scene, frames) gives it.") from None
        if not value.shape.is_compatible_with(shape):
            raise ValueError(
                f"arrays[{name!r}] has shape {tuple(value.shape)}, but {shape} was expected, as pack gives it."
            )
        if not bool(tf.reduce_all(tf.math.is_finite(value))):
            raise ValueError(f"arrays[{name!r}] holds NaN or infinity, but finite numbers were expected.")
        checked[name] = value
    _check_counts({name: value.shape for name, value in checked.items()}, checked["lights"])
    frames = checked["camera"].shape[0]
    if check_count(frame, "frame", least=0) >= frames:
        raise ValueError(f"frame is {frame}, but the arrays have {frames} frames, from 0; pack the scene with more.")
    return checked, int(frame)


def _check_counts(shapes: dict, lights: tf.Tensor) -> None:
    """ValueError where arrays disagree on how many frames and things there are, or a lamp is none of the things."""
    frames, balls, solids = shapes["camera"][0], shapes["sphere_position"][1], shapes["solid_position"][1]
    sheets = shapes["sheet_position"][0]
    things = balls + solids + sheets
    heads = {"sphere": (frames, balls), "solid": (frames, solids), "sheet": (sheets,), "lens": (frames,)}
    heads |= dict.fromkeys(("color", "second", "glow", "surface"), (things,))
    for name, shape in shapes.items():
        head = heads.get(name.partition("_")[0], ())
        if tuple(shape[: len(head)]) != head or not all(head):
            raise ValueError(
                f"arrays[{name!r}] has shape {tuple(shape)}, but {head} in front was expected, as the other arrays have it; use those of one pack."
            )
    if not shapes["lights"][0] or not bool(tf.reduce_all((lights >= 0) & (lights < things))):
        raise ValueError(
            f"arrays['lights'] is {lights.numpy().tolist()!r:.60}, but numbers of the {things} things were expected, at least one."
        )


def _check_seen(made: tf.Tensor, name: str, wanted: str) -> tf.Tensor:
    """What was made, if it is finite, as far as that is known; else ValueError."""
    if tf.executing_eagerly() and not bool(tf.reduce_all(tf.math.is_finite(made))):
        raise ValueError(f"{name} makes NaN or infinity of this; {wanted} and an exposure above 0 were expected.")
    return made


def developed(light, exposure: float = 1.0):
    """Light as a picture in [-1, 1]: film darkens with it, 1 - exp(-exposure · light), and screens expect the 2.2nd root of that.

    Args:
        light: radiance from 0, array or tensor of any shape.
        exposure: what it is multiplied with.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: for light below 0, or NaN.
    """
    light = tf.convert_to_tensor(light, tf.float32)
    picture = 2 * (1 - tf.exp(-exposure * light) + 1e-9) ** (1 / GAMMA) - 1
    return _check_seen(picture, "developed", "light from 0")


def undeveloped(picture, exposure: float = 1.0):
    """The light of which `developed` makes this picture; values in [-1, 1], of which 1 counts as 0.9999."""
    picture = tf.clip_by_value(tf.convert_to_tensor(picture, tf.float32), -1.0, 0.9999)
    light = -tf.math.log(1 - ((picture + 1) / 2) ** GAMMA) / exposure
    return _check_seen(light, "undeveloped", "values in [-1, 1]")
