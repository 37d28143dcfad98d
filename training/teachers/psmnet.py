# SPDX-License-Identifier: Apache-2.0
"""The paper's depth teacher: PSMNet on rectified pairs, disparity turned into metres.

Weights: the authors' `pretrained_model_KITTI2015.tar`, or any state dict of their code.
`python -m training.teachers.fetch_psmnet` fetches that file. They were trained on KITTI 2015's
200 pairs after Scene Flow: on another camera expect worse, and compensate
(training.labels.compensate). Stereo's limits stand in stereo.py; what only the left
camera sees PSMNet fills in from context (often well), and this file halves its confidence.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from lightdepth_ros.contract import file_sha256
from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.folders import cache_home
from training.datasets.sample import Sample
from training.teachers.psmnet_disparity import summarise
from training.teachers.psmnet_network import FEATURE_STRIDE, MAX_DISPARITY, PSMNet
from training.teachers.stereo import depth_from_disparity, occluded, require_pair
from training.teachers.teacher import TeacherOutput, read_options

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of RGB in 0..1: what the published weights were trained with."""
DIVISOR = 16
SMALLEST_PX = 256
"""The pyramid's largest window covers 64 x 4 px: smaller inputs are padded to this."""
MARGIN_PX = 64
"""Columns of context on each side of a tile that are computed and thrown away."""
PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}


@dataclass(frozen=True)
class PSMNetOptions:
    """scale: 1, or 0.5 to match at half size (a quarter of time and memory, 2 px less exact).

    tile_px: widest strip of columns computed at once (0 = the whole image): less memory, more
    work.
    precision: fp32, or bf16 / fp16 autocast on a GPU (and bf16 on a CPU that has it).
    device: cpu, cuda, cuda:1 ...; auto = the GPU of this process if there is one.
    """

    scale: float = 1.0
    tile_px: int = 0
    precision: str = 'fp32'
    device: str = 'auto'

    def __post_init__(self) -> None:
        smallest = MAX_DISPARITY + 2 * MARGIN_PX + SMALLEST_PX
        if not 0.25 <= self.scale <= 1:
            raise ConfigError(f'scale is {self.scale}; it must lie in [0.25, 1]')
        if self.tile_px and self.tile_px < smallest:
            raise ConfigError(f'tile_px is {self.tile_px}; it must be 0 or at least {smallest}')
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f'precision is {self.precision!r}; it must be one of {", ".join(PRECISIONS)}'
            )


