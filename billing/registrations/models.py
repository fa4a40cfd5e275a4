# SPDX-License-Identifier: Apache-2.0
"""The location service: where phones are registered, and which of them want to hear of messages."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from billing.store.fields import Identifier

__all__ = ["Binding", "Subscription"]


class Binding(models.Model):
    """A contact binding (RFC 3261 section 10). No index but the key: refreshes stay cheap in-page updates."""

    pk = models.CompositePrimaryKey("aor", "key")
    aor = Identifier(max_length=64)
    key = Identifier(max_length=512)
    contact = models.CharField(max_length=1024)
    received = models.CharField(max_length=255, null=True)
    path = ArrayField(models.CharField(max_length=512))
    expires_at = models.DateTimeField()
    q = models.FloatField()
    call_id = models.CharField(max_length=255)
    cseq = models.BigIntegerField()
    instance = models.CharField(max_length=255, null=True)
    reg_id = models.IntegerField(null=True)
    user_agent = models.CharField(max_length=255)
    node = Identifier(max_length=64)
    socket = models.CharField(max_length=64)


class Subscription(models.Model):
    """A subscription to the state of a mailbox (RFC 6665, RFC 3842), with the dialog that its NOTIFY requests use."""

    tag = Identifier(max_length=64, primary_key=True)
    node = Identifier(max_length=64)
    account = Identifier(max_length=64)
    call_id = models.TextField()
    local = models.TextField()
    remote = models.TextField()
    remote_tag = models.TextField()
    target = models.TextField()
    routes = models.TextField()
    event = models.TextField()
    local_cseq = models.BigIntegerField()
    remote_cseq = models.BigIntegerField()
    source = models.CharField(max_length=64)
    socket = models.CharField(max_length=64)
    natted = models.BooleanField()
    expires_at = models.DateTimeField()
