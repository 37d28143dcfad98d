# SPDX-License-Identifier: Apache-2.0
"""Documentation points at things that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.ros_env import ROOT

DOCUMENTS = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')])
ROOMS = ('lightdepth_ros', 'lightdepth_ros/engines', 'training', 'tools', 'scripts', '.')


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda p: p.name)
def test_relative_links_lead_to_files(document: Path):
    targets = re.findall(r'\]\(([^)#\s]+)', document.read_text(encoding='utf-8'))
    local = [t for t in targets if '://' not in t and not t.startswith('mailto:')]
    missing = [t for t in local if not (document.parent / t).exists()]
    assert missing == []


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    text = re.sub(r'(?ms)^```.*?^```', '', document.read_text(encoding='utf-8'))
    titles = re.findall(r'(?m)^#+ (.*)$', text)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda p: p.name)
def test_links_to_a_section_lead_to_a_heading(document: Path):
    links = re.findall(r'\]\(([^)#\s]*)#([^)\s]+)\)', document.read_text(encoding='utf-8'))
    local = [(name, anchor) for name, anchor in links if '://' not in name]
    pages = {name: document.parent / name if name else document for name, _ in local}
    assert [(n, a) for n, a in local if a not in anchors(pages[n])] == []


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda p: p.name)
def test_the_name_of_a_link_says_what_is_behind_it(document: Path):
    names = re.findall(r'(?<!!)\[([^][]+)\]\(', document.read_text(encoding='utf-8'))
    vague = {'here', 'why', 'this', 'this page', 'link', 'see', 'more', 'measured', 'details'}
    assert [name for name in names if name.lower() in vague] == []


def test_every_file_that_the_architecture_names_exists():
    text = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    named = set(re.findall(r'`([\w/.]+\.(?:py|yaml|md))`', text))
    assert len(named) > 25
    missing = [n for n in sorted(named) if not any((ROOT / room / n).exists() for room in ROOMS)]
    assert missing == []


def test_every_make_target_that_a_document_names_exists():
    targets = set(re.findall(r'(?m)^([\w-]+):', (ROOT / 'Makefile').read_text(encoding='utf-8')))
    for document in DOCUMENTS:
        code = '\n'.join(re.findall(r'`{1,3}[^`]+`{1,3}', document.read_text(encoding='utf-8')))
        named = set(re.findall(r'(?<![\w-])make ([a-z][\w-]*)', code))
        assert named <= targets, document.name


def test_make_help_names_every_target_a_person_calls():
    text = (ROOT / 'Makefile').read_text(encoding='utf-8')
    phony = set(re.search(r'(?m)^\.PHONY: (.*)$', text)[1].split()) - {'help', 'env-all'}
    told = set(re.findall(r"@echo 'make ([\w-]+)", text))
    assert told == phony


def test_readme_is_at_most_seventy_lines():
    assert len((ROOT / 'README.md').read_text(encoding='utf-8').splitlines()) <= 70


def test_python_of_the_readme_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    [code] = re.findall(r'(?ms)^```python\n(.*?)^```', text)
    assert len([line for line in code.splitlines() if line]) == 5
    names: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    exec(code, names)
    seen = names['seen']
    assert seen.depth_m.shape == seen.label_id.shape
    assert (seen.depth_m.dtype, seen.label_id.dtype) == ('float32', 'uint8')
    assert np.isfinite(seen.depth_m).mean() > 0.5


def test_readme_leads_to_every_page():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    pages = {f'docs/{p.name}' for p in ROOT.glob('docs/*.md')} - {'docs/training_speed.md'}
    assert {page for page in pages if f']({page})' not in text} == set()
