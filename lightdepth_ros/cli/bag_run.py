# SPDX-License-Identifier: Apache-2.0
"""Run `lightdepth bag`: open everything, show the progress, report the result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from lightdepth_ros.bag.camera import BagCamera
from lightdepth_ros.bag.frames import RecordedFrames
from lightdepth_ros.bag.parts import PartedBag
from lightdepth_ros.bag.parts import Progress as JobProgress
from lightdepth_ros.bag.recording import Recording, open_recording
from lightdepth_ros.bag.run import LABEL_TOPIC, Job, Runner, Sink
from lightdepth_ros.bag.topics import CameraTopics, choose_cameras
from lightdepth_ros.camera import Camera
from lightdepth_ros.cli.bag_show import Show, reason_text, stop_asked, summarise
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import load_contract
from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.perception.calibration import kind_of_topic
from lightdepth_ros.perception.lens import Lens
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.stream.model_set import exit_path
from lightdepth_ros.stream.outputs import TOPICS
from lightdepth_ros.stream.pipeline import Pipeline
from lightdepth_ros.stream.voice import Voice

ALL = (*(output.topic for output in TOPICS), LABEL_TOPIC)


@dataclass(frozen=True)
class Request:
    """What the command line asks for; see the flags of cli/bag.py.

    view: returns the calibration given by hand, None without, for a kind ('raw', 'rectified').
    """

    source: Path
    out: Path
    config: NodeConfig
    named: tuple[CameraTopics, ...]
    image_topic: str
    info_topic: str
    view: Callable[[str], Camera | Lens | None]
    calibration: str
    outputs: tuple[str, ...]
    prefix: str
    keep: tuple[str, ...]
    storage: str
    compress: bool


def run(request: Request, console: Console, identity: dict[str, Any]) -> int:
    """Write the bag; return 0, or 1 when an image was dropped or the recording is damaged."""
    outputs = chosen_outputs(request.outputs)
    with open_recording(request.source) as recording:
        cameras = choose_cameras(
            recording,
            request.named,
            request.image_topic,
            request.info_topic,
            request.calibration,
        )
        check_kept(recording, request.keep)
        bag = PartedBag(request.out)
        model = load_contract(exit_path(request.config)).onnx_sha256
        identity |= {'span_ns': recording.span_ns(), 'cameras': str(cameras), 'model': model}
        with bag.claimed(identity) as progress, stop_asked() as stop:
            pipeline = load(request.config, console)
            try:
                show = Show(console, recording, cameras, progress, stop)
                job = Job(outputs, request.keep, request.storage, request.compress)
                done = work(request, recording, cameras, pipeline, bag, progress, job, show)
            finally:
                pipeline.perception.close()
            if not done:
                raise KeyboardInterrupt
            finish(bag, progress, pipeline)
    summarise(console, bag.out, progress, show)
    dropped = any(t['received'] > t.get('published', 0) for t in progress.tallies.values())
    return int(dropped or bool(progress.damage))


def chosen_outputs(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the topics of --outputs; ConfigError for one that does not exist."""
    if words == ('all',):
        return ALL
    unknown = [word for word in words if word not in ALL]
    if unknown:
        raise ConfigError(
            f'--outputs has {", ".join(unknown)}; it takes all, or some of {", ".join(ALL)}'
        )
    return words


def check_kept(recording: Recording, topics: tuple[str, ...]) -> None:
    """Refuse a topic to copy that is not there; /tf and /tf_static may be missing. Of a ROS 1 bag
    nothing can be copied."""
    if topics and recording.is_ros1:
        raise DataError(
            f'{recording.path} is a ROS 1 bag, whose messages no ROS 2 bag can hold as they are: '
            'leave out --keep and --keep-tf, or convert it first with\n'
            f'  rosbags-convert --src {recording.path} --dst {recording.path.stem} '
            '--dst-typestore ros2_jazzy'
        )
    for topic in topics:
        if topic not in ('/tf', '/tf_static') and topic not in recording.topics():
            raise DataError(
                f'{recording.path} has no message on {topic} (--keep). It has\n'
                f'{recording.listing()}'
            )


def load(config: NodeConfig, console: Console) -> Pipeline:
    """Load the model that the node would load, on the engine asked for and no other."""
    return Pipeline(config, load_perception(config, console.print, exit_path(config)))


def work(
    request: Request,
    recording: Recording,
    topics: tuple[CameraTopics, ...],
    pipeline: Pipeline,
    bag: PartedBag,
    progress: JobProgress,
    job: Job,
    show: Show,
) -> bool:
    """Run the job to its end; return False if it was told to stop."""
    if progress.images:
        show.bar.console.print(f'Going on after {progress.images} of {show.total} images.')
    printer = show.bar.console.print
    voice = Voice(
        lambda text: printer(f'[yellow]{escape(text)}[/]'),
        lambda text: printer(f'[red]{escape(text)}[/]'),
    )
    sink = Sink()
    frames = RecordedFrames(recording, request.config.mount == 'tf', voice)
    cameras = [
        BagCamera(
            camera,
            recording,
            prefix=f'{request.prefix}{camera.name}/' if camera.name else request.prefix,
            outputs=job.outputs,
            publish=sink.publish,
            voice=voice,
            view=request.view(kind_of_topic(camera.image, request.config.image_kind)),
            transforms=frames.transforms,
        )
        for camera in topics
    ]

    def tell_room(now: JobProgress) -> None:
        missing = bag.missing_room(now, show.total)
        if missing:
            voice.warn_once(
                'room',
                f'The disk will be full before the end: about {missing / 1e9:.1f} GB are missing. '
                'Make room meanwhile, or stop, and choose fewer --outputs or --compress.',
            )

    runner = Runner(recording, cameras, pipeline, sink, job, show.step, tell_room, frames)
    with show.bar:
        return runner.run(bag, progress)


def finish(bag: PartedBag, progress: JobProgress, pipeline: Pipeline) -> None:
    """Give the bag its name; DataError if nothing came out."""
    if not any(tally.get('published') for tally in progress.tallies.values()):
        reasons = progress.tallies
        shutil.rmtree(bag.work)
        raise DataError(
            f'none of {progress.images} images could be used, so there is no {bag.out}: '
            f'{"; ".join(reason_text(tally) for tally in reasons.values())}. {progress.damage}'
        )
    about = {
        'lightdepth_ros': json.dumps(progress.job),
        'model': json.dumps(pipeline.facts),
    }
    bag.finish(progress, about)
