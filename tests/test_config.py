"""Settings come from defaults, a file, the environment and flags, in this order, and say where they are wrong."""

import re
from pathlib import Path
from typing import Any

import pytest

from hexa.config import Config, ConfigError, load_config, read_config_file, settings
from hexa.domain.policy.conventions import DEFAULTS

DOCS = Path(__file__).parent.parent / "docs" / "configuration.md"


def load(
    text: str = "", *, environment: dict[str, str] | None = None, flags: dict[str, tuple[str, Any]] | None = None
) -> Config:
    """Load settings from a file's text and the rest."""
    file = read_config_file(text, source="hexa.yaml")
    return load_config(file=file, environment=environment or {}, flags=flags or {})


def test_defaults_need_no_source() -> None:
    """Without file, environment and flags the agent serves on the loopback and looks at all namespaces."""
    config = load()
    assert config == Config()
    assert config.grpc.address == "127.0.0.1:50051"
    assert config.namespaces == ()


def test_later_sources_win() -> None:
    """Flags beat the environment, which beats the file, which beats the defaults, setting by setting."""
    text = "context: file\nkubeconfig: file\nlog: {level: debug}\ngrpc: {address: 'file:1'}\n"
    environment = {"HEXA_CONTEXT": "variable", "HEXA_GRPC_ADDRESS": "variable:1"}
    config = load(text, environment=environment, flags={"grpc.address": ("--grpc-address", "flag:1")})
    assert (config.kubeconfig, config.context, config.grpc.address) == ("file", "variable", "flag:1")
    assert (config.log.level, config.log.format) == ("debug", "auto")


def test_file_sets_everything() -> None:
    """Each setting can be written in the file; durations as Go writes them."""
    config = load(
        """
        kubeconfig: admin.conf
        context: lab
        namespaces: [homelab, lab]
        grpc: {address: "[::1]:50052", insecure: yes}
        log: {format: json, level: warning}
        kube: {connectTimeout: 2s, answerTimeout: 1m5s, watchPeriod: 300ms}
        controlPods:
          - {name: our autoscaler, namespace: kube-system, labels: {app: ca}}
        """
    )
    assert (config.namespaces, config.grpc.insecure) == (("homelab", "lab"), True)
    assert (config.kube.connect_timeout, config.kube.answer_timeout, config.kube.watch_period) == (2, 65, 0.3)
    assert [(pod.name, pod.labels) for pod in config.control_pods] == [("our autoscaler", {"app": "ca"})]


def test_environment_sets_everything() -> None:
    """Each setting has a variable; lists of texts are separated by commas, the rest is YAML."""
    config = load(
        environment={
            "HEXA_NAMESPACES": "homelab, lab",
            "HEXA_GRPC_INSECURE": "on",
            "HEXA_CONTEXT": "1.0",
            "HEXA_KUBE_CONNECT_TIMEOUT": "2s",
            "HEXA_CONTROL_PODS": "[{name: ca, labels: {app: ca}}]",
            "HEXA_LOG_LEVEL": "error",
        }
    )
    assert (config.namespaces, config.grpc.insecure, config.context) == (("homelab", "lab"), True, "1.0")
    assert (config.kube.connect_timeout, config.log.level, len(config.control_pods)) == (2, "error", 1)


def test_what_differs_from_cluster_to_cluster_reaches_the_core() -> None:
    """Startup taints, GPUs and the pods that guard their machine are settings; without them the core's defaults stand."""
    config = load(
        environment={
            "HEXA_STARTUP_TAINTS": "example.com/*, rack/booting",
            "HEXA_STARTUP_LIMIT": "90s",
            "HEXA_GPU_LABEL": "example.com/gpu",
            "HEXA_GPU_RESOURCES": "example.com/gpu",
            "HEXA_STORAGE_PODS": "[{name: a database, namespace: db, labels: {app: db}}]",
        }
    )
    ours = config.conventions
    assert (ours.startup_taints, ours.startup_limit.total_seconds()) == (("example.com/*", "rack/booting"), 90)
    assert (ours.gpu_label, ours.gpu_resources) == ("example.com/gpu", ("example.com/gpu",))
    assert (ours.holds("db", {"app": "db"}), ours.holds("web", {"app": "db"})) == ("a database", "")
    assert load().conventions == DEFAULTS


