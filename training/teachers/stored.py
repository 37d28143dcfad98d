# SPDX-License-Identifier: Apache-2.0
"""A teacher that only remembers: the labels of a store, to compensate them without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightdepth_ros.errors import ConfigError, DataError
from training.datasets.sample import Sample
from training.labels.files import describe, read_frame, read_rows
from training.teachers.teacher import TeacherOutput


class StoredTeacher:
    """Hands out the maps that a store holds for a sample of the same name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.description = describe(folder)
        if self.description.compensation:
            raise ConfigError(
                f'{folder} holds labels that were compensated already '
                f'({self.description.compensation}); give the folder of the raw ones'
            )
        self.rows = read_rows(folder)
        self.name = self.description.teacher
        self.weights_sha256 = self.description.weights_sha256
        self.options: dict[str, Any] = self.description.options

    def __call__(self, sample: Sample) -> TeacherOutput:
        row = self.rows.get(sample.name)
        if row is None:
            raise DataError(f'{self.folder} has no label of {sample.name}: run make_labels on it')
        if row.size_hw != sample.rgb.shape[:2]:
            raise DataError(
                f'{self.folder}: the labels of {sample.name} are {row.size_hw}, its image is '
                f'{sample.rgb.shape[:2]}: they belong to another data set'
            )
        return TeacherOutput(**read_frame(self.folder, row))


def open_teacher(argument: str, options: dict[str, str]) -> StoredTeacher:
    """Open `stored:FOLDER`."""
    if not argument:
        raise ConfigError('name the folder of a label store, as in stored:labels/psmnet')
    if options:
        raise ConfigError(f'stored takes no options, got {", ".join(options)}')
    return StoredTeacher(Path(argument).expanduser())
