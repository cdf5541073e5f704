"""`make bench`: each section prints its figures beside a baseline of the same run."""

import subprocess
import sys

SECTIONS = (
    ("allowances: reserve and settle beside a bare UPDATE", "tests/bench/bench_quotas.py"),
    ("router: one decision beside the encoder alone", "tests/bench/bench_router.py"),
    ("router: families left out, beside its baselines", "tests/bench/bench_router_accuracy.py"),
    ("router: planted faults in a version", "tests/bench/bench_rollout.py"),
    ("router: cost and quality on public outcomes", "tests/bench/bench_routing_curve.py"),
    ("catalogue: search and feeds at 100,000 products", "tests/bench/bench_search.py"),
    ("merchants: what one that hangs costs the others", "tests/bench/bench_isolation.py"),
    ("purchases: ten thousand under faults (about an hour)", "tests/bench/bench_simulation.py"),
)


def main() -> int:
    """Runs every section; 1 when one could not be measured."""
    failed = 0
    for title, script in SECTIONS:
        sys.stdout.write(f"\n== {title}\n")
        sys.stdout.flush()
        failed |= subprocess.run([sys.executable, script], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
