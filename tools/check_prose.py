# SPDX-License-Identifier: Apache-2.0
"""Check that prose in Markdown and reStructuredText is wrapped at 100 columns.

    python -m tools.check_prose              # every document of the repository
    python -m tools.check_prose README.md

Tables, code blocks, headings, comments and lines of nothing but links may be wider.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from lightdepth_ros import terminal
from tools.ros_env import ROOT

COLUMNS = 100
SKIPPED = {'out', 'build', 'install', 'log', 'runs', 'cache'}
FENCE = re.compile(r' *(```|~~~)')
LINK = r'!?\[(?:[^][]|\[[^]]*\])*\](?:\([^)]*\)|\[[^]]*\]|: \S+)'
LINKS_ONLY = re.compile(rf'\W*(?:{LINK}\W*)+')


def documents(root: Path = ROOT) -> list[Path]:
    """Return the documents of the repository; what builds and environments hold is left out."""
    found: list[Path] = []
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in SKIPPED and not name.startswith('.')]
        found += [Path(folder, name) for name in names if name.endswith(('.md', '.rst'))]
    return sorted(found)


def wide_lines(text: str, columns: int = COLUMNS) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line of prose that is wider than `columns`."""
    fence = ''
    literal = False  # in a reStructuredText block after `::`
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if mark and fence in ('', mark[1]):
            fence = '' if fence else mark[1]
        if literal and line and not line.startswith(' '):
            literal = False
        if not fence and not literal and len(line) > columns and is_prose(line):
            yield number, line
        literal = literal or line.endswith('::')


def is_prose(line: str) -> bool:
    """Tell whether a line can be wrapped."""
    body = line.strip()
    if body.startswith(('#', '|', '<!--')) or ' ' not in body:
        return False
    return LINKS_ONLY.fullmatch(body) is None


def main(argv: list[str] | None = None) -> int:
    """Print each line that is too wide; return 1 when there is one."""
    parser = argparse.ArgumentParser(
        'check_prose', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='*', type=Path, help='default: all of the repository')
    wide = 0
    for path in parser.parse_args(argv).files or documents():
        for number, line in wide_lines(path.read_text(encoding='utf-8')):
            wide += 1
            print(f'{path}:{number}: {len(line)} columns, at most {COLUMNS}: {line[:60]}...')
    return 1 if wide else 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
