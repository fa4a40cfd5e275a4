# SPDX-License-Identifier: Apache-2.0
"""What the billing store costs: CPU of PostgreSQL and of the client for each operation of a call."""
