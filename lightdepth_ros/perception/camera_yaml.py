# SPDX-License-Identifier: Apache-2.0
"""ROS calibration files (camera_info_manager's YAML) -> the calibration of an image."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.perception.calibration import view_of
from lightdepth_ros.perception.lens import Lens


def read_camera_yaml(path: Path, kind: str) -> Camera | Lens:
    """Read what `camera_calibration` writes; kind is 'raw' or 'rectified' (then P counts).

    Raises BadCameraError for a file that is missing, broken, or not a calibration.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding='utf-8'))
        info = _camera_info(data)
    except (OSError, UnicodeDecodeError) as error:
        raise BadCameraError(f'cannot read the calibration {path}: {error}') from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise BadCameraError(
            f'{path} is not a ROS camera calibration ({type(error).__name__}: {error}). It needs '
            'image_width, image_height, camera_matrix, distortion_model, distortion_coefficients '
            'and projection_matrix, as `ros2 run camera_calibration cameracalibrator` writes them.'
        ) from error
    view = view_of(info, kind)
    if view is None:
        raise BadCameraError(f'{path} has K = 0: the camera was never calibrated')
    return view


def _camera_info(data: Any) -> SimpleNamespace:
    """Return the fields of sensor_msgs/CameraInfo that `calibration.view_of` reads."""
    k = _numbers(data['camera_matrix'], 9)
    p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    return SimpleNamespace(
        width=int(data['image_width']),
        height=int(data['image_height']),
        k=k,
        d=_numbers(data['distortion_coefficients']),
        p=_numbers(data['projection_matrix'], 12) if 'projection_matrix' in data else p,
        distortion_model=str(data['distortion_model']),
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
        binning_x=0,
        binning_y=0,
    )


def _numbers(matrix: Any, count: int | None = None) -> list[float]:
    numbers = [float(value) for value in matrix['data']]
    if count is not None and len(numbers) != count:
        raise ValueError(f'a matrix has {len(numbers)} numbers, it must have {count}')
    return numbers
