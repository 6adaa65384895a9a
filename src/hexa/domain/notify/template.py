"""Templates: a text with {names} of fields, and nothing else.

A brace that no name follows stands for itself, so that JSON needs no doubled braces. Values are escaped for JSON strings, forms,
HTML and XML, so that no reason and no name can end what it stands in.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from hexa.domain.spelling import suggestion

FIELDS: Final[Mapping[str, str]] = {
    "title": "One line: what it is about.",
    "text": "The whole message, in lines.",
    "what": "The event, such as MachineDoesNotWake; in a summary: Summary.",
    "why": "The reason, in a sentence; of a summary its lines.",
    "state": "began, over, happened, summary or test.",
    "severity": "info, warning or critical.",
    "priority": "The same from 3 to 5, as ntfy counts; may stand without quotes.",
    "machine": "Name of the machine; empty where it is about none.",
    "group": "Name of the group; empty where it is about none.",
    "namespace": "Namespace of the machine or group.",
    "time": "When, in ISO 8601 and in the zone of quietHours (else UTC).",
    "id": "An id of its own for each message; the same when it is sent again.",
}

JSON: Final = re.compile(r"application/(\S+\+)?json\b", re.IGNORECASE)
MARKUP: Final = re.compile(r"(text|application)/(\S+\+)?(html|xml)\b", re.IGNORECASE)
FORM: Final = re.compile(r"application/x-www-form-urlencoded\b", re.IGNORECASE)

_NAME: Final = re.compile(r"\{([A-Za-z_]\w*)(\}?)", re.ASCII)
_UNPRINTED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
SAMPLE: Final = 'a "text", with \\ and\na second line'
"""No value is worse for JSON than this one."""


class TemplateError(ValueError):
    """What is wrong, and what is wanted, in a sentence."""


def check(template: str, *, content_type: str = "", fields: Mapping[str, str] = FIELDS) -> None:
    """Raises `TemplateError` for what cannot be filled in, or is no JSON where it is to be."""
    for found in _NAME.finditer(template):
        name, end = found.groups()
        if not end:
            raise TemplateError(f"{{{name} has no closing brace: write {{{_near(name, fields) or 'title'}}}")
        if name not in fields:
            near = _near(name, fields)
            hint = f"did you mean {{{near}}}?" if near else f"there are {', '.join(fields)}"
            raise TemplateError(f"there is no field {{{name}}}: {hint}")
    if JSON.match(content_type):
        _check_json(template, content_type, fields)


def _check_json(template: str, content_type: str, fields: Mapping[str, str]) -> None:
    values = {**dict.fromkeys(fields, SAMPLE), "priority": "3"}
    try:
        json.loads(fill(template, values, content_type=content_type))
    except (ValueError, RecursionError) as error:
        raise TemplateError(
            f"it is no JSON once it is filled in ({error}): put each {{field}} but {{priority}} into double quotes, "
            "or set contentType"
        ) from error


def fill(template: str, values: Mapping[str, str], *, content_type: str = "") -> str:
    """The template with its fields, escaped for the content type. A name without a value is left as it is."""

    def value(found: re.Match[str]) -> str:
        name, end = found.groups()
        return _escaped(values[name], content_type) if end and name in values else found[0]

    return _NAME.sub(value, template)


def _escaped(value: str, content_type: str) -> str:
    if JSON.match(content_type):
        return json.dumps(value)[1:-1]
    if FORM.match(content_type):
        return quote(value, safe="")
    plain = _UNPRINTED.sub(" ", value)
    return html.escape(plain) if MARKUP.match(content_type) else plain


def _near(name: str, fields: Mapping[str, str]) -> str:
    return suggestion(name, list(fields)) or ""
