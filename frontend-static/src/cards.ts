/** Saved cards. They are typed in on the payment service's own page, in a tab of its own. */

import { signal } from "@preact/signals";
import { call, Problem } from "./api";
import { wording } from "./purchase";
import { me } from "./state";
import type { PaymentMethod } from "./wire";

/** A page of the payment service is open: look again whenever the person is back here. */
export const adding = signal(false);
/** Why no page could be had, or no card let go. */
export const refused = signal("");

export async function addCard(): Promise<void> {
  refused.value = "";
  // Opened within the click: a tab that opens only after an answer would be blocked.
  const tab = window.open("", "_blank");
  try {
    const { url } = await call<{ url: string }>("POST", "/api/payment-methods");
    if (tab === null) return location.assign(url);
    tab.opener = null;
    tab.location.replace(url);
    adding.value = true;
  } catch (error) {
    tab?.close();
    explain(error);
  }
}

/** What the person may pay with now, the newest card first. */
export async function readMethods(): Promise<void> {
  const before = cardsOf(me.value?.payment_methods).length;
  try {
    const { data } = await call<{ data: PaymentMethod[] }>("GET", "/api/payment-methods");
    if (me.value !== null) me.value = { ...me.value, payment_methods: data };
    if (cardsOf(data).length > before) adding.value = false;
  } catch (error) {
    // The list then stays as it was; the next return to this tab asks again.
    if (!(error instanceof Problem)) throw error;
  }
}

export async function removeCard(id: string): Promise<void> {
  refused.value = "";
  try {
    await call("DELETE", `/api/payment-methods/${encodeURIComponent(id)}`);
  } catch (error) {
    explain(error);
  }
  await readMethods();
}

/** Only what the person typed in: neither test cards nor what an account came with. */
export function cardsOf(methods: readonly PaymentMethod[] = []): readonly KeptCard[] {
  return methods.filter((method): method is KeptCard => method.type === "saved" && method.last4 !== undefined);
}

export type KeptCard = Extract<PaymentMethod, { type: "saved" }>;

/** Watches for the person to come back from the other tab. Returns how to stop. */
export function watchReturn(): () => void {
  const back = () => {
    if (adding.value && document.visibilityState === "visible") void readMethods();
  };
  document.addEventListener("visibilitychange", back);
  window.addEventListener("focus", back);
  return () => {
    document.removeEventListener("visibilitychange", back);
    window.removeEventListener("focus", back);
  };
}

function explain(error: unknown): void {
  if (!(error instanceof Problem)) throw error;
  refused.value = wording(error);
}