def test_services_named_hexa_do_no_harm() -> None:
    """Kubernetes describes Services in the environment: those named hexa are no settings of ours."""
    environment = {
        "HEXA_SERVICE_HOST": "10.0.0.1",
        "HEXA_SERVICE_PORT": "50051",
        "HEXA_SERVICE_PORT_GRPC": "50051",
        "HEXA_PORT": "tcp://10.0.0.1:50051",
        "HEXA_PORT_50051_TCP": "tcp://10.0.0.1:50051",
        "HEXA_PORT_50051_TCP_ADDR": "10.0.0.1",
        "HEXA_GRPC_SERVICE_HOST": "10.0.0.1",
        "HEXA_GRPC_PORT": "tcp://10.0.0.1:50051",
        "HEXA_CONFIG": "hexa.yaml",
        "HEXAGON": "six",
    }
    assert load(environment=environment) == Config()


def test_tls_is_set_as_a_whole() -> None:
    """Mutual TLS needs all three files: what is missing is named, whichever source gave the others."""
    files = {"HEXA_GRPC_TLS_CERTIFICATE": "tls.crt", "HEXA_GRPC_TLS_KEY": "tls.key"}
    with pytest.raises(ConfigError, match=r"^grpc.tls.clientCa: is not set; certificate, key and clientCa go together"):
        load(environment=files)
    with pytest.raises(ConfigError, match=r"^grpc.tls.certificate: is not set"):
        load("grpc: {tls: {clients: [cluster-autoscaler]}}")
    tls = load(
        "grpc: {tls: {clientCa: ca.crt}}", environment=files | {"HEXA_GRPC_TLS_CLIENTS": "a, spiffe://b/c"}
    ).grpc.tls
    assert (tls.certificate, tls.key, tls.client_ca, tls.clients) == (
        "tls.crt",
        "tls.key",
        "ca.crt",
        ("a", "spiffe://b/c"),
    )


def test_empty_values_leave_the_default() -> None:
    """A key without value, as editors leave it, changes nothing."""
    assert load("namespaces:\ngrpc:\n  address:\n", environment={"HEXA_GRPC_INSECURE": ""}) == Config()


