# SPDX-License-Identifier: Apache-2.0
"""Vouchers: made, printed, blocked, sealed anew. The door that redeems them is `billing_client.vouchers`."""
