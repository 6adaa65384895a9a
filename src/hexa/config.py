"""The agent's settings: defaults < configuration file < environment (HEXA_*) < flags.

Whatever is wrong is one error that names where it was read, the setting, and what to do. It opens no file
and reads no environment by itself: both are arguments.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, structs

from hexa.domain.duration import parse_duration
from hexa.domain.errors import HexaError
from hexa.domain.money.written_tariff import WrittenTariff
from hexa.domain.notify.written import WrittenReceiver
from hexa.domain.policy.circuits import WrittenCircuit, circuits_of
from hexa.domain.policy.conventions import (
    API_SERVER_PODS,
    CONTROL_PODS,
    STORAGE_PODS,
    Conventions,
    PodSelector,
)
from hexa.settings import (
    GpuSettings,
    GrpcSettings,
    HttpSettings,
    JobsSettings,
    KubeSettings,
    LogSettings,
    Settings,
    StartupSettings,
    UpsSettings,
)
from hexa.yaml import Document, YamlError, read_document


class Config(Settings, frozen=True, kw_only=True):
    """Everything that can be set of the agent."""

    kubeconfig: Annotated[
        str, Meta(description="Kubeconfig file. Default: KUBECONFIG, else the pod's account, else ~/.kube/config.")
    ] = ""
    context: Annotated[str, Meta(description="Context of the kubeconfig. Default: its current one.")] = ""
    namespaces: Annotated[
        tuple[str, ...], Meta(description="Namespaces whose Groups and Nodes count. Default: all.")
    ] = ()
    grpc: GrpcSettings = GrpcSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    kube: KubeSettings = KubeSettings()
    jobs: JobsSettings = JobsSettings()
    control_pods: Annotated[
        tuple[PodSelector, ...],
        Meta(description="Pods that hexa depends on: a machine that runs one of them is never switched off."),
    ] = CONTROL_PODS
    api_server_pods: Annotated[
        tuple[PodSelector, ...],
        Meta(description="API servers that run as pods: a machine that runs the only one is never switched off."),
    ] = API_SERVER_PODS
    storage_pods: Annotated[
        tuple[PodSelector, ...],
        Meta(
            description="Pods that hold data for others; they keep their machine on unless its group says storage: ignore."
        ),
    ] = STORAGE_PODS
    tariffs: Annotated[
        dict[str, WrittenTariff],
        Meta(description="Prices of energy by name; a Group takes one by spec.cost.tariff. See docs/tariffs.md."),
    ] = msgspec.field(default_factory=dict)
    eta: Annotated[
        bool,
        Meta(
            description="Tell pods that wait, by an Event, which machine boots for them and when it is Ready. Needs the right to "
            "write Events in every namespace (hexa manifests --eta)."
        ),
    ] = False
    kube_conditions: Annotated[
        bool,
        Meta(
            description="Say on Kubernetes nodes by the conditions DrainInProgress, Drained and MaintenanceInProgress what is done "
            "to their machines. Those that others set are minded all the same. See docs/kube-conditions.md."
        ),
    ] = False
    circuits: Annotated[
        dict[str, WrittenCircuit],
        Meta(
            description="Breakers by name, as `{maxWatts, inrushSpacing}`: what the machines that name one by spec.circuit may "
            "draw together, and how far apart their wakes begin. See docs/circuits.md."
        ),
    ] = msgspec.field(default_factory=dict)
    notify: Annotated[
        tuple[WrittenReceiver, ...],
        Meta(description="Who is told when something needs a hand, by webhook or e-mail. See docs/notify.md."),
    ] = ()
    startup: StartupSettings = StartupSettings()
    gpu: GpuSettings = GpuSettings()
    ups: UpsSettings = UpsSettings()

    @property
    def conventions(self) -> Conventions:
        """What differs from cluster to cluster, for the core."""
        return Conventions(
            startup_taints=self.startup.taints,
            startup_limit=timedelta(seconds=self.startup.limit),
            gpu_label=self.gpu.label,
            gpu_resources=self.gpu.resources,
            control_pods=self.control_pods,
            api_server_pods=self.api_server_pods,
            storage_pods=self.storage_pods,
            circuits=circuits_of(self.circuits),
            tariffs=tuple(self.tariffs),
        )


class ConfigError(HexaError):
    """A setting that cannot be used; the message says where it was read and what to do."""


class Setting(Struct, frozen=True):
    """One leaf of `Config`."""

    path: tuple[str, ...]
    """Keys of the file."""
    type: Any
    default: Any

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + re.sub(r"(?<=[a-z])(?=[A-Z])|\.", "_", self.key).upper()

    @property
    def bare(self) -> Any:
        """The type without what is said about it."""
        return get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type

    @property
    def description(self) -> str:
        return next((note.description for note in self.notes if note.description), "")

    @property
    def duration(self) -> bool:
        return any("duration" in (note.extra or {}) for note in self.notes)

    @property
    def notes(self) -> tuple[Meta, ...]:
        return get_args(self.type)[1:] if get_origin(self.type) is Annotated else ()


PREFIX: Final = "HEXA_"
CONFIG_VARIABLE: Final = "HEXA_CONFIG"
"""Names the configuration file where no flag does."""

_FOREIGN: Final = re.compile(
    r"HEXA_PYTHON"  # of ./dev
    # What Kubernetes puts into a pod's environment for Services whose names begin with hexa.
    r"|HEXA_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)?)"
)

Flags = Mapping[str, tuple[str, Any]]
"""Key of a setting -> the flag that gave it, and its value."""


def settings() -> tuple[Setting, ...]:
    """Every setting there is, in the order of the file."""
    return tuple(_leaves(Config, ()))


def load_config(*, file: Document | None, environment: Mapping[str, str], flags: Flags) -> Config:
    """The settings from all sources. Raises `ConfigError`."""
    known = {setting.key: setting for setting in settings()}
    given: dict[str, Any] = {}
    for source, key, value in (*_from_file(file, known), *_from_environment(environment, known), *_from_flags(flags)):
        if value is not None:  # an empty value leaves the default
            given[key] = _checked(source, known[key], value)
    config = msgspec.convert(_nested(given), Config)
    try:
        circuits_of(config.circuits)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if missing := config.grpc.tls.missing:
        raise ConfigError(
            f"grpc.tls.{missing[0]}: is not set; certificate, key and clientCa go together, or none of them"
        )
    if problem := config.http.problem or config.ups.problem:
        raise ConfigError(problem)
    return config


def read_config_file(text: str, *, source: str) -> Document | None:
    """The document of a configuration file; None if it is empty. Raises `ConfigError`."""
    try:
        return read_document(text, source=source)
    except YamlError as error:
        raise ConfigError(str(error)) from error


def _leaves(type_: type[Settings], path: tuple[str, ...]) -> Iterator[Setting]:
    for field in structs.fields(type_):
        here = (*path, field.encode_name)
        if isinstance(field.type, type) and issubclass(field.type, Settings):
            yield from _leaves(field.type, here)
        else:
            yield Setting(here, field.type, field.default)


def _from_flags(flags: Flags) -> Iterator[tuple[str, str, Any]]:
    for key, (flag, value) in flags.items():
        yield flag, key, value


def _from_environment(environment: Mapping[str, str], known: Mapping[str, Setting]) -> Iterator[tuple[str, str, Any]]:
    by_variable = {setting.variable: setting for setting in known.values()}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE or _FOREIGN.fullmatch(variable):
            continue
        if variable not in by_variable:
            raise ConfigError(f"{variable}: no such setting{_suggest(variable, [*by_variable, CONFIG_VARIABLE])}")
        setting = by_variable[variable]
        yield variable, setting.key, _from_text(variable, setting, environment[variable])


def _from_text(variable: str, setting: Setting, text: str) -> Any:
    """What a variable's text means: texts and durations as they are, lists of texts by commas, the rest as YAML."""
    if setting.bare in (str, float) or get_origin(setting.bare) is Literal:
        return text
    if setting.bare == tuple[str, ...]:
        return [part.strip() for part in text.split(",") if part.strip()]
    document = read_config_file(text, source=variable)
    return document.value if document else None


