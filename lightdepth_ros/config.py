# SPDX-License-Identifier: Apache-2.0
"""NodeConfig: the one place that says what can be set, its default, unit, limits and meaning.

ROS parameters, config/depth.yaml, docs/parameters.md and the flags of the command line are all
made from it. It imports no ROS and reads no file.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from lightdepth_ros.contract import EXIT_STRIDE
from lightdepth_ros.engines import BACKENDS
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.placement import FITS

Value = bool | int | float | str
T = TypeVar('T', bool, int, float, str)

MODEL_LOADS = 'the model is loaded in the configure transition'
TOPICS_OPEN = 'topics are opened in the configure transition'
AT_START = 'it is read once, when the node starts'


class Setting(NamedTuple):
    """What is known of one field of NodeConfig.

    limits  smallest and largest value, both allowed; None = any.
    step    values must be whole multiples of it above the lower limit; 0 = any.
    choices the allowed words; empty = any.
    fixed   why the value cannot change while the node is active; empty = it can.
    """

    name: str
    default: Value
    help: str
    unit: str
    limits: tuple[float, float] | None
    step: int
    choices: tuple[str, ...]
    fixed: str


def _setting(
    default: T,
    help_text: str,
    *,
    unit: str = '',
    limits: tuple[float, float] | None = None,
    step: int = 0,
    choices: tuple[str, ...] = (),
    fixed: str = '',
) -> T:
    setting = Setting('', default, help_text, unit, limits, step, choices, fixed)
    value: T = dataclasses.field(default=default, metadata={'setting': setting})
    return value


@dataclass(frozen=True)
class NodeConfig:
    """Settings of the depth node. Building one checks it: a wrong value raises ConfigError."""

    student: str = _setting(
        'plain',
        'Which of the shipped networks to run.',
        choices=('plain', 'paper'),
        fixed=MODEL_LOADS,
    )
    model: str = _setting(
        '',
        'Path of your own model: a contract JSON written by `python -m training.export`, or the '
        'folder with lightdepth_<student>_<resolution>.json for each output_resolution. '
        'Empty: the network that ships with the package.',
        fixed=MODEL_LOADS,
    )
    output_resolution: str = _setting(
        'L',
        'Size of all outputs as a part of the network input: L 1/2, M 1/4, S 1/8, XS 1/16. '
        'A 480x320 input gives 240x160, 120x80, 60x40 or 30x20. Smaller is faster.',
        choices=tuple(EXIT_STRIDE),
    )
    backend: str = _setting(
        'onnxruntime',
        'Inference library. It must be installed; nothing is downloaded. auto: the fastest that '
        'works here, measured once.',
        choices=BACKENDS,
        fixed=MODEL_LOADS,
    )
    threads: int = _setting(
        1, 'CPU threads that inference may use.', limits=(1, 64), fixed=MODEL_LOADS
    )
    input_width: int = _setting(
        480,
        'Width of the network input.',
        unit='px',
        limits=(32, 4096),
        step=32,
        fixed=MODEL_LOADS,
    )
    input_height: int = _setting(
        320,
        'Height of the network input.',
        unit='px',
        limits=(32, 4096),
        step=32,
        fixed=MODEL_LOADS,
    )
    fit: str = _setting(
        'crop',
        'How the camera image fills the network input. crop: its middle part. pad: all of it, '
        'unknown at the rims. adapt: the input size follows the shape of the camera image, so '
        'nearly all of it is used and the output size with it.',
        choices=FITS,
    )
    depth_scale: float = _setting(
        1.0,
        'All depths are multiplied by it: the correction that `lightdepth scale` measures.',
        limits=(0.01, 100.0),
    )
    min_range_m: float = _setting(
        0.0,
        'Depth below it is published as -Inf (too near, REP-117).',
        unit='m',
        limits=(0.0, 1000.0),
    )
    max_range_m: float = _setting(
        80.0,
        'Depth beyond it is published as +Inf (out of range, REP-117).',
        unit='m',
        limits=(0.1, 1000.0),
    )
    min_confidence: float = _setting(
        0.0,
        'Depth whose confidence is lower is published as NaN (unknown). 0: keep all.',
        limits=(0.0, 1.0),
    )
    horizontal_fov_deg: float = _setting(
        0.0,
        'Angle the camera sees across, for a camera without calibration. 0: not known; then '
        'depth is only right up to a constant factor and no cloud is published.',
        unit='deg',
        limits=(0.0, 179.0),
    )
    image_kind: str = _setting(
        'auto',
        'Whether the image is raw (the distortion in camera_info is undone) or rectified (P of '
        'camera_info holds). auto: rectified if the last part of the topic name contains "rect".',
        choices=('auto', 'raw', 'rectified'),
    )
    camera_info_timeout_s: float = _setting(
        2.0,
        'How long images wait for the first camera_info before they are used without '
        'calibration. 0: do not wait.',
        unit='s',
        limits=(0.0, 60.0),
    )
    rate_limit_hz: float = _setting(
        0.0, 'Most frames a second to process. 0: no limit.', unit='Hz', limits=(0.0, 1000.0)
    )
    image_transport: str = _setting(
        'raw',
        'raw: subscribe to `image` (sensor_msgs/Image). compressed: subscribe to '
        '`image/compressed` (sensor_msgs/CompressedImage, JPEG or PNG).',
        choices=('raw', 'compressed'),
        fixed=TOPICS_OPEN,
    )
    autostart: bool = _setting(
        True,
        'The node configures and activates itself. false: it waits for a lifecycle manager.',
        fixed=AT_START,
    )

    def __post_init__(self) -> None:
        for setting in settings():
            check(setting, getattr(self, setting.name))
        if self.min_range_m >= self.max_range_m:
            raise ConfigError(
                f'min_range_m is {self.min_range_m} and max_range_m {self.max_range_m}; '
                'the first must be the smaller one. Change one of them.'
            )
        if 0 < self.horizontal_fov_deg < 1:
            raise ConfigError(
                f'horizontal_fov_deg is {self.horizontal_fov_deg}; it must be at least 1 degree, '
                'or 0 if it is not known.'
            )

    @property
    def input_hw(self) -> tuple[int, int]:
        """Network input as (height, width)."""
        return self.input_height, self.input_width


def settings() -> tuple[Setting, ...]:
    """Return what is known of every field of NodeConfig, in order."""
    return tuple(
        f.metadata['setting']._replace(name=f.name) for f in dataclasses.fields(NodeConfig)
    )


def check(setting: Setting, value: Any) -> None:
    """Raise ConfigError, naming value, limits and remedy, if `value` cannot be used."""
    expected = type(setting.default)
    if type(value) is not expected:
        hint = f' Write {float(value)}.' if expected is float and type(value) is int else ''
        raise ConfigError(
            f'{setting.name} is {value!r}, of type {type(value).__name__}; '
            f'it must be of type {expected.__name__}.{hint}'
        )
    if setting.choices and value not in setting.choices:
        raise ConfigError(
            f'{setting.name} is {value!r}; it must be one of {", ".join(setting.choices)}.'
        )
    if setting.limits is not None:
        _check_number(setting, float(value), setting.limits)


def _check_number(setting: Setting, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    unit = f' {setting.unit}' if setting.unit else ''
    if not (math.isfinite(value) and low <= value <= high):
        raise ConfigError(
            f'{setting.name} is {value:g}; it must lie in [{low:g}, {high:g}]{unit}.'
        )
    if setting.step and (value - low) % setting.step:
        raise ConfigError(f'{setting.name} is {value:g}; it must be a multiple of {setting.step}.')
