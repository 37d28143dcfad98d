# SPDX-License-Identifier: Apache-2.0
"""Settings of Sphinx for the API reference: `make docs` writes it to out/docs.

sphinx-autoapi reads the source files without importing them, so neither ROS nor PyTorch has to be
installed, and a new module is in the reference without a line here.
"""

import os
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(os.environ.get('LIGHTDEPTH_ROOT') or Path(__file__).resolve().parents[2])

project = 'lightdepth_ros'
author = 'lightdepth_ros maintainers'
copyright = author
release = ElementTree.parse(ROOT / 'package.xml').findtext('version')
extensions = ['autoapi.extension']
default_role = 'code'  # docstrings write names in single backquotes
html_theme = 'furo'
html_title = f'{project} {release}'
suppress_warnings = ['autoapi', 'docutils']  # docstrings are prose for readers of the code

autoapi_dirs = [str(ROOT / name) for name in ('lightdepth_ros', 'training')]
autoapi_ignore = ['*/__pycache__/*']
autoapi_options = ['members', 'undoc-members', 'show-inheritance', 'show-module-summary']
autoapi_member_order = 'groupwise'
autoapi_own_page_level = 'module'
autoapi_root = 'reference'
autoapi_add_toctree_entry = False
