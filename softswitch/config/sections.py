# SPDX-License-Identifier: Apache-2.0
"""One function a section of config.yaml: what its keys are called, how they are read and what they default to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from billing.reader import did_you_mean
from ivr.apps import DIALLED
from softswitch.config import values
from softswitch.config.access import check_receipts, read_access_numbers, read_sms
from softswitch.config.document import WrongValueError
from softswitch.config.menus import read_menus
from softswitch.config.model import (
    Configuration,
    Credit,
    Demo,
    Flood,
    Ivr,
    Log,
    LoginAttempts,
    Media,
    Messages,
    Metrics,
    Portal,
    Registration,
    Security,
    SessionTimer,
    Sip,
    Subscription,
    Tls,
    Trace,
    Voicemail,
)
from softswitch.config.values import Endpoint, boolean, choice, integer, money, number, text
from softswitch.config.vouchers import read_vouchers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from softswitch.config.document import Document, Section

__all__ = ["read_configuration"]

A_DAY = 86_400
LATER = "{0} is not served yet: listen on udp and tcp, and let a proxy in front take {0}"
SIP_TRANSPORTS = {"udp": None, "tcp": None, **{name: LATER.format(name) for name in ("tls", "ws", "wss")}}
UDP_ONLY = {"udp": None}
IPV4 = values.ip_version(4)
IPV6 = values.ip_version(6)
CODECS = ("PCMU", "PCMA", "G722", "opus")

sip_endpoint = values.endpoint(transports=SIP_TRANSPORTS)
udp_endpoint = values.endpoint(transports=UDP_ONLY)
ng_endpoint = values.endpoint(transports={"udp": None, "softswitch": None}, parse_host=values.host)


def read_configuration(root: Section) -> Configuration:
    """Reads every section; what is wrong is noted in the section's document."""
    document = root.document
    with root:
        found = Configuration(
            file=document.file,
            lines=document.lines,
            node=root.value("node", values.name, "sw1"),
            domains=root.values("domains", values.domain, ("sip.example.com",)),
            data_dir=_data_dir(root),
            store_dsn=_store(root.section("store")),
            sip=_sip(root.section("sip")),
            security=_security(root.section("security")),
            media=_media(root.section("media")),
            ivr=_ivr(root.section("ivr")),
            voicemail=_voicemail(root.section("voicemail")),
            vouchers=read_vouchers(root.section("vouchers")),
            credit=_credit(root.section("credit")),
            trace=_trace(root.section("trace")),
            portal=_portal(root.section("portal")),
            metrics=_metrics(root.section("metrics")),
            log=_log(root.section("log")),
            demo=_demo(root.section("demo")),
        )
        check_receipts(document, found.ivr, found.voicemail)
        _check_emergency(document, found)
        return found


def _data_dir(root: Section) -> Path:
    """A relative directory counts from the configuration file's, not from where the command happens to be called."""
    written = Path(root.value("data_dir", text, "./var")).expanduser()
    return (root.document.file.parent / written).resolve()


def _store(section: Section) -> str | None:
    def dsn(value: str) -> str | None:
        if value.lower() == "embedded":
            return None
        if not value.startswith(("postgresql://", "postgres://")):
            hint = did_you_mean(value, ("embedded",))
            raise WrongValueError(f'expected "embedded" or postgresql://user@host/database{hint}')
        return value

    with section:
        return section.value("dsn", dsn, None)


def _sip(section: Section) -> Sip:
    plain = Sip()
    with section:
        with section.section("tls") as tls:
            files = Tls(certificate=tls.value("certificate", text, None), key=tls.value("key", text, None))
        return Sip(
            listen=section.values("listen", sip_endpoint, plain.listen),
            advertise=section.value("advertise", values.public_address(), None),
            tls=files,
            trusted_proxies=section.values("trusted_proxies", values.host, plain.trusted_proxies),
            registration=_registration(section.section("registration")),
            subscription=_subscription(section.section("subscription")),
            session_timer=_session_timer(section.section("session_timer")),
            ring_seconds=section.value("ring_seconds", integer(5, 600), plain.ring_seconds),
            early_media_seconds=section.value("early_media_seconds", integer(5, 600), plain.early_media_seconds),
            max_unpaid_call_seconds=section.value(
                "max_unpaid_call_seconds", integer(60, A_DAY), plain.max_unpaid_call_seconds
            ),
            drain_seconds=section.value("drain_seconds", integer(0, A_DAY), plain.drain_seconds),
            emergency_numbers=section.values("emergency_numbers", values.telephone, plain.emergency_numbers),
            emergency_services=_emergency_services(section.section("emergency_services")),
        )


