"""Moments as Kubernetes writes them. It knows no clock."""

from datetime import datetime


def moment_text(moment: datetime) -> str:
    """A moment in UTC to the second, with four digits of the year in all years: strftime leaves the zeros out, and the API server
    refuses that."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
