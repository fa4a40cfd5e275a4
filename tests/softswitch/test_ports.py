# SPDX-License-Identifier: Apache-2.0
"""Ports for systems that are started to be tried or tested."""

from __future__ import annotations

import subprocess
import sys

from softswitch.processes.ports import free_port, reserve


def test_a_port_is_given_out_once_though_nobody_has_opened_it() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
    assert not any(reserve(f"port/{port}") for port in ports)


def test_another_process_is_given_other_ports_until_this_one_has_ended() -> None:
    ask = "import sys; from softswitch.processes.ports import reserve; print(reserve(sys.argv[1]))"
    name = f"port/{free_port()}"
    asked = subprocess.run([sys.executable, "-c", ask, name], capture_output=True, text=True, check=True)
    assert asked.stdout == "False\n"
    own = f"{name}/of a process that ends"
    for _ in range(2):
        asked = subprocess.run(
            [sys.executable, "-c", ask, own], capture_output=True, text=True, timeout=240, check=True
        )
        assert asked.stdout == "True\n"
