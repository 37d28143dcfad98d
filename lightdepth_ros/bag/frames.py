# SPDX-License-Identifier: Apache-2.0
"""The transforms of a recording, filled in as the node would have heard them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightdepth_ros.bag.recording import TF_TYPES, DamagedRecordingError, Raw, Recording
from lightdepth_ros.errors import DataError
from lightdepth_ros.stream.transforms import Transforms
from lightdepth_ros.stream.voice import Voice

TF, TF_STATIC = '/tf', '/tf_static'
REMEDY = 'Record /tf and /tf_static too, or set camera_height_m and mount to parameters'


class RecordedFrames:
    """Where the frames of a recording are, message by message; nothing if no setting needs it."""

    def __init__(self, recording: Recording, needed: bool, voice: Voice) -> None:
        self.transforms = Transforms(REMEDY)
        self._recording = recording
        self._voice = voice
        there = {t for t in (TF, TF_STATIC) if recording.topics().get(t) in TF_TYPES}
        self._heard = there if needed else set()

    @property
    def topics(self) -> set[str]:
        """The topics whose messages `take` wants, in the order of recording."""
        return self._heard & {TF}

    def start(self, until_ns: int | None) -> None:
        """Take all static transforms, and the others that were recorded up to a time (None: none
        of them): those before the place where a run continues."""
        self._take_all(self._recording.raw_messages(self._heard & {TF_STATIC}), None)
        if until_ns is not None:
            self._take_all(self._recording.raw_messages(self.topics), until_ns)

    def take(self, raw: Raw) -> None:
        """Add what a message says."""
        message = self._recording.decoded(raw.data, raw.kind)
        if message is not None:
            self.hear(message, static=raw.topic == TF_STATIC)

    def hear(self, message: Any, static: bool = False) -> None:
        """Add what a decoded message says; a broken transform is told once and left out."""
        try:
            self.transforms.add_message(message, static)
        except DataError as error:
            text = f'a recorded transform is left out: {error}'
            self._voice.warn_once(text[:90], text)

    def _take_all(self, messages: Iterable[Raw], until_ns: int | None) -> None:
        try:
            for raw in messages:
                if until_ns is not None and raw.log_ns > until_ns:
                    return
                self.take(raw)
        except DamagedRecordingError as error:
            self._voice.warn_once('damaged transforms', f'transforms end early: {error}')
