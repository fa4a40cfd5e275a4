# SPDX-License-Identifier: Apache-2.0
"""Connections to the store: a pool, what it announces, its clock, what goes to it together. No statement."""
