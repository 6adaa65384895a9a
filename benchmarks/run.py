"""Run every benchmark, or those that are named: `python benchmarks/run.py grpc_loop`."""

import importlib
import sys
from pathlib import Path


def main() -> None:
    here = Path(__file__).parent
    found = sorted(path.stem for path in here.glob("[a-z]*.py") if path.stem != "run")
    unknown = set(sys.argv[1:]) - set(found)
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    for name in sys.argv[1:] or found:
        importlib.import_module(name).main()


if __name__ == "__main__":
    main()
