"""How a clip turns into noise as time goes by, and how the two are told apart again: the one formula of diffusion.

At time t, from 0 (the clip) to 1 (noise), what one sees is

    x(t) = signal_rate(t) · clip + noise_rate(t) · noise

and from any one of the noise, the clip, and the velocity dx/dt follow the others.

J. Ho, A. Jain, P. Abbeel: Denoising Diffusion Probabilistic Models (DDPM). NeurIPS 2020, https://arxiv.org/abs/2006.11239
X. Liu, C. Gong, Q. Liu: Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow. ICLR 2023,
https://arxiv.org/abs/2209.03003
T. Salimans, J. Ho: Progressive Distillation for Fast Sampling of Diffusion Models. ICLR 2022,
https://arxiv.org/abs/2202.00512 (velocities)
"""

import math

import numpy as np

from vidgen_tf.quiet import keras

SCHEDULES = ("linear", "cosine", "ddpm")
PREDICTIONS = ("noise", "clip", "velocity")
LEAST = 1e-3  # the rates by which something is divided are taken to be no smaller
NEARLY_CLIP = 0.05  # noise rates by which what remains beside a predicted clip is divided are taken to be no smaller


def rates(times, schedule: str = "linear"):
    """How much of the clip and of the noise is seen at times from 0 to 1.

    Args:
        times: array or tensor of any shape.
        schedule: "linear", 1 - t and t (rectified flow); "cosine", a quarter of a circle; or "ddpm", that of Ho et al. with its
            thousand steps taken as continuous: signal rate exp(-t/20 - 4.975 t²), and squares that sum to 1.

    Returns:
        (signal_rate, noise_rate), tensors of the shape of times.

    Raises:
        ValueError: for an unknown schedule.
    """
    times = keras.ops.convert_to_tensor(times, "float32")
    check_known(schedule, "schedule", SCHEDULES)
    if schedule == "linear":
        return 1 - times, times
    if schedule == "cosine":
        return keras.ops.cos(times * math.pi / 2), keras.ops.sin(times * math.pi / 2)
    log_signal = -0.05 * times - 4.975 * times**2
    return keras.ops.exp(log_signal), keras.ops.sqrt(-keras.ops.expm1(2 * log_signal))


def slopes(times, schedule: str = "linear"):
    """The slopes of the two `rates` by time: (signal_slope, noise_slope), tensors of the shape of times."""
    signal, noise = rates(times, schedule)
    if schedule == "linear":
        return -keras.ops.ones_like(signal), keras.ops.ones_like(signal)
    if schedule == "cosine":
        return -noise * math.pi / 2, signal * math.pi / 2
    down = 0.05 + 9.95 * keras.ops.convert_to_tensor(times, "float32")
    return -down * signal, down * signal**2 / keras.ops.maximum(noise, LEAST)


def told_apart(x, predicted, times, schedule: str = "linear", prediction: str = "velocity"):
    """Clip and noise, as estimated from what is seen and from what the network predicts.

    Args:
        x: what is seen, (batch, …).
        predicted: what the network says, of the same shape.
        times: (batch,) or a number.
        schedule: as in `rates`.
        prediction: what the network says: "noise", "clip", or "velocity", the slope of x by time.

    Returns:
        (clip, noise), tensors of the shape of x, with x = signal_rate · clip + noise_rate · noise; but beside a predicted
        clip, where the noise rate is below 0.05 and next to none to be seen, the noise is shorter than that.

    Raises:
        ValueError: for an unknown schedule or prediction.
    """
    check_known(prediction, "prediction", PREDICTIONS)
    signal, noise = (beside(rate, x) for rate in rates(times, schedule))
    if prediction == "clip":
        return predicted, (x - signal * predicted) / keras.ops.maximum(noise, NEARLY_CLIP)
    if prediction == "noise":
        return (x - noise * predicted) / keras.ops.maximum(signal, LEAST), predicted
    signal_slope, noise_slope = (beside(slope, x) for slope in slopes(times, schedule))
    scale = signal * noise_slope - noise * signal_slope
    return (noise_slope * x - noise * predicted) / scale, (signal * predicted - signal_slope * x) / scale


def beside(values, x):
    """Numbers (batch,) with as many axes as x has, to be multiplied with it; or one number as it is."""
    values = keras.ops.convert_to_tensor(values, "float32")
    return keras.ops.reshape(values, (-1, *[1] * (len(x.shape) - 1))) if len(values.shape) else values


def check_known(value, name: str, values) -> None:
    """ValueError if a value is not one of those that are known; it says which they are."""
    if value not in values:
        raise ValueError(f"{name} is {value!r:.60}, but one of {', '.join(values)} was expected.")


def waves(values, size: int):
    """Times, or other numbers (batch,) from 0 to 1, as a network sees them best: as cosines and sines of many wavelengths,
    (batch, size), or one fewer where size is odd."""
    turns = 2 * math.pi * np.exp(np.linspace(math.log(0.25), math.log(64), size // 2)).astype("float32")
    angles = values[:, None] * turns
    return keras.ops.concatenate([keras.ops.cos(angles), keras.ops.sin(angles)], axis=-1)
