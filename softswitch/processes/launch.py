# SPDX-License-Identifier: Apache-2.0
"""Runs a program as another user, until its parent ends: `softswitch.processes.launch PARENT UID GID DIRECTORY
COMMAND...`.

PostgreSQL refuses to run as root. Started by root it runs as a user of its own, who may be unable to enter the
directories above the installation (a checkout below /root). Opening those directories to everybody would be a lasting
change of somebody's machine, so the program is given the one capability that lets it pass, CAP_DAC_READ_SEARCH, and
only then.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_GET_SECUREBITS = 27
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int, death_signal: signal.Signals) -> None:
    """Asks the kernel for a signal when the parent ends; ends at once if it has ended already."""
    libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"process {parent}, which started this one, has ended")


def _reaches(uid: int, gid: int, paths: list[str]) -> bool:
    """Whether the user can enter the paths, by asking the kernel in that user's place."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return all(os.access(path, os.X_OK, effective_ids=True) for path in paths)
    finally:
        os.seteuid(0)
        os.setegid(0)


def _held_capabilities() -> int:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapPrm:"))


def _raise_ambient(capability: int) -> bool:
    """Keeps one capability across setuid and exec (capabilities(7), ambient set); everything else is dropped."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low word, high word
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        return False
    return bool(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


def become(uid: int, gid: int, paths: list[str]) -> None:
    """Becomes the user for good, able to enter `paths`."""
    reaches = _reaches(uid, gid, paths)
    held = _held_capabilities()
    passes = CAP_DAC_READ_SEARCH if held & (1 << CAP_DAC_READ_SEARCH) else CAP_DAC_OVERRIDE
    if not reaches:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # access(2), by which PostgreSQL looks for its programs, ignores the capabilities of ordinary users otherwise
        libc.prctl(PR_SET_SECUREBITS, libc.prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) | SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if not reaches and not _raise_ambient(passes):
        shown = ", ".join(paths)
        sys.exit(f"user {uid} cannot enter {shown}: allow it (chmod o+x on the directories above) or install elsewhere")


def main(arguments: list[str]) -> NoReturn:
    parent, uid, gid = (int(argument) for argument in arguments[:3])
    directory, *command = arguments[3:]
    if os.geteuid() == 0 and uid != 0:
        become(uid, gid, [directory, command[0]])
    end_with_parent(parent, signal.SIGINT)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
