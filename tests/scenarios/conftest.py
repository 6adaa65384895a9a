"""In a scenario nothing may be contained, unless it is about that: what hexa's own logic raises must not pass unseen."""

from collections.abc import Iterator

import pytest

from hexa.app.fence import Post
from hexa.domain.resources.v1alpha1 import Lookup


@pytest.fixture(autouse=True)
def nothing_is_contained(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a scenario in which something was contained; the marker `contains` allows it."""
    found: list[Exception] = []
    broke = Post.broke

    def noted(post: Post, key: Lookup, error: Exception) -> None:
        found.append(error)
        broke(post, key, error)

    monkeypatch.setattr(Post, "broke", noted)
    yield
    if found and request.node.get_closest_marker("contains") is None:
        raise ExceptionGroup("contained", found[:3])
