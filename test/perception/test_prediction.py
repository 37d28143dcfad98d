# SPDX-License-Identifier: Apache-2.0
"""Prediction refuses arrays that do not belong together."""

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception.prediction import Prediction

DEPTH = np.ones((4, 6), np.float32)
LABEL = np.zeros((4, 6), np.uint8)
CAMERA = Camera.from_fov(6, 4, 60.0)


def test_aligned_arrays_are_accepted():
    prediction = Prediction(DEPTH, LABEL, LABEL, CAMERA)
    assert prediction.depth_m is DEPTH
    assert prediction.camera is CAMERA
    assert Prediction(DEPTH, None, None, None).label_id is None


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((DEPTH.astype(np.float64), None, None, None), 'float64'),
        ((DEPTH[None], None, None, None), 'depth_m'),
        ((DEPTH, LABEL[:2], None, None), 'label_id'),
        ((DEPTH, LABEL.astype(np.int32), None, None), 'label_id'),
        ((DEPTH, None, LABEL.T, None), 'confidence'),
        ((DEPTH, None, None, Camera.from_fov(4, 6, 60.0)), 'camera'),
    ],
)
def test_misfits_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        Prediction(*arguments)
