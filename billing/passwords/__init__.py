# SPDX-License-Identifier: Apache-2.0
"""Passwords of accounts and gateways as they lie in the store: sealed, and by which key."""
