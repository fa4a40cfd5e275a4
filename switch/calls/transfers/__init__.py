# SPDX-License-Identifier: Apache-2.0
"""A call whose parties change: transfers (REFER) and take-overs (Replaces)."""
