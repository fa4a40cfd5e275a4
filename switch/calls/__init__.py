# SPDX-License-Identifier: Apache-2.0
"""Calls: a B2BUA between two legs, with hunting for the callee, the media relay and credit control."""
