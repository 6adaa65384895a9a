"""hexa why pod: for each group whether it would serve a pod that waits, and if not, why."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hexa.cli.shared.cluster import Site, Where
from hexa.cli.shared.output import Format, Tone, dump, paint, plain, say
from hexa.cli.shared.people import look, tell_notes

if TYPE_CHECKING:
    from hexa.app.commands.pod import PodAnswer
    from hexa.app.commands.shared.snapshot import Snapshot


def of_pod(name: str, output: Format, *, kubeconfig: str, context: str, namespace: str) -> None:
    """Tell it. The pod is of the namespace that it names, or of --namespace, or of the context's; groups are of all."""

    async def asked(site: Site, snapshot: "Snapshot") -> "PodAnswer":
        from hexa.app.commands.pod import explain_pod
        from hexa.domain.resources.v1alpha1 import Lookup

        space, slash, short = name.rpartition("/")
        key = Lookup(space if slash else namespace or site.own_namespace, short)
        return await explain_pod(site.kube, snapshot, key)

    answer = look(Where(kubeconfig=kubeconfig, context=context, all_namespaces=True), asked)
    if output.for_programs:
        import msgspec

        say(dump(msgspec.to_builtins(answer, enc_hook=str), output))
        return
    tell_notes(answer.notes)
    say("\n".join(_lines(answer)))


def _lines(answer: "PodAnswer") -> Iterator[str]:
    yield paint(plain(answer.summary), Tone.HEAD)
    yield from (f"  {plain(remark)}" for remark in answer.remarks)
    for verdict in answer.groups:
        yield f"{plain(verdict.group)}: {'can serve it' if verdict.serves else 'cannot serve it'}"
        if verdict.text:
            yield f"  {plain(verdict.text)}"
        for reason in verdict.reasons:
            remedy = f"; {reason.remedy}" if reason.remedy else ""
            yield f"  {plain(f'{reason.rule}: {reason.text}{remedy}')}"
    if answer.scheduler:
        yield "Scheduler"
        yield f"  {plain(answer.scheduler)}"
