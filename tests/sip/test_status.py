# SPDX-License-Identifier: Apache-2.0
"""Reason phrases and Q.850 causes."""

from __future__ import annotations

import pytest

from switch.sip.message.reason import q850_cause, reason_phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (180, "Ringing"),
        (486, "Busy Here"),
        (199, "Early Dialog Terminated"),
        (188, "Session Progress"),
        (299, "OK"),
        (399, "Redirect"),
        (499, "Client Error"),
        (599, "Server Error"),
        (699, "Global Failure"),
    ],
)
def test_an_unknown_status_has_the_phrase_of_its_class(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


@pytest.mark.parametrize(
    ("status", "cause"), [(200, 16), (404, 1), (486, 17), (480, 18), (503, 41), (604, 1), (699, 31)]
)
def test_a_final_status_has_a_cause(status: int, cause: int) -> None:
    assert q850_cause(status) == cause