def _emergency_services(section: Section) -> dict[str, str]:
    """Which number is dialled for `urn:service:sos.SERVICE`."""
    with section:
        return {word.lower(): section.value(word, values.telephone, "") for word in section.words()}


def _check_emergency(document: Document, found: Configuration) -> None:
    """An emergency number is nothing else, and the number of a service is one."""
    numbers = found.sip.emergency_numbers
    for number_ in numbers:
        if number_ in found.ivr.access_numbers:
            document.complain_at(f"ivr.access_numbers.{number_}", f"{number_} is an emergency number")
    for service, number_ in found.sip.emergency_services.items():
        if number_ and number_ not in numbers:
            path = f"sip.emergency_services.{service}"
            document.complain_at(path, f"{number_} is none of sip.emergency_numbers ({', '.join(numbers)})")


def _registration(section: Section) -> Registration:
    plain = Registration()
    with section:
        found = Registration(
            min_expires=section.value("min_expires", integer(1, A_DAY), plain.min_expires),
            default_expires=section.value("default_expires", integer(1, A_DAY), plain.default_expires),
            max_expires=section.value("max_expires", integer(1, A_DAY), plain.max_expires),
            max_contacts=section.value("max_contacts", integer(1, 100), plain.max_contacts),
        )
    _check_default(section, found)
    return found


def _subscription(section: Section) -> Subscription:
    plain = Subscription()
    with section:
        found = Subscription(
            min_expires=section.value("min_expires", integer(1, 3600), plain.min_expires),
            default_expires=section.value("default_expires", integer(1, A_DAY), plain.default_expires),
            max_expires=section.value("max_expires", integer(1, A_DAY), plain.max_expires),
        )
    _check_default(section, found)
    return found


def _check_default(section: Section, found: Registration | Subscription) -> None:
    if not found.min_expires <= found.default_expires <= found.max_expires:
        section.document.complain_at(
            section.where("default_expires"),
            f"{found.default_expires} must lie between min_expires ({found.min_expires}) "
            f"and max_expires ({found.max_expires})",
        )


def _session_timer(section: Section) -> SessionTimer:
    plain = SessionTimer()
    with section:
        found = SessionTimer(
            expires=section.value("expires", integer(90, A_DAY), plain.expires),
            min_se=section.value("min_se", integer(90, A_DAY), plain.min_se),
        )
    if found.expires < found.min_se:
        section.document.complain_at(
            section.where("expires"), f"{found.expires} is less than min_se ({found.min_se}); RFC 4028 section 4"
        )
    return found


def _security(section: Section) -> Security:
    plain = Security()
    with section:
        with section.section("flood") as flood:
            limits = Flood(
                requests=flood.value("requests", integer(0, 1_000_000), plain.flood.requests),
                per_seconds=flood.value("per_seconds", number(0.1, 3600), plain.flood.per_seconds),
                ban_seconds=flood.value("ban_seconds", number(0, A_DAY), plain.flood.ban_seconds),
            )
        messages = _messages(section.section("messages"))
        with section.section("login_attempts") as login:
            attempts = LoginAttempts(
                per_call=login.value("per_call", integer(1, 20), plain.login_attempts.per_call),
                lock_after=login.value("lock_after", integer(1, 1000), plain.login_attempts.lock_after),
                lock_seconds=login.value("lock_seconds", integer(1, A_DAY), plain.login_attempts.lock_seconds),
                slow_after=login.value("slow_after", integer(1, 100_000), plain.login_attempts.slow_after),
            )
        return Security(
            flood=limits,
            drop_user_agents=section.values("drop_user_agents", text, plain.drop_user_agents),
            md5_user_agents=section.values("md5_user_agents", text, plain.md5_user_agents),
            login_attempts=attempts,
            messages=messages,
            number_max_price=section.value("number_max_price", money, plain.number_max_price),
            nonce_secret=section.value("nonce_secret", _secret, None),
        )


def _messages(section: Section) -> Messages:
    plain = Messages()
    with section:
        return Messages(
            from_one=section.value("from_one", integer(1, 100_000), plain.from_one),
            to_one=section.value("to_one", integer(1, 100_000), plain.to_one),
            per_seconds=section.value("per_seconds", number(1, 3600), plain.per_seconds),
        )


