# SPDX-License-Identifier: Apache-2.0
"""What is shipped: the manifest, the pinned sets, and that colcon and pip both install a node."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools.make_env import PACKAGE_PARTS, SETS
from tools.ros_env import ROOT

KNOWN_ROSDEP_KEYS = {
    'python3-numpy',
    'python3-onnxruntime-pip',
    'python3-opencv',
    'python3-pytest',
    'python3-yaml',
}
"""Keys of rosdep's python.yaml that have been looked up there."""
LINTERS = {'ament_copyright', 'ament_flake8', 'ament_pep257', 'ament_xmllint'}
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


def tags(name: str) -> set[str]:
    return {element.text or '' for element in MANIFEST.findall(name)}


def imported_packages(folder: Path) -> set[str]:
    """Return the top-level modules that the Python files of a folder import, anywhere in them."""
    found: set[str] = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split('.')[0])
    return found


def test_manifest_is_format_3_ament_python_and_apache():
    assert MANIFEST.get('format') == '3'
    assert MANIFEST.findtext('export/build_type') == 'ament_python'
    assert tags('license') == {'Apache-2.0'}
    assert not tags('buildtool_depend')  # rosdep has no key ament_python


def test_manifest_satisfies_the_parser_of_the_ros_build_tools():
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='comes with colcon')
    warnings: list[str] = []
    package = catkin_pkg.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    assert (package.name, package.get_build_type(), warnings) == (
        'lightdepth_ros',
        'ament_python',
        [],
    )


def test_manifest_tests_with_the_ament_linters():
    assert tags('test_depend') >= LINTERS


def test_python_dependencies_of_the_manifest_are_keys_that_rosdep_has():
    keys = {k for tag in ('depend', 'exec_depend', 'test_depend') for k in tags(tag)}
    assert {k for k in keys if k.startswith('python3-')} <= KNOWN_ROSDEP_KEYS


def test_manifest_names_every_ros_package_that_the_runtime_imports():
    imported = imported_packages(ROOT / 'lightdepth_ros') | imported_packages(ROOT / 'launch')
    ros = {n for n in imported if n.endswith(('_msgs', '_interfaces'))}
    ros |= {n for n in imported if n.startswith(('launch', 'ament_'))}
    assert ros | {'rclpy'} <= tags('exec_depend')


def test_all_places_that_state_the_version_agree():
    version = MANIFEST.findtext('version')
    texts = {
        'setup.py': r"version='([^']+)'",
        'lightdepth_ros/__init__.py': r"__version__ = '([^']+)'",
        'CHANGELOG.rst': r'(?m)^(\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)$',
    }
    for name, pattern in texts.items():
        match = re.search(pattern, (ROOT / name).read_text(encoding='utf-8'))
        assert match is not None, name
        assert match[1] == version, name


def test_changelog_headings_are_underlined_to_their_length():
    lines = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8').splitlines()
    for above, line in itertools.pairwise(lines):
        if line and set(line) <= set('-^='):
            assert len(line) == len(above), above


@pytest.mark.parametrize('name', [*SETS, 'constraints'])
def test_every_requirement_is_pinned_to_one_version(name: str):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    required = [line for line in lines if line and line[0] not in '#-']
    assert required
    loose = [r for r in required if not re.fullmatch(r'[\w.-]+==[\w.]+(; .+)?', r)]
    assert loose == []


NOT_PINNED = {
    *('tensorrt', 'nncf'),  # need an NVIDIA GPU, or are a user's choice
    *('tensorrt_rtx', 'cuda'),  # an optional backend; pinned where it is tested
    *('launch', 'launch_ros', 'vision_msgs', 'bondpy', 'cv_bridge'),  # not to be had as wheels
}


@pytest.mark.parametrize(
    ('folder', 'sets'),
    [
        ('lightdepth_ros', SETS),  # OpenVINO and the charts of `bench` are optional
        ('tools', ('runtime', 'ros', 'test')),
        ('training', ('runtime', 'ros', 'training')),
        ('test', SETS),
    ],
)
def test_every_library_that_is_imported_is_pinned(folder: str, sets: tuple[str, ...]):
    text = ''.join((ROOT / 'requirements' / f'{s}.txt').read_text(encoding='utf-8') for s in sets)
    pinned = set(re.findall(r'(?m)^([\w.-]+)==', text.lower().replace('_', '-')))
    if 'ros' in sets:  # what the ROS wheels bring along
        constraints = (ROOT / 'requirements' / 'constraints.txt').read_text(encoding='utf-8')
        pinned |= set(re.findall(r'(?m)^(ros-[\w-]+)==', constraints))
    own = {'lightdepth_ros', 'training', 'tools', *(p.stem for p in (ROOT / 'test').glob('*.py'))}
    known = own | NOT_PINNED | set(sys.stdlib_module_names)
    places = packages_distributions()
    loose = {
        name
        for name in imported_packages(ROOT / folder) - known
        if not {d.lower().replace('_', '-') for d in places.get(name, [])} & pinned
        and not {f'ros-{name.replace("_", "-")}', name} & pinned
    }
    assert loose == set()


def test_robots_get_no_pytorch_and_nobody_gets_torchvision():
    sets = {s: (ROOT / 'requirements' / f'{s}.txt').read_text(encoding='utf-8') for s in SETS}
    assert re.search(r'(?m)^torch==', sets['training'])
    for name in ('runtime', 'ros'):
        assert not re.search(r'(?m)^(torch|lightning)', sets[name])
    assert not any(re.search(r'(?m)^torchvision', text) for text in sets.values())


