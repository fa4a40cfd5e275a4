# SPDX-License-Identifier: Apache-2.0
"""Every class of mistake in config.yaml is told with its line, its path and a way out."""

from __future__ import annotations

import textwrap
from decimal import Decimal
from pathlib import Path

import pytest

from ivr.post.handover import MailSettings
from softswitch.config import ConfigurationInvalidError, Endpoint, check, claims, load
from softswitch.config.model import SmsSettings
from softswitch.settings import mail_settings, reserved_names, switch_settings

ROOT = Path(__file__).parents[2]

EVERY_KEY = """
node: sw1
domains: [sip.example.com]
data_dir: ./var
store: {dsn: embedded}
sip:
  listen: [udp:0.0.0.0:5060, tcp:0.0.0.0:5060]
  advertise: null
  trusted_proxies: [192.0.2.1, "2001:db8::1", edge.example.com]
  tls: {certificate: null, key: null}
  registration: {min_expires: 60, default_expires: 300, max_expires: 3600, max_contacts: 5}
  session_timer: {expires: 1800, min_se: 90}
security:
  flood: {requests: 16, per_seconds: 2, ban_seconds: 300}
  drop_user_agents: [friendly-scanner, sipvicious, sipcli]
  md5_user_agents: [baresip]
  login_attempts: {per_call: 3, lock_after: 9, lock_seconds: 900}
media:
  server: {listen: "udp:127.0.0.1:5080"}
  relay: builtin
  rtp_ports: 20000-29999
  codecs: [PCMU, PCMA, G722, opus]
ivr:
  language: en
  access_numbers: {"*98": voicemail, "*99": recharge, "*123": balance, "18005550100": calling_card}
  menus:
    reception:
      greeting: welcome
      keys: {1: {dial: "101"}, 2: {menu: sales}, 9: {app: voicemail}, 0: {dial: "100"}}
voicemail:
  {keys: comedian, max_messages: 100, max_seconds: 180, purge_hours: 24,
   email: {from: Voicemail <vm@example.com>, smtp: "localhost:587", user: vm, password: open sesame, starttls: true}}
credit: {slice_seconds: 30, warn_seconds: 60, disconnect_before_zero_seconds: 0}
portal: {listen: 127.0.0.1:8080, public_url: http://localhost:8080}
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return file


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationInvalidError) as caught:
        load(written(tmp_path, text))
    return str(caught.value).splitlines()


def test_the_shipped_file_is_in_order() -> None:
    configuration, warnings = check(ROOT / "config.yaml")
    assert warnings == []
    assert configuration.data_dir == ROOT / "var"


def test_every_documented_key_is_taken(tmp_path: Path) -> None:
    configuration, warnings = check(written(tmp_path, EVERY_KEY))
    assert configuration.ivr.access_numbers["*98"] == "voicemail"
    assert configuration.voicemail.email.smtp == Endpoint("tcp", "localhost", 587)
    assert mail_settings(configuration) == MailSettings(
        sender="Voicemail <vm@example.com>",
        host="localhost",
        port=587,
        user="vm",
        password="open sesame",
        starttls=True,
    )
    assert "sesame" not in repr(configuration)
    assert [warning.text for warning in warnings] == ['there is no menu "sales"']


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, ""))
    assert configuration.sip.listen[0] == Endpoint("udp", "0.0.0.0", 5060)
    assert not configuration.demo.enabled


def test_a_password_that_would_travel_in_clear_is_warned_of(tmp_path: Path) -> None:
    email = "{from: vm@example.com, smtp: mail.example.com:25, user: vm, password: sesame}"
    configuration, warnings = check(written(tmp_path, f"voicemail: {{email: {email}}}\n"))
    assert [warning.text for warning in warnings] == ["the password travels in clear: set starttls to true"]
    assert mail_settings(configuration) is not None
    assert mail_settings(load(written(tmp_path, ""))) is None


def test_a_key_without_a_value_keeps_its_default(tmp_path: Path) -> None:
    assert load(written(tmp_path, "node:\nsip:\n")).node == "sw1"


def test_an_access_number_may_translate_calling_numbers_and_be_for_a_few_customers_only(tmp_path: Path) -> None:
    text = r"""
