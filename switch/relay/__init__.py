# SPDX-License-Identifier: Apache-2.0
"""The media relay as the switch sees it: its commands, and whether relay and media server still live."""
