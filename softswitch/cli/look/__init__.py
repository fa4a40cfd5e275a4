# SPDX-License-Identifier: Apache-2.0
"""Commands that look at calls and records, and change nothing."""
