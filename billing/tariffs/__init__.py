# SPDX-License-Identifier: Apache-2.0
"""Products, tariffs and their rates. How a call is rated stands in `billing_client.rules`."""
