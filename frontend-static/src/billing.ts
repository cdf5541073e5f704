/** Going to where a plan or a pack is paid for, and coming back before the money has arrived here. */

import { signal } from "@preact/signals";
import { announce } from "./announce";
import { call, Problem } from "./api";
import { type Key, t } from "./i18n";
import { refreshPerson, refreshQuota } from "./session";
import { me, quota } from "./state";

/** What is said about the way back; a key, so that it follows the page's language. */
export const news = signal<{ key: Key; plan?: string } | null>(null);
/** Something is paid and not here yet: whoever chose again now would be refused, or pay twice. */
export const settling = signal(false);

/** The payment service tells us within a second or two; after this long it is late. */
const PATIENCE_MS = { done: 30_000, changed: 30_000, portal: 10_000 } as const;
type Way = keyof typeof PATIENCE_MS;
/** What was asked for is here already: the page was behind. */
const BEHIND = new Set(["plan_unchanged", "pack_arrived"]);
const POLL_MS = 1_500;
const STORED = "emptor.before_paying";

/** What is settled without a page to pay at, and what a screen reader hears of it. */
const SETTLED = { ends_at_period_end: "plan.will_end", resumed: "plan.goes_on", changed: "billing.current" } as const;

/** Leaves for the page where it is paid; nothing is charged before. Throws `Problem`. */
export async function goOn(path: string, body?: unknown): Promise<void> {
  const { url, state = "" } = await chosen(path, body);
  if (Object.hasOwn(SETTLED, state)) {
    await look();
    return announce(t(SETTLED[state as keyof typeof SETTLED]));
  }
  // Over there it may be paid and here before we are back: then only this tells that it changed.
  sessionStorage.setItem(STORED, standing());
  location.assign(url);
}

async function chosen(path: string, body: unknown): Promise<{ url: string; state?: string }> {
  try {
    return await call("POST", path, { body });
  } catch (error) {
    if (error instanceof Problem && BEHIND.has(error.code)) await look();
    throw error;
  }
}

/** Says what the address knows of a payment, and waits for what it bought. */
export async function comeBack(): Promise<void> {
  const how = new URLSearchParams(location.search).get("billing");
  if (settling.value) return;
  if (how === "canceled") news.value = { key: "billing.canceled" };
  if (isWay(how)) {
    settling.value = true;
    news.value = { key: `billing.${how}` };
    news.value = await outcome(how, sessionStorage.getItem(STORED) ?? standing());
    settling.value = false;
  }
  if (how !== null) forget();
}

function isWay(how: string | null): how is Way {
  return how !== null && Object.hasOwn(PATIENCE_MS, how);
}

async function outcome(how: Way, before: string): Promise<typeof news.value> {
  const deadline = Date.now() + PATIENCE_MS[how];
  while (standing() === before) {
    // From the portal one may come back without having changed anything.
    if (Date.now() >= deadline) return how === "portal" ? null : { key: "billing.late" };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await look();
  }
  const person = me.value;
  // Signed out meanwhile.
  if (person === null) return null;
  if (how === "portal") return { key: "billing.current" };
  const [planBefore] = JSON.parse(before) as unknown[];
  return person.plan === planBefore ? { key: "billing.added" } : { key: "billing.ready", plan: planName(person.plan) };
}

async function look(): Promise<void> {
  await Promise.all([refreshPerson(), refreshQuota()]);
}

/** All that a payment can change: the plan, its subscription, and the units on top of it. */
function standing(): string {
  const granted = quota.value?.buckets.map(({ name, granted }) => [name, granted ?? 0]);
  return JSON.stringify([me.value?.plan, me.value?.subscription ?? null, granted]);
}

/** A reload must not tell it again. What else the address names stays. */
function forget(): void {
  sessionStorage.removeItem(STORED);
  const query = new URLSearchParams(location.search);
  query.delete("billing");
  history.replaceState(null, "", query.size > 0 ? `/?${query}` : "/");
}

/** As it is written on the price list. */
export function planName(plan: string): string {
  return plan.charAt(0).toUpperCase() + plan.slice(1);
}
