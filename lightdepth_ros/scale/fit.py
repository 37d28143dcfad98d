# SPDX-License-Identifier: Apache-2.0
"""True and predicted distances -> one factor, robustly, with its uncertainty; NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightdepth_ros.errors import DataError
from lightdepth_ros.perception.ground import robust_sigma

MEDIAN_TO_MEAN = 1.2533
"""Standard error of a median over that of a mean, for normally distributed errors: sqrt(pi/2)."""
ENOUGH_GROUPS = 3
"""With this many images (or tapes), their differences give the uncertainty."""


@dataclass(frozen=True)
class Pairs:
    """Distances known and predicted with depth_scale 1; arrays (n,).

    true_m       metres, from tape, lidar or camera height.
    predicted_m  metres of the same, from the network.
    group        int, the image or tape of each pair: errors within one are correlated.
    """

    true_m: np.ndarray
    predicted_m: np.ndarray
    group: np.ndarray

    @property
    def log_ratio(self) -> np.ndarray:
        """ln(true / predicted)."""
        ratio: np.ndarray = np.log(self.true_m / self.predicted_m)
        return ratio


@dataclass(frozen=True)
class Limits:
    """What a fit must satisfy to be written.

    points, groups  the least numbers of them.
    spread          largest robust standard deviation of ln(true / predicted).
    low, high       range of plausible factors.
    """

    points: int
    groups: int
    spread: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """The factor, by which predictions must be multiplied.

    error   standard error of ln scale, about the relative error. NaN = cannot be known.
    spread  robust standard deviation of ln(true / (scale * predicted)) over all pairs.
    """

    scale: float
    error: float
    spread: float
    points: int
    groups: int


def fit_scale(pairs: Pairs) -> Fit:
    """Return the median factor: the median over groups of the median within each.

    So an image with many points weighs no more than another. Half of the pairs may be wrong. The
    error comes from how much the groups differ. With one or two groups it is the spread of all
    pairs, which is an upper bound as long as they do not share the same error.
    """
    logs = pairs.log_ratio
    if logs.size == 0:
        return Fit(float('nan'), float('nan'), float('nan'), 0, 0)
    groups = np.unique(pairs.group)
    medians = np.array([np.median(logs[pairs.group == g]) for g in groups])
    centre = float(np.median(medians))
    spread = robust_sigma(logs - centre)
    if len(groups) >= ENOUGH_GROUPS:
        error = MEDIAN_TO_MEAN * robust_sigma(medians - centre) / np.sqrt(len(groups))
    else:
        error = spread if logs.size > 1 else float('nan')
    return Fit(float(np.exp(centre)), float(error), spread, int(logs.size), len(groups))


def check_fit(fit: Fit, limits: Limits, what: str, groups: str, remedy: str) -> None:
    """Raise DataError, with the numbers and what to do, for a fit that must not be used.

    what, groups: names of the pairs and of their sources. remedy: how to get more of them.
    """
    if fit.points < limits.points or fit.groups < limits.groups:
        raise DataError(
            f'{fit.points} {what} from {fit.groups} {groups} are too few: at least '
            f'{limits.points} from {limits.groups} are needed. {remedy}'
        )
    numbers = f'scale {fit.scale:.4g}, spread {fit.spread:.0%}, {fit.points} {what}'
    if not fit.spread <= limits.spread:
        raise DataError(
            f'the {what} contradict each other ({numbers}): a spread of {limits.spread:.0%} is '
            'the most that one factor can stand for. Look at the picture and the table: wrong '
            'pixels, a wrong calibration or clock, or scenes that the network does not know. '
            f'--max-spread {np.ceil(fit.spread * 100) / 100:.2f} accepts it.'
        )
    if not limits.low <= fit.scale <= limits.high:
        raise DataError(
            f'the result is implausible ({numbers}): a factor from {limits.low:g} to '
            f'{limits.high:g} is expected. Usual causes: centimetres or feet for metres, the '
            'focal length of another image size, another camera. --plausible LOW HIGH accepts it.'
        )
