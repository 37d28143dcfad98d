# SPDX-License-Identifier: Apache-2.0
"""Commands end without a traceback when nobody reads on, the disk is full, or Ctrl-C is typed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.ros_env import ROOT

COMMANDS = {
    'the command line': ('-m', 'lightdepth_ros.cli', 'engine', 'list'),
    'its help': ('-m', 'lightdepth_ros.cli', '--help'),
}
SLEEPING = (
    'import sys, time\n'
    'from lightdepth_ros import terminal\n'
    'def main():\n'
    '    print("ready", flush=True)\n'
    '    time.sleep(60)\n'
    'sys.exit(terminal.run(main, "it"))'
)


def start(*command: str, stdout: object) -> subprocess.Popen[str]:
    """Start Python as a terminal does: a shell's background job would ignore Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


@pytest.mark.parametrize('name', ['the command line', 'its help'])
def test_a_pipe_that_is_closed_early_ends_it_silently(name):
    process = start(*COMMANDS[name], stdout=subprocess.PIPE)
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, '')


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='no /dev/full')
@pytest.mark.parametrize('name', ['the command line', 'its help'])
def test_a_full_disk_behind_the_output_is_one_sentence(name):
    with open('/dev/full', 'w') as full:  # noqa: PTH123
        _, said = start(*COMMANDS[name], stdout=full).communicate(timeout=60)
    assert said.startswith('lightdepth')
    assert said.count('\n') == 1
    assert 'the output cannot be written: No space left on device' in said


@pytest.mark.parametrize(
    'command', [('-m', 'lightdepth_ros.cli', 'engine', 'list'), ('scripts/depth_node',)]
)
def test_an_opencv_that_does_not_fit_numpy_is_one_sentence_with_the_remedy(tmp_path, command):
    (tmp_path / 'cv2.py').write_text('raise ImportError("numpy.core.multiarray failed to import")')
    env = os.environ | {'PYTHONPATH': f'{tmp_path}:{ROOT}'}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "pip install 'numpy<2'" in done.stderr
    assert 'Traceback' not in done.stderr


def test_ctrl_c_is_one_sentence():
    process = start('-c', SLEEPING, stdout=subprocess.PIPE)
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGINT)
    started_s = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - started_s < 20
    assert (process.returncode, said) == (130, 'it: stopped; what was written so far is whole\n')


@pytest.mark.parametrize('path', sorted((ROOT / 'training').glob('*.py')), ids=lambda p: p.name)
def test_every_command_of_training_ends_like_that(path):
    text = path.read_text(encoding='utf-8')
    if "__name__ == '__main__'" in text:
        assert 'sys.exit(terminal.run(main))' in text
