# SPDX-License-Identifier: Apache-2.0
"""Where frames are relative to each other, from /tf and /tf_static: a tree that remembers the last
seconds and interpolates. Arrays only; it knows no ROS.

T_a_b maps coordinates of a point in frame b to frame a (4x4, metres).
"""

from __future__ import annotations

import bisect
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lightdepth_ros.errors import DataError, NoTransformError, TransformTimeError

KEPT_NS = 10 * 10**9
"""How much of the past of each moving frame is remembered, as tf2 does."""
MOST_KEPT = 4096
"""Number of poses that are kept for each moving frame."""

Numbers = tuple[float, ...]


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


def between_poses(
    first: tuple[Numbers, Numbers], second: tuple[Numbers, Numbers], share: float
) -> np.ndarray:
    """Return the (4, 4) pose that lies `share` of the way from one (xyz, quaternion) to another.

    The place goes straight; the rotation takes the shorter way at constant speed (slerp:
    Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985).
    """
    xyz = np.array(first[0]) * (1 - share) + np.array(second[0]) * share
    p, q = (np.array(pose[1]) / np.linalg.norm(pose[1]) for pose in (first, second))
    cosine = float(p @ q)
    q, cosine = (q, cosine) if cosine >= 0 else (-q, -cosine)
    angle = float(np.arccos(min(cosine, 1.0)))
    if angle < 1e-4:
        return pose_matrix(xyz, p * (1 - share) + q * share)
    return pose_matrix(xyz, p * np.sin((1 - share) * angle) + q * np.sin(share * angle))


@dataclass
class _Edge:
    """How a frame lies in its parent: one static pose, or poses in the order of their stamps."""

    parent: str
    static: np.ndarray | None = None
    stamps_ns: list[int] = field(default_factory=list)
    poses: list[tuple[Numbers, Numbers]] = field(default_factory=list)

    def add(self, stamp_ns: int, pose: tuple[Numbers, Numbers]) -> None:
        if self.stamps_ns and stamp_ns < self.stamps_ns[-1] - KEPT_NS:
            self.stamps_ns.clear()  # the clock was set back: a recording starts again
            self.poses.clear()
        index = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if index < len(self.stamps_ns) and self.stamps_ns[index] == stamp_ns:
            self.poses[index] = pose
            return
        self.stamps_ns.insert(index, stamp_ns)
        self.poses.insert(index, pose)
        old = bisect.bisect_left(self.stamps_ns, self.stamps_ns[-1] - KEPT_NS)
        if old > 64 or len(self.stamps_ns) > MOST_KEPT:  # seldom: cutting a list costs its length
            cut = max(old, len(self.stamps_ns) - MOST_KEPT)
            del self.stamps_ns[:cut], self.poses[:cut]

    def at(self, stamp_ns: int) -> np.ndarray:
        """Return the pose at a time; before the first and after the last it stands still."""
        if self.static is not None:
            return self.static
        index = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if index == len(self.stamps_ns) or index == 0:
            return pose_matrix(*self.poses[min(index, len(self.poses) - 1)])
        before, after = self.stamps_ns[index - 1 : index + 1]
        share = (stamp_ns - before) / (after - before)
        return between_poses(self.poses[index - 1], self.poses[index], share)


