"""The Helm chart: the same objects with values in place of names and images. It writes no file."""

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from hexa import DISTRIBUTION
from hexa.app.manifests.alerts import RUNBOOKS, groups
from hexa.app.manifests.monitoring import ALERTS, DASHBOARD, DASHBOARD_FILE, PROMETHEUS, SIDECAR, text
from hexa.app.manifests.monitors import monitors
from hexa.app.manifests.options import Monitor, Options, Overlay, thing
from hexa.app.manifests.rbac import ETA, PRICES, SENSORS
from hexa.app.manifests.render import render

Write = Callable[[Any], str]
"""An object as a YAML document."""

RULES_FILE: Final = "files/rules.yaml"
BOARD_FILE: Final = "files/dashboard.json"

_STAND_INS: Final = Options(
    overlay=Overlay.MINIMAL,
    namespace="stand-in-namespace",
    machines=("stand-in-machines",),
    image="stand-in-image",
    autoscaler_image="stand-in-autoscaler",
    autoscaler_flags=("stand-in-flags",),
    sensors=True,
    secrets=("stand-in-secret",),
    prices=("stand-in-prices",),
    eta=True,
    notify_secret="stand-in-notify",
    settings=(("STAND_IN_SETTING", "stand-in-setting"),),
)

_MOUNT: Final = r" +- name: notify\n +mountPath: /etc/hexa/notify\n +readOnly: true\n"
_VALUES: Final = (
    (r"'?stand-in-namespace'?", "{{ .Release.Namespace }}"),
    (r"stand-in-machines", "{{ .Values.machines.namespace }}"),
    (r"stand-in-image", "{{ .Values.image | quote }}"),
    (r"stand-in-autoscaler", "{{ .Values.autoscaler.image | quote }}"),
    (
        r"( +)- stand-in-flags\n",
        r"\1{{- range .Values.autoscaler.flags }}\n\1- {{ . | quote }}\n\1{{- end }}\n",
    ),
    *(
        (rf"( +)- {name}\n", rf"\1{{{{- range .Values.{value} }}}}\n\1- {{{{ . | quote }}}}\n\1{{{{- end }}}}\n")
        for name, value in (("stand-in-secret", "readSecrets"), ("stand-in-prices", "readPrices"))
    ),
    (  # the only mount, as in minimal
        rf"( +)(volumeMounts:\n{_MOUNT})(?!\1- )",
        r"\1{{- if .Values.notifySecret }}\n\1\2\1{{- end }}\n",
    ),
    (
        rf"(?<=readOnly: true\n)( +)({_MOUNT.removeprefix(' +')})",
        r"\1{{- if .Values.notifySecret }}\n\1\2\1{{- end }}\n",
    ),
    (
        r"( +)(- name: notify\n +secret:\n +secretName: )stand-in-notify\n( +defaultMode: 288\n +optional: true\n)",
        r"\1{{- if .Values.notifySecret }}\n\1\2{{ .Values.notifySecret | quote }}\n\3\1{{- end }}\n",
    ),
    (
        r"( +)(- name: HEXA_ETA\n +value: 'true'\n)",
        r"\1{{- if .Values.eta }}\n\1\2\1{{- end }}\n",
    ),
    (
        r"( +)- name: STAND_IN_SETTING\n +value: stand-in-setting\n",
        r"\1{{- range $name, $value := .Values.settings }}\n\1- name: {{ $name }}\n\1  value: {{ $value | quote }}\n\1{{- end }}\n",
    ),
)

_WANTED: Final = {
    ("", ETA): ".Values.eta",
    ("", PRICES): ".Values.readPrices",
    ("", SENSORS): ".Values.readSecrets",
    ("NetworkPolicy", SENSORS): "or .Values.sensors .Values.readSecrets",
}
"""Objects that are made where a value asks for them, by kind (empty: any) and name."""

