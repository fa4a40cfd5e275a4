# SPDX-License-Identifier: Apache-2.0
"""An owner in its mailbox, from the login to the goodbye; what callers leave there is beside it."""
