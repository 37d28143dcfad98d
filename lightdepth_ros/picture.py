# SPDX-License-Identifier: Apache-2.0
"""What holds for every picture, from a topic, a recording or a file: its size and its samples."""

from __future__ import annotations

import numpy as np

from lightdepth_ros.errors import BadImageError

MIN_SIDE_PX = 16
MAX_SIDE_PX = 16384
MAX_PIXELS = 1 << 26
"""8192 x 8192. Larger pictures are taken for damaged headers."""


def check_size(height: int, width: int) -> None:
    """Raise BadImageError for a size that no camera image has."""
    small = min(height, width) < MIN_SIDE_PX
    if small or max(height, width) > MAX_SIDE_PX or height * width > MAX_PIXELS:
        raise BadImageError(
            f'the image is {width}x{height} pixels; each side must have {MIN_SIDE_PX} to '
            f'{MAX_SIDE_PX} pixels, and the whole at most {MAX_PIXELS}'
        )


class SampleBits:
    """How many of the 16 bits of a sample a camera uses.

    Thermal and industrial cameras send 10, 12 or 14 bits as mono16. It is measured by the largest
    value seen, and only ever grows, so that brightness does not jump about.
    """

    CHOICES = (8, 10, 12, 14, 16)

    def __init__(self, fixed: int = 0) -> None:
        """fixed: the number, where it is known; 0 = measure."""
        self._fixed = fixed
        self.bits = fixed
        """What was found so far; 0 = nothing yet."""

    def to_bytes(self, words: np.ndarray, used: int = 0) -> np.ndarray:
        """Return uint16 samples as uint8, of the same shape. used: bits that are known."""
        bits = used or self._fixed
        if not bits:
            largest = int(words.max(initial=0))
            found = next(b for b in self.CHOICES if largest < 1 << b)
            bits = self.bits = max(self.bits, found)
        scaled = words >> (bits - 8)
        if self._fixed or used:  # a wrong number must not wrap around
            scaled = np.minimum(scaled, 255)
        narrow: np.ndarray = scaled.astype(np.uint8)
        return narrow
