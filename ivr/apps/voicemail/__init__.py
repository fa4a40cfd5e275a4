# SPDX-License-Identifier: Apache-2.0
"""Voicemail: callers leave messages (`deposit`), owners listen to them (`access`)."""
