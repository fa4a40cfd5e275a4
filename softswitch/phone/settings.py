# SPDX-License-Identifier: Apache-2.0
"""What a phone is set to."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PhoneSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """One account on one phone."""

    number: str
    password: str = field(default="", repr=False)
    """Empty: the phone has no credentials."""
    proxy: str
    """host:port of the switch."""
    domain: str = ""
    """Host of the AOR; empty: the proxy's."""
    transport: str = "udp"
    host: str = "127.0.0.1"
    """Local address of signalling and media."""
    port: int = 0
    """Local SIP port; 0: any."""
    codecs: tuple[str, ...] = ("PCMU",)
    """What is offered and taken, best first: PCMU, PCMA, G722, GSM, iLBC, speex."""
    events: bool = True
    """Telephone events (RFC 4733) are offered and taken; without them keys are sent as tones, or in INFO."""
    display: str = ""
    expires: int = 300
    rings: bool = True
    """Answer 180 by itself."""
    reliable: bool = False
    """Provisional responses are reliable (RFC 3262)."""
    subscribes: bool = False
    """Subscribes to its message lamp (RFC 3842); told without asking it lights it too."""
    said_contact: str = ""
    """A Contact that is said instead of the true one, as a phone behind NAT does that knows no better."""
    said_media_host: str = ""
    """The same for the address in session descriptions."""
