"""How help looks: a flag takes no value, so none is shown beside it."""

from typing import Any

from typer.core import TyperCommand, TyperGroup


def _without_values_of_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_values_of_flags(super().get_params(ctx))


class Group(TyperGroup):
    """A command with commands of its own."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_values_of_flags(super().get_params(ctx))
