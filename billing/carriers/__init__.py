# SPDX-License-Identifier: Apache-2.0
"""Gateways with their routes, and what a carrier says of its calls. How a call finds its carrier is the switch's."""
