# SPDX-License-Identifier: Apache-2.0
"""One frame from data set to label store: read, teach, compensate, write. Runs in each worker."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from lightdepth_ros.contract import file_sha256
from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.files import WriteError
from lightdepth_ros.perception.occlusion import hidden_returns
from training.datasets.catalog import open_dataset
from training.datasets.sample import Dataset, Sample
from training.labels import compensate, local_correction
from training.labels import files as labels
from training.labels.labelled import name_of
from training.labels.soft import soften
from training.teachers.teacher import Teacher, TeacherOutput, open_teacher

SURE = 255


@dataclass(frozen=True)
class Plan:
    """What to make; picklable, the same in every worker and shard.

    compensation: none, local, or bins:FILE (JSON of estimate_bins). sky: label store that says
    where sky is; '' = the teacher's own labels or the data set's. narrow: limit classes to the
    data set's coarse truth where it has one. threads: per worker, 0 = all cores.
    """

    data: str
    teacher: str
    folder: Path
    root: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    compensation: str = 'none'
    sky: str = ''
    narrow: bool = True
    threads: int = 0

    def __post_init__(self) -> None:
        kind, _, file = self.compensation.partition(':')
        if kind not in ('none', 'local', 'bins') or (kind == 'bins') != bool(file):
            raise ConfigError(
                f'compensation is {self.compensation!r}; it must be none, local or bins:FILE'
            )


class Outcome(NamedTuple):
    """What became of one frame. row is None when it failed."""

    state: Literal['made', 'kept', 'failed']
    name: str
    row: labels.Row | None = None
    message: str = ''


class Labeller:
    """Holds the open data set, teacher and corrections; labels the frame of an index."""

    def __init__(self, plan: Plan) -> None:
        limit_threads(plan.threads)
        self.plan = plan
        self.dataset: Dataset = open_dataset(plan.data, plan.root)
        self.teacher: Teacher = open_teacher(plan.teacher, plan.options)
        self.done = labels.read_rows(plan.folder)
        kind, _, file = plan.compensation.partition(':')
        self.bins = compensate.load_bins(Path(file)) if kind == 'bins' else None
        self.local = kind == 'local'
        self.sky_rows = labels.read_rows(Path(plan.sky)) if plan.sky else {}
        if plan.sky and not self.sky_rows:
            raise DataError(f'{plan.sky} holds no finished labels to find sky in')

    def description(self) -> labels.Description:
        """Return what labels.json says of this plan."""
        correction: dict[str, Any] = {}
        if self.local:
            correction['local'] = vars(local_correction.LocalOptions())
        if self.bins:
            correction['bins_sha256'] = file_sha256(Path(self.plan.compensation.partition(':')[2]))
        if correction and self.plan.sky:
            correction['sky'] = Path(self.plan.sky).name
        return labels.Description(
            data='+'.join(re.split('[@%]', part)[0] for part in self.plan.data.split('+')),
            teacher=self.teacher.name,
            weights_sha256=self.teacher.weights_sha256,
            options=self.teacher.options | {'narrowed_by_coarse_truth': self.plan.narrow},
            compensation=correction,
        )

    def __call__(self, index: int) -> Outcome:
        """Label one frame, or find that it is done; a DataError is an outcome, not an end."""
        name = name_of(self.dataset, index) or ''
        if name and self.is_done(name):
            return Outcome('kept', name)
        try:
            sample = self.dataset[index]
            if not name and self.is_done(sample.name):
                return Outcome('kept', sample.name)
            output = self.corrected(sample, self.teacher(sample))
            row = labels.write_frame(
                self.plan.folder, sample.name, maps_of(output), self.notes(sample)
            )
        except WriteError:
            raise  # a full disk fails every frame: stop
        except DataError as error:
            return Outcome('failed', name or f'frame {index}', message=str(error))
        return Outcome('made', sample.name, row)

    def is_done(self, name: str) -> bool:
        """Tell whether the store has this frame, undamaged."""
        row = self.done.get(name)
        return row is not None and labels.is_whole(self.plan.folder, row)

    def notes(self, sample: Sample) -> dict[str, Any]:
        """Return what the manifest keeps of one frame beside its files."""
        points = 0 if sample.depth_m is None else int(np.count_nonzero(sample.depth_m))
        return {'lidar_points': points} if self.local or self.bins else {}

    def corrected(self, sample: Sample, output: TeacherOutput) -> TeacherOutput:
        """Apply the plan's compensation to depth and classes."""
        chances, coarse = output.probabilities, sample.nav7_id if self.plan.narrow else None
        if chances is not None:
            output = replace(output, soft_label=soften(chances, coarse))
        if chances is not None and coarse is not None:
            label, confidence = compensate.narrow_classes(chances, coarse)
            output = replace(output, label_id=label, confidence=confidence)
        if output.depth_m is None or not (self.local or self.bins):
            return output
        depth, kept = self.correct_depth(sample, output.depth_m)
        sky = self.sky_labels(sample, output)
        if sky is not None:
            depth = np.where(kept, depth, compensate.set_sky(depth, sky))
        confidence = output.confidence
        if confidence is not None:
            confidence = np.where(kept, np.uint8(SURE), confidence)
        return replace(output, depth_m=depth, confidence=confidence)

    def correct_depth(
        self, sample: Sample, teacher_m: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return corrected (H, W) metres and a bool map of the lidar points kept in it.

        A frame without lidar keeps what (a) makes of it, or under (b) the teacher's own depth.
        """
        depth = (
            teacher_m if self.bins is None else compensate.correct_by_bins(teacher_m, self.bins)
        )
        lidar = sample.depth_m
        if lidar is None or sample.camera is None:
            return depth, np.zeros(depth.shape, bool)
        if self.local:
            found = local_correction.correct_locally(depth, lidar, sample.camera.fx)
            return compensate.keep_lidar(found.depth_m, lidar, found.trusted), found.trusted
        visible = (lidar > 0) & ~hidden_returns(lidar, sample.camera.fx)
        return compensate.keep_lidar(depth, lidar, visible), visible

    def sky_labels(self, sample: Sample, output: TeacherOutput) -> np.ndarray | None:
        """Return (H, W) labels to find sky in: the store's, the teacher's or the data set's."""
        if not self.plan.sky:
            return output.label_id if output.label_id is not None else sample.label_id
        row = self.sky_rows.get(sample.name)
        if row is None or 'label' not in row.files:
            raise DataError(f'{self.plan.sky} has no label of {sample.name} to find sky in')
        return labels.read_frame(Path(self.plan.sky), row)['label_id']


def maps_of(output: TeacherOutput) -> dict[str, np.ndarray]:
    """Return the maps that the store keeps."""
    found = {name: getattr(output, name) for name in labels.KINDS.values()}
    return {name: array for name, array in found.items() if array is not None}


def limit_threads(threads: int) -> None:
    """Keep workers from fighting for cores. PyTorch is told only where it is in use already."""
    if threads <= 0:
        return
    cv2.setNumThreads(threads)
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
        os.environ[name] = str(threads)
