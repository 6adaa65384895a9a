"""The report of a run in each of its forms: text, JSON, page and picture."""

from hexa.simulate.figures import Figures


class Report(Figures, frozen=True, kw_only=True, rename="camel"):
    """The figures of a run, and the drawings of them."""

    def html(self) -> str:
        """A self-contained page with the timeline."""
        from hexa.simulate.page import page

        return page(self)

    def svg(self) -> str:
        """The timeline as a picture."""
        from hexa.simulate.picture import picture

        return picture(self)
