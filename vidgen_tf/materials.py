"""What happens to light where it meets a thing: diffuse, mirror, rough metal and glass.

Each material says how much light from one direction it sends into another, f · |n · i| (`evaluated`), and draws directions
in which much goes (`scattered`). Vectors of many rays are (3, rays).

- diffuse (Lambert): f = color / π, drawn with density cosine / π;
- metal: many small mirrors whose normals h have the density D, GGX of Walter et al. 2007, of which a share G is seen and lit:
  f · |n · i| = color · D · G / (4 · |n · o|), drawn by the visible normals. What a single scattering loses is given back
  by a factor (Turquin 2019), so a white metal is white; light that bounces between facets is not followed;
- mirror and glass: one direction, or one of two by Fresnel's share. Radiance is not scaled by the square of the index where
  light enters glass, since what goes in must come out again before it is seen.

B. Walter, S. Marschner, H. Li, K. Torrance: Microfacet Models for Refraction through Rough Surfaces. EGSR 2007,
https://doi.org/10.2312/EGWR/EGSR07/195-206
J. Dupuy, A. Benyoub: Sampling Visible GGX Normals with Spherical Caps. HPG 2023, https://doi.org/10.1111/cgf.14867
E. Turquin: Practical Multiple Scattering Compensation for Microfacet Models. 2019
T. Duff et al.: Building an Orthonormal Basis, Revisited. JCGT 6(1), 2017, https://jcgt.org/published/0006/01/01/
"""

import functools
import math

import numpy as np

from vidgen_tf.quiet import tf

DIFFUSE, METAL, GLASS = 0, 2, 3  # places in scenes.KINDS
TINY = 1e-12
GRAZING = 1e-4  # the smallest cosine between a normal and a ray


# -------------------------------------------------------------------------------------------------- vectors


def dot(a, b):
    """The scalar product of vectors (3, …), of shape (…)."""
    return tf.reduce_sum(a * b, axis=0)


def normalized(a):
    """Vectors (3, …) of length 1."""
    return a * tf.math.rsqrt(tf.maximum(dot(a, a), TINY))


def root(x):
    """The square root of what should not be negative, with a finite slope everywhere."""
    return tf.sqrt(tf.maximum(x, TINY))


def around(normal):
    """Two directions at right angles to a normal (3, rays) and to each other (Duff et al. 2017)."""
    x, y, z = tf.unstack(normal)
    sign = tf.where(z >= 0, 1.0, -1.0)
    a = -1 / (sign + z)
    b = x * y * a
    return tf.stack([1 + sign * x * x * a, sign * b, -sign * x]), tf.stack([b, sign + y * y * a, -y])


def outwards(local, normal):
    """Vectors (3, rays) whose third axis is the normal, as vectors of the world."""
    side, other = around(normal)
    return local[0] * side + local[1] * other + local[2] * normal


def inwards(vectors, normal):
    """Vectors of the world in axes of which the third is the normal."""
    side, other = around(normal)
    return tf.stack([dot(vectors, side), dot(vectors, other), dot(vectors, normal)])


# ------------------------------------------------------------------------------------------------- materials


def fresnel(cosine, index):
    """The share of light that glass reflects, from 0 to 1.

    Args:
        cosine: of the angle between ray and normal, from 0 to 1, on the side where light comes from.
        index: index of refraction of that side, divided by that of the other.
    """
    other = root(1 - index**2 * (1 - cosine**2))
    parallel = (cosine - index * other) / (cosine + index * other)
    perpendicular = (index * cosine - other) / (index * cosine + other)
    total = index**2 * (1 - cosine**2) >= 1
    return tf.where(total, 1.0, (parallel**2 + perpendicular**2) / 2)


def ggx(cosine, roughness):
    """The density of microfacets whose normal has this cosine to the normal (Walter et al. 2007, equation 33)."""
    square = roughness**2
    return square / (math.pi * (cosine**2 * (square - 1) + 1) ** 2)


def unshadowed(cosine, roughness):
    """The share of microfacets that are seen from a direction (Smith's G1; equation 34)."""
    return 2 * cosine / (cosine + root(roughness**2 + (1 - roughness**2) * cosine**2))


def visible_normal(out, roughness, dice):
    """A microfacet's normal, drawn as often as it is seen from `out` (3, rays), which points up the third axis; dice (2, rays)."""
    flat = tf.stack([roughness, roughness, tf.ones_like(roughness)])
    seen = normalized(out * flat)
    z = (1 - dice[1]) * (1 + seen[2]) - seen[2]
    sine, angle = root(1 - z * z), 2 * math.pi * dice[0]
    cap = tf.stack([sine * tf.cos(angle), sine * tf.sin(angle), z]) + seen
    return normalized(cap * flat)


TABLE = 32  # entries along each side of the table


