# SPDX-License-Identifier: Apache-2.0
"""Semantic teacher: any .tflite segmentation model, run by LiteRT (`pip install ai-edge-litert`).

`tflite:MODEL.tflite` looks for the names of its classes in MODEL.csv or MODEL.json beside it
(class_table.py says how they are written), or where the option `classes` says. A model sees square
or 3:2 pictures as a rule, so a wide frame is cut into windows of the model's shape, which overlap;
chances are averaged where they do. Normalisation is not written in the file: look it up where the
model comes from, and set `pixels`.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.contract import file_sha256
from lightdepth_ros.errors import ConfigError, DataError
from training.datasets.sample import Sample
from training.teachers.class_table import find_table, read_table
from training.teachers.label_space import LabelSpace
from training.teachers.teacher import TeacherOutput, read_options

PIXELS = {
    'signed': ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    'unit': ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    'imagenet': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    'raw': ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
"""What the network expects: (mean, deviation) of RGB in 0..1. signed: -1..1. raw: 0..255."""
SCORES = ('auto', 'logits', 'chances')
OVERLAP = 0.2
"""Least share of a window that its neighbour covers too."""
CHANNELS = 3


@dataclass(frozen=True)
class TfliteOptions:
    """pixels: a key of PIXELS. scores: what the network gives; auto = chances where they are
    positive and add up to one. classes: file of the class names. least_confidence: labels whose
    chance is below become 255. flip: 1 = also look at the mirrored picture, and average.
    """

    pixels: str = 'signed'
    scores: str = 'auto'
    classes: str = ''
    least_confidence: float = 0.5
    flip: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value, known in (
            ('pixels', self.pixels, tuple(PIXELS)),
            ('scores', self.scores, SCORES),
            ('flip', self.flip, (0, 1)),
        ):
            if value not in known:
                raise ConfigError(
                    f'{name} is {value!r}; it must be one of {", ".join(map(str, known))}'
                )
        if not 0 <= self.least_confidence < 1:
            raise ConfigError(
                f'least_confidence is {self.least_confidence}; it must lie in [0, 1)'
            )


class Network(Protocol):
    """A model as an array function. window_hw: the height and width of picture that it takes."""

    window_hw: tuple[int, int]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return (h, w, C) float32 scores of (H, W, 3) float32 normalised values."""
        ...


class LiteRtNetwork:
    """One picture in, one map of scores out; quantised tensors are converted by their scales."""

    def __init__(self, interpreter: Any, source: Path) -> None:
        self.interpreter, self.source = interpreter, source
        interpreter.allocate_tensors()
        self.input, self.output = picture_input(interpreter, source), map_output(interpreter)
        shape = [int(n) for n in self.input['shape']]
        self.first = shape[1] == CHANNELS and shape[3] != CHANNELS
        self.window_hw = (shape[2], shape[3]) if self.first else (shape[1], shape[2])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        batch = values[None].transpose(0, 3, 1, 2) if self.first else values[None]
        self.interpreter.set_tensor(self.input['index'], quantised(batch, self.input))
        self.interpreter.invoke()
        raw = self.interpreter.get_tensor(self.output['index'])[0]
        if raw.ndim != 3:
            raise DataError(
                f'{self.source} gives a map of shape {raw.shape}; one score for each class and '
                'pixel is expected. Export the model without its last step, the arg max'
            )
        scores = real(raw, self.output)
        return scores.transpose(1, 2, 0) if self.first else scores


def picture_input(interpreter: Any, source: Path) -> dict[str, Any]:
    """Return what is known of the one input, which must be a picture of three colours."""
    inputs = interpreter.get_input_details()
    shape = [int(n) for n in inputs[0]['shape']]
    if len(inputs) != 1 or len(shape) != 4 or CHANNELS not in (shape[1], shape[3]):
        raise DataError(
            f'{source} takes {len(inputs)} input(s), the first of shape {shape}; a segmentation '
            'model takes one picture, (1, H, W, 3) or (1, 3, H, W)'
        )
    details: dict[str, Any] = inputs[0]
    return details


def map_output(interpreter: Any) -> dict[str, Any]:
    """Return what is known of the largest output: others are auxiliary heads."""
    outputs: list[dict[str, Any]] = interpreter.get_output_details()
    return max(outputs, key=lambda o: int(np.prod(o['shape'])))