def _secret(value: str) -> str:
    if len(value) < 16:
        raise WrongValueError("is too short: at least 16 characters")
    return value


def _media(section: Section) -> Media:
    plain = Media()
    with section:
        with section.section("server") as server:
            server_endpoint = server.value("listen", udp_endpoint, plain.server)
        builtin, relays = _relay(section)
        return Media(
            server=server_endpoint,
            builtin_relay=builtin,
            relays=relays,
            control=section.value("control", udp_endpoint, plain.control),
            secret=section.value("secret", _secret, None),
            listen=section.value("listen", IPV4, plain.listen),
            advertise=section.value("advertise", values.public_address(IPV4), None),
            listen_ipv6=section.value("listen_ipv6", IPV6, None),
            advertise_ipv6=section.value("advertise_ipv6", values.public_address(IPV6), None),
            rtp_ports=section.value("rtp_ports", values.port_range, plain.rtp_ports),
            timeout_seconds=section.value("timeout_seconds", integer(5, A_DAY), plain.timeout_seconds),
            silent_timeout_seconds=section.value(
                "silent_timeout_seconds", integer(5, A_DAY), plain.silent_timeout_seconds
            ),
            codecs=section.values("codecs", choice(*CODECS), plain.codecs),
        )


def _relay(section: Section) -> tuple[bool, tuple[Endpoint, ...]]:
    """`builtin`, `off`, or the ng addresses of other relays."""

    def address(value: str) -> Endpoint:
        if ":" not in value:
            hint = did_you_mean(value, ("builtin", "off"))
            raise WrongValueError(f'expected builtin, off or ng addresses such as "udp:10.0.0.5:2223"{hint}')
        return ng_endpoint(value)

    def word_or_address(value: str) -> str | Endpoint:
        return value.lower() if value.lower() in {"builtin", "off", "false", "no"} else address(value)

    builtin: tuple[str | Endpoint, ...] = ("builtin",)
    found = section.values("relay", word_or_address, builtin)
    addresses = tuple(item for item in found if isinstance(item, Endpoint))
    return "builtin" in found and not addresses, addresses


def _ivr(section: Section) -> Ivr:
    with section:
        plain = Ivr()
        numbers, cards = read_access_numbers(section.section("access_numbers"), DIALLED)
        numbers = numbers or dict(plain.access_numbers)
        menus = read_menus(section.section("menus"), DIALLED)
        _check_access_menus(section, numbers, menus)
        return Ivr(
            language=section.value("language", values.name, "en"),
            access_numbers=numbers,
            cards=cards,
            announcements=section.value("announcements", boolean, plain.announcements),
            feature_codes=section.values("feature_codes", _star_code, plain.feature_codes),
            menus=menus,
            max_calls=section.value("max_calls", integer(1, 100_000), plain.max_calls),
            deposit_reserve_percent=section.value(
                "deposit_reserve_percent", integer(0, 90), plain.deposit_reserve_percent
            ),
            **{
                name: section.value(name, integer(1, 100_000), getattr(plain, name))
                for name in ("max_calls_per_account", "max_calls_per_number", "max_calls_per_address")
            },
            max_unpaid_seconds=section.value("max_unpaid_seconds", integer(60, A_DAY), plain.max_unpaid_seconds),
            sms=read_sms(section.section("sms")),
            prompts_dir=_prompts_dir(section),
        )


def _prompts_dir(section: Section) -> Path | None:
    """A relative directory counts from the configuration file's."""

    def directory(value: str) -> Path:
        found = (section.document.file.parent / Path(value).expanduser()).resolve()
        if not found.is_dir():
            raise WrongValueError(f"{found} is no directory")
        return found

    return section.value("prompts_dir", directory, None)


def _check_access_menus(section: Section, numbers: Mapping[str, str], menus: Mapping[str, object]) -> None:
    for number_, target in numbers.items():
        name = target.removeprefix("menu:")
        if target.startswith("menu:") and name not in menus:
            path = f"{section.where('access_numbers')}.{number_}"
            section.document.warn_at(path, f'there is no menu "{name}"{did_you_mean(name, menus)}')


def _star_code(value: str) -> str:
    if not re.fullmatch(r"[*#][0-9]{1,4}[*#]?", value):
        raise WrongValueError('is no star code such as "*72" or "*21*"')
    return value


