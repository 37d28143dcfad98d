# SPDX-License-Identifier: Apache-2.0
"""Run this package as an Arm computer would: an aarch64 Python under user-mode emulation.

  python -m tools.arm                                   what `make test-arm` runs
  python -m tools.arm -m lightdepth_ros.cli engine check --exit XS
  python -m tools.arm -m pytest -q test/perception/test_cloud.py

It shows that numbers are right on Arm, not how fast: an emulated CPU has another speed. Without
ROS, whose wheels are for x86-64. Needs Debian 12 (`apt-get`, `dpkg-deb`) and `qemu-aarch64-static`
(package qemu-user-static). Everything lands in one folder, `.arm`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lightdepth_ros.errors import ConfigError, LightdepthError

FOLDER = Path('.arm')
CPU = 'cortex-a76'
"""Of a Raspberry Pi 5: with 8-bit dot products."""
DEBIAN = (
    'python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'libc6', 'libgcc-s1',
    'libstdc++6', 'libgomp1', 'zlib1g', 'libexpat1', 'libffi8', 'libssl3', 'libsqlite3-0',
    'libbz2-1.0', 'liblzma5', 'libuuid1', 'libcrypt1', 'libtinfo6', 'libncursesw6',
    'libreadline8',
)  # fmt: skip
WHEELS = (
    'numpy', 'onnxruntime', 'openvino', 'opencv-python-headless', 'PyYAML', 'rich', 'rosbags',
    'onnx', 'hypothesis', 'pytest==7.4.4',
)  # fmt: skip
GLIBC = ('2014', '_2_17', '_2_27', '_2_28', '_2_31', '_2_34', '_2_35')
CPUINFO = """processor\t: 0
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
"""What /proc/cpuinfo says on a Cortex-A76. The emulator would show this machine's, which sends
ONNX Runtime astray while it is imported."""

TESTS = (
    'test/engines/test_golden.py', 'test/engines/test_engine_onnxruntime.py',
    'test/engines/test_shipped_int8.py', 'test/perception/test_perception.py',
    'test/perception/test_preprocess.py', 'test/perception/test_cloud.py',
)  # fmt: skip
RUNS = (
    ('-m', 'lightdepth_ros.cli', 'engine', 'check'),
    ('-m', 'lightdepth_ros.cli', 'bench', '--exit', 'XS', '--rounds', '1', '--no-start',
     '--threads', '1'),
    ('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-m', 'not slow and not ros and not data',
     *TESTS),
)  # fmt: skip


def prepare(folder: Path) -> None:
    """Fetch the Arm Python, its libraries and the wheels into `folder`, unless they are there."""
    if (folder / 'ready').is_file():
        return
    if shutil.which('qemu-aarch64-static') is None:
        raise ConfigError('qemu-aarch64-static is missing: apt-get install qemu-user-static')
    root, packages = folder / 'root', folder / 'debian'
    for name in ('state/lists/partial', 'cache/archives/partial'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    packages.mkdir(exist_ok=True)
    (folder / 'state/status').touch()
    for action in (['update'], ['download', *DEBIAN]):
        _run(['apt-get', '-qq', *_apt_options(folder.resolve()), *action], packages)
    for package in sorted(packages.glob('*.deb')):
        _run(['dpkg-deb', '-x', str(package), str(root)])
    (root / 'proc').mkdir(exist_ok=True)
    (root / 'proc/cpuinfo').write_text(CPUINFO * 2, encoding='utf-8')
    platforms = [f'--platform=manylinux{version}_aarch64' for version in GLIBC]
    _run([
        sys.executable, '-m', 'pip', 'install', '-q', '--target', str(folder / 'site'),
        *platforms, '--python-version=3.11', '--only-binary=:all:',
        '-c', 'requirements/constraints.txt', *WHEELS,
    ])  # fmt: skip
    (folder / 'ready').touch()


def _apt_options(folder: Path) -> list[str]:
    """Options that keep apt-get to `folder` and to arm64; this machine's packages stay alone."""
    values = (
        'APT::Architecture=arm64', 'APT::Architectures::=arm64', f'Dir::State={folder}/state',
        f'Dir::State::status={folder}/state/status', f'Dir::Cache={folder}/cache',
        'APT::Sandbox::User=root',
    )  # fmt: skip
    return [word for value in values for word in ('-o', value)]


def _run(words: list[str], cwd: Path | None = None) -> None:
    if subprocess.run(words, cwd=cwd, check=False).returncode != 0:
        raise ConfigError(f'this failed: {" ".join(words[:4])} ...')


def python(folder: Path, words: tuple[str, ...]) -> int:
    """Run the Arm Python with these arguments; return its exit code."""
    root = (folder / 'root').resolve()
    path = os.pathsep.join(map(str, (Path.cwd(), (folder / 'site').resolve())))
    environment = {
        'PATH': os.environ['PATH'],
        'HOME': str(folder.resolve()),
        'PYTHONPATH': path,
        'PYTHONDONTWRITEBYTECODE': '1',
        'OMP_NUM_THREADS': '1',
    }
    command = ['qemu-aarch64-static', '-L', str(root), '-cpu', CPU, f'{root}/usr/bin/python3.11']
    return subprocess.run([*command, *words], env=environment, check=False).returncode


def main(argv: list[str] | None = None) -> int:
    """Command line entry: arguments for the Arm Python, or none for all of RUNS."""
    words = tuple(sys.argv[1:] if argv is None else argv)
    try:
        prepare(FOLDER)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    failed = [run for run in ([words] if words else RUNS) if python(FOLDER, run) != 0]
    for run in failed:
        print(f'failed on Arm: {" ".join(run)}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
