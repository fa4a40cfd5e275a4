# SPDX-License-Identifier: Apache-2.0
"""Ended calls rated again by other tariffs. Nothing is written."""
