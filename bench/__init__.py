# SPDX-License-Identifier: Apache-2.0
"""Measurements; none of them is a test."""
