# SPDX-License-Identifier: Apache-2.0
"""What a teacher is (a named function from a sample to dense pseudo-labels); how to open one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from lightdepth_ros.errors import ConfigError
from training.datasets.sample import Sample

FIELDS = {'depth_m': np.float32, 'label_id': np.uint8, 'confidence': np.uint8}
"""Fields of TeacherOutput that are maps of the image's size, and their dtypes."""


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher says about one frame, at the size (H, W) of its image.

    depth_m        (H, W) float32, metres along Z; 0 = no value (unknown, or too far to tell). None
                   = this teacher knows no depth.
    label_id       (H, W) uint8, Cityscapes train ids; 255 = unlabelled. None = it knows no labels.
    confidence     (H, W) uint8, 0..255: the teacher's own chance, times 255, that the depth is
                   within a factor 1.25 (or, without depth, that the label is right). None = it has
                   no opinion about itself.
    probabilities  (19, H, W) float32, chance of each class; what the teacher believes to be none
                   of them is missing from the sum. None = no labels.
    soft_label     (h, w, 3) uint8, as Sample.soft_label, at a size of its own. None = none.
    """

    depth_m: np.ndarray | None = None
    label_id: np.ndarray | None = None
    confidence: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    soft_label: np.ndarray | None = None

    def __post_init__(self) -> None:
        maps = {name: getattr(self, name) for name in FIELDS if getattr(self, name) is not None}
        for name, array in maps.items():
            if array.ndim != 2 or array.dtype != FIELDS[name]:
                raise ValueError(
                    f'{name} must be (H, W) {np.dtype(FIELDS[name])}, got {array.shape} '
                    f'{array.dtype}'
                )
        shapes = {array.shape for array in maps.values()}
        if self.probabilities is not None:
            shapes.add(self.probabilities.shape[1:])
        if len(shapes) > 1:
            raise ValueError(f'maps of one frame have different sizes: {sorted(shapes)}')


class Teacher(Protocol):
    """Turns samples into pseudo-labels. Opened once per process, called once per frame.

    name            for manifests, for example 'psmnet'.
    weights_sha256  hash of the weights; '' = it has none.
    options         every setting that changes its output, as plain JSON values.
    """

    name: str
    weights_sha256: str
    options: dict[str, Any]

    def __call__(self, sample: Sample) -> TeacherOutput:
        """Label one frame. Raises DataError when the sample lacks what this teacher needs."""
        ...


TEACHERS = {
    'psmnet': 'stereo network; needs right images, a baseline and weights (psmnet:FILE)',
    'sgbm': 'classical stereo matching of OpenCV; needs right images and a baseline',
    'transformers': 'labels or depth of any model folder or hub name (transformers:FOLDER)',
    'tflite': 'labels of any .tflite segmentation model (tflite:FILE; needs ai-edge-litert)',
    'stored': 'labels that make_labels wrote before, to compensate them (stored:FOLDER)',
}
"""Name -> what it is. `training.teachers.<name>.open_teacher(argument, options)` opens it."""


def open_teacher(text: str, options: Mapping[str, str] | None = None) -> Teacher:
    """Open NAME or NAME:ARGUMENT, with option name -> text as given on a command line."""
    name, _, argument = text.partition(':')
    if name not in TEACHERS:
        known = '\n'.join(f'  {key:13} {about}' for key, about in TEACHERS.items())
        raise ConfigError(f'there is no teacher {name!r}; there are\n{known}')
    module = import_module(f'training.teachers.{name}')
    teacher: Teacher = module.open_teacher(argument, dict(options or {}))
    return teacher


Options = TypeVar('Options')


def read_options(kind: type[Options], texts: Mapping[str, str]) -> Options:
    """Build the frozen dataclass `kind` of a teacher's options from command line texts.

    Raises ConfigError for an unknown name or a text that is no value of the field's type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, text in texts.items():
        if name not in fields:
            raise ConfigError(
                f'this teacher has no option {name!r}; it has {", ".join(fields) or "none"}'
            )
        default_type = type(fields[name].default)
        try:
            values[name] = default_type(text)
        except ValueError as error:
            raise ConfigError(
                f'option {name} is {text!r}; a value like {fields[name].default!r} is expected'
            ) from error
    return kind(**values)
