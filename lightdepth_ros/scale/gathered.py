# SPDX-License-Identifier: Apache-2.0
"""The result of each of the three ways of `lightdepth scale`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rich.table import Table

from lightdepth_ros.scale.fit import Pairs
from lightdepth_ros.scale.report import Tile


@dataclass(frozen=True)
class Gathered:
    """Pairs and all that is said about them.

    tables, tiles  given the fitted scale: what is shown, and what is drawn.
    what, groups   names of the pairs and of the groups; remedy: how to get more of them.
    facts          lines for the file; notes: warnings for the user.
    """

    pairs: Pairs
    tables: Callable[[float], list[Table]]
    tiles: Callable[[float], list[Tile]]
    what: str
    groups: str
    remedy: str
    least_points: int
    least_groups: int
    facts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def table(title: str, *headings: str) -> Table:
    """Return an empty table; all columns but the first are of numbers."""
    result = Table(title=title, title_justify='left')
    for heading in headings:
        result.add_column(heading, justify='right' if heading != headings[0] else 'left')
    return result
