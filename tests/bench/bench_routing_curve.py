"""Cost against quality on public outcomes of a weak and a strong model (RouteLLM, Apache-2.0).

Each rule orders the prompts by how much it wants the strong model; the figure is the share of
strong calls that reaches 95 % of the strong model's score. Intervals: bootstrap, 95 %.
"""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from graphs.router.features import excerpt, normalise
from graphs.router.policy import SHIPPED
from graphs.router.router import Router
from graphs.state import Ask

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "routing"
STRONG, WEAK = "gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"
PUBLISHED = (
    "published for RouteLLM: about 45 % less cost on MMLU and 35 % on GSM8K at 95 % of GPT-4\n"
    "  theirs is cost on all 57 subjects and 1,319 problems, by routers trained on preferences;\n"
    "  ours is calls on 12 subjects and 500 problems. 'our difficulty' never saw an outcome of\n"
    "  either model; 'encoder, folds' learnt them on other folds (MMLU: on other subjects).\n"
    "  Difficulty tells a chat from a task, not a hard task from a harder one: length orders those."
)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Prompts with both models' results (0 or 1) and the fold that each belongs to."""

    name: str
    prompts: list[str]
    strong: Floats
    weak: Floats
    fold: NDArray[np.int64]


def read(name: str, files: list[Path]) -> Outcomes:
    rows: list[tuple[str, bool, bool, int]] = []
    for number, file in enumerate(files):
        with file.open(encoding="utf-8", newline="") as lines:
            for n, row in enumerate(csv.DictReader(lines)):
                fold = number if len(files) > 1 else n % 5
                rows.append((row["prompt"], row[STRONG] == "True", row[WEAK] == "True", fold))
    prompts, strong, weak, fold = zip(*rows, strict=True)
    return Outcomes(
        name, list(prompts), *(np.array(c, float) for c in (strong, weak)), np.array(fold)
    )


def share_needed(data: Outcomes, wants: Floats, *, of: float = 0.95) -> float:
    """The smallest share of strong calls, strongest wish first, that reaches `of` x strong."""
    order = np.argsort(-wants, kind="stable")
    gained = np.cumsum((data.strong - data.weak)[order])
    enough = np.flatnonzero(data.weak.sum() + gained >= of * data.strong.sum())
    return (int(enough[0]) + 1) / len(wants) if len(enough) else 1.0


def interval(data: Outcomes, wants: Floats, *, draws: int = 300) -> tuple[float, float]:
    draw = np.random.default_rng(3)
    found = []
    for _ in range(draws):
        rows = draw.integers(0, len(wants), len(wants))
        some = Outcomes("", [], data.strong[rows], data.weak[rows], data.fold[rows])
        found.append(share_needed(some, wants[rows]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def by_encoder(router: Router, data: Outcomes) -> Floats:
    """The gain that ridge regression over our encoder expects, learnt on the other folds."""
    texts = [excerpt(normalise(p)) for p in data.prompts]
    parts = [router.encode(texts[i : i + 256]) for i in range(0, len(texts), 256)]
    x = np.concatenate(parts).astype(float)
    length = np.log1p([len(p) for p in data.prompts])
    x = np.column_stack((x, length, np.ones(len(x))))
    gain, expected = data.strong - data.weak, np.zeros(len(x))
    for fold in np.unique(data.fold):
        test = data.fold == fold
        a = x[~test].T @ x[~test] + 3.0 * np.eye(x.shape[1])
        expected[test] = x[test] @ np.linalg.solve(a, x[~test].T @ gain[~test])
    return expected


def difficulty(router: Router, data: Outcomes) -> Floats:
    """P(complex) of the shipped router, as it is."""
    routes = (router.route(Ask(p)) for p in data.prompts)
    return np.array([r.probabilities["complex"] for r in routes])


def told(router: Router, data: Outcomes) -> None:
    n = len(data.prompts)
    print(
        f"{data.name}: {n} prompts; strong alone {data.strong.mean():.3f} (100 % strong calls), "
        f"weak alone {data.weak.mean():.3f}"
    )
    length, ours = np.log1p([len(p) for p in data.prompts]), difficulty(router, data)
    rules = {
        "random": np.random.default_rng(1).random(n),
        "prompt length": length,
        "our difficulty": ours,
        "both, as equals": length / length.std() + ours / ours.std(),
        "encoder, folds": by_encoder(router, data),
        "oracle": data.strong - data.weak,
    }
    for name, wants in rules.items():
        low, high = interval(data, wants)
        share = share_needed(data, wants)
        print(f"  {name:<16} {share:6.1%} strong calls for 95 %   [{low:.1%}, {high:.1%}]")


def main() -> int:
    if not DATA.exists():
        print(f"no routing data at {DATA.name}: the curve needs it")
        return 1
    router = Router.load(SHIPPED)
    told(router, read("MMLU", sorted((DATA / "routellm_mmlu").glob("*.csv"))))
    told(router, read("GSM8K", [DATA / "routellm_gsm8k_responses.csv"]))
    print(PUBLISHED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
