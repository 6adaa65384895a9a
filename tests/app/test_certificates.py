"""Ends of the certificates that hexa serves with."""

from datetime import UTC, datetime

from hexa.app.certificates import Certificates


def test_whoever_asks_knows_the_ends_of_all_certificates() -> None:
    """Who subscribes hears of those that were loaded before, and of each that is loaded later."""
    certificates, heard = Certificates(), list[tuple[str, datetime]]()
    certificates.loaded("grpc")(0.0)
    certificates.subscribe(lambda name, ends: heard.append((name, ends)))
    certificates.loaded("http")(60.0)
    certificates.loaded("grpc")(120.0)
    assert certificates.ends == {"grpc": 120.0, "http": 60.0}
    assert heard == [
        (name, datetime(1970, 1, 1, 0, m, tzinfo=UTC)) for name, m in (("grpc", 0), ("http", 1), ("grpc", 2))
    ]
