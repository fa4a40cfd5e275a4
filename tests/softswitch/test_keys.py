# SPDX-License-Identifier: Apache-2.0
"""The keys of config.yaml: each is declared once, explained, drawn into docs/config.md, and read by something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import make_config

ROOT = Path(__file__).parents[2]
DECLARED = {"model.py", "sections.py"}
PRODUCT = {
    file: file.read_text(encoding="utf-8")
    for package in ("billing", "billing_client", "ivr", "media", "softswitch", "switch")
    for file in (ROOT / package).rglob("*.py")
    if not (file.parent.name == "config" and file.name in DECLARED)
}
KEPT = {"portal.listen", "portal.public_url", "sip.tls.key", "ivr.sms.options", "vouchers.external.NAME.options"}
"""For back office and TLS, as docs/config.md says; and what adapters are told, which installations bring along."""
FILE_NAME = {"voicemail.email.from": "sender"}


def test_the_tables_of_the_documentation_are_up_to_date() -> None:
    assert make_config.PAGE.read_text(encoding="utf-8") == make_config.page(), "run python -m docs.make_config"


def test_every_section_of_the_configuration_has_its_table() -> None:
    tables = re.findall(r"<!-- keys: (\S+) -->", make_config.PAGE.read_text(encoding="utf-8"))
    assert sorted(tables) == sorted({path.partition(".")[0] for path in make_config.paths() if "." in path} | {"top"})


def test_every_key_says_what_it_means() -> None:
    page = make_config.page()
    assert [path for path in make_config.paths() if re.search(rf"\| `{re.escape(path)}`[^|]*\|[^|]*\| +\|", page)] == []


@pytest.mark.parametrize("path", sorted(set(make_config.paths()) - KEPT))
def test_every_key_is_read_by_something(path: str) -> None:
    name = FILE_NAME.get(path, path.rpartition(".")[2])
    assert any(re.search(rf"\.{re.escape(name)}\b", text) for text in PRODUCT.values())
