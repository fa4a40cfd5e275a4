# SPDX-License-Identifier: Apache-2.0
"""The only door to the billing store for the switch and the IVR: typed requests and answers over asyncpg.

`types` are the words of the conversation, `rating` is pure arithmetic over snapshots of tariffs and routes,
`store` speaks to PostgreSQL. Only `store` does input or output.
"""
