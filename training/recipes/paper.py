# SPDX-License-Identifier: Apache-2.0
"""The shipped paper student, little trained: `python -m training.recipes.paper --out runs/paper`.

Two short runs on smaller crops, because a step costs it three times as long on a CPU as the plain
student. It ships to be timed and trained on, not to be used.
"""

from __future__ import annotations

import sys

from training.recipes.plain import COMMON, RUN_4, WITHOUT
from training.recipes.stages import Stage, main

COMMON_PAPER = f'{COMMON} {WITHOUT} {RUN_4} --student paper --crops 224x352 --focal-max-px 700'
STAGES = (
    Stage(
        '1', 'train',
        f'{COMMON_PAPER} --steps 1500 --schedule cosine --warmup-steps 200 --lr 2e-3 '
        '--alpha 0.15 --gamma 0.05 --class-balance 0.4 --paste 0 --restyle 0 --vertical-jitter 1 '
        '--sources synthetic:1,kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:0.8,'
        'camvid-train:2,nuscenes-front:0.8',
        'from random weights',
    ),
    Stage('1-last', 'export', '{out}/1/resume.ckpt --last --out {out}/1-last',
          'the last weights as files, not their average'),
    Stage(
        '2', 'train',
        f'{COMMON_PAPER} --init {{out}}/1-last/lightdepth_paper_L.onnx --steps 1400 --lr 2e-3 '
        '--ema 0 --seed 9',
        'from the last weights of that run',
    ),
    Stage('models', 'export', '{out}/2/resume.ckpt --out {out}/models', 'the files that ship'),
)  # fmt: skip

if __name__ == '__main__':
    sys.exit(main('paper', __doc__ or '', STAGES, sys.argv[1:]))
