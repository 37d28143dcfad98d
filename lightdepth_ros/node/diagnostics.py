# SPDX-License-Identifier: Apache-2.0
"""Publishes the health of the streams: /diagnostics for people, ~/stats for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, ReliabilityPolicy, qos_check_compatible
from std_msgs.msg import String

from lightdepth_ros.node.inputs import offers_on
from lightdepth_ros.stream.counters import FrameCounters
from lightdepth_ros.stream.explain import explain_loss, explain_no_cloud, explain_silence
from lightdepth_ros.stream.health import (
    ACTIVE,
    LOSS_WARNING,
    SILENT_S,
    Health,
    numbers,
    texts,
    verdict,
)
from lightdepth_ros.stream.outputs import TOPICS
from lightdepth_ros.stream.stream import Stream


def to_array(healths: Sequence[Health], stamp: Time) -> DiagnosticArray:
    """Return the message for /diagnostics, one status a camera."""
    array = DiagnosticArray()
    array.header.stamp = stamp
    for health in healths:
        level, message = verdict(health)
        status = DiagnosticStatus(level=bytes([level]), name=health.name, message=message)
        status.hardware_id = health.model.get('device', '')
        status.values = [KeyValue(key=k, value=v) for k, v in texts(health).items()]
        array.status.append(status)
    return array


def to_stats(healths: Sequence[Health]) -> String:
    """Return the message for ~/stats: a JSON list, one object a camera."""
    return String(data=json.dumps([numbers(health) for health in healths], allow_nan=False))


def misfit_on(node: Node, topic: str) -> bool:
    """Return whether an endpoint of `node` and somebody else's on a topic do not fit, as far as
    the graph shows endpoints now."""
    me = node.get_name(), node.get_namespace()
    publishers = node.get_publishers_info_by_topic(topic)
    subscriptions = node.get_subscriptions_info_by_topic(topic)
    return any(
        qos_check_compatible(out.qos_profile, into.qos_profile)[0] == QoSCompatibility.ERROR
        for out in publishers
        for into in subscriptions
        if me in ((end.node_name, end.node_namespace) for end in (out, into))
    )


def published_elsewhere(node: Node) -> dict[str, str]:
    """Return topic -> message type of what other nodes publish; the first type of several."""
    own = {
        name
        for name, _ in node.get_publisher_names_and_types_by_node(
            node.get_name(), node.get_namespace()
        )
    }
    return {
        name: types[0]
        for name, types in node.get_topic_names_and_types()
        if name not in own and node.count_publishers(name)
    }


def asks_reliable(node: Node, topic: str) -> bool:
    """Return whether a subscription of `node` on a topic is reliable."""
    me = node.get_name(), node.get_namespace()
    return any(
        info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        for info in node.get_subscriptions_info_by_topic(topic)
        if me == (info.node_name, info.node_namespace)
    )


class Reporter:
    """Collects and publishes the health of a node's streams, each time `report` is called."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._told: dict[str, dict[str, int]] = {}
        self._fitting: set[tuple[str, str]] = set()
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 1)
        self._stats = node.create_publisher(String, '~/stats', 1)

    def report(
        self,
        streams: Sequence[Stream],
        state: str,
        model: Mapping[str, str],
        complaint: str,
        last_error: str,
    ) -> None:
        """Publish; the arguments are those of Health."""
        now_s = time.perf_counter()
        healths = [
            self._health(stream, now_s, state, model, complaint, last_error) for stream in streams
        ]
        if not healths:
            nothing = FrameCounters().snapshot(now_s)
            name = self._node.get_fully_qualified_name()
            healths = [
                Health(name, state, model, nothing, {}, '', {}, complaint, {}, '', last_error)
            ]
        self._diagnostics.publish(to_array(healths, self._node.get_clock().now().to_msg()))
        self._stats.publish(to_stats(healths))

    def _health(
        self,
        stream: Stream,
        now_s: float,
        state: str,
        model: Mapping[str, str],
        complaint: str,
        last_error: str,
    ) -> Health:
        self._forget_mismatches(stream)
        frames = stream.counters.snapshot(now_s)
        subscribers = stream.subscribers()
        told = self._told.get(stream.name, {})
        self._told[stream.name] = frames.dropped
        return Health(
            name=stream.name,
            state=state,
            model=model,
            counters=frames,
            news={reason: n - told.get(reason, 0) for reason, n in frames.dropped.items()},
            calibration=stream.calibration.text,
            subscribers=subscribers,
            complaint=complaint,
            mismatches=dict(stream.mismatches),
            silence=self._silence(stream, now_s) if state == ACTIVE else '',
            last_error=last_error,
            loss=self._loss(stream, frames.lost_share),
            no_cloud=_no_cloud(stream, subscribers),
            mount=stream.mounting.text,
            no_mount=stream.mounting.problem if state == ACTIVE else '',
            anchor=stream.anchors.facts(),
            no_anchor=stream.anchors.problem if state == ACTIVE else '',
        )

    def _forget_mismatches(self, stream: Stream) -> None:
        """Forget those that the graph no longer shows, twice in turn: it may be slower than the
        event by which a mismatch became known."""
        for topic in tuple(stream.mismatches):
            key = stream.name, topic
            if misfit_on(self._node, topic):
                self._fitting.discard(key)
            elif key in self._fitting:
                self._fitting.remove(key)
                del stream.mismatches[topic]
            else:
                self._fitting.add(key)

    def _silence(self, stream: Stream, now_s: float) -> str:
        silent_s = now_s - stream.last_sign_s
        if silent_s < SILENT_S:
            return ''
        topic = stream.image_topic
        offers = offers_on(self._node, topic)
        mismatch = stream.mismatches.get(topic, '')
        elsewhere = {} if offers else published_elsewhere(self._node)
        return explain_silence(topic, stream.image_type, silent_s, offers, mismatch, elsewhere)

    def _loss(self, stream: Stream, share: float) -> str:
        if share < LOSS_WARNING:
            return ''
        topic = stream.image_topic
        reliable = asks_reliable(self._node, topic)
        return explain_loss(topic, share, offers_on(self._node, topic), reliable)


def _no_cloud(stream: Stream, subscribers: Mapping[str, int]) -> str:
    """Return why subscribed outputs that need a calibration stay empty; empty if they do not."""
    wanted = [o.topic for o in TOPICS if o.needs_camera and subscribers[o.topic]]
    if not (wanted and stream.uncalibrated):
        return ''
    return explain_no_cloud(wanted, stream.info_topic, stream.calibration.text)
