# SPDX-License-Identifier: Apache-2.0
"""The shipped plain student, stage by stage: `python -m training.recipes.plain --out runs/plain`.

About 5.6 hours of one core of an AMD EPYC server CPU when it was made (November 2026). The runs
below were started by hand, as ideas came; some were stopped early, which --stop-at repeats. Since
then the network has got a second input, the ground map, and crops got more honest: this trains
today's network along the same path and gives other weights. To try first instead, from an empty
folder and not run in one piece yet: `python -m training.train --out runs/1 --steps 20000
--precision bf16-mixed --compile`.

  runs 1 to 3   frames without depth learnt from their sky, not yet from level ground
  run 4         took the cameras of CamVid and IDD to stand 1.4 m high
  runs 6 to 9   a step to the side moved the sky too, as if it were 160 m away
  run 13        all that is nearer than 6 m counted more, the road too; so in run 14
  runs 13-15    the ground map did not tell the height of a camera
"""

from __future__ import annotations

import sys

from training.recipes.stages import Stage, main

COMMON = '--precision bf16-mixed --threads 1 --compile'
WITHOUT = '--mount-known 0 --standing 0 --twins 0'
"""Turns off what training has learnt to do since."""
RUN_4 = (
    '--sources synthetic:1.3,kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:1,'
    'camvid-train:2,idd-train:1.4,nuscenes-front:1 '
    '--crops 320x480,256x416,320x352 --rotation-deg 2 --vertical-jitter 0.25 --mirror 0.5 '
    '--paste 0.7 --props 0 --restyle 0.3 --seam 0 --sidestep-m 0 --photometric 0.8 --lr 2.2e-3 '
    '--schedule linear --warmup-steps 100 --weight-decay 1e-4 --ema 0.998 --alpha 0.2 --beta 1 '
    '--gamma 0.1 --class-balance 0.5'
)
"""The settings of run 4; each stage below says what differs from them. A later flag wins."""
MIX_9 = (
    '--sources synthetic:5,kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:1,'
    'camvid-train:4,idd-train:2.5,nuscenes-front:1.5'
)
MIX_11 = (
    '--sources synthetic:3,kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:1,'
    'camvid-train:3,idd-train:2,nuscenes-front:1.5'
)
RUN_8 = (
    '--seam 0.3 --sidestep-m 2 --mirror 0.3 --photometric 1.4 --restyle 0.6 --rotation-deg 3 '
    '--vertical-jitter 0.5 --crops 320x480,256x416 --schedule constant --lr 2e-3 --ema 0.9993 '
    '--weight-decay 0.01 --warmup-steps 50'
)
RUN_11 = (
    f'{RUN_8} --ema 0.998 --crops 320x480,256x416,416x320,352x448 {MIX_11} --seed 51 --steps 6000'
)
RUN_13 = (
    f'{COMMON} --warmup-steps 50 --weight-decay 0.01 --ema 0.998 --schedule linear '
    '--validation kitti-val,camvid-seq-val,idd-part-val,more-rigs-val,robots,synthetic-robot-val '
    '--crops 192x608,224x512,320x384,320x480,416x320 --focal-min-px 180 --vertical-jitter 0.7 '
    '--rotation-deg 3 --mirror 0.4 --photometric 1.2 --restyle 0.5 --paste 1 --props 0.3 '
    '--seam 0.3 --sidestep-m 2 --twins 0.34'
)
"""The settings of the runs with a ground map (1 December 2026); the rest are defaults."""
LABELLED_13 = 'camvid-other-train:2.5,idd-part-train:2.5,nuscenes-front:1.5,more-nuscenes-train:1'
KITTI_13 = (
    'kitti-train:3,kitti-road:3,kitti-extra:0.3,kitti-unlabelled:0.7,more-kitti:5,'
    'more-semantics:1,more-grey:0.4,more-rigs-train:1.2'
)
KITTI_15 = (
    'kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:0.7,more-kitti:6,'
    'more-semantics:1,more-grey:0.4,more-rigs-train:1.5'
)
MIX_13 = f'--sources synthetic:1.5,synthetic-robot:6,{KITTI_13},{LABELLED_13}'
MIX_14 = f'--sources synthetic:1.5,synthetic-robot:7,{KITTI_13},{LABELLED_13}'
MIX_15 = f'--sources synthetic:1.5,synthetic-robot:5,{KITTI_15},{LABELLED_13}'
MIX_16 = f'--sources synthetic:1.5,synthetic-robot:6,{KITTI_15},{LABELLED_13}'
MIX_18 = (
    f'--sources synthetic:1.5,synthetic-robot:6,{KITTI_15},'
    'camvid-other-train:3.5,idd-part-train:3,nuscenes-front:2,more-nuscenes-train:1'
)


