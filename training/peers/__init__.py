# SPDX-License-Identifier: Apache-2.0
"""The networks that the paper compares itself with, rebuilt to be timed beside ours.

They carry random weights: their speed is measured, their errors are their papers'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from training.peers.elkerdawy import Elkerdawy
from training.peers.fastdepth import FastDepth
from training.peers.nekrasov import Nekrasov
from training.peers.pydnet import PyDNet


@dataclass(frozen=True)
class Peer:
    """One compared network.

    title       as in the paper's table.
    build       makes it, behind training.students.interface.Student.
    input_hw    (height, width) its authors run it at.
    parameters  as counted by torch; tested.
    rmse_m      the published RMSE on KITTI in metres, None without one.
    protocol    how that figure came about, and where it stands.
    """

    title: str
    build: Callable[[], nn.Module]
    input_hw: tuple[int, int]
    parameters: int
    rmse_m: float | None
    protocol: str


EIGEN = 'Eigen split, raw lidar, as tabled by Chiu et al.'

PEERS = {
    'pydnet': Peer('Poggi et al. (PyDNet)', PyDNet, (256, 512), 1_971_624, 6.030, EIGEN),
    'nekrasov': Peer(
        'Nekrasov et al.',
        Nekrasov,
        (350, 1200),
        2_990_599,
        3.453,
        'their own split with dense labels, as tabled by Chiu et al.',
    ),
    'elkerdawy': Peer('Elkerdawy et al.', Elkerdawy, (256, 512), 5_951_842, 5.891, EIGEN),
    'fastdepth': Peer(
        'Wofk et al. (FastDepth)',
        FastDepth,
        (224, 224),
        3_960_930,
        None,
        'published on NYU Depth v2 only',
    ),
}
