# SPDX-License-Identifier: Apache-2.0
"""RTP: the relay between two phones (rtpengine ng protocol), sessions, codecs."""
