# SPDX-License-Identifier: Apache-2.0
"""Auto attendants that administrators write in YAML."""

from ivr.apps.menu.attendant import menu
from ivr.apps.menu.hours import Hours, Span, opening_at
from ivr.apps.menu.settings import Closed, Menu, Target

__all__ = ["Closed", "Hours", "Menu", "Span", "Target", "menu", "opening_at"]
