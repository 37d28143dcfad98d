# SPDX-License-Identifier: Apache-2.0
"""`lightdepth`: the command line. Each subcommand lives in a file of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from lightdepth_ros import __version__, terminal
from lightdepth_ros.errors import LightdepthError

COMMANDS = {
    'predict': (
        'lightdepth_ros.cli.predict',
        'depth, labels and point clouds of a picture, a folder or a video',
    ),
    'bag': (
        'lightdepth_ros.cli.bag',
        'the same for a ROS 2 bag; the outputs go into a new bag',
    ),
    'scale': (
        'lightdepth_ros.cli.scale',
        'measure depth_scale, by tape, lidar or camera height, and write it for the node',
    ),
    'bench': (
        'lightdepth_ros.cli.bench',
        'how fast each engine is here, and how close to the limits of the machine',
    ),
    'engine': (
        'lightdepth_ros.cli.engine',
        'build, list, check and prune inference engines',
    ),
}
"""Name -> module and what it does. The module has `parser(prog) -> ArgumentParser` and
`run(args) -> int`, the exit code; it is imported only when its command is given."""


def usage() -> str:
    """Return the text of `lightdepth --help`."""
    width = max(map(len, COMMANDS))
    return '\n'.join(
        [
            'usage: lightdepth COMMAND [options]',
            '',
            'Metric depth, semantic labels and point clouds from one camera. No ROS needed here.',
            '',
            'commands:',
            *(f'  {name:{width}}  {text}' for name, (_, text) in COMMANDS.items()),
            '',
            'lightdepth COMMAND --help explains one. lightdepth --version names the version.',
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0 only when everything was done."""
    words = list(sys.argv[1:] if argv is None else argv)
    known = words and words[0] in COMMANDS
    return terminal.run(lambda: _main(words), f'lightdepth {words[0]}' if known else 'lightdepth')


def _main(words: list[str]) -> int:
    if not words or words[0] in ('-h', '--help', 'help'):
        print(usage())
        return 0 if words else 2
    if words[0] == '--version':
        print(f'lightdepth {__version__}')
        return 0
    if words[0] not in COMMANDS:
        print(f'lightdepth: no command {words[0]!r}\n\n{usage()}', file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[words[0]][0])
    args = module.parser(f'lightdepth {words[0]}').parse_args(words[1:])
    try:
        code: int = module.run(args)
    except LightdepthError as error:
        print(f'lightdepth {words[0]}: {error}', file=sys.stderr)
        return 1
    return code
