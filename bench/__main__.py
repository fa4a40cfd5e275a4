# SPDX-License-Identifier: Apache-2.0
"""Run every benchmark, one after the other: `python -m bench [PART ...]`; see bench/README.md."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARTS: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "micro": (
        ("bench.micro.parse",),
        ("bench.micro.transactions",),
        ("bench.micro.sessions",),
        ("bench.micro.register",),
        ("bench.micro.recording",),
        ("bench.micro.lamp",),
        ("bench.micro.choice",),
    ),
    "store": (("bench.store",),),
    "vouchers": (("bench.vouchers",),),
    "relay": (("bench.relay.bench",),),
    "media": (("bench.media",),),
    "ivr": (("bench.ivr",),),
    "sip": (("bench.sip",),),
    "million": (("bench.sip", "registration", "call", "--accounts", "1000000"),),
    "flat": (("bench.sip", "flat"),),
}
USUAL: Final = ("micro", "store", "vouchers", "relay", "media", "ivr", "sip")
NEEDS: Final = {
    **dict.fromkeys(("relay", "media", "ivr"), ("gcc", "gcc")),
    **dict.fromkeys(("sip", "million", "flat"), ("sipp", "sip-tester")),
}
"""Programs that a part needs, and the Debian packages that bring them."""


def run(module: str, *arguments: str) -> bool:
    """Run one benchmark; whether it succeeded."""
    print(f"\n=== python -m {' '.join((module, *arguments))}", flush=True)
    began = time.monotonic()
    status = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
    print(f"=== {'done' if status == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


def main() -> int:
    """Run the parts that were asked for; 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="bench", description="What the parts of the switch cost.")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default {', '.join(USUAL)}"
    )
    parts = parser.parse_args().parts or USUAL
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part {', '.join(unknown)}")
    failed = False
    for part in parts:
        program, package = NEEDS.get(part, ("", ""))
        if program and shutil.which(program) is None:
            print(f"\n=== {part}: left out, as it needs {program} (Debian package {package})", flush=True)
            continue
        for module, *arguments in PARTS[part]:
            failed |= not run(module, *arguments)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
