# SPDX-License-Identifier: Apache-2.0
"""Passwords and PINs as they lie in the store, sealed by keys from a file outside it."""
