# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: its configuration, and whether this one may continue it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

from lightdepth_ros.errors import ConfigError
from lightdepth_ros.files import write_files
from training.config import TrainConfig

FREE = frozenset({
    'accelerator', 'compile', 'devices', 'nodes', 'save_every', 'threads', 'val_every', 'workers',
})  # fmt: skip
"""Settings that may change when a run continues: where and how it is computed, or how often
it is looked at. The same crops give the same steps, apart from rounding (and, with another number
of processes, batch norms that see another part of each batch)."""

BEFORE = {'vertical_jitter': 1.0, 'paste': 0.0, 'restyle': 0.0}
"""What a run older than these settings did, where that is not today's default."""


def essence(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the result of a run; the batch counts as a whole, over all processes."""
    defaults = {f.name: f.default for f in dataclasses.fields(TrainConfig)}
    settings = defaults | BEFORE | settings
    kept = {k: v for k, v in settings.items() if k not in FREE | {'batch_size'}}
    return kept | {
        'batch_size x devices x nodes':
            settings['batch_size'] * settings['devices'] * settings['nodes'],
    }  # fmt: skip


def differences(saved: dict[str, Any], config: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Return setting -> (saved, now) of everything that would make it another run."""
    before, now = essence(saved), essence(dataclasses.asdict(config))
    return {
        key: (before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    }


def read_config(out: Path) -> dict[str, Any] | None:
    """Return the settings saved in a run folder; None where there are none."""
    path = out / 'config.json'
    if not path.is_file():
        return None
    try:
        saved = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ConfigError(f'{path} is damaged ({error}); give another --out') from error
    if not isinstance(saved, dict):
        raise ConfigError(f'{path} is not the configuration of a run; give another --out')
    return saved


def claim(config: TrainConfig, out: Path) -> Path | None:
    """Write config.json and commit.txt into `out`; return the checkpoint to continue from, if any.

    Raises ConfigError where `out` holds a run that differs in more than FREE settings.
    """
    resume = out / 'resume.ckpt'
    saved = read_config(out)
    if resume.is_file():
        if saved is None:
            raise ConfigError(
                f'{resume} has no config.json beside it, so it is unknown what it was trained '
                'with. Give another --out, and --init to start from its weights.'
            )
        refuse_other_run(out, differences(saved, config))
    write_files({
        out / 'config.json': config.to_json().encode(),
        out / 'commit.txt': (git_commit() + '\n').encode(),
    })  # fmt: skip
    return resume if resume.is_file() else None


def refuse_other_run(out: Path, different: dict[str, tuple[Any, Any]]) -> None:
    """Raise ConfigError, naming each setting that differs, if any does."""
    if different:
        lines = [f'  {key}: there {was!r}, now {now!r}' for key, (was, now) in different.items()]
        raise ConfigError(
            f'{out} holds a run with another configuration:\n' + '\n'.join(lines) + '\n'
            'Give its settings to continue it, or another --out. Free to change are '
            + ', '.join('--' + name.replace('_', '-') for name in sorted(FREE))
        )


def git_commit() -> str:
    """Return the commit the code is at, with a + where files differ; 'unknown' outside git."""
    run = subprocess.run(
        ['git', 'describe', '--always', '--dirty=+'], capture_output=True, text=True, check=False
    )
    return run.stdout.strip() or 'unknown'
