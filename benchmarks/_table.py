"""A table on the terminal: figures beside their yardsticks. It judges nothing."""

from collections.abc import Sequence


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]], *, note: str = "") -> None:
    """Print a table; numbers to the right, floats with three significant digits."""
    lines = [list(heads), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    print(f"\n{title}\n")
    for number, line in enumerate(lines):
        print("  " + "  ".join(_aligned(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    if note:
        print(f"\n  {note}")


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.3g}" if cell < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _aligned(cell: str, width: int) -> str:
    number = cell[:1].isdigit() or cell[:1] == "-"
    return cell.rjust(width) if number else cell.ljust(width)
