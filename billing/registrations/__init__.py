# SPDX-License-Identifier: Apache-2.0
"""Bindings and subscriptions of phones. The switch writes them."""
