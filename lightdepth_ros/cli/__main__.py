# SPDX-License-Identifier: Apache-2.0
"""`python -m lightdepth_ros.cli` is `lightdepth`."""

import sys

from lightdepth_ros.cli import main

sys.exit(main())
