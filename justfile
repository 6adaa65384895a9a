# The commands people type. `./dev RECIPE` makes the environment first.

set positional-arguments

export PATH := env("DEV_VENV", justfile_directory() / ".venv") / "bin" + ":" + env("PATH")

pb := "src/hexa/adapters/externalgrpc/pb"

_list:
    @just --list --unsorted

# an office week, simulated: what hexa saves and what it costs in waiting
demo *ARGS:
    @hexa simulate examples/scenarios/office-week.yaml "$@"

# draw the picture of the README from that week; the same code draws the same picture
picture FILE="docs/simulate.svg":
    @hexa simulate examples/scenarios/office-week.yaml --svg "$1"

# draw hexa top and the timeline of the bad night (docs/bad-night.md); the same code draws the same pictures; with --page the page too
night DIR="docs" *ARGS:
    @python -m tests.docs.night "$@"

# the page in a headless Chromium: docs/page-light.webp and -dark of an office day; --scenario FILE, --output PATH
screenshot *ARGS:
    python -m tests.browser.picture "$@"

# what axe-core finds on the page, by hand: needs Chromium, npm and the network
axe:
    python -m tests.browser.axe

# all tests but long and e2e; with ARGS, plain pytest ARGS
test *ARGS:
    {{ if ARGS == "" { "pytest -n auto -m 'not long'" } else { 'pytest "$@"' } }}

# what the tests of domain, app and commands reach of domain and app, and its floor (tests/probes.py)
coverage:
    MEASURE_COVERAGE=1 pytest -n auto -m 'not long' tests/domain tests/app tests/cli

# whole scenarios played many times over: killed after each write, the examples at length, the figures of the main path
long *ARGS:
    pytest -n auto --dist worksteal -m long "$@"

# random fault runs on the fake cluster; one that breaks a rule is shrunk: --runs N, --seed S, --script FILE
faults *ARGS:
    python -m tests.faults "$@"

# what the domain's tests let pass: a sample of its mutants, with mutmut; --sample N, --seed S, --module sensing rules/proof
mutants *ARGS:
    nice -n 5 python packaging/mutants.py "$@"

# ruff, mypy --strict, import-linter, generated files unchanged, the docs site builds
check: check-quick types generated docs

# what the pre-commit hook runs
check-quick:
    ruff check
    ruff format --check
    lint-imports --no-logo {{ if env("DEV_CACHE", "") == "" { "" } else { "--cache-dir '" + env("DEV_CACHE") + "/imports'" } }}

# mypy --strict
types:
    mypy --strict src

# the generated files are what their sources say
generated:
    .ci/generated

# the scenarios on a real control plane and real kubelets; needs root, Go 1.26 and .ci/packages
e2e *ARGS:
    {{ if ARGS == "" { ".ci/e2e" } else { 'pytest tests/e2e "$@"' } }}

# the alerts, judged by promtool over scripted nights; needs Go 1.26, which builds promtool the first time
alerts *ARGS:
    pytest tests/alerts "$@"

_e2e-build:
    .ci/e2e build

# a control plane and machines by hand, until Ctrl-C; tests/e2e/README.md
lab *ARGS:
    PYTHONPATH=tests/e2e python -m lab "$@"

# a table of figures, each beside its yardstick
bench *ARGS:
    python benchmarks/run.py "$@"

# dist/hexa: the single-file executable for this machine
binary *ARGS:
    python packaging/binary.py "$@"

# dist/hexa-image.tar: the container image as an OCI archive; needs root and .ci/packages
image *ARGS:
    python packaging/image.py "$@"

# keep what this version stores, for the upgrade tests of later ones: docs/releasing.md
record-release:
    python -m tests.upgrade.record

# write deploy/crds/ from the msgspec types
crds DIR="deploy/crds":
    hexa crds --output "$1"

# write deploy/kustomize/, deploy/helm/ and deploy/monitoring/ from the one source of all manifests
manifests DIR="deploy":
    rm -rf "$1/kustomize" "$1/helm" "$1/monitoring"
    hexa manifests --deploy "$1"

# draw docs/lifecycle.svg and write docs/lifecycle.md from the tables
diagram FILE="docs/lifecycle.svg":
    python -m hexa.testing.diagram "$1"

# write docs/reference/ from the msgspec types
reference DIR="docs/reference":
    python -m tests.docs.reference "$1"

# the docs site into build/site; `./dev docs serve` shows it while you write
docs COMMAND="build" *ARGS:
    @NO_MKDOCS_2_WARNING=1 PYTHONPATH=. mkdocs "$@"

# write the messages of proto/*.proto
proto DIR=pb:
    rm -rf "$1"
    mkdir -p "$1"
    python -m grpc_tools.protoc --proto_path=proto --python_betterproto_out="$1" proto/*.proto

# format, and fix what has one right answer
fmt:
    ruff check --fix
    ruff format
