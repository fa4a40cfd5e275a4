# SPDX-License-Identifier: Apache-2.0
"""Every file, folder and test that a document names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(set(ROOT.glob("*.md")) - {ROOT / "CHANGELOG.md"}), *sorted((ROOT / "docs").rglob("*.md"))]
TOPS = ("bench", "billing", "billing_client", "docs", "ivr", "media", "prompts", "softswitch", "switch", "tests")
NAMED = re.compile(rf"`((?:{'|'.join(TOPS)})/[\w./*<>-]*)(?:::(\w+))?")
LINKED = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_in_a_document_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {found[1].rstrip("/.") for found in NAMED.finditer(text) if not re.search(r"[*<>A-Z]", found[1])}
    missing = [path for path in sorted(named) if not (ROOT / path).exists()]
    assert missing == []
    assert [link for link in LINKED.findall(text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_in_a_document_exists(page: Path) -> None:
    named = {(found[1], found[2]) for found in NAMED.finditer(page.read_text(encoding="utf-8")) if found[2]}
    missing = [f"{path}::{test}" for path, test in sorted(named) if not _has(ROOT / path, test)]
    assert missing == []


def _has(file: Path, test: str) -> bool:
    """Whether a test stands in a file; a name that ends with "_" is the beginning of one."""
    return (
        re.search(rf"def {test}" + ("" if test.endswith("_") else r"\b"), file.read_text(encoding="utf-8")) is not None
    )
