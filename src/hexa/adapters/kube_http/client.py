"""httpx without its command line, which loads rich and pygments: 0.2 s and 6 MiB of an agent's start."""

from hexa.imports import without

with without("httpx._main"):
    import httpx

__all__ = ["httpx"]