class Transforms:
    """A tree of frames. Thread safe: callbacks add, a worker looks up."""

    def __init__(self, remedy: str = '') -> None:
        """remedy: what errors tell the user to do about frames that are not connected."""
        self.remedy = remedy
        self._edges: dict[str, _Edge] = {}
        self._lock = threading.Lock()

    def add(
        self,
        parent: str,
        child: str,
        xyz: Sequence[float],
        quaternion_xyzw: Sequence[float],
        stamp_ns: int | None = None,
    ) -> None:
        """Add how `child` lies in `parent`, at a time or, with stamp None, for good.

        A frame has one parent: another one, or a static pose, replaces what was known of it.
        Raises DataError for numbers that are no pose.
        """
        parent, child = _plain(parent), _plain(child)
        pose = tuple(xyz), tuple(quaternion_xyzw)
        if not _is_pose(*pose) or parent == child or not (parent and child):
            raise DataError(
                f'the transform from {child!r} to {parent!r} is {list(xyz)}, '
                f'{list(quaternion_xyzw)}: it needs two frames, finite numbers and a rotation'
            )
        with self._lock:
            edge = self._edges.get(child)
            fresh = stamp_ns is None or edge is None or edge.static is not None
            if fresh or edge is None or edge.parent != parent:
                edge = self._edges[child] = _Edge(parent)
            if stamp_ns is None:
                edge.static = pose_matrix(*pose)
            else:
                edge.add(stamp_ns, pose)

    def add_message(self, message: Any, static: bool = True) -> None:
        """Add all transforms of a tf2_msgs/TFMessage.

        Those that are no pose are left out; DataError tells of the last of them afterwards.
        """
        problem: DataError | None = None
        for transform in message.transforms:
            t, r = transform.transform.translation, transform.transform.rotation
            stamp = transform.header.stamp
            try:
                self.add(
                    transform.header.frame_id,
                    transform.child_frame_id,
                    (t.x, t.y, t.z),
                    (r.x, r.y, r.z, r.w),
                    None if static else int(stamp.sec) * 10**9 + int(stamp.nanosec),
                )
            except DataError as error:
                problem = error
        if problem is not None:
            raise problem

    def lookup(
        self, target: str, source: str, stamp_ns: int | None = None, slack_ns: int = 0
    ) -> np.ndarray:
        """Return T_target_source, (4, 4), at a time; None = the latest that all its parts know.

        slack_ns: how far the time may lie outside of what a moving frame told; the nearest known
        pose stands in there. Raises NoTransformError where no chain leads from one frame to the
        other, TransformTimeError where the chain does not know that time.
        """
        target, source = _plain(target), _plain(source)
        with self._lock:
            ups = self._chain(source)
            downs = self._chain(target)
            if not set(ups) & set(downs):
                raise NoTransformError(self._unconnected(target, source))
            shared = next(frame for frame in ups if frame in downs)
            up, down = ups[: ups.index(shared)], downs[: downs.index(shared)]
            at_ns = self._time(up + down, stamp_ns, slack_ns)
            t_shared_target, t_shared_source = (self._product(f, at_ns) for f in (down, up))
        found: np.ndarray = np.linalg.inv(t_shared_target) @ t_shared_source
        return found

    def latest_ns(self, target: str, source: str) -> int | None:
        """Return the latest time that all moving parts of the chain know; None = nothing moves.

        Raises NoTransformError like `lookup`.
        """
        self.lookup(target, source)
        with self._lock:
            ups, downs = self._chain(_plain(source)), self._chain(_plain(target))
            return self._newest(list(set(ups) ^ set(downs)))

    def frames(self) -> list[str]:
        """Return the names of all frames, sorted."""
        with self._lock:
            return sorted({*self._edges, *(edge.parent for edge in self._edges.values())})

    def _chain(self, frame: str) -> list[str]:
        """Return the frame and its ancestors."""
        chain = [frame]
        while chain[-1] in self._edges:
            parent = self._edges[chain[-1]].parent
            if parent in chain:
                raise NoTransformError(
                    f'the transforms go in a circle: {" -> ".join([*chain, parent])}. Each frame '
                    'must have one parent; find who publishes the wrong one.'
                )
            chain.append(parent)
        return chain

    def _product(self, frames: list[str], at_ns: int) -> np.ndarray:
        """Return T_ancestor_frame for frames[0] and the parent of frames[-1]."""
        result = np.eye(4)
        for frame in frames:
            result = self._edges[frame].at(at_ns) @ result
        return result

    def _moving(self, frames: list[str]) -> Iterator[tuple[str, list[int]]]:
        for frame in frames:
            edge = self._edges.get(frame)
            if edge is not None and edge.static is None:
                yield frame, edge.stamps_ns

    def _newest(self, frames: list[str]) -> int | None:
        return min((stamps[-1] for _, stamps in self._moving(frames)), default=None)

    def _time(self, frames: list[str], stamp_ns: int | None, slack_ns: int) -> int:
        if stamp_ns is None:
            return self._newest(frames) or 0
        for frame, stamps in self._moving(frames):
            outside_ns = max(stamps[0] - stamp_ns, stamp_ns - stamps[-1])
            if outside_ns > slack_ns:
                side = 'before the oldest' if stamp_ns < stamps[0] else 'after the newest'
                raise TransformTimeError(
                    f'the time asked for lies {outside_ns * 1e-9:.3f} s {side} transform of frame '
                    f'{frame!r} in {self._edges[frame].parent!r}. Are all clocks synchronised, '
                    'and is it still being published?'
                )
        return stamp_ns

    def _unconnected(self, target: str, source: str) -> str:
        root = self._chain(target)[-1]
        connected = [f for f in self._edges if f != target and self._chain(f)[-1] == root]
        connected += [root] if root != target else []
        remedy = f'. {self.remedy}' if self.remedy else ''
        return (
            f'no transforms lead from frame {source!r} to {target!r}; {target!r} is connected to '
            f'{sorted(connected) or "nothing"}{remedy}'
        )


def _is_pose(xyz: Numbers, quaternion_xyzw: Numbers) -> bool:
    """Return whether all numbers are finite and the quaternion's length is not 0.

    Plain arithmetic: robots publish thousands of transforms a second.
    """
    length = sum(value * value for value in quaternion_xyzw)
    return length > 1e-6 and math.isfinite(length + sum(map(abs, xyz)))


def _plain(frame: str) -> str:
    """Return the name as tf2 has it; tf's older names began with a slash."""
    return frame.lstrip('/')
