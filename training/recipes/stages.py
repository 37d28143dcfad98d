# SPDX-License-Identifier: Apache-2.0
"""Runs a recipe: the commands of its stages, one after the other, each once.

A stage that was cut short goes on where it stopped, because `training.train` resumes its run; one
that is done is passed over. What is done is written into OUT/done.json with the stage's command,
so a stage whose command has changed since is refused instead of being taken for done.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import write_files

DONE = 'done.json'


@dataclass(frozen=True)
class Stage:
    """One command of a recipe.

    name     of the stage; a run of training goes into OUT/NAME.
    program  what follows `python -m training.`: train, average, blend or export.
    flags    the rest of the command; {out} is the folder of the recipe.
    about    what it is for, one line.
    """

    name: str
    program: str
    flags: str
    about: str

    def words(self, out: Path, free: Sequence[str] = ()) -> list[str]:
        """Return the command. free: flags that a run of training may change at will."""
        words = ['-m', f'training.{self.program}', *shlex.split(self.flags.format(out=out))]
        if self.program == 'train':
            words += ['--out', str(out / self.name), *free]
        return words


def read_done(out: Path) -> dict[str, list[str]]:
    """Return the stages that are done, each with its command."""
    path = out / DONE
    try:
        done: dict[str, list[str]] = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigError(f'{path} is damaged ({error}); delete it to run all stages') from error
    return done


def run(stages: Sequence[Stage], out: Path, free: Sequence[str] = ()) -> None:
    """Run the stages that are not done yet. Raises ConfigError at the first that fails."""
    done = read_done(out)
    for stage in stages:
        words = stage.words(out)
        if stage.name in done:
            if done[stage.name] != words:
                raise ConfigError(
                    f'stage {stage.name} in {out} was made by another command: '
                    f'{shlex.join(done[stage.name])}. Give another --out.'
                )
            print(f'stage {stage.name}: done')
            continue
        command = [sys.executable, *stage.words(out, free)]
        print(f'stage {stage.name}: {stage.about}\n  {shlex.join(command)}', flush=True)
        code = subprocess.run(command, check=False).returncode
        if code != 0:
            raise ConfigError(
                f'stage {stage.name} ended with code {code}; the same command goes on with it'
            )
        done[stage.name] = words
        write_files({out / DONE: (json.dumps(done, indent=2) + '\n').encode()})


def listed(stages: Sequence[Stage], out: Path) -> str:
    """Return the commands as a shell would take them, with what each is for."""
    lines = []
    for stage in stages:
        lines += [f'# {stage.name}: {stage.about}', shlex.join(['python', *stage.words(out)]), '']
    return '\n'.join(lines)


def main(name: str, about: str, stages: Sequence[Stage], argv: Sequence[str] | None) -> int:
    """Command line entry of a recipe."""
    parser = argparse.ArgumentParser(
        prog=f'python -m training.recipes.{name}', description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('--out', type=Path, default=Path('runs') / name, help='(%(default)s)')
    parser.add_argument('--list', action='store_true', help='print the commands and run nothing')
    parser.add_argument(
        'free', nargs='*', metavar='-- FLAG',
        help='flags for all runs of training that do not change their result, such as '
        '--threads 4 --workers 4, or --root FOLDER with the data',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.list:
        print(listed(stages, args.out))
        return 0
    try:
        run(stages, args.out, args.free)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0
