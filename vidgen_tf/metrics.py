"""How good is a clip? Arrays in, numbers out; and the baselines that a good number must beat.

All functions take clips float32 (count, time, height, width, channels) in [-1, 1] and return one number a clip,
unless they say otherwise. A measure is worth nothing until it has been tried on controls whose order is known.
"""

from collections.abc import Callable

import numpy as np

from vidgen_tf.clips import as_array, check_clips, check_count, check_number, check_seed, check_values, decibels


def psnr(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio: likeness pixel by pixel, 10 · log10(2² / mean squared error), in dB.

    Args:
        real, generated: clips of one shape.

    Returns:
        float64 (count,), in dB; infinite for exact copies. 20 is poor, 30 good, 40 hard to tell apart.

    Raises:
        ValueError: for clips that break the convention or differ in shape.
    """
    real, generated = _check_pair(real, generated)
    error = np.mean(np.square(real.astype(np.float64) - generated), axis=(1, 2, 3, 4))
    return decibels(error)


def neighbor_correlation(clips: np.ndarray) -> np.ndarray:
    """How much each frame tells about the next: the mean Pearson correlation of frames t and t+1 over all pixels.

    Returns:
        float64 (count,), from -1 to 1; 1 for a still picture, 0 for unrelated frames. A frame without
        contrast correlates 1 with its equal and 0 with all else.

    Raises:
        ValueError: for clips that break the convention or have a single frame.
    """
    clips = check_clips(clips)
    if clips.shape[1] < 2:
        raise ValueError("neighbor_correlation got clips of one frame, but at least two were expected.")
    frames = clips.reshape(*clips.shape[:2], -1).astype(np.float64)
    frames = frames - frames.mean(axis=-1, keepdims=True)
    now, then = frames[:, :-1], frames[:, 1:]
    both = np.sum(now * then, axis=-1)
    size = np.sqrt(np.sum(now**2, axis=-1) * np.sum(then**2, axis=-1))
    same = (clips[:, :-1] == clips[:, 1:]).all(axis=(2, 3, 4))
    return np.where(same, 1.0, both / np.where(size > 0, size, 1)).mean(axis=1)


def ssim(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Structural similarity: likeness of brightness, contrast and structure in small windows, frame by frame.

    Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli: Image Quality Assessment: From Error Visibility to Structural
    Similarity. IEEE Transactions on Image Processing, 2004; computed by scikit-image with that paper's Gaussian window.

    Args:
        real, generated: clips of one shape, frames of at least 11 × 11 pixels.

    Returns:
        float64 (count,), the mean over frames; 1 for exact copies, about 0 for unrelated noise.

    Raises:
        ValueError: for clips that break the convention, differ in shape, or are smaller than the window.
    """
    real, generated = _check_pair(real, generated)
    if min(real.shape[2:4]) < 11:
        raise ValueError(f"ssim got frames of {real.shape[2:4]} pixels, but at least 11 × 11 were expected.")
    from skimage.metrics import structural_similarity

    # The formula divides by the brightness and knows no negative one: black must be 0.
    real, generated = real.astype(np.float64) + 1, generated.astype(np.float64) + 1

    def of_clip(one, other):
        return np.mean(
            [
                structural_similarity(
                    a, b, channel_axis=-1, data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
                )
                for a, b in zip(one, other, strict=True)
            ]
        )

    return np.array([of_clip(one, other) for one, other in zip(real, generated, strict=True)])


# ------------------------------------------------------------------------------------- sets of clips, by features


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """How far two sets of clips are apart: the Fréchet distance of two Gaussians fitted to their features.

    It is |mean - mean'|² + trace(C + C' - 2 (C C')^½). On features of a network for pictures it is called FID, for clips FVD.

    D. Dowson, B. Landau: The Fréchet Distance between Multivariate Normal Distributions. Journal of Multivariate
    Analysis, 1982; M. Heusel et al., NeurIPS 2017, https://arxiv.org/abs/1706.08500

    Args:
        real, generated: features (count, size); counts may differ. Few clips bias it upwards: compare at one count,
            several times the size of the features.

    Returns:
        float from 0, in squared units of the features.

    Raises:
        ValueError: for anything but two arrays of finite numbers, of one size and at least two rows each.
    """
    real, generated = _check_features(real, generated)
    apart = real.mean(axis=0) - generated.mean(axis=0)
    spread, other = np.cov(real, rowvar=False, ddof=1), np.cov(generated, rowvar=False, ddof=1)
    spread, other = np.atleast_2d(spread), np.atleast_2d(other)
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T  # C^½, so that C^½ C' C^½ is symmetric
    both = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(max(0.0, apart @ apart + np.trace(spread) + np.trace(other) - 2 * both))


def polynomial_mmd(real: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """How far two sets of clips are apart, without bias: the squared maximum mean discrepancy of their features.

    It is taken with the kernel (x·y / size + 1)³, which compares means, spreads and skews. On FID's features it is called KID.

    M. Bińkowski, D. Sutherland, M. Arbel, A. Gretton: Demystifying MMD GANs. ICLR 2018,
    https://arxiv.org/abs/1801.01401

    Args:
        real, generated: features (count, size) with equal counts of at least 3.

    Returns:
        The unbiased estimate, 0 on average for sets of one kind (so it may be below 0), and its standard error by
        the jackknife, which is √2 times too large for sets of one kind. Clip i is not compared with clip i of the
        other set, which may be its copy.

    Raises:
        ValueError: for other arrays.
    """
    real, generated = _check_features(real, generated)
    count, size = real.shape
    if len(generated) != count or count < 3:
        raise ValueError(
            f"polynomial_mmd got {count} and {len(generated)} clips, but equally many, at least 3, were expected."
        )

    def kernel(a, b):
        return (a @ b.T / size + 1) ** 3

    across = kernel(real, generated)
    pairs = kernel(real, real) + kernel(generated, generated) - across - across.T
    np.fill_diagonal(pairs, 0)
    rows, total = pairs.sum(axis=1), pairs.sum()
    estimate = total / (count * (count - 1))
    without = (total - 2 * rows) / ((count - 1) * (count - 2))  # the estimate with one pair of clips left out
    return float(estimate), float(np.sqrt((count - 1) * np.mean((without - without.mean()) ** 2)))


def bootstrap_interval(
    measure: Callable[[np.ndarray, np.ndarray], float],
    real: np.ndarray,
    generated: np.ndarray,
    *,
    rounds: int = 100,
    share: float = 0.9,
    seed: int = 0,
) -> tuple[float, float]:
    """How far a measure of two sets may be off by chance: an interval around what it says of them (the bootstrap).

    Both sets are drawn anew from themselves, with replacement, again and again. A set so drawn holds some members twice,
    which shifts a measure such as `frechet_distance`; so only the *spread* of the answers is used: their quantiles less
    their mean, around the answer for the sets themselves.

    B. Efron: Bootstrap Methods: Another Look at the Jackknife. The Annals of Statistics 7 (1979).

    Args:
        measure: from two arrays to a number.
        real, generated: (count, …), at least 2 each; counts may differ.
        rounds: how often the sets are drawn, at least 10.
        share: of the answers that lie within, above 0 and below 1.
        seed: of the draws, whole number from 0.

    Returns:
        The lower and the upper end, in units of the measure.

    Raises:
        ValueError: for other arguments.
    """
    real, generated = as_array(real, "real"), as_array(generated, "generated")
    if min(real.ndim, generated.ndim) < 1 or min(len(real), len(generated)) < 2:
        raise ValueError(f"sets of shapes {real.shape} and {generated.shape} came, but at least 2 each were expected.")
    check_count(rounds, "rounds", least=10)
    if not check_number(share, "share", below=1):
        raise ValueError("share is 0, but a number above 0 and below 1 was expected.")
    dice = np.random.default_rng(check_seed(seed))
    drawn = lambda values: values[dice.integers(len(values), size=len(values))]  # noqa: E731
    found = np.array([measure(drawn(real), drawn(generated)) for _ in range(rounds)])
    low, high = np.quantile(found, [(1 - share) / 2, (1 + share) / 2]) - found.mean()
    middle = measure(real, generated)
    return float(middle + low), float(middle + high)


def precision_recall(real: np.ndarray, generated: np.ndarray, neighbors: int = 3) -> tuple[float, float]:
    """Are generated clips like real ones, and is every kind of real clip generated: two shares.

    Each set's region is the union of balls around its members that reach to the k-th nearest member.

    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila: Improved Precision and Recall Metric for Assessing
    Generative Models. NeurIPS 2019, https://arxiv.org/abs/1904.06991

    Args:
        real, generated: features (count, size), more than `neighbors` each.
        neighbors: k.

    Returns:
        precision, the share of generated clips in the region of real ones; and recall, the reverse.

    Raises:
        ValueError: for other arrays or too few clips.
    """
    real, generated = _check_features(real, generated, neighbors)
    apart = _distances(real, generated)
    real_reach, generated_reach = _reach(real, neighbors), _reach(generated, neighbors)
    precision = (apart <= real_reach[:, None]).any(axis=0).mean()
    recall = (apart <= generated_reach[None]).any(axis=1).mean()
    return float(precision), float(recall)


def coverage(real: np.ndarray, generated: np.ndarray, neighbors: int = 5) -> float:
    """The share of real clips that have a generated one among their k nearest.

    Unlike recall, a stray generated clip with a large ball does not raise it.

    M. Naeem, S. Oh, Y. Uh, Y. Choi, J. Yoo: Reliable Fidelity and Diversity Metrics for Generative Models. ICML 2020,
    https://arxiv.org/abs/2002.09797

    Args:
        real, generated: features (count, size), more than `neighbors` each.
        neighbors: k.

    Returns:
        float from 0 to 1. For N real and M generated clips of one kind 1 - (N-1)…(N-k) / ((N+M-1)…(N+M-k)) is
        expected, for large equal counts 1 - 2^-k; for a copy 1.

    Raises:
        ValueError: for other arrays or too few clips.
    """
    real, generated = _check_features(real, generated, neighbors)
    return float((_distances(real, generated).min(axis=1) <= _reach(real, neighbors)).mean())


def nearest(clips: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each clip the most alike among others, pixel by pixel, to tell what is new from what is remembered.

    Args:
        clips, among: (count, …) and (others, …), of one shape but for the first axis; or features.

    Returns:
        The index of the nearest (count,), and the root mean square of the difference (count,), 0 for a copy.

    Raises:
        ValueError: for arrays that do not fit, NaN and infinity.
    """
    clips, among = as_array(clips, "clips"), as_array(among, "among")
    if clips.ndim < 2 or clips.shape[1:] != among.shape[1:] or not among.size or not clips.size:
        raise ValueError(
            f"clips have shape {clips.shape} and among {among.shape}, but equal ones, none empty, were expected."
        )
    if not (np.isfinite(clips).all() and np.isfinite(among).all()):
        raise ValueError("clips or among have values that are NaN or infinite, but finite numbers were expected.")
    one, other = (values.reshape(len(values), -1).astype(np.float64) for values in (clips, among))
    middle = other.mean(axis=0)  # without it, squares of large numbers would swallow small differences
    one, other = one - middle, other - middle
    best = ((other**2).sum(axis=1) - 2 * one @ other.T).argmin(axis=1)
    return best, np.sqrt(np.mean((one - other[best]) ** 2, axis=1))


def mode_coverage(found: np.ndarray, modes: int) -> float:
    """The share of equally likely modes that occur at least once.

    Args:
        found: whole numbers (count,), the mode of each clip; -1 for one that belongs to none.
        modes: how many there are, numbered from 0.

    Returns:
        float from 0 to 1. Among n clips drawn fairly from N modes, 1 - (1 - 1/N)^n is expected.

    Raises:
        ValueError: for numbers that are no modes.
    """
    found = as_array(found, "found")
    check_count(modes, "modes")
    if found.dtype.kind not in "iu" or (found.size and not (found.min() >= -1 and found.max() < modes)):
        raise ValueError(
            f"found holds {found.ravel()[:3].tolist()}, but whole numbers from -1 to {modes - 1} were expected."
        )
    return len(np.unique(found[found >= 0])) / modes


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far two regions are the same: what lies in both, divided by what lies in at least one.

    Args:
        one, other: (count, height, width), bool, or from 0 to 1 how much of each pixel belongs to the region.

    Returns:
        float64 (count,) from 0, they lie apart, to 1, they are the same; 1 also where both are empty.

    Raises:
        ValueError: for different shapes, or values outside of [0, 1].
    """
    one, other = (as_array(region, "a region").astype(np.float64) for region in (one, other))
    if one.shape != other.shape or one.ndim != 3:
        raise ValueError(
            f"regions of shapes {one.shape} and {other.shape} came, but twice (count, height, width) was expected."
        )
    both, any_ = (bound(one, other).sum(axis=(1, 2)) for bound in (np.minimum, np.maximum))
    if one.size and not (min(one.min(), other.min()) >= 0 and max(one.max(), other.max()) <= 1):  # NaN is neither
        raise ValueError("the regions have values outside of [0, 1]; give shares of pixels, such as region_of gives.")
    return np.where(any_ > 0, both / np.maximum(any_, 1e-9), 1.0)


def box_iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes: the area that two boxes share, divided by what they cover together.

    Args:
        one: float (…, 4), left, top, right and bottom.
        other: float (…, 4), of a shape that fits the first by NumPy's rules.

    Returns:
        float (…), from 0 to 1; NaN where a box is NaN.

    Raises:
        ValueError: for arrays whose last axis is not 4, or that do not fit.
    """
    one, other = as_array(one, "one"), as_array(other, "other")
    if one.shape[-1:] != (4,) or other.shape[-1:] != (4,):
        raise ValueError(f"boxes of shapes {one.shape} and {other.shape} came, but (…, 4) was expected of both.")
    try:
        np.broadcast_shapes(one.shape, other.shape)
    except ValueError:
        raise ValueError(f"boxes of shapes {one.shape} and {other.shape} came, which do not fit each other.") from None
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    both = (one[..., 2:] - one[..., :2]).prod(axis=-1) + (other[..., 2:] - other[..., :2]).prod(axis=-1) - shared
    return shared / np.maximum(both, 1e-12)


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pearson's correlation along the last axis, from -1 to 1: (…, time) twice to (…); NaN where one of them stands still."""
    one, other = (values - values.mean(axis=-1, keepdims=True) for values in (one, other))
    lengths = np.sqrt(np.square(one).sum(axis=-1) * np.square(other).sum(axis=-1))
    return np.where(lengths > 1e-9, (one * other).sum(axis=-1) / np.maximum(lengths, 1e-9), np.nan)


def bits_per_dimension(log_prob: np.ndarray, values: int) -> np.ndarray:
    """What a value of a clip costs in a file of 256 grey levels under a model: -log_prob / (values ln 2) + log₂(255/2).

    The levels lie 2/255 apart in [-1, 1], so that a level's probability is about its density times 2/255; that holds
    for a density which is smooth over a level. Without a model a value costs 8 bits, or 7.994 at an even density.

    L. Theis, A. van den Oord, M. Bethge: A Note on the Evaluation of Generative Models. ICLR 2016,
    https://arxiv.org/abs/1511.01844

    Args:
        log_prob: (count,) nats per clip, of the density of values in [-1, 1].
        values: how many numbers a clip has: time · height · width · channels.

    Returns:
        float64 (count,), in bits; infinite for a clip of density 0. Fewer are better.

    Raises:
        ValueError: for anything but a list of such logarithms, and for values that are no whole number.
    """
    log_prob = as_array(log_prob, "log_prob")
    check_count(values, "values")
    if log_prob.ndim != 1 or not log_prob.size or not (log_prob < np.inf).all():
        raise ValueError(
            f"log_prob has shape {log_prob.shape} and starts with {log_prob.ravel()[:3].tolist()}, but one number a clip, "
            "neither NaN nor +inf, was expected."
        )
    return -log_prob.astype(np.float64) / (values * np.log(2)) + np.log2(255 / 2)


# ------------------------------------------------------------------------------------------------------ in time


def flicker(clips: np.ndarray) -> np.ndarray:
    """How much pixels jump forth and back: the root mean square of x[t-1] - 2 x[t] + x[t+1].

    That is the second difference in time, over all pixels. A steady fade has none; moving edges have some, so compare with real clips.

    Returns:
        float64 (count,), in units of the value range.

    Raises:
        ValueError: for clips that break the convention or have fewer than three frames.
    """
    clips = check_clips(clips)
    if clips.shape[1] < 3:
        raise ValueError(f"flicker got clips of {clips.shape[1]} frames, but at least three were expected.")
    bend = np.diff(clips.astype(np.float64), n=2, axis=1)
    return np.sqrt(np.mean(bend**2, axis=(1, 2, 3, 4)))


def warping_error(clips: np.ndarray, flow: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """How far each frame is from the frame before it, moved along a known flow: the root mean square difference.

    Args:
        clips: (count, time, height, width, channels).
        flow: float (count, time - 1, height, width, 2) pixels per frame: what is at (x, y) in frame t + 1 was at
            (x, y) - flow[t] in frame t; from beyond the border comes what is at the border.
        where: bool (count, time - 1, height, width): the pixels that count, as those that were not hidden before.

    Returns:
        float64 (count,), in units of the value range; NaN where no pixel counts.

    Raises:
        ValueError: for arrays that do not fit.
    """
    clips, flow = check_clips(clips), as_array(flow, "flow")
    count, time, height, width, _ = clips.shape
    shape = (count, time - 1, height, width)
    if time < 2:
        raise ValueError("warping_error got clips of one frame, but at least two were expected.")
    if flow.shape != (*shape, 2):
        raise ValueError(f"flow has shape {flow.shape}, but {(*shape, 2)} was expected for clips {clips.shape}.")
    if not np.isfinite(flow).all():
        raise ValueError("flow has values that are NaN or infinite, but pixels per frame were expected.")
    where = _check_where(where, shape)
    x = np.clip(np.arange(width) - flow[..., 0], 0, width - 1)
    y = np.clip(np.arange(height)[:, None] - flow[..., 1], 0, height - 1)
    left, top = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = (x - left)[..., None], (y - top)[..., None]
    n, t = np.ogrid[:count, : time - 1]
    at = lambda rows, columns: clips[n[..., None, None], t[..., None, None], rows, columns]  # noqa: E731
    moved = (1 - v) * ((1 - u) * at(top, left) + u * at(top, right)) + v * (
        (1 - u) * at(below, left) + u * at(below, right)
    )
    error = np.mean((clips[:, 1:] - moved) ** 2, axis=-1) * where
    counted = where.sum(axis=(1, 2, 3))
    return np.sqrt(np.where(counted > 0, error.sum(axis=(1, 2, 3)) / np.maximum(counted, 1), np.nan))


def flicker_ratio(
    clips: np.ndarray, source: np.ndarray, flow: np.ndarray, where: np.ndarray | None = None
) -> np.ndarray:
    """How much more painted clips flicker than their sources: the ratio of their warping errors along the sources' flow.

    A clip without contrast does not flicker: look at it too, or at its style and content.

    Args:
        clips, source: (count, time, height, width, channels), of one shape.
        flow, where: of the sources, as in `warping_error`.

    Returns:
        float64 (count,): 1 for copies, less for calmer clips; NaN where no pixel counts, or where the source has no error.

    Raises:
        ValueError: for arrays that do not fit.
    """
    source, clips = _check_pair(source, clips)
    own = warping_error(source, flow, where)
    return warping_error(clips, flow, where) / np.where(own > 0, own, np.nan)


def endpoint_error(flow: np.ndarray, true: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """How far a flow's arrows end from where the true ones end: the mean distance, in pixels per frame.

    S. Baker et al.: A Database and Evaluation Methodology for Optical Flow. IJCV 92 (2011).

    Args:
        flow: float (count, time, height, width, 2) pixels per frame (x, y), as in `warping_error`.
        true: the true flow, of the same shape.
        where: bool (count, time, height, width): the pixels that count, as those where motion can be seen.

    Returns:
        float64 (count,), in pixels; NaN where no pixel counts.

    Raises:
        ValueError: for arrays that do not fit, or numbers that are not finite.
    """
    flow, true = as_array(flow, "flow"), as_array(true, "true")
    if flow.ndim != 5 or flow.shape[-1] != 2 or flow.shape != true.shape or not flow.size:
        raise ValueError(
            f"flow has shape {flow.shape} and true {true.shape}, but (count, time, height, width, 2) was expected of both."
        )
    if not (np.isfinite(flow).all() and np.isfinite(true).all()):
        raise ValueError("flow or true has values that are NaN or infinite, but pixels per frame were expected.")
    where = _check_where(where, flow.shape[:-1])
    apart = np.linalg.norm(flow.astype(np.float64) - true, axis=-1) * where
    counted = where.sum(axis=(1, 2, 3))
    return np.where(counted > 0, apart.sum(axis=(1, 2, 3)) / np.maximum(counted, 1), np.nan)


def _check_where(where: np.ndarray | None, shape: tuple) -> np.ndarray:
    """The pixels that count, all if None is given; else ValueError."""
    where = np.ones(shape, bool) if where is None else as_array(where, "where")
    if where.shape != shape or where.dtype != bool:
        raise ValueError(f"where is {where.dtype} {where.shape}, but bool {shape} was expected.")
    return where


# ------------------------------------------------------------------------------------- rules, from what a world read


def object_permanence(reading: dict[str, np.ndarray]) -> np.ndarray:
    """Whether each clip shows the same thing or things from its first frame to its last.

    That is: none vanishes or appears, and none jumps from a frame to the next by more than twice its radius.

    Args:
        reading: what a world's `read` gave: "count" (n,), "present" (n, time, things), "position"
            (n, time, things, 2) and "radius" (n, time, things) in pixels.

    Returns:
        bool (n,); False where nothing was read.

    Raises:
        ValueError: for a reading that lacks one of these, as that of a world without things.
    """
    _check_reading(reading, "count", "present", "position", "radius")
    there = np.arange(reading["present"].shape[2]) < reading["count"][:, None]  # (n, things)
    whole = (reading["present"] == there[:, None]).all(axis=(1, 2))
    step = np.linalg.norm(np.diff(reading["position"], axis=1), axis=-1)  # (n, time - 1, things), NaN if absent
    steady = np.where(there[:, None], step <= 2 * reading["radius"][:, :-1], True).all(axis=(1, 2))
    return whole & steady & (reading["count"] > 0)


def motion_smoothness(reading: dict[str, np.ndarray]) -> np.ndarray:
    """How evenly things move: the mean length of the second difference of their positions, in pixels per frame².

    It is 0 for steady motion in a straight line.

    Args:
        reading: as in `object_permanence`, of at least three frames.

    Returns:
        float64 (n,); NaN where nothing was read.

    Raises:
        ValueError: for a reading without positions or of fewer frames.
    """
    _check_reading(reading, "position")
    if reading["position"].shape[1] < 3:
        raise ValueError(
            f"motion_smoothness got {reading['position'].shape[1]} frames, but at least three were expected."
        )
    bend = np.linalg.norm(np.diff(reading["position"].astype(np.float64), n=2, axis=1), axis=-1)
    seen = np.isfinite(bend)
    total = np.where(seen, bend, 0).sum(axis=(1, 2))
    return np.where(seen.any(axis=(1, 2)), total / np.maximum(seen.sum(axis=(1, 2)), 1), np.nan)


# ----------------------------------------------------------------------------------------- baselines and controls


def repeat_last(given: np.ndarray, time: int) -> np.ndarray:
    """The baseline of all prediction: the last given frame, `time` times over. (count, time, …)."""
    check_count(time, "time")
    given = check_clips(given, name="given")
    check_values((len(given), time, *given.shape[2:]), "the clips")
    return np.repeat(given[:, -1:], time, axis=1)


def mean_clip(clips: np.ndarray) -> np.ndarray:
    """The pixel-wise mean of all clips, in place of each: the best answer of one who does not look. Same shape."""
    clips = check_clips(clips)
    return np.broadcast_to(clips.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32), clips.shape).copy()


def frozen(clips: np.ndarray) -> np.ndarray:
    """A control: the clips stand still, each at its first frame. Perfect pictures, no motion. Same shape."""
    clips = check_clips(clips)
    return np.repeat(clips[:, :1], clips.shape[1], axis=1)


def backwards(clips: np.ndarray) -> np.ndarray:
    """A control: the clips run from their last frame to their first. Same shape."""
    return check_clips(clips)[:, ::-1].copy()


def shuffled(clips: np.ndarray, seed: int) -> np.ndarray:
    """A control: the frames of all clips in random orders of this seed. Perfect pictures, no order in time. Same shape."""
    clips = check_clips(clips)
    generator = np.random.default_rng(check_seed(seed))
    return np.stack([clip[generator.permutation(len(clip))] for clip in clips])


def _check_reading(reading: dict[str, np.ndarray], *names: str) -> None:
    if lacking := [name for name in names if name not in reading]:
        raise ValueError(
            f"the reading has no {lacking[0]!r}; give what a world of things reads, as Shapes().read(clips)."
        )


def _check_features(real, generated, neighbors: int = 1) -> tuple[np.ndarray, np.ndarray]:
    check_count(neighbors, "neighbors")
    real, generated = as_array(real, "real"), as_array(generated, "generated")
    for name, features in (("real", real), ("generated", generated)):
        if (
            features.ndim != 2
            or features.shape[1:] != real.shape[1:]
            or len(features) <= neighbors
            or not features.size
        ):
            raise ValueError(
                f"{name} has shape {features.shape}, but features (count, {real.shape[-1] if real.ndim == 2 else 'size'}) "
                f"of more than {neighbors} clips were expected."
            )
        if not np.isfinite(features).all():
            raise ValueError(f"{name} has features that are NaN or infinite; look at the clips they were made from.")
    return real.astype(np.float64), generated.astype(np.float64)


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances (rows of one, rows of other), to the last bit the same in both directions, 0 for copies."""
    return np.sqrt(np.stack([((other - row) ** 2).sum(axis=1) for row in one]))


def _reach(features: np.ndarray, neighbors: int) -> np.ndarray:
    """The distance of each row to its k-th nearest other row."""
    return np.partition(_distances(features, features), neighbors, axis=1)[:, neighbors]  # the 0th is the row itself


def _check_pair(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    real, generated = check_clips(real, name="real"), check_clips(generated, name="generated")
    if real.shape != generated.shape:
        raise ValueError(
            f"real has shape {real.shape} and generated {generated.shape}, but equal shapes were expected."
        )
    return real, generated


def claim(
    what: str,
    value: float,
    expected: float | None = None,
    *,
    within: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
) -> None:
    """Asserts what the text claims, and prints the number measured just now beside the claim.

    A trained number differs in its last digits from processor to processor, so a lesson claims a band; the
    regression test compares the claim to the letter and passes over the word that follows "measured".

    Args:
        what: is measured.
        value: that was measured.
        expected, within: the claim `expected ± within`.
        at_least, at_most: a claim with one end.
        unit: of all these numbers.

    Raises:
        AssertionError: where the claim does not hold; it says what was measured.
        ValueError: if nothing is claimed, or the value is no number.
    """
    value = as_array(value, "value")
    if value.size != 1:
        raise ValueError(f"claim({what!r}, …) got an array of shape {value.shape}, but one number was expected.")
    value = float(value.reshape(()))
    unit = f" {unit}" if unit else ""
    bounds = []
    if (expected is None) != (within is None) or (within is not None and not 0 <= within < np.inf):
        raise ValueError(
            f"claim({what!r}, …) has expected={expected} and within={within}, but both or none were expected."
        )
    if expected is not None:
        bounds.append((f"{expected:g} ± {within:g}{unit}", abs(value - expected) <= within))
    if at_least is not None:
        bounds.append((f"at least {at_least:g}{unit}", value >= at_least))
    if at_most is not None:
        bounds.append((f"at most {at_most:g}{unit}", value <= at_most))
    if not bounds:
        raise ValueError(f"claim({what!r}, …) claims nothing; give expected= and within=, at_least= or at_most=.")
    said = ", ".join(text for text, _ in bounds)
    if not all(holds for _, holds in bounds):
        raise AssertionError(
            f"{what}: measured {value:.4g}{unit}, but the lesson claims {said}; did you change a cell?"
        )
    print(f"{what}: measured {value:.4g}{unit}, claimed {said} ✔")
