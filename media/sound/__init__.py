# SPDX-License-Identifier: Apache-2.0
"""Samples: codecs, tones, keys as tones, files. No packets, no sockets."""
