# SPDX-License-Identifier: Apache-2.0
"""The state of a camera's stream, as facts and as the most important sentence. No ROS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    'anchor_frames': 'frames ',
    'anchor_missed': 'no anchor from ',
}

ACTIVE, INACTIVE = 'active', 'inactive'
UNCONFIGURED, FINALIZED = 'unconfigured', 'finalized'
"""Lifecycle states, as ROS names them."""
NEXT_STEP = {
    INACTIVE: 'Activate it: ros2 lifecycle set {node} activate',
    UNCONFIGURED: 'Configure and activate it: ros2 lifecycle set {node} configure, then activate; '
    'or start it with autostart true',
    FINALIZED: 'It was shut down and stays so: end the process and start it again',
}

SILENT_S = 2.0
"""An image topic quiet for longer is reported."""
LOSS_WARNING = 0.1
"""A larger share of images lost on their way in is reported."""
LOUD = (BAD_IMAGE, BAD_CAMERA_INFO, ENGINE_ERROR, NOT_CALIBRATED, WAITING_FOR_CAMERA_INFO)
"""Reasons of drops that somebody should do something about."""
PASSING = (WAITING_FOR_CAMERA_INFO,)
"""Those that end by themselves."""


@dataclass(frozen=True)
class Health:
    """What is known of one camera's stream at one moment.

    model        facts about model and engine, in words; empty while unconfigured.
    news         drops by reason since the last report.
    subscribers  number of subscriptions of each output topic.
    complaint    why the node as a whole does not work; empty if it does.
    mismatches   topics on which somebody's QoS does not fit ours -> explain_mismatch.
    silence      why no image comes; empty if one does.
    loss         why images are lost on their way in; empty if few are.
    no_cloud     why the clouds that somebody subscribes to stay empty; empty if they do not.
    mount        where the camera stands, in words.
    no_mount     why the transforms do not tell where it stands; empty if they do or need not.
    anchor       what depth is anchored to, and how well; empty = to nothing.
    no_anchor    why a source of anchors gives nothing; empty if all do.
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
    loss: str = ''
    no_cloud: str = ''
    mount: str = ''
    no_mount: str = ''
    anchor: Mapping[str, Any] = field(default_factory=dict)
    no_anchor: str = ''


def verdict(health: Health) -> tuple[int, str]:
    """Return level and message of a stream: the worst thing that is going on."""
    note = health.model.get('engine_note', '')
    refused = health.model.get('engine') == REFUSED and note
    broken = health.complaint or (health.state == ACTIVE and health.silence) or refused
    if broken:
        return ERROR, broken
    if health.state != ACTIVE:
        return WARN, explain_state(health.state, health.name)
    dropped = {reason: n for reason, n in health.news.items() if n and reason in LOUD}
    if dropped:
        return _of_drops(health, dropped)
    impaired = _impaired(health)
    if impaired:
        return WARN, impaired
    if health.mismatches:
        return WARN, ' '.join(health.mismatches.values())
    if health.model.get('engine') == BUILDING:
        return WARN, note
    if not any(health.subscribers.values()):
        return OK, 'idle: nobody subscribes to an output'
    return OK, f'{health.counters.rate_out_hz:.1f} frames/s'


def _impaired(health: Health) -> str:
    """Return what makes results worse; empty if nothing does. While nobody subscribes, what is
    known of mount and anchors is of a frame long ago."""
    listened = any(health.subscribers.values())
    of_frames = health.no_cloud or health.no_mount or health.no_anchor
    return health.loss or (of_frames if listened else '')


def _of_drops(health: Health, dropped: Mapping[str, int]) -> tuple[int, str]:
    """Return level and message where images were dropped for a reason of LOUD."""
    counts = ', '.join(f'{reason} {n}' for reason, n in dropped.items())
    why = health.no_cloud if set(dropped) == {NOT_CALIBRATED} else health.last_error
    passing = all(reason in PASSING for reason in dropped)
    if passing or health.counters.rate_out_hz > 0:
        return WARN, f'frames dropped: {counts}. {why}'.strip()
    return ERROR, f'no image can be used, nothing is published: {counts}. {why}'.strip()


def waits_for_manager(node: str) -> str:
    """Say that a node that does not start itself has come up."""
    return (
        f'autostart is false: waiting for a lifecycle manager. {explain_state(UNCONFIGURED, node)}'
    )


def explain_state(state: str, node: str) -> str:
    """Say what a node that is not active waits for. node: full name of the node, or of a stream:
    then ': ' and the camera follow."""
    step = NEXT_STEP[state].format(node=node.partition(':')[0])
    return f'{state}: no image is processed. {step}.'


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
        'mount': health.mount or None,
        'subscribers': dict(health.subscribers),
        'qos_mismatches': dict(health.mismatches),
        **health.anchor,
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
            digits = 3 if key.startswith('anchor_') else 1  # misfits of a few hundredths count
            texts[key] = f'{value:.{digits}f}' if isinstance(value, float) else str(value)
    if health.last_error:
        texts['last error'] = health.last_error
    return texts


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 3)
