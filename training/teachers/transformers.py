# SPDX-License-Identifier: Apache-2.0
"""Semantic and monocular depth teachers: any fitting model of Hugging Face `transformers`.

`transformers:FOLDER` loads a saved model from disk and touches no network;
`transformers:OWNER/NAME` takes it from the hub (cached there). Tested families: SegFormer,
MobileNetV2 DeepLabV3+, Mask2Former (labels); Depth Anything, DPT, ZoeDepth (depth). What a model
is comes from its own config.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForDepthEstimation,
    AutoModelForSemanticSegmentation,
    AutoModelForUniversalSegmentation,
)

from lightdepth_ros.classes import UNLABELLED
from lightdepth_ros.errors import ConfigError, DataError
from training.datasets.sample import Sample
from training.teachers.label_space import LabelSpace, map_names
from training.teachers.psmnet import pick_device
from training.teachers.relative import KINDS, Kind, metric_depth, require_truth
from training.teachers.teacher import TeacherOutput, read_options

LOADERS = {
    'SemanticSegmentation': AutoModelForSemanticSegmentation,
    'UniversalSegmentation': AutoModelForUniversalSegmentation,
    'DepthEstimation': AutoModelForDepthEstimation,
}
"""End of the class name in a model's config.json -> what loads it."""
DEPTH_KINDS: dict[str, Kind] = {'dpt': 'inverse', 'zoedepth': 'metric', 'glpn': 'metric'}
"""What the models of one type predict, where their config does not say."""
MULTIPLE_PX = 32


@dataclass(frozen=True)
class TransformersOptions:
    """least_confidence: labels whose chance is below become 255.

    height_px: images are brought to this height for a semantic network, 0 = their own. kind: what
    a depth network predicts: metric, inverse or affine; auto = as its config says. device: as
    psmnet.
    """

    least_confidence: float = 0.5
    height_px: int = 0
    kind: str = 'auto'
    device: str = 'auto'

    def __post_init__(self) -> None:
        if not 0 <= self.least_confidence < 1:
            raise ConfigError(
                f'least_confidence is {self.least_confidence}; it must lie in [0, 1)'
            )
        if self.height_px < 0:
            raise ConfigError(f'height_px is {self.height_px}; it must be 0 or a height')
        if self.kind not in ('auto', *KINDS):
            raise ConfigError(f'kind is {self.kind!r}; it must be auto or one of {KINDS}')


@dataclass(frozen=True)
class Loaded:
    """A model on its device, its image processor, and where they came from."""

    model: Any
    processor: Any
    source: str
    device: torch.device


class SemanticTeacher:
    """Labels, class chances and their confidence; `space.unmapped` are names without a class."""

    name = 'transformers'

    def __init__(self, loaded: Loaded, space: LabelSpace, options: TransformersOptions) -> None:
        self.loaded, self.space, self.settings = loaded, space, options
        self.matrix = torch.from_numpy(space.matrix).to(loaded.device)
        self.weights_sha256 = state_hash(loaded.model)
        self.options = {
            'model': Path(loaded.source).name,
            'least_confidence': options.least_confidence,
            'height_px': options.height_px,
            'unmapped': list(space.unmapped),
        }

    def __call__(self, sample: Sample) -> TeacherOutput:
        hw = sample.rgb.shape[:2]
        image = cv2.resize(sample.rgb, self.network_size(hw), interpolation=cv2.INTER_AREA)
        # Resizing and cropping of the processor's own would lose the picture's shape or its sides.
        inputs = self.loaded.processor(
            images=image, return_tensors='pt', do_resize=False, do_center_crop=False
        ).to(self.loaded.device)
        with torch.inference_mode():
            chances = class_chances(self.loaded.model(**inputs))
            ours = torch.einsum('oc,nchw->nohw', self.matrix, chances)
            ours = F.interpolate(ours, hw, mode='bilinear', align_corners=False)
        probabilities = ours[0].float().cpu().numpy()
        best = probabilities.max(0)
        label = probabilities.argmax(0).astype(np.uint8)
        foreign = 1 - probabilities.sum(0)  # classes of the model that are none of ours
        label[(best < self.settings.least_confidence) | (best < foreign)] = UNLABELLED
        confidence = np.rint(255 * best.clip(0, 1)).astype(np.uint8)
        return TeacherOutput(None, label, confidence, probabilities)

    def network_size(self, hw: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) for the network: same shape, multiples of 32."""
        ratio = (self.settings.height_px or hw[0]) / hw[0]
        height, width = (max(1, round(side * ratio / MULTIPLE_PX)) * MULTIPLE_PX for side in hw)
        return width, height


class DepthTeacher:
    """Depth in metres; relative depth is scaled by the frame's lidar, or refused."""

    name = 'transformers'

    def __init__(self, loaded: Loaded, kind: Kind) -> None:
        self.loaded, self.kind = loaded, kind
        self.weights_sha256 = state_hash(loaded.model)
        self.options = {'model': Path(loaded.source).name, 'kind': kind}

    def __call__(self, sample: Sample) -> TeacherOutput:
        require_truth(self.kind, sample.depth_m, sample.name)
        hw = sample.rgb.shape[:2]
        # Padding (ZoeDepth's default) would have to be cut off again; its only gain is the border.
        inputs = self.loaded.processor(images=sample.rgb, return_tensors='pt', do_pad=False)
        with torch.inference_mode():
            found = self.loaded.model(**inputs.to(self.loaded.device)).predicted_depth
            found = F.interpolate(found[:, None].float(), hw, mode='bilinear')
        predicted = found[0, 0].cpu().numpy()
        return TeacherOutput(metric_depth(predicted, self.kind, sample.depth_m, sample.name))