@functools.cache
def albedo_table() -> np.ndarray:
    """What a metal of colour 1 sends back in all after a single scattering, float32 (roughness, cosine), each evenly from 0 to 1."""
    values = np.maximum(np.linspace(0, 1, TABLE), 0.005)
    cosine, u, v = np.meshgrid(values, *[(np.arange(48) + 0.5) / 48] * 2, indexing="ij")
    out = np.stack([np.sqrt(1 - cosine**2), 0 * cosine, cosine]).reshape(3, -1)
    out, dice = (tf.constant(values, tf.float32) for values in (out, np.stack([u, v]).reshape(2, -1)))
    rows = []
    for roughness in values:
        rough = tf.fill(dice[0].shape, np.float32(roughness))
        normal = visible_normal(out, rough, dice)
        up = 2 * dot(out, normal) * normal[2] - out[2]  # of the reflected ray
        lit = tf.where(up > 0, unshadowed(tf.maximum(up, TINY), rough), 0.0)
        rows.append(tf.reduce_mean(tf.reshape(lit, (TABLE, -1)), axis=1))
    return tf.stack(rows).numpy()


def _albedo(roughness, cosine):
    """The table, bilinear."""
    with tf.init_scope():  # outside of the graph that is being traced
        table = albedo_table().reshape(-1)
    row, column = (tf.clip_by_value(value * (TABLE - 1), 0.0, TABLE - 1.001) for value in (roughness, cosine))
    i, j = tf.floor(row), tf.floor(column)
    start = tf.cast(i * TABLE + j, tf.int32)
    corners = [tf.gather(table, start + step) for step in (0, 1, TABLE, TABLE + 1)]
    row, column = row - i, column - j
    upper, lower = (one + column * (other - one) for one, other in (corners[:2], corners[2:]))
    return upper + row * (lower - upper)


def gain(material: dict, cosine):
    """By how much more a metal sends back than after a single scattering, (3, rays), seen under this cosine (rays,)."""
    once = _albedo(material["roughness"], cosine)
    return 1 + material["compensated"] * material["color"] * (1 / once - 1)


def evaluated(material: dict, normal, out, into):
    """f · |n · i| of diffuse and metal, (3, rays), and the density with which `scattered` draws `into`, (rays,); the material
    knows its `gain`."""
    cos_in, cos_out = tf.maximum(dot(normal, into), 0.0), tf.maximum(dot(normal, out), GRAZING)
    half = normalized(into + out)
    facets = ggx(dot(normal, half), material["roughness"])
    seen, lit = (unshadowed(cosine, material["roughness"]) for cosine in (cos_out, tf.maximum(cos_in, TINY)))
    density = seen * facets / (4 * cos_out)
    is_metal, above = material["kind"] == METAL, cos_in > 0
    metal = material["color"] * material["gain"] * density * lit
    value = tf.where(is_metal, metal, material["color"] * cos_in / math.pi)
    density = tf.where(is_metal, density, cos_in / math.pi)
    return tf.where(above, value, 0.0), tf.where(above, density, 0.0)


def scattered(material: dict, normal, out, inside, dice):
    """A direction drawn by the material: (direction, weight (3, rays), density (rays,); 0 for mirrors and glass).

    `normal` points to the side where `out` is; `inside` says that this is the inside of the thing. dice: (3, rays).
    """
    kind, cosine = material["kind"], tf.maximum(dot(normal, out), GRAZING)
    radius, angle = tf.sqrt(dice[0]), 2 * math.pi * dice[1]
    lobe = tf.stack([radius * tf.cos(angle), radius * tf.sin(angle), root(1 - dice[0])])
    diffuse = outwards(lobe, normal)
    facet = outwards(visible_normal(inwards(out, normal), material["roughness"], dice[:2]), normal)
    facet = tf.where(kind == METAL, facet, normal)
    reflected = 2 * dot(out, facet) * facet - out
    index = tf.where(inside, material["index"], 1 / material["index"])
    share = fresnel(cosine, index)
    passes = dice[2] >= share
    refracted = (index * cosine - root(1 - index**2 * (1 - cosine**2))) * normal - index * out
    chance = tf.where(passes, 1 - share, share)
    chance = chance / tf.maximum(tf.stop_gradient(chance), TINY)  # 1; its slope is that of the share
    tint = tf.where(passes, material["color"], 1.0)

    lit = unshadowed(tf.maximum(dot(normal, reflected), TINY), material["roughness"])
    rough = material["color"] * material["gain"] * tf.where(dot(normal, reflected) > 0, lit, 0.0)
    direction = tf.where(kind == DIFFUSE, diffuse, tf.where((kind == GLASS) & passes, refracted, reflected))
    weight = tf.where(kind == METAL, rough, material["color"])
    weight = tf.where(kind == GLASS, tint * chance, weight)
    direction = normalized(direction)
    _, density = evaluated(material, normal, out, direction)
    return direction, weight, tf.where((kind == DIFFUSE) | (kind == METAL), density, 0.0)
