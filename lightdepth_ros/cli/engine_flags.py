# SPDX-License-Identifier: Apache-2.0
"""The flags of `lightdepth engine` and their help."""

from __future__ import annotations

import argparse

from lightdepth_ros.backends import BACKENDS, PRECISIONS
from lightdepth_ros.cli.model_flags import add_model_flags, teaching
from lightdepth_ros.engines.cache import MAX_BYTES, MAX_FILES

DESCRIPTION = """\
Build, list, check and prune inference engines.

ONNX Runtime and OpenVINO load a model in well under a second and keep nothing. TensorRT builds
an engine for one GPU, one input size and one precision; it is kept in
$XDG_CACHE_HOME/lightdepth_ros and found again by everything it depends on, so a stale one is
never used. The node builds what it needs by itself: `build` only does it beforehand.
"""

EXAMPLES = """\
examples:
  lightdepth engine check                       every backend here against ONNX Runtime
  lightdepth engine build                       all four exits for the GPU of this machine
  lightdepth engine build --compute-capability 8.9 --exit L
                                                on a machine without a GPU, for an RTX 40 (needs
                                                tensorrt-rtx); copy the cache folder afterwards
  lightdepth engine list
  lightdepth engine prune --all

`lightdepth engine ACTION --help` says more of each.
"""

BUILD = (
    """\
Build what the node would build at its start: for each output resolution one engine for all
outputs and one for depth alone, at one input size and precision. What is cached already is kept.
Takes seconds an engine with tensorrt-rtx, up to minutes with tensorrt; it says every 5 s that
it is at work. Needs the packages that `lightdepth engine check --backend tensorrt` asks for.
""",
    """\
examples:
  lightdepth engine build                       all four exits at 480x320, in half precision
  lightdepth engine build --exit S --input 640x384 --precision fp32
  lightdepth engine build --model out/lightdepth_plain_L.json
  lightdepth engine build --compute-capability 8.9
                                                for an RTX 40, on any x86 machine; then copy the
                                                folder that the last line names
""",
)
LIST = (
    """\
Show the cached engines, the last used one first, and what `backend: auto` took here and why.
Files that cannot be used any more are named with the reason; `prune` deletes them.
""",
    """\
examples:
  lightdepth engine list
  XDG_CACHE_HOME=/mnt/robot lightdepth engine list
                                                the cache in another folder, here of another disk
""",
)
CHECK = (
    """\
Run each engine on a known image, the golden frame, and compare the result with ONNX Runtime's.
The node does the same before it uses an engine. The bounds for each precision are in
lightdepth_ros/engines/golden.py. The exit code is 1 if an engine differs by more, or if a backend
that you named cannot run. Backends that are not installed are listed and skipped.
""",
    """\
examples:
  lightdepth engine check                       every backend that is installed, all four exits
  lightdepth engine check --backend tensorrt    also says what to install, if it is missing
  lightdepth engine check --backend openvino --precision bf16 --exit L
  lightdepth engine check --backend auto --threads 2
                                                which one `backend: auto` takes, and why
""",
)
PRUNE = (
    """\
Delete cached engines: damaged ones always, then the least recently used beyond the bounds. Each
build does the same, so it is rarely needed. A running node keeps its engine: it was read into
memory.
""",
    """\
examples:
  lightdepth engine prune                       what cannot be used
  lightdepth engine prune --max-files 4
  lightdepth engine prune --all                 everything; `backend: auto` measures again, too
""",
)


def parser(prog: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    top = argparse.ArgumentParser(prog=prog, **teaching(DESCRIPTION, EXAMPLES))
    actions = top.add_subparsers(dest='action', required=True, metavar='ACTION')
    _add_build_flags(
        actions.add_parser(
            'build', help='build TensorRT engines into the cache', **teaching(*BUILD)
        )
    )
    actions.add_parser('list', help='show the cached engines', **teaching(*LIST))
    _add_check_flags(
        actions.add_parser(
            'check', help="compare engines' numbers with ONNX Runtime's", **teaching(*CHECK)
        )
    )
    _add_prune_flags(
        actions.add_parser(
            'prune', help='delete engines that are damaged or long unused', **teaching(*PRUNE)
        )
    )
    return top


def _add_build_flags(build: argparse.ArgumentParser) -> None:
    add_model_flags(build)
    build.add_argument(
        '--precision',
        choices=('auto', *PRECISIONS['tensorrt']),
        default='auto',
        help=f'default: auto = {PRECISIONS["tensorrt"][0]}',
    )
    build.add_argument(
        '--compute-capability',
        metavar='X.Y',
        help='build for this kind of GPU instead of the one in this machine, which need not have '
        'one; tensorrt-rtx only. 7.5 = RTX 20, 8.6 = RTX 30, 8.9 = RTX 40, 12.0 = RTX 50',
    )


def _add_check_flags(check: argparse.ArgumentParser) -> None:
    add_model_flags(check)
    check.add_argument(
        '--backend', choices=BACKENDS, help='default: each one that is installed here'
    )
    check.add_argument(
        '--precision',
        choices=('auto', *dict.fromkeys(p for offered in PRECISIONS.values() for p in offered)),
        default='auto',
        help='of the backend that --backend names. Default: auto = the first it offers',
    )
    check.add_argument('--threads', type=int, default=1, help='CPU threads. Default: 1')


def _add_prune_flags(less: argparse.ArgumentParser) -> None:
    less.add_argument(
        '--all', action='store_true', help='delete every engine, and what backend auto remembers'
    )
    less.add_argument(
        '--max-files',
        type=int,
        default=MAX_FILES,
        metavar='N',
        help=f'engines to keep. Default: {MAX_FILES}',
    )
    less.add_argument(
        '--max-mib',
        type=int,
        default=MAX_BYTES >> 20,
        metavar='N',
        help=f'space for them in MiB. Default: {MAX_BYTES >> 20}',
    )
