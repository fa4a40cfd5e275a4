# SPDX-License-Identifier: Apache-2.0
"""Calls for help: each one is noted, and told to whoever looks after that."""
