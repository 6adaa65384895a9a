"""Slices that only commands for people read: more of pods and nodes than the agent keeps, and kinds that it never touches."""

from datetime import datetime
from typing import Any, Final

from msgspec import field

from hexa.domain.resources.core import (
    Container,
    Kind,
    KubeNode,
    KubeNodeStatus,
    Metadata,
    Pod,
    PodSpec,
    Slice,
    Volume,
)


class NodeAddress(Slice, frozen=True, kw_only=True):
    type: str = ""
    address: str = ""


class AddressedNodeStatus(KubeNodeStatus, frozen=True, kw_only=True):
    addresses: tuple[NodeAddress, ...] = ()


class AddressedNode(KubeNode, frozen=True, kw_only=True):
    """core/v1 Node with its addresses."""

    status: AddressedNodeStatus = AddressedNodeStatus()


class EnvVar(Slice, frozen=True, kw_only=True):
    name: str = ""
    value: str = ""


class VolumeMount(Slice, frozen=True, kw_only=True):
    name: str = ""
    mount_path: str = ""
    sub_path: str = ""


class DetailedContainer(Container, frozen=True, kw_only=True):
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()


class SecretSource(Slice, frozen=True, kw_only=True):
    secret_name: str = ""


class NamedSource(Slice, frozen=True, kw_only=True):
    name: str = ""


class DetailedVolume(Volume, frozen=True, kw_only=True):
    secret: SecretSource | None = None
    config_map: NamedSource | None = None


class DetailedPodSpec(PodSpec, frozen=True, kw_only=True):
    service_account_name: str = ""
    containers: tuple[DetailedContainer, ...] = ()
    init_containers: tuple[DetailedContainer, ...] = ()
    volumes: tuple[DetailedVolume, ...] = ()


class DetailedPod(Pod, frozen=True, kw_only=True):
    """core/v1 Pod with what its containers were told."""

    spec: DetailedPodSpec = DetailedPodSpec()


class ConfigMap(Slice, frozen=True, kw_only=True):
    """core/v1 ConfigMap."""

    metadata: Metadata = Metadata()
    data: dict[str, Any] = field(default_factory=dict)
    """Texts. What is none harms the key that has it, and no other."""
    binary_data: dict[str, Any] = field(default_factory=dict)
    """Keys whose bytes are no UTF-8."""

    @property
    def texts(self) -> dict[str, str]:
        """The keys that can be read."""
        return {key: text for key, text in self.data.items() if isinstance(text, str)}


class Secret(Slice, frozen=True, kw_only=True):
    """core/v1 Secret; values are base64."""

    metadata: Metadata = Metadata()
    data: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Secret({self.metadata.namespace}/{self.metadata.name})"


class CrdVersion(Slice, frozen=True, kw_only=True):
    name: str = ""
    served: bool = False
    storage: bool = False
    schema: dict[str, Any] = field(default_factory=dict)


class CrdSpec(Slice, frozen=True, kw_only=True):
    versions: tuple[CrdVersion, ...] = ()


class CrdCondition(Slice, frozen=True, kw_only=True):
    type: str = ""
    status: str = ""
    message: str = ""


class CrdStatus(Slice, frozen=True, kw_only=True):
    conditions: tuple[CrdCondition, ...] = ()


class CustomResourceDefinition(Slice, frozen=True, kw_only=True):
    """apiextensions.k8s.io/v1 CustomResourceDefinition."""

    metadata: Metadata = Metadata()
    spec: CrdSpec = CrdSpec()
    status: CrdStatus = CrdStatus()


class ReviewStatus(Slice, frozen=True, kw_only=True):
    allowed: bool = False
    reason: str = ""


class AccessReview(Slice, frozen=True, kw_only=True):
    """authorization.k8s.io/v1 SelfSubjectAccessReview and SubjectAccessReview: answered, not stored."""

    status: ReviewStatus = ReviewStatus()


class UserInfo(Slice, frozen=True, kw_only=True):
    username: str = ""
    groups: tuple[str, ...] = ()


class TokenOwner(Slice, frozen=True, kw_only=True):
    """Whose token it is, with all that a review of access wants to know."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)


class TokenStatus(Slice, frozen=True, kw_only=True):
    authenticated: bool = False
    user: TokenOwner = TokenOwner()


class TokenReview(Slice, frozen=True, kw_only=True):
    """authentication.k8s.io/v1 TokenReview: answered, not stored. What was asked, the token, is not kept here."""

    status: TokenStatus = TokenStatus()


class WhoAmIStatus(Slice, frozen=True, kw_only=True):
    user_info: UserInfo = UserInfo()


class WhoAmIMetadata(Slice, frozen=True, kw_only=True):
    creation_timestamp: datetime | None = None


class WhoAmI(Slice, frozen=True, kw_only=True):
    """authentication.k8s.io/v1 SelfSubjectReview: who asks, and the time at the API server. Answered, not stored."""

    metadata: WhoAmIMetadata = WhoAmIMetadata()
    status: WhoAmIStatus = WhoAmIStatus()


ADDRESSED_NODES: Final = Kind("v1", "Node", "nodes", AddressedNode, namespaced=False)
DETAILED_PODS: Final = Kind("v1", "Pod", "pods", DetailedPod)
CONFIG_MAPS: Final = Kind("v1", "ConfigMap", "configmaps", ConfigMap)
SECRETS: Final = Kind("v1", "Secret", "secrets", Secret)
DEFINITIONS: Final = Kind(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    CustomResourceDefinition,
    namespaced=False,
)
OWN_REVIEWS: Final = Kind(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", AccessReview, namespaced=False
)
REVIEWS: Final = Kind(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", AccessReview, namespaced=False
)
WHO_AM_I: Final = Kind("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", WhoAmI, namespaced=False)
TOKEN_REVIEWS: Final = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", TokenReview, namespaced=False)

ANSWERED: Final = frozenset(kind.plural for kind in (OWN_REVIEWS, REVIEWS, WHO_AM_I, TOKEN_REVIEWS))
"""Kinds that a create answers and does not store."""
