# SPDX-License-Identifier: Apache-2.0
"""Records that explain calls. The switch writes them."""
