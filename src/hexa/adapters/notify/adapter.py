"""The courier of a receiver. Loads the client of what it speaks, and nothing else."""

from hexa.domain.notify.written import WrittenReceiver
from hexa.ports.clock import Clock
from hexa.ports.notify import Courier


def courier_of(written: WrittenReceiver, *, clock: Clock) -> Courier:
    """Who brings letters to the receiver, which has no errors."""
    if written.smtp is not None:
        from hexa.adapters.notify.mail import Mail

        return Mail(written, written.smtp, clock=clock)
    from hexa.adapters.notify.webhook import Webhook

    return Webhook(written)
