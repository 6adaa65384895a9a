"""Receivers of notifications as people write them: what makes no sense is told with field and remedy, and the others are told."""

from typing import Any

import msgspec
import pytest

from hexa.config import Config, ConfigError, load_config, read_config_file
from hexa.domain.notify.events import KINDS, Event
from hexa.domain.notify.receiver import Receiver
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.domain.policy.problem import Problem

URL = "https://ntfy.example.com/s3cret"
SMTP = {"host": "mail.lan", "from": "hexa@example.com", "to": ["me@example.com"]}


def of(*written: dict[str, Any]) -> tuple[tuple[Receiver, ...], tuple[Problem, ...]]:
    """What becomes of receivers that are written so."""
    return receivers_of([msgspec.convert(each, WrittenReceiver) for each in written])


def test_a_receiver_needs_a_name_and_an_address() -> None:
    """All else has a default: the events that need a hand, JSON by POST, at any hour."""
    (phone, mail), problems = of({"name": "phone", "url": URL}, {"name": "mail", "smtp": SMTP})
    assert problems == ()
    assert phone.events == {event for event, kind in KINDS.items() if kind.asked}
    assert {Event.MACHINE_ON, Event.MACHINE_OFF}.isdisjoint(phone.events)
    assert (phone.content_type, mail.content_type, mail.subject) == (
        "application/json",
        "text/plain; charset=utf-8",
        "{title}",
    )


BAD: list[tuple[dict[str, Any], str]] = [
    ({"url": ""}, "notify[0].url: it has no address"),
    ({"urlFile": "/x"}, "notify[0].url: it has both url and urlFile"),
    ({"url": "ftp://x/"}, "notify[0].url: it is no URL of http or https"),
    ({"url": "https://u:p@x/"}, "put them into a header Authorization from a file"),
    ({"url": "https://x/\n"}, "notify[0].url: it is no URL"),
    ({"url": "https://[::1/"}, "notify[0].url: it is no URL"),
    ({"url": "https://x:0/"}, "notify[0].url: it is no URL"),
    ({"url": "https://x..lan/"}, "notify[0].url: it is no URL"),
    ({"url": f"https://{'x' * 64}.lan/"}, "notify[0].url: it is no URL"),
    ({"url": "https://x/{machine}"}, "an address may have {id} only"),
    ({"name": ""}, "notify[0].name: '' is no name"),
    ({"name": "a\nb"}, "notify[0].name"),
    ({"name": "jörg"}, "notify[0].name"),
    ({"name": "x" * 64}, "notify[0].name"),
    ({"body": "{machin}"}, "notify[0].body: there is no field {machin}: did you mean {machine}?"),
    ({"body": '{"a": {why}}'}, "notify[0].body: it is no JSON"),
    ({"body": "x" * 20_001}, "notify[0].body: it is longer"),
    ({"contentType": "json"}, "notify[0].contentType: it is no content type"),
    ({"headers": {"a b": "c"}}, "notify[0].headers.a b: 'a b' is no name of a header"),
    ({"headers": {"Host": "c"}}, "hexa sets this header itself"),
    ({"headers": {"X": "a\r\nY: b"}}, "notify[0].headers.X: its value has characters"),
    ({"headers": {"X": {"file": ""}}}, "notify[0].headers.X: it names no file"),
    ({"smtp": SMTP}, "notify[0].smtp: it has an address or headers of a webhook too"),
    ({"url": "", "smtp": {**SMTP, "host": "a b"}}, "notify[0].smtp.host"),
    ({"url": "", "smtp": {**SMTP, "host": "mail.lan:25"}}, "notify[0].smtp.host: 'mail.lan:25' is no host"),
    ({"url": "", "smtp": {**SMTP, "host": "mail..lan"}}, "notify[0].smtp.host"),
    ({"url": "", "smtp": {**SMTP, "from": "=?utf-8?q?a=0d=0aBcc:_x@y?=@c"}}, "notify[0].smtp.from"),
    ({"url": "", "smtp": {**SMTP, "to": []}}, "notify[0].smtp.to: '' is no mail address"),
    ({"url": "", "smtp": {**SMTP, "from": "a@b\nBcc: c@d"}}, "notify[0].smtp.from"),
    ({"url": "", "smtp": {**SMTP, "username": "me"}}, "notify[0].smtp.passwordFile: is not set"),
    (
        {"url": "", "smtp": {**SMTP, "username": "me", "passwordFile": "/p", "security": "none"}},
        "the password would travel in plain text",
    ),
    ({"url": "", "smtp": {**SMTP, "subject": "{wat}"}}, "notify[0].smtp.subject: there is no field {wat}"),
    ({"url": "", "smtp": SMTP, "contentType": "application/json"}, "notify[0].contentType: a mail is a text"),
]


