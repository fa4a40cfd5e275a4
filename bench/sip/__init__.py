# SPDX-License-Identifier: Apache-2.0
"""What registrations and calls cost: CPU of switch, PostgreSQL and relay, rates, delays, memory."""
