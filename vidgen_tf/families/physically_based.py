"""Physically based rendering: clips are not learned but computed, from the laws of motion and of light.

A scene says what there is (`vidgen_tf.scenes`), a simulation how balls move in it (`vidgen_tf.rigid_bodies`), and a path tracer
what a camera sees (`vidgen_tf.path_tracing`): for each pixel it estimates the integral

    L(x, o) = glow(x, o) + ∫ f(i, o) · L(x, i) · |n · i| di

with random paths. The result is right in the mean, but for light that bounces more often than is followed, and noisy: the error
falls with the root of the number of samples, so half the noise costs four times as much. There is nothing to learn but one thing, how to take the noise away: a `Denoiser` may be
handed in.

J. T. Kajiya: The Rendering Equation. SIGGRAPH 1986, https://doi.org/10.1145/15922.15902
M. Pharr, W. Jakob, G. Humphreys: Physically Based Rendering, 4th edition. MIT Press 2023, https://pbr-book.org
"""

import numpy as np

from vidgen_tf.clips import check_count, check_seed
from vidgen_tf.path_tracing import developed, features, rendered
from vidgen_tf.quiet import keras, tf
from vidgen_tf.rigid_bodies import simulate
from vidgen_tf.scenes import Camera, Material, Rectangle, Scene, Sphere, floor, glowing, orbit, pack
from vidgen_tf.video_model import VideoModel

FPS = 12
COLORS = np.array([
    [0.80, 0.06, 0.05], [0.90, 0.55, 0.05], [0.08, 0.45, 0.12], [0.05, 0.25, 0.75], [0.55, 0.10, 0.50], [0.85, 0.80, 0.72],
])  # fmt: skip
GOLD, SILVER = (0.95, 0.70, 0.30), (0.93, 0.93, 0.92)


@keras.saving.register_keras_serializable(package="vidgen_tf")
class PathTracer(VideoModel):
    """A renderer under the contract of a family; what it is asked for are scenes.

    Args:
        clip_shape: (time, height, width, 3).
        samples: paths through each pixel of each frame.
        bounces: how often light is followed at most.
        denoiser: a trained `Denoiser`, which takes the noise out of each frame, or None.

    Attributes:
        rays: how many rays the last `generate` traced.

    Raises:
        ValueError: for other arguments, and for `fit`, `evaluate`: it has nothing to learn.
    """

    conditional = True
    fixed = ("denoiser",)

    def __init__(self, clip_shape, samples=16, bounces=8, denoiser=None, **kwargs):
        super().__init__(clip_shape, **kwargs)
        if self.clip_shape[-1] != 3:
            raise ValueError(f"clip_shape is {self.clip_shape}, but 3 channels were expected: light has colours here.")
        self.samples, self.bounces = check_count(samples, "samples"), check_count(bounces, "bounces")
        if isinstance(denoiser, dict):
            denoiser = keras.saving.deserialize_keras_object(denoiser)
        if denoiser is not None and (isinstance(denoiser, type) or not hasattr(denoiser, "clean")):
            raise ValueError(f"denoiser is {denoiser!r:.60}, but a trained Denoiser, or None, was expected.")
        self.denoiser, self.rays = denoiser, 0
        self.built = True

    def generate(self, count, condition=None, *, seed) -> np.ndarray:
        """Renders clips: the same seed gives the same noise, and the same scenes where none are given.

        Args:
            count: how many clips, at least 1.
            condition: a Scene for each clip; `scenes_of` makes them of captions. None throws some balls, see `thrown_balls`.
            seed: whole number from 0.

        Returns:
            float32 (count, time, height, width, 3), values in [-1, 1].

        Raises:
            ValueError: for anything else.
        """
        return super().generate(count, condition, seed=seed)

    def check_condition(self, condition, count):
        """The scenes as a list, one for each of `count` clips, or None; else ValueError."""
        if condition is None:
            return None
        scenes = list(condition) if isinstance(condition, (list, tuple, np.ndarray)) and np.ndim(condition) else None
        if scenes is None or len(scenes) != count or not all(isinstance(scene, Scene) for scene in scenes):
            raise ValueError(
                f"condition is {condition!r:.80}, but a list with one entry, a Scene, for each of {count} clips was expected; "
                "scenes_of(captions, seed=0) makes one."
            )
        return scenes

    def check_condition_spec(self, spec) -> None:
        """Raises ValueError: scenes do not come in datasets."""
        self._has_nothing_to_learn()

    def draw(self, count, condition, seed):
        self.rays, clips = 0, np.empty((count, *self.clip_shape), np.float32)
        for number in range(count):
            own = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)
            scene = thrown_balls(self.clip_shape[0], own) if condition is None else condition[number]
            arrays = pack(scene, self.clip_shape[0])
            for frame in range(self.clip_shape[0]):
                clips[number, frame] = developed(self.light(arrays, frame, own), scene.exposure)
        return clips

    def light(self, arrays: dict, frame: int, seed: int) -> tf.Tensor:
        """One frame in linear light, without noise if there is a denoiser: float32 (height, width, 3)."""
        height, width = self.clip_shape[1:3]
        light, rays = rendered(arrays, frame, height, width, self.samples, seed, self.bounces)
        self.rays += rays
        if self.denoiser is None:
            return light
        seen = features(arrays, frame, height=height, width=width, samples=max(4, self.samples), seed=seed)
        return self.denoiser.clean(light[None], seen[None])[0]

    def fit(self, *args, **kwargs):
        """Raises ValueError: it computes, and has nothing to learn."""
        self._has_nothing_to_learn()

    def evaluate(self, *args, **kwargs):
        """Raises ValueError: it computes, and has nothing to learn."""
        self._has_nothing_to_learn()

    def _has_nothing_to_learn(self):
        raise ValueError(
            "PathTracer has nothing to learn: it computes light; train a Denoiser and hand it in, or fit the arrays of a scene "
            "by gradient descent through vidgen_tf.path_tracing.radiance."
        )

    @property
    def preset_weights(self):
        """None: the denoiser is a model of its own."""
        return []

    def get_config(self):
        denoiser = None if self.denoiser is None else keras.saving.serialize_keras_object(self.denoiser)
        return super().get_config() | {"samples": self.samples, "bounces": self.bounces, "denoiser": denoiser}


