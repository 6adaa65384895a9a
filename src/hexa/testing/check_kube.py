"""The contract of `ports.kube`, as checks that run on every implementation: in RAM and on a real API server alike.

    await check_kube(KubeBench(kube=kube, namespace="scratch"))

or one by one from `KUBE_CHECKS`. The CRDs of hexa must be installed and the namespace must exist. A failed check
raises AssertionError with what should have been.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from hexa.testing.contracts.bench import KubeBench
from hexa.testing.contracts.kube_reads import (
    a_list_has_what_was_created,
    a_long_list_is_complete,
    a_missing_permission_is_named,
    an_object_that_does_not_decode_is_malformed,
    pods_are_found_by_their_node,
    selectors_pick_objects,
)
from hexa.testing.contracts.kube_removal import (
    a_budget_blocks_an_eviction,
    a_condition_of_a_node_can_be_removed,
    a_delete_with_a_uid_spares_a_namesake,
    a_finalizer_holds_an_object,
    a_pod_has_its_grace,
    an_eviction_without_budget_is_made,
    dependents_go_with_their_owner,
    two_budgets_block_an_eviction,
)
from hexa.testing.contracts.kube_watches import (
    a_bookmark_says_where_to_go_on,
    a_forgotten_version_is_expired,
    a_watch_goes_on_from_any_version,
    a_watch_tells_every_change_in_order,
    a_watch_tells_who_comes_and_goes_by_its_selector,
    a_watch_waits_for_changes,
    what_is_raised_while_watching_passes_as_it_is,
)
from hexa.testing.contracts.kube_writes import (
    a_later_patch_that_changes_nothing_is_no_change,
    a_merge_patch_merges_maps_and_replaces_lists,
    a_patch_that_changes_nothing_is_no_change,
    a_review_of_access_is_of_whom_it_names,
    a_second_create_already_exists,
    a_stale_writer_gets_a_conflict,
    a_strategic_patch_merges_conditions_and_replaces_taints,
    a_strategic_patch_of_our_resources_is_refused,
    a_token_that_nobody_has_is_nobodys,
    of_many_writers_none_is_lost,
    spec_and_status_are_written_apart,
    status_is_not_created,
    what_is_invalid_is_refused,
    what_is_missing_is_not_found,
)

__all__ = ["KUBE_CHECKS", "Check", "KubeBench", "check_kube"]

Check = Callable[[KubeBench], Awaitable[None]]

KUBE_CHECKS: Final[tuple[Check, ...]] = (
    a_list_has_what_was_created,
    selectors_pick_objects,
    pods_are_found_by_their_node,
    a_long_list_is_complete,
    an_object_that_does_not_decode_is_malformed,
    a_second_create_already_exists,
    what_is_missing_is_not_found,
    what_is_invalid_is_refused,
    a_stale_writer_gets_a_conflict,
    a_patch_that_changes_nothing_is_no_change,
    a_later_patch_that_changes_nothing_is_no_change,
    a_merge_patch_merges_maps_and_replaces_lists,
    a_strategic_patch_merges_conditions_and_replaces_taints,
    a_strategic_patch_of_our_resources_is_refused,
    spec_and_status_are_written_apart,
    status_is_not_created,
    of_many_writers_none_is_lost,
    a_token_that_nobody_has_is_nobodys,
    a_review_of_access_is_of_whom_it_names,
    a_delete_with_a_uid_spares_a_namesake,
    a_pod_has_its_grace,
    dependents_go_with_their_owner,
    a_finalizer_holds_an_object,
    a_condition_of_a_node_can_be_removed,
    a_budget_blocks_an_eviction,
    two_budgets_block_an_eviction,
    an_eviction_without_budget_is_made,
    a_watch_tells_every_change_in_order,
    a_watch_goes_on_from_any_version,
    a_watch_tells_who_comes_and_goes_by_its_selector,
    a_watch_waits_for_changes,
    a_bookmark_says_where_to_go_on,
    what_is_raised_while_watching_passes_as_it_is,
    a_missing_permission_is_named,
    a_forgotten_version_is_expired,
)


async def check_kube(bench: KubeBench) -> None:
    """Run every check, one after the other."""
    for check in KUBE_CHECKS:
        await check(bench)
