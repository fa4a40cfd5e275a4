# SPDX-License-Identifier: Apache-2.0
"""Processes: started, supervised, logged; the embedded PostgreSQL among them."""
