# SPDX-License-Identifier: Apache-2.0
"""Make the pictures of README.md and docs/: synthetic scenes with what the model says of them.

  python -m tools.sample_pictures                     docs/images: demo.gif, rviz.png, scenes.png
  python -m tools.sample_pictures --model FOLDER      another model (a contract or its folder)
  python -m tools.sample_pictures --scenes 3:14 9:2   other scenes in scenes.png, SEED:INDEX

Run it again whenever other weights ship. Synthetic scenes are this project's own work, so their
pictures may be shown anywhere; pictures of road data sets may not. Drive and scenes come from
seeds that the shipped student was not trained on.
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
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.perception import Perception
from tools import drive_pictures
from tools.demo_drive import SYNTHETIC_FRAMES
from tools.demo_pictures import beside, stacked
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
    made.add_argument('--out', type=Path, default=Path('docs/images'), help='folder to write to')
    made.add_argument('--model', default='', help='contract JSON or folder; default: the shipped')
    made.add_argument(
        '--scenes', nargs='+', default=list(SCENES), metavar='SEED:INDEX', help='scenes to draw'
    )
    made.add_argument(
        '--drive-frames',
        type=int,
        default=SYNTHETIC_FRAMES,
        help='length of the drive, at 10 Hz (default: %(default)s)',
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


def strip(perception: Perception, sample: Sample) -> np.ndarray:
    """Return camera image, depth and labels of one scene side by side."""
    prediction = perception.predict(sample.rgb, sample.camera, ('depth', 'label')).prediction
    assert prediction.label_id is not None
    height, width = PANEL_HW
    pictures = [
        sample.rgb,
        draw.depth_picture(prediction.depth_m, PANEL_HW)[:height],
        draw.overlay_labels(sample.rgb, prediction.label_id),
    ]
    size = (TILE_WIDTH, round(TILE_WIDTH * height / width))
    tiles = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
    return beside(beside(tiles[0], tiles[1]), tiles[2])


def small_png(picture: np.ndarray) -> bytes:
    """Encode a picture as PNG of at most MAX_BYTES, reduced in size as far as that needs."""
    coded = files.png(picture)
    scale = 1.0
    while len(coded) > MAX_BYTES:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        # Noise does not compress: 32 levels look the same and take half the room.
        coded = files.png(small & 0xF8 | 0x04)
        scale *= 0.92
    return coded


def make(args: argparse.Namespace) -> list[Path]:
    """Write the pictures; return their paths."""
    samples = [scene(text) for text in args.scenes]
    perception = load_perception(NodeConfig(model=args.model))
    strips = [strip(perception, s) for s in track(samples, description='drawing scenes')]
    total = -(-args.drive_frames // drive_pictures.EVERY)
    drive = track(
        drive_pictures.frames(perception, args.drive_frames), 'drawing the drive', total=total
    )
    shown = list(drive)
    perception.close()
    contents = {
        args.out / 'scenes.png': small_png(stacked(strips)),
        args.out / 'demo.gif': drive_pictures.gif([drive_pictures.tiles(s) for s in shown]),
        args.out / 'rviz.png': small_png(drive_pictures.still(shown[len(shown) * 2 // 3])),
    }
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