def _from_file(file: Document | None, known: Mapping[str, Setting]) -> Iterator[tuple[str, str, Any]]:
    if file is None:
        return
    if not isinstance(file.value, dict):
        raise ConfigError(f"{file.source}: settings are wanted, KEY: VALUE in each line")
    yield from _walk(file, file.value, (), known)


def _walk(
    file: Document, values: Mapping[str, Any], path: tuple[str, ...], known: Mapping[str, Setting]
) -> Iterator[tuple[str, str, Any]]:
    for name, value in values.items():
        here = (*path, name)
        key, where = ".".join(here), f"{file.source}:{file.line(here)}"
        if key in known:
            yield where, key, value
        elif not any(each.startswith(key + ".") for each in known):
            raise ConfigError(f"{where}: {key}: no such setting{_suggest(key, known)}")
        elif not isinstance(value, dict):
            raise ConfigError(f"{where}: {key}: settings are wanted below it, such as {_below(key, known)}")
        else:
            yield from _walk(file, value, here, known)


def _below(key: str, known: Mapping[str, Setting]) -> str:
    return next(each for each in known if each.startswith(key + "."))


def _checked(source: str, setting: Setting, value: Any) -> Any:
    """The value as builtins that fit the type. Raises `ConfigError`."""
    try:
        if setting.duration:
            value = _seconds(value)
        return msgspec.to_builtins(msgspec.convert(value, setting.type))
    except msgspec.ValidationError as error:
        key, text = _named_error(setting, value, str(error))
        raise ConfigError(f"{source}: {key}: {text[0].lower()}{text[1:]}; {_remedy(setting)}") from error
    except ValueError as error:
        raise ConfigError(f"{source}: {setting.key}: {error}; {_remedy(setting)}") from error


def _named_error(setting: Setting, value: Any, text: str) -> tuple[str, str]:
    """Which key is wrong, and how. msgspec says `$[...]` of whatever is kept by name."""
    if get_origin(setting.bare) is not dict or not isinstance(value, dict):
        return setting.key, text
    for name, each in value.items():
        try:
            msgspec.convert(each, get_args(setting.bare)[1])
        except msgspec.ValidationError as error:
            said, _, path = str(error).partition(" - at `$")
            return f"{setting.key}.{name}{path.removesuffix('`')}", said
    return setting.key, text


def _seconds(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit")
    return parse_duration(value).total_seconds()


def _remedy(setting: Setting) -> str:
    if setting.duration:
        return 'write a duration such as "10s" or "1m30s"'
    if setting.bare is bool:
        return "write true or false"
    if get_origin(setting.bare) is Literal:
        return f"write {', '.join(get_args(setting.bare)[:-1])} or {get_args(setting.bare)[-1]}"
    if setting.bare is str:
        return "write a text, in quotes if need be"
    if setting.bare == tuple[str, ...]:
        return "write a list of texts"
    return "see docs/configuration.md"


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else "; docs/configuration.md has them all"


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    """{"grpc.address": x} -> {"grpc": {"address": x}}."""
    nested: dict[str, Any] = {}
    for key, value in given.items():
        *parents, name = key.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = value
    return nested
