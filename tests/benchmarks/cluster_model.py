"""How long a cluster paints, by a formula and by a simulation: python -m tests.benchmarks.cluster_model

Many shards on many devices, of which some are slow, some go away for a while, and all read and write one store. The
formula is that of docs/cluster.md; the simulation shows what it leaves out. Nothing here is measured: what a device
does in a second is given.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.cluster_formula import Cluster, Estimate, formula
from tests.benchmarks.cluster_simulation import Outcome, Simulation


@dataclass(frozen=True)
class Comparison:
    """Formula and simulation of one size of shards."""

    cluster: Cluster
    estimate: Estimate
    outcomes: tuple[Outcome, ...]

    @property
    def mean(self) -> float:
        """Seconds, over the seeds."""
        return statistics.mean(outcome.seconds for outcome in self.outcomes)

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds."""
        return statistics.stdev(outcome.seconds for outcome in self.outcomes) if len(self.outcomes) > 1 else 0.0

    @property
    def difference(self) -> float:
        """Of the formula to the simulation, as a share of it."""
        return self.estimate.total / self.mean - 1


def compare(cluster: Cluster, seeds: int) -> Comparison:
    """Returns both, for seeds from 0 on."""
    outcomes = tuple(Simulation(cluster, seed).run() for seed in range(seeds))
    return Comparison(cluster, formula(cluster), outcomes)


TERMS = ("overhead", "preemptions", "store", "tail")
HEAD = (
    *("images a shard", "shards", "formula, h", "simulation, h", "difference", "over ideal"),
    *TERMS,
    "painted again",
)


def table(found: Sequence[Comparison]) -> list[list[str]]:
    """Returns the rows below HEAD; shares are of the ideal time."""
    rows = []
    for each in found:
        ideal = each.estimate.ideal
        work = each.cluster.devices * each.mean
        lost = statistics.mean(outcome.lost for outcome in each.outcomes) / work
        rows.append(
            [
                f"{each.cluster.shard:,}",
                f"{each.cluster.shards:,}",
                f"{each.estimate.total / 3600:.3f}",
                f"{each.mean / 3600:.3f} ± {each.deviation / 3600:.3f}",
                f"{each.difference:+.1%}",
                f"{each.mean / ideal - 1:.1%}",
                *(
                    f"{getattr(each.estimate, name) / ideal:.1%}"
                    for name in ("overhead", "preemptions", "store", "tail")
                ),
                f"{lost:.2%}",
            ]
        )
    return rows


def count(text: str) -> int:
    """Returns a whole number that may be written as 100e6."""
    value = float(text)
    if value < 1 or value != int(value):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(value)


def parser() -> argparse.ArgumentParser:
    """The options: the fields of a cluster, by their names, and how often to simulate."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for field in dataclasses.fields(Cluster):
        kind = count if field.type == "int" else float
        several = {"nargs": "+"} if field.name == "shard" else {}
        default = [field.default] if several else field.default
        name = f"--{field.name.replace('_', '-')}"
        options.add_argument(name, type=kind, default=default, help=f"(default: {field.default})", **several)  # type: ignore[arg-type]
    options.add_argument("--seeds", type=count, default=5, help="simulations of each (default: 5)")
    options.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there")
    return options


def main() -> None:
    """Compares formula and simulation for some sizes of shards, and prints a table."""
    options = vars(parser().parse_args())
    seeds, kept, shards = options.pop("seeds"), options.pop("json"), options.pop("shard")
    found = [compare(Cluster(shard=shard, **options), seeds) for shard in shards]
    rows = [list(HEAD), ["---"] * len(HEAD), *table(found)]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    if kept:
        figures = [
            {**vars(each.cluster), **vars(each.estimate), "simulated": each.mean, "deviation": each.deviation}
            for each in found
        ]
        kept.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
