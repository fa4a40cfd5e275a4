# SPDX-License-Identifier: Apache-2.0
"""What config.yaml says, as a `Configuration`: the generic reader, and by hand what is more than a value.

By hand are keys whose words are the administrator's own (access numbers, menus, stores of vouchers, emergency
services), and what no value alone can be wrong about: one key against another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.reading.reader import did_you_mean
from softswitch.config import values
from softswitch.config.access import check_receipts, read_access_numbers, read_sms
from softswitch.config.document import WrongValueError
from softswitch.config.fields import read_section
from softswitch.config.menus import read_menus
from softswitch.config.model import Configuration, Email, Ivr, Media, Metrics, Sip, Voicemail
from softswitch.config.values import Endpoint
from softswitch.config.vouchers import read_vouchers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from softswitch.config.document import Document, Section

__all__ = ["read_configuration"]

OFF = ("off", "no", "false")

ng_endpoint = values.endpoint(transports={"udp": None, "softswitch": None}, parse_host=values.host)


def read_configuration(root: Section) -> Configuration:
    """Reads every section; what is wrong is noted in the section's document."""
    document = root.document
    found = read_section(
        root,
        Configuration,
        file=document.file,
        lines=document.lines,
        data_dir=root.value("data_dir", values.file(document.file.parent), (document.file.parent / "var").resolve()),
        sip=_sip(root.section("sip")),
        media=_media(root.section("media")),
        ivr=_ivr(root.section("ivr")),
        voicemail=_voicemail(root.section("voicemail")),
        vouchers=read_vouchers(root.section("vouchers")),
        metrics=_metrics(root.section("metrics")),
    )
    check_receipts(document, found.ivr, found.voicemail)
    _check_emergency(document, found)
    _check_caller_codes(document, found)
    return found


def _check_caller_codes(document: Document, found: Configuration) -> None:
    """A code means one thing."""
    caller_id, ivr = found.caller_id, found.ivr
    taken = dict.fromkeys(ivr.feature_codes, "ivr.feature_codes") | dict.fromkeys(
        ivr.access_numbers, "ivr.access_numbers"
    )
    for key, codes in (("hide_codes", caller_id.hide_codes), ("show_codes", caller_id.show_codes)):
        for index, code in enumerate(codes):
            if code in taken:
                document.complain_at(f"caller_id.{key}[{index}]", f"{code} is one of {taken[code]} already")
            taken[code] = f"caller_id.{key}"


def _sip(section: Section) -> Sip:
    found = read_section(section, Sip, emergency_services=_emergency_services(section.section("emergency_services")))
    for name, limits in (("registration", found.registration), ("subscription", found.subscription)):
        if not limits.min_expires <= limits.default_expires <= limits.max_expires:
            section.document.complain_at(
                section.where(f"{name}.default_expires"),
                f"{limits.default_expires} must lie between min_expires ({limits.min_expires}) "
                f"and max_expires ({limits.max_expires})",
            )
    timer = found.session_timer
    if timer.expires < timer.min_se:
        path = section.where("session_timer.expires")
        section.document.complain_at(path, f"{timer.expires} is less than min_se ({timer.min_se}); RFC 4028 section 4")
    return found


def _emergency_services(section: Section) -> dict[str, str]:
    """Which number is dialled for `urn:service:sos.SERVICE`."""
    with section:
        return {word.lower(): section.value(word, values.telephone, "") for word in section.words()}


def _check_emergency(document: Document, found: Configuration) -> None:
    """An emergency number is nothing else, and the number of a service is one."""
    numbers = found.sip.emergency_numbers
    for number in numbers:
        if number in found.ivr.access_numbers:
            document.complain_at(f"ivr.access_numbers.{number}", f"{number} is an emergency number")
    for service, number in found.sip.emergency_services.items():
        if number and number not in numbers:
            path = f"sip.emergency_services.{service}"
            document.complain_at(path, f"{number} is none of sip.emergency_numbers ({', '.join(numbers)})")


def _media(section: Section) -> Media:
    return read_section(section, Media, relay=_relay(section))


def _relay(section: Section) -> tuple[Endpoint, ...] | None:
    """The ng addresses of other relays, none (`off`), or None: `builtin`."""

    def address(value: str) -> Endpoint:
        if ":" not in value:
            hint = did_you_mean(value, ("builtin", "off"))
            raise WrongValueError(f'expected builtin, off or ng addresses such as "udp:10.0.0.5:2223"{hint}')
        return ng_endpoint(value)

    def word_or_address(value: str) -> str | Endpoint:
        return value.lower() if value.lower() in {"builtin", *OFF} else address(value)

    builtin: tuple[str | Endpoint, ...] = ("builtin",)
    found = section.values("relay", word_or_address, builtin)
    addresses = tuple(item for item in found if isinstance(item, Endpoint))
    return None if "builtin" in found and not addresses else addresses


def _ivr(section: Section) -> Ivr:
    plain = Ivr()
    numbers, cards = read_access_numbers(section.section("access_numbers"))
    numbers = numbers or dict(plain.access_numbers)
    menus = read_menus(section.section("menus"))
    _check_access_menus(section, numbers, menus)
    sms = read_sms(section.section("sms"))
    return read_section(section, Ivr, access_numbers=numbers, cards=cards, menus=menus, sms=sms)


def _check_access_menus(section: Section, numbers: Mapping[str, str], menus: Mapping[str, object]) -> None:
    for number, target in numbers.items():
        name = target.removeprefix("menu:")
        if target.startswith("menu:") and name not in menus:
            path = f"{section.where('access_numbers')}.{number}"
            section.document.warn_at(path, f'there is no menu "{name}"{did_you_mean(name, menus)}')


def _voicemail(section: Section) -> Voicemail:
    return read_section(section, Voicemail, email=_email(section.section("email")))


def _email(section: Section) -> Email:
    found = read_section(section, Email)
    if found.smtp and not found.sender:
        section.problem("smtp", 'needs "from", the address that e-mails come from')
    if bool(found.user) != bool(found.password):
        section.problem("user" if found.user else "password", "user and password go together")
    if found.user and found.smtp and not found.starttls and found.smtp.host not in {"localhost", "127.0.0.1", "::1"}:
        path = section.where("user")
        section.document.warn_at(path, "the password travels in clear: set starttls to true")
    return found


def _metrics(section: Section) -> Metrics:
    def place(value: str) -> Endpoint | str:
        return "off" if value.lower() in OFF else values.http_endpoint(value)

    plain: dict[str, Any] = {"switch": Metrics().switch, "ivr": Metrics().ivr}
    found = {name: section.value(name, place, default) for name, default in plain.items()}
    return read_section(section, Metrics, **{name: None if one == "off" else one for name, one in found.items()})
