# SPDX-License-Identifier: Apache-2.0
"""Where an account's phones are, as a carrier that takes calls for help is told (RFC 6442, RFC 4119). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from switch.sip.message.body import Part

if TYPE_CHECKING:
    from switch.sip.message.message import HeaderLines

__all__ = ["location_lines", "location_part"]

_CID: Final = "location@softswitch.invalid"
_URIS: Final = ("http://", "https://", "sip:", "sips:", "pres:")
_PIDF: Final = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"
 xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" entity="pres:anonymous@anonymous.invalid">
<tuple id="phone"><status><gp:geopriv><gp:location-info>
<ca:civicAddress><ca:LOC>{}</ca:LOC></ca:civicAddress>
</gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence>
"""


def _is_uri(location: str) -> bool:
    return location.lower().startswith(_URIS) and not set(location) & set("<> \r\n")


def location_lines(location: str) -> HeaderLines:
    """Geolocation: where the location is found, or that it is in the body."""
    if not location:
        return []
    return [("Geolocation", f"<{location}>" if _is_uri(location) else f"<cid:{_CID}>"), ("Geolocation-Routing", "no")]


def location_part(location: str) -> Part | None:
    """A location in words as a part of the body; None: it is a URI, or there is none."""
    if not location or _is_uri(location):
        return None
    headers = (("Content-Type", "application/pidf+xml"), ("Content-ID", f"<{_CID}>"))
    return Part(headers, _PIDF.format(escape(location)).encode())