def test_ci_runs_make_test_and_nothing_else():
    script = ROOT / '.ci' / 'run'
    lines = script.read_text(encoding='utf-8').splitlines()
    assert os.access(script, os.X_OK)
    assert [line for line in lines if line[:1] not in ('#', '')] == [
        'cd "$(dirname "$0")/.." && exec make test'
    ]


def test_node_wrapper_goes_on_with_the_python_of_its_virtual_environment(tmp_path: Path):
    wrapper = tmp_path / 'lib' / 'lightdepth_ros' / 'depth_node'
    python = tmp_path / 'bin' / 'python3'
    for path in (wrapper, python):
        path.parent.mkdir(parents=True)
    (tmp_path / 'pyvenv.cfg').touch()
    shutil.copy2(ROOT / 'scripts' / 'depth_node', wrapper)
    python.write_text('#!/bin/sh\necho "$@"\necho "mark=$_ROS_WHEELS_BOOTSTRAP_COMPLETE"\n')
    python.chmod(0o755)
    env = {**os.environ, '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1'}
    said = subprocess.run(
        [sys.executable, wrapper, '--ros-args', '-p', 'a:=b c'],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said == f'{wrapper} --ros-args -p a:=b c\nmark=\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a copy of what a build reads, so that it leaves nothing in the repository."""
    copy = tmp_path / 'src' / 'lightdepth_ros'
    copy.mkdir(parents=True)
    for part in PACKAGE_PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, copy / part, ignore=shutil.ignore_patterns('__pycache__'))
        elif path.exists():
            shutil.copy2(path, copy)
    return copy


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert result.returncode == 0, f'{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}'


def shared_files() -> list[str]:
    """Return the launch files and configurations of the repository, as installed."""
    found = [*(ROOT / 'launch').glob('*.launch.py'), *(ROOT / 'config').iterdir()]
    return [str(path.relative_to(ROOT)) for path in found]


def check_installed(prefix: Path, libraries: Path) -> None:
    """Check what `ros2 run`, `ros2 launch` and the ament index need under an install prefix."""
    assert (prefix / 'share/ament_index/resource_index/packages/lightdepth_ros').is_file()
    share = prefix / 'share' / 'lightdepth_ros'
    for name in ('package.xml', *shared_files()):
        assert (share / name).is_file(), name
    assert os.access(prefix / 'lib/lightdepth_ros/depth_node', os.X_OK)
    package = libraries / 'lightdepth_ros'
    shipped = {p.name for p in (ROOT / 'lightdepth_ros' / 'models').glob('*.*')}
    assert {p.name for p in (package / 'models').glob('*.*')} == shipped
    assert not (libraries / 'training').exists()


@pytest.mark.slow
def test_pip_installs_the_node_where_ros_looks_for_it(source: Path, tmp_path: Path):
    prefix = tmp_path / 'prefix'
    options = ['--no-deps', '--no-build-isolation', '--quiet', '--prefix', str(prefix)]
    options.append('--ignore-installed')  # or pip takes away what the environment itself has
    installed = Path(sys.prefix) / 'bin' / 'lightdepth'
    before = installed.is_file()
    run([sys.executable, '-m', 'pip', 'install', *options, str(source)], tmp_path)
    [libraries] = (prefix / 'lib').glob('python3.*/site-packages')
    check_installed(prefix, libraries)
    assert os.access(prefix / 'bin' / 'lightdepth', os.X_OK)
    assert installed.is_file() == before


@pytest.fixture
def colcon_install(source: Path, tmp_path: Path, ros_env: dict[str, str]) -> Path:
    """Build with colcon as in a ROS workspace; return the install folder."""
    colcon = shutil.which('colcon', path=ros_env['PATH'])
    if colcon is None:
        pytest.skip('no colcon: see requirements/test.txt')
    run([colcon, 'build', '--base-paths', str(source)], tmp_path, ros_env)
    return tmp_path / 'install' / 'lightdepth_ros'


@pytest.mark.slow
@pytest.mark.ros
def test_colcon_build_gives_a_node_that_starts_and_ends(
    colcon_install: Path, tmp_path: Path, ros_env: dict[str, str]
):
    pytest.importorskip('rclpy', reason='no ROS 2: see requirements/ros.txt')
    pytest.importorskip('onnx')
    from tiny_model import make_tiny_model

    [libraries] = (colcon_install / 'lib').glob('python3.*/site-packages')
    check_installed(colcon_install, libraries)
    assert os.access(colcon_install / 'lib/lightdepth_ros/lightdepth', os.X_OK)
    make_tiny_model(tmp_path / 'models', 'L', 'plain')
    log = tmp_path / 'node.log'
    # The colcon of the test set knows no ament hooks, so the overlay is made by hand.
    env = {**ros_env, 'PYTHONPATH': str(libraries)}
    env['AMENT_PREFIX_PATH'] = f'{colcon_install}:{ros_env["AMENT_PREFIX_PATH"]}'
    command = [str(colcon_install / 'lib/lightdepth_ros/depth_node'), '--ros-args']
    command += ['--params-file', str(colcon_install / 'share/lightdepth_ros/config/depth.yaml')]
    command += ['-p', f'model:={tmp_path / "models"}']
    with log.open('wb') as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 60
        while 'ready' not in log.read_text() and process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0, log.read_text()
    finally:
        process.kill()
