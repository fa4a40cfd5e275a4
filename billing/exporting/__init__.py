# SPDX-License-Identifier: Apache-2.0
"""The store as the document that `softswitch apply` reads. Money, calls and messages are not in it."""
