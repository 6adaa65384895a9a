"""What is known around a machine that is ill, put together for `hexa.domain.rules.power_cycle`. It decides and writes nothing."""

from datetime import datetime

from msgspec import structs

from hexa.app.node.identities import namesakes_of
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import ILL, Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import NodeStatus
from hexa.domain.rules.power_cycle import NOT_ASKED, Patient, Site, Verdict, findings, verdict
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.sensors import Sensors


class PowerCycles:
    """Judges machines that are ill, and no others: for these it costs nothing."""

    def __init__(self, *, store: Store, views: Views, heartbeats: Heartbeats, sensors: Sensors) -> None:
        self._store, self._views, self._heartbeats, self._sensors = store, views, heartbeats, sensors

    def verdict(self, view: MachineView, now: datetime) -> Verdict:
        """Whether the machine's power may be cycled."""
        patient = self._patient(view, now)
        return NOT_ASKED if patient is None else verdict(patient)

    def findings(self, view: MachineView, status: NodeStatus, now: datetime) -> list[Finding]:
        """What a person should know of it, in this status."""
        patient = self._patient(structs.replace(view, node=structs.replace(view.node, status=status)), now)
        return [] if patient is None else findings(patient, verdict(patient))

    def _patient(self, view: MachineView, now: datetime) -> Patient | None:
        cycling = view.phase is Phase.POWERING_OFF and view.node.status.remediation.cycling
        if view.group is None or view.policy.power_cycle is None or not (view.phase in ILL or cycling):
            return None
        return Patient(
            node=view.node,
            policy=view.policy,
            limits=view.limits,
            member=view.member(now),
            others=self._views.judged(view.group.key, now),
            holder=view.waits_for,
            sensed=self._sensors.reading(view.node) is not None,
            control_plane=view.control_plane,
            site=self._site(view, now),
            namesakes=namesakes_of(self._views, view, now),
            now=now,
        )

    def _site(self, view: MachineView, now: datetime) -> Site:
        others = {key.name for key in self._store.nodes.objects} - {view.kube_name}
        lives = (self._heartbeats.life(name) for name in others)
        machines = (member for group in self._views.groups() for member in self._views.judged(group.key, now))
        return Site(
            heard=sum(life is not None and now < life.until for life in lives),
            lost=sum(member.phase is Phase.LOST and member.key != view.key for member in machines),
        )
