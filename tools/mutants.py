# SPDX-License-Identifier: Apache-2.0
"""Change a module in small ways and count how many of the changes its tests notice.

  python -m tools.mutants lightdepth_ros/stream/health.py --tests test/stream/test_health.py
  python -m tools.mutants training/model/losses.py --tests test/training/model/test_losses.py \\
      --sample 30 --seed 1

Each mutant is the module with one comparison, operator, number, `and`, `or` or `not` changed. A
test run that fails kills it. No file is touched: libraries are imported once, then every mutant
lives in a process of its own that finds the changed module first. So a mutant costs its test run
and nothing else. Tests that start other programs do not see the mutant there.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType

LIBRARIES = ('numpy', 'cv2', 'onnxruntime', 'onnx', 'hypothesis', 'pytest', 'yaml')
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
KILLED, SURVIVED, LATE = 'killed', 'SURVIVED', 'killed (too slow)'
BROKE = 'BROKE (no verdict)'
VERDICTS = {0: SURVIVED, 1: KILLED, 2: KILLED}
"""Of pytest's exit codes: all passed, one failed, a test file could not be imported."""
STOPPED = (signal.SIGKILL, signal.SIGTERM)
"""Signals from outside, as for want of memory; they say nothing of the mutant."""


def places(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, what is changed) of every mutant, in the order `mutated` counts them."""
    for node in ast.walk(tree):
        for name, index, new in changes_of(node):
            new_name = type(new).__name__ if isinstance(new, ast.AST) else new
            yield getattr(node, 'lineno', 0), f'{ast.unparse(node)}: {name}[{index}] -> {new_name}'


def changes_of(node: ast.AST) -> Iterator[tuple[str, int, ast.AST | float]]:
    """Yield (field, position in it, new value) of each change to one node."""
    if isinstance(node, ast.Compare):
        swapped = [(index, SWAPS.get(type(op))) for index, op in enumerate(node.ops)]
        yield from (('ops', index, new()) for index, new in swapped if new)
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        if type(node.op) in SWAPS and not _joins_types(node):
            yield 'op', 0, SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield 'operand', 0, ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant):
        yield from (('value', 0, new) for new in _other_values(node.value))


def _other_values(value: object) -> list[float]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value * 2 if value else 1]
    return []


def _joins_types(node: ast.AST) -> bool:
    """`int | None` is no arithmetic."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


def mutated(source: str, number: int) -> ast.Module:
    """Return the tree of `source` with change `number` made."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name, index, new in changes_of(node):
            if number == 0:
                old = getattr(node, name)
                if isinstance(old, list):
                    old[index] = new
                else:
                    setattr(node, name, new)
                return ast.fix_missing_locations(tree)
            number -= 1
    raise ValueError('there are fewer changes than that')


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module: the mutant."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the mutant only."""
        if name != self.name:
            return None
        is_package = self.path.name == '__init__.py'
        spec = importlib.machinery.ModuleSpec(name, self, origin=str(self.path))
        if is_package:
            spec.submodule_search_locations = [str(self.path.parent)]
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed code."""
        module.__file__ = str(self.path)
        exec(self.code, module.__dict__)


def run(module: Path, code: CodeType | None, tests: list[str], limit_s: int) -> str:
    """Run the tests in a forked process, with the mutant (None: as it is); return the outcome."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        return verdict(status)
    signal.alarm(limit_s)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if code is not None:
        name = '.'.join(module.with_suffix('').parts).removesuffix('.__init__')
        sys.meta_path.insert(0, Finder(name, module, code))
    import pytest

    result = pytest.main(['-x', '-q', '-p', 'no:cacheprovider', *tests])
    os._exit(int(result))


def verdict(status: int) -> str:
    """Return the outcome that a wait status of a test run stands for."""
    if not os.WIFSIGNALED(status):
        return VERDICTS.get(os.WEXITSTATUS(status), BROKE)
    number = os.WTERMSIG(status)
    return LATE if number == signal.SIGALRM else BROKE if number in STOPPED else KILLED


def main(argv: list[str] | None = None) -> int:
    """Command line entry; the exit code is 1 if the tests fail without any change."""
    args = parser().parse_args(argv)
    for name in LIBRARIES + (('torch',) if args.module.parts[0] == 'training' else ()):
        importlib.import_module(name)
    source = args.module.read_text(encoding='utf-8')
    found = list(places(ast.parse(source)))
    drawn = sorted(
        random.Random(args.seed).sample(range(len(found)), min(args.sample, len(found)))
    )
    if run(args.module, None, args.tests, args.limit_s) != SURVIVED:
        print(f'the tests of {args.module} fail or take over {args.limit_s} s as it is')
        return 1
    killed = 0
    for number in drawn:
        code = compile(mutated(source, number), str(args.module), 'exec')
        outcome = run(args.module, code, args.tests, args.limit_s)
        killed += outcome in (KILLED, LATE)
        if outcome in (SURVIVED, BROKE) or args.verbose:
            print(f'{outcome}: {args.module}:{found[number][0]}: {found[number][1]}', flush=True)
    print(f'{args.module}: {killed} of {len(drawn)} mutants killed, drawn from {len(found)}')
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog='python -m tools.mutants',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument('module', type=Path, help='file to change, from the repository root')
    top.add_argument('--tests', nargs='+', required=True, help='test files that should notice')
    top.add_argument('--sample', type=int, default=40, help='mutants to try. Default: 40')
    top.add_argument('--seed', type=int, default=0, help='of the sample. Default: 0')
    top.add_argument('--limit-s', type=int, default=300, help='seconds a run may take')
    top.add_argument('--verbose', action='store_true', help='name the killed ones too')
    return top


if __name__ == '__main__':
    sys.exit(main())
