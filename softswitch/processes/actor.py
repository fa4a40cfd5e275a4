# SPDX-License-Identifier: Apache-2.0
"""As whom our processes act on the store: the one who sits at the command line, or a process that nobody sits at."""

from __future__ import annotations

import os
import pwd
import socket

from billing.audit_log.actor import ADMINISTRATOR, Actor, Via

__all__ = ["command_line", "process"]


def command_line() -> Actor:
    """The user of the operating system, from the machine or the address that he came from by SSH.

    The kernel says who it is, no variable that anybody may set; root is told with the user who became it by sudo.
    """
    name = _user(os.getuid())
    if os.getuid() == 0 and (before := os.environ.get("SUDO_USER", "")):
        name = f"{before} as {name}"
    ssh = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    host = socket.gethostname()
    return Actor(name, ADMINISTRATOR, Via.COMMAND_LINE, f"{host}, SSH from {ssh}" if ssh else host)


def process(name: str) -> Actor:
    """A process of ours that nobody sits at, such as `softswitch up`."""
    return Actor(name, ADMINISTRATOR, Via.JOB, socket.gethostname())


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
