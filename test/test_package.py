# SPDX-License-Identifier: Apache-2.0
"""What is shipped: the manifest, its licences and version, the pinned sets, the linters."""

from __future__ import annotations

import ast
import datetime
import itertools
import os
import re
import shutil
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from lightdepth_ros.errors import ConfigError
from tools import release
from tools.make_env import SETS
from tools.ros_env import ROOT

KNOWN_ROSDEP_KEYS = {
    'python3-hypothesis',
    'python3-numpy',
    'python3-opencv',
    'python3-psutil',
    'python3-pytest',
    'python3-yaml',
}
"""Keys of rosdep's python.yaml that have been looked up there. A key that ends in -pip is none:
rosdep cannot install it where pip may not write (Ubuntu 24.04), and bloom refuses it.
"""
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


def test_manifest_is_format_3_ament_python_and_names_both_licences():
    assert MANIFEST.get('format') == '3'
    assert MANIFEST.findtext('export/build_type') == 'ament_python'
    licences = {e.text: (ROOT / e.get('file', '')).is_file() for e in MANIFEST.findall('license')}
    assert licences == {'Apache-2.0': True, 'LicenseRef-Research-Only': True}
    assert not tags('buildtool_depend')  # rosdep has no key ament_python


ORDER = (
    'name',
    'version',
    'description',
    'maintainer',
    'license',
    'url',
    'author',
    'depend',
    'export',
)
"""What may stand in a manifest, in this order, after the schema of REP 149."""
ATTRIBUTES = {'maintainer': {'email'}, 'author': {'email'}, 'license': {'file'}, 'url': {'type'}}


def schema_faults(root: ElementTree.Element) -> list[str]:
    """Return how a manifest differs from format 3, which the parsers of the tools let pass."""
    kinds = [re.sub(r'^(build|exec|test|doc)_depend$', 'depend', e.tag) for e in root]
    faults = [f'unknown tag {kind}' for kind in kinds if kind not in ORDER]
    places = [ORDER.index(kind) for kind in kinds if kind in ORDER]
    if places != sorted(places):
        faults.append(f'order {kinds}')
    faults += [f'{k} is there {kinds.count(k)} times' for k in ORDER[:3] if kinds.count(k) != 1]
    faults += [f'no {kind}' for kind in ('maintainer', 'license') if kind not in kinds]
    for element in root:
        extra = set(element.keys()) - ATTRIBUTES.get(element.tag, set())
        faults += [f'{element.tag} has attribute {name}' for name in sorted(extra)]
    types = [e.get('type', 'website') for e in root.findall('url')]
    faults += [f'url type {t}' for t in types if t not in ('website', 'bugtracker', 'repository')]
    if not re.fullmatch(r'(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}', root.findtext('version') or ''):
        faults.append(f'version {root.findtext("version")}')
    return faults


def test_manifest_fits_the_schema_of_format_3():
    assert schema_faults(MANIFEST) == []
    assert {e.get('type') for e in MANIFEST.findall('url')} == {
        'website',
        'bugtracker',
        'repository',
    }


@pytest.mark.parametrize(
    ('old', 'new', 'fault'),
    [
        ('<version>0', '<version>00', 'version'),
        ('<export>', '<licence>x</licence><export>', 'unknown tag licence'),
        ('type="website"', 'type="home"', 'url type home'),
        ('<license file=', '<license path=', 'license has attribute path'),
        ('<description>', '<author>A</author><description>', 'order'),
    ],
)
def test_a_manifest_that_breaks_the_schema_is_noticed(old: str, new: str, fault: str):
    text = (ROOT / 'package.xml').read_text(encoding='utf-8')
    assert old in text
    [first, *_] = schema_faults(ElementTree.fromstring(text.replace(old, new)))
    assert first.startswith(fault)


def test_manifest_satisfies_the_parser_of_the_ros_build_tools():
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='comes with colcon')
    warnings: list[str] = []
    package = catkin_pkg.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    assert (package.name, package.get_build_type(), warnings) == (
        'lightdepth_ros',
        'ament_python',
        [],
    )


def test_python_dependencies_of_the_manifest_are_keys_that_rosdep_has():
    keys = {k for tag in ('depend', 'exec_depend', 'test_depend') for k in tags(tag)}
    assert {k for k in keys if k.startswith('python3-')} <= KNOWN_ROSDEP_KEYS


