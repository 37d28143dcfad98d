# SPDX-License-Identifier: Apache-2.0
"""Programs for working on the repository: the environment, the demo, the pinned versions."""
