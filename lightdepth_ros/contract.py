# SPDX-License-Identifier: Apache-2.0
"""ModelContract: the JSON beside each ONNX file that says what the file expects and gives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightdepth_ros.classes import CLASSES, SemanticClass
from lightdepth_ros.errors import ContractError
from lightdepth_ros.mount import MAP_STRIDE

FORMAT = 2
FORMATS = (1, 2)
"""What is read. Format 1 knew no ground map: its files load as models that take none."""
MODELS_DIR = Path(__file__).parent / 'models'
EXIT_STRIDE = {'L': 2, 'M': 4, 'S': 8, 'XS': 16}
"""Input pixels per output pixel of each exit: 480x320 in gives 240x160, 120x80, 60x40 or 30x20
out."""


@dataclass(frozen=True)
class ModelContract:
    """Everything the runtime must know about one exported exit of one student.

    ONNX interface, fixed: input `image` (1, H, W, 3) uint8 RGB and, where `takes_ground`, input
    `ground` (1, 4, H / 16, W / 16) float32, the ground map of lightdepth_ros/mount.py; outputs
    `depth` (1, h, w) float32 in metres for a camera whose focal length is `canonical_focal_px`
    network pixels (and which, where the ground map tells its mount, stands `canonical_height_m`
    over the ground), `label` (1, h, w) uint8 and `confidence` (1, h, w) uint8 (see Prediction).
    H and W are free multiples of `divisor`; h = H / stride, w = W / stride.

    canonical_height_m: None = the model takes no ground map.
    """

    student: str
    exit: str
    onnx_file: str
    onnx_sha256: str
    canonical_focal_px: float
    depth_range_m: tuple[float, float]
    input_hw: tuple[int, int] = (320, 480)
    divisor: int = 32
    classes: tuple[SemanticClass, ...] = CLASSES
    training: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    canonical_height_m: float | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ContractError(
                f'contract format is {self.format}, this version reads '
                f'{" and ".join(map(str, FORMATS))}. Export the model again with '
                '`python -m training.export`, or install the matching lightdepth_ros.'
            )
        self._check_ground()
        if self.exit not in EXIT_STRIDE:
            raise ContractError(
                f'exit is {self.exit!r}; it must be one of {", ".join(EXIT_STRIDE)}'
            )
        if any(side <= 0 or side % self.divisor for side in self.input_hw):
            raise ContractError(
                f'input_hw is {self.input_hw}; both must be multiples of {self.divisor}'
            )
        near, far = self.depth_range_m
        if not (0 < near < far and math.isfinite(far)):
            raise ContractError(
                f'depth_range_m is {self.depth_range_m}; it must be 0 < near < far'
            )
        if not (math.isfinite(self.canonical_focal_px) and self.canonical_focal_px > 0):
            raise ContractError(
                f'canonical_focal_px is {self.canonical_focal_px}; it must be positive'
            )
        if [c.id for c in self.classes] != list(range(len(self.classes))) or not self.classes:
            raise ContractError(
                f'class ids are {[c.id for c in self.classes]}; they must count up from 0'
            )

    def _check_ground(self) -> None:
        height_m = self.canonical_height_m
        if height_m is None:
            return
        if self.format == 1:
            raise ContractError(
                f'canonical_height_m is {height_m} in a contract of format 1, which knows no '
                'ground map. Export the model again with `python -m training.export`.'
            )
        if not (math.isfinite(height_m) and height_m > 0):
            raise ContractError(
                f'canonical_height_m is {height_m}; it must be positive, or null for a model '
                'that takes no ground map'
            )
        if self.divisor % MAP_STRIDE:
            raise ContractError(
                f'divisor is {self.divisor}; a model with a ground map needs a multiple of '
                f'{MAP_STRIDE}, the size of its cells'
            )

    @property
    def takes_ground(self) -> bool:
        """Whether the model has the input `ground`."""
        return self.canonical_height_m is not None

    @property
    def stride(self) -> int:
        """Input pixels per output pixel, along each side."""
        return EXIT_STRIDE[self.exit]

    @property
    def output_hw(self) -> tuple[int, int]:
        """Output (height, width) at the default input size."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def to_json(self) -> str:
        """Return the contract as indented JSON text."""
        data = dataclasses.asdict(self)
        data['classes'] = [c._asdict() for c in self.classes]
        return json.dumps(data, indent=2) + '\n'

    @classmethod
    def from_json(cls, text: str, source: str = 'contract') -> ModelContract:
        """Read `to_json`'s text. `source` names the file in errors (ContractError)."""
        try:
            data = json.loads(text)
            data['classes'] = tuple(
                SemanticClass(int(c['id']), str(c['name']), tuple(c['color']), int(c['nav7']))
                for c in data['classes']
            )
            data['input_hw'] = tuple(int(v) for v in data['input_hw'])
            data['depth_range_m'] = tuple(float(v) for v in data['depth_range_m'])
            height_m = data.get('canonical_height_m')
            data['canonical_height_m'] = None if height_m is None else float(height_m)
            return cls(**data)
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f'{source} is not a model contract ({type(error).__name__}: {error}). '
                'Export the model again with `python -m training.export`.'
            ) from error


def model_name(student: str, exit_name: str) -> str:
    """Return the file stem of one exported exit, for example `lightdepth_plain_L`."""
    return f'lightdepth_{student}_{exit_name}'


def shipped_contract(student: str, exit_name: str) -> Path:
    """Return the path of the contract that ships with the package for one student and exit."""
    return MODELS_DIR / f'{model_name(student, exit_name)}.json'


def load_contract(path: Path) -> ModelContract:
    """Read a contract and check that the ONNX file beside it is the one it describes.

    Raises ContractError naming the file, what is wrong and the remedy.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(
            f'cannot read the model contract {path}: {error}. Give a contract JSON written by '
            '`python -m training.export`, or leave the model at its default.'
        ) from error
    contract = ModelContract.from_json(text, str(path))
    onnx_path = path.parent / contract.onnx_file
    if not onnx_path.is_file():
        raise ContractError(
            f'{path} describes {onnx_path}, which does not exist. '
            'Keep the JSON and the ONNX file together.'
        )
    found = file_sha256(onnx_path)
    if found != contract.onnx_sha256:
        raise ContractError(
            f'{onnx_path} has SHA-256 {found[:12]}..., its contract says '
            f'{contract.onnx_sha256[:12]}...: the files are from different exports or one is '
            'damaged. Copy both from the same export.'
        )
    return contract


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
