# SPDX-License-Identifier: Apache-2.0
"""Run the node's perception over a recording and write what the node would publish."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lightdepth_ros.bag.camera import BagCamera, node_message
from lightdepth_ros.bag.frames import RecordedFrames
from lightdepth_ros.bag.parts import PartedBag, Progress
from lightdepth_ros.bag.recording import DamagedRecordingError, Raw, Recording
from lightdepth_ros.bag.writer import LABEL_INFO, BagFile
from lightdepth_ros.stream import plain_messages
from lightdepth_ros.stream.messages import classes_to_label_info
from lightdepth_ros.stream.pipeline import Pipeline

LABEL_TOPIC = 'semantic/label_info'
PART_IMAGES = 500
PART_BYTES = 1 << 30
"""A part ends after so many images or bytes: what a killed run loses at most, and the size of the
files of the bag."""


@dataclass(frozen=True)
class Job:
    """What is to be done, beside the cameras.

    outputs  topics to write, without prefix; LABEL_TOPIC among them or not.
    keep     topics of the recording that are copied as they are.
    storage  key of bag_writer.STORAGES.
    """

    outputs: Collection[str]
    keep: tuple[str, ...]
    storage: str
    compress: bool


class Sink:
    """Writes messages to the current part, with the recording time of the current input."""

    def __init__(self) -> None:
        self.file: BagFile | None = None
        self.log_ns = 0

    def publish(self, topic: str, kind: str, message: Any, latched: bool = False) -> None:
        """Write a message."""
        assert self.file is not None
        self.file.write(topic, kind, self.log_ns, message, latched)


class Runner:
    """Handles a recording message by message, part by part."""

    def __init__(
        self,
        recording: Recording,
        cameras: Sequence[BagCamera],
        pipeline: Pipeline,
        sink: Sink,
        job: Job,
        step: Callable[[], bool],
        part_done: Callable[[Progress], None],
        frames: RecordedFrames,
    ) -> None:
        """step: called after each image; False ends the run after the part so far is saved.

        part_done: called after each part. frames: of the cameras' streams.
        """
        self._recording = recording
        self._cameras = cameras
        self._pipeline = pipeline
        self._sink = sink
        self._job = job
        self._step = step
        self._part_done = part_done
        self._frames = frames
        self._by_image = {c.topics.image: c for c in cameras}
        self._by_info: dict[str, list[BagCamera]] = {}
        for camera in cameras:
            if camera.topics.info:
                self._by_info.setdefault(camera.topics.info, []).append(camera)
        self._go_on = True

    def run(self, bag: PartedBag, progress: Progress) -> bool:
        """Continue from `progress` to the end; return False if `step` stopped it."""
        for camera in self._cameras:
            name = camera.topics.name
            if name in progress.memory:
                camera.resume(progress.tallies[name], progress.memory[name])
        self._frames.start(progress.next_ns if progress.images else None)
        rest = self._rest(progress)
        while self._go_on and not progress.complete:
            self._one_part(bag, progress, rest)
        return progress.complete

    def _rest(self, progress: Progress) -> Iterator[Raw]:
        topics = {*self._by_image, *self._by_info, *self._job.keep, *self._frames.topics}
        rest = self._recording.raw_messages(topics, progress.next_ns)
        return islice(rest, progress.skip, None)

    def _one_part(self, bag: PartedBag, progress: Progress, rest: Iterator[Raw]) -> None:
        folder = bag.part_folder(progress)
        with BagFile(folder, self._job.storage, self._job.compress) as file:
            self._sink.file = file
            self._fill(file, progress, rest)
        progress.tallies = {c.topics.name: c.tally() for c in self._cameras}
        progress.memory = {c.topics.name: c.memory() for c in self._cameras}
        bag.keep(progress, folder if file.count else None)
        self._part_done(progress)

    def _fill(self, file: BagFile, progress: Progress, rest: Iterator[Raw]) -> None:
        """Handle messages until the part is full, the recording ends or `step` says so."""
        end = progress.images + PART_IMAGES
        try:
            for raw in rest:
                self._handle(raw, file, progress)
                if not self._go_on or progress.images >= end or file.bytes >= PART_BYTES:
                    return
        except DamagedRecordingError as error:
            progress.damage = str(error)
        progress.complete = True
        lost = self._recording.count(self._by_image) - progress.images
        if lost > 0 and not progress.damage:
            progress.damage = (
                f'{lost} of the images that {self._recording.path} announces are not in it: '
                'bytes inside it are wrong'
            )

    def _handle(self, raw: Raw, file: BagFile, progress: Progress) -> None:
        self._sink.log_ns = raw.log_ns
        if raw.topic in self._job.keep:
            file.copy(raw, self._recording)
        if raw.topic in self._frames.topics:
            self._frames.take(raw)
        for camera in self._by_info.get(raw.topic, ()):
            camera.take_info(raw)
        camera_of_image = self._by_image.get(raw.topic)
        if camera_of_image is not None:
            if progress.images == 0:
                self._tell_classes(raw)
            camera_of_image.take_image(raw, self._pipeline)
            progress.images += 1
        same_time = progress.next_ns == raw.log_ns
        progress.next_ns, progress.skip = raw.log_ns, progress.skip + 1 if same_time else 1
        if camera_of_image is not None:
            self._go_on = self._step()

    def _tell_classes(self, raw: Raw) -> None:
        """Write the names of the labels, as the node does when it is activated."""
        if LABEL_TOPIC not in self._job.outputs:
            return
        image = self._recording.decoded(raw.data, raw.kind)
        header = plain_messages.Header() if image is None else node_message(image).header
        header.frame_id = ''
        classes = self._pipeline.perception.engine.contract.classes
        info = classes_to_label_info(classes, header, plain_messages)
        for camera in self._cameras:
            self._sink.publish(camera.prefix + LABEL_TOPIC, LABEL_INFO, info, latched=True)
