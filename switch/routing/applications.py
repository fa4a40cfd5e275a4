# SPDX-License-Identifier: Apache-2.0
"""What callers dial to talk to the media server. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from billing_client.rules.numbering import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from switch.settings import SwitchSettings

__all__ = ["VOICEMAIL_ACCESS", "Application", "Applications"]

VOICEMAIL_ACCESS: Final = "voicemail-access"
_APPLICATIONS: Final = {"voicemail": VOICEMAIL_ACCESS}
"""Applications that go by another name in the configuration."""


@dataclass(frozen=True, slots=True)
class Application:
    """An application of the media server."""

    name: str
    target: str | None = None
    """Number of the account whose mailbox, or other thing, it is about."""
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Applications:
    """What callers dial to talk to the media server."""

    access_numbers: Mapping[str, str] = field(default_factory=dict)
    """Numbers and the applications behind them; `menu:NAME` is the auto attendant of that name. `NUMBER%`: what is
    dialled after the number is the application's argument."""
    feature_codes: Sequence[str] = ()
    """Star codes; what is dialled after one is its argument."""
    is_served: bool = False
    """Whether there is a media server."""

    @classmethod
    def of(cls, settings: SwitchSettings) -> Applications:
        """Those of a switch."""
        return cls(settings.access_numbers, settings.feature_codes, settings.media_server is not None)

    def find(self, dialled: str) -> Application | None:
        """What is dialled, if it is an application."""
        if not self.is_served:
            return None
        name, _, menu = self.access_numbers.get(dialled, "").partition(":")
        if name:
            return Application(_APPLICATIONS.get(name, name), params=(("name", menu),) if menu else ())
        fitting = [code for code in self.feature_codes if dialled.startswith(code)]
        if not fitting or read(dialled).kind != "code":
            return self._one_stage(dialled)
        code = max(fitting, key=len)
        argument = dialled[len(code) :].rstrip("#")
        return Application("feature", params=(("code", code), *((("argument", argument),) if argument else ())))

    def _one_stage(self, dialled: str) -> Application | None:
        """An access number with the destination dialled right after it."""
        fitting = [key[:-1] for key in self.access_numbers if key.endswith("%") and dialled.startswith(key[:-1])]
        if not fitting or read(dialled).kind != "number":
            return None
        number = max(fitting, key=len)
        params = (("access", number), ("argument", dialled[len(number) :].rstrip("#")))
        return Application(self.access_numbers[f"{number}%"], params=params)
