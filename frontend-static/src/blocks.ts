/** Markdown that grows: blocks that can no longer change are settled, only the last is re-read. */

import { Lexer } from "marked";

export interface Blocks {
  readonly settled: readonly string[];
  readonly tail: string;
}

export const NOTHING: Blocks = { settled: [], tail: "" };

export function grow(blocks: Blocks, delta: string): Blocks {
  // Without carriage returns the lexer's blocks are the very text, and their lengths add up.
  const tail = (blocks.tail + delta).replaceAll("\r", "");
  const tokens = new Lexer().lex(tail);
  while (tokens.at(-1)?.type === "space") tokens.pop();
  const done = tokens.slice(0, -1).map((token) => token.raw);
  if (done.length === 0) return { settled: blocks.settled, tail };
  const settled = [...blocks.settled, ...done.filter((raw) => raw.trim() !== "")];
  return { settled, tail: tail.slice(done.join("").length) };
}

/** A whole text at once. */
export function blocksOf(text: string): Blocks {
  return grow(NOTHING, text);
}
