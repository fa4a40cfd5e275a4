# SPDX-License-Identifier: Apache-2.0
"""The demo tenant of a first start, and a sample store of vouchers outside."""
