# SPDX-License-Identifier: Apache-2.0
"""Our outputs of one frame are what kiwicampus/semantic_segmentation_layer takes as one frame."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')

from semantic_layer import check_frame, check_labels, tile_costs
from std_msgs.msg import Header

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, CLASSES, UNLABELLED
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.stream import messages
from lightdepth_ros.stream.outputs import TOPICS, Result
from tools.ros_env import ROOT

try:
    import vision_msgs.msg as vision_msgs
except ImportError:

    @dataclass
    class VisionClass:
        """Stands for vision_msgs/VisionClass."""

        class_id: int = 0
        class_name: str = ''

    @dataclass
    class LabelInfo:
        """Stands for vision_msgs/LabelInfo."""

        header: Header = field(default_factory=Header)
        class_map: list[VisionClass] = field(default_factory=list)
        threshold: float = 0.0

    vision_msgs = SimpleNamespace(LabelInfo=LabelInfo, VisionClass=VisionClass)

CAMERA = Camera(24, 16, 20.0, 20.0, 11.5, 7.5)
WALL = slice(0, 4)
"""Columns with a wall at 9 m; in the other ones road lies below the horizon and sky above it."""
PERSON = (slice(6, 12), slice(20, 23))
"""Pixels of a person at 6 m."""


def parameters() -> dict[str, Any]:
    text = (ROOT / 'config' / 'nav2_semantic.yaml').read_text(encoding='utf-8')
    costmap = yaml.safe_load(text)['local_costmap']['local_costmap']['ros__parameters']
    camera: dict[str, Any] = costmap['semantic_layer']['camera']
    return camera


def scene() -> Prediction:
    """Return road to the horizon, sky, a wall, a person and one pixel without a label."""
    v = np.arange(16, dtype=np.float32)[:, None] - 7.5
    with np.errstate(divide='ignore'):
        depth_m = np.where(v > 0, 1.5 * 20 / v, np.inf).repeat(24, 1).astype(np.float32)
    label_id = np.where(v > 0, CLASS_ID['road'], CLASS_ID['sky']).repeat(24, 1).astype(np.uint8)
    depth_m[:, WALL], label_id[:, WALL] = 9.0, CLASS_ID['wall']
    depth_m[PERSON], label_id[PERSON] = 6.0, CLASS_ID['person']
    depth_m[0, 12], label_id[0, 12] = 13.5, UNLABELLED
    depth_m[depth_m > 80] = np.inf
    return Prediction(depth_m, label_id, np.full((16, 24), 200, np.uint8), CAMERA)


def published(prediction: Prediction) -> dict[str, Any]:
    header = Header(frame_id='camera_optical')
    header.stamp.sec, header.stamp.nanosec = 12, 345
    rgb = np.zeros((16, 24, 3), np.uint8)
    result = Result(prediction, rgb, header, NodeConfig(), {})
    return {output.topic: output.build(result) for output in TOPICS}


def frame() -> tuple[Any, Any, Any]:
    """Return mask, confidence and cloud as the parameters name them."""
    sent, camera = published(scene()), parameters()
    names = ('segmentation_topic', 'confidence_topic', 'pointcloud_topic')
    mask, confidence, cloud = (sent[camera[name][1:]] for name in names)
    return mask, confidence, cloud


def class_map() -> dict[int, str]:
    info = messages.classes_to_label_info(CLASSES, Header(), vision_msgs)
    assert isinstance(info, vision_msgs.LabelInfo)
    return {c.class_id: c.class_name for c in info.class_map}


def test_one_frame_is_taken_as_one():
    check_frame(*frame())


def test_every_label_has_a_name_and_every_name_a_group():
    groups = {name: parameters()[name] for name in parameters()['class_types']}
    check_labels(class_map(), frame()[0], groups)


def test_names_without_vision_msgs_are_the_same():
    text = messages.classes_to_label_info(CLASSES, Header(), None).data
    named = {c['class_id']: c['class_name'] for c in json.loads(text)['class_map']}
    assert named == class_map()


def test_costs_come_out_where_things_are():
    costs = tile_costs(*frame(), class_map(), parameters())
    assert {costs[6, -3], costs[6, -4]} == {254}  # the person, 2.55 to 3.15 m to the right
    wall = {costs[tile] for tile in costs if tile[0] == 9}
    assert wall == {150}  # at first sight; lethal once it is seen again
    road = {cost for tile, cost in costs.items() if tile[0] in (4, 5)}
    assert road == {0}


def test_sky_and_the_unlabelled_cost_nothing():
    costs = tile_costs(*frame(), class_map(), parameters())
    assert max(tile[0] for tile in costs) == 12  # the last road; the unlabelled is at 13.5 m


@pytest.mark.parametrize('spoiled', ['stamp', 'size', 'order'])
def test_a_frame_that_the_layer_would_not_take_is_noticed(spoiled: str):
    mask, confidence, cloud = frame()
    if spoiled == 'stamp':
        confidence.header = Header(frame_id='camera_optical')
    elif spoiled == 'size':
        mask = messages.mono_to_image(np.zeros((8, 12), np.uint8), mask.header)
    else:
        turned = messages.image_to_array(mask)[:, ::-1]
        mask = messages.mono_to_image(turned, mask.header)
    with pytest.raises(AssertionError):
        check_frame(mask, confidence, cloud)
