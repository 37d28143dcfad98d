# SPDX-License-Identifier: Apache-2.0
"""A bag written in parts, so that a killed run can continue after the last complete part.

While it is being written, OUT.part holds

  progress.json   the job, the parts that are done, and where to continue in the recording
  bag/            the files of the parts that are done
  now/            the current part; deleted when a run starts

`ros2 bag record` can split a bag in the same way: a folder with several files and one
metadata.yaml. Finishing writes that file and renames the folder; nothing is copied.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightdepth_ros.errors import ConfigError
from lightdepth_ros.files import WriteError, write_files

INFO = 'rosbag2_bagfile_information'
MADE_HERE = 'progress.json'


@dataclass
class Progress:
    """The progress of a job.

    job       settings, topics, the recording. Only the same job can be continued.
    next_ns   recording time of the last message that was handled, and
    skip      how many messages of exactly that time were handled.
    images    how many images were handled.
    tallies   camera name -> counts: 'received', 'published', or the reason of a drop.
    memory    what the cameras must remember from one frame to the next, as text.
    parts     rosbag2's metadata of each file that is done, in order.
    complete  all of the recording was handled.
    damage    why the recording could not be read to its end; '' = it could.
    """

    job: dict[str, Any]
    next_ns: int | None = None
    skip: int = 0
    images: int = 0
    tallies: dict[str, dict[str, int]] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False
    damage: str = ''


class PartedBag:
    """The bag OUT while it is being written."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.work = out.with_name(out.name + '.part')
        self.bag = self.work / 'bag'
        self.now = self.work / 'now'

    @contextmanager
    def claimed(self, job: dict[str, Any]) -> Iterator[Progress]:
        """Lock OUT.part for this job and yield its progress.

        Raises ConfigError if OUT exists, or if OUT.part is of another job or in use.
        """
        if self.out.exists():
            self._refuse_existing()
        with self._locked():
            progress = self._progress(job)
            shutil.rmtree(self.now, ignore_errors=True)
            try:
                yield progress
            finally:
                shutil.rmtree(self.now, ignore_errors=True)  # a full disk needs the room

    def _refuse_existing(self) -> None:
        leftover = self.work / MADE_HERE
        if leftover.is_file() and json.loads(leftover.read_text())['complete']:
            shutil.rmtree(self.work)  # killed between the last two steps
        raise ConfigError(
            f'{self.out} exists already and is left as it is: give another name, or delete it'
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.bag.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.work / 'lock', os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WriteError(
                f'cannot write {self.work}: {error.strerror}. Give another place for the new bag.'
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise ConfigError(
                f'another process is writing {self.out} just now (it holds {self.work}/lock)'
            ) from error
        finally:
            os.close(handle)

    def _progress(self, job: dict[str, Any]) -> Progress:
        path = self.work / MADE_HERE
        if not path.is_file():
            return Progress(json.loads(json.dumps(job)))
        progress = Progress(**json.loads(path.read_text()))
        differs = [
            f'{name} was {progress.job.get(name)!r}, now it is {value!r}'
            for name, value in json.loads(json.dumps(job)).items()
            if progress.job.get(name) != value
        ]
        if differs:
            raise ConfigError(
                f'{self.work} holds {progress.images} frames of a job with other settings '
                f'({"; ".join(differs)}). Run the same command to continue it, choose another '
                f'output name, or delete {self.work} to start again'
            )
        return progress

    def part_folder(self, progress: Progress) -> Path:
        """Return the folder that the next part is to be written in."""
        self.now.mkdir(exist_ok=True)
        return self.now / f'{self.out.name}_{len(progress.parts)}'

    def keep(self, progress: Progress, written: Path | None) -> None:
        """Add a complete part to the bag, then save the progress.

        written: the folder that rosbags wrote, whose file and metadata are taken; None = the
        part has no message.
        """
        try:
            if written is not None:
                metadata = yaml.safe_load((written / 'metadata.yaml').read_text())[INFO]
                (name,) = metadata['relative_file_paths']
                (written / name).replace(self.bag / name)
                progress.parts.append(metadata)
        except OSError as error:
            raise WriteError(f'cannot write {self.bag}: {error.strerror}') from error
        write_files({self.work / MADE_HERE: json.dumps(asdict(progress)).encode()})

    def missing_room(self, progress: Progress, total: int) -> int:
        """Return how many bytes are missing on the disk to write all `total` images."""
        written = sum(file.stat().st_size for file in self.bag.iterdir())
        needed = written * (total - progress.images) // max(1, progress.images)
        return max(0, needed - shutil.disk_usage(self.bag).free)

    def finish(self, progress: Progress, about: dict[str, str]) -> None:
        """Join the parts to one bag and give it its name."""
        merged = {INFO: merge(progress.parts, about)}
        text = yaml.safe_dump(merged, sort_keys=False)
        write_files({self.bag / 'metadata.yaml': text.encode()})
        self.bag.replace(self.out)
        shutil.rmtree(self.work)


def merge(parts: list[dict[str, Any]], about: dict[str, str]) -> dict[str, Any]:
    """Return the metadata of one bag whose files are those of `parts`.

    about: custom data, kept in the bag.
    """
    first = parts[0]
    starts = [part['starting_time']['nanoseconds_since_epoch'] for part in parts]
    ends = [
        start + part['duration']['nanoseconds'] for start, part in zip(starts, parts, strict=True)
    ]
    topics: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in (entry for part in parts for entry in part['topics_with_message_count']):
        key = entry['topic_metadata']['name'], entry['topic_metadata']['type']
        before = topics.get(key, entry | {'message_count': 0})
        count = before['message_count'] + entry['message_count']
        topics[key] = before | {'message_count': count}
    return first | {
        'relative_file_paths': [path for part in parts for path in part['relative_file_paths']],
        'starting_time': {'nanoseconds_since_epoch': min(starts)},
        'duration': {'nanoseconds': max(ends) - min(starts)},
        'message_count': sum(part['message_count'] for part in parts),
        'topics_with_message_count': list(topics.values()),
        'files': [file for part in parts for file in part['files']],
        'custom_data': about,
    }
