# SPDX-License-Identifier: Apache-2.0
"""What kiwicampus/semantic_segmentation_layer asks of its inputs and makes of them.

Written from its README.md and src/*.cpp (package 1.0.0, 084337f), which is not run here: exact
time synchronisation of mask, confidence and cloud; equal numbers of pixels and points; pixels
found by row * width + column; class names from a latched LabelInfo, matched with the parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image, PointCloud2, PointField

from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.stream.messages import cloud_to_points, image_to_array

CAMERA_HEIGHT_M = 1.5


def check_frame(mask: Image, confidence: Image, cloud: PointCloud2) -> None:
    """Fail unless the layer takes these three messages as one frame."""
    assert mask.header == confidence.header == cloud.header
    for image in (mask, confidence):
        assert image.encoding == 'mono8'
        assert (image.height, image.width) == (cloud.height, cloud.width)
        assert image.step == image.width  # the layer does not look at step
        assert len(image.data) == image.width * image.height
    assert cloud.height > 1, 'not organised'
    assert cloud.row_step == cloud.width * cloud.point_step
    assert len(cloud.data) == cloud.row_step * cloud.height
    fields = {field.name: (field.datatype, field.count) for field in cloud.fields}
    assert {fields[axis] for axis in 'xyz'} == {(PointField.FLOAT32, 1)}
    points = cloud_to_points(cloud)
    assert np.array_equal(points['label'], image_to_array(mask))
    assert np.array_equal(points['confidence'], image_to_array(confidence))


def check_labels(class_map: dict[int, str], mask: Image, groups: dict[str, Any]) -> None:
    """Fail unless every label of a mask has a name and every name a group in the parameters."""
    ids = set(np.unique(image_to_array(mask)).tolist()) - {UNLABELLED}
    assert ids <= set(class_map)
    grouped = [name for group in groups.values() for name in group['classes']]
    assert sorted(grouped) == sorted(class_map.values())  # the layer logs an error for others


def tile_costs(
    mask: Image, confidence: Image, cloud: PointCloud2, class_map: dict[int, str], camera: Any
) -> dict[tuple[int, int], int]:
    """Return what the layer's first frame makes of every tile of 1 m, (forward, left) -> cost.

    camera: the source's parameters. The optical frame is level, CAMERA_HEIGHT_M above the ground.
    """
    groups = [camera[name] for name in camera['class_types']]
    group_of = {n: group for group in groups for n in group['classes']}
    points = cloud_to_points(cloud).reshape(-1)
    labels, sure = image_to_array(mask).reshape(-1), image_to_array(confidence).reshape(-1)
    best: dict[tuple[int, int], int] = {}
    known = [group_of.get(class_map.get(int(label), '')) for label in labels]
    for index, point in enumerate(points):
        distance_m = float(np.sqrt(sum(float(point[axis]) ** 2 for axis in 'xyz')))
        if not camera['min_obstacle_distance'] < distance_m < camera['max_obstacle_distance']:
            continue  # NaN too
        tile = (int(np.floor(point['z'])), int(np.floor(-point['x'])))
        if tile not in best or full_cost(known[index]) > full_cost(known[best[tile]]):
            best[tile] = index
    costs = {}
    for tile, index in best.items():
        group = known[index]
        if group is not None:
            often = group['samples_to_max_cost'] <= 1
            enough = often and sure[index] > group['mark_confidence']
            costs[tile] = group['max_cost'] if enough else group['base_cost']
    return costs


def full_cost(group: dict[str, Any] | None) -> int:
    return 0 if group is None else int(group['max_cost'])
