"""For tests of hexa and of what embeds it; public, and free of pytest.

`World` is a whole site in memory (`hexa.simulate` plays scenarios in it); `autoscaler` is a reference Cluster Autoscaler; the
`check_*` modules are the contracts of the ports.
"""

from hexa.testing.world import NotInTime, World, group, machine, open_world

__all__ = ["NotInTime", "World", "group", "machine", "open_world"]
