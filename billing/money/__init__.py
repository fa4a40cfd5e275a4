# SPDX-License-Identifier: Apache-2.0
"""Balances and the ledger. What calls spend is moved by functions of the store (`store/sql/money`)."""
