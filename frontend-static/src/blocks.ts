/** Markdown that grows: blocks that can no longer change are settled, only the last is re-read. */

import { Lexer } from "marked";

export interface Blocks {
  readonly settled: readonly string[];
  readonly tail: string;
}

export const NOTHING: Blocks = { settled: [], tail: "" };

export function grow(blocks: Blocks, delta: string): Blocks {
  const tail = blocks.tail + delta;
  // A new block can only begin after a line break; until then the tail just gets longer.
  if (!delta.includes("\n")) return { settled: blocks.settled, tail };
  const tokens = new Lexer().lex(tail);
  while (tokens.at(-1)?.type === "space") tokens.pop();
  const done = tokens.slice(0, -1).map((token) => token.raw);
  if (done.length === 0) return { settled: blocks.settled, tail };
  // The lexer normalises line ends, so the open block is what follows the settled text.
  const open = normal(tail).slice(done.join("").length);
  return { settled: [...blocks.settled, ...done.filter((raw) => raw.trim() !== "")], tail: open };
}

function normal(text: string): string {
  return text.replace(/\r\n|\r/g, "\n");
}

export function blocksOf(text: string): Blocks {
  return grow(NOTHING, text.endsWith("\n") ? text : `${text}\n`);
}
