# SPDX-License-Identifier: Apache-2.0
"""The only door to the billing store for the switch and the IVR: typed requests and answers over asyncpg."""
