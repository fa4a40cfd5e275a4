# SPDX-License-Identifier: Apache-2.0
"""The only door to the billing store for the switch and the IVR: typed requests and answers over asyncpg.

`types` are the words of the conversation, `rules` is pure (prices, routes, lifecycle); `store` and the doors beside it
(`mailboxes`, `vouchers`, `selfcare`, `inquiry`) speak to PostgreSQL through `pool`, and nothing else does input or
output.
"""