def class_chances(outputs: Any) -> torch.Tensor:
    """Return (N, C, h, w) chances of a model's outputs, per-pixel or per-mask."""
    if hasattr(outputs, 'masks_queries_logits'):
        # Each query is a class (the last one: nothing) and a mask: Cheng et al., NeurIPS 2021.
        classes = outputs.class_queries_logits.softmax(-1)[..., :-1]
        scores = torch.einsum('nqc,nqhw->nchw', classes, outputs.masks_queries_logits.sigmoid())
        return scores / scores.sum(1, keepdim=True).clamp_min(1.0)
    return outputs.logits.softmax(1)


def state_hash(model: torch.nn.Module) -> str:
    """Return the SHA-256 of all weights with their names, whatever files they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load(source: str, device: torch.device) -> tuple[str, Loaded]:
    """Return the task (a key of LOADERS) and the model of a folder or hub name."""
    local = Path(source).expanduser().is_dir()
    where = str(Path(source).expanduser()) if local else source
    if not local and not re.fullmatch(r'[\w.-]+/[\w.-]+', source):
        raise DataError(
            f'there is no folder {source}, and it is no hub name (OWNER/NAME). Give the folder '
            'that holds config.json, preprocessor_config.json and model.safetensors'
        )
    try:
        config = AutoConfig.from_pretrained(where, local_files_only=local)
        task = task_of(config)
        model = LOADERS[task].from_pretrained(where, local_files_only=local)
        processor = AutoImageProcessor.from_pretrained(
            where, local_files_only=local, backend='pil'
        )
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f'cannot load {source}: {error}') from error
    return task, Loaded(model.eval().to(device), processor, source, device)


def task_of(config: Any) -> str:
    """Return which of LOADERS fits the architecture that the config names."""
    names = config.architectures or []
    for task in LOADERS:
        if any(name.endswith(task) for name in names):
            return task
    raise DataError(
        f'this model is {", ".join(names) or "of no named architecture"}; a teacher must be one '
        f'for {", ".join(LOADERS)}'
    )


def depth_kind(config: Any, asked: str) -> Kind:
    """Return what a depth model predicts, or ask for it."""
    if asked != 'auto':
        return cast(Kind, asked)
    said = getattr(config, 'depth_estimation_type', None)
    if said is not None:
        return 'metric' if said == 'metric' else 'inverse'
    if config.model_type in DEPTH_KINDS:
        return DEPTH_KINDS[config.model_type]
    raise ConfigError(
        f'what does a {config.model_type} model predict? Say so with the option kind=metric, '
        'kind=inverse (1 / depth up to scale and shift) or kind=affine (depth up to the same)'
    )


def open_teacher(argument: str, options: dict[str, str]) -> SemanticTeacher | DepthTeacher:
    """Open `transformers:FOLDER` or `transformers:OWNER/NAME`."""
    if not argument:
        raise ConfigError('name a model folder or hub name, as in transformers:FOLDER')
    settings = read_options(TransformersOptions, options)
    task, loaded = load(argument, pick_device(settings.device))
    if task == 'DepthEstimation':
        return DepthTeacher(loaded, depth_kind(loaded.model.config, settings.kind))
    space = map_names({int(k): v for k, v in loaded.model.config.id2label.items()})
    if not space.matrix.any():
        raise DataError(
            f'{argument}: none of its {len(space.unmapped)} class names is known here '
            f'({", ".join(space.unmapped[:5])}, ...): name them in its config.json (id2label)'
        )
    if space.unmapped:
        names = ', '.join(space.unmapped)
        print(f'{argument}: classes without one of ours (255): {names}', file=sys.stderr)
    return SemanticTeacher(loaded, space, settings)
