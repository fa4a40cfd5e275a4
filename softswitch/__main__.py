# SPDX-License-Identifier: Apache-2.0
"""`python -m softswitch` and the command `softswitch`."""

from __future__ import annotations

from softswitch.cli import main

if __name__ == "__main__":
    main()
