# SPDX-License-Identifier: Apache-2.0
"""Packets: RTP, RTCP, keys as events, ports, and from whom packets are taken."""
