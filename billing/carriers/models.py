# SPDX-License-Identifier: Apache-2.0
"""Gateways to carriers and the prefixes that they serve."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value

from billing.store.fields import Identifier, SealedPassword

__all__ = ["EmergencyRoute", "Gateway", "GatewayRoute"]


class Gateway(models.Model):
    """A connection to a carrier, known by its address."""

    class Transport(models.TextChoices):
        """How it is reached."""

        UDP = "udp"
        TCP = "tcp"

    class NumberFormat(models.TextChoices):
        """How it wants numbers of the whole world."""

        DIGITS = "digits"
        E164 = "e164"

    class ForwardedCaller(models.TextChoices):
        """What it gets in From of a call whose caller is somebody else than the account that pays."""

        ORIGINAL = "original"
        FORWARDER = "forwarder"

    class Identifies(models.TextChoices):
        """Whether the numbers that it brings say who calls."""

        NO = "no", "no"
        YES = "yes", "yes"
        ATTESTED = "attested", "where STIR attests them fully"

    name = Identifier(max_length=64, unique=True)
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(null=True, blank=True)
    """None: 5060 of an address; of a name whatever the DNS says (RFC 3263)."""
    transport = models.CharField(max_length=3, choices=Transport.choices, default="udp", db_default=Value("udp"))
    enabled = models.BooleanField(default=True, db_default=Value(True))
    inbound = models.BooleanField(default=True, db_default=Value(True))
    outbound = models.BooleanField(default=True, db_default=Value(True))
    any_port = models.BooleanField(default=True, db_default=Value(True))
    username = models.CharField(max_length=64, null=True, blank=True)
    password = SealedPassword(null=True, blank=True)  # type: ignore[misc]  # one type for both columns
    """Clear in Python, sealed in the store."""
    number_format = models.CharField(
        max_length=6, choices=NumberFormat.choices, default="digits", db_default=Value("digits")
    )
    forwarded_caller = models.CharField(
        max_length=9, choices=ForwardedCaller.choices, default="original", db_default=Value("original")
    )
    identifies = models.CharField(max_length=8, choices=Identifies.choices, default="no", db_default=Value("no"))
    caller_id = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    """How it wants to be told who calls; `billing.document.caller_id` has the form."""
    vendor = models.CharField(max_length=64, blank=True, db_default=Value(""))
    """Whose connection it is."""
    addresses = ArrayField(models.CharField(max_length=255), default=list, blank=True, db_default=Value([]))
    """Where requests to it are sent instead of to `host`, in this order: HOST or HOST:PORT."""
    sources = ArrayField(models.CharField(max_length=64), default=list, blank=True, db_default=Value([]))
    """Where else calls of it come from: addresses and networks."""
    registers = models.BooleanField(default=False, db_default=Value(False))
    """It wants us to register."""
    register_seconds = models.PositiveIntegerField(default=600, db_default=Value(600))
    realm = models.CharField(max_length=255, blank=True, db_default=Value(""))
    """The only realm whose challenges are answered; empty: any."""
    cost_tariff = models.ForeignKey(
        "billing.Tariff", on_delete=models.PROTECT, null=True, blank=True, related_name="gateways", db_index=False
    )
    """What its calls cost us."""

    class Meta:
        constraints = (
            models.CheckConstraint(name="gateway_port", condition=Q(port__gte=1) & Q(port__lte=65535)),
            models.CheckConstraint(name="gateway_number_format", condition=Q(number_format__in=("digits", "e164"))),
            models.CheckConstraint(
                name="gateway_forwarded_caller", condition=Q(forwarded_caller__in=("original", "forwarder"))
            ),
            models.CheckConstraint(
                name="gateway_registers",
                condition=Q(registers=False) | Q(username__isnull=False, password__isnull=False),
            ),
            models.CheckConstraint(name="gateway_identifies", condition=Q(identifies__in=("no", "yes", "attested"))),
        )

    def __str__(self) -> str:
        return self.name


class GatewayRoute(models.Model):
    """Numbers that begin with `prefix` may leave through the gateway, lower `position` first."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="routes", db_index=False)
    prefix = Identifier(max_length=18, blank=True)
    position = models.PositiveSmallIntegerField(default=1, db_default=1)
    strip = models.PositiveSmallIntegerField(default=0, db_default=0)
    prepend = models.CharField(max_length=18, blank=True, db_default=Value(""))

    class Meta:
        constraints = (
            models.UniqueConstraint(name="route_once", fields=("gateway", "prefix")),
            models.CheckConstraint(name="route_prefix_digits", condition=Q(prefix__regex=r"^[0-9]*$")),
        )


class EmergencyRoute(models.Model):
    """Emergency calls of phones in a country and area may leave through the gateway, lower `position` first."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="emergency_routes", db_index=False)
    number = Identifier(max_length=18, blank=True)
    """The emergency number; empty: any."""
    country = Identifier(max_length=2, blank=True)
    """ISO 3166-1, capitals; empty: any."""
    area = Identifier(max_length=8, blank=True)
    """Area code within the country; empty: any."""
    position = models.PositiveSmallIntegerField(default=1, db_default=1)
    send = models.CharField(max_length=18, blank=True, db_default=Value(""))
    """The number that the gateway gets; empty: as it was dialled."""

    class Meta:
        constraints = (
            models.UniqueConstraint(name="emergency_route_once", fields=("gateway", "number", "country", "area")),
            models.CheckConstraint(
                name="emergency_route_digits",
                condition=Q(number__regex=r"^[0-9]*$") & Q(area__regex=r"^[0-9]*$") & Q(send__regex=r"^[+]?[0-9]*$"),
            ),
        )
