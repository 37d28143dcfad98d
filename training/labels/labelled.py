# SPDX-License-Identifier: Apache-2.0
"""Read a label store next to its data set: samples with a teacher's depth and labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lightdepth_ros.errors import DataError
from training.datasets.frames import Frames, Joined
from training.datasets.sample import Dataset, Sample
from training.labels.files import describe, read_frame, read_rows


class Labelled:
    """A data set whose samples carry the labels of a store.

    Depth becomes `teacher_depth_m`, labels become `label_id`; what the store has no map of stays.
    True labels stay too: a store never replaces `label_id` where the data set has one, nor does
    it touch a frame that it lacks. Soft labels come along where no fine label is true: where the
    data set has none, or has coarse truth beside it.
    """

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.dataset, self.folder = dataset, folder
        self.name = dataset.name
        self.description = describe(folder)
        self.rows = read_rows(folder)
        if not self.rows:
            raise DataError(f'{folder} holds no finished label; run make_labels to its end')

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        # A store made of joined data sets (A+B) has its frames as A/name.
        row = self.rows.get(sample.name) or self.rows.get(f'{self.name}/{sample.name}')
        if row is None:
            return sample
        if row.size_hw != sample.rgb.shape[:2]:
            raise DataError(
                f'{self.folder}: the labels of {sample.name} are {row.size_hw}, its image is '
                f'{sample.rgb.shape[:2]}: they belong to another data set'
            )
        maps = read_frame(self.folder, row)
        label = sample.label_id if sample.label_id is not None else maps.get('label_id')
        depth = maps.get('depth_m', sample.teacher_depth_m)
        soft = sample.soft_label
        if sample.label_id is None or sample.nav7_id is not None:
            soft = maps.get('soft_label', soft)
        return replace(sample, teacher_depth_m=depth, label_id=label, soft_label=soft)


def name_of(dataset: Dataset, index: int) -> str | None:
    """Return a sample's name without reading it, where its data set can tell; else None."""
    if isinstance(dataset, Frames):
        return dataset.frames[index].name
    if isinstance(dataset, Joined):
        for part in dataset.parts:
            if index < len(part):
                name = name_of(part, index)
                return None if name is None else f'{part.name}/{name}'
            index -= len(part)
    return None
