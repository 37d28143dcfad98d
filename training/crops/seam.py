# SPDX-License-Identifier: Apache-2.0
"""Two views side by side in one crop, so that neither side tells what the other must be (ours).

A small network that has seen a few hundred streets knows them by their whole picture. Joined at a
random column, n views give n^2 pictures. Depth stays true on both sides, because it is learnt for
one canonical focal length and crops keep their middle rows. (Mixing parts of two pictures: Yun et
al., "CutMix", ICCV 2019; of depth: Ishii and Yamashita, "CutDepth", 2021.)
"""

from __future__ import annotations

import numpy as np

from training.crops.truth import Example

LEAST_SHARE = 0.25
"""Each side keeps at least this share of the columns."""


def join(rng: np.random.Generator, left: Example, right: Example) -> Example:
    """Return `left` with the columns right of a random seam taken from `right`.

    Examples of training.crops.truth.crop, of one size. If only one has a scale, `left` alone.
    """
    if left['unscaled'] != right['unscaled']:
        return left
    width = np.asarray(left['label']).shape[1]
    seam = int(width * rng.uniform(LEAST_SHARE, 1 - LEAST_SHARE))
    joined: Example = {}
    for key, value in left.items():
        other = right[key]
        if isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
            value = np.concatenate([value[:, :seam], other[:, seam:]], axis=1)
        joined[key] = value
    return joined