class PSMNetTeacher:
    """A loaded network; calling it with a stereo sample gives depth and confidence."""

    name = 'psmnet'

    def __init__(self, network: PSMNet, weights_sha256: str, options: PSMNetOptions) -> None:
        self.weights_sha256 = weights_sha256
        self.settings = options
        self.options = asdict(options)
        self.options.pop('device')  # where it runs is no property of the labels
        self.device = pick_device(options.device)
        self.network = network.eval().to(self.device)

    def __call__(self, sample: Sample) -> TeacherOutput:
        right, focal_baseline = require_pair(sample)
        disparity, confidence = self.disparity(sample.rgb, right)
        confidence[occluded(disparity)] //= 2
        return TeacherOutput(depth_from_disparity(disparity, focal_baseline), None, confidence)

    def disparity(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Match two (H, W, 3) uint8 images: (H, W) float32 px and (H, W) uint8 confidence."""
        hw = left.shape[:2]
        scale = self.settings.scale
        if scale != 1:
            size = (round(hw[1] * scale), round(hw[0] * scale))
            left, right = (
                cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (left, right)
            )
        disparity = np.empty(left.shape[:2], np.float32)
        confidence = np.empty(left.shape[:2], np.uint8)
        for tile in tiles(left.shape[1], self.settings.tile_px):
            found = self.match(left[:, tile.start : tile.end], right[:, tile.start : tile.end])
            kept = slice(tile.keep - tile.start, tile.keep_end - tile.start)
            disparity[:, tile.keep : tile.keep_end] = found[0][:, kept]
            confidence[:, tile.keep : tile.keep_end] = found[1][:, kept]
        if scale == 1:
            return disparity, confidence
        ratio = hw[1] / disparity.shape[1]
        return enlarge(disparity, hw) * np.float32(ratio), nearest(confidence, hw)

    def match(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Match two images in one pass of the network; same results as `disparity`."""
        height, width = left.shape[:2]
        with torch.inference_mode():
            with self.autocast():
                score = self.network(*(self.prepare(image) for image in (left, right)))
            height_px, width_px = score.shape[-2:]
            padded_hw = (height_px * FEATURE_STRIDE, width_px * FEATURE_STRIDE)
            disparity, confidence = summarise(score, padded_hw)
        top = padded_hw[0] - height  # padding is above and to the right
        return disparity[top:, :width], confidence[top:, :width]

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        """Turn (H, W, 3) uint8 into the padded, normalised (1, 3, H', W') network input."""
        rgb = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        scaled = (rgb / 255 - rgb.new_tensor(MEAN, dtype=torch.float32)) / rgb.new_tensor(
            STD, dtype=torch.float32
        )
        height, width = (max(s + -s % DIVISOR, SMALLEST_PX) for s in image.shape[:2])
        padding = (0, width - image.shape[1], height - image.shape[0], 0)
        return F.pad(scaled.permute(2, 0, 1)[None], padding)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context that runs the network at the asked precision."""
        dtype = PRECISIONS[self.settings.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)


class Tile(NamedTuple):
    """Columns [start, end) are matched, [keep, keep_end) of them are used."""

    start: int
    end: int
    keep: int
    keep_end: int


def tiles(width: int, tile_px: int) -> Iterator[Tile]:
    """Cut `width` columns into tiles of at most `tile_px` (0 = one tile).

    The match of column x lies up to 191 columns to its left, so a tile reaches that far, and
    MARGIN_PX on both sides, beyond the columns that it answers for.
    """
    if not tile_px or width <= tile_px:
        yield Tile(0, width, 0, width)
        return
    left, keep = MAX_DISPARITY + MARGIN_PX, 0
    while keep < width:
        start = max(0, keep - left)
        end = min(width, start + tile_px)
        keep_end = width if end == width else end - MARGIN_PX
        yield Tile(start, end, keep, keep_end)
        keep = keep_end


def nearest(array: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Resample by nearest neighbour to (height, width)."""
    return cv2.resize(array, hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def enlarge(disparity: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """Enlarge (h, w) float32: linear on surfaces, nearest neighbour across their edges."""
    window = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(disparity, window) > 1.1 * cv2.erode(disparity, window) + 0.5
    smooth = cv2.resize(disparity, hw[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(nearest(edge.astype(np.uint8), hw) > 0, nearest(disparity, hw), smooth)


def pick_device(text: str) -> torch.device:
    """Return the device that `text` names; auto takes the GPU with this process' LOCAL_RANK."""
    if text == 'auto':
        text = 'cpu'
        if torch.cuda.is_available():
            rank = int(os.environ.get('LOCAL_RANK', '0'))
            text = f'cuda:{rank % torch.cuda.device_count()}'
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise ConfigError(f'device is {text!r}; write cpu, cuda, cuda:0 or auto') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ConfigError(f'device is {text!r}, but PyTorch sees no GPU here; use device=cpu')
    return device


def default_weights() -> Path:
    """Return where fetch_psmnet puts the KITTI 2015 weights."""
    return cache_home() / 'lightdepth_ros' / 'psmnet_kitti2015.tar'


def load_network(path: Path) -> PSMNet:
    """Load a state dict of the authors' code, strictly.

    Accepts it bare or under the key `state_dict`, with or without the `module.` that
    torch.nn.DataParallel puts before each name. Nothing but tensors is unpickled.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        state = content.get('state_dict', content)
        network = PSMNet()
        network.load_state_dict({k.removeprefix('module.'): v for k, v in state.items()})
    except (OSError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        raise DataError(
            f'{path} holds no PSMNet (stacked hourglass) weights: {error}. Give a file such as '
            "the authors' pretrained_model_KITTI2015.tar as psmnet:FILE"
        ) from error
    return network


def open_teacher(argument: str, options: dict[str, str]) -> PSMNetTeacher:
    """Open `psmnet` (weights of fetch_psmnet) or `psmnet:FILE`."""
    path = Path(argument).expanduser() if argument else default_weights()
    if not path.is_file():
        raise DataError(
            f'there are no PSMNet weights at {path}. Fetch the KITTI 2015 weights with '
            '`python -m training.teachers.fetch_psmnet` (20 MB), or name a file as psmnet:FILE'
        )
    settings = read_options(PSMNetOptions, options)
    return PSMNetTeacher(load_network(path), file_sha256(path), settings)
