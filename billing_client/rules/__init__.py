# SPDX-License-Identifier: Apache-2.0
"""Rules of accounts and money. Pure: no store, no clock."""
