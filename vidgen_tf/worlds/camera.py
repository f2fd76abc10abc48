"""Photographs under a camera that pans, zooms and turns: real pictures, and motion that is known exactly.

What a frame shows at a pixel p is what the picture has at q = c[t] + z[t] · R(a[t]) p, so where it was in the frame before
is p' = R(-a[t-1]) (q - c[t-1]) / z[t-1], and the optical flow is p - p'. Nothing is estimated, and nothing hides anything.
"""

from collections.abc import Sequence

import numpy as np

from vidgen_tf.clips import (
    check_clips,
    check_count,
    check_number,
    check_seed,
    check_size,
    check_values,
    fit_picture,
    to_float,
)
from vidgen_tf.flow_estimation import estimate_flow
from vidgen_tf.styles import STYLES, read_shipped, style_picture
from vidgen_tf.worlds import Sample, World

PHOTOGRAPHS = {  # name: file in scikit-image; CC0, public domain, or without known copyright restrictions
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "retina": "retina.jpg",
    "photographer": "camera.png",
    "coins": "coins.png",
    "bricks": "brick.png",
}
ZOOM, TURN = 0.015, 0.02  # deviations of the change in a frame: of the logarithm of the size; in radians
NEAR, FAR = 0.55, 1.1  # pixels of the picture for one of the first frame; a picture is twice as wide as a frame


class MovingCamera(World):
    """Clips of a camera's flight over photographs.

    Truth of `sample`, with x to the right and y down, in pixels:
        picture: int (count,), the number of the picture in `names`.
        flow: float32 (count, frames - 1, size, size, 2): what is at (x, y) in frame t + 1 was at (x, y) - flow[t] in frame t.
        seen: bool (count, frames - 1, size, size): whether that is inside of frame t.
    The caption is as "a camera over the picture cat". Beyond its border a picture goes on mirrored.

    Args:
        names: of the pictures, of `PHOTOGRAPHS` (read from scikit-image) or of `styles.STYLES`; None takes all photographs.
        frames: frames of a clip.
        size: side of a frame in pixels, from 16 to 256.
        farthest: pixels that the camera pans in a frame at most.

    Raises:
        ValueError: for arguments other than these.
        ModuleNotFoundError: where scikit-image, which carries the photographs, is not installed.
    """

    def __init__(self, names: Sequence[str] | None = None, frames: int = 2, size: int = 64, farthest: float = 3.0):
        self.names = tuple(PHOTOGRAPHS) if names is None else (names,) if isinstance(names, str) else tuple(names)
        unknown = [name for name in self.names if name not in PHOTOGRAPHS and name not in STYLES]
        if unknown or not self.names:
            raise ValueError(
                f"names has {unknown[0] if unknown else 'nothing in it'!r}, but some of {', '.join(PHOTOGRAPHS)} or of the "
                "styles were expected."
            )
        check_size(check_count(size, "size", least=16))
        if size > 256:
            raise ValueError(f"size is {size}, but at most 256 pixels were expected; make it smaller.")
        self.clip_shape = (check_count(frames, "frames"), int(size), int(size), 3)
        check_values(self.clip_shape, "a clip")
        self.farthest = check_number(farthest, "farthest")
        self.pictures = np.stack([self._picture(name) for name in self.names])  # (pictures, 2 size, 2 size, 3)

    def sample(self, count: int, seed: int) -> Sample:
        """`count` flights over pictures that are drawn with replacement; see `World.sample`."""
        time, size = self.clip_shape[:2]
        check_values((check_count(count), *self.clip_shape), "a sample")
        dice = np.random.default_rng(check_seed(seed))
        picture, t = dice.integers(len(self.names), size=count), np.arange(time)
        zoom = np.log(dice.uniform(NEAR, FAR, (count, 1))) + ZOOM * dice.standard_normal((count, 1)) * t
        turn = dice.uniform(-0.2, 0.2, (count, 1)) + TURN * dice.standard_normal((count, 1)) * t
        heading, speed = dice.uniform(0, 2 * np.pi, (count, 1)), self.farthest * dice.uniform(0, 1, (count, 1))
        turned = np.exp(zoom + 1j * turn)  # points of the plane as x + iy: to zoom and turn is to multiply
        center = (size * (dice.uniform(0.6, 1.4, (count, 1)) + 1j * dice.uniform(0.6, 1.4, (count, 1)))
                  + np.exp(zoom[:, :1] + 1j * heading) * speed * (t - (time - 1) / 2))  # fmt: skip
        x, y = np.meshgrid(np.arange(size), np.arange(size))
        here = x + 1j * y - (size - 1) / 2 * (1 + 1j)  # (size, size), from the middle of the frame
        wide = (slice(None), slice(None), None, None)
        at = center[wide] + turned[wide] * here  # (count, time, size, size), places in the picture
        before = (at[:, 1:] - center[:, :-1][wide]) / turned[:, :-1][wide]
        flow = here - before
        seen = np.maximum(np.abs(before.real), np.abs(before.imag)) <= (size - 1) / 2
        truth = {"picture": picture, "flow": np.stack([flow.real, flow.imag], axis=-1).astype(np.float32), "seen": seen}
        captions = tuple(f"a camera over the picture {self.names[number]}" for number in picture)
        return Sample(np.stack([self._seen(*each) for each in zip(picture, at, strict=True)]), captions, truth)

    def read(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """The "flow" and what was "seen" before, as far as pixels tell: see `estimate_flow`.

        Args:
            clips: float32 (count, time, size, size, 3), of any time from 2.

        Raises:
            ValueError: for clips that break the convention or have another frame size.
        """
        flow, seen = estimate_flow(self.check_frames(clips))
        return {"flow": flow, "seen": seen}

    def _picture(self, name: str) -> np.ndarray:
        side = 2 * self.clip_shape[1]
        if name in STYLES:
            return style_picture(name, side)
        return to_float(np.asarray(fit_picture(read_shipped(PHOTOGRAPHS[name]), (side, side))))

    def _seen(self, number: int, at: np.ndarray) -> np.ndarray:
        """What a picture has at places x + iy between its pixels: float32 (*at.shape, 3)."""
        picture = self.pictures[number]
        last = len(picture) - 1
        x, y = (last - np.abs(last - np.mod(part, 2 * last)) for part in (at.real, at.imag))  # mirrored at its border
        left, top = np.minimum(x.astype(int), last - 1), np.minimum(y.astype(int), last - 1)
        u, v = (x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32)
        above = picture[top, left] * (1 - u) + picture[top, left + 1] * u
        below = picture[top + 1, left] * (1 - u) + picture[top + 1, left + 1] * u
        return check_clips(np.clip(above * (1 - v) + below * v, -1, 1), batch=False)
