# SPDX-License-Identifier: Apache-2.0
"""Set up the virtual environment: the pinned packages, then this package itself.

Run by every `make` target, with any Python 3.10 or later and nothing else. What is up to date is
left alone: a stamp in the environment remembers what was installed.

    python3 tools/make_env.py runtime ros            # enough to run the node
    python3 tools/make_env.py runtime ros test training
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETS = ('runtime', 'ros', 'test', 'training', 'docs')
PACKAGE_PARTS = (
    'lightdepth_ros',
    'launch',
    'config',
    'resource',
    'scripts',
    'package.xml',
    'pyproject.toml',
    'setup.cfg',
    'setup.py',
    'MANIFEST.in',
    'README.md',
    'LICENSE',
)
"""What `pip install .` reads. It works on a copy, so that no build/ is left in the repository and
no module that was deleted since comes back from an old one."""


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def main() -> int:
    """Make or update the environment; return 1 with a message if that fails."""
    args = _arguments()
    try:
        check_machine(args.sets)
        create(args.venv)
        install_requirements(args.venv, args.sets)
        if not args.no_package:
            install_package(args.venv)
    except SetupError as error:
        print(f'make_env: {error}', file=sys.stderr)
        return 1
    return 0


def check_machine(
    sets: Iterable[str],
    version: tuple[int, int] = sys.version_info[:2],
    machine: tuple[str, str] = (sys.platform, platform.machine()),
) -> None:
    """Refuse a Python or a machine for which the pinned packages do not exist."""
    name = f'Python {version[0]}.{version[1]}'
    if version < (3, 10):
        raise SetupError(
            f'this is {name}; 3.10 or later is needed. Name another: make ... PYTHON=python3.11'
        )
    if 'ros' in sets and (machine != ('linux', 'x86_64') or version > (3, 13)):
        raise SetupError(
            f'the ROS 2 wheels exist for Linux x86_64 and Python 3.10 to 3.13; this is '
            f'{machine[0]} {machine[1]} with {name}. Here, use a ROS 2 installation and colcon: '
            'see docs/deployment.md.'
        )


def create(venv: Path) -> None:
    """Create the environment unless it is there and works."""
    python = venv / 'bin' / 'python'
    if python.is_file() and subprocess.run([python, '-c', ''], check=False).returncode == 0:
        return
    print(f'make_env: creating {venv}', flush=True)
    result = subprocess.run([sys.executable, '-m', 'venv', '--clear', str(venv)], check=False)
    if result.returncode:
        raise SetupError(
            f'`{sys.executable} -m venv {venv}` failed. On Debian and Ubuntu install '
            'python3-venv first.'
        )


def install_requirements(venv: Path, sets: Iterable[str]) -> None:
    """Install the sets whose files have changed since the last time."""
    files = {name: ROOT / 'requirements' / f'{name}.txt' for name in sets}
    common = [ROOT / 'requirements' / 'constraints.txt']
    digests = {name: fingerprint([path, *common]) for name, path in files.items()}
    stale = [name for name in files if _stamp(venv, name) != digests[name]]
    if not stale:
        return
    print(f'make_env: installing {", ".join(stale)} (minutes, the first time)', flush=True)
    wanted = [argument for name in stale for argument in ('-r', str(files[name]))]
    _pip(venv, ['install', *wanted], 'The pinned packages cannot be installed; see above.')
    for name in stale:
        _set_stamp(venv, name, digests[name])


def install_package(venv: Path) -> None:
    """Install this package, unless what is installed was made from the same files."""
    parts = [ROOT / part for part in PACKAGE_PARTS if (ROOT / part).exists()]
    digest = fingerprint(path for part in parts for path in _files(part))
    if _stamp(venv, 'package') == digest and (venv / 'bin' / 'lightdepth').is_file():
        return
    print('make_env: installing lightdepth_ros', flush=True)
    with tempfile.TemporaryDirectory(prefix='lightdepth-') as folder:
        copy = Path(folder) / 'lightdepth_ros'
        copy.mkdir()
        for part in parts:
            if part.is_dir():
                shutil.copytree(
                    part, copy / part.name, ignore=shutil.ignore_patterns('__pycache__')
                )
            else:
                shutil.copy2(part, copy)
        options = ['--no-deps', '--no-build-isolation', '--force-reinstall']
        _pip(venv, ['install', *options, str(copy)], 'The package cannot be built; see above.')
    _set_stamp(venv, 'package', digest)


def fingerprint(paths: Iterable[Path]) -> str:
    """Return a hash of names, permissions and contents of files."""
    total = hashlib.sha256()
    for path in paths:
        data = path.read_bytes()
        name = path.relative_to(ROOT)
        total.update(f'{name}\n{os.access(path, os.X_OK)}\n{len(data)}\n'.encode())
        total.update(data)
    return total.hexdigest()


def _files(part: Path) -> list[Path]:
    if part.is_file():
        return [part]
    return sorted(p for p in part.rglob('*') if p.is_file() and '__pycache__' not in p.parts)


def _pip(venv: Path, arguments: list[str], failure: str) -> None:
    # A terminal gets pip's progress bars; a log file does not need 200 lines of them.
    quiet = [] if sys.stdout.isatty() else ['--quiet']
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    env['PIP_DISABLE_PIP_VERSION_CHECK'] = '1'
    command = [str(venv / 'bin' / 'python'), '-m', 'pip', *arguments, *quiet]
    if subprocess.run(command, env=env, check=False).returncode:
        raise SetupError(failure)


def _stamp_path(venv: Path, name: str) -> Path:
    return venv / 'lightdepth-stamps' / name


def _stamp(venv: Path, name: str) -> str:
    path = _stamp_path(venv, name)
    return path.read_text(encoding='utf-8') if path.is_file() else ''


def _set_stamp(venv: Path, name: str, digest: str) -> None:
    path = _stamp_path(venv, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(digest, encoding='utf-8')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sets', nargs='+', choices=SETS, help='which requirements/*.txt')
    parser.add_argument(
        '--venv', type=Path, default=ROOT / '.venv', help='where (default: %(default)s)'
    )
    parser.add_argument(
        '--no-package', action='store_true', help='leave out lightdepth_ros itself'
    )
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
