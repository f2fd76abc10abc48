"""The checks of the exercises: each accepts what is right and rejects, with a reason, what is plausibly wrong."""

import sys

import numpy as np
import pytest
from conftest import one_sentence

from vidgen_tf.exercises import CHECKS, Verdict, check


def ramp(count: int) -> np.ndarray:
    return np.linspace(0, 1, count)[:, None]


def steps_of(clips: np.ndarray, axis: int = 1) -> np.ndarray:
    return np.abs(np.diff(clips, axis=axis))


def share(frame, first, last):
    return float(np.sum((frame - first) * (last - first)) / np.sum((last - first) ** 2))


def slerp(start, stop, count):
    angle = np.arccos(np.sum(start * stop) / np.linalg.norm(start) / np.linalg.norm(stop))
    u = ramp(count)
    return (np.sin((1 - u) * angle) * start + np.sin(u * angle) * stop) / np.sin(angle)


def parameters(code, hidden, height, width, *, channels=3, bias=1, drop=0):
    sizes = [code, *hidden, height * width * channels][drop:]
    return sum(a * b + bias * b for a, b in zip(sizes, sizes[1:], strict=False))  # noqa: RUF007 - as the lesson has it


def crossings(series):
    at = np.flatnonzero(np.sign(series[:-1]) != np.sign(series[1:]))
    return at + series[at] / (series[at] - series[at + 1])


def parabola(height, seconds):
    seen = np.isfinite(height)
    return np.polyfit(seconds * np.arange(len(height))[seen], height[seen], 2)[0]


def parted(before, after, masses):
    return (after[:, 1] - after[:, 0]) / (before[:, 0] - before[:, 1])


def lost(before, after, masses):
    return 1 - np.sum(masses * after**2, axis=1) / np.sum(masses * before**2, axis=1)


def line(x, y):
    return np.polyfit(x, y, 1)


def _unbeaten(cost, distance):
    as_good = (cost <= cost[:, None]) & (distance <= distance[:, None])
    return ~(as_good & ((cost < cost[:, None]) | (distance < distance[:, None]))).any(axis=1)


def _means_apart(real, made, *, sign=1, only="real made", ddof=1):
    chance = sum(
        values.var(axis=0, ddof=ddof).sum() / len(values)
        for name, values in (("real", real), ("made", made))
        if name in only
    )
    return np.sum((real.mean(axis=0) - made.mean(axis=0)) ** 2) - sign * chance


def _spread(measure, values, draws, share, around=...):
    found = np.array([measure(values[draw]) for draw in draws])
    ends = np.quantile(found, [(1 - share) / 2, (1 + share) / 2])
    if around is None:
        return ends
    return ends - found.mean() + (measure(values) if around is ... else around)


