# SPDX-License-Identifier: Apache-2.0
"""One party of a call on SIP and RTP, as the verbs need it."""
