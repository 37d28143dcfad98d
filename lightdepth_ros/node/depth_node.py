# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: subscribes, hands frames to the worker, reports health. No arithmetic."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from lightdepth_ros import shared_memory
from lightdepth_ros.config import RANGE_SENSORS, NodeConfig
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.node import diagnostics, params, topics
from lightdepth_ros.node.ending import Signals, leave
from lightdepth_ros.node.inputs import Input
from lightdepth_ros.node.rclpy_workarounds import (
    RCL_ERRORS,
    Seldom,
    shut_down,
    spin,
    survive_illegal_transitions,
    told,
)
from lightdepth_ros.node.tf import TfInput
from lightdepth_ros.stream import counters, health
from lightdepth_ros.stream.following import AUTO
from lightdepth_ros.stream.model_set import ModelSet
from lightdepth_ros.stream.pipeline import Pipeline, Switcher
from lightdepth_ros.stream.stream import Stream, Waiting
from lightdepth_ros.stream.voice import Voice
from lightdepth_ros.stream.worker import Worker, call_in_thread

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
REPORT_PERIOD_S = 1.0
EXIT_FAILED, EXIT_BAD_CONFIG = 1, 2


class InferenceDiedError(RuntimeError):
    """The worker met an unexpected error; its traceback was printed."""


class DepthNode(LifecycleNode):  # type: ignore[misc]  # rclpy has no types
    """Depth, labels and clouds from camera images; see docs/topics.md and docs/parameters.md."""

    def __init__(self) -> None:
        """Declare the parameters; ConfigError for a wrong value."""
        super().__init__('depth_node')
        self._voice = Voice(self.get_logger().warning, self.get_logger().error)
        self._tf = TfInput(self, self._voice)
        self._config = params.declare(self)
        self._switcher: Switcher | None = None
        self._streams: list[Stream] = []
        self._worker: Worker[Waiting] | None = None
        self._inputs: list[Input] = []
        self._anchors: list[tuple[str, Input]] = []
        self._finalized = False
        self._bond: Any = None
        self._label_infos: list[Any] = []
        self._seldom = Seldom()
        self._complaint = ''
        self.add_on_set_parameters_callback(self._on_set_parameters)
        survive_illegal_transitions(self)
        self._reporter = diagnostics.Reporter(self)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # sim time may stand still
        self.create_timer(REPORT_PERIOD_S, self._report_health, clock=steady)
        self._tell_shared_memory()

    @property
    def config(self) -> NodeConfig:
        """The settings as they are now."""
        return self._config

    def start(self) -> bool:
        """Configure and activate; return whether both worked."""
        return all(step() == SUCCESS for step in (self.trigger_configure, self.trigger_activate))

    # Lifecycle

    @told
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check the model, create the publishers."""
        try:
            self._switcher = call_in_thread(self._load, self.context.ok)
        except LightdepthError as error:
            self._complaint = f'cannot configure: {error}'
            self.get_logger().error(self._complaint)
            return FAILURE
        if self._switcher is None:  # cut short: the process is about to end
            return FAILURE
        self._complaint = ''
        for camera in self._config.cameras:
            self._open(camera)
        self._tell_start(self._switcher.current)
        return super().on_configure(state)

    @told
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe to the cameras."""
        self._worker = Worker(len(self._streams), self._process)
        for index, stream in enumerate(self._streams):
            stream.activate()
            self._inputs += self._inputs_of(index, stream)
            self._anchors += topics.open_anchor_inputs(self, stream, self._voice)
        self._follow()
        result = super().on_activate(state)  # from here on publishers publish
        self._tell_classes()
        if not self._config.autostart:  # somebody else is in charge
            self._bond = topics.open_bond(self)
        return result

    @told
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and let the frame in work be the last."""
        self._stop()
        return super().on_deactivate(state)

    @told
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and the publishers."""
        self._free()
        return super().on_cleanup(state)

    @told
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop what runs and free everything."""
        self._stop()
        self._free()
        self._finalized = True
        return super().on_shutdown(state)

    @told
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that raised."""
        self._stop()
        self._free()
        return super().on_error(state)

    def close(self) -> None:
        """Stop everything before the process ends."""
        self._stop()
        self._free()

    def _stop(self) -> None:
        if self._bond is not None:
            self._bond.shutdown()
            self._bond = None
        self._tf.close()
        for entry in (*self._inputs, *(entry for _, entry in self._anchors)):
            entry.close()
        self._inputs.clear()
        self._anchors.clear()
        if self._worker is not None:
            for index, _ in self._worker.stop():
                self._streams[index].counters.drop(counters.DEACTIVATED)
            self._worker = None

    def _free(self) -> None:
        for stream in self._streams:
            topics.close_stream(self, stream)
        self._streams = []
        for publisher in self._label_infos:
            self.destroy_lifecycle_publisher(publisher)
        self._label_infos = []
        if self._switcher is not None:
            self._switcher.close()
            self._switcher = None

    def _load(self) -> Switcher:
        models = ModelSet(engine_voice(self.get_logger()))
        return Switcher(models, self._config, self._tell_switch, self._complain)

    # Topics

    def _open(self, camera: str) -> None:
        transport = self._config.image_transport
        self._streams.append(
            topics.open_stream(
                self, camera, transport, self._voice, self._seldom, self._tf.transforms
            )
        )
        info = topics.open_label_info(self, camera, self._voice, self._seldom)
        self._label_infos.append(info)

    def _inputs_of(self, index: int, stream: Stream) -> list[Input]:
        def on_image(msg: Any, number: int | None) -> None:
            waiting = stream.receive(msg, self._config, number)
            if waiting is None or self._worker is None:
                return
            if self._worker.inbox.put(index, waiting) is not None:
                stream.counters.drop(counters.REPLACED)

        transport = self._config.image_transport
        return topics.open_inputs(self, stream, transport, on_image, self._voice)

    def _follow(self) -> None:
        for entry in self._inputs:
            entry.follow(self._config.image_reliability)
        sources = self._config.anchors
        for source, entry in self._anchors:
            if source in sources:
                entry.follow(AUTO)
            else:
                entry.close()
        needs_tf = self._config.mount == 'tf' or set(sources) & set(RANGE_SENSORS)
        self._tf.follow(self._worker is not None and bool(needs_tf))

    def _process(self, index: int, waiting: Waiting) -> None:
        assert self._switcher is not None
        latency_ms = self._streams[index].process(waiting, self._switcher.current)
        if latency_ms is not None:
            self._switcher.observe(latency_ms, time.perf_counter())

    # Parameters

    def _on_set_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        try:
            configured = self._switcher is not None
            config = params.changed(self._config, parameters, configured)
            if self._switcher is not None and config != self._config:
                self._switcher.change(config)
        except LightdepthError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._config = config
        return SetParametersResult(successful=True)

    # Reports

    def _tell_classes(self) -> None:
        assert self._switcher is not None
        classes = self._switcher.current.perception.engine.contract.classes
        info = topics.label_info(classes, Header(stamp=self.get_clock().now().to_msg()))
        for publisher in self._label_infos:
            publisher.publish(info)

    def _tell_shared_memory(self) -> None:
        if not topics.uses_fast_dds():
            return
        segments, free = shared_memory.own_segments_mb(), shared_memory.free_mb()
        fine, text = shared_memory.report(os.environ, segments, free)
        (self.get_logger().info if fine else self.get_logger().warning)(text)

    def _tell_start(self, pipeline: Pipeline) -> None:
        facts = ', '.join(f'{name} {value}' for name, value in pipeline.facts.items())
        cameras = ', '.join(f'{s.image_topic} with {s.info_topic}' for s in self._streams)
        threads = self._config.threads
        self.get_logger().info(f'ready: {facts}, {threads} CPU threads; images from {cameras}')

    def _tell_switch(self, text: str) -> None:
        self._complaint = ''
        self.get_logger().info(text)

    def _complain(self, text: str) -> None:
        self._complaint = text
        self.get_logger().error(text)

    def _report_health(self) -> None:
        self._seldom.open()
        self._follow()
        worker = self._worker
        if worker is not None and not worker.alive:
            raise InferenceDiedError('the inference thread ended; its traceback is above')
        state = self._state_now()
        facts = self._switcher.current.facts if self._switcher else {}
        self._reporter.report(self._streams, state, facts, self._complaint, self._voice.last_error)

    def _state_now(self) -> str:
        if self._finalized:
            return health.FINALIZED
        if self._worker is not None:
            return health.ACTIVE
        return health.INACTIVE if self._switcher else health.UNCONFIGURED