def run(name: str, about: str, flags: str, init: str = '') -> Stage:
    """Return a run of training; init: checkpoint in the recipe's folder to start from."""
    start = f' --init {{out}}/{init}' if init else ''
    return Stage(name, 'train', f'{COMMON} {WITHOUT} {RUN_4}{start} {flags}', about)


def mean(name: str, about: str, *checkpoints: str) -> Stage:
    """Return a stage that averages checkpoints of the recipe's folder into NAME.ckpt."""
    paths = ' '.join(f'{{out}}/{path}' for path in checkpoints)
    return Stage(name, 'average', f'{paths} --out {{out}}/{name}.ckpt', about)


STAGES = (
    run(
        '1', 'from random weights, smaller crops',
        '--steps 8000 --schedule constant --lr 2.5e-3 --warmup-steps 200 --alpha 0.15 '
        '--gamma 0.05 --class-balance 0.4 --paste 0 --restyle 0 --vertical-jitter 1 '
        '--crops 256x416,320x320,224x480 --sources synthetic:2.5,kitti-train:4,kitti-road:4,'
        'kitti-extra:0.3,kitti-unlabelled:0.8,camvid-train:1.7,idd-train:1.5,nuscenes-front:0.8',
    ),
    run(
        '2', 'the same, at a falling rate',
        '--steps 10000 --warmup-steps 50 --class-balance 0.4 --paste 0 --restyle 0 '
        '--vertical-jitter 1 --crops 256x416,320x320,224x480 --seed 1 --sources synthetic:1.8,'
        'kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:0.8,camvid-train:1.8,'
        'idd-train:1.5,nuscenes-front:0.8', '1/resume.ckpt',
    ),
    run(
        '3', 'crops nearer to the middle rows',
        '--steps 1500 --lr 1.5e-3 --warmup-steps 50 --ema 0.995 --class-balance 0.4 --paste 0 '
        '--restyle 0 --vertical-jitter 0.2 --crops 320x416,256x416 --seed 5 --sources '
        'synthetic:1.5,kitti-train:4,kitti-road:4,kitti-extra:0.3,kitti-unlabelled:0.8,'
        'camvid-train:1.5,idd-train:1.2,nuscenes-front:0.8', '2/resume.ckpt',
    ),
    run(
        '4', 'depth of level ground for cameras without depth, pasted obstacles, colours swapped',
        '--steps 9000 --stop-at 7250 --seed 7', '3/resume.ckpt',
    ),
    run(
        '5', 'on, at half the rate',
        '--steps 4000 --lr 1.1e-3 --warmup-steps 50 --restyle 0.25 --seed 8', '4/resume.ckpt',
    ),
    run(
        '6a', 'crops whose halves come from two views',
        '--steps 3000 --seam 0.4 --lr 1.5e-3 --warmup-steps 50 --seed 21', '5/resume.ckpt',
    ),
    run(
        '6b', 'views from a step to the side',
        '--steps 3000 --sidestep-m 1.5 --lr 1.5e-3 --warmup-steps 50 --seed 21', '5/resume.ckpt',
    ),
    mean('6', 'the mean of both', '6a/resume.ckpt', '6b/resume.ckpt'),
    run(
        '7', 'both at once, hardly mirrored',
        '--steps 2000 --stop-at 1000 --seam 0.25 --sidestep-m 1.5 --mirror 0.1 '
        '--crops 320x480,256x416 --lr 1.5e-3 --warmup-steps 50 --seed 33', '6.ckpt',
    ),
    run(
        '8', 'stronger changes of everything, at a constant rate',
        f'{RUN_8} --steps 12000 --stop-at 2250 --seed 35', '7/resume.ckpt',
    ),
    run(
        '9', 'more of the cameras without depth, at a falling rate',
        f'{RUN_8} --steps 2200 --stop-at 2000 --seam 0.4 --schedule linear --lr 1.8e-3 '
        f'--ema 0.9985 --val-every 400 --seed 37 {MIX_9}', '8/resume.ckpt',
    ),
    mean('10', 'the mean of steps 400 and 2,000', '9/best.ckpt', '9/resume.ckpt'),
    Stage('10-files', 'export', '{out}/10.ckpt --out {out}/10', 'as files, read back by 11'),
    run(
        '11a', 'tall and small crops too',
        f'{RUN_11} --stop-at 750', '10/lightdepth_plain_L.onnx',
    ),
    run(
        '11b', 'the whole width of a KITTI frame too',
        f'{RUN_11} --stop-at 1000 --crops 320x1056,320x480,256x416', '10/lightdepth_plain_L.onnx',
    ),
    mean('11', 'the mean of both', '11a/resume.ckpt', '11b/resume.ckpt'),
    run(
        '12', 'drawn posts and boxes among the pasted obstacles, at a falling rate',
        '--steps 4500 --seam 0.4 --sidestep-m 2 --mirror 0.3 --photometric 1.2 --restyle 0.5 '
        '--rotation-deg 3 --vertical-jitter 0.4 --paste 1 --props 0.3 '
        '--crops 320x480,256x416,416x320,352x448 --lr 1.8e-3 --weight-decay 0.01 '
        '--warmup-steps 50 --val-every 500 --seed 82 --sources synthetic:4,kitti-train:4,'
        'kitti-road:4,kitti-extra:0.3,kitti-unlabelled:1,camvid-train:4,idd-train:2.5,'
        'nuscenes-front:1.5', '11.ckpt',
    ),
    Stage('12-files', 'export', '{out}/12/resume.ckpt --out {out}/12-files',
          'the files that shipped in November 2026, read back by 13'),
    Stage(
        '13', 'train',
        f'{RUN_13} {MIX_13} --init {{out}}/12-files/lightdepth_plain_L.onnx --steps 9000 '
        '--stop-at 1100 --schedule constant --lr 1.8e-3 --warmup-steps 100 --seed 101',
        'the ground map, robot views, more streets, twins; constant rate',
    ),
    Stage(
        '14', 'train',
        f'{RUN_13} {MIX_14} --init {{out}}/13/resume.ckpt --steps 11500 --stop-at 1800 '
        '--lr 1.8e-3 --seed 102 --twin-weight 4',
        'more robot views, clear second choices of the label teacher',
    ),
    Stage(
        '15', 'train',
        f'{RUN_13} {MIX_15} --init {{out}}/14/resume.ckpt --steps 7800 --stop-at 3400 '
        '--lr 1.6e-3 --seed 103 --twin-weight 2',
        'weight on what stands instead of on all that is near',
    ),
    Stage(
        '16', 'train',
        f'{RUN_13} {MIX_16} --init {{out}}/15/resume.ckpt --steps 5000 --stop-at 3000 '
        '--lr 1.4e-3 --seed 104 --twin-weight 2',
        'the map tells the height of the camera too',
    ),
    Stage('16-files', 'export', '{out}/16/resume.ckpt --out {out}/16-files', 'read by 17'),
    Stage(
        '17', 'blend',
        '{out}/12-files/lightdepth_plain_L.json {out}/16-files/lightdepth_plain_L.json '
        '--share 0.4 --out {out}/17',
        'part of the way back to the weights of November: streets come back',
    ),
    Stage(
        '18', 'train',
        f'{RUN_13} {MIX_18} --init {{out}}/17/lightdepth_plain_L.onnx --steps 2600 --lr 8e-4 '
        '--ema 0.996 --seed 105 --twin-weight 2',
        'both settle, at a rate that falls to nothing',
    ),
    Stage('models', 'export', '{out}/18/resume.ckpt --out {out}/models', 'the files that ship'),
)  # fmt: skip
"""In this order. A new stage goes to the end, before `models`, which exports the last one."""

if __name__ == '__main__':
    sys.exit(main('plain', __doc__ or '', STAGES, sys.argv[1:]))