# Exercise: right answers, and wrong ones each with a word that its verdict must have.
def _decibels(sound, frames, floor, factor=20, level=lambda parts: np.sqrt(np.mean(parts**2, axis=1)), least=1e-12):
    parts = level(sound[: len(sound) // frames * frames].reshape(frames, -1))
    return 1 - 2 * np.maximum(factor * np.log10(np.maximum(parts / parts.max(), least)), floor) / floor


def _late(opening, loudness, most, score=lambda one, other: np.corrcoef(one, other)[0, 1]):
    def agreement(late):
        first, last = max(late, 0), len(opening) + min(late, 0)
        return score(opening[first:last], loudness[first - late : last - late])

    return max(range(-most, most + 1), key=agreement)


def _way(flows, sign=-1, order=1):
    y, x = np.mgrid[: flows.shape[1], : flows.shape[2]]
    total = np.zeros(flows.shape[1:])
    for flow in flows[::order]:
        row = np.clip(y + sign * flow[..., 1], 0, flows.shape[1] - 1).astype(int)
        total = flow + total[row, np.clip(x + sign * flow[..., 0], 0, flows.shape[2] - 1).astype(int)]
    return total


def _shadowed(film, light, empty, alpha, darker=None):
    darker = np.minimum(light / empty, 1) if darker is None else darker
    return alpha[..., None] * light + (1 - alpha[..., None]) * film * darker


ANSWERS = {
    "00.1": (
        [
            lambda seconds, fps, height, width: seconds * fps * height * width * 3,
            lambda seconds, fps, height, width: np.prod([seconds, fps, height, width, 3]),
        ],
        [
            (lambda seconds, fps, height, width: seconds * fps * height * width, "three numbers"),
            (lambda seconds, fps, height, width: seconds * fps * height * width * 3 * 4, "one byte"),
            (lambda seconds, fps, height, width: seconds * fps * height * width * 3 * 8, "not bits"),
            (lambda seconds, fps, height, width: seconds * height * width * 3, "frames per second"),
            (lambda seconds, fps, height, width: fps * height * width * 3, "multiply frames"),
            (lambda seconds, fps, height, width: seconds * fps * (height + width) * 3, "multiply frames"),
            (lambda seconds, fps, height, width: seconds * fps * height * height * 3, "multiply frames"),
            (
                lambda seconds, fps, height, width: f"{seconds * fps * height * width * 3} bytes",
                "numbers were expected",
            ),
            (lambda seconds, fps, height: 0, "TypeError"),
            (82_944_000, "a function was expected"),
        ],
    ),
    "00.2": (
        [
            lambda pixels: (pixels / 127.5 - 1).astype("float32"),
            lambda pixels: pixels.astype("float32") / 255 * 2 - 1,
            lambda pixels: np.interp(pixels, [0, 255], [-1, 1]).astype("float32"),
        ],
        [
            (lambda pixels: (pixels / 255).astype("float32"), "0 became 0 and 255 became 1"),
            (lambda pixels: (pixels / 128 - 1).astype("float32"), "255 became 0.99"),
            (lambda pixels: pixels / 127.5 - 1, "float64"),
            (lambda pixels: (1 - pixels / 127.5).astype("float32"), "0 became 1 and 255 became -1"),
            (lambda pixels: ((pixels * 2 - 255) / 255).astype("float32"), "ran over"),
            (lambda pixels: (pixels * 2 / 255 - 1).astype("float32"), "ran over"),
            (lambda pixels: ((pixels - pixels.min()) / np.ptp(pixels) * 2 - 1).astype("float32"), "not of the picture"),
            (lambda pixels: ((pixels - pixels.mean()) / pixels.std()).astype("float32"), "became"),
            (lambda pixels: (pixels // 127 - 1).astype("float32"), "equal"),
            (lambda pixels: (pixels // 127.5 - 1).astype("float32"), "equal"),
            (lambda pixels: np.sign(pixels / 127.5 - 1).astype("float32"), "equal"),
            (lambda pixels: ((pixels / 255.0) ** 2 * 2 - 1).astype("float32"), "evenly"),
            (lambda pixels: np.divide(pixels, 127.5, out=pixels), "astype"),
            (lambda pixels: print(pixels.shape), "return"),
            (lambda pixels: (pixels / 127.5 - 1).astype("float32").ravel(), "shape"),
            (lambda pixels: float(pixels.mean()) / 127.5 - 1, "shape"),
        ],
    ),
    "00.3": (
        [
            lambda clips: steps_of(clips).mean(axis=(1, 2, 3, 4)),
            lambda clips: np.sqrt(np.square(np.diff(clips, axis=1)).sum(axis=(2, 3, 4))).mean(axis=1),
            lambda clips: [float(steps_of(clip, 0).max(axis=0).sum() + steps_of(clip, 0).sum()) for clip in clips],
        ],
        [
            (lambda clips: steps_of(clips).mean(), "one number a clip"),
            (lambda clips: steps_of(clips).mean(axis=(2, 3, 4)), "one number a clip"),
            (lambda clips: clips.std(axis=1).mean(axis=(1, 2, 3)), "shuffled must score higher"),
            (lambda clips: steps_of(clips, 2).mean(axis=(1, 2, 3, 4)), "frozen must score lower"),
            (lambda clips: steps_of(clips, 0).mean(axis=(0, 2, 3, 4)), "one number a clip"),
            (lambda clips: -steps_of(clips).mean(axis=(1, 2, 3, 4)), "frozen must score lower"),
            (lambda clips: np.diff(clips, axis=1).mean(axis=(1, 2, 3, 4)), "must score"),
            (lambda clips: np.abs(clips[:, -1] - clips[:, 0]).mean(axis=(1, 2, 3)), "shuffled must score higher"),
            (lambda clips: clips.mean(axis=(1, 2, 3, 4)), "frozen must score lower"),
            (lambda clips: steps_of(clips).mean(axis=(1, 2, 3, 4)) / steps_of(clips).max(axis=(1, 2, 3, 4)), "NaN"),
            (lambda clips: np.arange(len(clips)), "frozen must score lower"),
            (lambda clips: np.random.default_rng(0).random(len(clips)), "frozen must score lower"),
        ],
    ),
    "01.1": (
        [parameters],
        [
            (lambda *given: parameters(*given, bias=0), "bias"),
            (lambda *given: parameters(*given, channels=1), "three numbers"),
            (lambda *given: parameters(*given, drop=1), "first layer"),
            (lambda *given: parameters(*given) - (given[1][-1] + 1) * given[2] * given[3] * 3, "last layer"),
            (lambda code, hidden, height, width: sum(hidden) + height * width * 3, "a·b weights"),
            (lambda code, hidden, height, width: code * hidden[0] * hidden[1] * height * width * 3, "a·b weights"),
            (lambda code, hidden, height, width: parameters(code, hidden[::-1], height, width), "a·b weights"),
            (lambda code, hidden, height, width: parameters(code, hidden, height, height), "a·b weights"),
            (lambda *given: 6_461_184, "a·b weights"),
        ],
    ),
    "01.2": (
        [
            lambda start, stop, count: start + ramp(count) * (stop - start),
            lambda start, stop, count: np.linspace(start, stop, count),
            lambda start, stop, count: [(1 - i / (count - 1)) * start + i / (count - 1) * stop for i in range(count)],
        ],
        [
            (lambda start, stop, count: np.linspace(stop, start, count), "backwards"),
            (lambda start, stop, count: np.linspace(start, stop, count, endpoint=False), "reach 1"),
            (lambda start, stop, count: np.linspace(start, stop, count + 1), "shape"),
            (lambda start, stop, count: np.linspace(start, stop, count).T, "shape"),
            (lambda start, stop, count: ramp(count) * (stop - start), "not `start`"),
            (lambda start, stop, count: start + ramp(count) * stop, "last point"),
            (slerp, "straight line"),
            (lambda start, stop, count: start + ramp(count) ** 2 * (stop - start), "straight line"),
            (
                lambda start, stop, count: start + (1 - np.cos(np.pi * ramp(count))) / 2 * (stop - start),
                "straight line",
            ),
            (lambda start, stop, count: np.stack([start, *[stop] * (count - 1)]), "straight line"),
            (lambda start, stop, count: np.stack([start] * count), "last point"),
            (lambda start, stop, count: np.linspace(0, 1, count) * (stop - start), "column"),
        ],
    ),
    "01.3": (
        [
            share,
            lambda frame, first, last: np.linalg.lstsq((last - first).reshape(-1, 1), (frame - first).ravel())[0][0],
        ],
        [
            (lambda frame, first, last: 1 - share(frame, first, last), "share of the first"),
            (lambda frame, first, last: share(frame, last, first), "share of the first"),
            (lambda frame, first, last: np.sum(frame * last) / np.sum(last**2), "nearest blend"),
            (lambda frame, first, last: np.linalg.norm(frame - first) / np.linalg.norm(last - first), "something else"),
            (lambda frame, first, last: np.mean((frame - first) / (last - first)), "something else"),
            (lambda frame, first, last: np.mean(frame - first) / np.mean(last - first), "something else"),
            (lambda frame, first, last: round(share(frame, first, last), 1), "nearest blend"),
            (
                lambda frame, first, last: min(
                    np.linspace(0, 1, 101), key=lambda w: np.square(first + w * (last - first) - frame).sum()
                ),
                "nearest blend",
            ),
            (lambda frame, first, last: np.sum((frame - first) * (last - first)), "nearest blend"),
            (lambda frame, first, last: 0.5, "nearest blend"),
            (lambda frame, first, last: (frame - first) / (last - first), "one number"),
            (lambda frame, first, last: (frame - first) @ (last - first), "np.sum"),
        ],
    ),
    "02.1": (
        [
            lambda p, q: p / (p + q),
            lambda p, q: 1 / (1 + q / p),
        ],
        [
            (lambda p, q: q / (p + q), "is made"),
            (lambda p, q: p / q, "odds"),
            (lambda p, q: (p > q).astype(float), "being sure"),
            (lambda p, q: p - q, "between 0 and 1"),
            (lambda p, q: 1 / (1 + np.exp(q - p)), "it says"),
            (lambda p, q: np.full_like(p, 0.5), "it says"),
            (lambda p, q: np.mean(p / (p + q)), "one probability a place"),
        ],
    ),
    "02.2": (
        [
            lambda logits: np.mean(np.logaddexp(0, -logits)),
            lambda logits: np.mean(np.maximum(-logits, 0) + np.log1p(np.exp(-np.abs(logits)))),
        ],
        [
            (lambda logits: np.mean(np.logaddexp(0, logits)), "mind the sign"),
            (lambda logits: -np.mean(np.logaddexp(0, logits)), "slope vanishes"),
            (lambda logits: np.sum(np.logaddexp(0, -logits)), "not the sum"),
            (lambda logits: -np.mean(np.logaddexp(0, -logits)), "mind the sign"),
            (lambda logits: np.mean(1 / (1 + np.exp(-logits))), "logarithm is missing"),
            (lambda logits: np.mean(np.log(1 + np.exp(-logits))), "overflows"),
            (lambda logits: np.mean(-np.log(1 / (1 + np.exp(-logits)))), "overflows"),
            (lambda logits: np.mean(np.maximum(-logits, 0)), "log(1 + exp(-a))"),
            (
                lambda logits: (
                    np.mean(np.maximum(-logits, 0) + np.log(1 + np.exp(-np.abs(logits)))) * (logits.max() < 20)
                ),
                "rounded to 1",
            ),
            (lambda logits: np.logaddexp(0, -logits), "one number"),
        ],
    ),
    "02.3": (
        [
            lambda modes, count: 1 - (1 - 1 / modes) ** count,
            lambda modes, count: -np.expm1(count * np.log1p(-1 / modes)),
        ],
        [
            (lambda modes, count: modes * (1 - (1 - 1 / modes) ** count), "divide by how many"),
            (lambda modes, count: min(count / modes, 1), "drawn twice"),
            (lambda modes, count: (1 - 1 / modes) ** count, "missed"),
            (lambda modes, count: 1 - (1 / modes) ** count, "missed by one draw"),
            (lambda modes, count: 1 - np.exp(-count / modes), "to the power"),
            (lambda modes, count: len(set(np.random.default_rng(0).integers(0, modes, count))) / modes, "to the power"),
        ],
    ),
    "03.1": (
        [
            lambda background, sheet: background - background * sheet[..., -1:] + sheet[..., :-1],
        ],
        [
            (lambda background, sheet: background * (1 - sheet[..., 3:]) + sheet[..., :3] * sheet[..., 3:], "already"),
            (
                lambda background, sheet: background * (1 - sheet[..., 3:]) + sheet[..., :3],
                "(6,7,0)",
            ),  # works in colour only
            (lambda background, sheet: background + sheet[..., :3], "must go"),
            (lambda background, sheet: background * sheet[..., 3:] + sheet[..., :3], "not where it is 1"),
            (lambda background, sheet: np.where(sheet[..., 3:] > 0.5, sheet[..., :3], background), "in shares"),
            (lambda background, sheet: sheet[..., :3], "must be the background"),
            (lambda background, sheet: np.where(sheet[..., 3:] > 0, sheet[..., :3], background), "its last"),
            (lambda background, sheet: (background * (1 - sheet[..., 3:]) + sheet[..., :3]).mean(axis=-1), "shape"),
        ],
    ),
    "03.2": (
        [
            lambda picture, x, y: _mix(picture, x, y),
            lambda picture, x, y: sum(
                picture[row, column] * max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
                for row in range(len(picture))
                for column in range(picture.shape[1])
            ),
        ],
        [
            (lambda picture, x, y: picture[round(y), round(x)], "nearest pixel"),
            (lambda picture, x, y: picture[int(y), int(x)], "pixel"),
            (lambda picture, x, y: picture[int(x), int(y)], "y comes first"),
            (lambda picture, x, y: _mix(picture.T, y, x) + 0.1, "mix along x"),
            (lambda picture, x, y: picture[int(y) : int(y) + 2, int(x) : int(x) + 2].mean(), "plain mean"),
            (
                lambda picture, x, y: _mix(
                    picture[int(y) : int(y) + 2, int(x) : int(x) + 2], 1 - x + int(x), 1 - y + int(y)
                ),
                "larger share",
            ),
            (
                lambda picture, x, y: _mix(picture[int(y) : int(y) + 2, int(x) : int(x) + 2], y - int(y), x - int(x)),
                "exchanged",
            ),
        ],
    ),
    "03.3": (
        [
            lambda points, pose: _undone(points, pose),
            lambda points, pose: _undone(points - pose[:2], [0, 0, *pose[2:]]),
        ],
        [
            (lambda points, pose: points + pose[:2], "subtract the place"),
            (lambda points, pose: points - pose[:2], "twice as large"),
            (lambda points, pose: (points - pose[:2]) * np.exp(pose[2]), "twice as large"),
            (lambda points, pose: (points - pose[:2]) / np.exp(pose[2]), "the other way"),
            (lambda points, pose: _undone(points, [*pose[:3], -pose[3]]), "the other way"),
            (lambda points, pose: _undone(points, [0, 0, *pose[2:]]) - pose[:2], "first the place"),
            (lambda points, pose: _undone(points[:1], pose), "shape"),
        ],
    ),
    "04.1": (
        [
            lambda qm, ql, pm, pl: _kl(qm, ql, pm, pl),
            lambda *four: float(np.mean([_kl(*four)] * 2)),
        ],
        [
            (lambda qm, ql, pm, pl: _kl(pm, pl, qm, ql), "KL(p || q)"),
            (lambda qm, ql, pm, pl: _kl(qm, ql, 0 * pm, 0 * pl), "standard normal"),
            (lambda qm, ql, pm, pl: _kl(qm, 2 * ql, pm, 2 * pl), "deviation"),
            (lambda qm, ql, pm, pl: 2 * _kl(qm, ql, pm, pl), "half"),
            (lambda qm, ql, pm, pl: _kl(qm, ql, pm, pl) / qm.size, "mean over the numbers"),
            (lambda qm, ql, pm, pl: _kl(qm, ql, pm, pl) / np.log(2), "bits"),
            (lambda qm, ql, pm, pl: -_kl(qm, ql, pm, pl), "never negative"),
            (lambda qm, ql, pm, pl: np.zeros(qm.shape), ""),
        ],
    ),
    "04.2": (
        [lambda kl, free: np.maximum(kl.mean(axis=0), free).sum()],
        [
            (lambda kl, free: np.maximum(kl, free).mean(axis=0).sum(), "first the mean"),
            (lambda kl, free: np.maximum(kl.mean(axis=0) - free, 0).sum(), "subtracted"),
            (lambda kl, free: kl.mean(axis=0).sum(), "where are the free"),
            (lambda kl, free: max(kl.mean(axis=0).sum(), free), "each latent"),
            (lambda kl, free: np.maximum(kl.mean(axis=1), free).sum(), "first axis"),
            (lambda kl, free: np.minimum(kl.mean(axis=0), free).sum(), "where are the free"),
            (lambda kl, free: np.maximum(kl.mean(axis=0), free).mean(), "all are summed"),
        ],
    ),
    "04.3": (
        [
            lambda w: np.logaddexp.reduce(w, axis=0) - np.log(len(w)),
            lambda w: _bound(w, w.max(axis=0)),
            lambda w: [_bound(clip, clip.max()) for clip in w.T],
        ],
        [
            (lambda w: np.log(np.mean(np.exp(w), axis=0)), "range of numbers"),
            (lambda w: w.mean(axis=0), "mean of the logarithms"),
            (lambda w: np.logaddexp.reduce(w, axis=0), "sum over draws"),
            (lambda w: w.max(axis=0), "largest draw"),
            (lambda w: _bound(w, w.max()), "its own largest weight"),
            (lambda w: _bound(w, w[0, 0]), "its own largest weight"),
            (lambda w: _bound(w, w.mean()), "its own largest weight"),
            (lambda w: _bound(w, w.mean(axis=0)), "no other"),
            (lambda w: _bound(w, w[0]), "no other"),
            (lambda w: _bound(w, w.min(axis=0)), "no other"),
            (lambda w: _bound(w, w.max(axis=0)) + 0.04 * (abs(w) > 10_000).any(axis=0), "near -50000"),
            (lambda w: _bound(w, w.max(axis=0)) + 1e-5, "near 0"),
            (lambda w: np.logaddexp.reduce(w, axis=1) - np.log(w.shape[1]), "one number a clip"),
        ],
    ),
    "05.1": (
        [
            lambda x, scale, shift: _normal((x - shift) / scale) / abs(scale),
            lambda x, scale, shift: np.exp(-0.5 * ((x - shift) / scale) ** 2) / np.sqrt(2 * np.pi * scale**2),
        ],
        [
            (lambda x, scale, shift: _normal((x - shift) / scale), "the stretch is missing"),
            (lambda x, scale, shift: _normal((x - shift) / scale) * abs(scale), "divide by the stretch"),
            (lambda x, scale, shift: _normal((x - shift) / scale) / scale, "absolute value"),
            (lambda x, scale, shift: _normal(x * scale + shift) / abs(scale), "undo shift and scale"),
            (lambda x, scale, shift: _normal(x * scale + shift) * abs(scale), "undo shift and scale"),
            (lambda x, scale, shift: _normal(x / scale - shift) / abs(scale), "subtract the shift, then divide"),
            (lambda x, scale, shift: _normal((x + shift) / scale) / abs(scale), "subtract it"),
            (lambda x, scale, shift: _normal((x - shift) / scale) / scale**2, "once"),
            (lambda x, scale, shift: np.log(_normal((x - shift) / scale) / abs(scale)), "logarithm"),
            (lambda x, scale, shift: np.exp(-0.5 * ((x - shift) / scale) ** 2) / abs(scale), "area"),
            (lambda x, scale, shift: scale * _normal(x) + shift, "wrong: take z"),
            (lambda x, scale, shift: np.mean(_normal((x - shift) / scale) / abs(scale)), "one density a place"),
        ],
    ),
    "05.2": (
        [
            lambda y, network: _uncoupled(y, *network(y[:, :2])),
            lambda y, network: [
                [*row[:2], *((row[2:] - t) / np.exp(s))] for row, s, t in zip(y, *network(y[:, :2]), strict=True)
            ],
        ],
        [
            (lambda y, network: _uncoupled(y, *network(y[:, 2:])), "the half that stayed"),
            (lambda y, network: _uncoupled(y, -network(y[:, :2])[0], network(y[:, :2])[1]), "exp(-s)"),
            (lambda y, network: _uncoupled(y, network(y[:, :2])[0], -network(y[:, :2])[1]), "subtract it"),
            (
                lambda y, network: np.concatenate(
                    [y[:, :2], y[:, 2:] * np.exp(-network(y[:, :2])[0]) - network(y[:, :2])[1]], axis=1
                ),
                "the last step first",
            ),
            (
                lambda y, network: np.concatenate(
                    [y[:, :2], y[:, 2:] * np.exp(network(y[:, :2])[0]) + network(y[:, :2])[1]], axis=1
                ),
                "couples once more",
            ),
            (lambda y, network: y, "still coupled"),
            (lambda y, network: _uncoupled(y, *network(y[:, :2]))[:, 2:], "both halves"),
            (lambda y, network: _uncoupled(y, *network(y[:, :2]))[:, ::-1], "first two columns"),
            (lambda y, network: _uncoupled(y, *network(y)), "takes a half"),
        ],
    ),
    "05.3": (
        [
            lambda log_prob, values, levels: -log_prob / (values * np.log(2)) + np.log2((levels - 1) / 2),
            lambda log_prob, values, levels: -(log_prob / values + np.log(2 / (levels - 1))) / np.log(2),
        ],
        [
            (lambda log_prob, values, levels: -log_prob / values + np.log((levels - 1) / 2), "these are nats"),
            (lambda log_prob, values, levels: -log_prob / values + np.log2((levels - 1) / 2), "in nats still"),
            (lambda log_prob, values, levels: -log_prob / values / np.log(2), "width of a level"),
            (lambda log_prob, values, levels: _bits(log_prob, values) + np.log2(levels), "2 wide, so"),
            (lambda log_prob, values, levels: _bits(log_prob, values) + np.log2(levels - 1), "not 1"),
            (lambda log_prob, values, levels: _bits(log_prob, values) + np.log2(levels / 2), "one step less"),
            (lambda log_prob, values, levels: _bits(log_prob, values) + np.log2(255 / 2), "not always 256"),
            (lambda log_prob, values, levels: _bits(log_prob, values) - np.log2((levels - 1) / 2), "mind the sign"),
            (lambda log_prob, values, levels: -_bits(log_prob, values) + np.log2((levels - 1) / 2), "mind the sign"),
            (lambda log_prob, values, levels: -_bits(log_prob, values) - np.log2((levels - 1) / 2), "mind the sign"),
            (lambda log_prob, values, levels: _bits(log_prob, 1) + values * np.log2((levels - 1) / 2), "a whole clip"),
            (lambda log_prob, values, levels: _bits(log_prob, 1) + np.log2((levels - 1) / 2), "by its values"),
            (lambda log_prob, values, levels: 2 ** (-log_prob / values), "costs -log2"),
            (lambda log_prob, values, levels: np.mean(_bits(log_prob, values)), "one number a clip"),
        ],
    ),
    "06.1": (
        [
            lambda before, after: _least_squares(before, after),
            lambda before, after: _least_squares(before, after).tolist(),
            lambda before, after: np.linalg.solve(*_normal_equations(before, after)),
            lambda before, after: _least_squares(before, after, before),
            lambda before, after: _least_squares(before, after, after),
        ],
        [
            (lambda before, after: np.linalg.lstsq(*_normal_equations(before, after)), "four things"),
            (lambda before, after: -_least_squares(before, after), "MINUS"),
            (lambda before, after: _least_squares(before, after)[::-1], "comes first"),
            (lambda before, after: -_least_squares(before, after)[::-1], "mind the sign"),
            (lambda before, after: 2 * _least_squares(before, after), "twice"),
            (lambda before, after: 0 * _least_squares(before, after), "nothing seems to move"),
            (lambda before, after: (after - before).mean(), "1 numbers"),
            (lambda before, after: np.stack(np.gradient(before)), "numbers, but one velocity"),
            (lambda before, after: [5, 5], "one equation"),
            (lambda before, after: 0.9 * _least_squares(before, after), "one equation"),
            (lambda before, after: 0.93 * _least_squares(before, after), "one equation"),
            (lambda before, after: 1.15 * _least_squares(before, after), "one equation"),
            (
                lambda before, after: (lambda squares, products: products / np.diag(squares))(
                    *_normal_equations(before, after)
                ),
                "one equation",
            ),
        ],
    ),
    "06.2": (
        [
            lambda first, second, look_up: second + look_up(first, *_back(second)),
            lambda first, second, look_up: look_up(first, *_back(second)) + look_up(second, *_back(0 * second)),
        ],
        [
            (lambda first, second, look_up: second + look_up(first, *_back(second)[::-1]), "columns, first"),
            (lambda first, second, look_up: first + look_up(second, *_back(-first)), "from frame 0"),
            (lambda first, second, look_up: second + look_up(first, *_back(first)), "step back by the second"),
            (lambda first, second, look_up: first + look_up(second, *_back(second)), "exchanged"),
            (lambda first, second, look_up: first + second, "different places"),
            (lambda first, second, look_up: first + look_up(second, *_back(first)), "other way round"),
            (lambda first, second, look_up: second + look_up(first, *_back(-second)), "not at x + second"),
            (lambda first, second, look_up: look_up(first, *_back(second)), "first half"),
            (lambda first, second, look_up: second + look_up(first, *_back(second[..., ::-1])), "columns"),
            (lambda first, second, look_up: -second - look_up(first, *_back(second)), "wrong way"),
            (lambda first, second, look_up: second, "go back from frame 2"),
            (lambda first, second, look_up: second + look_up(first, *np.round(_back(second))), "place to place"),
            (lambda first, second, look_up: (first + second)[..., 0], "same shape"),
        ],
    ),
    "06.3": (
        [
            lambda forward, backward, look_up: _agree(forward, look_up(backward, *_back(forward))) & _stays(forward),
            lambda forward, backward, look_up: (
                ~(~_agree(forward, look_up(backward, *_back(forward))) | ~_stays(forward))
            ),
        ],
        [
            (
                lambda f, b, look_up: (
                    _agree(f, look_up(b, *_back(f)))
                    & (np.min(_back(f), axis=0) >= 0)
                    & (_back(f)[0] < 16)
                    & (_back(f)[1] < 12)
                ),
                "width - 1",
            ),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(f)), 1.0) & _stays(f), "to half a pixel"),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(f))), "beyond the border"),
            (lambda f, b, look_up: _agree(f, b) & _stays(f), "not at the pixel"),
            (lambda f, b, look_up: _agree(f, b), "backward up at the place"),
            (lambda f, b, look_up: _agree(f, -look_up(b, *_back(f))) & _stays(f), "add up to nothing"),
            (lambda f, b, look_up: ~(_agree(f, look_up(b, *_back(f))) & _stays(f)), "True is for"),
            (lambda f, b, look_up: _stays(f), "inside is not enough"),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(-f))) & _stays(f), "wrong"),
            (lambda f, b, look_up: np.linalg.norm(f + look_up(b, *_back(f)), axis=-1), "bool"),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(f)), 0.7) & _stays(f), "(0.6, 0) pixels"),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(f)), 0.1) & _stays(f), "(0.3, 0.3) pixels"),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(f)), order=1) & _stays(f), "(0.3, 0.3) pixels"),
            (lambda f, b, look_up: _agree(f, look_up(b, *_back(f)), order=np.inf) & _stays(f), "(0.4, 0.4) pixels"),
            (lambda f, b, look_up: (abs((f + look_up(b, *_back(f)))[..., 0]) < 0.5) & _stays(f), "x alone"),
            (lambda f, b, look_up: (abs((f + look_up(b, *_back(f)))[..., 1]) < 0.5) & _stays(f), "in x and in y"),
            (lambda f, b, look_up: _agree(f, look_up(b, *np.round(_back(f)))) & _stays(f), "nearest pixel"),
            (lambda f, b, look_up: _agree(f, look_up(b, *np.floor(_back(f)))) & _stays(f), "place to place"),
        ],
    ),
    "07.1": (
        [
            lambda logits, tokens: sum(
                row[token] - np.logaddexp.reduce(row) for row, token in zip(logits, tokens, strict=True)
            ),
            lambda logits, tokens: _log_chances(logits)[np.arange(len(tokens)), tokens].sum(),
        ],
        [
            (lambda logits, tokens: -_log_chances(logits)[np.arange(len(tokens)), tokens].sum(), "that is its cost"),
            (lambda logits, tokens: _log_chances(logits)[np.arange(len(tokens)), tokens].mean(), "mean of the places"),
            (lambda logits, tokens: _log_chances(logits)[np.arange(len(tokens)), tokens].sum() / np.log(2), "in bits"),
            (lambda logits, tokens: logits[np.arange(len(tokens)), tokens].sum(), "no log-chances yet"),
            (
                lambda logits, tokens: np.exp(_log_chances(logits))[np.arange(len(tokens)), tokens].sum(),
                "logarithms are added",
            ),
            (
                lambda logits, tokens: np.exp(_log_chances(logits))[np.arange(len(tokens)), tokens].prod(),
                "probability itself",
            ),
            (lambda logits, tokens: _log_chances(logits).max(axis=1).sum(), "not that of the likeliest"),
            (lambda logits, tokens: _log_chances(logits).sum(), "not those of all codes"),
            (
                lambda logits, tokens: _log_chances(logits)[np.arange(len(tokens) - 1), tokens[1:]].sum(),
                "the shift was made already",
            ),
            (
                lambda logits, tokens: _log_chances(logits.T).T[np.arange(len(tokens)), tokens].sum(),
                "goes along a row",
            ),
            (
                lambda logits, tokens: np.sum(
                    np.log(np.exp(logits)[np.arange(len(tokens)), tokens] / np.exp(logits).sum(axis=1))
                ),
                "range of numbers",
            ),
            (
                lambda logits, tokens: np.sum(
                    logits[np.arange(len(tokens)), tokens]
                    - logits.max()
                    - np.log(np.exp(logits - logits.max()).sum(axis=1))
                ),
                "a largest logit of its own",
            ),
            (
                lambda logits, tokens: np.log(np.exp(_log_chances(logits))[np.arange(len(tokens)), tokens]).sum(),
                "too small for a number, and its logarithm",
            ),
            (
                lambda logits, tokens: np.log(
                    np.exp(_log_chances(logits))[np.arange(len(tokens)), tokens] + 1e-9
                ).sum(),
                "stay with logits",
            ),
            (
                lambda logits, tokens: (
                    np.log(np.exp(_log_chances(logits))[np.arange(len(tokens)), tokens].prod())
                    if np.ptp(logits) < 100
                    else _log_chances(logits)[np.arange(len(tokens)), tokens].sum()
                ),
                "the product of so many chances",
            ),
            (
                lambda logits, tokens: np.log(np.exp(_log_chances(logits))[np.arange(len(tokens)), tokens].prod()),
                "too small for a number",
            ),
            (lambda logits, tokens: _log_chances(logits)[np.arange(len(tokens)), tokens], "one number"),
            (lambda logits, tokens: -np.log(logits.shape[1]) * len(tokens), "softmax of each row"),
            (
                lambda logits, tokens: _log_chances(logits.astype("float32"))[np.arange(len(tokens)), tokens].sum(),
                "but for rounding",
            ),
        ],
    ),
    "07.2": (
        [
            lambda foretell, clip: _moved(foretell, clip, lambda other, t: _with(other, slice(t, None))),
            lambda foretell, clip: np.any(
                [_moved(foretell, clip, lambda other, t, k=k: _with(other, slice(t + k, t + k + 1))) for k in range(8)],
                axis=0,
            ),
            lambda foretell, clip: list(
                _moved(foretell, clip, lambda other, t: np.concatenate([other[:t], np.ones_like(other[t:])]))
            ),
            lambda foretell, clip: [
                np.isnan(foretell(np.where(np.arange(8)[:, None, None] < t, clip, np.nan))[t]).any() for t in range(8)
            ],
        ],
        [
            (lambda f, clip: _moved(f, clip, lambda other, t: _with(other, slice(t, t + 1))), "each later one"),
            (lambda f, clip: _moved(f, clip, lambda other, t: _with(other, slice(t + 1, None))), "is not found out"),
            (lambda f, clip: _moved(f, clip, lambda other, t: _with(other, slice(None))), "is honest"),
            (lambda f, clip: _moved(f, clip, lambda other, t: _with(other, slice(max(t - 1, 0), None))), "is honest"),
            (lambda f, clip: _moved(f, clip, lambda other, t: _with(other, slice(t, None)), 0.02), "a thousandth"),
            (lambda f, clip: ~_moved(f, clip, lambda other, t: _with(other, slice(t, None))), "is honest"),
            (
                lambda f, clip: [
                    abs(f(_with(clip.copy(), slice(t, None)))[t].mean() - f(clip)[t].mean()) > 1e-9 for t in range(8)
                ],
                "keeps its mean",
            ),
            (
                lambda f, clip: _moved(
                    f, clip, lambda other, t: other + 0.1 * (np.arange(8) >= t)[:, None, None], 1e-9
                ),
                "a constant may cancel",
            ),
            (lambda f, clip: np.abs(f(clip) - clip).max(axis=(1, 2)) < 1e-6, "not found out"),
            (lambda f, clip: np.zeros(8, bool), "not found out"),
            (lambda f, clip: np.ones(8, bool), "is honest"),
            (lambda f, clip: _moved(f, clip, lambda other, t: _with(other, slice(t, None))).any(), "one bool a frame"),
            (lambda f, clip: [np.abs(f(clip[:t])[-1] - f(clip)[t]).max() > 0 for t in range(8)], "the whole clip"),
            (lambda f, clip: np.full(8, 0.5), "True or False"),
            (
                lambda f, clip: np.repeat(_moved(f, clip, lambda other, t: _with(other, slice(t, None))).any(), 8),
                "is accused, and depends on none",
            ),
        ],
    ),
    "07.3": (
        [
            lambda logits, temperature, mass: _nucleus(_chances(logits / temperature), mass),
            lambda logits, temperature, mass: next(
                np.where(which, _chances(logits / temperature), 0) / _chances(logits / temperature)[which].sum()
                for least in np.sort(_chances(logits / temperature))[::-1]
                if _chances(logits / temperature)[which := _chances(logits / temperature) >= least].sum() >= mass - 1e-9
            ),
        ],
        [
            (
                lambda logits, temperature, mass: np.where(
                    _nucleus(_chances(logits / temperature), mass) > 0, _chances(logits / temperature), 0
                ),
                "sums to 1",
            ),
            (
                lambda logits, temperature, mass: _nucleus(_chances(logits / temperature), mass, less=True),
                "belongs to it",
            ),
            (
                lambda logits, temperature, mass: np.sort(_nucleus(_chances(logits / temperature), mass))[::-1],
                "came back sorted",
            ),
            (lambda logits, temperature, mass: _chances(logits / temperature), "nothing is left out"),
            (lambda logits, temperature, mass: _nucleus(_chances(logits), mass), "where is the temperature"),
            (lambda logits, temperature, mass: _nucleus(_chances(logits * temperature), mass), "divide the logits"),
            (
                lambda logits, temperature, mass: (lambda which, p: np.where(which, p, 0) / p[which].sum())(
                    _nucleus(_chances(logits), mass) > 0, _chances(logits / temperature)
                ),
                "first the temperature",
            ),
            (
                lambda logits, temperature, mass: (lambda p: np.where(p >= 1 - mass, p, 0) / p[p >= 1 - mass].sum())(
                    _chances(logits / temperature)
                ),
                "not a least chance",
            ),
            (
                lambda logits, temperature, mass: _chances(_nucleus(_chances(logits / temperature), mass)),
                "softmax of chances",
            ),
            (
                lambda logits, temperature, mass: _nucleus(
                    _chances(logits / temperature), mass + 2e-9
                ),  # before <= mass
                "reached exactly",
            ),
            (
                lambda logits, temperature, mass: _nucleus(
                    np.exp(logits / temperature) / np.exp(logits / temperature).sum(), mass
                ),
                "subtract the largest logit",
            ),
            (lambda logits, temperature, mass: _nucleus(_chances(logits / temperature), mass)[:3], "all 6"),
            *[
                (
                    lambda logits, temperature, mass, number=number: (
                        lambda p: (
                            np.where(p >= np.sort(p)[-number(mass * len(p))], p, 0)
                            / np.sort(p)[-number(mass * len(p)) :].sum()
                        )
                    )(_chances(logits / temperature)),
                    "not from the number of codes",
                )
                for number in (int, round, lambda share: 5)
            ],
            (lambda logits, temperature, mass: np.eye(6)[logits.argmax()], "keep until they hold"),
        ],
    ),
    "07.4": (
        [
            lambda query, key, value, keys, values: _taken(query, np.vstack([keys, key]), np.vstack([values, value])),
            lambda query, key, value, keys, values: _taken(query, np.vstack([key, keys]), np.vstack([value, values])),
        ],
        [
            (lambda query, key, value, keys, values: _taken(query, keys, values), "sees itself too"),
            (
                lambda query, key, value, keys, values: _taken(
                    query * len(query) ** 0.5, np.vstack([keys, key]), np.vstack([values, value])
                ),
                "by the root of d",
            ),
            (
                lambda query, key, value, keys, values: _taken(
                    query / len(query) ** 0.5, np.vstack([keys, key]), np.vstack([values, value])
                ),
                "not by d",
            ),
            (lambda query, key, value, keys, values: np.vstack([values, value]).mean(axis=0), "plain mean"),
            (
                lambda query, key, value, keys, values: _taken(key, np.vstack([keys, key]), np.vstack([values, value])),
                "not with its key",
            ),
            (
                lambda query, key, value, keys, values: _taken(
                    query, np.vstack([values, value]), np.vstack([values, value])
                ),
                "not with values",
            ),
            (
                lambda query, key, value, keys, values: _taken(query, np.vstack([keys, key]), np.vstack([keys, key])),
                "not keys",
            ),
            (
                lambda query, key, value, keys, values: (
                    np.vstack([keys, key]) @ query / len(query) ** 0.5 @ np.vstack([values, value])
                ),
                "softmax is missing",
            ),
            (
                lambda query, key, value, keys, values: (
                    np.exp(np.vstack([keys, key]) @ query / len(query) ** 0.5) @ np.vstack([values, value])
                ),
                "sum to 1",
            ),
            (
                lambda query, key, value, keys, values: np.vstack([values, value])[
                    (np.vstack([keys, key]) @ query).argmax()
                ],
                "best fit alone",
            ),
            (
                lambda query, key, value, keys, values: _taken(
                    query, np.vstack([keys, key]), np.vstack([value, values])
                ),
                "different orders",
            ),
            (lambda query, key, value, keys, values: value, "kept and the new place"),
            (lambda query, key, value, keys, values: np.vstack([values, value]), "was asked for"),
        ],
    ),
    "08.1": (
        [
            lambda clips, noise, times: (clips + _at(times) * (noise - clips), noise - clips),
            lambda clips, noise, times: [
                np.einsum("b,b...->b...", 1 - times, clips) + np.einsum("b,b...->b...", times, noise),
                -(clips - noise),
            ],
        ],
        [
            (lambda clips, noise, times: (_at(times) * clips + (1 - _at(times)) * noise, noise - clips), "at time 0"),
            (lambda clips, noise, times: (clips + _at(times) * noise, noise - clips), "the clip fades"),
            (lambda clips, noise, times: ((1 - _at(times)) * clips + noise, noise - clips), "the noise rate is t"),
            (
                lambda clips, noise, times: (np.sqrt(1 - _at(times) ** 2) * clips + _at(times) * noise, noise - clips),
                "a circle",
            ),
            (lambda clips, noise, times: (clips + times[0] * (noise - clips), noise - clips), "its own time"),
            (
                lambda clips, noise, times: (clips + times[:, None] * (noise - clips), noise - clips),
                "as many axes",
            ),
            (lambda clips, noise, times: (clips + _at(times) * (noise - clips), clips - noise), "its negative"),
            (lambda clips, noise, times: (clips + _at(times) * (noise - clips), noise), "that is the noise"),
            (
                lambda clips, noise, times: (
                    clips + _at(times) * (noise - clips),
                    _at(times) * noise - (1 - _at(times)) * clips,
                ),
                "rates belong to x",
            ),
            (
                lambda clips, noise, times: (clips + _at(times) * (noise - clips), _at(times) * (noise - clips)),
                "how far x has come",
            ),
            (lambda clips, noise, times: (noise - clips, clips + _at(times) * (noise - clips)), "x comes first"),
            (lambda clips, noise, times: clips + _at(times) * (noise - clips), "two arrays"),
            (lambda clips, noise, times: (clips.mean(axis=0), noise.mean(axis=0)), "has shape"),
            (lambda clips, noise, times: (0 * clips, noise - clips), "x is wrong"),
            (lambda clips, noise, times: (clips + _at(times) * (noise - clips), 0 * clips), "velocity is wrong"),
        ],
    ),
    "08.2": (
        [
            lambda x, noise, now, then, fresh, dice: _stepped(x, noise, now, then, fresh, dice),
            lambda x, noise, now, then, fresh, dice: (
                then[0] / now[0] * x
                + (
                    then[1] * np.sqrt(1 - fresh**2 * (1 - (now[0] * then[1] / now[1] / then[0]) ** 2))
                    - then[0] / now[0] * now[1]
                )
                * noise
                + fresh * then[1] * np.sqrt(1 - (now[0] * then[1] / now[1] / then[0]) ** 2) * dice
            ),
        ],
        [
            (lambda x, noise, now, then, fresh, dice: (x - now[1] * noise) / now[0], "the guessed clip"),
            (lambda x, noise, now, then, fresh, dice: then[0] * (x - now[1] * noise) / now[0], "without its noise"),
            (lambda x, noise, now, then, fresh, dice: _stepped(x, noise, now, then, 0, dice), "no fresh noise"),
            (
                lambda x, noise, now, then, fresh, dice: _stepped(x, noise, now, then, fresh, dice, lambda n, new: n),
                "must shrink",
            ),
            (
                lambda x, noise, now, then, fresh, dice: _stepped(
                    x, noise, now, then, fresh, dice, lambda n, new: n - new
                ),
                "variances do",
            ),
            (
                lambda x, noise, now, then, fresh, dice: _stepped(
                    x, noise, now, then, fresh, dice, lambda n, new: n**2 - new**2
                ),
                "take its root",
            ),
            (
                lambda x, noise, now, then, fresh, dice: _stepped(
                    x, noise, now, then, fresh, dice, lambda n, new: np.sqrt(max(0, 1 - then[0] ** 2 - new**2))
                ),
                "not always",
            ),
            (
                lambda x, noise, now, then, fresh, dice: then[0] * (x - now[1] * noise) / now[0] + then[1] * dice,
                "all the noise is new",
            ),
            (
                lambda x, noise, now, then, fresh, dice: (
                    _stepped(x * now[0], noise * now[0], now, then, fresh, dice) + (1 - now[0]) * then[1] * noise
                ),
                "divide",
            ),
            (lambda x, noise, now, then, fresh, dice: x, "x again"),
            (lambda x, noise, now, then, fresh, dice: x[0], "same shape"),
            (lambda x, noise, now, then, fresh, dice: noise, "kept · noise + new · dice"),
        ],
    ),
    "08.3": (
        [
            lambda asked, free, times, guidance, low, high: np.where(
                _at((low <= times) & (times <= high)), free + guidance * (asked - free), asked
            ),
            lambda asked, free, times, guidance, low, high: np.stack(
                [
                    (1 - guidance) * f + guidance * a if low <= t <= high else a
                    for a, f, t in zip(asked, free, times, strict=True)
                ]
            ),
        ],
        [
            (lambda asked, free, times, guidance, low, high: free + guidance * (asked - free), "as it is"),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times <= high)), free + guidance * (asked - free), free
                ),
                "not free",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low < times) & (times < high)), free + guidance * (asked - free), asked
                ),
                "belong to it",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times < high)), free + guidance * (asked - free), asked
                ),
                "belong to it",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times <= high)), asked + guidance * (asked - free), asked
                ),
                "start from free",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times <= high)), free + guidance * (free - asked), asked
                ),
                "towards asked",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times <= high)), guidance * asked, asked
                ),
                "where is free",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times <= high)), guidance * (asked - free), asked
                ),
                "add that to free",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    ((low <= times) & (times <= high))[:, None], free + guidance * (asked - free), asked
                ),
                "as many axes",
            ),
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    low <= times <= high, free + guidance * (asked - free), asked
                ),
                "ValueError",
            ),
            (lambda asked, free, times, guidance, low, high: asked, "nothing is guided"),
            *[
                (
                    lambda asked, free, times, guidance, low, high, inside=inside: np.where(
                        _at(inside(times, low, high)), free + guidance * (asked - free), asked
                    ),
                    word,
                )
                for inside, word in (
                    (lambda times, low, high: times >= low, "upper end"),
                    (lambda times, low, high: times <= high, "lower end"),
                    (lambda times, low, high: (times < low) | (times > high), "are swapped"),
                )
            ],
            (
                lambda asked, free, times, guidance, low, high: np.where(
                    _at((low <= times) & (times <= high)), free + max(guidance, 1) * (asked - free), asked
                ),
                "below 1",
            ),
            (lambda asked, free, times, guidance, low, high: (asked + free) / 2, "else asked"),
            (lambda asked, free, times, guidance, low, high: asked[0], "same shape"),
        ],
    ),
    "08.4": (
        [
            lambda x, clips, signal, noise, known, mask: _guess(
                x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, noise
            ),
            lambda x, clips, signal, noise, known, mask: np.where(  # the known numbers need not be weighed
                mask,
                known,
                _guess(
                    x[:, ~mask], clips[(clips == np.where(mask, known, clips)).all(axis=1)][:, ~mask], signal, noise
                )[:, np.cumsum(~mask) - 1],
            ),
        ],
        [
            (lambda x, clips, signal, noise, known, mask: _guess(x, clips, signal, noise), "are out"),
            (
                lambda x, clips, signal, noise, known, mask: np.where(mask, known, _guess(x, clips, signal, noise)),
                "still count",
            ),
            (
                lambda x, clips, signal, noise, known, mask: np.tile(
                    clips[(clips[:, mask] == known[mask]).all(axis=1)].mean(axis=0), (len(x), 1)
                ),
                "what is seen counts too",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, 1e-6
                ),
                "likeliest clip",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips[:, mask] == known[mask]).all(axis=1)], 1.0, noise
                ),
                "signal · clip",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, 1.0
                ),
                "depends on its rate",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, noise**0.5
                ),
                "not by 2 · noise",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, noise / 2**0.5
                ),
                "where is the half",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips[:, mask] != known[mask]).any(axis=1)], signal, noise
                ),
                "do not agree",
            ),
            (
                lambda x, clips, signal, noise, known, mask: _unstable_guess(
                    x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, noise
                ),
                "largest exponent",
            ),
            *[
                (
                    lambda x, clips, signal, noise, known, mask, largest=largest: _guess(
                        x, clips[(clips[:, mask] == known[mask]).all(axis=1)], signal, noise, largest
                    ),
                    "largest exponent",
                )
                for largest in (lambda fit: 0.0, lambda fit: fit.max())  # none is taken out, or that of all rows
            ],
            (
                lambda x, clips, signal, noise, known, mask: _guess(
                    x, clips[(clips == known).all(axis=1)], signal, noise
                ),
                "stopped with",
            ),
            (lambda x, clips, signal, noise, known, mask: 0 * x, "strike out"),
            (lambda x, clips, signal, noise, known, mask: x[0], "each row"),
        ],
    ),
    "09.1": (
        [
            lambda origin, direction, height: _to_floor(origin, direction, height),
            lambda origin, direction, height: np.array(
                [
                    (height - o[1]) / d[1] if d[1] and (height - o[1]) / d[1] > 0 else np.inf
                    for o, d in zip(origin, direction, strict=True)
                ]
            ),
        ],
        [
            (lambda origin, direction, height: (height - origin[:, 1]) / direction[:, 1], "away from it never meet"),
            (lambda origin, direction, height: np.abs((height - origin[:, 1]) / direction[:, 1]), "behind the ray"),
            (lambda origin, direction, height: -_to_floor(origin, direction, height), "sign is turned"),
            (lambda origin, direction, height: _to_floor(origin, -direction, height), "sign of t is turned"),
            (
                lambda origin, direction, height: np.nan_to_num(_to_floor(origin, direction, height), posinf=0),
                "0 would be the nearest",
            ),
            (
                lambda origin, direction, height: np.nan_to_num(_to_floor(origin, direction, height), posinf=-1),
                "-1 would be the nearest",
            ),
            (
                lambda origin, direction, height: np.where(
                    direction[:, 1] < 0, _to_floor(origin, direction, height), np.inf
                ),
                "from below",
            ),
            (lambda origin, direction, height: _to_floor(origin, direction, 0.0), "where is the height"),
            (
                lambda origin, direction, height: _to_floor(origin, direction, height)[:, None],
                "one distance for each ray",
            ),
            (lambda origin, direction, height: 1 + _to_floor(origin, direction, height), "solve"),
        ],
    ),
    "09.2": (
        [lambda *given: _lamp_light(*given), lambda *given: np.float32(_lamp_light(*given))],
        [
            (lambda *given: _lamp_light(*given, ground=False), "cosine at the point"),
            (lambda *given: _lamp_light(*given, front=False), "cosine at the lamp"),
            (lambda *given: _lamp_light(*given, power=0), "divide by the square"),
            (lambda *given: _lamp_light(*given, power=1), "not the distance"),
            (lambda *given: _lamp_light(*given) / given[4], "1 / area"),
            (lambda *given: _lamp_light(*given) / given[4] ** 2, "one divides by it"),
            (lambda *given: _lamp_light(*given) / given[4] * 2 * np.pi, "density of directions"),
            (lambda *given: _lamp_light(*given) * np.pi, "color / π"),
            (lambda *given: _lamp_light(*given) * len(given[2]), "not the sum"),
            (lambda *given: _lamp_light(*given) / given[6], "where is the color"),
            (lambda *given: _lamp_light(*given) / given[5], "where is the radiance"),
            (lambda *given: _lamp_light(*given, cut=lambda value: value), "below the ground"),
            (lambda *given: _lamp_light(*given, cut=np.abs), "do not turn their sign"),
            (lambda *given: _lamp_light(*given[:3], -given[3], *given[4:]), "turn the sign"),
            (lambda *given: np.full(50, _lamp_light(*given)), "one number"),
            (lambda *given: 1.0, "mean of color"),
        ],
    ),
    "09.3": (
        [
            lambda weight, dice, most: _roulette(weight, dice, np.minimum(weight.max(axis=1), most)),
            lambda weight, dice, most: np.array(
                [
                    w / min(max(w), most) if die < min(max(w), most) else 0 * w
                    for w, die in zip(weight, dice, strict=True)
                ]
            ),
        ],
        [
            (
                lambda weight, dice, most: weight * (dice < np.minimum(weight.max(axis=1), most))[:, None],
                "must count more",
            ),
            (
                lambda weight, dice, most: _roulette(
                    weight, dice, np.minimum(weight.max(axis=1), most), lambda c: 1 / c
                ),
                "loses light twice",
            ),
            (
                lambda weight, dice, most: _roulette(
                    weight, dice, np.minimum(weight.max(axis=1), most), lambda c: 1 - c
                ),
                "not to end",
            ),
            (
                lambda weight, dice, most: _roulette(weight, dice, np.minimum(weight.mean(axis=1), most)),
                "not their mean",
            ),
            (
                lambda weight, dice, most: _roulette(weight, dice, np.minimum(weight.min(axis=1), most)),
                "not the smallest",
            ),
            (
                lambda weight, dice, most: np.where(
                    dice[:, None] < np.minimum(weight, most), weight / np.minimum(weight, most), 0
                ),
                "one path, one chance",
            ),
            (lambda weight, dice, most: _roulette(weight, dice, weight.max(axis=1)), "at most `most`"),
            (lambda weight, dice, most: _roulette(weight, dice, np.minimum(weight.max(axis=1), 1)), "at most `most`"),
            (lambda weight, dice, most: _roulette(weight, dice, np.full(len(dice), most)), "dark paths"),
            (
                lambda weight, dice, most: _roulette(weight, dice, np.maximum(weight.max(axis=1), most)),
                "smaller of the two",
            ),
            (
                lambda weight, dice, most: (
                    weight
                    / np.minimum(weight.max(axis=1), most)[:, None]
                    * (dice < np.minimum(weight.max(axis=1), most))[:, None]
                ),
                "NaN",
            ),
            (lambda weight, dice, most: weight[0], "same shape"),
            (lambda weight, dice, most: 0.5 * weight, "largest colour"),
        ],
    ),
    "09.4": (
        [lambda *given: _bounce(*given), lambda *given: np.stack(_bounce(*given))],
        [
            (lambda *given: _bounce(*given[:5], 0.0), "where is the friction"),
            (lambda *given: _bounce(*given, most=np.inf), "strong enough"),
            (lambda *given: _bounce(*given, ease=1.0), "2/7"),
            (lambda *given: _bounce(*given, turns=0.0), "spinning ball moves too"),
            (lambda *given: _bounce(*given, across=1.0), "not the whole velocity"),
            (lambda *given: _bounce(given[0], 0 * given[1], *given[2:]), "came with is left out"),
            (lambda *given: _bounce(*given, least=0.0), "NaN"),
            (lambda *given: _bounce(*given, always=True), "smaller of the two"),
            (lambda *given: _bounce(*given[:4], 0.0, given[5]), "where is the restitution"),
            (lambda *given: _bounce(*given[:4], given[4] - 1, given[5]), "one part to stop"),
            (lambda *given: _bounce(*given, sign=-1), "against the slip"),
            (lambda *given: _bounce(*given, leaves=False), "already leaving"),
            (lambda *given: (_bounce(*given)[0], given[1]), "also change the spin"),
            (lambda *given: (_bounce(*given)[0], -_bounce(*given)[1]), "arm × impulse"),
            (lambda *given: _bounce(*given)[0], "two vectors"),
            (lambda *given: given[:2], "across the wall"),
        ],
    ),
    "10.1": (
        [
            lambda shape, top, bottom, left, right: np.pad(
                np.ones(shape, bool), ((0, 0), (top, bottom), (left, right))
            ),
            lambda shape, top, bottom, left, right: np.pad(
                np.full(shape, True), [(0, 0), (top, bottom), (left, right)], constant_values=False
            ),
        ],
        [
            (lambda shape, *edges: np.ones(shape, bool), "has shape"),
            (
                lambda shape, top, bottom, left, right: np.pad(
                    np.ones(shape, bool), ((0, 0), (left, right), (top, bottom))
                ),
                "belong to the height",
            ),
            (
                lambda shape, top, bottom, left, right: (
                    ~np.pad(np.ones(shape, bool), ((0, 0), (top, bottom), (left, right)))
                ),
                "does not lie",
            ),
            (
                lambda shape, top, bottom, left, right: np.pad(
                    np.ones(shape, bool), ((0, 0), (bottom, top), (right, left))
                ),
                "the wrong end",
            ),
            (
                lambda shape, top, bottom, left, right: np.ones(
                    (shape[0], shape[1] + top + bottom, shape[2] + left + right), bool
                ),
                "places",
            ),
        ],
    ),
    "10.2": (
        [lambda *asked: _film(*asked)],
        [
            (lambda first, go_on, overlap, frames: first, "frames"),
            (
                lambda first, go_on, overlap, frames: _film(first, go_on, overlap, frames, cut=False),
                "cut what is too long",
            ),
            (lambda first, go_on, overlap, frames: _film(first, go_on, overlap, frames, left_out=0), "come twice"),
            (
                lambda first, go_on, overlap, frames: _film(first, go_on, overlap, frames, left_out=overlap + 1),
                "are missing",
            ),
            (lambda first, go_on, overlap, frames: _film(first, go_on, overlap, frames, told=1), "the last 2 frames"),
            (lambda first, go_on, overlap, frames: np.resize(first, (frames, 1, 1, 1)), "come twice"),
            (lambda first, go_on, overlap, frames: np.arange(frames).reshape(-1, 1, 1, 1), "go_on gave"),
            (
                lambda first, go_on, overlap, frames: np.linspace(*first[:2, 0, 0, 0], frames).reshape(-1, 1, 1, 1),
                "go_on gave",
            ),
            (
                lambda first, go_on, overlap, frames: np.append(first[:1], [np.nan] * (frames - 1)).reshape(
                    -1, 1, 1, 1
                ),
                "go_on gave",
            ),
            (lambda first, go_on, overlap, frames: first[:1] + np.arange(frames).reshape(-1, 1, 1, 1), "go_on gave"),
        ],
    ),
    "10.3": (
        [
            lambda free, words, picture, a, b: free + a * (words - free) + b * (picture - free),
            lambda free, words, picture, a, b: (1 - a - b) * free + a * words + b * picture,
        ],
        [
            (lambda free, words, picture, a, b: a * words + b * picture, "does not begin at"),
            (lambda free, words, picture, a, b: free + a * words + b * picture, "the differences"),
            (lambda free, words, picture, a, b: free + a * (words - free), "is not heard"),
            (lambda free, words, picture, a, b: free + a * (words - free) + b * (picture - words), "begins at `words`"),
            (lambda free, words, picture, a, b: free + b * (words - free) + a * (picture - free), "exchanged"),
            (lambda free, words, picture, a, b: words + a * (words - free) + b * (picture - free), "begins at `words`"),
            (lambda free, words, picture, a, b: free.mean() + 0 * free, "it is wrong"),
            (lambda free, words, picture, a, b: free[0], "has shape"),
        ],
    ),
    "10.4": (
        [
            lambda clip, noise, strength, steps: np.stack(
                [(1 - t) * clip + t * noise for t in strength * np.linspace(1, 0, steps + 1)]
            ),
            lambda clip, noise, strength, steps: clip + _down(strength, steps) * (noise - clip),
        ],
        [
            (lambda clip, noise, strength, steps: clip + _down(strength, steps)[::-1] * (noise - clip), "down to 0"),
            (lambda clip, noise, strength, steps: clip + _down(1, steps) * (noise - clip), "begins at 1"),
            (lambda clip, noise, strength, steps: noise + _down(strength, steps) * (clip - noise), "exchanged"),
            (lambda clip, noise, strength, steps: clip + _down(strength, steps) * noise, "fades"),
            (lambda clip, noise, strength, steps: (1 - strength) * clip + _down(strength, steps) * noise, "comes back"),
            (lambda clip, noise, strength, steps: clip + _down(strength, steps)[1:] * (noise - clip), "both ends"),
            (lambda clip, noise, strength, steps: np.stack([clip] * (steps + 1)), "it is wrong"),
        ],
    ),
    "11.1": (
        [
            lambda one, other: _overlap(one, other),
            lambda one, other: _overlap(other, one),
        ],
        [
            (lambda one, other: _overlap(one, other, empty=0), "two empty regions"),
            (lambda one, other: (one & other).sum(axis=(1, 2)) / (one | other).sum(axis=(1, 2)), "two empty regions"),
            (lambda one, other: (one & other).sum(axis=(1, 2)), "divide by"),
            (lambda one, other: (one & other).sum(axis=(1, 2)) / one.sum(axis=(1, 2)), "first region alone"),
            (lambda one, other: (one & other).sum(axis=(1, 2)) / other.sum(axis=(1, 2)), "second region alone"),
            (
                lambda one, other: 2 * (one & other).sum(axis=(1, 2)) / (one.sum(axis=(1, 2)) + other.sum(axis=(1, 2))),
                "Dice",
            ),
            (lambda one, other: (one == other).mean(axis=(1, 2)), "ground"),
            (lambda one, other: (one & other).sum() / (one | other).sum(), "one number for each"),
            (lambda one, other: 1 - _overlap(one, other), "how far they differ"),
            (lambda one, other: np.ones(len(one)), "what lies in both"),
        ],
    ),
    "11.2": (
        [
            lambda found, last, slope: (found.T @ slope, slope @ last.T),
            lambda found, last, slope: [np.einsum("ta,tb->ab", found, slope), np.einsum("tb,ab->ta", slope, last)],
        ],
        [
            (lambda found, last, slope: (0 * last, 0 * found), "it is not zero"),
            (lambda found, last, slope: (slope @ last.T + 0.0, found.T @ slope), "comes first"),
            (lambda found, last, slope: (found.T @ slope / len(found), slope @ last.T), "add up"),
            (lambda found, last, slope: (found.T @ slope, 0 * found), "only as long as last is"),
            (lambda found, last, slope: (found.T @ slope, slope), "heard through last"),
            (lambda found, last, slope: (found.T @ slope, slope @ last), "turned around"),
            (lambda found, last, slope: (-found.T @ slope, -slope @ last.T), "wrong way"),
            (lambda found, last, slope: (slope.T @ found, slope @ last.T), "exchanged"),
            (lambda found, last, slope: (found @ slope, slope @ last.T), "sum over tokens"),
            (lambda found, last, slope: found.T @ slope, "two arrays"),
            (lambda found, last, slope: (found.T @ slope, found @ last @ last.T), "slope that came"),
        ],
    ),
    "11.3": (
        [
            lambda maps, means, deviations: means + deviations * _normalised(maps, (0, 1, 2)),
            lambda maps, means, deviations: (
                deviations / maps.std(axis=(0, 1, 2)) * (maps - maps.mean(axis=(0, 1, 2))) + means
            ),
        ],
        [
            (lambda maps, means, deviations: means + deviations * _normalised(maps, (1, 2)), "each frame"),
            (lambda maps, means, deviations: means + deviations * _normalised(maps, (0, 1, 2, 3)), "each channel"),
            (lambda maps, means, deviations: means + deviations * _normalised(maps, 3), "not over channels"),
            (lambda maps, means, deviations: _normalised(maps, (0, 1, 2)), "those of the style"),
            (lambda maps, means, deviations: means + deviations * maps, "first take"),
            (lambda maps, means, deviations: deviations * (_normalised(maps, (0, 1, 2)) + means), "comes last"),
            (lambda maps, means, deviations: deviations + means * _normalised(maps, (0, 1, 2)), "exchanged"),
            (lambda maps, means, deviations: means + _normalised(maps, (0, 1, 2)), "where are the deviations"),
            (lambda maps, means, deviations: (means + deviations * _normalised(maps, (0, 1, 2)))[0], "same shape"),
            (lambda maps, means, deviations: means + 0 * maps, "over all frames"),
        ],
    ),
    "11.4": (
        [
            lambda clip, flow, seen: _unsteady(clip, flow, seen) / max(seen.sum(), 1),
            lambda clip, flow, seen: _unsteady(clip, flow, seen) / seen.sum() if seen.any() else 0,
        ],
        [
            (lambda clip, flow, seen: _unsteady(clip, flow, seen) / seen.sum(), "nothing to blame"),
            (lambda clip, flow, seen: np.sqrt(_unsteady(clip, flow, seen) / max(seen.sum(), 1)), "its root"),
            (lambda clip, flow, seen: _unsteady(clip, -flow, seen) / max(seen.sum(), 1), "not at x + flow"),
            (lambda clip, flow, seen: _unsteady(clip, flow[..., ::-1], seen) / max(seen.sum(), 1), "columns first"),
            (lambda clip, flow, seen: _unsteady(clip, 0 * flow, seen) / max(seen.sum(), 1), "nothing was moved"),
            (lambda clip, flow, seen: _unsteady(clip, flow, seen) / seen.size, "not by all"),
            (lambda clip, flow, seen: _unsteady(clip, flow, seen | True) / seen.size, "does not count"),
            (lambda clip, flow, seen: 3 * _unsteady(clip, flow, seen) / max(seen.sum(), 1), "not their sum"),
            (lambda clip, flow, seen: _unsteady(clip, flow, seen), "divide by the pixels"),
            (lambda clip, flow, seen: 0.0, "the mean over seen"),
        ],
    ),
    "12.1": (
        [
            _decibels,
            lambda sound, frames, floor: (
                1
                * _decibels(
                    sound, frames, floor, level=lambda parts: parts.std(axis=1) * 0 + np.sqrt((parts**2).sum(axis=1))
                )
            ),
        ],
        [
            (lambda sound, frames, floor: _decibels(sound, frames, floor, factor=10), "20 · log10"),
            (
                lambda sound, frames, floor: _decibels(sound, frames, floor, level=lambda p: np.abs(p).mean(axis=1)),
                "absolute",
            ),
            (
                lambda sound, frames, floor: _decibels(sound, frames, floor, level=lambda p: np.abs(p).max(axis=1)),
                "peak",
            ),
            (lambda sound, frames, floor: -_decibels(sound, frames, floor), "upside down"),
            (lambda sound, frames, floor: (1 + _decibels(sound, frames, floor)) / 2, "from 0 to 1"),
            (lambda sound, frames, floor: np.zeros(frames + 1), "one number a frame"),
            (lambda sound, frames, floor: np.zeros(frames), "is wrong"),
        ],
    ),
    "12.2": (
        [_late, lambda opening, loudness, most: -_late(loudness, opening, most)],
        [
            (lambda opening, loudness, most: -_late(opening, loudness, most), "sign"),
            (lambda opening, loudness, most: 0, "was expected"),
            (
                lambda opening, loudness, most: _late(
                    opening, loudness, most, lambda one, other: -np.corrcoef(one, other)[0, 1]
                ),
                "was expected",
            ),
            (lambda opening, loudness, most: np.argmax(opening) - np.argmax(loudness) + 0.5, "was expected"),
        ],
    ),
    "12.3": (
        [_way, lambda flows: 1.0 * _way(flows)],
        [
            (lambda flows: flows.sum(axis=0), "at one place"),
            (lambda flows: _way(flows, sign=1), "came from p - flow(p)"),
            (lambda flows: _way(flows, order=-1), "begin with the first"),
            (lambda flows: -_way(flows), "other way"),
            (lambda flows: _way(flows)[..., 0], "was expected"),
        ],
    ),
    "12.4": (
        [_shadowed, lambda film, light, empty, alpha: 1 * _shadowed(film, light, empty, alpha)],
        [
            (lambda film, light, empty, alpha: _shadowed(film, light, empty, alpha, 1), "no shadow"),
            (lambda film, light, empty, alpha: _shadowed(film, light, empty, alpha, light / empty), "above 1"),
            (
                lambda film, light, empty, alpha: _shadowed(film, light, empty, alpha, np.minimum(empty / light, 1)),
                "upside down",
            ),
            (lambda film, light, empty, alpha: _shadowed(film, light, empty, 1 - alpha), "there the render"),
            (lambda film, light, empty, alpha: light, "nowhere"),
            (lambda film, light, empty, alpha: film[0], "was expected"),
        ],
    ),
    "13.1": (
        [
            lambda history, price: max(0, 100 * (1 - price / history[-30:].min())),
            lambda history, price: 100 * np.clip(1 - price / np.min(history[-30:]), 0, None),
        ],
        [
            (lambda history, price: 100 * (1 - price / history[-30:].min()), "no reduction"),
            (lambda history, price: max(0, 100 * (1 - price / history.min())), "only the last 30"),
            (lambda history, price: max(0, 100 * (1 - price / history[-31:].min())), "31 days"),
            (lambda history, price: max(0, 100 * (1 - price / history[:30].min())), "newest are last"),
            (lambda history, price: max(0, 100 * (1 - price / history[-1])), "yesterday"),
            (lambda history, price: max(0, 100 * (1 - price / history.max())), "highest"),
            (lambda history, price: max(0, 100 * (1 - price / history[-30:].max())), "highest"),
            (lambda history, price: max(0, 100 * (1 - price / history[-30:].mean())), "the mean"),
            (lambda history, price: max(0, 1 - price / history[-30:].min()), "percent"),
        ],
    ),
    "13.2": (
        [
            lambda x, likes, w, prior, strength: x.T @ (_chance(x, w) - likes) + strength * (w - prior),
            lambda x, likes, w, prior, strength: ((_chance(x, w) - likes)[:, None] * x).sum(0) + strength * (w - prior),
        ],
        [
            (lambda x, likes, w, prior, strength: x.T @ (likes - _chance(x, w)) - strength * (w - prior), "downhill"),
            (lambda x, likes, w, prior, strength: x.T @ (_chance(x, w) - likes), "prior does not pull"),
            (lambda x, likes, w, prior, strength: x.T @ (_chance(x, w) - likes) + strength * w, "towards 0"),
            (lambda x, likes, w, prior, strength: x.T @ (_chance(x, w) - likes) + 2 * strength * (w - prior), "twice"),
            (lambda x, likes, w, prior, strength: x.T @ (_chance(x, w) - likes) + strength * (prior - w), "pushes"),
            (
                lambda x, likes, w, prior, strength: x.T @ (_chance(x, w) - likes) / len(x) + strength * (w - prior),
                "sum",
            ),
            (lambda x, likes, w, prior, strength: x.T @ (x @ w - likes) + strength * (w - prior), "sigmoid"),
            (lambda x, likes, w, prior, strength: _chance(x, w) - likes, "one number for each weight"),
            (lambda x, likes, w, prior, strength: 0 * w, "it is wrong"),
        ],
    ),
    "13.3": (
        [
            lambda pictures: _apart(pictures).sum() / (len(pictures) * (len(pictures) - 1)),
            lambda pictures: _apart(pictures)[np.triu_indices(len(pictures), 1)].mean(),
        ],
        [
            (lambda pictures: _apart(pictures).mean(), "with themselves"),
            (lambda pictures: np.square(_apart(pictures))[np.triu_indices(len(pictures), 1)].mean(), "root is missing"),
            (
                lambda pictures: np.sqrt(np.square(_apart(pictures))[np.triu_indices(len(pictures), 1)].mean()),
                "of each pair first",
            ),
            (lambda pictures: _apart(pictures).sum() / 2, "sum over the pairs"),
            (lambda pictures: 2 * _apart(pictures)[np.triu_indices(len(pictures), 1)].mean(), "counted twice"),
            (
                lambda pictures: np.sqrt(np.mean((pictures - pictures.mean(0)) ** 2, axis=(1, 2))).mean(),
                "mean picture",
            ),
            (lambda pictures: np.sqrt(np.mean(np.diff(pictures, axis=0) ** 2, axis=(1, 2))).mean(), "the next"),
            (lambda pictures: pictures.std(), "all pixels"),
            (lambda pictures: 0.5, "was expected"),
        ],
    ),
    "13.4": (
        [
            lambda a, n, b, m: _newcombe(_wilson(a, n), a / n, _wilson(b, m), b / m),
            lambda a, n, b, m: np.array(_newcombe(_wilson(a, n, 1.959964), a / n, _wilson(b, m, 1.959964), b / m)),
        ],
        [
            (lambda a, n, b, m: _newcombe(_wilson(a, n), a / n, _wilson(b, m), b / m)[::-1], "exchanged"),
            (lambda a, n, b, m: _newcombe(_wilson(b, m), b / m, _wilson(a, n), a / n), "rate a less rate b"),
            (lambda a, n, b, m: np.subtract(_wilson(b, m), _wilson(a, n)[::-1]), "widths are added"),
            (
                lambda a, n, b, m: [
                    b / m - a / n + sign * 1.96 * np.sqrt(a * (n - a) / n**3 + b * (m - b) / m**3) for sign in (-1, 1)
                ],
                "Wald",
            ),
            (
                lambda a, n, b, m: [
                    b / m - a / n - np.hypot(b / m - _wilson(b, m)[0], a / n - _wilson(a, n)[0]),
                    b / m - a / n + np.hypot(_wilson(b, m)[1] - b / m, _wilson(a, n)[1] - a / n),
                ],
                "other end of a",
            ),
            (lambda a, n, b, m: b / m - a / n, "two numbers"),
            (lambda a, n, b, m: _wilson(b, m), "was expected"),
        ],
    ),
    "14.1": (
        [
            lambda series, seconds: 2 * seconds * np.mean(np.diff(crossings(series))),
            lambda series, seconds: seconds * np.mean(crossings(series)[2:] - crossings(series)[:-2]),
        ],
        [
            (lambda series, seconds: seconds * np.mean(np.diff(crossings(series))), "half a period"),
            (lambda series, seconds: 2 * np.mean(np.diff(crossings(series))), "number of frames"),
            (lambda series, seconds: np.mean(np.diff(crossings(series))), "frames, and of half"),
            (lambda series, seconds: 1 / (2 * seconds * np.mean(np.diff(crossings(series)))), "swings in a second"),
            (lambda series, seconds: np.pi / (seconds * np.mean(np.diff(crossings(series)))), "angular"),
            (lambda series, seconds: 2 * seconds * round(np.mean(np.diff(crossings(series)))), "between two frames"),
            (lambda series, seconds: seconds * len(series), "from one crossing to the next"),
        ],
    ),
    "14.2": (
        [
            lambda height, seconds: -2 * parabola(height, seconds),
            lambda height, seconds: -2 * parabola(height, 1) / seconds**2,
        ],
        [
            (lambda height, seconds: -parabola(height, seconds), "g/2"),
            (lambda height, seconds: parabola(height, seconds), "-g/2"),
            (lambda height, seconds: 2 * parabola(height, seconds), "positive"),
            (lambda height, seconds: -2 * parabola(height, 1), "frame²"),
            (lambda height, seconds: -2 * parabola(height, 1) / seconds, "twice"),
            (lambda height, seconds: -np.mean(np.diff(height, 2)) / seconds**2, "NaN spreads"),
            (lambda height, seconds: -np.nanmean(np.diff(height, 2)[-3:]) / seconds**2, "all frames at once"),
            (lambda height, seconds: 9.81, "1.62"),
        ],
    ),
    "14.3": (
        [
            lambda before, after, masses: np.stack([parted(before, after, masses), lost(before, after, masses)], 1),
            lambda before, after, masses: np.stack(
                [-np.diff(after)[:, 0] / np.diff(before)[:, 0], lost(before, after, masses)], 1
            ),
        ],
        [
            (
                lambda before, after, masses: np.stack(
                    [-parted(before, after, masses), lost(before, after, masses)], 1
                ),
                "sign",
            ),
            (
                lambda before, after, masses: np.stack(
                    [parted(before, after, masses) ** 2, lost(before, after, masses)], 1
                ),
                "energies",
            ),
            (
                lambda before, after, masses: np.stack([lost(before, after, masses), parted(before, after, masses)], 1),
                "exchanged",
            ),
            (
                lambda before, after, masses: np.stack([after[:, 1] / before[:, 0], lost(before, after, masses)], 1),
                "relative",
            ),
            (
                lambda before, after, masses: np.stack(
                    [parted(before, after, masses), 1 - lost(before, after, masses)], 1
                ),
                "left",
            ),
            (
                lambda before, after, masses: np.stack(
                    [parted(before, after, masses), 1 - parted(before, after, masses) ** 2], 1
                ),
                "centre of mass",
            ),
            (
                lambda before, after, masses: np.stack([parted(before, after, masses), lost(before, after, 1)], 1),
                "masses",
            ),
            (lambda before, after, masses: parted(before, after, masses), "(6, 2)"),
        ],
    ),
    "14.4": (
        [
            lambda lengths, periods, new: np.exp(np.polyval(line(np.log(lengths), np.log(periods)), np.log(new))),
            lambda lengths, periods, new: 10 ** np.polyval(line(np.log10(lengths), np.log10(periods)), np.log10(new)),
        ],
        [
            (lambda lengths, periods, new: np.polyval(line(lengths, periods), new), "straight line"),
            (lambda lengths, periods, new: np.polyval(line(np.log(lengths), np.log(periods)), np.log(new)), "np.exp"),
            (lambda lengths, periods, new: np.exp(np.polyval(line(np.log(lengths), np.log(periods)), new)), "enter"),
            (lambda lengths, periods, new: new ** line(np.log(lengths), np.log(periods))[0], "missing"),
            (lambda lengths, periods, new: np.exp(np.polyval(line(lengths, np.log(periods)), new)), "exponential"),
            (lambda lengths, periods, new: np.polyval(np.polyfit(lengths, periods, 5), new), "log(new)"),
            (lambda lengths, periods, new: 2 * np.pi * np.sqrt(new / 9.81), "log(new)"),
        ],
    ),
    "15.1": (
        [
            lambda p: _colours(p).astype(np.uint8),
            lambda p: _colours(p),
            lambda p: np.clip(np.rint(_rgb(p.astype(float)[..., 0], *_less(p))), 0, 255).astype(int),
        ],
        [
            (lambda p: np.clip(np.rint(_rgb(*np.moveaxis(p.astype(float), -1, 0))), 0, 255), "take 128 off"),
            (lambda p: np.clip(np.rint(_rgb(p[..., 0].astype(float), *_less(p)[::-1])), 0, 255), "are exchanged"),
            (lambda p: _rgb(p[..., 0].astype(float), *_less(p)), "no bytes"),
            (lambda p: np.floor(np.clip(_rgb(p[..., 0].astype(float), *_less(p)), 0, 255)), "do not cut"),
            (lambda p: np.rint(_rgb(p[..., 0].astype(float), *_less(p))) % 256, "wraps around"),
            (lambda p: p[..., ::-1], "makes no colours"),
            (lambda p: _colours(p)[..., 0], "the same shape"),
            (lambda p: _colours(p) + 1, "1.402"),
        ],
    ),
    "15.2": (
        [
            lambda s, c, d: _ray(1 - np.exp(-s * d), np.exp(-d * (np.cumsum(s) - s)), c),
            lambda s, c, d: _ray(1 - np.exp(-s * d), np.cumprod(np.append(1, np.exp(-s * d)))[:-1], c),
        ],
        [
            (lambda s, c, d: _ray(1 - np.exp(-s * d), np.exp(-d * np.cumsum(s)), c), "not hide itself"),
            (lambda s, c, d: _ray(1 - np.exp(-s * d), np.exp(-d * (s.sum() - np.cumsum(s))), c), "from behind"),
            (lambda s, c, d: _ray(1 - np.exp(-s * d), np.ones(len(s)), c), "multiply by T"),
            (lambda s, c, d: _ray(s * d, np.exp(-d * (np.cumsum(s) - s)), c), "may exceed 1"),
            (lambda s, c, d: _ray(1 - np.exp(-s), np.exp(-(np.cumsum(s) - s)), c), "the step has no say"),
            (
                lambda s, c, d: (
                    _ray(1 - np.exp(-s * d), np.exp(-d * (np.cumsum(s) - s)), c) / (1 - np.exp(-s * d)).sum()
                ),
                "no common divisor",
            ),
            (lambda s, c, d: c.mean(axis=0), "Σ T α c"),
            (lambda s, c, d: c, "one colour"),
        ],
    ),
    "15.3": (
        [
            lambda f, t: np.where(_some(f, t), 2 * _both(f, t) / np.maximum(_sum(f) + _sum(t), 1), 1.0),
            lambda f, t: np.array(
                [
                    1.0 if not (a | b).any() else 2 * (a & b).sum() / (a.sum() + b.sum())
                    for a, b in zip(f, t, strict=True)
                ]
            ),
        ],
        [
            (
                lambda f, t: np.where(_some(f, t), _both(f, t) / np.maximum(_sum(f | t), 1), 1.0),
                "intersection over union",
            ),
            (lambda f, t: np.where(_some(f, t), 2 * _both(f, t) / np.maximum(_sum(f) + _sum(t), 1), 0.0), "must be 1"),
            (lambda f, t: 2 * _both(f, t) / (_sum(f) + _sum(t)), "must be 1"),
            (lambda f, t: np.where(_some(f, t), _both(f, t) / np.maximum(_sum(f) + _sum(t), 1), 1.0), "count twice"),
            (lambda f, t: np.where(_sum(f) > 0, _both(f, t) / np.maximum(_sum(f), 1), 1.0), "were missed"),
            (lambda f, t: np.where(_sum(t) > 0, _both(f, t) / np.maximum(_sum(t), 1), 1.0), "in vain"),
            (lambda f, t: (f == t).mean(axis=(1, 2, 3)), "share of all voxels"),
            (lambda f, t: np.array(2 * (f & t).sum() / (f.sum() + t.sum())), "one number a volume"),
        ],
    ),
    "15.4": (
        [
            lambda seen, unseen: (seen < unseen).mean() + (seen == unseen).mean() / 2,
            lambda seen, unseen: ((np.sign(unseen - seen) + 1) / 2).mean(),
        ],
        [
            (lambda seen, unseen: (seen < unseen).mean(), "count it half"),
            (lambda seen, unseen: (seen <= unseen).mean(), "count it half"),
            (lambda seen, unseen: (np.sign(seen - unseen) / 2 + 0.5).mean(), "not seen"),
            (lambda seen, unseen: 100 * (np.sign(unseen - seen) / 2 + 0.5).mean(), "no percent"),
            (lambda seen, unseen: (np.sign(unseen - seen) / 2 + 0.5).sum(), "divide by"),
            (lambda seen, unseen: seen.mean() / unseen.mean(), "vanish in the means"),
            (lambda seen, unseen: 0.5, "to_seen < to_unseen"),
        ],
    ),
    "16.1": (
        [lambda one, other: _boxes(one, other), lambda one, other: _boxes(other, one).T],
        [
            (lambda one, other: _boxes(one, other, cut=-np.inf), "negative sides"),
            (lambda one, other: _boxes(one, other, union=lambda a, b, shared: a + b), "counted twice"),
            (lambda one, other: 2 * _boxes(one, other, union=lambda a, b, shared: a + b), "Dice"),
            (lambda one, other: _boxes(one, other, union=lambda a, b, shared: 1 + 0 * a * b), "divide by"),
            (lambda one, other: _boxes(one, other, union=lambda a, b, shared: a + 0 * b), "first box alone"),
            (lambda one, other: _boxes(one, other).T, "shape"),
            (lambda one, other: _boxes(one, other) ** 2, "it is wrong"),
        ],
    ),
    "16.2": (
        [
            lambda quiet, rate: min(each for each in quiet if (quiet > each).mean() <= rate + 1e-9),
            lambda quiet, rate: np.sort(quiet)[::-1][min(int(rate * len(quiet) + 1e-9), len(quiet) - 1)],
        ],
        [
            (lambda quiet, rate: np.quantile(quiet, 1 - rate), "none of the clips"),
            (lambda quiet, rate: quiet.max(), "so does the smaller"),
            (lambda quiet, rate: quiet.min(), "ring; at most"),
            (lambda quiet, rate: np.sort(quiet)[min(int(rate * len(quiet)), len(quiet) - 1)], "ring; at most"),
            (
                lambda quiet, rate: min(
                    each for each in [*quiet, quiet.max()] if (quiet >= each).mean() <= rate or each == quiet.max()
                ),
                "so does the smaller",
            ),
        ],
    ),
    "16.3": (
        [
            lambda before, now, gate: _linked(before, now, gate),
            lambda before, now, gate: list(_linked(before, now, gate)),
        ],
        [
            (lambda before, now, gate: np.linalg.norm(before[:, None] - now, axis=-1).argmin(axis=1), "twice"),
            (lambda before, now, gate: _linked(before, now, np.inf), "farther apart"),
            (lambda before, now, gate: _linked(before, now, gate, away=lambda d: np.abs(d).max(axis=-1)), "both axes"),
            (lambda before, now, gate: _linked(before, now, gate, in_turn=True), "nearest pair of all first"),
            (lambda before, now, gate: np.full(len(before), -1), "all that the gate allows"),
            (lambda before, now, gate: _linked(now, before, gate), "farther apart"),
            (lambda before, now, gate: _linked(before, now, gate) + 9, "indices of now"),
        ],
    ),
    "16.4": (
        [
            lambda *given: _ground(*given),
            lambda *given: np.array([_ground(pixel[None], *given[1:])[0] for pixel in given[0]]),
        ],
        [
            (lambda *given: _ground(*given, up=-1), "rows grow downwards"),
            (lambda pixels, height, tilt, *more: _ground(pixels, height, -tilt, *more), "looks down"),
            (lambda pixels, height, tilt, *more: _ground(pixels, height, 0.0, *more), "not heard"),
            (lambda pixels, height, tilt, focal, middle: _ground(pixels, height, tilt, 1.0, middle), "focal length"),
            (lambda *given: _ground(*given)[:, ::-1], "X comes first"),
            (lambda pixels, height, *more: _ground(pixels, 1.0, *more), "multiply by the height"),
            (lambda *given: _ground(*given) * 1.1, "it is wrong"),
            (lambda *given: _ground(*given).T, "shape"),
        ],
    ),
    "17.1": (
        [
            lambda cost, distance: _unbeaten(cost, distance),
            lambda cost, distance: [
                not any(
                    (cost[j] < cost[i] and distance[j] <= distance[i])
                    or (cost[j] == cost[i] and distance[j] < distance[i])
                    for j in range(len(cost))
                )
                for i in range(len(cost))
            ],
        ],
        [
            (lambda cost, distance: _unbeaten(cost, -distance), "counts as"),
            (lambda cost, distance: _unbeaten(-cost, distance), "counts as"),
            (lambda cost, distance: distance == distance.min(), "counts as"),
            (
                lambda cost, distance: ~((cost < cost[:, None]) & (distance < distance[:, None])).any(axis=1),
                "counts as unbeaten",
            ),
            (
                lambda cost, distance: ((cost <= cost[:, None]) & (distance <= distance[:, None])).sum(axis=1) == 1,
                "equal rows",
            ),
            (lambda cost, distance: cost + distance == (cost + distance).min(), "counts as"),
            (lambda cost, distance: np.flatnonzero(_unbeaten(cost, distance)), "shape"),
            (lambda cost, distance: np.ones(len(cost), bool), "counts as unbeaten"),
        ],
    ),
    "17.2": (
        [
            lambda real, made: _means_apart(real, made),
            lambda real, made: (
                np.sum((real.mean(0) - made.mean(0)) ** 2)
                - np.trace(np.atleast_2d(np.cov(real, rowvar=False))) / len(real)
                - np.trace(np.atleast_2d(np.cov(made, rowvar=False))) / len(made)
            ),
        ],
        [
            (lambda real, made: np.sum((real.mean(0) - made.mean(0)) ** 2), "with its bias"),
            (lambda real, made: _means_apart(real, made, sign=-1), "take it away"),
            (lambda real, made: _means_apart(real, made, only="real"), "second set"),
            (lambda real, made: _means_apart(real, made, only="made"), "first set"),
            (lambda real, made: _means_apart(real, made, ddof=0), "ddof=1"),
            (lambda real, made: max(0.0, _means_apart(real, made)), "cut at 0"),
            (lambda real, made: _means_apart(real, made) / real.shape[1], "not a mean"),
            (lambda real, made: _means_apart(real, made) ** 2, "is wrong"),
        ],
    ),
    "17.3": (
        [
            lambda measure, values, draws, share: _spread(measure, values, draws, share),
            lambda measure, values, draws, share: tuple(_spread(measure, values, draws, share)),
        ],
        [
            (
                lambda measure, values, draws, share: _spread(measure, values, draws, share, around=None),
                "quantiles of what",
            ),
            (
                lambda measure, values, draws, share: _spread(measure, values, draws, share, around=0.0),
                "around measure",
            ),
            (lambda measure, values, draws, share: _spread(measure, values, draws, share)[::-1], "lower end"),
            (lambda measure, values, draws, share: _spread(measure, values, draws, 2 * share - 1), "half of what"),
            (
                lambda measure, values, draws, share: (
                    measure(values) + np.array([-1, 1]) * np.std([measure(values[draw]) for draw in draws])
                ),
                "one deviation",
            ),
            (
                lambda measure, values, draws, share: (
                    2 * measure(values) - _spread(measure, values, draws, share, around=None)[::-1]
                ),
                "mirrored",
            ),
            (lambda measure, values, draws, share: np.diff(_spread(measure, values, draws, share)), "two numbers"),
        ],
    ),
}


