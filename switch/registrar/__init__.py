# SPDX-License-Identifier: Apache-2.0
"""Where accounts can be reached: REGISTER, bindings and their upkeep. What a REGISTER does is
`switch.sip.binding_rules`."""
