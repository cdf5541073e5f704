"""The router on source families it never saw, beside TF-IDF and keywords: takes some minutes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from graphs.router.evaluate import main

TURNS = Path(__file__).parents[2].parent / "shared" / "data" / "turns" / "dev.jsonl"

if __name__ == "__main__":
    sys.exit(main(["--data", str(TURNS)]))
