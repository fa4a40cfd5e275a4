# SPDX-License-Identifier: Apache-2.0
"""Every star code that the media server knows is passed to it by the switch."""

from __future__ import annotations

from ivr.apps.feature import CODES, feature_of
from softswitch.config.model import Ivr
from switch.routing.plan import Applications


def test_the_configured_codes_are_those_of_the_application() -> None:
    assert set(Ivr().feature_codes) == set(CODES)


def test_the_switch_takes_a_code_and_its_number_apart_as_the_application_does() -> None:
    plan = Applications({}, Ivr().feature_codes, is_served=True)
    for dialled in ("*72420777100", "*21*420777100#", "#21#", "*78", "*706"):
        found = plan.find(dialled)
        assert found is not None
        parameters = dict(found.params)
        assert (parameters["code"], parameters.get("argument", "")) == feature_of(dialled)