def _chance(features, weights):
    return 1 / (1 + np.exp(-features @ weights))


def _apart(pictures):
    return np.sqrt(np.mean((pictures[:, None] - pictures[None]) ** 2, axis=(2, 3)))


def _wilson(clicks, shown, z=1.96):
    rate, wide = clicks / shown, z**2 / shown
    half = z / (1 + wide) * np.sqrt(rate * (1 - rate) / shown + wide / (4 * shown))
    return (rate + wide / 2) / (1 + wide) - half, (rate + wide / 2) / (1 + wide) + half


def _newcombe(one, rate, other, second):
    low = second - rate - np.hypot(second - other[0], one[1] - rate)
    return low, second - rate + np.hypot(other[1] - second, rate - one[0])


def _less(pixels):
    return np.moveaxis(pixels[..., 1:].astype(float) - 128, -1, 0)


def _rgb(y, cb, cr):
    return np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)


def _colours(pixels):
    return np.clip(np.rint(_rgb(pixels[..., 0].astype(float), *_less(pixels))), 0, 255)


def _ray(alpha, through, colors):
    return ((alpha * through)[:, None] * colors).sum(axis=0)


def _sum(outline):
    return outline.sum(axis=(1, 2, 3))


def _both(found, true):
    return _sum(found & true)


