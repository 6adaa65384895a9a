"""In a scenario nothing may be contained, unless it is about that: what hexa's own logic raises must not pass unseen."""

from collections.abc import Iterator

import pytest

from hexa.app import news
from hexa.app.fence import Post
from hexa.domain.news import News
from hexa.domain.resources.v1alpha1 import Lookup


@pytest.fixture(autouse=True)
def nothing_is_contained(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a scenario in which something was contained, or a subscriber of the news failed; the marker `contains` allows it."""
    found: list[Exception] = []
    broke, not_told = Post.broke, news._not_told

    def noted(post: Post, key: Lookup, error: Exception) -> None:
        found.append(error)
        broke(post, key, error)

    def missed(about: News, error: Exception) -> News:
        found.append(error)
        return not_told(about, error)

    monkeypatch.setattr(Post, "broke", noted)
    monkeypatch.setattr(news, "_not_told", missed)
    yield
    if found and request.node.get_closest_marker("contains") is None:
        raise ExceptionGroup("contained", found[:3])
