# SPDX-License-Identifier: Apache-2.0
"""NodeConfig defines every setting: its default, unit, limits and meaning.

ROS parameters, config/depth.yaml, docs/parameters.md and the flags of the command line are all
made from it. It imports no ROS and reads no file.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from lightdepth_ros.backends import BACKENDS, PRECISIONS
from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.contract import EXIT_STRIDE
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.mount import HEIGHT_LIMITS_M, Mount
from lightdepth_ros.setting import Setting, Value, check, setting

__all__ = ['NodeConfig', 'Setting', 'Value', 'settings']

RANGE_SENSORS = ('scan', 'cloud', 'depth')
ANCHORS = ('ground', *RANGE_SENSORS)
"""What depth can be anchored to, besides none."""
FITS = ('crop', 'pad', 'adapt')
"""crop: centre crop to the input's aspect. pad: the whole image, the rest is padding.
adapt: the input size follows the camera's aspect, so (almost) the whole view is kept."""

MODEL_LOADS = 'the model is loaded in the configure transition'
TOPICS_OPEN = 'topics are opened in the configure transition'
AT_START = 'it is read once, when the node starts'


@dataclass(frozen=True)
class NodeConfig:
    """Settings of the depth node. It checks itself: a wrong value raises ConfigError."""

    student: str = setting(
        'plain',
        'Which of the shipped networks to run.',
        choices=('plain', 'paper'),
        fixed=MODEL_LOADS,
    )
    model: str = setting(
        '',
        'Path of your own model: a contract JSON written by `python -m training.export`, or the '
        'folder with `lightdepth_<student>_<resolution>.json` for each output_resolution. '
        'Empty: the network that ships with the package. int8: the plain one in 8 bits, where '
        'the CPU has an 8-bit dot product and so gains from it; elsewhere float32.',
        fixed=MODEL_LOADS,
    )
    output_resolution: str = setting(
        'L',
        'Size of all outputs as a part of the network input: L 1/2, M 1/4, S 1/8, XS 1/16. '
        'A 480x320 input gives 240x160, 120x80, 60x40 or 30x20. Smaller is faster. auto: the '
        'largest that keeps max_latency_ms.',
        choices=(*EXIT_STRIDE, 'auto'),
    )
    max_latency_ms: float = setting(
        100.0,
        'For output_resolution auto: the longest acceptable time from receiving an image to '
        'publishing its results.',
        unit='ms',
        limits=(1.0, 10000.0),
    )
    publish_size: str = setting(
        'network',
        'Size of all outputs. network: as output_resolution says. camera: that of the camera '
        'image, pixel for pixel (without distortion); edges are laid where the image has them.',
        choices=('network', 'camera'),
    )
    backend: str = setting(
        'onnxruntime',
        'Inference library. It must be installed; nothing is downloaded. auto: the fastest that '
        'works here, measured once.',
        choices=BACKENDS,
        fixed=MODEL_LOADS,
    )
    precision: str = setting(
        'auto',
        'Number format of inference. auto: the first that the backend offers. Others than '
        'those it offers are refused.',
        choices=('auto', *dict.fromkeys(p for offered in PRECISIONS.values() for p in offered)),
        fixed=MODEL_LOADS,
    )
    threads: int = setting(
        1, 'Number of CPU threads for inference.', limits=(1, 64), fixed=MODEL_LOADS
    )
    input_width: int = setting(
        480,
        'Width of the network input.',
        unit='px',
        limits=(32, 4096),
        step=32,
        fixed=MODEL_LOADS,
    )
    input_height: int = setting(
        320,
        'Height of the network input.',
        unit='px',
        limits=(32, 4096),
        step=32,
        fixed=MODEL_LOADS,
    )
    fit: str = setting(
        'crop',
        'How the camera image fills the network input. crop: its middle part. pad: all of it, '
        'unknown at the rims. adapt: the input size follows the shape of the camera image, so '
        'nearly all of it is used and the output size with it.',
        choices=FITS,
    )
    depth_scale: float = setting(
        1.0,
        'All depths are multiplied by it: the correction that `lightdepth scale` measures.',
        limits=(0.01, 100.0),
    )
    min_range_m: float = setting(
        0.0,
        'Depth below it is published as -Inf (too near, REP-117).',
        unit='m',
        limits=(0.0, 1000.0),
    )
    max_range_m: float = setting(
        80.0,
        'Depth beyond it is published as +Inf (out of range, REP-117).',
        unit='m',
        limits=(0.1, 1000.0),
    )
    min_confidence: float = setting(
        0.0,
        'Depth whose confidence is lower is published as NaN (unknown). 0: keep all.',
        limits=(0.0, 1.0),
    )
    temporal_filter: float = setting(
        0.0,
        'How much of the previous depth is kept, to reduce flicker. Edges and moving things are '
        'left out. 0: off.',
        limits=(0.0, 0.95),
    )
    point_filter: float = setting(
        0.12,
        'Points that hang in the air are left out of the clouds: those that differ in ln depth by '
        'more than this from both the nearest and the farthest pixel around them, as at the edge '
        'of a thing, and those that hardly a pixel around them agrees with. More for outputs '
        'narrower than 240 pixels. 0: keep all.',
        limits=(0.0, 1.0),
    )
    classes_ground: tuple[str, ...] = setting(
        ('road', 'sidewalk', 'terrain'),
        'Classes the robot can drive on: left out of points_obstacles. Unlabelled pixels stay '
        'in it. [""]: none.',
        choices=tuple(CLASS_ID),
    )
    obstacle_min_height_m: float = setting(
        0.2,
        'What rises so far over the ground that is seen is in points_obstacles, also where its '
        'label is one of classes_ground; what is labelled as a thing and rises less than half of '
        'it is not, people excepted. 0: labels alone decide.',
        unit='m',
        limits=(0.0, 10.0),
    )
    classes_ignore: tuple[str, ...] = setting(
        ('',),
        'Classes that neither mark nor clear: left out of points_obstacles and of '
        'points_clearing. [""]: none.',
        choices=tuple(CLASS_ID),
    )
    horizontal_fov_deg: float = setting(
        0.0,
        'Angle the camera sees across, for a camera without calibration. 0: not known; then '
        'depth is only right up to a constant factor and no cloud is published.',
        unit='deg',
        limits=(0.0, 179.0),
    )
    image_kind: str = setting(
        'auto',
        'Whether the image is raw (the distortion in camera_info is undone) or rectified (P of '
        'camera_info holds). auto: rectified if the topic name says rect, as in image_rect.',
        choices=('auto', 'raw', 'rectified'),
    )
    mount: str = setting(
        'parameters',
        'Where the height and tilt of the camera come from. parameters: from camera_height_m, '
        'camera_pitch_deg and camera_roll_deg; with camera_height_m 0 they are not known. tf: '
        'from the transform of the frame_id of the image to ground_frame, followed live; until it '
        'comes, the parameters are used. unknown: not known; the parameters are ignored.',
        choices=('unknown', 'parameters', 'tf'),
    )
    camera_height_m: float = setting(
        0.0,
        'Height of the lens over the ground. With it, depth is right for a low camera too. 0: not '
        'known. Needs a calibrated camera; it applies to all cameras of the node.',
        unit='m',
        limits=(0.0, 20.0),
    )
    camera_pitch_deg: float = setting(
        0.0,
        'How far the camera looks down (negative: up). Counts only with camera_height_m.',
        unit='deg',
        limits=(-60.0, 60.0),
    )
    camera_roll_deg: float = setting(
        0.0,
        'How far the right side of the camera is tilted down (negative: the left side). Counts '
        'only with camera_height_m.',
        unit='deg',
        limits=(-60.0, 60.0),
    )
    ground_frame: str = setting(
        'base_footprint',
        'For mount tf: the frame whose z axis points up and whose origin lies on the ground.',
    )
    anchor: str = setting(
        'none',
        'What depth is bent to, so that guessed metres become measured ones. ground: the height '
        'of the mount over the ground that is seen. scan: a laser scan on `scan`. cloud: a lidar '
        'on `anchor/points`. depth: another depth camera on `anchor/depth`, with '
        '`anchor/camera_info`. Several, separated by commas, hold together. none: nothing.',
    )
    anchor_max_age_s: float = setting(
        0.2,
        'A message may be so much older or newer than the image to serve as its anchor.',
        unit='s',
        limits=(0.0, 10.0),
    )
    odom_frame: str = setting(
        'odom',
        'Frame in which the robot moves: its transforms correct the motion between a message of a '
        'range sensor and the image.',
    )
    image_bits: int = setting(
        0,
        'How many bits of each sample a 16-bit camera (mono16, rgb16, bayer_*16) uses: 8 to 16. '
        '0: measured, by the largest value seen so far.',
        unit='bits',
        limits=(0, 16),
    )
    camera_info_timeout_s: float = setting(
        2.0,
        'How long images wait for the first camera_info before they are used without '
        'calibration. 0: do not wait.',
        unit='s',
        limits=(0.0, 60.0),
    )
    rate_limit_hz: float = setting(
        0.0, 'The most frames per second to process. 0: no limit.', unit='Hz', limits=(0.0, 1000.0)
    )
    cameras: tuple[str, ...] = setting(
        ('',),
        'Names of several cameras that share the model: `<name>/image` and so on for each, in '
        'turn. [""]: one camera, on `image`.',
        fixed=TOPICS_OPEN,
    )
    image_transport: str = setting(
        'raw',
        'raw: subscribe to `image` (sensor_msgs/Image). compressed: subscribe to '
        '`image/compressed` (sensor_msgs/CompressedImage, JPEG or PNG).',
        choices=('raw', 'compressed'),
        fixed=TOPICS_OPEN,
    )
    image_reliability: str = setting(
        'auto',
        'How to subscribe to the image. auto: reliable if every publisher is, else best effort. '
        'best_effort: the newest image matters more than a lost one, as over a bad network.',
        choices=('auto', 'reliable', 'best_effort'),
    )
    autostart: bool = setting(
        True,
        'The node configures and activates itself. false: it waits for a lifecycle manager.',
        fixed=AT_START,
    )

    def __post_init__(self) -> None:
        for known in settings():
            check(known, getattr(self, known.name))
        if self.min_range_m >= self.max_range_m:
            raise ConfigError(
                f'min_range_m is {self.min_range_m} and max_range_m {self.max_range_m}; '
                'the first must be the smaller one. Change one of them.'
            )
        if 0 < self.image_bits < 8:
            raise ConfigError(
                f'image_bits is {self.image_bits}; it must be 8 to 16, or 0 to measure it.'
            )
        if 0 < self.horizontal_fov_deg < 1:
            raise ConfigError(
                f'horizontal_fov_deg is {self.horizontal_fov_deg}; it must be at least 1 degree, '
                'or 0 if it is not known.'
            )
        if 0 < self.camera_height_m < HEIGHT_LIMITS_M[0]:
            raise ConfigError(
                f'camera_height_m is {self.camera_height_m}; it must be at least '
                f'{HEIGHT_LIMITS_M[0]} m, or 0 if it is not known.'
            )
        if not self.ground_frame.strip('/'):
            raise ConfigError(
                f'ground_frame is {self.ground_frame!r}; it must name a frame, such as '
                'base_footprint.'
            )
        _check_cameras(self.cameras)
        _check_anchors(self.anchors)

    @property
    def anchors(self) -> tuple[str, ...]:
        """What depth is bent to, each word of `anchor` once; empty for none."""
        words = [word.strip() for word in self.anchor.split(',')]
        return () if words == ['none'] else tuple(dict.fromkeys(words))

    @property
    def first_resolution(self) -> str:
        """The output resolution to begin with: for auto the finest."""
        return 'L' if self.output_resolution == 'auto' else self.output_resolution

    @property
    def fixed_mount(self) -> Mount | None:
        """The mount that the parameters give; None = not known."""
        if self.mount == 'unknown' or self.camera_height_m == 0:
            return None
        return Mount(self.camera_height_m, self.camera_pitch_deg, self.camera_roll_deg)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Network input as (height, width)."""
        return self.input_height, self.input_width


def settings() -> tuple[Setting, ...]:
    """Return what is known of every field of NodeConfig, in order."""
    return tuple(
        f.metadata['setting']._replace(name=f.name) for f in dataclasses.fields(NodeConfig)
    )


def _check_anchors(words: tuple[str, ...]) -> None:
    wrong = [word for word in words if word not in ANCHORS]
    if wrong:
        raise ConfigError(
            f'anchor has the word {wrong[0]!r}; it must be none, or one or several of '
            f'{", ".join(ANCHORS)}, separated by commas.'
        )


def _check_cameras(names: tuple[str, ...]) -> None:
    for name in names:
        if name and not re.fullmatch('[A-Za-z][A-Za-z0-9_]*', name):
            raise ConfigError(
                f'cameras has the name {name!r}; use a letter, then letters, digits and _.'
            )
    if len(set(names)) != len(names) or not names:
        raise ConfigError(
            f'cameras is {list(names)}; it must name each camera once, and [""] is one camera '
            'without a name.'
        )