def quantised(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return the tensor that the network takes of real `values`."""
    scale, zero = details['quantization']
    if not scale:
        return values.astype(details['dtype'])
    limits = np.iinfo(details['dtype'])
    steps = np.rint(values / scale + zero)
    return steps.clip(limits.min, limits.max).astype(details['dtype'])


def real(tensor: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return the float32 values of a tensor that the network gave."""
    scale, zero = details['quantization']
    values = tensor.astype(np.float32)
    return (values - zero) * np.float32(scale) if scale else values


def windows(size: int, window: int) -> list[int]:
    """Return the starts of windows that cover `size` evenly and overlap by OVERLAP at least."""
    if window >= size:
        return [0]
    count = 1 + int(np.ceil((size - window) / (window * (1 - OVERLAP)) - 1e-9))
    return [round(k * (size - window) / (count - 1)) for k in range(count)]


def window_size(hw: tuple[int, int], shape_hw: tuple[int, int]) -> tuple[int, int]:
    """Return the largest (height, width) of the network's shape that fits into a frame."""
    scale = min(hw[0] / shape_hw[0], hw[1] / shape_hw[1])
    return min(round(shape_hw[0] * scale), hw[0]), min(round(shape_hw[1] * scale), hw[1])


def chances_of(scores: np.ndarray, kind: str) -> np.ndarray:
    """Return (h, w, C) chances of (h, w, C) scores."""
    if kind == 'auto':
        positive = scores.min() >= -1e-3
        kind = 'chances' if positive and abs(float(scores.sum(2).mean()) - 1) < 0.02 else 'logits'
    if kind == 'chances':
        return scores
    power = np.exp(scores - scores.max(2, keepdims=True))
    chances: np.ndarray = power / power.sum(2, keepdims=True)
    return chances


class TfliteTeacher:
    """Labels, class chances and their confidence."""

    name = 'tflite'

    def __init__(
        self, network: Network, space: LabelSpace, options: TfliteOptions, source: Path
    ) -> None:
        self.network, self.space, self.settings, self.source = network, space, options, source
        self.weights_sha256 = file_sha256(source)
        kept = {k: v for k, v in asdict(options).items() if k not in ('classes', 'threads')}
        self.options = {'model': source.name, 'unmapped': list(space.unmapped), **kept}

    def __call__(self, sample: Sample) -> TeacherOutput:
        chances = self.frame_chances(sample.rgb)
        if self.settings.flip:
            mirrored = self.frame_chances(np.ascontiguousarray(sample.rgb[:, ::-1]))
            chances = (chances + mirrored[:, :, ::-1]) / 2
        return labelled(chances, self.settings.least_confidence)

    def frame_chances(self, rgb: np.ndarray) -> np.ndarray:
        """Return (19, H, W) float32 chances of our classes, windows averaged."""
        hw = (rgb.shape[0], rgb.shape[1])
        height, width = window_size(hw, self.network.window_hw)
        total = np.zeros((len(self.space.matrix), *hw), np.float32)
        count = np.zeros(hw, np.float32)
        for y in windows(hw[0], height):
            for x in windows(hw[1], width):
                part = np.s_[y : y + height, x : x + width]
                found = self.window_chances(rgb[part])
                total[:, y : y + height, x : x + width] += found
                count[part] += 1
        return total / count

    def window_chances(self, rgb: np.ndarray) -> np.ndarray:
        """Return (19, h, w) float32 chances of one window, (h, w, 3) uint8."""
        height, width = self.network.window_hw
        how = cv2.INTER_AREA if height < rgb.shape[0] else cv2.INTER_LINEAR
        small = cv2.resize(rgb, (width, height), interpolation=how)
        mean, deviation = (np.array(v, np.float32) for v in PIXELS[self.settings.pixels])
        scores = self.network((small.astype(np.float32) / 255 - mean) / deviation)
        if scores.shape[2] != self.space.matrix.shape[1]:
            raise DataError(
                f'{self.source} gives {scores.shape[2]} scores a pixel, its table of classes has '
                f'{self.space.matrix.shape[1]} rows: one row for each score, in order, is expected'
            )
        chances = chances_of(scores, self.settings.scores)
        ours = np.einsum('oc,hwc->ohw', self.space.matrix, chances)
        size = rgb.shape[1::-1]
        return np.stack([cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) for c in ours])


def labelled(chances: np.ndarray, least_confidence: float) -> TeacherOutput:
    """Return the output of (19, H, W) float32 chances; what is missing from 1 is none of ours."""
    best = chances.max(0)
    label = chances.argmax(0).astype(np.uint8)
    label[(best < least_confidence) | (best < 1 - chances.sum(0))] = UNLABELLED
    confidence = np.rint(255 * best.clip(0, 1)).astype(np.uint8)
    return TeacherOutput(None, label, confidence, chances)


def make_interpreter(source: Path, threads: int) -> Any:
    """Return LiteRT's interpreter of a file."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ConfigError(
            'the teacher tflite needs LiteRT, which is not installed: pip install ai-edge-litert'
        ) from error
    if not source.is_file():
        raise DataError(f'there is no model {source}')
    try:
        return Interpreter(model_path=str(source), num_threads=threads)
    except ValueError as error:
        raise DataError(f'LiteRT cannot load {source}: {error}') from error


def open_teacher(argument: str, options: dict[str, str]) -> TfliteTeacher:
    """Open `tflite:MODEL.tflite`."""
    if not argument:
        raise ConfigError('name a model file, as in tflite:models/segmenter.tflite')
    settings, source = read_options(TfliteOptions, options), Path(argument).expanduser()
    network = LiteRtNetwork(make_interpreter(source, settings.threads), source)
    space = read_table(find_table(source, settings.classes))
    if space.unmapped:
        names = ', '.join(space.unmapped)
        print(f'{source}: classes without one of ours (255): {names}', file=sys.stderr)
    return TfliteTeacher(network, space, settings, source)
