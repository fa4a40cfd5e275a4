# SPDX-License-Identifier: Apache-2.0
"""The sample carrier's session descriptions: audio in G.711 and telephone events, everything else refused."""

from __future__ import annotations

__all__ = ["describe"]

TAKEN = {"0": "PCMU/8000", "8": "PCMA/8000"}
MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}


def describe(offer: bytes | None, host: str, port: int, version: int) -> bytes | None:
    """The answer to an offer (RFC 3264 section 6), or an offer of ours where there is none.

    None where the offer holds no audio that we take.
    """
    family = "IP6" if ":" in host else "IP4"
    lines = ["v=0", f"o=carrier 1 {version} IN {family} {host}", "s=-", f"c=IN {family} {host}", "t=0 0"]
    if offer is None:
        lines += _audio(port, list(TAKEN), None, "sendrecv")
    else:
        medias = _medias(offer.decode("utf-8", errors="replace"))
        has_audio = False
        for media in medias:
            kind, _, profile, *formats = media[0].split()
            taken = [item for item in formats if item in TAKEN] if kind == "audio" and profile == "RTP/AVP" else []
            if taken and not has_audio:
                lines += _audio(port, taken, _telephone_event(media), MIRRORED[_direction(media)])
                has_audio = True
            else:  # a refused stream keeps its place with port 0
                lines.append(f"m={kind} 0 {profile} {' '.join(formats)}")
        if not has_audio:
            return None
    return ("\r\n".join(lines) + "\r\n").encode()


def _audio(port: int, formats: list[str], event: str | None, direction: str) -> list[str]:
    lines = [f"m=audio {port} RTP/AVP {' '.join([*formats, *([event] if event else [])])}"]
    lines += [f"a=rtpmap:{item} {TAKEN[item]}" for item in formats]
    if event:
        lines += [f"a=rtpmap:{event} telephone-event/8000", f"a=fmtp:{event} 0-16"]
    return [*lines, f"a={direction}"]


def _medias(sdp: str) -> list[list[str]]:
    """The media sections: the value of the m= line, then the attribute values (with those of the session last)."""
    session: list[str] = []
    medias: list[list[str]] = []
    for line in sdp.splitlines():
        if line.startswith("m="):
            medias.append([line[2:]])
        elif line.startswith("a="):
            (medias[-1] if medias else session).append(line[2:])
    return [[*media, *session] for media in medias]


def _telephone_event(media: list[str]) -> str | None:
    for attribute in media[1:]:
        name, _, value = attribute.partition(":")
        if name == "rtpmap" and value.lower().endswith(" telephone-event/8000"):
            return value.split()[0]
    return None


def _direction(media: list[str]) -> str:
    return next((attribute for attribute in media[1:] if attribute in MIRRORED), "sendrecv")
