"""What a user may rely on of busy watches: they cost little, and nothing that matters waits for it."""

import pytest

from hexa.adapters.kube_http.pace import PAUSE, Pace


def paused(arrivals: list[float], *, read: float = 0.0001) -> list[float]:
    """When the stream is left to gather, if pieces arrive at these times and reading one takes `read` seconds."""
    pace, now, pauses = Pace(0.0), 0.0, []
    for arrival in arrivals:
        if pause := pace.pause():
            pauses.append(now)
            now += pause
        began = now
        now = max(now, arrival) + read
        pace.read(began=began, ended=now)
    return pauses


def test_a_busy_watch_is_read_ten_times_a_second() -> None:
    """A thousand kubelets that beat a hundred times a second wake the agent ten times."""
    pauses = paused([number * 0.01 for number in range(1000)])
    assert 80 <= len(pauses) <= 100
    assert PAUSE <= 0.1


@pytest.mark.parametrize("gap", [0.06, 0.3, 5.0])
def test_a_quiet_watch_is_read_at_once(gap: float) -> None:
    """A change that comes alone is never kept waiting."""
    assert paused([number * gap for number in range(1, 100)]) == []


def test_a_burst_after_a_silence_is_read_at_once() -> None:
    """Ten Jobs that change in the same moment are all seen in it."""
    assert paused([5.0] * 10 + [10.0] * 10) == []


def test_a_watch_that_calms_down_is_quick_again() -> None:
    """One pause may follow a rush, and no more."""
    rush = [number * 0.01 for number in range(100)]
    assert all(time < 1.2 for time in paused([*rush, 2.0, 3.0, 4.0]))
