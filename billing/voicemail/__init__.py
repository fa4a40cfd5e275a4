# SPDX-License-Identifier: Apache-2.0
"""Mailboxes, as an administrator sees and repairs them. The door of the IVR is `billing_client.mailboxes`."""
