# SPDX-License-Identifier: Apache-2.0
"""SIP signalling and call control: registrar, calls as a B2BUA, routing, credit control."""
