# SPDX-License-Identifier: Apache-2.0
"""Dockerfile and compose file, as far as they can be checked where there is no Docker."""

from __future__ import annotations

import re

import yaml

from lightdepth_ros.shared_memory import PROFILES, VARIABLES
from tools.ros_env import ROOT

DOCKERFILE = (ROOT / 'docker' / 'Dockerfile').read_text(encoding='utf-8')
INSTRUCTIONS = {
    *('FROM', 'SHELL', 'RUN', 'WORKDIR', 'COPY', 'ENV', 'USER', 'ENTRYPOINT', 'CMD'),
}
PREFIX = '/opt/lightdepth/venv'


def steps() -> list[tuple[str, str]]:
    """Return (instruction, rest) of the Dockerfile, continued lines joined."""
    code = re.sub(r'(?m)^#.*\n', '', DOCKERFILE)
    joined = re.sub(r'\\\n\s*', '', code)
    return [tuple(line.split(' ', 1)) for line in joined.splitlines() if line.strip()]


def depth() -> dict:
    text = (ROOT / 'docker' / 'compose.yaml').read_text(encoding='utf-8')
    return yaml.safe_load(text)['services']['depth']


def test_dockerfile_has_known_instructions_and_begins_with_a_tagged_image():
    assert {name for name, _ in steps()} <= INSTRUCTIONS
    name, image = steps()[0]
    assert name == 'FROM'
    assert image.partition(':')[2] not in ('', 'latest')


def test_package_lists_are_removed_in_the_step_that_fetched_them():
    for _, command in (step for step in steps() if 'apt-get update' in step[1]):
        assert '--no-install-recommends' in command
        assert command.rstrip().endswith('rm -rf /var/lib/apt/lists/*')


def test_the_node_does_not_run_as_root_and_can_write_its_cache_and_log():
    assert dict(steps())['USER'] == '1000:1000'
    assert 'ROS_LOG_DIR=/tmp/' in DOCKERFILE
    assert '--mode=1777 /var/cache/lightdepth' in DOCKERFILE
    assert depth()['volumes'] == ['cache:/var/cache/lightdepth']


def test_both_start_the_executable_that_setup_installs():
    wrapper = f'{PREFIX}/lib/lightdepth_ros/depth_node'
    assert (ROOT / 'scripts' / 'depth_node').is_file()
    assert dict(steps())['CMD'] == f'["{wrapper}"]'
    assert depth()['command'][0] == wrapper


def test_the_container_shares_memory_and_network_and_has_a_profile_that_exists():
    assert (depth()['network_mode'], depth()['ipc']) == ('host', 'host')
    profile = depth()['environment'][VARIABLES[0]]
    assert profile.endswith(f':-{PREFIX}/share/lightdepth_ros/config/{PROFILES[64]}}}')
    assert (ROOT / 'config' / PROFILES[64]).is_file()


def test_compose_builds_the_dockerfile_beside_it():
    build = depth()['build']
    assert (ROOT / 'docker' / build['context'] / build['dockerfile']).is_file()
