# SPDX-License-Identifier: Apache-2.0
"""Mailboxes, their messages and greetings, wrong PINs, and e-mails to send."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import billing.models.fields

PARTS = ("voicemail", "pins", "emails")


def run(part: str) -> migrations.RunSQL:
    """Run the .sql file beside this migration."""
    sql = Path(__file__).with_name(f"{part}.sql").read_text(encoding="utf-8")
    return migrations.RunSQL([sql], migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0004_limits")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Mailbox",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="mailbox",
                        serialize=False,
                        to="billing.account",
                    ),
                ),
                ("enabled", models.BooleanField(db_default=models.Value(True), default=True)),
                ("pin", models.CharField(blank=True, db_default=models.Value(""), default="", max_length=160)),
                ("ask_pin", models.BooleanField(db_default=models.Value(False), default=False)),
                ("max_messages", models.PositiveIntegerField(blank=True, null=True)),
                ("operator", models.CharField(blank=True, db_default=models.Value(""), default="", max_length=64)),
                (
                    "email",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=254),
                        blank=True,
                        db_default=models.Value([]),
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "attach",
                    models.CharField(
                        choices=[("wav", "WAV"), ("mp3", "MP3"), ("opus", "Opus"), ("none", "not at all")],
                        db_default=models.Value("wav"),
                        default="wav",
                        max_length=4,
                    ),
                ),
                ("delete_after_email", models.BooleanField(db_default=models.Value(False), default=False)),
            ],
            options={
                "verbose_name_plural": "mailboxes",
            },
        ),
        migrations.CreateModel(
            name="PinFailure",
            fields=[
                ("subject", billing.models.fields.Identifier(max_length=128, primary_key=True, serialize=False)),
                ("failures", models.IntegerField(db_default=0)),
                ("locks", models.IntegerField(db_default=0)),
                ("locked_until", models.DateTimeField(null=True)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="VoiceMessage",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("folder", billing.models.fields.Identifier(max_length=7)),
                ("caller", models.CharField(max_length=64)),
                ("caller_name", models.CharField(max_length=120)),
                ("received_at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                ("urgent", models.BooleanField()),
                ("comment_of", models.UUIDField(null=True)),
                ("deleted_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="account",
            name="language",
            field=models.CharField(blank=True, db_default=models.Value(""), default="", max_length=16),
        ),
        migrations.AddField(
            model_name="account",
            name="timezone",
            field=models.CharField(blank=True, db_default=models.Value(""), default="", max_length=64),
        ),
        migrations.CreateModel(
            name="VoiceEmail",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="to_send",
                        serialize=False,
                        to="billing.voicemessage",
                    ),
                ),
                (
                    "recipients",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=254), size=None),
                ),
                (
                    "queued_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("due_at", models.DateTimeField(db_index=True)),
                ("attempts", models.IntegerField(db_default=0)),
            ],
        ),
        migrations.AddField(
            model_name="voicemessage",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="billing.account",
            ),
        ),
        migrations.CreateModel(
            name="VoiceSound",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("format", models.CharField(max_length=4)),
                ("data", models.BinaryField()),
                ("seconds", models.FloatField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("format__in", ("wav", "ogg", "flac", "mp3", "raw"))),
                        name="voice_sound_format",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Greeting",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account", "kind", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", billing.models.fields.Identifier(max_length=11)),
                ("format", models.CharField(max_length=4)),
                ("data", models.BinaryField()),
                ("seconds", models.FloatField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="greetings",
                        to="billing.account",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ("unavailable", "busy", "temporary", "name"))),
                        name="greeting_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("format__in", ("wav", "ogg", "flac", "mp3", "raw"))), name="greeting_format"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="voicemessage",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True)),
                fields=["account", "folder", "-urgent", "received_at"],
                name="voice_message_present",
            ),
        ),
        migrations.AddIndex(
            model_name="voicemessage",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)), fields=["deleted_at"], name="voice_message_deleted"
            ),
        ),
        migrations.AddConstraint(
            model_name="voicemessage",
            constraint=models.CheckConstraint(
                condition=models.Q(("folder__in", ("new", "old", "work", "family", "friends"))),
                name="voice_message_folder",
            ),
        ),
        *map(run, PARTS),
    ]
