# SPDX-License-Identifier: Apache-2.0
"""Whether the node's memory grew. Judged where it is in the same state each time: cleaned up, with
its models freed, once a round. In between it depends on which resolutions have just been used."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tools.soak_watch import Sample

WARM_UP_S, WARM_UP_SHARE = 120.0, 0.1
"""Memory is judged after the longer of the two."""
JUDGED_SHARE = 0.2
"""Share of what is judged whose median stands for its beginning and for its end."""
FEWEST_ROUNDS = 5

Reading = tuple[float, float]
"""When (perf_counter) and MiB."""


def growth_mib(readings: Sequence[Reading], begun_s: float, ended_s: float) -> Reading:
    """Return the growth after the warm-up, and where it began, in MiB; NaN if too few are left.

    begun_s, ended_s: of the run.
    """
    warm_s = begun_s + max(WARM_UP_S, WARM_UP_SHARE * (ended_s - begun_s))
    left = [mib for at_s, mib in readings if at_s >= warm_s and not math.isnan(mib)]
    if len(left) < FEWEST_ROUNDS:
        return math.nan, math.nan
    count = max(2, round(JUDGED_SHARE * len(left)))
    start_mib = float(np.median(left[:count]))
    return float(np.median(left[-count:])) - start_mib, start_mib


def while_serving(samples: Sequence[Sample]) -> list[Reading]:
    """Return the node's own memory, second by second."""
    return [(sample.at_s, sample.own_mib) for sample in samples]
