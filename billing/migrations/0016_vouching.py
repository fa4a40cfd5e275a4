# SPDX-License-Identifier: Apache-2.0
"""Whose numbers identify, and how far; guesses that are counted before they are looked at; shares of mailboxes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.db.models.deletion
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import Q, Value
from django.db.models.functions import Now

import billing.models.fields


def run(part: str) -> migrations.RunSQL:
    """Run the .sql file beside this migration."""
    sql = Path(__file__).with_name(f"{part}.sql").read_text(encoding="utf-8")
    return migrations.RunSQL([sql], migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0015_crossing")]

    operations: ClassVar = [
        migrations.AddField(
            "gateway",
            "identifies",
            models.CharField(
                choices=[("no", "no"), ("yes", "yes"), ("attested", "where STIR attests them fully")],
                default="no",
                db_default=Value("no"),
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            "gateway",
            models.CheckConstraint(name="gateway_identifies", condition=Q(identifies__in=("no", "yes", "attested"))),
        ),
        migrations.AddField(
            "account",
            "ani",
            models.CharField(
                choices=[
                    ("enough", "its number is enough"),
                    ("once", "the PIN is asked once for each gateway"),
                    ("pin", "the PIN is always asked"),
                    ("off", "its numbers do not identify"),
                ],
                default="once",
                db_default=Value("once"),
                max_length=6,
            ),
        ),
        migrations.AddConstraint(
            "account",
            models.CheckConstraint(name="account_ani", condition=Q(ani__in=("enough", "once", "pin", "off"))),
        ),
        migrations.AddField("alias", "claimed_at", models.DateTimeField(null=True, editable=False)),
        migrations.AddField(
            "voucherguess",
            "slots",
            ArrayField(models.CharField(max_length=64), default=list, db_default=Value([]), size=None),
        ),
        migrations.AddField("voucherguess", "next_at", models.DateTimeField(null=True)),
        migrations.AddField("mailbox", "emails_until", models.DateTimeField(null=True, editable=False)),
        migrations.CreateModel(
            name="NumberWay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "alias", "gateway", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "alias",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ways",
                        db_index=False,
                        to="billing.alias",
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="known_numbers", to="billing.gateway"
                    ),
                ),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="RingBack",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", billing.models.fields.Identifier(max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ring_backs",
                        db_index=False,
                        db_constraint=False,
                        to="billing.account",
                    ),
                ),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
                ("used", models.BooleanField(db_default=Value(False))),
            ],
            options={
                "indexes": [
                    models.Index(fields=["number", "at"], name="ringback_number"),
                    models.Index(fields=["account", "at"], name="ringback_account"),
                ]
            },
        ),
        run("slots"),
        run("vouching"),
    ]
