# SPDX-License-Identifier: Apache-2.0
"""Training of the lightdepth students: run as `python -m training.<script>` from the
repository."""
