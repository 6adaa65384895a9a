"""Templates of notifications: a few fields, escaped, and nothing that a reason or a name could break out of."""

import json

import pytest

from hexa.domain.notify.template import FIELDS, TemplateError, check, fill

JSON = "application/json"


def test_braces_of_json_need_no_doubling() -> None:
    """A template may be JSON as one writes it, and every value stays inside of its string."""
    template = '{"text": "{title}: {why}", "priority": {priority}, "deep": {"a": [{}]}}'
    check(template, content_type=JSON)
    why = 'a "quote", \\ and\nlines </script> \x00 {title} \ud800'
    filled = json.loads(fill(template, {"title": "t", "why": why, "priority": "5"}, content_type=JSON))
    assert filled == {"text": f"t: {why}", "priority": 5, "deep": {"a": [{}]}}


@pytest.mark.parametrize(
    ("template", "content_type", "says"),
    [
        ("{machin} is off", "", "there is no field {machin}: did you mean {machine}?"),
        ("{zzz}", "", "there is no field {zzz}: there are title, text"),
        ("{machine is off", "", "{machine has no closing brace"),
        ("{why.__class__}", "", "has no closing brace"),
        ("{why!r}", "", "has no closing brace"),
        ('{"text": {why}}', JSON, "it is no JSON once it is filled in"),
        ('{"text": "{why}"', "application/json; charset=utf-8", "it is no JSON"),
        ('{"text": "{why}",}', "application/problem+json", "it is no JSON"),
        ("[" * 100_000, JSON, "it is no JSON"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(template: str, content_type: str, says: str) -> None:
    """An unknown field, a brace without end and JSON that is none are told with what is wanted."""
    with pytest.raises(TemplateError) as raised:
        check(template, content_type=content_type)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("template", ["", "{}", "{ machine }", "a { b } c", "{{machine}}", "%s $machine", "{1}"])
def test_other_braces_stand_for_themselves(template: str) -> None:
    """Only a name in braces is a field."""
    check(template)
    assert fill(template, {"machine": "box"}) == template.replace("{machine}", "box")


def test_forms_markup_and_plain_texts_are_escaped_too() -> None:
    """In a form a value is one value, in HTML a text; in a plain text what would steer a terminal is a space."""
    assert (
        fill("a={why}&b=1", {"why": "x&b=2 é"}, content_type="application/x-www-form-urlencoded")
        == "a=x%26b%3D2%20%C3%A9&b=1"
    )
    markup = {"why": '<b onclick="x">&'}
    assert (
        fill("<p>{why}</p>", markup, content_type="text/html; charset=utf-8")
        == "<p>&lt;b onclick=&quot;x&quot;&gt;&amp;</p>"
    )
    assert fill("{why}", markup, content_type="application/atom+xml") == "&lt;b onclick=&quot;x&quot;&gt;&amp;"
    assert fill("{why}", {"why": "one\n\x1b[31mtwo\x00"}) == "one\n [31mtwo "
    assert all(name.isidentifier() for name in FIELDS)