ivr:
  access_numbers:
    "1": {app: calling_card, translate_ani: ['s/^0/44/', 's|[^0-9]||g', 's/^(..)1/\g<1>2/'], customers: Acme,
          products: [Card, Gold card], auth_code: true, max_auth_code_length: 6, service_password: true,
          max_call_seconds: 0, max_timeouts: 2, ask_register: always}
    "2": {app: calling_card, ask_register: off}
"""
    cards = load(written(tmp_path, text)).ivr.cards
    card = cards["1"]
    assert [rule.apply("01-2 1") for rule in card.translate_ani] == ["441-2 1", "0121", "01-2 1"]
    assert card.translate_ani[2].apply("441") == "442"
    assert (card.customers, card.products) == (("Acme",), ("Card", "Gold card"))
    assert (card.auth_code, card.min_auth_code_length, card.max_auth_code_length) == (True, 4, 6)
    assert (card.service_password, card.max_call_seconds, card.max_timeouts) == (True, 0, 2)
    assert (card.ask_register, cards["2"].ask_register) == ("always", "off")


def test_receipts_go_by_email_and_by_a_gateway_of_short_messages(tmp_path: Path) -> None:
    text = """
voicemail: {email: {from: no-reply@example.com, smtp: "mail.example.com:25"}}
ivr:
  sms: {adapter: "acme.sms:gateway", options: {token: secret}}
  access_numbers: {"*99": {app: recharge, receipts: {email: true, sms: true}}, "1": {app: recharge, receipts: {}}}
"""
    ivr = load(written(tmp_path, text)).ivr
    assert (ivr.cards["*99"].receipts, ivr.cards["1"].receipts) == (("email", "sms"), ())
    assert ivr.sms == SmsSettings(adapter="acme.sms:gateway", options={"token": "secret"})


def test_access_numbers_may_have_options(tmp_path: Path) -> None:
    text = """
ivr:
  access_numbers:
    "*99": recharge
    "18005550100":
      {app: calling_card, announce_balance: false, languages: [en, cs], max_login_attempts: 2, ask_register: true,
       low_balance: "1.50", low_balance_policy: disconnect, hangup_key: off, one_stage: true, balance_mode: balance}
