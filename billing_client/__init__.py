# SPDX-License-Identifier: Apache-2.0
"""The only door to the billing store for the switch and the IVR: typed requests and answers over asyncpg.

A module a door, with its types, statements and rows: `parties`, `calls`, `bindings`, `lamps`, `traces`, `snapshots`
(which `store` opens for the switch), `mailboxes`, `vouchers`, `selfcare`, `answering`, `inquiry`. `types` is what
several share, `names` what they may ask for; `rules` is pure (prices, routes, lifecycle); `link` connects.
"""
