# SPDX-License-Identifier: Apache-2.0
"""Set the version of the package in every file that states it.

    python -m tools.release 0.2.0 --date 2027-01-15

The version in package.xml is the one that counts: setup.py reads it. The heading "Forthcoming" of
the changelog becomes the version and the date. Commit and tag the result.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path

from lightdepth_ros import files
from lightdepth_ros.errors import ConfigError, LightdepthError
from tools.ros_env import ROOT

PLACES = {
    'package.xml': r'(?<=<version>)[^<]+(?=</version>)',
    'lightdepth_ros/__init__.py': r"(?<=__version__ = ')[^']+(?=')",
    'CITATION.cff': r'(?m)(?<=^version: ).+$',
}
"""File -> what the version is in it."""
FORTHCOMING = re.compile(r'(?m)^Forthcoming\n-+$')


def versions(root: Path = ROOT) -> dict[str, str]:
    """Return file -> the version that it states; raises ConfigError for one without any."""
    return {name: _only(pattern, root / name) for name, pattern in PLACES.items()}


def released(root: Path, version: str, date: datetime.date) -> dict[Path, str]:
    """Return path -> new text of every file that a release changes."""
    if not re.fullmatch(r'(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}', version):
        raise ConfigError(f'version {version!r}: expected three numbers, as in 0.2.0')
    versions(root)
    texts = {root / name: (root / name).read_text(encoding='utf-8') for name in PLACES}
    for name, pattern in PLACES.items():
        texts[root / name] = re.sub(pattern, version, texts[root / name])
    citation = root / 'CITATION.cff'
    texts[citation] = re.sub(r'(?m)(?<=^date-released: ).+$', date.isoformat(), texts[citation])
    changelog = root / 'CHANGELOG.rst'
    heading = f'{version} ({date.isoformat()})'
    text, found = FORTHCOMING.subn(
        f'{heading}\n{"-" * len(heading)}', changelog.read_text(encoding='utf-8')
    )
    if found != 1:
        raise ConfigError(
            f'{changelog} has {found} headings "Forthcoming"; expected one. Write what is new '
            'under it first.'
        )
    return {**texts, changelog: text}


def _only(pattern: str, path: Path) -> str:
    found = re.findall(pattern, path.read_text(encoding='utf-8'))
    if len(found) != 1:
        raise ConfigError(f'{path} states {len(found)} versions ({pattern}); expected one')
    return str(found[0])


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        'release', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('version', help='X.Y.Z')
    parser.add_argument(
        '--date',
        type=datetime.date.fromisoformat,
        default=datetime.date.today(),
        help='YYYY-MM-DD (default: today)',
    )
    args = parser.parse_args(argv)
    try:
        texts = released(ROOT, args.version, args.date)
        files.write_files({path: text.encode() for path, text in texts.items()})
    except LightdepthError as error:
        print(f'release: {error}', file=sys.stderr)
        return 1
    print('\n'.join(str(path.relative_to(ROOT)) for path in texts))
    return 0


if __name__ == '__main__':
    sys.exit(main())
