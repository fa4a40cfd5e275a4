# SPDX-License-Identifier: Apache-2.0
"""What calls were and why, kept for some days: reasons and SIP messages, packed by the switch
(switch/trace/recorder.py)."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from billing.store.fields import Identifier

__all__ = ["CallTrace"]


class CallTrace(models.Model):
    """The record of one call, refused ones included; no money rests on it, and it goes when it is old."""

    call_id = Identifier(max_length=64, primary_key=True)
    node = Identifier(max_length=64)
    account = Identifier(max_length=64)
    """Number of who paid or would have paid; empty: nobody of ours."""
    caller = models.CharField(max_length=255)
    dialled = models.CharField(max_length=255)
    started_at = models.DateTimeField(db_index=True)
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    cause = models.SmallIntegerField()
    """Q.850."""
    sip_status = models.SmallIntegerField(null=True)
    ended_by = models.CharField(max_length=8)
    keys = ArrayField(models.CharField(max_length=255))
    """What the call is found by: numbers, account, Call-IDs of all legs."""
    body = models.BinaryField()

    class Meta:
        indexes = (GinIndex(name="call_trace_keys", fields=("keys",)),)
