"""A volume seen from any side: rays march through it, and each piece of it absorbs light and gives off some of its own.

On a ray there are points, evenly apart by a step Δ, counted from the eye. Where the density is σ, a piece hides the share
α = 1 - exp(-σ Δ) of what lies behind, and shows as much of its own colour c:

    seen = Σ T_i α_i c_i,    T_i = exp(-Δ Σ_{j<i} σ_j),    the light that gets through all pieces in front

Nothing is a surface: skin is a thin density, a lesion a thick one. Rays are parallel.

N. Max: Optical Models for Direct Volume Rendering. IEEE Transactions on Visualization and Computer Graphics 1(2), 1995
M. Levoy: Display of Surfaces from Volume Data. IEEE Computer Graphics and Applications 8(3), 1988
"""

import numpy as np

from vidgen_tf.clips import as_array, check_count, check_values


def render_volume(
    density: np.ndarray, colors: np.ndarray, turns: np.ndarray, tilt: float = 0.0, size: int = 64, samples: int = 64
) -> np.ndarray:
    """A clip of a volume, one frame for each turn of the eye around it.

    The volume is a cube with sides of 2, whatever its numbers of voxels; its first axis points up. The eye looks at its middle.

    Args:
        density: float (slices, height, width), σ from 0: on a way of that length through it light loses 1 - exp(-σ · length).
        colors: float (slices, height, width, 3), from -1, no light, to 1.
        turns: (time,) how far the eye has gone around, in degrees, against the clock as seen from above; at 0 it looks from
            where the second axis begins, and the third one goes to the right; at 90 from where the third axis ends, and the
            second one goes to the right.
        tilt: how high it stands, in degrees from -90 to 90; at 90 it looks down on the last slice.
        size: side of the frames in pixels; they show a square with sides of 2.5.
        samples: points on each ray.

    Returns:
        float32 (time, size, size, 3), values in [-1, 1]; where there is nothing, -1.

    Raises:
        ValueError: for other shapes or numbers.
    """
    density, colors, turns = as_array(density, "density"), as_array(colors, "colors"), as_array(turns, "turns")
    fits = (
        density.ndim == 3
        and colors.shape == (*density.shape, 3)
        and turns.ndim == 1
        and 0 not in (*density.shape, *turns.shape)
    )
    if not fits or not (np.isfinite(density).all() and (density >= 0).all() and (abs(colors) <= 1).all()):
        raise ValueError(
            f"density {density.shape}, colors {colors.shape} and turns {turns.shape} came, but (slices, height, width) from 0, "
            "(slices, height, width, 3) from -1 to 1, and (time,) were expected."
        )
    if not np.isfinite(turns).all() or not -90 <= tilt <= 90:
        raise ValueError(f"turns or tilt ({tilt!r}) are no angles; give degrees, the tilt from -90 to 90.")
    check_count(size, "size"), check_count(samples, "samples")
    check_values((size, size, samples, 4), "the points of a frame")
    light = (colors + 1) / 2 * density[..., None]  # what is given off, so that voxels without density have no say
    values = np.concatenate([density[..., None], light], axis=-1).astype(np.float32)
    across = 1.25 * ((2 * np.arange(size) + 1) / size - 1)
    reach, step = np.sqrt(3), 2 * np.sqrt(3) / samples
    along = reach - step * (np.arange(samples) + 0.5)  # from the eye on
    frames = []
    for turn in np.radians(turns):
        up, high = np.radians(tilt), np.array([1.0, 0, 0])
        flat = np.array([0, -np.cos(turn), np.sin(turn)])  # towards the eye, on the ground
        eye, top = np.sin(up) * high + np.cos(up) * flat, np.cos(up) * high - np.sin(up) * flat
        right = np.array([0, np.sin(turn), np.cos(turn)])
        points = -across[:, None, None, None] * top + across[:, None, None] * right + along[:, None] * eye
        found = _between_voxels(values, points.astype(np.float32))  # (size, size, samples, 4)
        sigma, shone = found[..., 0], found[..., 1:]
        through = np.exp(-step * (np.cumsum(sigma, axis=-1) - sigma))
        color = shone / np.maximum(sigma, 1e-6)[..., None]
        frames.append(((through * (1 - np.exp(-step * sigma)))[..., None] * color).sum(axis=2))
    return np.clip(2 * np.stack(frames) - 1, -1, 1).astype(np.float32)


def _between_voxels(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The values (slices, height, width, channels) of a cube from -1 to 1, at points (…, 3), mixed linearly; 0 outside."""
    sides, near = np.array(values.shape[:3], np.float32), (np.abs(points) < 1.0).all(axis=-1)
    bordered = np.pad(values, ((1, 1), (1, 1), (1, 1), (0, 0)), mode="edge")
    place = (points[near] + 1) / 2 * sides + np.float32(0.5)  # in voxels of the bordered volume
    first = place.astype(np.int32)
    share = place - first
    strides = np.array([bordered.shape[1] * bordered.shape[2], bordered.shape[2], 1], np.int32)
    flat, index = bordered.reshape(-1, values.shape[-1]), first @ strides
    found = np.zeros((*points.shape[:-1], values.shape[-1]), np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=-1, keepdims=True)
        found[near] += weight * flat[index + int(corner @ strides)]
    return found
