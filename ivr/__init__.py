# SPDX-License-Identifier: Apache-2.0
"""What callers talk to: the media server's SIP endpoint, the verbs, and the applications written in them."""
