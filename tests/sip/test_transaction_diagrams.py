# SPDX-License-Identifier: Apache-2.0
"""The page about the transactions shows the tables as they are."""

from __future__ import annotations

from docs import make_diagrams


def test_the_diagrams_are_up_to_date() -> None:
    assert make_diagrams.PAGE.read_text(encoding="utf-8") == make_diagrams.page(), "run python -m docs.make_diagrams"
