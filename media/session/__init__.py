# SPDX-License-Identifier: Apache-2.0
"""The sessions of the media server: what one caller hears and says."""