def _some(found, true):
    return _sum(found | true) > 0


def _overlap(one, other, empty=1.0):
    both, either = ((one & other).sum(axis=(1, 2)), (one | other).sum(axis=(1, 2)))
    return np.where(either > 0, both / np.maximum(either, 1), empty)


def _normalised(maps, axes):
    return (maps - maps.mean(axis=axes, keepdims=True)) / maps.std(axis=axes, keepdims=True)


def _unsteady(clip, flow, seen):  # the sum over the pixels that were seen
    (time, height, width, _), (rows, columns) = clip.shape, np.mgrid[: clip.shape[1], : clip.shape[2]]
    x, y = (columns - flow[..., 0]).clip(0, width - 1), (rows - flow[..., 1]).clip(0, height - 1)
    moved = clip[np.arange(time - 1)[:, None, None], y, x]
    return (((clip[1:] - moved) ** 2).mean(axis=-1) * seen).sum()


def _boxes(one, other, cut=0, union=lambda a, b, shared: a + b - shared):
    one, other = one[:, None], other[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, cut).prod(axis=-1)
    return shared / union(*((each[..., 2:] - each[..., :2]).prod(axis=-1) for each in (one, other)), shared)


def _linked(before, now, gate, away=lambda d: np.linalg.norm(d, axis=-1), in_turn=False):
    far, found = away(before[:, None] - now), np.full(len(before), -1)
    rows = range(len(before)) if in_turn else [None] * len(before)
    for row in rows:
        one = np.unravel_index(far.argmin(), far.shape)[0] if row is None else row
        if far[one].min() <= gate:
            found[one] = far[one].argmin()
            far[:, found[one]], far[one] = np.inf, np.inf
    return found


