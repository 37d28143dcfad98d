# SPDX-License-Identifier: Apache-2.0
"""Static transforms between frames, chained from a recording's /tf_static.

T_a_b maps coordinates of a point in frame b to frame a (4x4, metres).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from lightdepth_ros.errors import DataError


def pose_matrix(xyz: Iterable[float], quaternion_xyzw: Iterable[float]) -> np.ndarray:
    """Return the (4, 4) matrix of a translation in metres and a rotation quaternion."""
    x, y, z, w = q = np.array(list(quaternion_xyzw), float)
    norm = float(q @ q)
    if not np.isfinite(norm) or norm < 1e-6:
        raise DataError(f'the rotation quaternion is {q.tolist()}; its length must not be 0')
    s = 2 / norm
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ]
    matrix[:3, 3] = list(xyz)
    return matrix


class StaticTransforms:
    """A graph of frames."""

    def __init__(self) -> None:
        self.edges: dict[str, dict[str, np.ndarray]] = {}

    def add(self, parent: str, child: str, t_parent_child: np.ndarray) -> None:
        """Add a transform and its inverse; a later one replaces an earlier one."""
        parent, child = parent.lstrip('/'), child.lstrip('/')
        self.edges.setdefault(parent, {})[child] = t_parent_child
        self.edges.setdefault(child, {})[parent] = np.linalg.inv(t_parent_child)

    def add_message(self, message: Any) -> None:
        """Add all transforms of a tf2_msgs/TFMessage."""
        for transform in message.transforms:
            t, r = transform.transform.translation, transform.transform.rotation
            matrix = pose_matrix((t.x, t.y, t.z), (r.x, r.y, r.z, r.w))
            self.add(transform.header.frame_id, transform.child_frame_id, matrix)

    def between(self, target: str, source: str) -> np.ndarray:
        """Return T_target_source along the shortest chain, or say which frames are connected."""
        target, source = target.lstrip('/'), source.lstrip('/')
        reached = {target: np.eye(4)}
        waiting = deque([target])
        while waiting:
            frame = waiting.popleft()
            if frame == source:
                return reached[frame]
            for other, matrix in self.edges.get(frame, {}).items():
                if other not in reached:
                    reached[other] = reached[frame] @ matrix
                    waiting.append(other)
        raise DataError(
            f'no static transforms lead from frame {source!r} to {target!r}; {target!r} is '
            f'connected to {sorted(set(reached) - {target}) or "nothing"}. Record /tf_static too, '
            'or give the pose by hand with --lidar-to-camera'
        )
