# SPDX-License-Identifier: Apache-2.0
"""What callers hear: a folder a language, with the catalogue of its prompts and a sound file for each."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDER"]

FOLDER = Path(__file__).parent
"""Where the languages are, in a checkout and in an installed copy."""
