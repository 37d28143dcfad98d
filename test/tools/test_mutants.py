# SPDX-License-Identifier: Apache-2.0
"""The tool that changes a module sees a change that tests notice, and one that they do not."""

from __future__ import annotations

import ast
import signal

import pytest

from tools import mutants


def test_every_change_is_one_place_and_compiles():
    source = 'def f(a, b):\n    if not a and b < 2:\n        return a + b * 0.5\n    return True\n'
    found = list(mutants.places(ast.parse(source)))
    texts = {ast.unparse(mutants.mutated(source, number)) for number in range(len(found))}
    assert len(texts) == len(found) == 8
    assert ast.unparse(ast.parse(source)) not in texts
    assert any('b <= 2' in text for text in texts)
    assert any('not a or b' in text for text in texts)
    assert any('return False' in text for text in texts)


def test_annotations_are_left_alone():
    assert list(mutants.places(ast.parse('x: int | None = None\n'))) == []


def test_outcome_is_killed_where_the_tests_fail_and_survived_where_they_pass(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / 'double_it.py').write_text('def double(x):\n    return x * 2\n\n\nSPARE = 7\n')
    (tmp_path / 'test_double_it.py').write_text(
        'from double_it import double\n\n\ndef test_double():\n    assert double(3) == 6\n'
    )
    assert mutants.main(['double_it.py', '--tests', 'test_double_it.py']) == 0
    printed = capfd.readouterr().out
    assert 'SURVIVED: double_it.py:5: 7: value[0] -> 14' in printed
    assert 'double_it.py: 2 of 3 mutants killed, drawn from 3' in printed


@pytest.mark.parametrize(
    ('status', 'expected'),
    [
        (0, mutants.SURVIVED),
        (1 << 8, mutants.KILLED),
        (2 << 8, mutants.KILLED),  # the test file could not be imported
        (4 << 8, mutants.BROKE),  # no such test file
        (5 << 8, mutants.BROKE),  # no test was found
        (int(signal.SIGSEGV), mutants.KILLED),
        (int(signal.SIGALRM), mutants.LATE),
        (int(signal.SIGKILL), mutants.BROKE),
    ],
)
def test_run_that_broke_kills_nothing(status, expected):
    assert mutants.verdict(status) == expected
