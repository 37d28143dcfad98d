# SPDX-License-Identifier: Apache-2.0
"""The stream of one camera: calibration, prediction, publishing, counting. No rclpy: publishers,
logs and clocks are passed in, so that all of it is tested without ROS."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import BadCameraError, BadImageError, EngineError, LightdepthError
from lightdepth_ros.perception.calibration import Calibration, NoCameraInfoYetError
from lightdepth_ros.perception.placement import plan
from lightdepth_ros.perception.prediction import Prediction
from lightdepth_ros.perception.temporal import TemporalFilter
from lightdepth_ros.picture import SampleBits
from lightdepth_ros.stream import counters
from lightdepth_ros.stream.anchors import Anchors
from lightdepth_ros.stream.counters import FrameCounters
from lightdepth_ros.stream.messages import CloudMessage, check_image, image_to_rgb, number
from lightdepth_ros.stream.mounting import Mounting
from lightdepth_ros.stream.outputs import TOPICS, Output, Result, needed
from lightdepth_ros.stream.pacing import RateLimit
from lightdepth_ros.stream.pipeline import Pipeline
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

LOST_VIEW_WARNING = 0.1
"""Share of the view that cropping may cut away before the user is told."""


class Publisher(Protocol):
    """What a stream needs of an rclpy publisher."""

    def get_subscription_count(self) -> int:
        """Return how many subscriptions are matched."""
        ...

    def publish(self, msg: Any) -> None:
        """Send a message."""
        ...


class Waiting(NamedTuple):
    """An image message and when it came (perf_counter seconds)."""

    msg: Any
    arrived_s: float


class Stream:
    """Everything that belongs to one camera.

    `receive` and `calibration.update` are called by the ROS callbacks, `process` by the worker.
    """

    def __init__(
        self,
        *,
        name: str,
        image_topic: str,
        image_type: str,
        info_topic: str,
        publishers: Mapping[str, Publisher],
        mismatches: dict[str, str],
        voice: Voice,
        clock_ns: Callable[[], int],
        transforms: Transforms | None = None,
        scale: Publisher | None = None,
    ) -> None:
        """publishers: one for each topic of TOPICS. mismatches: topic -> whose QoS does not fit,
        filled in from outside. clock_ns: the clock of the image stamps. transforms: the frames,
        filled in from outside; None = nobody does. scale: of the factor by which anchors moved
        depth; None = nobody wants it."""
        self.name = name
        self.image_topic = image_topic
        self.image_type = image_type
        self.info_topic = info_topic
        self.counters = FrameCounters()
        self.calibration = Calibration(image_topic, info_topic)
        self.mounting = Mounting(image_topic, transforms or Transforms(), voice)
        self.anchors = Anchors(image_topic, transforms or Transforms(), voice)
        self.publishers = publishers
        self.scale = scale
        self.mismatches = mismatches
        self._voice = voice
        self._clock_ns = clock_ns
        self.temporal = TemporalFilter()
        self._bits, self._image_bits = SampleBits(), 0
        self._limit = RateLimit(0.0)
        self._limit_hz = 0.0
        self._clouds: dict[str, CloudMessage] = {}
        self._seen: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._active_since_s = time.perf_counter()
        self.uncalibrated = False
        """Whether the last image was used without a calibration."""

    @property
    def last_sign_s(self) -> float:
        """When the last image came, or else when it could have begun to come."""
        return max(self._active_since_s, self.counters.last_arrival_s or 0.0)

    def activate(self) -> None:
        """Start to wait for images and calibration."""
        self._active_since_s = time.perf_counter()
        self.calibration.wait_again()

    def receive(self, msg: Any, config: NodeConfig, number: int | None = None) -> Waiting | None:
        """Count an image message in; return it if it is worth waiting for the worker.

        number: the running number that its publisher gave it; None = not known.
        """
        now_s = time.perf_counter()
        self.counters.receive(now_s, number)
        try:
            check_image(msg)
        except BadImageError as error:
            self._skip(counters.BAD_IMAGE, error)
            return None
        if config.rate_limit_hz != self._limit_hz:
            self._limit_hz = config.rate_limit_hz
            self._limit = RateLimit(config.rate_limit_hz)
        if not self._limit.allows(now_s):
            self.counters.drop(counters.RATE_LIMIT)
            return None
        return Waiting(msg, now_s)

    def process(self, waiting: Waiting, pipeline: Pipeline) -> float | None:
        """Predict and publish what is subscribed, or count why not.

        Returns the milliseconds from the image's arrival to the last publish; None if dropped.
        """
        try:
            return self._process(waiting, pipeline)
        except BadImageError as error:
            self._skip(counters.BAD_IMAGE, error)
        except NoCameraInfoYetError:
            self.counters.drop(counters.WAITING_FOR_CAMERA_INFO)
        except BadCameraError as error:
            self._skip(counters.BAD_CAMERA_INFO, error)
        except EngineError as error:
            self._skip(counters.ENGINE_ERROR, error)
        return None

    def _process(self, waiting: Waiting, pipeline: Pipeline) -> float | None:
        wanted = self._wanted()
        if not wanted:
            self.counters.drop(counters.NOBODY_LISTENS)
            return None
        rgb = self._decoded(waiting.msg, pipeline.config.image_bits)
        size_hw = (rgb.shape[0], rgb.shape[1])
        view = self.calibration.view(pipeline.config, size_hw)
        self.uncalibrated = view is None
        if view is None:
            self._tell_uncalibrated()
            wanted = [output for output in wanted if not output.needs_camera]
        if not wanted:
            self.counters.drop(counters.NOT_CALIBRATED)
            return None
        self._tell_lost_view(size_hw, pipeline)
        header = waiting.msg.header
        stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        mount = self.mounting.mount(pipeline.config, header.frame_id, stamp_ns)
        bend = self.anchors.bend_for(
            pipeline.config, header.frame_id, stamp_ns, calibrated=view is not None
        )
        at_camera_size = pipeline.config.publish_size == 'camera'
        needs = needed(wanted) | {'rgb'} if at_camera_size else needed(wanted)
        frame = pipeline.perception.predict(rgb, view, needs, mount, bend)
        self._tell_strange_lens(frame.prediction, pipeline)
        if 'depth' in needs:
            self._publish_scale()
        prediction = self._steadied(frame.prediction, header.stamp, pipeline.config)
        shown = frame.rgb
        if at_camera_size and shown is not None:
            prediction, shown = pipeline.perception.at_camera_size(prediction, rgb, view, shown)
        result = Result(prediction, shown, header, pipeline.config, self._clouds)
        for output in wanted:
            self.publishers[output.topic].publish(output.build(result))
        return self._count_published(waiting, frame.timings_ms['engine'])

    def _decoded(self, msg: Any, image_bits: int) -> np.ndarray:
        """Return the picture of a message, with the bits of the camera held from the ones before;
        say what was found."""
        if image_bits != self._image_bits:
            self._image_bits, self._bits = image_bits, SampleBits(image_bits)
        before = self._bits.bits
        rgb = image_to_rgb(msg, self._bits)
        if self._bits.bits != before:
            self._voice.warn_once(
                f'bits {self.image_topic} {self._bits.bits}',
                f'{self.image_topic} uses {self._bits.bits} of 16 bits, by the largest value so '
                'far: brightness is scaled by that. Set image_bits if the camera has another '
                'number.',
            )
        return rgb

    def _publish_scale(self) -> None:
        factor = self.anchors.factor
        if factor is not None and self.scale is not None and self.scale.get_subscription_count():
            self.scale.publish(number(factor))

    def subscribers(self) -> dict[str, int]:
        """Return the number of subscriptions of each output topic."""
        return {t: publisher.get_subscription_count() for t, publisher in self.publishers.items()}

    def _wanted(self) -> list[Output]:
        return [o for o in TOPICS if self.publishers[o.topic].get_subscription_count() > 0]

    def _steadied(self, prediction: Prediction, stamp: Any, config: NodeConfig) -> Prediction:
        stamp_s = stamp.sec + stamp.nanosec * 1e-9
        depth_m = self.temporal.apply(prediction.depth_m, stamp_s, config.temporal_filter)
        return dataclasses.replace(prediction, depth_m=depth_m)

    def _count_published(self, waiting: Waiting, engine_ms: float) -> float:
        now_s = time.perf_counter()
        stamp = waiting.msg.header.stamp
        age_ms = (self._clock_ns() - stamp.sec * 10**9 - stamp.nanosec) * 1e-6
        latency_ms = (now_s - waiting.arrived_s) * 1e3
        self.counters.publish(now_s, latency_ms, age_ms, engine_ms)
        return latency_ms

    def _skip(self, reason: str, error: LightdepthError) -> None:
        self.counters.drop(reason)
        self._voice.error(f'{self.image_topic}: frame dropped ({reason}): {error}')

    def _tell_uncalibrated(self) -> None:
        self._voice.warn_once(
            f'uncalibrated {self.image_topic}',
            f'{self.image_topic} has no calibration ({self.info_topic}: {self.calibration.text}): '
            'depth is only right up to a constant factor, and no cloud is published. Publish a '
            'camera_info with K, or set horizontal_fov_deg.',
        )

    def _tell_strange_lens(self, prediction: Prediction, pipeline: Pipeline) -> None:
        contract = pipeline.perception.engine.contract
        trained = contract.training.get('config', {})
        bounds = trained.get('focal_min_px'), trained.get('focal_max_px')
        if prediction.camera is None or None in bounds:
            return
        focal_px = prediction.camera.focal_px * contract.stride
        if not bounds[0] <= focal_px <= bounds[1]:
            self._voice.warn_once(
                f'strange lens {self.image_topic}',
                f'{self.image_topic}: the focal length is {focal_px:.0f} px of the network input; '
                f'the model was trained on {bounds[0]:.0f} to {bounds[1]:.0f}. Depth may be worse '
                'than its documentation says: set input_width and input_height (or fit) so that '
                'it comes into that range, and check with `lightdepth scale`.',
            )

    def _tell_lost_view(self, size_hw: tuple[int, int], pipeline: Pipeline) -> None:
        config = pipeline.config
        if config.fit != 'crop' or self._seen == (size_hw, config.input_hw):
            return
        self._seen = size_hw, config.input_hw
        divisor = pipeline.perception.engine.contract.divisor
        crop = plan(size_hw, config.input_hw, 'crop', divisor).crop
        lost = 1 - crop.width * crop.height / math.prod(size_hw)
        if lost > LOST_VIEW_WARNING:
            self._voice.warn_once(
                f'lost view {self.image_topic} {size_hw}',
                f'{self.image_topic}: {lost:.0%} of the {size_hw[1]}x{size_hw[0]} image is cut '
                f'away to fit the {config.input_width}x{config.input_height} network input. '
                'Set fit to adapt to use nearly all of it, or to pad.',
            )