def _voicemail(section: Section) -> Voicemail:
    plain = Voicemail()
    with section:
        with section.section("email") as email:
            sender = email.value("from", values.sender, None)
            smtp = email.value("smtp", lambda value: _tcp(value, values.host), None)
            user = email.value("user", text, "")
            password = email.value("password", text, "")
            starttls = email.value("starttls", boolean, plain.email_starttls)
            if smtp and not sender:
                email.problem("smtp", 'needs "from", the address that e-mails come from')
            if bool(user) != bool(password):
                email.problem("user" if user else "password", "user and password go together")
            if user and smtp and not starttls and smtp.host not in {"localhost", "127.0.0.1", "::1"}:
                email.document.warn_at(email.where("user"), "the password travels in clear: set starttls to true")
        return Voicemail(
            keys=section.value("keys", choice("comedian", "freeswitch"), plain.keys),
            max_messages=section.value("max_messages", integer(1, 10_000), plain.max_messages),
            max_from_one_caller=section.value("max_from_one_caller", integer(1, 10_000), plain.max_from_one_caller),
            max_messages_an_hour=section.value("max_messages_an_hour", integer(1, 10_000), plain.max_messages_an_hour),
            max_emails_an_hour=section.value("max_emails_an_hour", integer(1, 10_000), plain.max_emails_an_hour),
            max_seconds=section.value("max_seconds", integer(5, 3600), plain.max_seconds),
            min_seconds=section.value("min_seconds", number(1, 60), plain.min_seconds),
            silence_seconds=section.value("silence_seconds", number(1, 60), plain.silence_seconds),
            greeting_seconds=section.value("greeting_seconds", integer(5, 600), plain.greeting_seconds),
            skip_seconds=section.value("skip_seconds", number(1, 60), plain.skip_seconds),
            force_pin=section.value("force_pin", boolean, plain.force_pin),
            force_name=section.value("force_name", boolean, plain.force_name),
            purge_hours=section.value("purge_hours", integer(1, 8760), plain.purge_hours),
            email_from=sender,
            smtp=smtp,
            email_user=user,
            email_password=password,
            email_starttls=starttls,
        )


def _tcp(value: str, parse_host: Callable[[str], str]) -> Endpoint:
    return values.endpoint(transports={"tcp": None}, parse_host=parse_host)(f"tcp:{value}")


def _credit(section: Section) -> Credit:
    plain = Credit()
    with section:
        return Credit(
            slice_seconds=section.value("slice_seconds", integer(5, 3600), plain.slice_seconds),
            warn_seconds=section.value("warn_seconds", integer(0, 3600), plain.warn_seconds),
            warn_again_seconds=section.value("warn_again_seconds", integer(0, 3600), plain.warn_again_seconds),
            disconnect_before_zero_seconds=section.value(
                "disconnect_before_zero_seconds", integer(0, 3600), plain.disconnect_before_zero_seconds
            ),
        )


def _trace(section: Section) -> Trace:
    plain = Trace()
    with section:
        return Trace(
            enabled=section.value("enabled", boolean, plain.enabled),
            ladder=section.value("ladder", boolean, plain.ladder),
            keep_days=section.value("keep_days", integer(1, 3650), plain.keep_days),
        )


def _portal(section: Section) -> Portal:
    plain = Portal()
    with section:
        return Portal(
            listen=section.value("listen", values.http_endpoint, plain.listen),
            public_url=section.value("public_url", values.url, plain.public_url),
        )


def _metrics(section: Section) -> Metrics:
    def place(value: str) -> Endpoint | str:
        return "off" if value.lower() in {"off", "no", "false"} else values.http_endpoint(value)

    with section:
        plain = Metrics()
        found = {name: section.value(name, place, getattr(plain, name)) for name in ("switch", "ivr")}
        return Metrics(**{name: one if isinstance(one, Endpoint) else None for name, one in found.items()})


def _log(section: Section) -> Log:
    plain = Log()
    with section:
        return Log(
            level=section.value("level", choice("debug", "info", "warning", "error"), plain.level),
            format=section.value("format", choice("text", "json"), plain.format),
        )


def _demo(section: Section) -> Demo:
    plain = Demo()
    with section:
        return Demo(
            enabled=section.value("enabled", boolean, plain.enabled),
            carriers=section.values("carriers", udp_endpoint, plain.carriers),
        )
