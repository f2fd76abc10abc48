"""Optical flow that is not known but estimated, for real footage, and where it can be trusted.

C. Zach, T. Pock, H. Bischof: A Duality Based Approach for Realtime TV-L1 Optical Flow. DAGM 2007 (as in scikit-image)
N. Sundaram, T. Brox, K. Keutzer: Dense Point Trajectories by GPU-Accelerated Large Displacement Optical Flow. ECCV 2010
(there and back again)
"""

from itertools import pairwise

import numpy as np

from vidgen_tf.clips import check_clips


def estimate_flow(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where what is seen in each frame was in the frame before it, by TV-L1, and which pixels were seen there.

    A pixel is followed back to the frame before and from there forth again. It was hidden, or is not to be trusted, where
    it does not come back: where |way back + way forth|² > 0.01 (|way back|² + |way forth|²) + 0.5; or where it came from
    beyond the border.

    Args:
        clips: float32 (count, time, height, width, channels) in [-1, 1], at least 2 frames of 16 × 16 pixels.

    Returns:
        flow, float32 (count, time - 1, height, width, 2), pixels per frame, as in `warping_error`; and seen, bool
        (count, time - 1, height, width), for its argument `where`.

    Raises:
        ValueError: for clips that break the convention, have one frame, or smaller frames.
    """
    clips = check_clips(clips)
    if clips.shape[1] < 2 or min(clips.shape[2:4]) < 16:
        raise ValueError(
            f"estimate_flow got clips of shape {clips.shape}, but at least 2 frames of 16 × 16 pixels were expected."
        )
    from skimage.registration import optical_flow_tvl1

    greys = clips.mean(axis=-1) / 2  # a range of 1, for which the weights of TV-L1 are made
    height, width = greys.shape[2:]
    here = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)

    def between(frame, other):
        return optical_flow_tvl1(frame, other, num_warp=6)[::-1].transpose(1, 2, 0)  # (x, y), to where it is in `other`

    def pair(before, now):
        back, forth = between(now, before), between(before, now)
        there = here + back
        inside = ((there >= 0) & (there <= (width - 1, height - 1))).all(axis=-1)
        x, y = np.rint(np.clip(there, 0, (width - 1, height - 1))).astype(int).transpose(2, 0, 1)
        forth = forth[y, x]
        missed = ((back + forth) ** 2).sum(axis=-1)
        return -back, inside & (missed <= 0.01 * (back**2 + forth**2).sum(axis=-1) + 0.5)

    pairs = [[pair(*frames) for frames in pairwise(clip)] for clip in greys]
    flow, seen = (np.array([[found[part] for found in clip] for clip in pairs]) for part in (0, 1))
    return flow.astype(np.float32), seen
