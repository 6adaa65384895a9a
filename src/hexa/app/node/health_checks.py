"""Health checks: each machine that declares one has a CronJob, and what its runs say is remembered for whoever writes the status.

Level-triggered: snapshot and CronJob are compared at each change of either, and what is so already is not written. The name is in
`status.check` before there is a CronJob, so that one is found again, and removed, whatever was killed in between.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hexa.app.news import Newsroom
from hexa.app.pace import Pace, contested
from hexa.app.queue import KeyedQueue
from hexa.app.store import Store
from hexa.app.views.stand_in import is_stand_in
from hexa.app.views.views import Views
from hexa.domain.decide.observed import NO_CHECK, CheckSeen
from hexa.domain.errors import HexaError, Refused
from hexa.domain.names import CHECK_LABEL
from hexa.domain.news import Work, failure
from hexa.domain.resources.core import CronJob, Job
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node, NodeStatus
from hexa.domain.rules.health import checks_from
from hexa.domain.rules.health_checks import Check, Run, check_of, silent, stale_at, stands
from hexa.ports.clock import Clock
from hexa.ports.health_checks import Checks

LAST_LOOK: Final = 5.0
"""Seconds before the deadline of a run, when its pod is looked at: afterwards nobody can tell whether it ran."""


class HealthChecks:
    """The checks of all machines."""

    def __init__(self, *, store: Store, views: Views, checks: Checks, clock: Clock, news: Newsroom) -> None:
        self._store, self._views, self._checks = store, views, checks
        self._clock, self._news = clock, news
        self._born = clock.now()
        self._runs: dict[Lookup, Run] = {}
        self._troubles: dict[Lookup, str] = {}
        self._by_uid: dict[str, Lookup] = {}
        """Machines that have a check, or had one."""
        self._cron_jobs: dict[str, CronJob] = {}
        """By the uid of their machine."""
        self._jobs: dict[str, dict[str, Job]] = {}
        """Runs by the uid of their machine and by name."""
        self._pace: Pace[Lookup] = Pace()
        self._told: Callable[[Lookup], None] = lambda _: None
        self.queue: KeyedQueue[Lookup] = KeyedQueue(
            self._tend, failed=self._failed, owner=store.fence.post(MACHINES, "check", blocks=False)
        )
        store.machines.subscribe(self._machine_changed)
        store.jobs.subscribe(self._job_changed)
        store.checks.subscribe(self._cron_job_changed)
        store.checks.on_sight(self._sight_changed)

    def subscribe(self, told: Callable[[Lookup], None]) -> None:
        """Be told of machines whose check says something new."""
        self._told = told

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: no run is late because of it."""
        self._born = self._clock.now()

    # --- what is known ---

    def seen(self, node: Node, *, kubernetes_node: str) -> CheckSeen:
        """What is known of the machine's check."""
        if node.spec.healthcheck_pod_spec is None and node.status.check is None:
            return NO_CHECK
        gone, trouble = self._store.checks.complete and node.metadata.uid not in self._cron_jobs, self.trouble(node)
        check = check_of(node, kubernetes_node=kubernetes_node)
        if check is None:
            return CheckSeen(gone=gone, trouble=trouble)
        return CheckSeen(name=self._checks.name(check), run=self._runs.get(check.machine), gone=gone, trouble=trouble)

    def trouble(self, node: Node) -> str:
        """Why the check cannot run; empty where it can."""
        if node.spec.healthcheck_pod_spec is None:
            return ""
        key = Lookup(node.metadata.namespace, node.metadata.name)
        return self._store.checks.trouble or self._troubles.get(key, "")

    # --- changes ---

    def _machine_changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if new is None:
            for known in (self._runs, self._troubles):
                known.pop(key, None)
            self._pace.forget(key.__eq__)
            if old is not None:
                self._by_uid.pop(old.metadata.uid, None)
        elif new.spec.healthcheck_pod_spec is not None or new.status.check is not None:
            self._by_uid[new.metadata.uid] = key
            self._store.checks.wanted.set()
            self.queue.add(key)

    def _job_changed(self, _: Lookup, old: Job | None, new: Job | None) -> None:
        job = new or old
        uid = job.metadata.labels.get(CHECK_LABEL) if job is not None else None
        if job is None or uid is None:
            return
        runs = self._jobs.setdefault(uid, {})
        if new is None:
            runs.pop(job.metadata.name, None)
            if not runs:
                del self._jobs[uid]
        else:
            runs[job.metadata.name] = new
            if (machine := self._by_uid.get(uid)) is not None:
                self.queue.add(machine)

    def _cron_job_changed(self, _: Lookup, old: CronJob | None, new: CronJob | None) -> None:
        found = new or old
        if found is None:
            return
        uid = found.metadata.labels.get(CHECK_LABEL, "")
        if new is None:
            self._cron_jobs.pop(uid, None)
        else:
            self._cron_jobs[uid] = new
        if (machine := self._by_uid.get(uid)) is not None:
            self.queue.add(machine)
            if new is None:
                self._told(machine)

    def _sight_changed(self) -> None:
        for machine in tuple(self._by_uid.values()):
            self.queue.add(machine)
            self._told(machine)

    def _failed(self, key: Lookup, error: HexaError) -> None:
        self._news.tell(failure(Work.CHECK, key, error))
        self._trouble_is(key, str(error) if isinstance(error, Refused) else self._troubles.get(key, ""))

    def _trouble_is(self, key: Lookup, text: str) -> None:
        if text != self._troubles.get(key, ""):
            self._troubles[key] = text
            self._told(key)

    # --- one machine ---

    async def _tend(self, key: Lookup) -> None:
        view = self._views.machine(key)
        if view is None:
            self._troubles.pop(key, None)
            return
        if is_stand_in(view) or not self._store.checks.complete:
            return  # it is looked at again with the first sight
        node, found = view.node, self._cron_jobs.get(view.node.metadata.uid)
        check = None if view.observing else check_of(node, kubernetes_node=view.kube_name)
        if check is None:
            self._runs.pop(key, None)
            if found is not None:
                await self._checks.remove(key, uid=node.metadata.uid)
            elif node.status.check is not None:
                self._told(key)
            return
        if not node.status.phase or node.status.check is None:
            return  # its name is stored first
        if found is None or not stands(check, found):
            await self._apply(check)
        self._trouble_is(key, "")
        await self._look(check, node.status)

    async def _apply(self, check: Check) -> None:
        """Seldom where a webhook makes something else of it each time: that one runs all the same."""
        key = check.machine
        if (rests := self._pace.rests(key)) > 0:
            if self._pace.begins(key):
                self._news.tell(contested(key, "what hexa writes in the CronJob of its health check"))
            self.queue.add(key, delay=rests)
            return
        await self._checks.apply(check)
        self._pace.did(key)

    async def _look(self, check: Check, status: NodeStatus) -> None:
        """Take note of the newest run; where one is late, of its absence."""
        counts_from, now = checks_from(status), self._clock.now()
        if counts_from is None:
            return
        jobs = tuple(self._jobs.get(check.uid, {}).values())
        run = await self._checks.last(check) if jobs else None
        seen = max(self._born, status.since or self._born, counts_from, *([run.ended] if run is not None else []))
        due = stale_at(check, seen=seen)
        if now >= due:
            run = silent(check, seen=seen, now=now)
        else:
            self.queue.add(check.machine, delay=(due - now).total_seconds())
        for job in jobs:
            self._look_before_the_end(check, job, now)
        if run is not None and run != self._runs.get(check.machine):
            self._runs[check.machine] = run
            self._told(check.machine)

    def _look_before_the_end(self, check: Check, job: Job, now: datetime) -> None:
        began = job.status.start_time
        if began is not None and not any(c.status == "True" for c in job.status.conditions):
            look = began + timedelta(seconds=max(check.deadline - LAST_LOOK, check.deadline / 2))
            if look > now:
                self.queue.add(check.machine, delay=(look - now).total_seconds())
