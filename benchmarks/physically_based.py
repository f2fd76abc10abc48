"""The path tracer against Mitsuba 3, on the same scene in one run: python benchmarks/physically_based.py

Mitsuba is no dependency of the kit; install it by hand for this: python -m pip install mitsuba. Its variant `llvm_ad_rgb` also needs
the LLVM library of the system (Debian: apt install libllvm15); where there is none its row is left out.

First agreement: both render the same scene (diffuse, rough metal without compensation, mirror, glass, box, lamps, sky, a lens) with
SAMPLES paths a pixel, and the root of the mean squared difference of linear light is printed in per cent of the mean light, beside
that of two renderings of our own with other seeds, which is noise alone. Then speed: pictures of the same size are
rendered, and ratios of medians are printed, in processor time, so that they hold on a busy machine too. Both follow the same paths, so
the ratio of their rays per second is that of their times for one picture. Mitsuba runs in a process of its own: its LLVM and
that of TensorFlow do not go together in one.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vidgen_tf.scenes import Box, Camera, Material, Rectangle, Scene, Sphere, glowing, turned

SIDE, SAMPLES, BOUNCES = 24, 16384, 12
SPEED_SIDE, SPEED_SAMPLES, ROUNDS = 128, 32, 5
SKY = (0.4, 0.5, 0.7)


def scene() -> Scene:
    """Every material, both kinds of lamps, a sky of one colour, and a lens."""
    return Scene(
        (
            Rectangle((0, 0, 0), (6, 0, 0), (0, 0, -6), Material((0.6, 0.6, 0.55))),
            Rectangle((0, 2, -3), (6, 0, 0), (0, 2, 0), Material((0.3, 0.5, 0.3))),
            Sphere((-1.6, 0.7, 0.3), 0.7, Material((0.8, 0.15, 0.1))),
            Sphere((0.0, 0.7, 0.8), 0.7, Material((1.0, 1.0, 1.0), "glass")),
            Sphere((1.6, 0.7, 0.3), 0.7, Material((0.95, 0.75, 0.4), "metal", roughness=0.3, compensated=False)),
            Sphere((-2.6, 0.5, -1.2), 0.5, Material((0.9, 0.9, 0.9), "mirror")),
            Box((0.6, 0.6, -1.4), (0.6, 0.6, 0.4), Material((0.2, 0.3, 0.7)), turned((0, 1, 0), 0.6)),
            Rectangle((0, 5, 1), (2, 0, 0), (0, 0, 2), glowing(5.0)),
            Sphere((3.0, 2.5, -1), 0.6, glowing((6.0, 4.0, 2.0))),
        ),
        Camera((0, 2.2, 7), (0, 0.8, 0), 36, aperture=0.08),
        zenith=SKY,
        horizon=SKY,
    )


def for_mitsuba(scene: Scene, side: int, samples: int) -> dict:
    """The scene as Mitsuba's dictionary; only what `scene()` uses."""
    import mitsuba as mi

    camera, move = scene.camera, mi.ScalarTransform4f
    distance = float(np.linalg.norm(np.subtract(camera.look_at, camera.position)))
    made = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": BOUNCES + 1, "rr_depth": 5},
        "sky": {"type": "constant", "radiance": rgb(scene.horizon)},
        "sensor": {
            "type": "thinlens", "fov": camera.field_of_view, "fov_axis": "y", "aperture_radius": camera.aperture,
            "focus_distance": distance,
            "to_world": move().look_at(origin=list(camera.position), target=list(camera.look_at), up=[0, 1, 0]),
            "film": {"type": "hdrfilm", "width": side, "height": side, "pixel_format": "rgb", "component_format": "float32",
                     "rfilter": {"type": "box"}},
            "sampler": {"type": "independent", "sample_count": samples},
        },
    }  # fmt: skip
    for number, thing in enumerate(scene.things):
        made[f"thing{number}"] = shape_of(thing, move) | {"bsdf": surface_of(thing.material)}
        if np.any(thing.material.glow):
            made[f"thing{number}"]["emitter"] = {"type": "area", "radiance": rgb(thing.material.glow)}
    return made


