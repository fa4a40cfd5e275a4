# SPDX-License-Identifier: Apache-2.0
"""E-mails and short messages from the queues of the store."""