def _ground(pixels, height, tilt, focal, middle, up=1):
    u, w = (pixels[:, 0] - middle[0]) / focal, up * (middle[1] - pixels[:, 1]) / focal
    down, ahead = np.sin(tilt) - w * np.cos(tilt), np.cos(tilt) + w * np.sin(tilt)
    return np.stack([height * u / down, height * ahead / down], axis=1)


def _down(strength, steps):
    """10.4: the times of the way, beside clips."""
    return strength * np.linspace(1, 0, steps + 1).reshape(-1, 1, 1, 1, 1)


def _film(first, go_on, overlap, frames, cut=True, left_out=None, told=None):
    """10.2, with faults on request."""
    film = first
    while len(film) < frames:
        film = np.concatenate([film, go_on(film[-(told or overlap) :])[overlap if left_out is None else left_out :]])
    return (film[:frames] if cut else film).copy()


def _at(times):
    return times[:, None, None, None, None]


def _stepped(x, noise, now, then, fresh, dice, kept=lambda n, new: np.sqrt(n**2 - new**2)):
    new = fresh * then[1] * np.sqrt(1 - (now[0] * then[1] / (now[1] * then[0])) ** 2)
    return then[0] * (x - now[1] * noise) / now[0] + kept(then[1], new) * noise + new * dice


