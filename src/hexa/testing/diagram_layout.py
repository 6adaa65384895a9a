"""Where the lifecycle diagram has its boxes, arrows and labels. Laid out by hand; it knows no event.

Corners of a route are listed from the border of one box to the border of the other. tests/testing/test_diagram.py
says when a route is missing, or when something covers something else.
"""

from typing import Final, Literal

from msgspec import Struct

from hexa.domain.machine.lifecycle import Phase

P = Phase
Point = tuple[int, int]

WIDTH: Final = 1500
HEIGHT: Final = 1010
BOX_WIDTH: Final = 216
BOX_HEIGHT: Final = 92

CENTRES: Final[dict[Phase, Point]] = {
    P.UNKNOWN: (160, 110),
    P.START_FAILED: (880, 110),
    P.OFF: (160, 400),
    P.POWERING_ON: (520, 400),
    P.BOOTING: (880, 400),
    P.READY: (1310, 400),
    P.STOP_FAILED: (160, 740),
    P.POWERING_OFF: (520, 740),
    P.DRAINING: (880, 740),
    P.LOST: (1310, 740),
}


class Route(Struct, frozen=True):
    """An arrow: its corners, and where the first line of its label stands."""

    corners: tuple[Point, ...]
    label: Point
    anchor: Literal["start", "middle", "end"] = "middle"


ROUTES: Final[dict[tuple[Phase, Phase], Route]] = {
    (P.UNKNOWN, P.READY): Route(((160, 64), (160, 30), (1370, 30), (1370, 354)), (560, 24)),
    (P.UNKNOWN, P.BOOTING): Route(((230, 156), (230, 200), (820, 200), (820, 354)), (330, 194)),
    (P.UNKNOWN, P.OFF): Route(((130, 156), (130, 354)), (122, 240), "end"),
    (P.OFF, P.BOOTING): Route(((200, 354), (200, 310), (790, 310), (790, 354)), (330, 304)),
    (P.OFF, P.POWERING_ON): Route(((268, 400), (412, 400)), (340, 392)),
    (P.POWERING_ON, P.START_FAILED): Route(((480, 354), (480, 130), (772, 130)), (620, 148)),
    (P.POWERING_ON, P.READY): Route(((560, 354), (560, 260), (1250, 260), (1250, 354)), (650, 254)),
    (P.POWERING_ON, P.BOOTING): Route(((628, 400), (772, 400)), (700, 376)),
    (P.POWERING_ON, P.DRAINING): Route(((560, 446), (560, 560), (820, 560), (820, 694)), (640, 554)),
    (P.BOOTING, P.START_FAILED): Route(((900, 354), (900, 156)), (910, 220), "start"),
    (P.BOOTING, P.READY): Route(((988, 400), (1202, 400)), (1095, 392)),
    (P.BOOTING, P.DRAINING): Route(((860, 446), (860, 694)), (852, 535), "end"),
    (P.READY, P.LOST): Route(((1340, 446), (1340, 694)), (1332, 560), "end"),
    (P.READY, P.DRAINING): Route(((1202, 425), (1100, 425), (1100, 540), (950, 540), (950, 694)), (1025, 534)),
    (P.DRAINING, P.OFF): Route(((790, 694), (790, 640), (250, 640), (250, 446)), (620, 634)),
    (P.DRAINING, P.READY): Route(((988, 720), (1150, 720), (1150, 480), (1260, 480), (1260, 446)), (1068, 696)),
    (P.DRAINING, P.BOOTING): Route(((900, 694), (900, 446)), (908, 500), "start"),
    (P.DRAINING, P.POWERING_OFF): Route(((772, 725), (628, 725)), (700, 701)),
    (P.DRAINING, P.LOST): Route(((988, 760), (1202, 760)), (1095, 778)),
    (P.POWERING_OFF, P.OFF): Route(((475, 694), (475, 600), (215, 600), (215, 446)), (418, 594)),
    (P.POWERING_OFF, P.DRAINING): Route(((628, 760), (772, 760)), (700, 778)),
    (P.POWERING_OFF, P.STOP_FAILED): Route(((412, 740), (268, 740)), (313, 732)),
    (P.START_FAILED, P.READY): Route(((988, 110), (1310, 110), (1310, 354)), (1120, 104)),
    (P.START_FAILED, P.UNKNOWN): Route(((772, 90), (268, 90)), (520, 84)),
    (P.START_FAILED, P.POWERING_OFF): Route(
        ((800, 156), (800, 176), (755, 176), (755, 670), (590, 670), (590, 694)), (747, 600), "end"
    ),
    (P.STOP_FAILED, P.OFF): Route(((95, 694), (95, 446)), (104, 560), "start"),
    (P.STOP_FAILED, P.BOOTING): Route(
        ((230, 694), (230, 660), (300, 660), (300, 500), (800, 500), (800, 446)), (400, 494)
    ),
    (P.STOP_FAILED, P.DRAINING): Route(((200, 786), (200, 880), (850, 880), (850, 786)), (280, 874)),
    (P.LOST, P.READY): Route(((1380, 694), (1380, 446)), (1388, 560), "start"),
    (P.LOST, P.OFF): Route(((1370, 786), (1370, 970), (30, 970), (30, 400), (52, 400)), (700, 964)),
    (P.LOST, P.POWERING_OFF): Route(((1250, 786), (1250, 840), (520, 840), (520, 786)), (1120, 797)),
    (P.LOST, P.POWERING_ON): Route(
        ((1310, 786), (1310, 925), (360, 925), (360, 470), (480, 470), (480, 446)), (700, 919)
    ),
}
