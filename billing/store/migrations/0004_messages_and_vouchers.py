# SPDX-License-Identifier: Apache-2.0
"""Mailboxes; vouchers; wrong codes and PINs."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models.functions import Now

from billing.store.fields import Identifier


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("billing", "0003_calls"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Mailbox",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=models.CASCADE,
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
                    ArrayField(
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
                ("emails_until", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name_plural": "mailboxes",
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
                ("kind", Identifier(max_length=11)),
                ("format", models.CharField(max_length=4)),
                ("data", models.BinaryField()),
                ("seconds", models.FloatField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False, on_delete=models.CASCADE, related_name="greetings", to="billing.account"
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
            name="VoiceMessage",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("folder", Identifier(max_length=7)),
                ("caller", models.CharField(max_length=64)),
                ("caller_name", models.CharField(max_length=120)),
                ("received_at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                ("urgent", models.BooleanField()),
                ("comment_of", models.UUIDField(null=True)),
                ("deleted_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False, on_delete=models.CASCADE, related_name="messages", to="billing.account"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", True)),
                        fields=["account", "folder", "-urgent", "received_at"],
                        name="voice_message_present",
                    ),
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", False)),
                        fields=["deleted_at"],
                        name="voice_message_deleted",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("folder__in", ("new", "old", "work", "family", "friends"))),
                        name="voice_message_folder",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="VoiceEmail",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        on_delete=models.CASCADE,
                        primary_key=True,
                        related_name="to_send",
                        serialize=False,
                        to="billing.voicemessage",
                    ),
                ),
                ("recipients", ArrayField(base_field=models.CharField(max_length=254), size=None)),
                ("queued_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("due_at", models.DateTimeField(db_index=True)),
                ("attempts", models.IntegerField(db_default=0)),
            ],
        ),
        migrations.CreateModel(
            name="PinFailure",
            fields=[
                ("subject", Identifier(max_length=128, primary_key=True, serialize=False)),
                ("failures", models.IntegerField(db_default=0)),
                ("locks", models.IntegerField(db_default=0)),
                ("locked_until", models.DateTimeField(null=True)),
                ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="Voucher",
            fields=[
                ("id", Identifier(max_length=20, primary_key=True, serialize=False)),
                ("control_number", models.IntegerField()),
                ("key_id", models.IntegerField(null=True)),
                ("sealed", models.BinaryField(null=True)),
                ("amount", models.DecimalField(decimal_places=5, max_digits=20)),
                ("currency", models.CharField(max_length=3)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("inactive", "Inactive"), ("blocked", "Blocked")],
                        db_default=models.Value("active"),
                        max_length=8,
                    ),
                ),
                ("expires", models.DateField(null=True)),
                ("sub_realm", models.CharField(db_default=models.Value(""), max_length=64)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("used_at", models.DateTimeField(null=True)),
                ("used_by", models.BigIntegerField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="vouchers",
                        to="billing.batch",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=models.DO_NOTHING,
                        related_name="vouchers",
                        to="billing.product",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "control_number"), name="voucher_control_number"),
                    models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="voucher_amount_positive"),
                    models.CheckConstraint(condition=models.Q(("id__regex", "^[0-9]{6,20}$")), name="voucher_id_form"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("key_id__isnull", True), ("sealed__isnull", True)),
                            models.Q(("key_id__isnull", False), ("sealed__isnull", False)),
                            _connector="OR",
                        ),
                        name="voucher_sealed_by",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("used_at__isnull", True), ("used_by__isnull", True)),
                            models.Q(("used_at__isnull", False), ("used_by__isnull", False)),
                            _connector="OR",
                        ),
                        name="voucher_used",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Redemption",
            fields=[
                ("key", Identifier(max_length=128, primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "Pending"), ("done", "Done"), ("refused", "Refused")], max_length=7
                    ),
                ),
                ("voucher", Identifier(db_default=models.Value(""), max_length=20)),
                ("store", Identifier(db_default=models.Value(""), max_length=64)),
                ("digest", models.BinaryField(null=True)),
                ("key_id", models.IntegerField(null=True)),
                ("sealed", models.BinaryField(null=True)),
                ("amount", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("currency", models.CharField(max_length=3)),
                ("funds", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("available", models.DecimalField(blank=True, decimal_places=5, max_digits=20, null=True)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("done_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("attempts", models.IntegerField(db_default=0)),
                ("note", models.CharField(db_default=models.Value(""), max_length=255)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("state", "pending")), fields=["due_at"], name="redemption_due"),
                    models.Index(fields=["account_id"], name="redemption_account"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("digest__isnull", False), models.Q(("state", "refused"), _negated=True)),
                        fields=("digest",),
                        name="redemption_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(models.Q(("voucher", ""), _negated=True), ("digest__isnull", True)),
                            models.Q(("digest__isnull", False), ("voucher", "")),
                            _connector="OR",
                        ),
                        name="redemption_of",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "done"), _negated=True),
                            models.Q(("amount__gt", 0), ("done_at__isnull", False), ("funds__isnull", False)),
                            _connector="OR",
                        ),
                        name="redemption_done",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "key", "channel", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", Identifier(max_length=128)),
                ("channel", Identifier(max_length=5)),
                ("language", models.CharField(max_length=16)),
                ("caller", models.CharField(max_length=64)),
                ("recipients", ArrayField(base_field=models.CharField(max_length=254), null=True, size=None)),
                ("queued_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("due_at", models.DateTimeField()),
                ("attempts", models.IntegerField(db_default=0)),
                ("sent_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("sent_at__isnull", True)), fields=["channel", "due_at"], name="receipt_due"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ("email", "sms"))), name="receipt_channel"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="VoucherGuess",
            fields=[
                ("subject", Identifier(max_length=128, primary_key=True, serialize=False)),
                ("weight", models.IntegerField()),
                ("failures", models.IntegerField(db_default=0)),
                ("since", models.DateTimeField(db_default=Now())),
                ("at", models.DateTimeField(db_default=Now())),
                ("locked_until", models.DateTimeField(null=True)),
                (
                    "slots",
                    ArrayField(
                        base_field=models.CharField(max_length=64), db_default=models.Value([]), default=list, size=None
                    ),
                ),
                ("next_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
