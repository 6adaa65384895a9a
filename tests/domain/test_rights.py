"""The table of rights: what it may never hold, and the roles made of it."""

from hexa.domain.people.rights import RIGHTS, Right, Scope, for_tenant, rules


def test_no_wildcard_and_no_secret() -> None:
    """Each right names its group, resource and verbs, and none of them reads or writes a Secret."""
    for right in RIGHTS:
        assert "*" not in (right.group, right.resource, *right.verbs, *right.names)
        assert right.plural != "secrets"
        assert right.verbs
        assert right.reason.endswith(".")


def test_what_holds_in_the_whole_cluster_is_this_and_no_more() -> None:
    """Whoever adds a right in the whole cluster does it knowingly."""
    assert {str(right) for right in RIGHTS if right.scope is Scope.CLUSTER} == {
        "list,watch,patch,delete nodes (core)",
        "patch nodes/status (core)",
        "list,watch pods (core)",
        "delete pods (core)",
        "create pods/eviction (core)",
        "list persistentvolumeclaims (core)",
        "list persistentvolumes (core)",
    }


def test_a_tenant_s_hexa_removes_nobody_else_s_pods() -> None:
    """Where hexa serves a tenant, it writes nothing outside the tenant's namespaces but Kubernetes nodes."""
    writes = [right for right in for_tenant() if right.scope is Scope.CLUSTER and set(right.verbs) - {"list", "watch"}]
    assert {right.resource for right in writes} == {"nodes", "nodes/status"}


def test_a_tenant_has_no_right_that_others_lack() -> None:
    """The rights are the same everywhere; only where they hold differs, and never wider."""
    for wide, narrow in zip(RIGHTS, for_tenant(), strict=True):
        assert (wide.group, wide.resource, wide.verbs) == (narrow.group, narrow.resource, narrow.verbs)
        assert narrow.scope in (wide.scope, Scope.NAMESPACE)


def test_rules_join_what_is_about_one_resource() -> None:
    """A role has one rule for each resource; names narrow a rule and keep it apart."""

    def right(*verbs: str, names: tuple[str, ...] = ()) -> Right:
        scope = Scope.CLUSTER
        return Right(
            group="", resource="pods", verbs=verbs, scope=scope, names=names, tenant=scope, used_by="t", reason="t."
        )

    assert rules([right("list"), right("get", names=("a",)), right("watch", "list")]) == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"]},
    ]
