# SPDX-License-Identifier: Apache-2.0
"""The money of calls: funds locked ahead, settled once, kept in a journal while the store is away."""