VALUES: Final = """\
# minimal: Cluster Autoscaler in hexa's pod, no certificates. production: apart, mutual TLS. tenant: as production, and hexa
# evicts pods in the machines' namespace alone. docs/manifests.md tells more.
overlay: minimal

image: {image}

# Added to hexa's environment: docs/configuration.md.
settings: {{}}
#  HEXA_LOG_LEVEL: debug

# Metrics, page and API over HTTP: auto (in production), true or false. docs/http.md
http: auto

# Tell pods that wait which machine boots for them, and when it is Ready: the right to write Events in every namespace.
eta: false

# Let hexa reach BMCs, PDUs and plugs, to read the power of machines with spec.power (docs/power.md); and get these Secrets of
# the machines' namespace for that, by name and no other.
sensors: false
readSecrets: []
#  - bmc

# ConfigMaps of the release's namespace whose prices a tariff names (docs/tariffs.md): hexa may read these, and no other.
readPrices: []
#  - prices

# A Secret of the release's namespace with the tokens and addresses of receivers of notifications, mounted at /etc/hexa/notify:
# docs/notify.md.
notifySecret: ""

# By what the Prometheus Operator reads hexa's metrics: ServiceMonitor or PodMonitor, with an account of its own; "": it does not
# (docs/metrics.md).
monitor:
  kind: ""
  # Labels by which Prometheus selects monitors; kube-prometheus-stack asks for its release.
  labels: {{}}
  #  release: kube-prometheus-stack

# A PrometheusRule with hexa's alerts; it takes the Prometheus Operator (docs/alerts.md).
alerts:
  enabled: false
  # Labels by which Prometheus selects rules; kube-prometheus-stack asks for its release.
  labels: {{}}
  #  release: kube-prometheus-stack
  # Where people read docs/alerts.md: the links of the alerts lead there.
  runbooks: {runbooks}

# A ConfigMap with the dashboard, and the label by which the sidecar of Grafana finds it.
dashboard:
  enabled: false
  labels:
    {sidecar}: '{found}'

autoscaler:
  image: {autoscaler}
  # Added to Cluster Autoscaler's flags.
  flags: []
  #  - --expander=price

machines:
  # Where Groups and Nodes are; their power Jobs run there, some of them in the host's network.
  namespace: hexa-machines
  # Make that namespace. It stays when the chart is uninstalled.
  create: true
"""

_CHART: Final = {
    "apiVersion": "v2",
    "name": "hexa",
    "description": "Powers physical Kubernetes nodes on and off by demand, for the stock Cluster Autoscaler",
    "type": "application",
    "version": version(DISTRIBUTION),
    "appVersion": version(DISTRIBUTION),
}

_LABELS: Final = "    {{- toYaml . | nindent 4 }}\n    {{- end }}\n"

_WRONG: Final = """\
{{- if not (has .Values.overlay (list "minimal" "production" "tenant")) }}
{{- fail (printf "overlay: %v is none of minimal, production, tenant" .Values.overlay) }}
{{- end }}
{{- if not (has (toString .Values.http) (list "auto" "true" "false")) }}
{{- fail (printf "http: %v is none of auto, true, false" .Values.http) }}
{{- end }}
{{- if not (has .Values.monitor.kind (list "" "ServiceMonitor" "PodMonitor")) }}
{{- fail (printf "monitor.kind: %v is none of ServiceMonitor, PodMonitor" .Values.monitor.kind) }}
{{- end }}
{{- $http := or (eq (toString .Values.http) "true") (and (eq .Values.overlay "production") (ne (toString .Values.http) "false")) }}
{{- if and .Values.monitor.kind (or (eq .Values.overlay "minimal") (not $http)) }}
{{- fail "monitor.kind: metrics are served to others in the overlays production and tenant alone, with http" }}
{{- end }}
"""


def chart(write: Write) -> dict[str, str]:
    """Path below the chart -> text."""
    defaults = Options(overlay=Overlay.MINIMAL)
    images = {"image": defaults.image, "autoscaler": defaults.autoscaler_image}
    values = VALUES.format(**images, runbooks=RUNBOOKS, sidecar=SIDECAR[0], found=SIDECAR[1])
    templates = {f"templates/{overlay}.yaml": _template(overlay, write) for overlay in Overlay}
    files = {RULES_FILE: write(groups()), BOARD_FILE: text()}
    fixed = {"Chart.yaml": write(_CHART), "values.yaml": values, "templates/check.yaml": _WRONG}
    return {**fixed, **templates, "templates/monitor.yaml": _monitors(write), **_monitoring(write), **files}


def _monitors(write: Write) -> str:
    """What both kinds have in common, and the one that is asked for with its labels. Names in no namespace are a tenant's: they fit
    everybody."""
    options = (Options(overlay=Overlay.TENANT, namespace=_STAND_INS.namespace, monitor=kind) for kind in Monitor)
    made = [list(monitors(each)) for each in options]
    both, own = made[0][:-1], [objects[-1] for objects in made]
    texts = [*map(write, both), "".join(_monitor(each["kind"], write(each)) for each in own)]
    text = re.sub(*_VALUES[0], "---\n".join(texts))
    return f"{{{{- if .Values.monitor.kind }}}}\n{text}{{{{- end }}}}\n"


