# SPDX-License-Identifier: Apache-2.0
"""What callers do with their own account: recharge, balance, calling cards, call-back."""