def engine_voice(logger: Any) -> Callable[[str], None]:
    """Return what logs an engine's lines. It does not hold the node: a build that goes on in a
    library until the process ends would keep the node, and its shared memory, alive."""

    def tell(line: str) -> None:
        if line.startswith('warning'):
            logger.warning(line)
        else:
            logger.info(line)

    return tell


def run(node: DepthNode) -> int:
    """Start the node if `autostart` says so, run it, and return the exit code."""
    if node.config.autostart and not node.start():
        if not rclpy.ok():
            return 0
        node.get_logger().fatal('autostart failed; see the error above')
        return EXIT_FAILED
    if not node.config.autostart:
        node.get_logger().info(health.waits_for_manager(node.get_fully_qualified_name()))
    spin(node)
    return 0


def main(args: list[str] | None = None) -> int:
    """Run the node; 0 after SIGINT or SIGTERM, 1 if it cannot start, 2 for a wrong parameter."""
    code = 0
    try:
        if Signals().init(args):
            code = live()
    except ConfigError as error:
        rclpy.logging.get_logger('depth_node').fatal(str(error))
        code = EXIT_BAD_CONFIG
    except ExternalShutdownException:
        pass
    except RCL_ERRORS:
        if rclpy.ok():  # else ROS was shut down in the middle of something
            raise
    finally:
        shut_down()
    return code


def live() -> int:
    """Make the node, run it until ROS is shut down, and free it; return the exit code. Raises
    ConfigError for a wrong parameter."""
    node = DepthNode()
    try:
        return run(node)
    except InferenceDiedError as error:
        node.get_logger().fatal(str(error))
        return EXIT_FAILED
    finally:
        node.close()
        node.destroy_node()


if __name__ == '__main__':
    leave(main())
