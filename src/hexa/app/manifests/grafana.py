"""Panels as Grafana's JSON has them. It knows the form of a dashboard, and nothing of what is shown."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

Json = dict[str, Any]

SCHEMA: Final = 39
"""Version of the form: Grafana 10.4 and later read it."""
WIDTH: Final = 24
"""Columns of a row."""
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Kind(StrEnum):
    """How values are drawn."""

    STAT = "stat"
    LINES = "timeseries"
    STATES = "state-timeline"
    """A band for each series, coloured by its value."""
    TABLE = "table"


class Line(Struct, frozen=True):
    """One query of a panel."""

    expr: str
    legend: str = ""


class Panel(Struct, frozen=True, kw_only=True):
    """One picture."""

    title: str
    description: str
    unit: str
    """Of its values, as Grafana names units."""
    lines: tuple[Line, ...]
    kind: Kind = Kind.LINES
    width: int = 8
    height: int = 8
    stacked: bool = False
    names: tuple[tuple[int, str, str], ...] = ()
    """Value, text and colour, for values that stand for words."""


class Row(Struct, frozen=True):
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


class Choice(Struct, frozen=True):
    """A variable at the top: values of a label, several at once."""

    name: str
    metric: str


def board(title: str, uid: str, description: str, *, rows: Sequence[Row], choices: Sequence[Choice]) -> Json:
    """A dashboard, ready for import."""
    return {
        "title": title,
        "uid": uid,
        "description": description,
        "tags": ["hexa", "kubernetes"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "templating": {"list": [_source(), *map(_choice, choices)]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_placed(rows)),
    }


def _source() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _choice(choice: Choice) -> Json:
    query = f"label_values({choice.metric}, {choice.name})"
    return {
        "name": choice.name,
        "label": choice.name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "A"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(rows: Iterable[Row]) -> Iterator[Json]:
    """Panels from left to right, a new line where one does not fit any more."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield _heading(row.title, number, top)
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            number += 1
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _heading(title: str, number: int, top: int) -> Json:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"type": "row", "title": title, "id": number, "gridPos": place, "collapsed": False, "panels": []}


def _panel(panel: Panel, number: int, place: Json) -> Json:
    now = panel.kind in (Kind.STAT, Kind.TABLE)
    defaults: Json = {"unit": panel.unit, "mappings": _mappings(panel), "custom": _custom(panel)}
    made: Json = {
        "type": str(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "id": number,
        "gridPos": place,
        "datasource": SOURCE,
        "targets": [_target(line, index, now=now, panel=panel) for index, line in enumerate(panel.lines)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
    }
    if panel.kind is Kind.TABLE:
        hidden = {"excludeByName": {"Time": True, "Value": True}}
        made["transformations"] = [{"id": "organize", "options": hidden}]
    return made


_LEGEND: Final = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"], "showLegend": True}
_OPTIONS: Final[dict[Kind, Json]] = {
    Kind.STAT: {
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
        "colorMode": "value",
        "graphMode": "area",
    },
    Kind.LINES: {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    Kind.STATES: {"showValue": "never", "mergeValues": True, "rowHeight": 0.9, "legend": {"showLegend": True}},
    Kind.TABLE: {"showHeader": True, "cellHeight": "sm"},
}


def _target(line: Line, index: int, *, now: bool, panel: Panel) -> Json:
    made: Json = {"refId": chr(ord("A") + index), "expr": line.expr, "datasource": SOURCE}
    made |= {"instant": True, "range": False} if now else {"instant": False, "range": True}
    if panel.kind is Kind.TABLE:
        return {**made, "format": "table"}
    return {**made, "legendFormat": line.legend or "__auto"}


def _mappings(panel: Panel) -> list[Json]:
    """Words for values."""
    words = {
        str(value): {"text": text, "color": colour, "index": index}
        for index, (value, text, colour) in enumerate(panel.names)
    }
    return [{"type": "value", "options": words}] if words else []


def _custom(panel: Panel) -> Json:
    if panel.kind is Kind.LINES:
        lines = {"drawStyle": "line", "lineInterpolation": "stepAfter", "showPoints": "never"}
        if panel.stacked:
            return {**lines, "fillOpacity": 30, "stacking": {"mode": "normal", "group": "A"}}
        return {**lines, "fillOpacity": 5}
    return {"fillOpacity": 80, "lineWidth": 0} if panel.kind is Kind.STATES else {}
