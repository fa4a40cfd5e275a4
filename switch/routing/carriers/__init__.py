# SPDX-License-Identifier: Apache-2.0
"""Gateways of carriers: each in its turn, and left in peace when it says so."""
