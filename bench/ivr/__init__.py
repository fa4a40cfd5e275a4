# SPDX-License-Identifier: Apache-2.0
"""The media server in a whole Softswitch, measured by callers."""
