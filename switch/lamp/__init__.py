# SPDX-License-Identifier: Apache-2.0
"""The message lamp (RFC 3842): tells phones how many messages wait, whether they subscribe or not."""

from switch.lamp.lamp import Lamp
from switch.lamp.news import Mailboxes

__all__ = ["Lamp", "Mailboxes"]
