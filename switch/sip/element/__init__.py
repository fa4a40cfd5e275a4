# SPDX-License-Identifier: Apache-2.0
"""The asyncio shell around the pure SIP element: one timer, effects carried out in order, names resolved."""
