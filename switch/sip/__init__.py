# SPDX-License-Identifier: Apache-2.0
"""The SIP protocol core: pure state machines and parsers; no sockets, no clock, no randomness, no database."""
