"""Colours and type of the pictures, light and dark. It draws nothing."""

import re
from typing import Final

PHASE_CLASSES: Final = {
    "Unknown": "unknown",
    "Off": "off",
    "PoweringOn": "boot",
    "Booting": "boot",
    "Ready": "ready",
    "Draining": "drain",
    "PoweringOff": "stop",
    "StartFailed": "failed",
    "StopFailed": "failed",
    "Lost": "failed",
}
"""Phase -> colour; phases of one kind share theirs."""

LEGEND: Final = (
    ("off", "off"),
    ("boot", "waking and booting"),
    ("ready", "Ready"),
    ("use", "of it requested by pods"),
    ("drain", "draining"),
    ("stop", "powering off"),
    ("failed", "failed or lost"),
)

LIGHT: Final = {
    "page": "#f4f6f8",
    "card": "#ffffff",
    "line": "#dfe4ea",
    "grid": "#e9edf1",
    "band": "#f7f9fb",
    "text": "#17202b",
    "muted": "#5c6877",
    "off": "#e9edf2",
    "unknown": "#d5dbe3",
    "boot": "#eda52f",
    "ready": "#bfe6d8",
    "use": "#15936d",
    "drain": "#8a63d2",
    "stop": "#8393ab",
    "failed": "#d83a34",
    "on": "#2b7bb9",
    "always": "#9aa7b6",
    "running": "#15936d",
    "waiting": "#e0662a",
    "good": "#0d7a58",
    "bad": "#c22e28",
}

DARK: Final = {
    "page": "#0f141a",
    "card": "#171e27",
    "line": "#2b3542",
    "grid": "#242d39",
    "band": "#1b232d",
    "text": "#e7ecf2",
    "muted": "#9aa7b8",
    "off": "#232c38",
    "unknown": "#323d4b",
    "boot": "#f0b24a",
    "ready": "#1f5244",
    "use": "#3fcf9f",
    "drain": "#a98bf0",
    "stop": "#6d7f99",
    "failed": "#f2675f",
    "on": "#58aee8",
    "always": "#5d6a7a",
    "running": "#3fcf9f",
    "waiting": "#f58a4f",
    "good": "#4fd6a8",
    "bad": "#ff7b74",
}

FONT: Final = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def variables(colours: dict[str, str]) -> str:
    """The colours as CSS variables."""
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


def coloured(style: str, colours: dict[str, str]) -> str:
    """The style with real colours in place of its variables: only browsers know variables."""
    return re.sub(r"var\(--([a-z]+)\)", lambda match: colours[match[1]], style)


SHAPES: Final = """
.off { fill: var(--off) } .unknown { fill: var(--unknown) } .boot { fill: var(--boot) } .ready { fill: var(--ready) }
.use { fill: var(--use) } .drain { fill: var(--drain) } .stop { fill: var(--stop) } .failed { fill: var(--failed) }
.area-on { fill: var(--on); fill-opacity: .28 } .edge-on { stroke: var(--on) }
.area-running { fill: var(--running); fill-opacity: .28 } .edge-running { stroke: var(--running) }
.area-waiting { fill: var(--waiting); fill-opacity: .32 } .edge-waiting { stroke: var(--waiting) }
.edge { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; stroke-linejoin: round }
.always { stroke: var(--always); stroke-width: 1; stroke-dasharray: 4 4; vector-effect: non-scaling-stroke; fill: none }
.grid { stroke: var(--grid); stroke-width: 1 } .band { fill: var(--band) } .base { stroke: var(--line); stroke-width: 1 }
.fault { fill: var(--failed); stroke: var(--card); stroke-width: 1 }
.label { fill: var(--text); font-size: 12px } .note { fill: var(--muted); font-size: 11px }
.day { fill: var(--muted); font-size: 12px; font-weight: 600 } .head { fill: var(--text); font-size: 13px; font-weight: 600 }
.rows, .panel { shape-rendering: geometricPrecision }
"""
"""What the classes of the drawing look like, in terms of the variables."""
