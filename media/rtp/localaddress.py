# SPDX-License-Identifier: Apache-2.0
"""What Python's socket module leaves out for UDP on Linux: where a packet was sent to, and undoing connect()."""

from __future__ import annotations

import ctypes
import os
import socket

__all__ = ["ANCILLARY_SIZE", "dissolve", "local_address", "report_local_address"]

ANCILLARY_SIZE = socket.CMSG_SPACE(20)
"""Room for one in_pktinfo (12 octets) or in6_pktinfo (20 octets)."""
IP_PKTINFO = 8
"""From <linux/in.h>; the socket module of Python 3.11 lacks it."""
UNSPECIFIED = bytes(16)
"""A socket address of family AF_UNSPEC."""

_connect = ctypes.CDLL(None, use_errno=True).connect


def report_local_address(receiving: socket.socket, *, enabled: bool) -> None:
    """Let recvmsg tell to which local address each packet was sent (ip(7) IP_PKTINFO, RFC 3542 section 6.2)."""
    if receiving.family == socket.AF_INET6:
        receiving.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, enabled)
    else:
        receiving.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, enabled)


def local_address(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """The packed local address from recvmsg's ancillary data; empty where it does not say."""
    for level, kind, content in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            return content[8:12]  # struct in_pktinfo {int ifindex; in_addr spec_dst; in_addr addr}
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return content[:16]  # struct in6_pktinfo {in6_addr addr; int ifindex}
    return b""


def dissolve(connected: socket.socket) -> None:
    """Undo connect() on a UDP socket; its local port stays (connect(2)). The socket module has no way to say it."""
    if _connect(connected.fileno(), UNSPECIFIED, len(UNSPECIFIED)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
