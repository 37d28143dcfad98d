# SPDX-License-Identifier: Apache-2.0
"""Make the README's pictures: synthetic scenes with what the shipped model says of them.

  python -m tools.sample_pictures                     docs/images/scene_*.png and scenes.png
  python -m tools.sample_pictures --model FOLDER      another model (a contract or its folder)
  python -m tools.sample_pictures --scenes 3:14 9:2   other scenes, SEED:INDEX

Synthetic scenes are this project's own work, so their pictures may be shown anywhere; pictures of
road data sets may not. The scenes come from seeds that the shipped student was not trained on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from lightdepth_ros import draw, files
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.perception import cloud
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.perception import Perception
from tools.demo_pictures import beside, captioned, stacked
from training.datasets.sample import Sample
from training.datasets.synthetic import SyntheticScenes

PANEL_HW = (320, 480)
MAX_BYTES = 300_000
"""A README should open quickly: larger files are reduced in size until they fit."""
TRAINED_SEED = 0
SCENES = ('101:2', '101:4', '101:18', '101:24')
TILE_WIDTH = 360


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        'sample_pictures', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument('--out', type=Path, default=Path('docs/images'), help='folder of the PNGs')
    made.add_argument('--model', default='', help='contract JSON or folder; default: the shipped')
    made.add_argument(
        '--scenes', nargs='+', default=list(SCENES), metavar='SEED:INDEX', help='scenes to draw'
    )
    return made


def scene(text: str) -> Sample:
    """Render SEED:INDEX; raises ConfigError when the text is not that."""
    seed, _, index = text.partition(':')
    if not (seed.isdigit() and index.isdigit()):
        raise ConfigError(f'scene {text!r}: expected SEED:INDEX, two whole numbers, as in 101:3')
    if int(seed) == TRAINED_SEED:
        raise ConfigError(f'scene {text!r}: seed {TRAINED_SEED} is training data; choose another')
    height, width = PANEL_HW
    return SyntheticScenes(int(index) + 1, int(seed), height, width)[int(index)]


def truth_depth(sample: Sample) -> np.ndarray:
    """Return the exact depth as a Prediction would hold it: +Inf in the sky."""
    return np.where(sample.depth_m > 0, sample.depth_m, np.inf).astype(np.float32)


def panels(perception: Perception, sample: Sample) -> dict[str, np.ndarray]:
    """Return the pictures of one scene by name, each PANEL_HW wide, with bar or legend below."""
    frame = perception.predict(sample.rgb, sample.camera, ('depth', 'label', 'rgb'))
    prediction = frame.prediction
    points = cloud.points(prediction, frame.rgb)
    return {
        'camera (a synthetic scene)': sample.rgb.copy(),
        'depth, predicted': draw.depth_picture(prediction.depth_m, PANEL_HW),
        'labels, predicted': draw.label_picture(sample.rgb, prediction.label_id),
        'depth, exact': draw.depth_picture(truth_depth(sample), PANEL_HW),
        'labels, exact': draw.label_picture(sample.rgb, sample.label_id),
        'cloud from above': draw.cloud_picture(points, PANEL_HW),
    }


def sheet(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Put the panels of one scene into two rows of three."""
    shown = [captioned(picture, name) for name, picture in pictures.items()]
    camera, depth, labels, exact_depth, exact_labels, above = shown
    columns = [(camera, above), (depth, exact_depth), (labels, exact_labels)]
    rows = [max(column[k].shape[0] for column in columns) for k in range(2)]
    filled = [stacked([padded(p, r) for p, r in zip(c, rows, strict=True)]) for c in columns]
    return beside(beside(filled[0], filled[1]), filled[2])


def strip(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Return camera, depth and labels of one scene side by side, small, without bars."""
    height, width = PANEL_HW
    size = (TILE_WIDTH, round(TILE_WIDTH * height / width))
    names = list(pictures)[:3]
    tiles = [cv2.resize(pictures[n][:height], size, interpolation=cv2.INTER_AREA) for n in names]
    return beside(beside(tiles[0], tiles[1]), tiles[2])


def padded(picture: np.ndarray, height: int) -> np.ndarray:
    """Extend a picture downwards to a height."""
    missing = height - picture.shape[0]
    filler = np.full((missing, picture.shape[1], 3), draw.PAPER, np.uint8)
    return np.vstack([picture, filler])


def small_png(picture: np.ndarray) -> bytes:
    """Encode a picture as PNG of at most MAX_BYTES, reduced in size as far as that needs."""
    scale = 1.0
    while True:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        # Noise does not compress: 32 levels look the same and take half the room.
        coded = files.png(small & 0xF8 | 0x04)
        if len(coded) <= MAX_BYTES:
            return coded
        scale *= 0.92


def make(args: argparse.Namespace) -> list[Path]:
    """Write one sheet a scene and a strip of all; return their paths."""
    samples = [scene(text) for text in args.scenes]
    perception = load_perception(NodeConfig(model=args.model))
    contents, strips = {}, []
    for number, sample in enumerate(track(samples, description='drawing scenes')):
        pictures = panels(perception, sample)
        strips.append(strip(pictures))
        contents[args.out / f'scene_{number}.png'] = small_png(sheet(pictures))
    contents[args.out / 'scenes.png'] = small_png(stacked(strips))
    perception.close()
    files.write_files(contents)
    return list(contents)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    try:
        for path in make(parser().parse_args(argv)):
            print(path)
    except LightdepthError as error:
        print(f'sample_pictures: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
