# SPDX-License-Identifier: Apache-2.0
"""Transfers: whither accounts may send their calls on, who gave a call away, and which held call one stands beside."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0009_connections")]

    operations: ClassVar = [
        migrations.AddField(
            "account",
            "transfers",
            models.CharField(
                choices=[
                    ("outside", "anywhere that it may call"),
                    ("inside", "to accounts and applications"),
                    ("nowhere", "not at all"),
                ],
                db_default=models.Value("outside"),
                default="outside",
                max_length=7,
            ),
        ),
        migrations.AddConstraint(
            "account",
            models.CheckConstraint(
                condition=models.Q(("transfers__in", ("outside", "inside", "nowhere"))), name="account_transfers"
            ),
        ),
        migrations.AddField("activecall", "transferred_by", models.CharField(max_length=64, null=True)),
        migrations.AddField("xdr", "transferred_by", models.CharField(max_length=64, null=True)),
        migrations.AddField("activecall", "beside", models.CharField(max_length=64, null=True)),
    ]
