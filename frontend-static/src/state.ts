/** What the whole page shares. Everything that one turn owns lives on the turn. */

import { signal } from "@preact/signals";
import type { Turn } from "./turn";
import type { BackOffice, Effort, Me, Quota, ThreadSummary } from "./wire";

/** `opening`: asking the server who we are. `closed`: nobody is signed in. A role: whose key it is,
 * which opens a page of its own and not the chat. */
export const door = signal<"opening" | "closed" | "open" | "broken" | BackOffice>("opening");
export const me = signal<Me | null>(null);
export const quota = signal<Quota | null>(null);
export const threads = signal<readonly ThreadSummary[]>([]);
export const threadId = signal<string | null>(null);
export const turns = signal<readonly Turn[]>([]);
export const effort = signal<Effort>("auto");
/** Set while an answer is coming; calling it stops the answer. */
export const stop = signal<(() => void) | null>(null);
/** Counts what happened to orders: receipts that stand in the conversation are read again. */
export const orderNews = signal(0);
export const drawerOpen = signal(false);
