"""Prices of exchanges and suppliers become one form, and what can't be read names its row and the remedy."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.domain.money.prices import (
    PricesError,
    Series,
    import_csv,
    import_nordpool,
    import_octopus,
    read_prices,
    with_earlier,
    write_prices,
)
from hexa.domain.money.series import Row

QUARTER = timedelta(minutes=15)
DAY = datetime(2026, 11, 30, tzinfo=UTC)


@given(st.lists(st.integers(-900, 900), min_size=1, max_size=100))
def test_what_is_written_is_read_again(prices: list[int]) -> None:
    """To a ten-thousandth of the currency."""
    rows = tuple(Row(DAY + n * QUARTER, DAY + (n + 1) * QUARTER, each / 10_000) for n, each in enumerate(prices))
    assert read_prices(write_prices(Series(rows, "CHF")), source="x") == Series(rows, "CHF")


def nordpool(**more: object) -> str:
    """Two quarters of an hour of two areas, as the data portal gives them."""
    entries = [
        {
            "deliveryStart": f"2026-11-30T00:{start:02}:00Z",
            "deliveryEnd": f"2026-11-30T00:{start + 15:02}:00Z",
            "entryPerArea": {"DE": 81.5 - start, "FR": 40.0},
        }
        for start in (15, 0)
    ]
    return json.dumps({"currency": "EUR", "multiAreaEntries": entries, **more})


def test_nord_pool_gives_a_price_for_each_megawatt_hour() -> None:
    """In order of time, for the area that is named."""
    series = import_nordpool(nordpool(), source="x", area="DE")
    assert [(row.start.minute, row.per_kwh) for row in series.rows] == [(0, 0.0815), (15, 0.0665)]
    assert series.currency == "EUR"


def test_octopus_gives_pence_the_newest_first_and_the_end_of_the_last_may_be_open() -> None:
    """In pounds; a price without an end holds until the next, and the last for half an hour."""
    results = [
        {"value_inc_vat": 22.05, "valid_from": "2026-11-30T00:30:00Z", "valid_to": None},
        {"value_inc_vat": -1.5, "valid_from": "2026-11-30T00:00:00Z", "valid_to": "2026-11-30T00:30:00Z"},
    ]
    series = import_octopus(json.dumps({"results": results}), source="x")
    half = timedelta(minutes=30)
    assert series == Series((Row(DAY, DAY + half, -0.015), Row(DAY + half, DAY + 2 * half, 0.2205)), "GBP")


def test_earlier_prices_stay_where_the_new_ones_say_nothing() -> None:
    """Those of today stay beside those of tomorrow, for eight days; what both speak of is as the new ones say."""

    def series(price: float, *days: int) -> Series:
        return Series(tuple(Row(DAY + timedelta(each), DAY + timedelta(each + 1), price) for each in days))

    found = with_earlier(series(2.0, 1), series(1.0, -8, -7, 0, 1, 2))
    assert [((row.start - DAY).days, row.per_kwh) for row in found.rows] == [(-7, 1.0), (0, 1.0), (1, 2.0), (2, 1.0)]
    half = with_earlier(series(2.0, 1), Series((Row(DAY, DAY + timedelta(days=1.5), 1.0),)))
    assert half == Series((*series(1.0, 0).rows, *series(2.0, 1).rows))
    with pytest.raises(PricesError, match="in EUR, and the new ones in GBP"):
        with_earlier(Series(series(2.0, 1).rows, "GBP"), series(1.0, 0))


def test_csv_may_have_other_columns_and_another_unit() -> None:
    """The columns are found by their names, times have any offset."""
    text = "zone,start,end,value\nDE,2026-11-30T01:00:00+01:00,2026-11-30T02:00:00+01:00,120\n"
    assert import_csv(text, source="x", unit="EUR/MWh") == Series((Row(DAY, DAY + 4 * QUARTER, 0.12),), "EUR")


def test_octopus_with_the_offset_of_summer_and_of_winter_is_in_order_of_time() -> None:
    """The hour that clocks show twice: a price without an end holds until the next one comes, not the next in the alphabet."""
    results = [
        {"value_inc_vat": 22, "valid_from": "2026-10-25T01:00:00Z", "valid_to": None},
        {"value_inc_vat": 20, "valid_from": "2026-10-25T01:30:00+01:00", "valid_to": None},
    ]
    series = import_octopus(json.dumps({"results": results}), source="x")
    assert [(row.start.minute, row.per_kwh) for row in series.rows] == [(30, 0.2), (0, 0.22)]
    assert series.gaps == ()


def test_what_spreadsheets_write_is_read() -> None:
    """With a byte order mark, names in quotes, blanks after commas and lines without anything; from a ConfigMap too."""
    text = '\ufeff# unit: EUR/kWh\n"start", "end", "value"\n2026-11-30T00:00Z, 2026-11-30T01:00Z, 0.1\n  \n,,\n'
    series = Series((Row(DAY, DAY + 4 * QUARTER, 0.1),))
    assert read_prices(text, source="x") == import_csv(text, source="x") == series
    assert import_nordpool("\ufeff" + nordpool(), source="x", area="DE").rows[0].per_kwh == 0.0815


def test_gaps_are_told() -> None:
    """They are no error: a day that is known stands in."""
    text = "# unit: ct/kWh\nstart,end,value\n2026-11-30T00:00Z,2026-11-30T00:15Z,9\n2026-11-30T00:30Z,2026-11-30T00:45Z,9\n"
    series = read_prices(text, source="x")
    assert series.gaps == ((DAY + QUARTER, DAY + 2 * QUARTER),)
    assert series.rows[0].per_kwh == 0.09


def canonical(row: str, unit: str = "# unit: EUR/kWh\n") -> str:
    """A file with that row."""
    return f"{unit}start,end,value\n{row}\n"


GOOD = "2026-11-30T00:00Z,2026-11-30T01:00Z,0.1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "x: its header has no start: the first line is start,end,value"),
        (canonical(""), "x: it has no price"),
        (canonical(GOOD, unit=""), "x: no line says the unit: write # unit: EUR/kWh above the header"),
        (
            canonical(GOOD, unit="# unit: EUR/kJ\n"),
            "'EUR/kJ' is no unit of prices: write EUR/kWh, EUR/MWh or pence/kWh",
        ),
        (
            canonical("2026-11-30T00:00,2026-11-30T01:00Z,1"),
            "x: line 3: start is '2026-11-30T00:00': write a time with its offset",
        ),
        (canonical("2026-11-30T00:00Z,2026-11-30T01:00Z"), "x: line 3: None is no price: write a number"),
        (canonical("2026-11-30T00:00Z,2026-11-30T01:00Z,cheap"), "x: line 3: 'cheap' is no price"),
        (
            canonical("2026-11-30T00:00Z,2026-11-30T01:00Z,nan"),
            "x: line 3: nan for a kilowatt-hour can't be: look at the unit",
        ),
        (canonical("2026-11-30T00:00Z,2026-11-30T01:00Z,9e9"), "can't be: look at the unit"),
        (
            canonical("2026-11-30T00:00Z,2026-11-30T01:00Z,0,0912"),
            "x: line 3: it has 4 values, and the header has 3 names: write 0.0912, not 0,0912",
        ),
        (
            canonical('2026-11-30T00:00Z,2026-11-30T01:00Z,"0,0912"'),
            "'0,0912' is no price: write a number such as 0.0912",
        ),
        (canonical(GOOD, unit="# unit: cents/kWh\n"), "'cents/kWh' is no unit of prices: write EUR/kWh"),
        (canonical(GOOD, unit="# unit: ore/kWh\n"), "'ore/kWh' is no unit of prices: write EUR/kWh"),
        (canonical("1" * 140_000), "x: line 3: field larger than field limit (131072): is it another form?"),
        (canonical("2026-11-30T01:00Z,2026-11-30T01:00Z,1"), "which is not after its start"),
        (canonical(f"{GOOD}\n2026-11-30T00:45Z,2026-11-30T02:00Z,0.2"), "overlap: keep one of them"),
        (canonical("0001-01-01T00:00+14:00,2026-11-30T01:00Z,1"), "x: line 3: start is '0001-01-01T00:00+14:00'"),
    ],
)
def test_a_file_that_makes_no_sense_names_the_row_and_the_remedy(text: str, says: str) -> None:
    """Whatever stands there."""
    with pytest.raises(PricesError) as caught:
        read_prices(text, source="x")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("form", "text", "says"),
    [
        (import_nordpool, "[]", "x: an object is wanted"),
        (import_nordpool, "{", "x: is no JSON"),
        (import_nordpool, "{}", "multiAreaEntries is no list of prices: is it another form?"),
        (import_nordpool, nordpool(), "it has prices of DE, FR: name one of them by --area"),
        (import_nordpool, '{"multiAreaEntries": [{}]}', "an entry has no entryPerArea: is it another form?"),
        (import_octopus, '{"detail": "Not found."}', "results is no list of prices"),
        (import_octopus, '{"results": [{"valid_from": 7, "value_inc_vat": 1}]}', "results[0]: start is 7"),
        (import_octopus, '{"results": [{"valid_from": null}]}', "results[0]: start is None"),
        (import_octopus, '{"results": [' + "[" * 5000, "x: is no JSON"),
        (
            import_octopus,
            '{"results": [{"valid_from": "2026-11-30T00:00Z", "value_inc_vat": true}]}',
            "results[0]: nan",
        ),
        (
            import_octopus,
            '{"results": [{"valid_from": "2026-11-30T00:00Z", "value_inc_vat": ' + "9" * 400 + "}]}",
            "results[0]: 9999999999999999999999999999999999999999 is no price",
        ),
    ],
)
def test_an_answer_of_another_form_says_so(form: object, text: str, says: str) -> None:
    """Error pages, other versions, odd values."""
    with pytest.raises(PricesError) as caught:
        form(text, source="x")  # type: ignore[operator]
    assert says in str(caught.value)
