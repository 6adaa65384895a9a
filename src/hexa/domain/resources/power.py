"""`spec.power` of a Node: the ways to a machine's power and their settings. No secret stands in it, only the names of Secrets.

The same shape is read from the file that `hexa power --config` names, so that a machine can be tried before it is declared.
"""

from typing import Annotated

from msgspec import Meta

from hexa.domain.resources.core import Slice

Port = Annotated[int, Meta(ge=1, le=65535)]


class WakeOnLan(Slice, frozen=True, kw_only=True):
    """Turns on by magic packets. Turns nothing off and reads nothing."""

    macs: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="MAC addresses of the machine's network cards; a packet is sent for each."),
    ]
    addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Where packets go: the broadcast address of a segment, or an address of the machine. "
            "Default: 255.255.255.255."
        ),
    ] = ()
    port: Annotated[Port, Meta(description="UDP port. Default 9.")] = 9
    interface: Annotated[
        str, Meta(description="Network interface that packets leave by. Default: as the routing table says.")
    ] = ""
    repeat: Annotated[
        Annotated[int, Meta(ge=1, le=100)], Meta(description="How many times each packet is sent. Default 3.")
    ] = 3
    secret_name: Annotated[
        str, Meta(description="Secret whose key password is a SecureOn password: six bytes in hexadecimal.")
    ] = ""
