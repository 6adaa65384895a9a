"""PowerProfile: what many machines have in common. How it is filled in is decided in `hexa.domain.power.profile`."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta

from hexa.domain.resources.core import Kind, Slice
from hexa.domain.resources.limits import Retries, Timeouts
from hexa.domain.resources.node import POWER_RULES, Energy, TemplateSpec
from hexa.domain.resources.pod_spec import PowerPodSpec
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.values import OwnedMetadata, Rules


class PowerProfileSpec(Slice, frozen=True, kw_only=True):
    """Fields of a Node's spec. In every text {machine} is the name of the Node, and any other {name} a parameter of it."""

    RULES: ClassVar[Rules] = POWER_RULES

    power: Annotated[
        PowerSpec | None, Meta(description="How hexa's own drivers switch the machines and read their power.")
    ] = None
    startup_pod_spec: Annotated[PowerPodSpec | None, Meta(description="The Job that switches a machine on.")] = None
    shutdown_pod_spec: Annotated[PowerPodSpec | None, Meta(description="The Job that switches a machine off.")] = None
    timeouts: Annotated[Timeouts, Meta(description="Overrides the group's, field by field.")] = Timeouts()
    retries: Annotated[Retries, Meta(description="Overrides the group's, field by field.")] = Retries()
    energy: Annotated[Energy, Meta(description="What such a machine draws.")] = Energy()
    template: Annotated[TemplateSpec, Meta(description="Shape of such a machine while it is off.")] = TemplateSpec()


class PowerProfile(Slice, frozen=True, kw_only=True):
    """What machines of one make have in common: drivers, Secrets, limits. A Node takes it by spec.profile."""

    metadata: OwnedMetadata = OwnedMetadata()
    spec: PowerProfileSpec = PowerProfileSpec()


PROFILES: Final = Kind("infra.homecluster.dev/v1alpha1", "PowerProfile", "powerprofiles", PowerProfile)
