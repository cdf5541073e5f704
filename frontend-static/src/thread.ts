/** Conversations: list, open, begin, ask, stop. The address names the open one, so reload keeps it. */

import { call, Problem, send } from "./api";
import { start } from "./run";
import { drawerOpen, effort, stop, threadId, threads, turns } from "./state";
import { openSheetFor } from "./sheet";
import { refreshQuota } from "./session";
import { storedTurn, Turn } from "./turn";
import type { Page, Thread, ThreadSummary } from "./wire";

export async function refreshThreads(): Promise<void> {
  threads.value = (await call<Page<ThreadSummary>>("GET", "/api/threads")).data;
}

export async function openThread(id: string): Promise<void> {
  stop.value?.();
  drawerOpen.value = false;
  try {
    const thread = await call<Thread>("GET", `/api/threads/${encodeURIComponent(id)}`);
    turns.value = thread.turns.map(storedTurn);
    name(id);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    beginThread();
  }
}

export function beginThread(): void {
  stop.value?.();
  drawerOpen.value = false;
  turns.value = [];
  name(null);
}

export function threadInAddress(): string | null {
  return new URLSearchParams(location.search).get("thread");
}

/** Back leads to the conversation before; one that has just been begun replaces the empty page. */
function name(id: string | null, begun = false): void {
  threadId.value = id;
  const address = id === null ? "/" : `/?thread=${encodeURIComponent(id)}`;
  if (address === location.pathname + location.search) return;
  if (begun) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
}

/** What the address says after Back or Forward. */
export function followAddress(): void {
  const id = threadInAddress();
  if (id === threadId.value) return;
  if (id === null) beginThread();
  else void openThread(id);
}

/** Asks in the open conversation, or in a new one. Ends when the answer does. */
export async function ask(text: string): Promise<void> {
  await say(new Turn(text), async (signal) => {
    const id = threadId.value ?? (await createThread(signal));
    return [`/api/threads/${encodeURIComponent(id)}/turns`, { text }];
  });
}

/** Asks again what was not answered; where that was the server's fault, its answer is still owed. */
export async function askAgain(failed: Turn): Promise<void> {
  const owed = failed.owed.value;
  if (owed === null) return ask(failed.question);
  await say(new Turn(failed.question), async () => [`/api/turns/${encodeURIComponent(owed)}/retry`, {}]);
}

async function say(turn: Turn, where: (signal: AbortSignal) => Promise<[path: string, body: object]>): Promise<void> {
  // The picker begins with what is preferred: `auto` in it is a choice, too.
  const chosen = { effort: effort.value };
  const started = await start(turn, async (signal) => {
    const [path, body] = await where(signal);
    return send("POST", path, { body: { ...body, ...chosen }, signal, accept: "text/event-stream" });
  });
  if (!started) return;
  if (turns.value.includes(turn)) void openSheetFor(turn);
  await Promise.allSettled([refreshThreads(), refreshQuota()]);
}

async function createThread(signal: AbortSignal): Promise<string> {
  const created = await call<ThreadSummary>("POST", "/api/threads", { body: {}, signal });
  name(created.id, true);
  return created.id;
}
