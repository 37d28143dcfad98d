# SPDX-License-Identifier: Apache-2.0
"""Find the images of a folder, and the files that belong to them in its sister folders."""

from __future__ import annotations

from pathlib import Path

from lightdepth_ros.errors import DataError
from training.datasets.files import require_folder

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png')


def list_images(folder: Path, what: str, tree: str) -> list[Path]:
    """Return the images of `folder` in order of name; none is an error that shows the tree."""
    require_folder(folder, what, tree)
    images = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS)
    if not images:
        raise DataError(
            f'{what}: {folder} holds no image ({", ".join(IMAGE_ENDINGS)}). A right tree looks '
            f'like\n{tree}'
        )
    return images


def sister(image: Path, folder: str) -> Path:
    """Return the PNG of the same name in the sister folder `folder`, which must exist."""
    path = image.parent.parent / folder / f'{image.stem}.png'
    if not path.is_file():
        raise DataError(f'{image} has no partner {path}')
    return path