def test_manifest_names_every_ros_package_that_the_runtime_imports():
    imported = imported_packages(ROOT / 'lightdepth_ros') | imported_packages(ROOT / 'launch')
    ros = {n for n in imported if n.endswith(('_msgs', '_interfaces'))}
    ros |= {n for n in imported if n.startswith(('launch', 'ament_'))}
    assert ros | {'rclpy'} <= tags('exec_depend')


def test_everything_that_the_tests_are_said_to_need_is_imported_by_one():
    imported = imported_packages(ROOT / 'test')
    assert {name.removeprefix('python3-') for name in tags('test_depend')} <= imported


def test_all_places_that_state_the_version_agree():
    changelog = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8')
    [latest, *_] = re.findall(r'(?m)^(\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)$', changelog)
    assert set(release.versions().values()) == {latest}


def test_a_release_changes_every_place_that_states_the_version(tmp_path: Path):
    for name in (*release.PLACES, 'CHANGELOG.rst'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    log = tmp_path / 'CHANGELOG.rst'
    log.write_text(re.sub(r'(?m)^0\.1\.0 .*\n-+$', 'Forthcoming\n-----------', log.read_text()))
    texts = release.released(tmp_path, '1.20.3', datetime.date(2030, 2, 1))
    for path, text in texts.items():
        path.write_text(text)
    assert set(release.versions(tmp_path).values()) == {'1.20.3'}
    assert '\n1.20.3 (2030-02-01)\n-------------------\n' in log.read_text()
    assert '\ndate-released: 2030-02-01\n' in (tmp_path / 'CITATION.cff').read_text()
    assert ElementTree.parse(tmp_path / 'package.xml').findtext('version') == '1.20.3'
    with pytest.raises(ConfigError, match='headings "Forthcoming"'):
        release.released(tmp_path, '1.20.4', datetime.date(2030, 2, 2))
    with pytest.raises(ConfigError, match='three numbers'):
        release.released(tmp_path, '1.20', datetime.date(2030, 2, 2))


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
    *('tensorrt', 'nncf', 'ai_edge_litert', 'rerun'),  # a GPU's, or a user's choice
    *('tensorrt_rtx', 'cuda'),  # an optional backend; pinned where it is tested
    *('launch', 'launch_ros', 'vision_msgs', 'bondpy', 'cv_bridge'),  # not to be had as wheels
    'tf2_msgs',  # likewise
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
    own = {'lightdepth_ros', 'training', 'tools', *(p.stem for p in (ROOT / 'test').rglob('*.py'))}
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


def test_hooks_before_a_commit_run_every_linter_of_make_lint_and_download_nothing():
    config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text(encoding='utf-8'))
    [local] = config['repos']
    assert local['repo'] == 'local'
    assert {hook['language'] for hook in local['hooks']} == {'system'}
    hooks = {re.findall(r'-m ([\w.]+(?: check| format)?)', h['entry'])[0] for h in local['hooks']}
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    recipe = re.findall(r'(?m)^lint:.*\n((?:\t.*\n)+)', makefile)[0]
    assert hooks == set(re.findall(r'-m ([\w.]+(?: check| format)?)', recipe))


def test_rosdoc2_finds_its_settings_and_the_sources():
    assert MANIFEST.findtext('export/rosdoc2') == 'rosdoc2.yaml'
    kind, settings = yaml.safe_load_all((ROOT / 'rosdoc2.yaml').read_text(encoding='utf-8'))
    assert kind == {'type': 'rosdoc2 config', 'version': 1}
    assert (ROOT / settings['settings']['python_source'] / '__init__.py').is_file()
    [builder] = settings['builders']
    assert set(builder['sphinx']) == {'name', 'output_dir'}


def test_citation_names_title_version_licence_and_paper():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert citation['cff-version'] == '1.2.0'
    assert citation['title'].startswith('lightdepth_ros')
    assert (citation['version'], citation['license']) == (
        release.versions()['package.xml'],
        'Apache-2.0',
    )
    assert citation['authors']
    assert citation['references'][0]['year'] == 2020


def test_ci_runs_make_test_and_nothing_else():
    script = ROOT / '.ci' / 'run'
    lines = script.read_text(encoding='utf-8').splitlines()
    assert os.access(script, os.X_OK)
    assert [line for line in lines if line[:1] not in ('#', '')] == [
        'cd "$(dirname "$0")/.." && exec make test'
    ]
