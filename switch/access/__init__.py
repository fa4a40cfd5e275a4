# SPDX-License-Identifier: Apache-2.0
"""Who asks: callers, subscribers and their passwords, and how often they may. No routes, no money."""
