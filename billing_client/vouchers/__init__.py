# SPDX-License-Identifier: Apache-2.0
"""Vouchers in the store and in stores outside: the words for them, the door, receipts, and who guesses."""
