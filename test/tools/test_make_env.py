# SPDX-License-Identifier: Apache-2.0
"""Setting up the environment: what is refused, and that nothing is installed twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import make_env

LINUX = ('linux', 'x86_64')


@pytest.mark.parametrize(
    ('version', 'machine', 'words'),
    [
        ((3, 9), LINUX, 'Python 3.9; 3.10 or later'),
        ((3, 14), LINUX, 'Python 3.14'),
        ((3, 12), ('linux', 'aarch64'), 'linux aarch64'),
        ((3, 12), ('darwin', 'arm64'), 'darwin arm64'),
    ],
)
def test_machines_without_the_pinned_packages_are_refused_by_name(version, machine, words):
    with pytest.raises(make_env.SetupError, match=words):
        make_env.check_machine(['runtime', 'ros'], version, machine)


@pytest.mark.parametrize('minor', [10, 11, 12, 13])
def test_supported_pythons_are_accepted(minor: int):
    make_env.check_machine(['runtime', 'ros'], (3, minor), LINUX)


def test_other_machines_can_have_the_sets_without_ros():
    make_env.check_machine(['runtime'], (3, 12), ('linux', 'aarch64'))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature repository; pip calls are recorded in `calls` instead of made."""
    (tmp_path / 'requirements').mkdir()
    for name in ('runtime', 'ros', 'constraints'):
        (tmp_path / 'requirements' / f'{name}.txt').write_text('a==1\n')
    (tmp_path / 'lightdepth_ros').mkdir()
    (tmp_path / 'lightdepth_ros' / 'node.py').write_text('x = 1\n')
    (tmp_path / 'venv').mkdir()
    monkeypatch.setattr(make_env, 'ROOT', tmp_path)
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    made: list[list[str]] = []

    def pip(venv: Path, arguments: list[str], _failure: str) -> None:
        made.append(arguments)
        (venv / 'bin').mkdir(exist_ok=True)
        (venv / 'bin' / 'lightdepth').touch()

    monkeypatch.setattr(make_env, '_pip', pip)
    return made


def test_only_the_sets_that_changed_are_installed_again(repository: Path, calls):
    make_env.install_requirements(repository / 'venv', ['runtime', 'ros'])
    make_env.install_requirements(repository / 'venv', ['runtime', 'ros'])
    assert len(calls) == 1
    ros = repository / 'requirements' / 'ros.txt'
    ros.write_text('a==2\n')
    make_env.install_requirements(repository / 'venv', ['runtime', 'ros'])
    assert calls[1:] == [['install', '-r', str(ros)]]


def test_a_failed_installation_is_tried_again(repository: Path, monkeypatch):
    def fail(venv, arguments, failure):
        raise make_env.SetupError(failure)

    monkeypatch.setattr(make_env, '_pip', fail)
    for _ in range(2):
        with pytest.raises(make_env.SetupError, match='cannot be installed'):
            make_env.install_requirements(repository / 'venv', ['runtime'])


def test_the_package_is_installed_again_when_a_file_changes_or_goes(repository: Path, calls):
    code = repository / 'lightdepth_ros' / 'node.py'
    make_env.install_package(repository / 'venv')
    make_env.install_package(repository / 'venv')
    assert len(calls) == 1
    code.write_text('x = 2\n')
    make_env.install_package(repository / 'venv')
    assert len(calls) == 2
    code.unlink()
    make_env.install_package(repository / 'venv')
    assert len(calls) == 3


def test_a_package_that_was_taken_away_is_installed_again(repository: Path, calls):
    make_env.install_package(repository / 'venv')
    (repository / 'venv' / 'bin' / 'lightdepth').unlink()
    make_env.install_package(repository / 'venv')
    assert len(calls) == 2


def test_caches_of_the_interpreter_do_not_count_as_changes(repository: Path, calls):
    make_env.install_package(repository / 'venv')
    cache = repository / 'lightdepth_ros' / '__pycache__'
    cache.mkdir()
    (cache / 'node.pyc').write_bytes(b'x')
    make_env.install_package(repository / 'venv')
    assert len(calls) == 1


def test_the_package_is_built_from_a_copy(repository: Path, monkeypatch):
    built: list[Path] = []

    def record(venv, arguments, failure):
        built.append(Path(arguments[-1]))
        assert (built[0] / 'lightdepth_ros' / 'node.py').is_file()

    monkeypatch.setattr(make_env, '_pip', record)
    make_env.install_package(repository / 'venv')
    assert repository not in built[0].parents
    assert not built[0].exists()
