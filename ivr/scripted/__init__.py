# SPDX-License-Identifier: Apache-2.0
"""Callers by script on a clock that jumps: how applications are tested."""
