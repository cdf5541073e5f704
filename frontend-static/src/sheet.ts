/** The chat's confirmation sheet: which payments are on it, and what they leave in the conversation. */

import { signal } from "@preact/signals";
import { call, Problem } from "./api";
import { Basket } from "./basket";
import { isPayment } from "./consent";
import { Purchase } from "./purchase";
import { orderNews, threadId, turns } from "./state";
import { Turn } from "./turn";
import type { Checkout, Interrupt, InterruptMetadata, Offer, OrderFact, PaymentMethod } from "./wire";

export const sheet = signal<Basket | null>(null);

/** One purchase an interrupt or an offer, so that closing and reopening the sheet stays one. */
const purchases = new Map<string, Purchase>();
const baskets = new Map<string, Basket>();

function purchaseOf(interrupt: Interrupt & { metadata: InterruptMetadata }): Purchase {
  let purchase = purchases.get(interrupt.id);
  if (purchase === undefined) {
    purchase = Purchase.ofInterrupt(interrupt);
    purchases.set(interrupt.id, purchase);
  }
  return purchase;
}

/** A payment that an earlier visit left open, or null when it is no longer there to be read. */
export async function purchaseAt(checkoutId: string): Promise<Purchase | null> {
  const known = [...purchases.values()].find((one) => one.checkoutId === checkoutId);
  if (known !== undefined) return known;
  try {
    const checkout = await call<Checkout>("GET", `/api/checkouts/${encodeURIComponent(checkoutId)}`);
    const purchase = Purchase.ofCheckout(checkout);
    purchases.set(checkoutId, purchase);
    return purchase;
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}

/** All that a turn asks consent for, as one sheet; null when there is nothing of it to be read. */
export async function basketOf(turn: Turn): Promise<Basket | null> {
  const asked = turn.interrupts.value.filter(isPayment);
  const ids = new Set([...turn.checkouts.value, ...asked.map(({ metadata }) => metadata.checkout_id)]);
  const found = [...ids].map((id) => {
    const interrupt = asked.find(({ metadata }) => metadata.checkout_id === id);
    return interrupt === undefined ? purchaseAt(id) : purchaseOf(interrupt);
  });
  return basket((await Promise.all(found)).filter((part) => part !== null));
}

function basket(parts: readonly Purchase[]): Basket | null {
  if (parts.length === 0) return null;
  const made = new Basket(parts);
  const known = baskets.get(made.id);
  if (known?.parts.every((part, index) => part === parts[index])) return known;
  baskets.set(made.id, made);
  return made;
}

/** Opens by itself for what a turn asks for. */
export async function openSheetFor(turn: Turn): Promise<void> {
  sheet.value = (await basketOf(turn)) ?? sheet.value;
}

/** Asks the merchant for a binding total of this one offer, and shows it. Throws `Problem`. */
export async function choose(offer: Offer): Promise<void> {
  const known = purchases.get(offer.offer_id);
  if (known?.phase.value === "review") {
    await known.learn();
    if (known.phase.value === "review") {
      sheet.value = basket([known]);
      return;
    }
  }
  const checkout = await call<Checkout>("POST", "/api/checkouts", {
    body: {
      lines: [{ offer_id: offer.offer_id, quantity: 1 }],
      ...(threadId.value === null ? {} : { thread_id: threadId.value }),
    },
  });
  const purchase = Purchase.ofCheckout(checkout);
  purchases.set(offer.offer_id, purchase);
  sheet.value = basket([purchase]);
}

/** Shows a checkout that was made elsewhere; away from the chat, on its own page. */
export function showSheet(checkout: Checkout): void {
  if (location.pathname === "/") sheet.value = basket([Purchase.ofCheckout(checkout)]);
  else location.assign(`/checkout/${encodeURIComponent(checkout.id)}`);
}

/** Pays what is chosen on the sheet. It closes when everything is paid; else it shows each end. */
export async function pay(shown: Basket, method: PaymentMethod | null): Promise<void> {
  await shown.pay(method);
  for (const part of shown.parts) {
    settle(shown, part);
    if (part.phase.value === "bank") void part.watch().then(() => settle(shown, part));
  }
}

export async function cancel(shown: Basket): Promise<void> {
  await shown.cancel();
  const over = shown.parts.every(({ phase }) => phase.value === "over" || phase.value === "paid");
  if (over && sheet.value === shown) sheet.value = null;
}

function settle(shown: Basket, part: Purchase): void {
  if (part.phase.value === "paid") leaveReceipt(part);
  if (shown.paid && sheet.value === shown) sheet.value = null;
}

/** The receipt stands in the conversation; the resumed run may have written it already. */
function leaveReceipt(purchase: Purchase): void {
  const checkout = purchase.checkout.value;
  if (!checkout?.order_id) return;
  const id = checkout.order_id;
  orderNews.value += 1;
  if (turns.value.some((turn) => shows(turn, id))) return;
  const turn = purchase.answer ?? new Turn("");
  if (purchase.answer === null) {
    purchase.answer = turn;
    turns.value = [...turns.value, turn];
    turn.end("done");
  }
  const fact: OrderFact = {
    order_id: id,
    state: "placed",
    title: checkout.lines[0]?.title ?? "",
    merchant: checkout.merchant.name,
    total: { amount: checkout.total ?? 0, currency: checkout.currency },
  };
  turn.setActivity(`receipt:${id}`, "order", { items: [{ ...fact, total: { ...fact.total } }] });
}

/** Whether this order stands in the turn already. */
function shows(turn: Turn, orderId: string): boolean {
  return turn.parts.value.some((part) => {
    if (part.kind !== "activity" || part.type !== "order") return false;
    const { items } = part.content.value as { items?: unknown };
    return Array.isArray(items) && items.some((item) => (item as OrderFact).order_id === orderId);
  });
}
