"""`./dev faults`: plays runs that are drawn from seeds, and shrinks those that break a rule.

./dev faults                      a thousand runs
./dev faults --runs 10000         as many, on all cores
./dev faults --seed 930 --runs 1  one of them again
./dev faults --script run.json    one that was written down
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from time import perf_counter

from tests.faults.draw import draw
from tests.faults.play import Outcome, play
from tests.faults.script import Script, read
from tests.faults.shrink import shrink

HASH_SEED = "0"
"""Sets are walked in the same order each time."""


def main() -> int:
    """How many runs failed, as an exit code of 0 or 1."""
    parser = argparse.ArgumentParser(prog="./dev faults", description="random fault runs on the fake cluster")
    parser.add_argument("--runs", type=int, default=1000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed (default: %(default)s)")
    parser.add_argument("--script", type=Path, metavar="FILE", help="play this one")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), metavar="P", help="(default: all cores)")
    parser.add_argument("--depends", action="store_true", help="with dependsOn between machines")
    parser.add_argument("--no-shrink", action="store_true", help="tell of failures only")
    args = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        environment = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
        os.execve(sys.executable, [sys.executable, "-m", "tests.faults", *sys.argv[1:]], environment)
    if args.script is not None:
        return _one(read(args.script.read_text()))
    return _many(args)


def _one(script: Script) -> int:
    outcome = play(script)
    print(*outcome.broken, sep="\n")
    return 1 if outcome.broken else 0


def _many(args: argparse.Namespace) -> int:
    began, cpu, jobs, hours, pods = perf_counter(), 0.0, 0, 0.0, 0
    failed: list[Outcome] = []
    for outcome in _outcomes(args):
        cpu, jobs, hours, pods = cpu + outcome.cpu, jobs + outcome.jobs, hours + outcome.hours, pods + outcome.pods
        if outcome.broken:
            failed.append(outcome)
            print(f"seed {outcome.seed}:", *outcome.broken[:5], sep="\n  ", flush=True)
    rules = Counter(rule for outcome in failed for rule in outcome.rules)
    for outcome in failed if not args.no_shrink else ():
        _shrunk(outcome, depends=args.depends)
    print(
        f"seeds {args.seed} to {args.seed + args.runs - 1}: {args.runs} runs, {hours:.0f} simulated hours, {jobs} power "
        f"actions, {pods} pods; {len(failed)} runs broke a rule {dict(rules) or ''}; "
        f"{perf_counter() - began:.0f} s, {cpu:.0f} s of CPU ({cpu / args.runs * 1000:.0f} ms a run)"
    )
    return 1 if failed else 0


def _outcomes(args: argparse.Namespace) -> Iterator[Outcome]:
    seeds, drawn = range(args.seed, args.seed + args.runs), partial(_drawn, depends=args.depends)
    if args.runs < 20 or args.processes == 1:
        yield from map(drawn, seeds)
        return
    with Pool(args.processes, maxtasksperchild=50) as pool:
        for done, outcome in enumerate(pool.imap_unordered(drawn, seeds, chunksize=10), 1):
            yield outcome
            if done % 1000 == 0:
                print(f"{done} runs", flush=True)


def _drawn(seed: int, *, depends: bool) -> Outcome:
    return play(draw(seed, depends=depends))


def _shrunk(outcome: Outcome, *, depends: bool) -> None:
    """The smallest script that breaks the same rule, to be written down."""
    rule = outcome.broken[0].rule
    small = shrink(draw(outcome.seed, depends=depends), lambda script: rule in play(script).rules)
    print(f"seed {outcome.seed}, shrunk; again by ./dev faults --seed {outcome.seed} --runs 1, or --script with")
    print(f"  {small.written()}", *play(small).broken[:3], sep="\n  ", flush=True)


if __name__ == "__main__":
    sys.exit(main())
