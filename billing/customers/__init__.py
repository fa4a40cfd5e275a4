# SPDX-License-Identifier: Apache-2.0
"""Customers, their accounts with the names of these, and batches. Money and tariffs have rooms of their own."""
