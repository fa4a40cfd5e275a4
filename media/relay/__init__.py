# SPDX-License-Identifier: Apache-2.0
"""The relay between two phones, commanded by the ng protocol of rtpengine."""
