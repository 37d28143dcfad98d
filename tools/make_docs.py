# SPDX-License-Identifier: Apache-2.0
"""Build the API reference with Sphinx and check that every public class and function is in it.

    make docs      # sets up .venv-docs, runs this, writes out/docs

Runs in the environment of requirements/docs.txt; imports nothing of this package.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / 'docs' / 'api'
PACKAGES = ('lightdepth_ros', 'training')


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return dotted name -> file of every module that the reference holds."""
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob('*.py'))
    parts = {path: path.relative_to(root).with_suffix('').parts for path in paths}
    named = {'.'.join(p).removesuffix('.__init__'): path for path, p in parts.items()}
    return {name: path for name, path in named.items() if not name.endswith('.__main__')}


def public_names(module: str, path: Path) -> Iterator[str]:
    """Yield dotted names of a module's public classes, their methods, and its functions.

    Public is what `__all__` lists, or else what has no leading underscore.
    """
    body = ast.parse(path.read_text(encoding='utf-8')).body
    listed = [
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '__all__'
    ]
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if node.name.startswith('_') or (listed and node.name not in listed[0]):
            continue
        yield f'{module}.{node.name}'
        for inner in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith('_'):
                yield f'{module}.{node.name}.{inner.name}'


def documented(inventory: bytes) -> set[str]:
    """Return the Python names in a Sphinx inventory (objects.inv, version 2)."""
    *_, packed = inventory.split(b'\n', 4)
    lines = zlib.decompress(packed).decode('utf-8').splitlines()
    return {match[1] for line in lines if (match := re.match(r'(\S+) py:\w+ ', line))}


def missing(inventory: bytes, root: Path = ROOT) -> list[str]:
    """Return the public names, and modules, that an inventory lacks."""
    found = documented(inventory)
    wanted = [n for module, path in modules(root).items() for n in public_names(module, path)]
    return sorted({*wanted, *modules(root)} - found)


def build(out: Path) -> None:
    """Run Sphinx on a copy of docs/api, since sphinx-autoapi writes pages beside its settings."""
    source = out.parent / f'{out.name}-source'
    for folder in (source, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, source)
    env = {**os.environ, 'LIGHTDEPTH_ROOT': str(ROOT)}
    command = [sys.executable, '-m', 'sphinx', '-q', '-b', 'html', str(source), str(out)]
    subprocess.run(command, env=env, check=True)
    shutil.rmtree(source)


def main(argv: list[str] | None = None) -> int:
    """Build, check, say where the pages are; return 1 when a name is not in them."""
    parser = argparse.ArgumentParser('make_docs', description=__doc__)
    parser.add_argument('--out', type=Path, default=ROOT / 'out' / 'docs', help='folder')
    args = parser.parse_args(argv)
    build(args.out)
    lost = missing((args.out / 'objects.inv').read_bytes())
    if lost:
        print(f'make_docs: not in the reference: {", ".join(lost)}', file=sys.stderr)
        return 1
    print(args.out / 'index.html')
    return 0


if __name__ == '__main__':
    sys.exit(main())