def _unstable_guess(x, clips, signal, noise):
    weights = np.exp((signal * x @ clips.T - signal**2 / 2 * (clips**2).sum(axis=1)) / noise**2)
    return weights / weights.sum(axis=1, keepdims=True) @ clips


def _guess(x, clips, signal, noise, largest=lambda fit: fit.max(axis=1, keepdims=True)):
    fit = -((x[:, None] - signal * clips) ** 2).sum(axis=-1) / (2 * noise**2)
    weights = np.exp(fit - largest(fit))
    return weights / weights.sum(axis=1, keepdims=True) @ clips


def _log_chances(logits):
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def _chances(logits):
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def _with(clip, which):
    clip[which] = 1 - clip[which]
    return clip


def _moved(foretell, clip, change, least=1e-9):
    before = foretell(clip)
    return np.array([np.abs(foretell(change(clip.copy(), t)) - before)[t].max() > least for t in range(len(clip))])


def _nucleus(chances, mass, less=False):
    order = np.argsort(-chances)
    held = np.cumsum(chances[order])
    kept = np.zeros_like(chances)
    which = order[held <= mass + 1e-9] if less else order[held - chances[order] < mass - 1e-9]
    kept[which] = chances[which]
    return kept / max(kept.sum(), 1e-9)


def _taken(query, keys, values):
    return _chances(keys @ query / len(query) ** 0.5) @ values


