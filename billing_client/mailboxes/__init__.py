# SPDX-License-Identifier: Apache-2.0
"""Mailboxes in the store: the words for them, and the door."""
