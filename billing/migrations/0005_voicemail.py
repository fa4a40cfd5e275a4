# SPDX-License-Identifier: Apache-2.0
"""Mailboxes, their messages and greetings, e-mails to send, and message lamps."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_limits")]

    operations = []
