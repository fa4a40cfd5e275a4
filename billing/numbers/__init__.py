# SPDX-License-Identifier: Apache-2.0
"""Numbers of the outside that accounts are known by. Names of accounts stand with `customers`."""
