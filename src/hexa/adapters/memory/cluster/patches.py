"""What a patch makes of an object: JSON merge patch, the strategic kind, and who owns which field. Pure.

Objects are builtins and never changed in place: a result shares with its source whatever the patch leaves alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Builtins = dict[str, Any]
Path = tuple[str, ...]

MERGE_KEYS: Final = {
    "conditions": "type",
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "addresses": "type",
    "ownerReferences": "uid",
}
"""Lists that a strategic patch merges by a key of their elements, as the API's own types say. `taints` is not among them:
a Node's taints are one value, and a patch replaces them all."""

UNIQUE_LISTS: Final = frozenset({"finalizers", "podCIDRs"})
"""Lists of plain values that a strategic patch adds to."""


def merge(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386): null removes, maps are merged, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(result.get(key), value)
        else:
            result[key] = value
    return result


def strategic(target: Any, patch: Mapping[str, Any]) -> Builtins:
    """Strategic merge patch: as `merge`, but lists with a merge key are merged element by element."""
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, Mapping) else {}
    if (kept := patch.get("$retainKeys")) is not None:
        result = {key: value for key, value in result.items() if key in kept}
    for key, value in patch.items():
        if not key.startswith("$"):
            _strategic_field(result, key, value)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [entry for entry in result.get(field, ()) if entry not in value]
    return result


def _strategic_field(result: Builtins, key: str, value: Any) -> None:
    if value is None or (isinstance(value, Mapping) and value.get("$patch") == "delete"):
        result.pop(key, None)
    elif isinstance(value, Mapping):
        result[key] = strategic(result.get(key), value)
    elif isinstance(value, list) and key in MERGE_KEYS:
        result[key] = _merged_list(result.get(key) or [], value, MERGE_KEYS[key])
    elif isinstance(value, list) and key in UNIQUE_LISTS:
        old = result.get(key) or []
        result[key] = old + [entry for entry in value if entry not in old]
    else:
        result[key] = value


def _merged_list(old: list[Builtins], patch: list[Builtins], by: str) -> list[Builtins]:
    if any(entry.get("$patch") == "replace" for entry in patch):
        return [entry for entry in patch if "$patch" not in entry]
    gone = {entry.get(by) for entry in patch if entry.get("$patch") == "delete"}
    result = [entry for entry in old if entry.get(by) not in gone]
    position = {entry.get(by): index for index, entry in enumerate(result)}
    for entry in patch:
        if "$patch" in entry:
            continue
        if (index := position.get(entry.get(by))) is None:
            position[entry.get(by)] = len(result)
            result.append(entry)
        else:
            result[index] = strategic(result[index], entry)
    return result


# --- who owns which field -----------------------------------------------------------------------


def leaves(obj: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every path to a value that is not a map, with the value; a list is one value, an empty map none."""
    if isinstance(obj, Mapping):
        for key, value in obj.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, obj


def owned_part(obj: Mapping[str, Any]) -> Builtins:
    """What managers own of an object: spec, labels and annotations."""
    metadata = obj.get("metadata", {})
    part = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    part["metadata"] = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    return part


def values(obj: Mapping[str, Any]) -> dict[Path, Any]:
    """What managers can own, by path."""
    return dict(leaves(owned_part(obj)))


def fields_v1(paths: set[Path]) -> Builtins:
    """Paths in the form of managedFields: {"f:spec": {"f:powerState": {}}}."""
    root: Builtins = {}
    for path in sorted(paths):
        at = root
        for step in path:
            at = at.setdefault(f"f:{step}", {})
    return root


def paths_of(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The reverse of `fields_v1`."""
    for key, inner in fields.items():
        step = (*path, key.removeprefix("f:"))
        if inner:
            yield from paths_of(inner, step)
        else:
            yield step


def take_over(
    old: Mapping[str, Any], new: Mapping[str, Any], entry: Builtins, applied: Builtins | None
) -> list[Builtins]:
    """managedFields after the writer of `entry` made `new` of `old`: what it changed is its own and nobody else's any more.
    With `applied`, it owns just what that manifest says. A write that changes nothing is given no new time, as on an API server."""
    before, after = values(old), values(new)
    changed = {path for path in before.keys() | after.keys() if before.get(path, ...) != after.get(path, ...)}
    mine = set(changed if applied is None else values(applied))
    given = list(old.get("metadata", {}).get("managedFields", ()))
    result = []
    for other in given:
        owned = set(paths_of(other["fieldsV1"]))
        if (other["manager"], other["operation"]) != (entry["manager"], entry["operation"]):
            if left := owned - changed:
                result.append({**other, "fieldsV1": fields_v1(left)})
        elif applied is None:
            mine |= owned
    if mine := mine & after.keys():
        result.append({**entry, "fieldsV1": fields_v1(mine)})
    same = not changed and [_timeless(one) for one in result] == [_timeless(one) for one in given]
    return given if same else result


def _timeless(entry: Builtins) -> Builtins:
    return {key: value for key, value in entry.items() if key != "time"}
