# SPDX-License-Identifier: Apache-2.0
"""The SIP side of the media server: INVITEs of the switch become calls of applications."""
