/** What a screen reader hears: whole sentences as they become complete, never single tokens. */

import { signal } from "@preact/signals";

/** The newest sentences; the page renders them into its one polite live region. */
export const announced = signal<readonly string[]>([]);

const KEEP = 12;

export function announce(sentence: string): void {
  const text = sentence.trim();
  if (text !== "") announced.value = [...announced.value, text].slice(-KEEP);
}

/** Splits off what is complete: up to the last sentence end that is followed by more, or a line. */
export function splitSentences(buffer: string): { complete: string; rest: string } {
  let cut = 0;
  for (const match of buffer.matchAll(/[.!?…]["')\]]*\s|[。！？]["'”’）]*|\n/gu)) {
    cut = match.index + match[0].length;
  }
  return { complete: buffer.slice(0, cut), rest: buffer.slice(cut) };
}

/** Markdown marks mean nothing when read aloud. */
export function plain(markdown: string): string {
  return markdown
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^\s{0,3}(#{1,6}|>|[-*+]|\d+\.)\s+/gm, "")
    .replace(/[*_`~|]+/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

/** Feeds one answer's text into the live region. */
export class Announcer {
  private buffer = "";

  push(delta: string): void {
    const { complete, rest } = splitSentences(this.buffer + delta);
    this.buffer = rest;
    announce(plain(complete));
  }

  finish(): void {
    announce(plain(this.buffer));
    this.buffer = "";
  }
}
