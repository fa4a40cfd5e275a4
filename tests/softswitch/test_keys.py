# SPDX-License-Identifier: Apache-2.0
"""The keys of config.yaml: each is declared once, explained, drawn into docs/config.md, and read by something."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from docs import make_config
from softswitch.config import claims, load
from softswitch.config.fields import keys_of
from softswitch.config.model import Configuration
from softswitch.config.values import Endpoint
from softswitch.processes.store import store_dsn
from softswitch.settings import carrier_settings, explain_conditions, ivr_settings, media_settings, switch_settings
from softswitch.vouchers import voucher_settings

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


# Taken at other times than at the start of a process, each by one command or part.
ELSEWHERE = {
    "log", "log.format", "log.level", "sip.tls", "sip.tls.certificate", "vouchers.password_length",
}  # fmt: skip


def test_the_settings_of_the_processes_take_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section that a process takes as it is counts as taken; that its keys are used is the test before."""
    file = tmp_path / "config.yaml"
    file.write_text(
        "demo: {enabled: true}\n"
        "voicemail: {email: {from: a@example.com, smtp: localhost:25}}\n"
        "vouchers: {external: {a: {url: http://127.0.0.1}}}\n",
        encoding="utf-8",
    )
    configuration = load(file)
    declared, below = dict(_sections(configuration, "")), {}
    taken: set[str] = set()
    for path, section in declared.items():
        below[id(section)] = path
        original = type(section).__getattribute__

        def watched(self: object, name: str, original: Any = original) -> Any:
            if id(self) in below:
                taken.add(f"{below[id(self)]}{name}")
            return original(self, name)

        monkeypatch.setattr(type(section), "__getattribute__", watched)
    for take in (
        switch_settings,
        media_settings,
        ivr_settings,
        carrier_settings,
        explain_conditions,
        claims,
        store_dsn,
    ):
        take(configuration)
    [store.name for store in voucher_settings(configuration).open_stores()]
    monkeypatch.undo()
    whole = {path for path, section in declared.items() if type(section).__module__ != Configuration.__module__}
    missing = {
        f"{path}{field.name}"
        for path, section in declared.items()
        if path not in whole
        for field in keys_of(type(section))
    } - taken
    kept = {path for path in missing if path in KEPT or path == "portal"}
    assert missing - kept == ELSEWHERE


def _sections(section: Any, path: str) -> list[tuple[str, Any]]:
    found = [(path, section)]
    for field in keys_of(type(section)):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Endpoint):
            found += _sections(value, f"{path}{field.name}.")
    return found
