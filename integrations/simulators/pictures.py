"""Pictures of the demo merchants' goods and places, drawn by us as SVG.

`motifs.toml` holds one simple drawing a motif on a 200 x 150 sheet. `{a}`, `{b}` and `{c}` stand
for a palette's main, soft and dark colour; the item's id chooses the palette, so a picture never
changes and two neighbours rarely look alike.
"""

import hashlib
import html
import tomllib
from functools import cache
from pathlib import Path

# Main, soft, dark, sheet.
_PALETTES = (
    ("#2f7d6b", "#a9d6c6", "#153f36", "#eef6f3"),
    ("#c8643c", "#f2c4a8", "#6b2c14", "#fbf2ec"),
    ("#3d6aa8", "#b3cdee", "#1b365c", "#eef3fa"),
    ("#a8456b", "#ecbccd", "#571e35", "#faeff4"),
    ("#8a7a2c", "#e3d698", "#4a4114", "#f8f5e6"),
    ("#5d4f9c", "#c8c0ea", "#2e2656", "#f2f0fa"),
    ("#2d8794", "#a8dbe2", "#12434b", "#ecf6f8"),
    ("#99592e", "#e2bd9c", "#4d2a12", "#f8f1ea"),
)


@cache
def _motifs() -> dict[str, str]:
    path = Path(__file__).with_name("motifs.toml")
    return {
        name: str(drawing)
        for name, drawing in tomllib.loads(path.read_text(encoding="utf-8")).items()
    }


def motifs() -> frozenset[str]:
    return frozenset(_motifs())


def draw(item: str, motif: str, caption: str) -> str:
    """The SVG of `item`. Raises `KeyError` for an unknown motif."""
    digest = hashlib.sha256(item.encode()).digest()
    main, soft, dark, sheet = _PALETTES[digest[0] % len(_PALETTES)]
    drawing = _motifs()[motif]
    for mark, colour in (("{a}", main), ("{b}", soft), ("{c}", dark)):
        drawing = drawing.replace(mark, colour)
    title = html.escape(caption)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 150" width="400" height="300"'
        f' role="img" aria-label="{title}"><title>{title}</title>'
        f'<rect width="200" height="150" fill="{sheet}"/>'
        f'<ellipse cx="100" cy="124" rx="70" ry="7" fill="{soft}" opacity=".55"/>'
        f'<g stroke-linecap="round" stroke-linejoin="round">{drawing.strip()}</g></svg>'
    )