"""
    ivr = load(written(tmp_path, text)).ivr
    assert ivr.access_numbers == {"*99": "recharge", "18005550100": "calling_card", "18005550100%": "calling_card"}
    card = ivr.cards["18005550100"]
    assert (card.announce_balance, card.languages, card.max_login_attempts) == (False, ("en", "cs"), 2)
    assert (card.ask_register, card.low_balance, card.low_balance_policy) == ("ask", Decimal("1.50"), "disconnect")
    assert (card.hangup_key, card.balance_mode, card.pin) == ("", "balance", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nod: a\n", 'config.yaml:1: nod: unknown key (did you mean "node"?)'),
        ("\nsip:\n  listn: []\n", 'config.yaml:3: sip.listn: unknown key (did you mean "listen"?)'),
        (
            "routing: {failover: [503, 603]}\n",
            "config.yaml:1: routing.failover[1]: 603 is a word about this call, which no other carrier is asked after",
        ),
        ("xyzzy: 1\n", "config.yaml:1: xyzzy: unknown key; known here: caller_id, credit, data_dir, demo, domains"),
        ("node: a\nnode: b\n", "config.yaml:2: node: given twice, first in line 1"),
        ("sip: [1]\n", "config.yaml:1: sip: expected keys of its own below it"),
        ("sip: {listen: {a: 1}}\n", "config.yaml:1: sip.listen: expected a list"),
        ("node: [a]\n", "config.yaml:1: node: expected a single value"),
        ("node: a b\n", 'config.yaml:1: node: "a b" is no name'),
        ("- a\n", 'config.yaml:1: expected "key: value" lines'),
        ("a: [\n", "config.yaml:2: not YAML: while parsing a flow node"),
        ("domains: [a b]\n", 'config.yaml:1: domains[0]: "a b" is no domain name'),
        ("domains: []\n", "config.yaml:1: domains: is empty"),
        ("store: {dsn: embeded}\n", 'config.yaml:1: store.dsn: expected "embedded" or postgresql://'),
        ("sip:\n  listen:\n  - udpp:0.0.0.0:5060\n", 'config.yaml:3: sip.listen[0]: unknown transport "udpp" (did you'),
        ("sip: {listen: [tls:0.0.0.0:5061]}\n", "config.yaml:1: sip.listen[0]: tls is not served yet"),
        ("sip: {listen: [udp:0.0.0.0:70000]}\n", "config.yaml:1: sip.listen[0]: 70000 is no port: 1 to 65535"),
        ("sip: {listen: [udp:localhost:5060]}\n", 'config.yaml:1: sip.listen[0]: "localhost" is no IP address'),
        ("sip: {listen: [udp:::1:5060]}\n", "config.yaml:1: sip.listen[0]: expected address:port"),
        ("sip: {listen: [5060]}\n", "config.yaml:1: sip.listen[0]: expected transport:address:port such as"),
        ("sip: {listen: []}\n", "config.yaml:1: sip.listen: is empty"),
        ("sip: {advertise: 0.0.0.0}\n", 'config.yaml:1: sip.advertise: "0.0.0.0" is not an address that a phone'),
        ("sip: {ring_seconds: soon}\n", 'config.yaml:1: sip.ring_seconds: expected a whole number, not "soon"'),
        ("sip: {ring_seconds: 1}\n", "config.yaml:1: sip.ring_seconds: 1 is out of range: 5 to 600"),
        (
            "sip: {registration: {min_expires: 600}}\n",
            "config.yaml:1: sip.registration.default_expires: 300 must lie between min_expires (600) and max_expires",
        ),
        (
            "sip: {session_timer: {expires: 100, min_se: 200}}\n",
            "config.yaml:1: sip.session_timer.expires: 100 is less than min_se (200)",
        ),
        (
            "security: {flood: {per_seconds: x}}\n",
            "config.yaml:1: security.flood.per_seconds: expected a number, not",
        ),
        (
            "sip: {emergency_numbers: ['11x']}\n",
            'config.yaml:1: sip.emergency_numbers[0]: "11x" is no telephone number',
        ),
        (
            "sip:\n  emergency_services: {police: '110'}\n",
            "config.yaml:2: sip.emergency_services.police: 110 is none of sip.emergency_numbers (112, 911)",
        ),
        (
            "ivr: {access_numbers: {'+8001': echo}}\n",
            'config.yaml:1: ivr.access_numbers.+8001: what is dialled arrives as "8001": write it so',
        ),
        (
            "ivr: {access_numbers: {'*43#': echo}}\n",
            'config.yaml:1: ivr.access_numbers.*43#: what is dialled arrives as "*43": write it so',
        ),
        (
            "ivr: {access_numbers: {'urn:service:sos': echo}}\n",
            'config.yaml:1: ivr.access_numbers.urn:service:sos: "urn:service:sos" cannot be dialled',
        ),
        ("ivr: {access_numbers: {'112': echo}}\n", "config.yaml:1: ivr.access_numbers.112: 112 is an emergency number"),
        ("security: {nonce_secret: short}\n", "config.yaml:1: security.nonce_secret: is too short"),
        ("media: {relay: bultin}\n", "config.yaml:1: media.relay: expected builtin, off or ng addresses"),
        (
            "media: {rtp_ports: 30000-20000}\n",
            "config.yaml:1: media.rtp_ports: the range ends (20000) before",
        ),
        ("media: {rtp_ports: 20000-20002}\n", "config.yaml:1: media.rtp_ports: only 3 ports"),
        ("media: {codecs: [G729]}\n", 'config.yaml:1: media.codecs[0]: unknown value "G729" (did you mean "G722"?)'),
        ("media: {listen: '::'}\n", 'config.yaml:1: media.listen: expected an IPv4 address, not "::"'),
        ("ivr: {access_numbers: {'*1': voicmail}}\n", 'config.yaml:1: ivr.access_numbers.*1: unknown value "voicmail"'),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, low_balance: lots}}}\n",
            'config.yaml:1: ivr.access_numbers.1.low_balance: expected an amount such as "1.00", not "lots"',
        ),
        (
            "ivr:\n  access_numbers:\n    '1':\n      app: calling_card\n      ask_registr: true\n",
            'config.yaml:5: ivr.access_numbers.1.ask_registr: unknown key (did you mean "ask_register"?)',
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, languages: [en, xx]}}}\n",
            'config.yaml:1: ivr.access_numbers.1.languages[1]: unknown value "xx"; known: en, cs',
        ),
        ("ivr: {access_numbers: {'1': {ani: true}}}\n", "config.yaml:1: ivr.access_numbers.1: needs app"),
        (
            "ivr: {access_numbers: {'1': {app: echo, pin: true}}}\n",
            "config.yaml:1: ivr.access_numbers.1.pin: echo has no options here",
        ),
        (
            "ivr: {access_numbers: {'1': {app: callback, one_stage: true}}}\n",
            "config.yaml:1: ivr.access_numbers.1.one_stage: goes with app: calling_card only",
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, hangup_key: x}}}\n",
            'config.yaml:1: ivr.access_numbers.1.hangup_key: expected keys such as "**", or off',
        ),
        (
            "ivr:\n  access_numbers:\n    '1':\n      app: calling_card\n      translate_ani: 's/^0/44'\n",
            'config.yaml:5: ivr.access_numbers.1.translate_ani: expected a rule such as "s/^0/44/", not "s/^0/44"',
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, translate_ani: ['s/(/44/']}}}\n",
            'config.yaml:1: ivr.access_numbers.1.translate_ani[0]: "s/(/44/": missing ), unterminated subpattern',
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, translate_ani: ['s/0/\\2/']}}}\n",
            'config.yaml:1: ivr.access_numbers.1.translate_ani[0]: "s/0/\\2/": invalid group reference 2',
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, ask_register: maybe}}}\n",
            'config.yaml:1: ivr.access_numbers.1.ask_register: unknown value "maybe"; known: off,',
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, max_auth_code_length: 3}}}\n",
            "config.yaml:1: ivr.access_numbers.1.max_auth_code_length: no code has 4 to 3 digits",
        ),
        (
            "ivr: {access_numbers: {'1': {app: calling_card, max_call_seconds: hour}}}\n",
            'config.yaml:1: ivr.access_numbers.1.max_call_seconds: expected a whole number, not "hour"',
        ),
        (
            "ivr:\n  access_numbers:\n    '*99':\n      app: recharge\n      receipts: {sms: true}\n",
            "config.yaml:5: ivr.access_numbers.*99.receipts.sms: needs ivr.sms, the gateway that sends short messages",
        ),
        ("ivr: {sms: {adapter: 'my module'}}\n", 'config.yaml:1: ivr.sms.adapter: "my module" is no adapter'),
        ("ivr: {sms: {options: {a: b}}}\n", "config.yaml:1: ivr.sms.options: needs adapter, which gets them"),
        ("ivr: {menus: {a: {keys: {12: {dial: 1}}}}}\n", 'config.yaml:1: ivr.menus.a.keys.12: "12" is no key of a'),
        ("ivr: {menus: {a: {keys: {1: {}}}}}\n", "config.yaml:1: ivr.menus.a.keys.1: needs exactly one of"),
        ("portal: {public_url: example}\n", 'config.yaml:1: portal.public_url: expected an address such as "https://'),
        ("voicemail: {email: {from: me}}\n", "config.yaml:1: voicemail.email.from: expected an address such as"),
        ("voicemail: {email: {smtp: 'a:25'}}\n", 'config.yaml:1: voicemail.email.smtp: needs "from"'),
        ("voicemail: {email: {user: a}}\n", "config.yaml:1: voicemail.email.user: user and password go together"),
        (
            "voicemail: {keys: classic}\n",
            'config.yaml:1: voicemail.keys: unknown value "classic"; known: comedian, freeswitch',
        ),
        ("voicemail: {min_seconds: 0}\n", "config.yaml:1: voicemail.min_seconds: 0 is out of range"),
        ("vouchers: {password_length: 3}\n", "config.yaml:1: vouchers.password_length: 3 is out of range: 4 to 20"),
        ("vouchers: {id_digits: 21}\n", "config.yaml:1: vouchers.id_digits: 21 is out of range: 8 to 20"),
        ("vouchers: {encript: true}\n", 'config.yaml:1: vouchers.encript: unknown key (did you mean "encrypt"?)'),
        ("vouchers: {external: {acme: {}}}\n", 'config.yaml:1: vouchers.external.acme: needs "url"'),
        (
            "vouchers:\n  external:\n    acme: {adapter: 'my module'}\n",
            'config.yaml:3: vouchers.external.acme.adapter: "my module" is no adapter',
        ),
        (
            "vouchers: {external: {acme: {url: 'ftp://x'}}}\n",
            "config.yaml:1: vouchers.external.acme.url: expected an address",
        ),
        (
            "caller_id: {hide_codes: ['*72']}\n",
            "config.yaml:1: caller_id.hide_codes[0]: *72 is one of ivr.feature_codes",
        ),
        ("caller_id: {default_number: 101}\n", 'config.yaml:1: caller_id.default_number: "101" is no public number'),
        ("voicemail: {purge_hours: 0}\n", "config.yaml:1: voicemail.purge_hours: 0 is out of range"),
        ("demo: {enabled: maybe}\n", 'config.yaml:1: demo.enabled: expected true or false, not "maybe"'),
        ("log: {format: jsn}\n", 'config.yaml:1: log.format: unknown value "jsn" (did you mean "json"?)'),
        (
            "media: {control: 'udp:127.0.0.1:5060'}\n",
            "config.yaml:1: media.control: udp:127.0.0.1:5060 is taken by sip.listen[0] already",
        ),
    ],
)
def test_a_mistake_is_told_with_line_path_and_way_out(tmp_path: Path, text: str, expected: str) -> None:
    (told,) = mistakes(tmp_path, text)
    assert told.startswith(expected)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = mistakes(tmp_path, "node: a b\nsip:\n  ring_seconds: x\n  wrong: 1\ndemo: {enabled: 7}\n")
    assert [line.split(":")[1] for line in told] == ["1", "3", "4", "5"]


def test_a_missing_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalidError, match=r"absent.yaml:1: cannot be read: No such file"):
        load(tmp_path / "absent.yaml")


def test_words_that_yaml_takes_for_something_else_are_read_as_written(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, "media: {relay: off}\nsip: {emergency_numbers: [0112]}\n"))
    assert not configuration.media.is_builtin
    assert configuration.media.relay == ()
    assert configuration.sip.emergency_numbers == ("0112",)


def test_emergency_numbers_are_known_in_one_spelling_and_by_service(tmp_path: Path) -> None:
    """Case B2."""
    text = "sip: {emergency_numbers: ['+112', '11-0'], emergency_services: {Police: '110'}}\n"
    settings = switch_settings(load(written(tmp_path, text)))
    assert settings.emergency.numbers == ("112", "110")
    assert settings.emergency.number_for("urn:service:sos.police") == "110"
    assert settings.emergency.number_for("urn:service:sos.fire") == "112"


def test_what_the_configuration_gives_to_something_else_is_reserved(tmp_path: Path) -> None:
    """Case L24."""
    text = """
    sip: {listen: [udp:192.0.2.1:5060], advertise: 198.51.100.1}
    ivr: {access_numbers: {"8001": echo, "8002": {app: calling_card, one_stage: true}}, feature_codes: ["*72"]}
    """
    reserved = reserved_names(load(written(tmp_path, text)))
    for name in ("112", "911", "8001", "8002", "8002420", "*72", "+101", "anonymous"):
        assert reserved.problem(name) is not None, name
    for name in ("101", "42112", "alice", "80"):
        assert reserved.problem(name) is None, name
    for address in ("192.0.2.1", "198.51.100.1", "127.0.0.1"):
        assert reserved.address_problem(address, {}) == f"{address} is our own address"
    assert (
        reserved.address_problem("192.0.2.9", {"192.0.2.9": "carrier"}) == "192.0.2.9 is the address of gateway carrier"
    )
    assert reserved.address_problem("192.0.2.10", {}) is None


def test_other_relays_take_the_place_of_the_builtin_one(tmp_path: Path) -> None:
    configuration = load(written(tmp_path, "media: {relay: [udp:10.0.0.5:2223, udp:media.example.com:2223]}\n"))
    assert not configuration.media.is_builtin
    assert [relay.host for relay in configuration.media.relay or ()] == ["10.0.0.5", "media.example.com"]
    assert not [claim for claim in claims(configuration) if claim.process == "media"]


def test_a_relative_data_dir_counts_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "data_dir: data/here\n")
    monkeypatch.chdir("/")
    assert load(file).data_dir == tmp_path / "data" / "here"


def test_the_places_of_values_are_known_by_their_paths(tmp_path: Path) -> None:
    assert (
        load(written(tmp_path, "sip:\n  listen:\n  - udp:0.0.0.0:1\n  - udp:0.0.0.0:2\n")).lines["sip.listen[1]"] == 4
    )


def test_secrets_stay_out_of_the_configuration_shown(tmp_path: Path) -> None:
    text = "store: {dsn: 'postgresql://user:hush@db/x'}\nsecurity: {nonce_secret: 0123456789abcdef}\n"
    shown = repr(load(written(tmp_path, text)))
    assert "hush" not in shown
    assert "0123456789abcdef" not in shown


def test_vouchers_are_read_with_their_stores_in_order(tmp_path: Path) -> None:
    configuration, warnings = check(
        written(
            tmp_path,
            "vouchers:\n  keys_file: secret/keys\n  allow_plain: yes\n  external:\n"
            "    b: {url: https://b.example.com/v1, token: t, timeout_seconds: 2}\n"
            "    a: {adapter: 'tests.softswitch.adapters:small', options: {colour: green}}\n",
        )
    )
    assert warnings == []
    vouchers = configuration.vouchers
    assert vouchers.encrypt
    assert vouchers.allow_plain
    assert vouchers.keys_file == (tmp_path / "secret" / "keys").resolve()
    assert [(store.name, store.adapter, store.url) for store in vouchers.external] == [
        ("b", "http", "https://b.example.com/v1"),
        ("a", "tests.softswitch.adapters:small", None),
    ]
    assert vouchers.external[1].options == {"colour": "green"}
    assert "token" not in repr(vouchers)


def test_receipts_that_no_server_sends_are_warned_of(tmp_path: Path) -> None:
    text = "ivr: {access_numbers: {'*99': {app: recharge, receipts: {email: true}}}}\n"
    _, warnings = check(written(tmp_path, text))
    assert [problem.text for problem in warnings] == ["nothing is sent until voicemail.email.smtp names a server"]


def test_short_ids_without_passwords_are_warned_of(tmp_path: Path) -> None:
    _, warnings = check(written(tmp_path, "vouchers: {encrypt: false}\n"))
    assert [problem.text for problem in warnings] == [
        "without a password, ids of 11 digits are easy to guess: 12 or more"
    ]
    assert check(written(tmp_path, "vouchers: {encrypt: false, id_digits: 16}\n"))[1] == []
