# SPDX-License-Identifier: Apache-2.0
"""Recordings on disk while they grow, and their way into the store."""