def shape_of(thing, move) -> dict:
    """Where a thing is."""
    if isinstance(thing, Sphere):
        return {"type": "sphere", "center": list(thing.position), "radius": thing.radius}
    matrix = np.eye(4)
    if isinstance(thing, Box):
        matrix[:3, :3] = np.asarray(thing.turn) * np.asarray(thing.half)
    else:
        normal = np.cross(thing.side, thing.other)
        matrix[:3, :3] = np.stack([thing.side, thing.other, normal / np.linalg.norm(normal)], axis=1)
    matrix[:3, 3] = thing.position
    return {"type": "cube" if isinstance(thing, Box) else "rectangle", "to_world": move(matrix)}


def surface_of(material: Material) -> dict:
    """What a thing is made of."""
    if material.kind == "glass":
        return {"type": "dielectric", "int_ior": material.index, "ext_ior": 1.0}
    if material.kind == "mirror":
        return {"type": "conductor", "material": "none", "specular_reflectance": rgb(material.color)}
    if material.kind == "metal":
        return {"type": "roughconductor", "material": "none", "distribution": "ggx", "alpha": material.roughness,
                "specular_reflectance": rgb(material.color)}  # fmt: skip
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": rgb(material.color)}}


def rgb(color) -> dict:
    """A colour as Mitsuba takes it."""
    return {"type": "rgb", "value": [float(value) for value in color]}


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The root of the mean squared difference, in per cent of the mean light."""
    return 100 * float(np.sqrt(np.mean(np.square(one - other))) / other.mean())


def mitsuba_alone(variant: str, file: str) -> None:
    """In a process of its own: writes the picture, and processor seconds of each of ROUNDS smaller ones, to a file."""
    import mitsuba as mi

    mi.set_variant(variant)
    light = np.array(mi.render(mi.load_dict(for_mitsuba(scene(), SIDE, SAMPLES)), seed=3))
    small, times = mi.load_dict(for_mitsuba(scene(), SPEED_SIDE, SPEED_SAMPLES)), []
    for turn in range(ROUNDS + 1):  # the first one compiles
        started = time.process_time()
        np.array(mi.render(small, seed=turn))
        times.append(time.process_time() - started)
    np.savez(file, light=light, times=times[1:])


def mitsuba(variant: str) -> dict | None:
    """What `mitsuba_alone` found, or None, with the reason printed, where it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.npz"
        done = subprocess.run([sys.executable, __file__, variant, str(file)], capture_output=True, text=True)
        if not file.exists():
            reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
            print(
                f"{variant} does not run here ({reason[:150]}); its rows are left out. python -m pip install mitsuba?"
            )
            return None
        return dict(np.load(file))


def main() -> None:
    from vidgen_tf.path_tracing import rendered
    from vidgen_tf.scenes import pack

    arrays = pack(scene(), 1)
    ours = [rendered(arrays, 0, SIDE, SIDE, SAMPLES, seed, BOUNCES)[0].numpy() for seed in (0, 1)]
    print(f"agreement at {SAMPLES} samples, {SIDE}×{SIDE} pixels, mean light {ours[0].mean():.4f}")
    print(f"  ours against ours with another seed (noise alone): {difference(*ours):.2f} %")
    found = {variant: mitsuba(variant) for variant in ("scalar_rgb", "llvm_ad_rgb")}
    found = {variant: result for variant, result in found.items() if result is not None}
    for variant, result in found.items():
        light = result["light"]
        print(
            f"  ours against {variant}: {difference(ours[0], light):.2f} %, mean {light.mean() / np.mean(ours):.4f} of ours"
        )
    times, rays = [], 0
    for turn in range(ROUNDS + 1):
        started = time.process_time()
        rays = rendered(arrays, 0, SPEED_SIDE, SPEED_SIDE, SPEED_SAMPLES, turn, BOUNCES)[1]
        times.append(time.process_time() - started)
    seconds = statistics.median(times[1:])
    print(f"speed: {rays:,} rays in a picture; ours {rays / seconds / 1e6:.2f} million a processor second")
    for variant, result in found.items():
        print(f"  rays per second, ours / {variant}: {statistics.median(result['times']) / seconds:.3f}×")


if __name__ == "__main__":
    mitsuba_alone(*sys.argv[1:]) if len(sys.argv) == 3 else main()
