# SPDX-License-Identifier: Apache-2.0
"""A real phone (PJSIP's pjsua2) driven from Python: for `make demo`, for the end-to-end tests, for trying a system out.

with Phone(PhoneSettings(number="101", password="...", proxy="127.0.0.1:5060"), directory) as phone:
    phone.register()
    call = phone.call("102")
    call.wait_answered()
    phone.play(440)
    assert call.hears(880)
"""

from softswitch.phone.ladder import ladder
from softswitch.phone.phone import Call, CallFailedError, Phone, PhoneError, PhoneMissingError, phone_missing
from softswitch.phone.settings import PhoneSettings
from softswitch.phone.sound import Recording, Tone
from softswitch.phone.trace import SipMessage

__all__ = [
    "Call",
    "CallFailedError",
    "Phone",
    "PhoneError",
    "PhoneMissingError",
    "PhoneSettings",
    "Recording",
    "SipMessage",
    "Tone",
    "ladder",
    "phone_missing",
]
