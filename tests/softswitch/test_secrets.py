# SPDX-License-Identifier: Apache-2.0
"""The secret between switch, media server and relay: made once, kept to its owner (rule 9 of docs/security.md)."""

from __future__ import annotations

import multiprocessing
import stat
from typing import TYPE_CHECKING

import pytest

from softswitch.config import ConfigurationInvalidError, load
from softswitch.processes.runfiles import kept_secret, media_secret
from softswitch.settings import ivr_settings, media_settings, switch_settings

if TYPE_CHECKING:
    from pathlib import Path


def _ask(file: Path, found: multiprocessing.Queue[bytes]) -> None:
    found.put(kept_secret(file))


def test_however_many_ask_at_once_all_get_the_same_secret(tmp_path: Path) -> None:
    file = tmp_path / "var" / "media.secret"
    context = multiprocessing.get_context("fork")
    found: multiprocessing.Queue[bytes] = context.Queue()
    asking = [context.Process(target=_ask, args=(file, found)) for _ in range(12)]
    for one in asking:
        one.start()
    secrets = {found.get(timeout=20) for _ in asking}
    for one in asking:
        one.join()
    assert len(secrets) == 1
    assert secrets == {file.read_bytes()}
    assert len(file.read_bytes()) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("left", [b"", b"\n", b"half"])
def test_what_a_crash_left_half_written_is_written_anew(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "media.secret"
    file.write_bytes(left)
    file.chmod(0o644)
    assert len(kept_secret(file)) == 64
    assert kept_secret(file) == file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_switch_media_server_and_relay_of_one_machine_share_the_secret_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("{}\n")
    configuration = load(file)
    secret = media_secret(configuration)
    switch = switch_settings(configuration)
    assert switch.media_secret == ivr_settings(configuration).secret == media_settings(configuration).secret == secret
    assert list(switch.relay.secrets.values()) == [secret]
    assert secret != switch.nonce_secret
    assert secret.decode() not in repr((switch, ivr_settings(configuration), media_settings(configuration)))


def test_machines_share_it_by_the_configuration_and_rtpengine_gets_plain_commands(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    relays = '["softswitch:10.0.0.5:2223", "udp:10.0.0.6:2223"]'
    file.write_text(f"media: {{secret: sixteen letters., relay: {relays}}}\n")
    configuration = load(file)
    switch = switch_settings(configuration)
    assert switch.relay.addresses == (("10.0.0.5", 2223), ("10.0.0.6", 2223))
    assert switch.relay.secrets == {("10.0.0.5", 2223): b"sixteen letters."}
    assert not (configuration.data_dir / "media.secret").exists()


def test_a_short_secret_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("media: {secret: short}\n")
    with pytest.raises(ConfigurationInvalidError, match="at least 16"):
        load(file)
