# SPDX-License-Identifier: Apache-2.0
"""The command line: help, versions, errors as one sentence, and flags made from NodeConfig."""

import argparse
import importlib

import pytest

from lightdepth_ros import __version__, cli
from lightdepth_ros.cli.settings import add_setting_flags, config_from
from lightdepth_ros.config import NodeConfig, settings
from lightdepth_ros.errors import DataError

pytest.importorskip('rich', reason='the command line needs rich: see requirements/runtime.txt')

NAMES = [setting.name for setting in settings() if not isinstance(setting.default, bool)]


def test_help_lists_every_command_with_what_it_does(capsys):
    assert cli.main(['--help']) == 0
    text = capsys.readouterr().out
    for name, (_, summary) in cli.COMMANDS.items():
        assert f'{name}' in text
        assert summary in text


@pytest.mark.parametrize('name', list(cli.COMMANDS))
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit, match='0'):
        cli.main([name, '--help'])
    text = capsys.readouterr().out
    assert text.startswith(f'usage: lightdepth {name}')
    assert callable(importlib.import_module(cli.COMMANDS[name][0]).run)


def test_version(capsys):
    assert cli.main(['--version']) == 0
    assert capsys.readouterr().out == f'lightdepth {__version__}\n'


def test_no_command_and_a_wrong_one_are_usage_errors(capsys):
    assert cli.main([]) == 2
    assert cli.main(['pedict']) == 2
    assert "no command 'pedict'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('error', 'code', 'sentence'),
    [(DataError('no such drive'), 1, 'no such drive'), (KeyboardInterrupt(), 130, 'stopped')],
)
def test_errors_are_one_line_and_an_exit_code(monkeypatch, capsys, error, code, sentence):
    def fail(args):
        raise error

    monkeypatch.setattr('lightdepth_ros.cli.predict.run', fail)
    assert cli.main(['predict', 'x.png']) == code
    err = capsys.readouterr().err
    assert err.startswith('lightdepth predict: ')
    assert sentence in err
    assert 'Traceback' not in err


def parse(words, names=tuple(NAMES), defaults=None):
    parser = argparse.ArgumentParser()
    add_setting_flags(parser, names, defaults or {})
    return config_from(parser.parse_args(words), names)


def test_flags_default_to_node_config():
    assert parse([]) == NodeConfig()


def test_a_command_may_have_a_default_of_its_own():
    assert parse([], defaults={'fit': 'adapt'}) == NodeConfig(fit='adapt')


def test_flags_have_the_type_of_their_field():
    config = parse(['--threads', '2', '--max-range-m', '50', '--fov-deg', '60', '--fit', 'pad'])
    assert config == NodeConfig(threads=2, max_range_m=50.0, horizontal_fov_deg=60.0, fit='pad')


@pytest.mark.parametrize('words', [['--fit', 'stretch'], ['--threads', 'two']])
def test_words_that_no_field_takes_are_usage_errors(words, capsys):
    with pytest.raises(SystemExit, match='2'):
        parse(words)
    assert words[0] in capsys.readouterr().err
