# SPDX-License-Identifier: Apache-2.0
"""What docs/troubleshooting.md quotes is said by the code; what it tells to type exists."""

from __future__ import annotations

import ast
import re

import pytest

from lightdepth_ros.cli import COMMANDS
from lightdepth_ros.config import settings
from lightdepth_ros.stream.counters import REASONS
from lightdepth_ros.stream.outputs import TOPICS
from tools.ros_env import ROOT

PAGE = (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')
TEXT = re.sub(r'\n  (?=\S)', ' ', PAGE)
"""The page with each item of a list on one line, however it is wrapped."""
SECTIONS = re.split(r'(?m)^### ', TEXT)[1:]
QUOTE = re.compile(r'`((?:[^`]|`[^`]*`(?=[^\n]*`))*?)`(?= `|$)')
"""A quoted sentence ends where its line or the next quotation begins: it may hold backticks."""
VARIES = '…'
OTHERS = {'/image', '/camera_info', '/diagnostics', '/depth_node/stats', '/bond'}
"""Topics that are not outputs."""


def quotes() -> list[str]:
    """Return everything that the page says the node says."""
    lines = re.findall(r'(?m)^- \*\*Says\*\* (.*)$', TEXT)
    return [quote for line in lines for quote in QUOTE.findall(line)]


def sentences() -> list[str]:
    """Return every string in the package, with VARIES for what is filled in."""
    found = []
    launch = (ROOT / 'launch').glob('*.py')
    for path in (*(ROOT / 'lightdepth_ros').rglob('*.py'), *launch):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else VARIES for p in node.values)
                found.append(''.join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


SENTENCES = sentences()


@pytest.mark.parametrize('quote', quotes(), ids=lambda q: q[:40])
def test_every_quoted_sentence_is_in_the_code(quote):
    pattern = '.*'.join(re.escape(part) for part in quote.split(VARIES))
    said = [s for s in SENTENCES if re.search(pattern, s, re.DOTALL)]
    assert said, quote
    literal = len(quote.replace(VARIES, ''))
    assert literal >= 15, 'too short a quotation to mean anything'


def test_the_page_quotes_enough_to_be_worth_testing():
    assert len(quotes()) >= 20
    assert not any('xyzzy' in sentence for sentence in SENTENCES)


@pytest.mark.parametrize('section', SECTIONS, ids=lambda s: s.partition('\n')[0][:40])
def test_every_symptom_has_cause_check_and_remedy(section):
    parts = re.findall(r'(?m)^- \*\*(\w+)\*\* ', section)
    assert [part for part in parts if part != 'Says'] == ['Cause', 'Check', 'Remedy']


def test_every_parameter_and_topic_that_is_typed_exists():
    names = {setting.name for setting in settings()} | {'use_sim_time'}
    typed = re.findall(r'ros2 param (?:set|get|describe) /depth_node (\w+)', TEXT)
    assert len(typed) >= 6
    assert set(typed) <= names
    topics = set(re.findall(r'ros2 topic \w+(?: --\w+(?: [a-z]\w*)?)* (/\S+?)`?(?=[`\s])', TEXT))
    assert topics <= {f'/{output.topic}' for output in TOPICS} | OTHERS
    assert len(topics) >= 6


def test_every_value_that_is_typed_is_accepted():
    known = {setting.name: setting for setting in settings()}
    typed = re.findall(r'ros2 param set /depth_node (\w+) ([\w.]+)', TEXT)
    assert typed
    for name, value in typed:
        setting = known[name]
        assert not setting.fixed, f'{name} cannot be set live'
        if setting.choices:
            assert value in setting.choices
        else:
            low, high = setting.limits
            assert low <= float(value) <= high


def test_every_subcommand_and_reason_that_is_named_exists():
    subcommands = set(re.findall(r'`lightdepth (\w+)', TEXT))
    assert {'bench', 'engine', 'scale'} <= subcommands <= COMMANDS.keys()
    named = {word for word in re.findall(r'(?m)^### .*: (\w+_\w+)$', TEXT)}
    assert {'bad_image', 'bad_camera_info', 'replaced_by_newer'} <= named <= REASONS.keys()


def test_every_test_that_a_page_names_exists():
    source = '\n'.join(p.read_text(encoding='utf-8') for p in (ROOT / 'test').rglob('test_*.py'))
    defined = set(re.findall(r'(?m)^def (test_\w+)', source))
    for page in sorted((ROOT / 'docs').glob('*.md')):
        named = set(re.findall(r'`(test_\w+)`', page.read_text(encoding='utf-8')))
        assert named <= defined, page.name