def _bound(weights, taken_out):
    return taken_out + np.log(np.mean(np.exp(weights - taken_out), axis=0))


def _normal_equations(before, after, sloped=None):
    sloped = (before + after) / 2 if sloped is None else sloped
    down, right = (slope[2:-2, 2:-2].ravel() for slope in np.gradient(sloped))
    slopes = np.stack([right, down])
    return slopes @ slopes.T, -slopes @ (after - before)[2:-2, 2:-2].ravel()


def _least_squares(before, after, sloped=None):
    return np.linalg.lstsq(*_normal_equations(before, after, sloped))[0]


def _back(flow):
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]]
    return columns - flow[..., 0], rows - flow[..., 1]


def _stays(flow):
    (x, y), (height, width) = _back(flow), flow.shape[:2]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def _agree(forward, backward, least=0.5, order=2):
    return np.linalg.norm(forward + backward, axis=-1, ord=order) < least


def _normal(z):
    return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


def _uncoupled(y, log_scale, shift):
    return np.concatenate([y[:, :2], (y[:, 2:] - shift) * np.exp(-log_scale)], axis=1)


def _bits(log_prob, values):
    return -log_prob / (values * np.log(2))


def _kl(q_mean, q_log, p_mean, p_log):
    return 0.5 * np.sum(p_log - q_log + (np.exp(q_log) + (q_mean - p_mean) ** 2) / np.exp(p_log) - 1)