def _monitor(kind: str, text: str) -> str:
    labels = rf"\1    {{{{- with .Values.monitor.labels }}}}\n{_LABELS}"
    text = re.sub(r"(part-of: hexa\n)", labels, text)
    return f'{{{{- if eq .Values.monitor.kind "{kind}" }}}}\n{text}{{{{- end }}}}\n'


def _monitoring(write: Write) -> dict[str, str]:
    """Alerts and dashboard have braces of their own, which Helm leaves alone in files."""
    space = _STAND_INS.namespace
    rules = f'.Files.Get "{RULES_FILE}" | replace "{RUNBOOKS}" .Values.alerts.runbooks | nindent 2'
    board = f'.Files.Get "{BOARD_FILE}" | nindent 4'
    made = {
        "alerts": (thing(PROMETHEUS, "PrometheusRule", ALERTS, namespace=space, spec="stand-in-file"), rules),
        "dashboard": (
            thing("v1", "ConfigMap", DASHBOARD, namespace=space, data={DASHBOARD_FILE: "stand-in-file"}),
            board,
        ),
    }
    return {f"templates/{name}.yaml": _with_file(name, write(each), file) for name, (each, file) in made.items()}


def _with_file(name: str, text: str, file: str) -> str:
    """A template of the value `name`, with its labels, and with a file in place of the stand-in."""
    text = re.sub(*_VALUES[0], text)
    text = re.sub(r"(part-of: hexa\n)", rf"\1    {{{{- with .Values.{name}.labels }}}}\n{_LABELS}", text)
    text = re.sub(r"(spec:)? stand-in-file\n", lambda found: f"{found[1]}\n" if found[1] else " |\n", text)
    return f"{{{{- if .Values.{name}.enabled }}}}\n{text}{{{{- {file} }}}}\n{{{{- end }}}}\n"


def _template(overlay: Overlay, write: Write) -> str:
    with_http, without = (_objects(overlay, http=http) for http in (True, False))
    usual = Options(overlay=overlay).serves_http
    asked = 'ne (toString .Values.http) "false"' if usual else 'eq (toString .Values.http) "true"'
    texts = []
    for key, each in with_http.items():
        text = _conditional(each, write(each))
        other = _conditional(without[key], write(without[key])) if key in without else ""
        texts.append(text if text == other else _either(asked, text, other))
    text = "---\n".join(texts)
    for pattern, value in _VALUES:
        text = re.sub(pattern, value, text)
    return f'{{{{- if eq .Values.overlay "{overlay}" }}}}\n{text}{{{{- end }}}}\n'


def _either(asked: str, text: str, other: str) -> str:
    """An object as it is with HTTP, and without."""
    otherwise = f"{{{{- else }}}}\n{other}" if other else ""
    return f"{{{{- if {asked} }}}}\n{text}{otherwise}{{{{- end }}}}\n"


def _objects(overlay: Overlay, *, http: bool) -> dict[tuple[str, str, str], Any]:
    """All objects that the chart makes, by what they are."""
    options = Options(
        overlay=overlay,
        namespace=_STAND_INS.namespace,
        machines=_STAND_INS.machines,
        image=_STAND_INS.image,
        autoscaler_image=_STAND_INS.autoscaler_image,
        autoscaler_flags=_STAND_INS.autoscaler_flags,
        sensors=_STAND_INS.sensors,
        secrets=_STAND_INS.secrets,
        prices=_STAND_INS.prices,
        eta=_STAND_INS.eta,
        notify_secret=_STAND_INS.notify_secret,
        settings=_STAND_INS.settings,
        http=http,
    )
    return {_identity(each): each for each in render(options) if not _release_makes(each)}


def _identity(each: dict[str, Any]) -> tuple[str, str, str]:
    metadata = each["metadata"]
    return each["kind"], metadata.get("namespace", ""), metadata["name"]


def _release_makes(each: dict[str, Any]) -> bool:
    return bool(each["kind"] == "Namespace" and each["metadata"]["name"] == _STAND_INS.namespace)


def _conditional(each: dict[str, Any], text: str) -> str:
    """The machines' namespace is made if wanted, and kept: what is in it is not the chart's. Roles for one value come with it."""
    name = each["metadata"]["name"]
    if wanted := _WANTED.get((each["kind"], name)) or _WANTED.get(("", name)):
        return f"{{{{- if {wanted} }}}}\n{text}{{{{- end }}}}\n"
    if each["kind"] != "Namespace":
        return text
    kept = text.replace("metadata:\n", "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1)
    return f"{{{{- if .Values.machines.create }}}}\n{kept}{{{{- end }}}}\n"
