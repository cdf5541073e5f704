/** Reads a run: an SSE body becomes AG-UI events. Knows nothing of turns or of the page. */

import { createParser } from "eventsource-parser";
import type { Json, Operation } from "./patch";
import type { Interrupt, Outcome as Ended } from "./wire";

export type Outcome = { type: "success" } | { type: "interrupt"; interrupts: Interrupt[] };

export type RunEvent =
  | { type: "RUN_STARTED"; threadId: string; runId: string }
  | { type: "STATE_SNAPSHOT"; snapshot: Json }
  | { type: "STATE_DELTA"; delta: Operation[] }
  | { type: "TEXT_MESSAGE_START"; messageId: string; role?: string }
  | { type: "TEXT_MESSAGE_CONTENT"; messageId: string; delta: string }
  | { type: "TEXT_MESSAGE_END"; messageId: string }
  | { type: "ACTIVITY_SNAPSHOT"; messageId: string; activityType: string; content: Json }
  | { type: "ACTIVITY_DELTA"; messageId: string; activityType: string; patch: Operation[] }
  | { type: "RUN_FINISHED"; outcome?: Outcome; result?: { outcomes?: Ended[] } | null }
  | { type: "RUN_ERROR"; message: string; code?: string; rawEvent?: Record<string, unknown> };

const KNOWN: ReadonlySet<string> = new Set([
  "RUN_STARTED",
  "STATE_SNAPSHOT",
  "STATE_DELTA",
  "TEXT_MESSAGE_START",
  "TEXT_MESSAGE_CONTENT",
  "TEXT_MESSAGE_END",
  "ACTIVITY_SNAPSHOT",
  "ACTIVITY_DELTA",
  "RUN_FINISHED",
  "RUN_ERROR",
]);

/** The events of each network chunk together, so that the page paints once for all of them. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<RunEvent[]> {
  let ready: RunEvent[] = [];
  const parser = createParser({
    onEvent(message) {
      const event = decode(message.data);
      if (event !== null) ready.push(event);
    },
  });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      if (ready.length === 0) continue;
      const events = ready;
      ready = [];
      yield events;
    }
  } finally {
    reader.releaseLock();
  }
}

/** One event, or null for a kind that these pages do not show. Broken JSON is an error. */
function decode(data: string): RunEvent | null {
  const event = JSON.parse(data) as { type?: unknown };
  return typeof event.type === "string" && KNOWN.has(event.type) ? (event as RunEvent) : null;
}
