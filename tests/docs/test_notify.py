"""docs/notify.md is what the code does."""

import pytest
from tests.docs.pages import DOCS, Block, blocks_of
from tests.docs.test_blocks import SETTINGS

from hexa.config import load_config, read_config_file
from hexa.domain.notify.events import KINDS
from hexa.domain.notify.template import FIELDS
from hexa.domain.notify.written import receivers_of

PAGE = DOCS / "notify.md"
SHOWN = [each for each in blocks_of(PAGE) if each.unchecked == SETTINGS]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.name)
def test_receivers_that_are_shown_can_be_used(block: Block) -> None:
    """Nothing is wrong with an example, its template included."""
    config = load_config(file=read_config_file(block.text, source=block.name), environment={}, flags={})
    receivers, problems = receivers_of(config.notify)
    assert receivers
    assert problems == ()


def test_events_and_fields_are_listed() -> None:
    """Each with what it means, in the order of the code."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    events = [
        f"| {event} | {kind.level}{'' if kind.asked else ', only if asked for'} | {kind.means} |"
        for event, kind in KINDS.items()
    ]
    begin = lines.index("| event | severity | what it means |") + 2
    assert lines[begin : begin + len(events)] == events
    begin = lines.index("| field | value |") + 2
    assert lines[begin : begin + len(FIELDS)] == [f"| `{{{name}}}` | {means} |" for name, means in FIELDS.items()]