BAD_FILES = {
    "grcp: {address: x}": "hexa.yaml:1: grcp: no such setting; docs/configuration.md has them all",
    "log:\n  levle: info": "hexa.yaml:2: log.levle: no such setting; did you mean log.level?",
    "\ngrpc: {insecure: maybe}": "hexa.yaml:2: grpc.insecure: expected `bool`, got `str`; write true or false",
    "context: 5": "hexa.yaml:1: context: expected `str`, got `int`; write a text, in quotes if need be",
    "namespaces: homelab": "hexa.yaml:1: namespaces: expected `array`, got `str`; write a list of texts",
    "log: {level: loud}": "write debug, info, warning or error",
    "log: info": "hexa.yaml:1: log: settings are wanted below it, such as log.format",
    "kube: {connectTimeout: 10}": "hexa.yaml:1: kube.connectTimeout: 10 has no unit; write a duration such as",
    "kube: {connectTimeout: 10 s}": "'10 s' is no duration",
    "kube: {watchPeriod: 0s}": "hexa.yaml:1: kube.watchPeriod: expected `float` > 0.0",
    "tariffs:\n  day: {}\n  night: {windows: 5}": "hexa.yaml:1: tariffs.night.windows: expected `array`, got `int`; see docs/",
    "tariffs: {night: {windows: [{}, {pricePerKWh: {}}]}}": "tariffs.night.windows[",
    "tariffs: {night: {configMap: {name: [prices]}}}": "tariffs.night.configMap.name: expected `str`, got `array`; see",
    "tariffs: {night: 5}": "hexa.yaml:1: tariffs.night: expected `object`, got `int`; see docs/configuration.md",
    "tariffs: [night]": "hexa.yaml:1: tariffs: expected `object`, got `array`; see docs/configuration.md",
    "circuits: {left: {maxWatts: {}}}": "hexa.yaml:1: circuits.left.maxWatts: expected `",
    "controlPods: [{name: x}]": "missing required field `labels` - at `$[0]`",
    "controlPods: [{name: x, labels: {}, label: {}}]": "unknown field `label` - at `$[0]`",
    "- a": "hexa.yaml: settings are wanted, KEY: VALUE in each line",
    "a: 1\n---\nb: 1": "hexa.yaml:3:1: a second document",
    "a: [": "hexa.yaml:2:",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_file_is_one_clear_error(text: str) -> None:
    """What is wrong in the file is named with line, setting and remedy."""
    with pytest.raises(ConfigError, match=re.escape(BAD_FILES[text])):
        load(text)


BAD_VARIABLES = {
    "HEXA_GRPC_ADRESS": "HEXA_GRPC_ADRESS: no such setting; did you mean HEXA_GRPC_ADDRESS?",
    "HEXA_GRPC_INSECURE": "HEXA_GRPC_INSECURE: grpc.insecure: expected `bool`, got `str`; write true or false",
    "HEXA_LOG_LEVEL": "HEXA_LOG_LEVEL: log.level: invalid enum value 'loud'; write debug, info, warning or error",
    "HEXA_KUBE_WATCH_PERIOD": "HEXA_KUBE_WATCH_PERIOD: kube.watchPeriod: 'loud' is no duration",
    "HEXA_CONTROL_PODS": "HEXA_CONTROL_PODS: controlPods: expected `array`, got `str`",
}


@pytest.mark.parametrize("variable", BAD_VARIABLES)
def test_bad_variable_is_one_clear_error(variable: str) -> None:
    """What is wrong in the environment is named with variable, setting and remedy."""
    with pytest.raises(ConfigError, match=re.escape(BAD_VARIABLES[variable])):
        load(environment={variable: "loud"})


def test_bad_flag_is_named() -> None:
    """What is wrong with a flag is named with the flag."""
    with pytest.raises(ConfigError, match=r"--log-level: log.level: invalid enum value"):
        load(flags={"log.level": ("--log-level", "loud")})


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.key)
def test_every_setting_is_documented(setting: Any) -> None:
    """docs/configuration.md has each setting with its variable, description and default."""
    line = next((line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{setting.key}` |")), "")
    assert f"`{setting.variable}`" in line
    assert setting.description
    assert setting.description in line


def test_documented_example_loads() -> None:
    """The example of docs/configuration.md is a valid configuration file."""
    example = DOCS.read_text().split("```yaml\n")[1].split("```")[0]
    assert load(example).control_pods[0].labels == {"app": "my-autoscaler"}


def test_a_ups() -> None:
    """Its thresholds reach the core as numbers; without an address none is asked."""
    ups = load("ups: {address: 'nas:3494', name: rack, offAt: {charge: 55, runtime: 20m}, backAt: {charge: 90}}").ups
    assert (ups.rules.off.charge, ups.rules.back, ups.interval) == (55, 90, 15)
    assert ups.rules.off.runtime is not None
    assert ups.rules.off.runtime.total_seconds() == 1200
    assert load().ups.address == ""
    environment = {"HEXA_UPS_ADDRESS": "nas", "HEXA_UPS_OFF_AT_CHARGE": "70"}
    assert load(environment=environment).ups.off_at.charge == 70


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{address: 'http://nas'}", "ups.address: 'http://nas' is no address: write HOST"),
        ("{address: nas, name: 'rack@nas'}", "ups.name: 'rack@nas' is no name of a UPS"),
        ('{address: nas, name: "rack\\nFSD rack"}', "ups.name: 'rack\\nFSD rack' is no name of a UPS"),
        ("{address: nas, interval: 1ms}", "ups.interval: 0.001 s is too often"),
        ("{address: nas, offAt: {charge: 80}}", "ups.backAt.charge: 80 is not above ups.offAt.charge (80)"),
        ("{address: nas, offAt: {charge: 101}}", "ups.offAt.charge"),
        ("{address: nas, offAt: {runtime: 10}}", "ups.offAt.runtime: 10 has no unit"),
    ],
)
def test_a_ups_that_makes_no_sense(text: str, says: str) -> None:
    """The start ends with the setting and what to write."""
    with pytest.raises(ConfigError) as raised:
        load(f"ups: {text}")
    assert says in str(raised.value)
