"""Names of machines and groups that the shell completes: asked of the cluster, quickly, and silently where it can't be."""

from typing import TYPE_CHECKING, Any

import typer

from hexa.cli.shared.cluster import Site, Where, answer

if TYPE_CHECKING:
    from hexa.domain.resources.core import Kind

PATIENCE = 2.0
"""Seconds that a person who pressed Tab is kept waiting."""


def complete_machine(ctx: typer.Context, incomplete: str) -> list[str]:
    """Machines whose name begins so."""
    return _complete(ctx, incomplete, machines=True, groups=False)


def complete_group(ctx: typer.Context, incomplete: str) -> list[str]:
    """Groups whose name begins so."""
    return _complete(ctx, incomplete, machines=False, groups=True)


def complete_any(ctx: typer.Context, incomplete: str) -> list[str]:
    """Machines and groups whose name begins so."""
    return _complete(ctx, incomplete, machines=True, groups=True)


def _complete(ctx: typer.Context, incomplete: str, *, machines: bool, groups: bool) -> list[str]:
    try:
        import trio

        from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES

        kinds = [*([MACHINES] if machines else []), *([GROUPS] if groups else [])]
        found: list[str] = trio.run(answer, _where(ctx.params), _Names(kinds))
        return sorted({name for name in found if name.startswith(incomplete)})
    except BaseException:  # whatever it is, a half-written command line is no place to tell of it
        return []


def _where(params: dict[str, Any]) -> Where:
    return Where(
        kubeconfig=params.get("kubeconfig") or "",
        context=params.get("context") or "",
        namespace=params.get("namespace") or "",
        all_namespaces=bool(params.get("all_namespaces")),
    )


class _Names:
    """Asks for all names of some kinds, with their namespace where several are asked for."""

    def __init__(self, kinds: "list[Kind[Any]]") -> None:
        self._kinds = kinds

    async def __call__(self, site: Site) -> list[str]:
        import trio

        from hexa.ports.kube import Selector

        with trio.fail_after(PATIENCE):
            listings = [await site.kube.list(kind, Selector(namespace=site.namespace)) for kind in self._kinds]
        found = [item.metadata for listing in listings for item in listing.items]
        return [each.name if site.namespace is not None else f"{each.namespace}/{each.name}" for each in found]
