# SPDX-License-Identifier: Apache-2.0
"""Calls shown to people: the ladder, the reasons, the money, and files for carriers and for packet analysers."""
