# SPDX-License-Identifier: Apache-2.0
"""The document of `softswitch apply`: read, compared with the store, and applied."""
