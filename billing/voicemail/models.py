# SPDX-License-Identifier: Apache-2.0
"""Mailboxes of accounts, the messages and greetings in them, and the e-mails that tell of messages.

Every account but a voucher has a mailbox; a row stands here only once something of it was set or a message came.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value

from billing.customers.models import Account
from billing.store.fields import Identifier, created_at

__all__ = ["Greeting", "Mailbox", "PinFailure", "VoiceEmail", "VoiceMessage", "VoiceSound"]

FOLDERS = ("new", "old", "work", "family", "friends")
FORMATS = ("wav", "ogg", "flac", "mp3", "raw")


class Mailbox(models.Model):
    """What an account has set for its mailbox."""

    class Attachment(models.TextChoices):
        """How a message goes into an e-mail."""

        WAV = "wav", "WAV"
        MP3 = "mp3", "MP3"
        OPUS = "opus", "Opus"
        NONE = "none", "not at all"

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="mailbox")
    enabled = models.BooleanField(default=True, db_default=Value(True))
    pin = models.CharField(max_length=160, blank=True, default="", db_default=Value(""))
    """Hashed (billing_client.rules.pins). Empty: none, and then nobody gets in but from the account's own phone."""
    ask_pin = models.BooleanField(default=False, db_default=Value(False))
    """Ask for the PIN on the account's own phone too."""
    max_messages = models.PositiveIntegerField(null=True, blank=True)
    """Null: as configured."""
    operator = models.CharField(max_length=64, blank=True, default="", db_default=Value(""))
    """Number that 0 leads to during the greeting."""
    email = ArrayField(models.CharField(max_length=254), default=list, db_default=Value([]), blank=True)
    """Who is told of new messages."""
    attach = models.CharField(
        max_length=4, choices=Attachment.choices, default=Attachment.WAV, db_default=Value(Attachment.WAV)
    )
    delete_after_email = models.BooleanField(default=False, db_default=Value(False))
    emails_until = models.DateTimeField(null=True, editable=False)
    """So far its e-mails fill their pace (`pace_email`)."""

    class Meta:
        verbose_name_plural = "mailboxes"

    def __str__(self) -> str:
        return self.account.number


class VoiceSound(models.Model):
    """Sound of a message: of the message with the same id, or of one that such a message introduces."""

    id = models.UUIDField(primary_key=True)
    format = models.CharField(max_length=4)
    data = models.BinaryField()
    seconds = models.FloatField()

    class Meta:
        constraints = (models.CheckConstraint(name="voice_sound_format", condition=Q(format__in=FORMATS)),)


class VoiceMessage(models.Model):
    """A message; its sound is the `VoiceSound` with its id."""

    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="messages", db_index=False)
    folder = Identifier(max_length=7)
    caller = models.CharField(max_length=64)
    caller_name = models.CharField(max_length=120)
    received_at = models.DateTimeField()
    seconds = models.FloatField()
    urgent = models.BooleanField()
    comment_of = models.UUIDField(null=True)
    """Sound of the message that was forwarded with this one as its introduction."""
    deleted_at = models.DateTimeField(null=True)
    """When it was deleted: it is gone for its owner, and for good some hours later."""

    class Meta:
        indexes = (
            models.Index(
                name="voice_message_present",
                fields=("account", "folder", "-urgent", "received_at"),
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(name="voice_message_deleted", fields=("deleted_at",), condition=Q(deleted_at__isnull=False)),
        )
        constraints = (models.CheckConstraint(name="voice_message_folder", condition=Q(folder__in=FOLDERS)),)


class Greeting(models.Model):
    """What a caller hears before the beep, or the owner's name."""

    pk = models.CompositePrimaryKey("account", "kind")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="greetings", db_index=False)
    kind = Identifier(max_length=11)
    """"unavailable", "busy", "temporary" or "name"."""
    format = models.CharField(max_length=4)
    data = models.BinaryField()
    seconds = models.FloatField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="greeting_kind", condition=Q(kind__in=("unavailable", "busy", "temporary", "name"))
            ),
            models.CheckConstraint(name="greeting_format", condition=Q(format__in=FORMATS)),
        )


class PinFailure(models.Model):
    """Wrong PINs in a row, of a mailbox or of who tries, whatever call and node they came through."""

    subject = Identifier(max_length=128, primary_key=True)
    """"mailbox NUMBER" (from its own phone and number), "mailbox NUMBER by GATEWAY ACCESS", "source phone NUMBER" or
    "source number NUMBER"."""
    failures = models.IntegerField(db_default=0)
    """Since the last right one or the last lock."""
    locks = models.IntegerField(db_default=0)
    """How often it was locked in a row: each lock is twice as long as the one before."""
    locked_until = models.DateTimeField(null=True)
    at = created_at()
    """Of the last failure."""


class VoiceEmail(models.Model):
    """An e-mail that is still to be sent; made with the message, gone once it was accepted or given up."""

    message = models.OneToOneField(VoiceMessage, on_delete=models.CASCADE, primary_key=True, related_name="to_send")
    recipients = ArrayField(models.CharField(max_length=254))
    """Those that have not accepted it yet."""
    queued_at = created_at()
    due_at = models.DateTimeField(db_index=True)
    """When it may be tried; while somebody tries, when it may be tried by others."""
    attempts = models.IntegerField(db_default=0)
