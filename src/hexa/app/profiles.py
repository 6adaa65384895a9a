"""Machines as the snapshot has them: with their PowerProfile filled in, and anew when that changes. The one place where it is done;
what it means is in `hexa.domain.power.profile`.

Profiles are watched once a machine names one, and what keeps them from being read is told by the machines that need them.
"""

from typing import Final

import trio
from msgspec import structs

from hexa.app.cache import Cache, OptionalCache
from hexa.app.fence import Fence
from hexa.domain.errors import HexaError, Refused
from hexa.domain.names import API_GROUP
from hexa.domain.policy.problem import Problem
from hexa.domain.power.profile import FilledIn, filled_in
from hexa.domain.resources.core import Malformed
from hexa.domain.resources.v1alpha1 import MACHINES, PROFILES, Lookup, Node, PowerProfile

PATIENCE: Final = 10.0
"""Seconds that an agent waits at its start for profiles that its machines name."""
NO_DEFINITION: Final = f"the API server has no powerprofiles.{API_GROUP}: apply the CRDs of this version (hexa crds)"


class ProfileCache(OptionalCache[PowerProfile]):
    """PowerProfiles. A server without the CRD has none."""

    def __init__(self, fence: Fence) -> None:
        super().__init__(PROFILES, fence)
        self._first: Final = trio.Event()
        self.on_sight(self._look)

    def lost(self, scope: str | None, error: HexaError) -> None:
        super().lost(scope, Refused(NO_DEFINITION) if error.reason == "KindNotServed" else error)

    def _look(self) -> None:
        if self.complete or self.trouble:
            self._first.set()

    async def settle(self) -> None:
        """Wait until all of them are known, or why they are not, where a machine names one; not for ever."""
        with trio.move_on_after(PATIENCE if self.wanted.is_set() else 0):
            await self._first.wait()

    def absent(self, key: Lookup) -> str:
        """Why there is no such profile, where more is known than that."""
        if (broken := self.malformed.get(key)) is not None:
            return f"PowerProfile {key.name} does not decode: {broken.problem}"
        if self.trouble:
            return f"PowerProfiles can't be read: {self.trouble}"
        return "" if self.complete else f"PowerProfile {key.name} is not read yet"


class MachineCache(Cache[Node]):
    """Machines, filled in."""

    def __init__(self, fence: Fence, profiles: ProfileCache) -> None:
        super().__init__(MACHINES, fence)
        self._filling = fence.post(MACHINES, "profile")
        self._profiles = profiles
        self._written: dict[Lookup, Node] = {}
        """Those that name a profile, as they are stored."""
        self._problems: dict[Lookup, tuple[Problem, ...]] = {}
        profiles.subscribe(lambda key, _old, _new: self._fill_in_anew(key))
        profiles.on_sight(lambda: self._fill_in_anew(None))

    def problems(self, key: Lookup) -> tuple[Problem, ...]:
        """What is wrong with the machine's profile."""
        return self._problems.get(key, ())

    def taken_in(self, new: Node) -> Node:
        return self._filled_in(new).node if new.spec.profile else new

    def _set(self, key: Lookup, old: Node | None, new: Node | Malformed) -> None:
        if isinstance(new, Malformed) or not new.spec.profile:
            self._forget(key)
            super()._set(key, old, new)
            return
        self._profiles.wanted.set()
        self._written[key] = new
        super()._set(key, old, self._noted(key, new))

    def drop(self, key: Lookup, *, version: int = -1) -> None:
        super().drop(key, version=version)
        if key not in self.objects:
            self._forget(key)

    def _forget(self, key: Lookup) -> None:
        self._written.pop(key, None)
        self._problems.pop(key, None)

    def _fill_in_anew(self, profile: Lookup | None) -> None:
        """The profile has changed, or all may have."""
        for key, written in tuple(self._written.items()):
            name = Lookup(key.namespace, written.spec.profile)
            if (profile is None or name == profile) and (old := self.objects.get(key)) is not None:
                before = self._problems.get(key, ())
                new = self._noted(key, written)
                if new != old or self._problems.get(key, ()) != before:
                    self.objects[key] = new
                    self._tell(key, old, new)

    def _noted(self, key: Lookup, written: Node) -> Node:
        found = FilledIn(written)
        with self._filling.around(key):
            found = self._filled_in(written)
            self._filling.works(key)
        self._problems[key] = found.problems
        known = self.objects.get(key)
        return structs.replace(found.node) if found.node is known else found.node  # who keeps views looks anew

    def _filled_in(self, written: Node) -> FilledIn:
        key = Lookup(written.metadata.namespace, written.spec.profile)
        profile = self._profiles.objects.get(key)
        return filled_in(written, profile, absent=self._profiles.absent(key) if profile is None else "")
