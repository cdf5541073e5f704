/** One turn as the page holds it: the question, the parts of the answer, and how it ended. */

import { type Signal, signal } from "@preact/signals";
import { type Blocks, blocksOf, grow, NOTHING } from "./blocks";
import { randomId } from "./ids";
import { applyPatch, type Json, type Operation } from "./patch";
import type { Exit, Interrupt, Outcome, Route, StoredTurn } from "./wire";

export interface TextPart {
  kind: "text";
  id: string;
  blocks: Signal<Blocks>;
}

export interface ActivityPart {
  kind: "activity";
  id: string;
  type: string;
  content: Signal<Json>;
}

export type Part = TextPart | ActivityPart;

/** `cut`: the connection broke before the run said that it was over. `left`: stopped before this page
 * was loaded, by a press or by leaving; nobody can tell which. */
export type Ending = "running" | "done" | "stopped" | "left" | "cut" | "failed";

export class Turn {
  readonly key = randomId();
  readonly parts = signal<readonly Part[]>([]);
  readonly route = signal<Route | null>(null);
  readonly ending = signal<Ending>("running");
  readonly fault = signal<{ code: string; detail: string } | null>(null);
  /** The server's name of a turn that failed by its fault: asking it again is free. */
  readonly owed = signal<string | null>(null);
  /** The ways out that came with a refusal or a step down: the allowance read later has none of its own. */
  readonly exits = signal<readonly Exit[] | null>(null);
  readonly interrupts = signal<readonly Interrupt[]>([]);
  /** How each decision ended that this run was resumed with. */
  readonly outcomes = signal<readonly Outcome[]>([]);
  /** The checkouts of this turn's sheet: those that wait for a payment, and those that lack something. */
  readonly checkouts = signal<readonly string[]>([]);

  constructor(readonly question: string) {}

  addText(messageId: string, delta: string): void {
    const part = this.parts.value.find((one) => one.kind === "text" && one.id === messageId);
    if (part?.kind === "text") part.blocks.value = grow(part.blocks.value, delta);
    else this.add({ kind: "text", id: messageId, blocks: signal(grow(NOTHING, delta)) });
  }

  /** A snapshot replaces the activity of the same message and type. */
  setActivity(messageId: string, type: string, content: Json): void {
    const part = this.activity(messageId, type);
    if (part) part.content.value = content;
    else this.add({ kind: "activity", id: messageId, type, content: signal(content) });
  }

  patchActivity(messageId: string, type: string, patch: Operation[]): void {
    const part = this.activity(messageId, type);
    if (part) part.content.value = applyPatch(part.content.value, patch);
  }

  end(ending: Exclude<Ending, "running">, fault: { code: string; detail: string } | null = null): void {
    this.fault.value = fault;
    this.ending.value = ending;
  }

  private activity(messageId: string, type: string): ActivityPart | undefined {
    return this.parts.value.find(
      (one): one is ActivityPart => one.kind === "activity" && one.id === messageId && one.type === type,
    );
  }

  private add(part: Part): void {
    this.parts.value = [...this.parts.value, part];
  }
}

const ENDINGS = { open: "done", done: "done", failed: "failed", aborted: "left" } as const;

/** A turn as the server kept it. */
export function storedTurn(stored: StoredTurn): Turn {
  const turn = new Turn(stored.text);
  const parts: Part[] = (stored.activities ?? []).map(({ activity, items }, index) => ({
    kind: "activity",
    id: `${stored.id}:${index}`,
    type: activity,
    content: signal({ items: items as Json[] }),
  }));
  if (stored.answer) {
    parts.push({ kind: "text", id: stored.id, blocks: signal(blocksOf(stored.answer)) });
  }
  turn.parts.value = parts;
  turn.route.value = stored.route ?? null;
  turn.checkouts.value = stored.checkouts ?? [];
  if (stored.state === "failed") turn.owed.value = stored.id;
  turn.end(ENDINGS[stored.state] ?? "done");
  return turn;
}

