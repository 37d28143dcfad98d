# SPDX-License-Identifier: Apache-2.0
"""How a camera's stream is doing, as facts and as the sentence that matters most. No ROS."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightdepth_ros.engines import BUILDING, REFUSED
from lightdepth_ros.stream.counters import (
    BAD_CAMERA_INFO,
    BAD_IMAGE,
    ENGINE_ERROR,
    NOT_CALIBRATED,
    WAITING_FOR_CAMERA_INFO,
    Snapshot,
)

OK, WARN, ERROR = 0, 1, 2
"""As in diagnostic_msgs/DiagnosticStatus."""
PREFIXES = {
    'dropped': 'dropped: ',
    'subscribers': 'subscribers of ',
    'qos_mismatches': 'QoS mismatch on ',
}

ASKED_FOR = {'reliability': 'reliable', 'durability': 'transient_local'}
OFFERED = {'reliability': 'best_effort', 'durability': 'volatile'}
"""What can be set here so that every subscriber, or every publisher, fits."""

SILENT_S = 2.0
"""An image topic quiet for longer is reported."""
LOUD = (BAD_IMAGE, BAD_CAMERA_INFO, ENGINE_ERROR, NOT_CALIBRATED, WAITING_FOR_CAMERA_INFO)
"""Reasons of drops that somebody should do something about."""


@dataclass(frozen=True)
class Health:
    """What is known of one camera's stream at one moment.

    model        facts about model and engine, in words; empty while unconfigured.
    news         drops by reason since the last report.
    subscribers  number of subscriptions of each output topic.
    complaint    why the node as a whole does not work; empty if it does.
    mismatches   topics on which somebody's QoS does not fit ours -> explain_mismatch.
    silence      why no image comes; empty if one does.
    """

    name: str
    state: str
    model: Mapping[str, str]
    counters: Snapshot
    news: Mapping[str, int]
    calibration: str
    subscribers: Mapping[str, int]
    complaint: str
    mismatches: Mapping[str, str]
    silence: str
    last_error: str


def verdict(health: Health) -> tuple[int, str]:
    """Return level and message of a stream: the worst thing that is going on."""
    note = health.model.get('engine_note', '')
    refused = health.model.get('engine') == REFUSED and note
    broken = health.complaint or (health.state == 'active' and health.silence) or refused
    if broken:
        return ERROR, broken
    if health.state != 'active':
        return WARN, f'{health.state}: no image is processed'
    dropped = {reason: n for reason, n in health.news.items() if n and reason in LOUD}
    if dropped:
        counts = ', '.join(f'{reason} {n}' for reason, n in dropped.items())
        return WARN, f'frames dropped: {counts}. {health.last_error}'.strip()
    if health.mismatches:
        return WARN, ' '.join(health.mismatches.values())
    if health.model.get('engine') == BUILDING:
        return WARN, note
    if not any(health.subscribers.values()):
        return OK, 'idle: nobody subscribes to an output'
    return OK, f'{health.counters.rate_out_hz:.1f} frames/s'


def numbers(health: Health) -> dict[str, Any]:
    """Return everything measured, by name; numbers as numbers, None = not measured."""
    counters = health.counters
    p50, p99 = counters.latency_ms
    return {
        'name': health.name,
        'state': health.state,
        'received': counters.received,
        'published': counters.published,
        'dropped': counters.dropped,
        'in_work': counters.in_work,
        'not_delivered': counters.not_delivered,
        'rate_in_hz': counters.rate_in_hz,
        'rate_out_hz': counters.rate_out_hz,
        'latency_p50_ms': _or_none(p50),
        'latency_p99_ms': _or_none(p99),
        'age_ms': _or_none(counters.age_ms),
        'engine_ms': _or_none(counters.engine_ms),
        'calibration': health.calibration,
        'subscribers': dict(health.subscribers),
        'qos_mismatches': dict(health.mismatches),
        **health.model,
    }


def texts(health: Health) -> dict[str, str]:
    """Return the same in words, for people."""
    texts: dict[str, str] = {}
    for key, value in numbers(health).items():
        if isinstance(value, dict):
            prefix = PREFIXES[key]
            texts |= {f'{prefix}{name}': str(count) for name, count in value.items()}
        elif value is not None and key != 'name':
            texts[key] = f'{value:.1f}' if isinstance(value, float) else str(value)
    if health.last_error:
        texts['last error'] = health.last_error
    return texts


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 3)


@dataclass(frozen=True)
class Offer:
    """One publisher on a topic: its node, message type and QoS in words."""

    node: str
    message_type: str
    qos: str


def explain_mismatch(topic: str, policy: str, count: int, publishing: bool) -> str:
    """Say whose QoS does not fit ours and what to set where.

    policy: its name, as in `qos_overrides`. count: how often that was seen. publishing: we publish
    the topic and somebody subscribes; else the other way round.
    """
    if publishing:
        start = (
            f'QoS does not fit on {topic}: a subscriber asks for a {policy} that this node does '
            'not offer, and gets nothing'
        )
        entity, value = 'publisher', ASKED_FOR.get(policy)
    else:
        start = (
            f'QoS does not fit on {topic}: this node asks for a {policy} that a publisher does '
            'not offer, and gets nothing from it'
        )
        entity, value = 'subscription', OFFERED.get(policy)
    seen = f' (seen {count} times)' if count > 1 else ''
    here = f', or start this node with qos_overrides.{topic}.{entity}.{policy} {value}'
    return f'{start}{seen}. Change {policy} there{here if value else ""}.'


def explain_silence(
    topic: str, message_type: str, silent_s: float, offers: Sequence[Offer], mismatch: str = ''
) -> str:
    """Say why no image of `message_type` comes on `topic`, where `offers` are made.

    mismatch: what `explain_mismatch` said of the topic.
    """
    start = f'no image for {silent_s:.0f} s on {topic}: '
    if not offers:
        return (
            f'{start}nobody publishes there. Start the camera driver, or remap: '
            '--ros-args -r image:=/your/image/topic'
        )
    if mismatch:
        return f'{start}{mismatch}'
    right = [offer for offer in offers if offer.message_type == message_type]
    if not right:
        types = ', '.join(sorted({offer.message_type for offer in offers}))
        return (
            f'{start}{offers[0].node} publishes {types} there, not {message_type}. '
            'Check the topic and image_transport.'
        )
    return (
        f'{start}{right[0].node} is a publisher ({right[0].qos}) but sends nothing that '
        'arrives. Check that the camera runs, that its QoS matches (qos_overrides), and that '
        'large messages get through (config/fastdds.xml).'
    )
