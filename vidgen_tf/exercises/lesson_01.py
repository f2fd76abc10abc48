"""Exercises of lesson 1: counting weights, a straight path, the nearest cross-fade."""

from itertools import pairwise

import numpy as np

from vidgen_tf.exercises.checking import array_of, exercise, number_of


@exercise("01.1")
def parameters(answer) -> str | None:
    """01.1: (latent, hidden, height, width) → number of weights and biases."""
    for latent, hidden, height, width in ((100, (256, 512), 64, 64), (2, (3, 5), 1, 1), (16, (32, 8), 4, 6)):
        sizes = [latent, *hidden, height * width * 3]
        right = sum(a * b + b for a, b in pairwise(sizes))
        given = number_of(answer, latent, hidden, height, width)
        if given != right:
            weights = sum(a * b for a, b in pairwise(sizes))
            grey = [*sizes[:-1], height * width]
            hints = {
                weights: "each unit also has a bias",
                sum(a * b + b for a, b in pairwise(grey)): "each pixel has three numbers",
                right - (latent * hidden[0] + hidden[0]): "the first layer, from the code, is missing",
                right - (sizes[-2] + 1) * sizes[-1]: "the last layer, to the pixels, is missing",
                right - sizes[-1]: "the last layer has biases too",
            }
            hint = hints.get(given, "a dense layer from a to b units has a·b weights and b biases")
            return (
                f"for code {latent}, hidden {hidden}, {height}×{width} it gives {given:,.10g}, not {right:,}; {hint}."
            )
    return None


@exercise("01.2")
def straight_path(answer) -> str | None:
    """01.2: (start, stop, count) → codes (count, latent_size) on the straight line."""
    generator = np.random.default_rng(5)
    for size, count in ((4, 5), (100, 9), (3, 2)):
        start, stop = generator.standard_normal((2, size)).astype(np.float32)
        path = array_of(answer, start, stop, count)
        if path.shape != (count, size):
            return f"for {count} points of {size} numbers it gives shape {path.shape}, not {(count, size)}."
        if np.allclose(path[0], stop, atol=1e-4) and np.allclose(path[-1], start, atol=1e-4):
            return "the path runs backwards: the first point should be `start`."
        if not np.allclose(path[0], start, atol=1e-4):
            return "the first point is not `start`."
        if not np.allclose(path[-1], stop, atol=1e-4):
            return "the last point is not `stop`; does your share of `stop` reach 1?"
        steps = np.diff(path, axis=0)
        if not np.allclose(steps, (stop - start) / (count - 1), atol=1e-4):
            return "the ends are right, but the points between are not equally far apart on the straight line."
    return None


@exercise("01.3")
def blend_weight(answer) -> str | None:
    """01.3: (frame, first, last) → the share of `last` in the nearest cross-fade."""
    generator = np.random.default_rng(9)
    first, last, other = generator.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
    line = (last - first).ravel().astype(float)
    off = other.ravel() - line * (other.ravel() @ line) / (line @ line)  # a direction that no blend explains
    for weight, noise in ((0.2371, 0), (0.5, 0), (0.9134, 0), (0.0, 0), (1.0, 0), (0.3182, 0.2)):
        frame = (first + weight * (last - first) + noise * off.reshape(first.shape)).astype(np.float32)
        given = number_of(answer, frame, first, last)
        if not abs(given - weight) <= 1e-3:  # NaN is no answer either
            case = f"a blend with {weight:.0%} of the last frame" + (" and something else in it" if noise else "")
            if not np.isfinite(given):
                return f"for {case} it gives {given}: divide one sum by another, not pixel by pixel."
            if abs(given - (1 - weight)) < 1e-3:
                return f"for {case} it gives {given:.3f}: that is the share of the first frame."
            return f"for {case} it gives {given:.3f}, but the nearest blend has {weight:.3f}."
    return None
