# SPDX-License-Identifier: Apache-2.0
"""A recorded drive in, a bag with every output of the node out."""
