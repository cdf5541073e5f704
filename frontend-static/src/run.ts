/** One run from request to end: its events change the turn and the quota. */

import { batch } from "@preact/signals";
import { Announcer, announce } from "./announce";
import { Problem } from "./api";
import { t } from "./i18n";
import { applyPatch, type Json } from "./patch";
import { quota, stop, turns } from "./state";
import { type RunEvent, readEvents } from "./stream";
import type { Turn } from "./turn";
import type { Exit, Quota, Route } from "./wire";

/** Shows `turn` and follows its run to the end. One run at a time: false when one is running. */
export async function start(
  turn: Turn,
  request: (signal: AbortSignal) => Promise<Response>,
): Promise<boolean> {
  if (stop.value !== null) return false;
  const abort = new AbortController();
  const halt = () => {
    abort.abort();
    stop.value = null;
  };
  stop.value = halt;
  turns.value = [...turns.value, turn];
  await follow(turn, () => request(abort.signal));
  if (stop.value === halt) stop.value = null;
  return true;
}

/** Never throws: how it went is written on the turn. */
async function follow(turn: Turn, request: () => Promise<Response>): Promise<void> {
  const run = new Run(turn);
  try {
    const response = await request();
    if (response.body === null) throw new Problem(response.status, "no_answer", "");
    for await (const events of readEvents(response.body)) {
      batch(() => events.forEach((event) => run.apply(event)));
    }
    if (turn.ending.value === "running") turn.end("cut");
  } catch (error) {
    if (error instanceof Problem) {
      turn.owed.value = nameIn(error.document);
      turn.exits.value = exitsIn(error.document);
      turn.end("failed", { code: error.code, detail: error.detail });
    } else if (error instanceof DOMException && error.name === "AbortError") turn.end("stopped");
    else turn.end("cut");
  }
  run.close();
}

function nameIn(told: Record<string, unknown>): string | null {
  return typeof told["turn_id"] === "string" ? told["turn_id"] : null;
}

function exitsIn(told: Record<string, unknown>): readonly Exit[] | null {
  return Array.isArray(told["exits"]) ? (told["exits"] as Exit[]) : null;
}

class Run {
  private state: Json = {};
  private readonly announcer = new Announcer();

  constructor(private readonly turn: Turn) {}

  apply(event: RunEvent): void {
    switch (event.type) {
      case "STATE_SNAPSHOT":
        return this.setState(event.snapshot);
      case "STATE_DELTA":
        return this.setState(applyPatch(this.state, event.delta));
      case "TEXT_MESSAGE_CONTENT":
        this.announcer.push(event.delta);
        return this.turn.addText(event.messageId, event.delta);
      case "ACTIVITY_SNAPSHOT":
        return this.turn.setActivity(event.messageId, event.activityType, event.content);
      case "ACTIVITY_DELTA":
        return this.turn.patchActivity(event.messageId, event.activityType, event.patch);
      case "RUN_FINISHED":
        if (event.outcome?.type === "interrupt") this.turn.interrupts.value = event.outcome.interrupts;
        this.turn.outcomes.value = event.result?.outcomes ?? [];
        return this.turn.end("done");
      case "RUN_ERROR":
        this.turn.owed.value = nameIn(event.rawEvent ?? {});
        return this.turn.end("failed", { code: event.code ?? "", detail: event.message });
      default:
        return;
    }
  }

  close(): void {
    this.announcer.finish();
    if (this.turn.ending.value === "done") announce(t("turn.over"));
  }

  private setState(state: Json): void {
    this.state = state;
    const shared = state as { route?: Route; quota?: Quota; cart?: { checkout_id: string }[] } | null;
    if (shared?.cart) this.turn.checkouts.value = shared.cart.map((part) => part.checkout_id);
    if (shared?.route) this.turn.route.value = shared.route;
    if (!shared?.quota?.buckets) return;
    quota.value = shared.quota;
    this.turn.exits.value = shared.quota.exits ?? null;
  }
}
