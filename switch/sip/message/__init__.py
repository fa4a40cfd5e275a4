# SPDX-License-Identifier: Apache-2.0
"""SIP messages: text to values and back, and what is wrong with them. Pure; no transaction, no dialog."""
