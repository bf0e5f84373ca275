"""Check an archive of images against the competition's rules, or for integrity alone."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipelines._command import command_parser, run_command
from pipelines._processes import leave

_SHOWN = 20


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code: 0 valid, 1 not, 2 unreadable."""
    from monet.archive import validate

    parser = command_parser("validate", __doc__ or "")
    parser.add_argument("file", type=Path, metavar="FILE.zip", help="the archive")
    parser.add_argument(
        "--rules",
        choices=["kaggle", "any"],
        default="kaggle",
        help="kaggle: 7,000 to 10,000 RGB JPEGs of 256×256; any: at least one image, each whole (default: kaggle)",
    )
    parser.add_argument("--json", action="store_true", help="print valid, num_images and problems as JSON")
    options = parser.parse_args(arguments)
    report = validate(options.file, options.rules)
    if options.json:
        problems = [dataclasses.asdict(problem) for problem in report.problems]
        print(json.dumps({"valid": report.valid, "num_images": report.num_images, "problems": problems}, indent=2))
    elif report.valid:
        print(f"valid: {report.num_images:,} images ({options.rules} rules)")
    else:
        for problem in report.problems[:_SHOWN]:
            print(f"{problem.code}: {problem.name + ': ' if problem.name else ''}{problem.message}")
        counts = Counter(problem.code for problem in report.problems)
        total = ", ".join(f"{count} {code}" for code, count in counts.items())
        noun = "problem" if len(report.problems) == 1 else "problems"
        print(f"not valid: {len(report.problems)} {noun} ({total}); {report.num_images:,} images")
    return 0 if report.valid else 1


if __name__ == "__main__":
    leave(run_command(main, torch=False))
