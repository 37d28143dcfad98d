# SPDX-License-Identifier: Apache-2.0
"""Write requirements/constraints.txt: the versions, as installed here, of everything that the
pinned packages of requirements/*.txt pull in.

Run by `make lock` in a virtual environment with all sets, after changing a pin.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

FOLDER = Path(__file__).resolve().parents[1] / 'requirements'
SETS = ('runtime', 'ros', 'test', 'training')
HEADER = """\
# Written by `make lock`: versions of what the pinned packages pull in themselves, so that a
# machine set up next year gets the set that was tested. Python 3.10 needs older ones of some
# and lets pip choose; the ROS packages are the same everywhere.
"""


def normal(name: str) -> str:
    """Return a package name as registries compare it (PEP 503)."""
    return re.sub(r'[-_.]+', '-', name).lower()


def needed(requirements: list[Requirement]) -> list[Requirement]:
    """Return those that this Python needs, extras left out."""
    return [r for r in requirements if r.marker is None or r.marker.evaluate({'extra': ''})]


def pinned(name: str) -> list[Requirement]:
    """Return what requirements/`name`.txt asks for on this Python."""
    lines = (FOLDER / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return needed([Requirement(line) for line in lines if line and line[0] not in '#-'])


def closure(roots: set[str]) -> dict[str, str]:
    """Return name -> installed version of `roots` and all that they need."""
    versions: dict[str, str] = {}
    waiting = sorted(roots)
    while waiting:
        name = waiting.pop()
        if name in versions:
            continue
        found = distribution(name)
        versions[name] = found.version.partition('+')[0]
        waiting += [normal(r.name) for r in needed([Requirement(q) for q in found.requires or []])]
    return versions


def main() -> int:
    """Check that the pins are what is installed, then write the file."""
    pins = {normal(r.name): str(r.specifier) for s in SETS for r in pinned(s)}
    versions = closure(set(pins))
    wrong = [f'{n}{pin} but {versions[n]}' for n, pin in pins.items() if pin != f'=={versions[n]}']
    if wrong:
        print(f'pinned {"; ".join(wrong)} is installed: run `make env-all` first', file=sys.stderr)
        return 1
    marker = '; python_version >= "3.11"'
    lines = [
        f'{name}=={version}{"" if name.startswith("ros-") else marker}\n'
        for name, version in sorted(versions.items())
        if name not in pins
    ]
    target = FOLDER / 'constraints.txt'
    temporary = target.with_suffix('.tmp')
    temporary.write_text(HEADER + ''.join(lines), encoding='utf-8')
    temporary.replace(target)
    print(f'{target}: {len(lines)} packages')
    return 0


if __name__ == '__main__':
    sys.exit(main())
