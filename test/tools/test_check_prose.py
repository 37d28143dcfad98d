# SPDX-License-Identifier: Apache-2.0
"""Which lines of a document are too wide."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_prose

WIDE = 'many words ' * 10


@pytest.mark.parametrize(
    'text',
    [
        'short',
        f'## {WIDE}',
        f'| {WIDE} | x |',
        f'<!-- {WIDE} -->',
        f'```sh\n{WIDE}\n```',
        f'   ```\n{WIDE}\n   ```',
        f'[{WIDE}](docs/a.md) · [more](b.md)',
        f'![{WIDE}](docs/a.png)',
        f'As follows::\n\n   {WIDE}\n\nshort',
        'https://' + 'a' * 100,
    ],
)
def test_what_cannot_be_wrapped_may_be_wide(text: str):
    assert list(check_prose.wide_lines(text)) == []


@pytest.mark.parametrize(
    ('text', 'number'),
    [
        (WIDE, 1),
        (f'- {WIDE}', 1),
        (f'```\ncode\n```\n{WIDE}', 4),
        (f'see [this](a.md) {WIDE}', 1),
        (f'As follows::\n\n   code\n\n{WIDE}', 5),
        (f'~~~\n```\n~~~\n{WIDE}', 4),
    ],
)
def test_wide_prose_is_found_by_its_line(text: str, number: int):
    assert [n for n, _ in check_prose.wide_lines(text)] == [number]


def test_the_command_names_file_and_line_and_fails(tmp_path: Path, capsys):
    page = tmp_path / 'page.md'
    page.write_text(f'good\n{"x " * 51}\n')
    assert check_prose.main([str(page)]) == 1
    assert f'{page}:2: 102 columns' in capsys.readouterr().out
    page.write_text('good\n')
    assert check_prose.main([str(page)]) == 0


def test_documents_of_an_environment_are_not_ours(tmp_path: Path):
    for name in ('docs/a.md', '.venv-docs/lib/b.md', 'out/c.rst', 'CHANGELOG.rst'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [p.relative_to(tmp_path).as_posix() for p in check_prose.documents(tmp_path)]
    assert found == ['CHANGELOG.rst', 'docs/a.md']
