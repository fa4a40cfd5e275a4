# SPDX-License-Identifier: Apache-2.0
"""The billing store and its back office. Django owns the schema; the switch reaches it through `billing_client`."""