@pytest.mark.parametrize(("more", "says"), BAD, ids=[says[:60] for _, says in BAD])
def test_what_makes_no_sense_is_told_and_the_others_are_used(more: dict[str, Any], says: str) -> None:
    """The receiver is left out with the field and a remedy, which has no secret; the receiver beside it works."""
    receivers, problems = of({"name": "bad", "url": URL, **more}, {"name": "good", "url": URL})
    assert [each.name for each in receivers] == ["good"]
    assert says in " / ".join(map(str, problems))
    assert all(each.remedy and "s3cret" not in str(each) and ":p@" not in str(each) for each in problems)


MILD: list[tuple[dict[str, Any], str]] = [
    ({"events": ["MachineLosst"]}, "notify[0].events[0]: there is no event 'MachineLosst'; did you mean MachineLost?"),
    ({"quietHours": {"zone": "Mars/Base"}}, "notify[0].quietHours.zone: 'Mars/Base' is no time zone"),
    ({"quietHours": {"windows": [{"from": "7"}]}}, "notify[0].quietHours.windows[0]: '7' is no time of day"),
]


@pytest.mark.parametrize(("more", "says"), MILD, ids=[says[:60] for _, says in MILD])
def test_in_doubt_a_person_is_told(more: dict[str, Any], says: str) -> None:
    """An event that there is not, or quiet hours that nobody can reckon, silence no receiver."""
    [receiver], [problem] = of({"name": "me", "url": URL, **more})
    assert says in str(problem)
    assert "until then" in problem.remedy
    assert Event.SAFE_HANDS in receiver.events
    assert receiver.quiet.windows == ()


def test_two_of_one_name_and_too_many_are_told() -> None:
    """The first of a name counts; fifty are enough."""
    receivers, [problem] = of({"name": "a", "url": URL}, {"name": "a", "url": URL})
    assert (len(receivers), problem.field) == (1, "notify[1].name")
    receivers, problems = of(*({"name": f"r{number}", "url": URL} for number in range(52)))
    assert (len(receivers), len(problems)) == (50, 2)


def test_the_start_refuses_what_has_no_shape() -> None:
    """A key that is not known ends the start with its place, as in all settings; nothing of a receiver shows its URL."""
    with pytest.raises(ConfigError, match=r"hexa.yaml:1: notify: object contains unknown field `ulr` - at `\$\[0\]`"):
        load_config(file=read_config_file("notify: [{name: a, ulr: x}]", source="hexa.yaml"), environment={}, flags={})
    config = load_config(file=None, environment={"HEXA_NOTIFY": f"[{{name: a, url: '{URL}'}}]"}, flags={})
    assert config.notify[0].url == URL
    assert "s3cret" not in repr(config)
    assert Config().notify == ()


@pytest.mark.parametrize(
    "host", ["mail", "mail.lan.", "bücher.example", "192.0.2.1", "fd00::25", "fe80::1%eth0", "a_b.lan"]
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    """Of either kind, with a zone, of any script."""
    assert of({"name": "mail", "smtp": {**SMTP, "host": host}})[1] == ()
    where = f"[{host}]" if ":" in host else host
    assert of({"name": "phone", "url": f"http://{where}:8080/"})[1] == ()