def thrown_balls(frames: int, seed: int) -> Scene:
    """A scene by chance: three to five balls of many materials are thrown together over a chequered floor.

    Args:
        frames: of the clip, at least 1, twelve a second.
        seed: whole number from 0; the same seed, the same scene.

    Returns:
        A Scene in which the balls move as `rigid_bodies.simulate` says, seen by a camera on its way around them.
    """
    dice = np.random.default_rng(check_seed(seed))
    count = int(dice.integers(3, 6))
    radius = dice.uniform(0.4, 0.75, count)
    angle = 2 * np.pi * (np.arange(count) + dice.uniform(-0.1, 0.1, count)) / count
    around = np.stack([np.cos(angle), np.zeros(count), np.sin(angle)], 1)
    start = 2.0 * around + np.stack([np.zeros(count), radius + dice.uniform(0.0, 2.0, count), np.zeros(count)], 1)
    aim = -around * dice.uniform(2.0, 4.0, (count, 1)) + dice.normal(0, 0.3, (count, 3)) * [1, 0, 1]
    motion = simulate(start, aim, radius, frames=frames, fps=FPS, restitution=0.8, friction=0.4)
    balls = [
        Sphere(motion.position[:, ball], radius[ball], material, motion.turn[:, ball])
        for ball, material in enumerate(_materials(count, dice))
    ]
    tiles = Material((0.62, 0.60, 0.56), second=(0.22, 0.23, 0.26), scale=1.0)
    lamp = Rectangle((1.5, 6.0, 2.0), (2.2, 0.0, 0.0), (0.0, 0.0, 2.2), glowing((10.0, 9.3, 8.2)))
    path = orbit((0, 0.8, 0), 7.0, 1.6, max(frames, 2), turns=dice.uniform(-0.15, 0.15), start=dice.random())[:frames]
    camera = Camera(path, (0, 0.8, 0), 31, aperture=0.05, shutter=0.5)
    return Scene(
        (floor(tiles), *balls, lamp), camera, zenith=(0.10, 0.20, 0.50), horizon=(0.55, 0.60, 0.68), exposure=1.2
    )


def _materials(count: int, dice: np.random.Generator) -> list[Material]:
    """Materials of balls: each by chance, but colours do not repeat."""
    found = []
    for color in dice.permutation(len(COLORS))[:count]:
        kind, tint = dice.choice(4, p=[0.5, 0.2, 0.2, 0.1]), tuple(COLORS[color])
        found.append(
            [
                Material(tint, second=tuple(0.5 + 0.4 * COLORS[color])),
                Material(GOLD if dice.random() < 0.5 else SILVER, "metal", roughness=dice.uniform(0.1, 0.4)),
                Material((0.97, 0.98, 0.98), "glass"),
                Material(SILVER, "mirror"),
            ][kind]
        )
    return found
