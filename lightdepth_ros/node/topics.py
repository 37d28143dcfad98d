# SPDX-License-Identifier: Apache-2.0
"""The node's topics: names, types, QoS, publishers and subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy import get_rmw_implementation_identifier
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan, PointCloud2
from std_msgs.msg import Float32, Header, String

from lightdepth_ros.classes import SemanticClass
from lightdepth_ros.node.inputs import Input, Topic
from lightdepth_ros.node.rclpy_workarounds import (
    OpenPublisher,
    PublisherEventCallbacks,
    QuietNode,
    Seldom,
)
from lightdepth_ros.stream.explain import explain_mismatch
from lightdepth_ros.stream.messages import classes_to_label_info
from lightdepth_ros.stream.outputs import TOPICS
from lightdepth_ros.stream.stream import Stream
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

try:
    import vision_msgs.msg as vision_msgs
except ImportError:  # not part of ros-base
    vision_msgs = None

try:
    from bondpy import bondpy
except ImportError:  # part of Nav2's dependencies
    bondpy = None

MESSAGE_TYPES = {
    'sensor_msgs/msg/Image': Image,
    'sensor_msgs/msg/CameraInfo': CameraInfo,
    'sensor_msgs/msg/PointCloud2': PointCloud2,
}
INPUTS = {
    'raw': ('', Image, 'sensor_msgs/msg/Image'),
    'compressed': ('/compressed', CompressedImage, 'sensor_msgs/msg/CompressedImage'),
}
"""image_transport -> (suffix of the topic, message class, its name)."""
RELIABLE = QoSProfile(
    depth=2, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
"""Reaches reliable and best effort consumers."""
SCALE = 'depth/scale'
"""The factor by which anchors moved the depth of a frame: std_msgs/Float32."""
LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Late subscribers get the last message."""
OVERRIDABLE = QoSOverridingOptions(
    policy_kinds=(
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
)


def open_stream(
    node: LifecycleNode,
    camera: str,
    transport: str,
    voice: Voice,
    seldom: Seldom,
    transforms: Transforms,
) -> Stream:
    """Create the publishers of a camera and return its stream.

    camera: the namespace of its topics below the node's; '' = none. transport: key of INPUTS.
    seldom: where the callbacks of QoS mismatches wait. transforms: see Stream.
    """
    prefix = f'{camera}/' if camera else ''
    suffix, _, image_type = INPUTS[transport]
    mismatches: dict[str, str] = {}
    publishers: dict[str, OpenPublisher] = {}
    for output in TOPICS:
        topic = prefix + output.topic
        message_type = MESSAGE_TYPES[output.message_type]
        publisher = _open_publisher(node, message_type, topic, RELIABLE, mismatches, voice, seldom)
        publishers[output.topic] = OpenPublisher(publisher, node.context.ok)
    name = node.get_fully_qualified_name()
    return Stream(
        name=f'{name}: {camera}' if camera else name,
        image_topic=node.resolve_topic_name(f'{prefix}image').removesuffix(suffix) + suffix,
        image_type=image_type,
        info_topic=node.resolve_topic_name(f'{prefix}camera_info'),
        publishers=publishers,
        mismatches=mismatches,
        voice=voice,
        clock_ns=lambda: int(node.get_clock().now().nanoseconds),
        transforms=transforms,
        scale=OpenPublisher(
            _open_publisher(
                node, Float32, f'{prefix}{SCALE}', RELIABLE, mismatches, voice, seldom
            ),
            node.context.ok,
        ),
    )


def close_stream(node: LifecycleNode, stream: Stream) -> None:
    """Destroy the publishers that `open_stream` created."""
    for publisher in (*stream.publishers.values(), stream.scale):
        if isinstance(publisher, OpenPublisher):
            node.destroy_lifecycle_publisher(publisher.publisher)


def open_label_info(node: LifecycleNode, camera: str, voice: Voice, seldom: Seldom) -> Any:
    """Create the latched publisher of the class names; `label_info` makes its message."""
    topic = f'{camera}/semantic/label_info' if camera else 'semantic/label_info'
    message_type = String if vision_msgs is None else vision_msgs.LabelInfo
    return _open_publisher(node, message_type, topic, LATCHED, {}, voice, seldom)


def label_info(classes: Sequence[SemanticClass], header: Header) -> Any:
    """Return the message for the publisher of `open_label_info`."""
    return classes_to_label_info(classes, header, vision_msgs)


def uses_fast_dds() -> bool:
    """Return whether ROS speaks through Fast DDS, its default."""
    return 'fastrtps' in get_rmw_implementation_identifier()


def open_bond(node: LifecycleNode) -> Any:
    """Start the heartbeat by which Nav2's lifecycle manager sees that the node lives.

    Returns an object with `shutdown()`; None where bondpy is not installed. Topic, period and
    time-out are those of Nav2's own nodes.
    """
    if bondpy is None:
        node.get_logger().info(
            'no bond with the lifecycle manager, because bondpy is not installed: set its '
            'bond_timeout to 0.0, or install bondpy'
        )
        return None
    bond = bondpy.Bond('bond', node.get_name(), QuietNode(node))
    bond.heartbeat_period = 0.1
    bond.heartbeat_timeout = 4.0
    bond.start()
    return bond


def open_inputs(
    node: LifecycleNode,
    stream: Stream,
    transport: str,
    on_image: Callable[[Any, int | None], None],
    voice: Voice,
) -> list[Input]:
    """Return a camera's inputs, image and camera_info; they subscribe with their first `follow`.

    on_image: called with the message and its publisher's running number. Raises ConfigError for a
    QoS override that is none.
    """
    _, image_class, image_type = INPUTS[transport]
    info_type = 'sensor_msgs/msg/CameraInfo'
    update = stream.calibration.update
    topics = (
        Topic(stream.image_topic, image_class, image_type, on_image, tunable=True),
        Topic(stream.info_topic, CameraInfo, info_type, lambda msg, _: update(msg), both=True),
    )
    return [
        Input(node, topic, _noting(topic.name, False, stream.mismatches, voice))
        for topic in topics
    ]


def open_anchor_inputs(
    node: LifecycleNode, stream: Stream, voice: Voice
) -> list[tuple[str, Input]]:
    """Return (source, input) of all range sensors; they subscribe with their first `follow`.

    All cameras of a node hear the same sensors: transforms tell where each camera sees them.
    """
    heard = stream.anchors.inputs
    kinds = (
        ('scan', 'scan', LaserScan, lambda msg, _: heard.add('scan', msg)),
        ('cloud', 'anchor/points', PointCloud2, lambda msg, _: heard.add('cloud', msg)),
        ('depth', 'anchor/depth', Image, lambda msg, _: heard.add('depth', msg)),
        ('depth', 'anchor/camera_info', CameraInfo, lambda msg, _: heard.add_depth_info(msg)),
    )
    found = []
    for source, name, kind, take in kinds:
        topic = node.resolve_topic_name(name)
        known = Topic(
            topic, kind, f'sensor_msgs/msg/{kind.__name__}', take, both=kind is CameraInfo
        )
        noting = _noting(topic, False, stream.mismatches, voice)
        found.append((source, Input(node, known, noting)))
    return found


def _open_publisher(
    node: LifecycleNode,
    message_type: Any,
    topic: str,
    qos: QoSProfile,
    noted: dict[str, str],
    voice: Voice,
    seldom: Seldom,
) -> Any:
    on_incompatible = _noting(node.resolve_topic_name(topic), True, noted, voice)
    return node.create_lifecycle_publisher(
        message_type,
        topic,
        qos,
        callback_group=seldom,
        qos_overriding_options=OVERRIDABLE,
        event_callbacks=PublisherEventCallbacks(incompatible_qos=on_incompatible),
    )


def _noting(
    topic: str, publishing: bool, noted: dict[str, str], voice: Voice
) -> Callable[[Any], None]:
    """Return a callback that notes and logs that somebody's QoS on `topic` does not fit ours."""

    def on_incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        noted[topic] = explain_mismatch(topic, policy, event.total_count, publishing)
        voice.warn_once(f'QoS {topic} {policy}', noted[topic])

    return on_incompatible
