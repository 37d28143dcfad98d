# SPDX-License-Identifier: Apache-2.0
"""Sentences about topics: what is wrong there, and the remedy. No ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightdepth_ros.stream.following import Offer

ASKED_FOR = {'reliability': 'reliable', 'durability': 'transient_local'}
"""What can be set here so that every subscriber fits."""
COMPRESSED = '/compressed'
REPUBLISHED = ('theora', 'zstd', 'ffmpeg', 'avif', 'rvl')
"""Transports of image_transport that this node does not read."""


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
        entity, value = 'subscription', 'auto' if policy == 'reliability' else None
    seen = f' (seen {count} times)' if count > 1 else ''
    here = f', or start this node with qos_overrides.{topic}.{entity}.{policy} {value}'
    if entity == 'subscription':
        here += ' and image_reliability auto'
    return f'{start}{seen}. Change {policy} there{here if value else ""}.'


def explain_silence(
    topic: str,
    message_type: str,
    silent_s: float,
    offers: Sequence[Offer],
    mismatch: str = '',
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """Say why no image of `message_type` comes on `topic`, where `offers` are made.

    mismatch: what `explain_mismatch` said of the topic. elsewhere: topic -> message type of what
    others publish.
    """
    start = f'no image for {silent_s:.0f} s on {topic}: '
    if not offers:
        return f'{start}{_nobody(topic, message_type, elsewhere or {})}'
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


def _nobody(topic: str, message_type: str, elsewhere: Mapping[str, str]) -> str:
    """Say what to do where nobody publishes on `topic`."""
    base = topic.removesuffix(COMPRESSED)
    transport = 'raw' if topic.endswith(COMPRESSED) else 'compressed'
    other = base if transport == 'raw' else base + COMPRESSED
    if other in elsewhere:
        return (
            f'the camera publishes {other} instead. Start this node with image_transport '
            f'{transport}.'
        )
    for name in REPUBLISHED:
        if f'{base}/{name}' in elsewhere:
            return (
                f'the camera publishes {base}/{name}, which this node does not read. Start '
                f'`ros2 run image_transport republish {name} raw` with in/{name}:={base}/{name} '
                f'and out:={base}.'
            )
    there = sorted(name for name, kind in elsewhere.items() if kind == message_type)[:3]
    example = there[0].removesuffix(COMPRESSED) if there else '/your/image/topic'
    found = f' Images are published on {", ".join(there)}.' if there else ''
    return (
        'nobody publishes there. Start the camera driver, or remap: '
        f'--ros-args -r image:={example}{found}'
    )


def explain_loss(topic: str, share: float, offers: Sequence[Offer], reliable: bool) -> str:
    """Say what to do where `share` of the images on `topic` do not arrive.

    reliable: whether this node asks for lost ones again.
    """
    start = f'{share:.0%} of the images on {topic} are lost before they arrive. '
    if offers and not reliable and all(offer.reliable for offer in offers):
        return f'{start}Their publisher is reliable: set image_reliability to auto.'
    return (
        f'{start}They are larger than the shared memory of the middleware: start the camera '
        'driver with config/fastdds.xml (it acts where images are sent), or let it publish '
        'reliable; over a network set image_transport to compressed.'
    )


def explain_no_cloud(topics: Sequence[str], info_topic: str, calibration: str) -> str:
    """Say why the clouds `topics`, which somebody subscribes to, are not published.

    calibration: what is known of the camera, in words.
    """
    return (
        f'not calibrated, so nothing comes on {", ".join(topics)} ({info_topic}: {calibration}) '
        'and depth is only right up to a constant factor. Publish a camera_info with K, or set '
        'horizontal_fov_deg.'
    )
