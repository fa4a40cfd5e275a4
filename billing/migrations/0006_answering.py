# SPDX-License-Identifier: Apache-2.0
"""How accounts answer: modes, forwards, follow-me."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_voicemail")]

    operations = []