def _mix(picture, x, y):
    left, top = min(int(x), picture.shape[1] - 2), min(int(y), picture.shape[0] - 2)
    right, down = x - left, y - top
    above, below = ((1 - right) * row[left] + right * row[left + 1] for row in picture[top : top + 2])
    return (1 - down) * above + down * below


def _undone(points, pose):
    x, y = (points - np.asarray(pose[:2])).T
    turn = np.array([[np.cos(pose[3]), np.sin(pose[3])], [-np.sin(pose[3]), np.cos(pose[3])]])
    return (turn @ [x, y]).T / np.exp(pose[2])


def _to_floor(origin, direction, height):
    with np.errstate(all="ignore"):
        distance = (height - origin[:, 1]) / direction[:, 1]
    return np.where(np.isfinite(distance) & (distance > 0), distance, np.inf)


def _lamp_light(point, normal, places, lamp_normal, area, radiance, color, ground=True, front=True, power=2, cut=None):
    cut = (lambda value: np.maximum(value, 0)) if cut is None else cut
    way = places - point
    distance = np.linalg.norm(way, axis=1)
    into = way / distance[:, None]
    cosine = cut(into @ normal) if ground else 1
    return (
        np.mean(color / np.pi * radiance * cosine * (cut(-into @ lamp_normal) if front else 1) / distance**power) * area
    )


def _roulette(weight, dice, chance, by=lambda chance: chance):
    lives = dice < chance
    return np.where(lives[:, None], weight / by(np.where(lives, chance, 0.5))[:, None], 0)


def _bounce(
    velocity,
    spin,
    normal,
    radius,
    restitution,
    friction,
    most=None,
    ease=2 / 7,
    turns=1.0,
    always=False,
    sign=1,
    leaves=True,
    across=0.0,
    least=1e-12,
):
    approach, arm = -velocity @ normal, -radius * normal
    if approach <= 0 and leaves:
        return velocity.copy(), spin.copy()
    push = (1 + restitution) * approach
    slip = velocity + (1 - across) * approach * normal + turns * np.cross(spin, arm)
    speed = max(np.linalg.norm(slip), least)
    rub = friction * push if most is None else most
    rub = rub if always else min(rub, ease * speed)
    impulse = push * normal - sign * rub * slip / speed
    return velocity + impulse, spin + np.cross(arm, impulse) / (0.4 * radius**2)


def cases(kind: int) -> list:
    return [
        pytest.param(name, answer, id=f"{name}-{number}")
        for name, answers in ANSWERS.items()
        for number, answer in enumerate(answers[kind])
    ]


def test_every_check_is_tested_against_right_and_wrong_answers():
    assert set(ANSWERS) == set(CHECKS)
    for right, wrong in ANSWERS.values():
        assert len(right) >= 1
        assert len(wrong) >= 3


@pytest.mark.parametrize(("name", "answer"), cases(0))
def test_what_is_right_is_said_to_be_right(name, answer):
    verdict = check(name, answer)
    assert verdict.status == "right", verdict
    assert repr(verdict).startswith("✔ Right")


@pytest.mark.parametrize(("name", "case"), cases(1))
def test_what_is_wrong_is_said_to_be_wrong_and_why(name, case):
    answer, word = case
    verdict = check(name, answer)
    assert verdict.status == "wrong", verdict
    assert word in verdict.message, verdict
    one_sentence(repr(verdict), "✘ Not yet")


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("stub", [..., lambda *given: ...])
def test_a_stub_is_not_attempted(name, stub):
    verdict = check(name, stub)
    assert verdict.status == "not attempted", verdict
    one_sentence(repr(verdict), "… Not attempted", "replace the ...")


class UnspeakableError(Exception):
    """An error that cannot even be printed."""

    def __str__(self):
        raise RuntimeError("no words")


def raises(error: BaseException):
    def answer(*given):
        raise error

    return answer


def mutates(*given):
    for value in given:
        if isinstance(value, np.ndarray):
            value[...] = 0
    return given[0]


def recurses(*given):
    return recurses(*given)


HOSTILE = {
    "raises": raises(ValueError("two\nlines")),
    "unspeakable": raises(UnspeakableError()),
    "key error": raises(KeyError("x" * 5000)),
    "interrupt": raises(KeyboardInterrupt()),
    "exit": lambda *given: sys.exit(0),
    "generator exit": raises(GeneratorExit()),
    "memory": raises(MemoryError()),
    "recursion": recurses,
    "text": lambda *given: "right",
    "empty text": lambda *given: "",
    "true": lambda *given: True,
    "zero": lambda *given: 0,
    "one": lambda *given: 1,
    "nan": lambda *given: np.nan,
    "inf": lambda *given: np.inf,
    "complex": lambda *given: 1j,
    "object": lambda *given: object(),
    "dictionary": lambda *given: {"a": 1},
    "empty list": lambda *given: [],
    "ragged list": lambda *given: [[1], [1, 2]],
    "nan array": lambda *given: np.full((3, 4), np.nan),
    "constant array": lambda *given: np.full(np.shape(given[0]), 0.5, np.float32),
    "constants a clip": lambda *given: np.ones(6),
    "wrong shape": lambda *given: np.zeros((2, 3, 5)),
    "its input": lambda *given: given[0],
    "its last input": lambda *given: given[-1],
    "mutates its input": mutates,
    "a generator": lambda *given: (value for value in given),
    "a function": lambda *given: print,
    "no function": 3.5,
    "a list": [1, 2],
    "an array": np.zeros(3),
    "a class": dict,
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_hostile_answer_is_right_or_stops_the_notebook(name, hostile):
    verdict = check(name, HOSTILE[hostile])
    assert verdict.status == "wrong", verdict
    assert "\n" not in repr(verdict)
    assert len(repr(verdict)) < 500


@pytest.mark.parametrize("name", CHECKS)
def test_a_tensor_is_as_good_as_an_array(name):
    tf = pytest.importorskip("vidgen_tf.quiet").tf
    right, wrong = ANSWERS[name][0][0], ANSWERS[name][1][0][0]
    if name == "00.2":  # the type matters here
        assert check(name, lambda *given: tf.constant(right(*given), tf.float32)).status == "right"
        return
    assert check(name, lambda *given: tf.constant(right(*given), tf.float64)).status == "right"
    assert check(name, lambda *given: tf.constant(wrong(*given), tf.float64)).status == "wrong"


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_answer_that_mutates_its_input_is_judged_by_what_it_returns(name):
    right = ANSWERS[name][0][0]

    def answer(*given):
        result = right(*given)
        mutates(*given)
        return result

    assert check(name, answer).status == "right"


@pytest.mark.parametrize("name", ["99.9", "", "00", None, 0.1, ["00.1"]])
def test_unknown_exercises_are_named(name):
    verdict = check(name, 1)
    assert verdict.status == "wrong"
    one_sentence(repr(verdict), repr(name), "00.1")


def test_a_verdict_is_one_line():
    assert repr(Verdict("right", "fine.")) == "✔ Right: fine."
    assert repr(Verdict("wrong", "no.")) == "✘ Not yet: no."
    assert repr(Verdict("not attempted", "try.")) == "… Not attempted: try."
