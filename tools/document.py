# SPDX-License-Identifier: Apache-2.0
"""Fills the marked sections of a document with what a program measured."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from lightdepth_ros.errors import ConfigError
from lightdepth_ros.files import write_files


def markers(section: str) -> tuple[str, str]:
    """Return the lines between which a document's generated section stands."""
    return f'<!-- {section}: begin, written by the command below -->', f'<!-- {section}: end -->'


def write_section(path: Path, section: str, content: str) -> None:
    """Replace what stands between the `markers` of a section in a Markdown file, prose wrapped."""
    begin, end = markers(section)
    text = path.read_text(encoding='utf-8')
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ConfigError(f'{path} must hold the lines {begin!r} and {end!r} once each')
    pattern = re.compile(f'{re.escape(begin)}.*{re.escape(end)}', re.DOTALL)
    filled = '\n'.join([begin, *map(_wrapped, content.splitlines()), end])
    write_files({path: pattern.sub(lambda _: filled, text).encode()})


def markdown_rows(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    line = '| {} |'.format
    head = [line(' | '.join(titles)), line(' | '.join('---' for _ in titles))]
    return head + [line(' | '.join(row)) for row in rows]


def _wrapped(line: str, columns: int = 100) -> str:
    """Wrap a line of Markdown, unless it is a row of a table."""
    if line.startswith('|'):
        return line
    return textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False)
