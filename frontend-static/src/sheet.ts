/** The chat's confirmation sheet: which payment is on it, and what it leaves in the conversation. */

import { signal } from "@preact/signals";
import { call, Problem } from "./api";
import { isPayment } from "./consent";
import { Purchase } from "./purchase";
import { threadId, turns } from "./state";
import { Turn } from "./turn";
import type { Checkout, Interrupt, InterruptMetadata, Offer, OrderFact, PaymentMethod } from "./wire";

export const sheet = signal<Purchase | null>(null);

/** One purchase an interrupt or an offer, so that closing and reopening the sheet stays one. */
const purchases = new Map<string, Purchase>();

export function purchaseOf(interrupt: Interrupt & { metadata: InterruptMetadata }): Purchase {
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

/** Opens by itself for the first payment that a turn asks for. */
export function openSheetFor(turn: Turn): void {
  const interrupt = turn.interrupts.value.find(isPayment);
  if (interrupt !== undefined) sheet.value = purchaseOf(interrupt);
}

/** Asks the merchant for a binding total of this one offer, and shows it. Throws `Problem`. */
export async function choose(offer: Offer): Promise<void> {
  const known = purchases.get(offer.offer_id);
  if (known?.phase.value === "review") {
    await known.learn();
    if (known.phase.value === "review") {
      sheet.value = known;
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
  sheet.value = purchase;
}

export async function pay(purchase: Purchase, method: PaymentMethod | null): Promise<void> {
  await purchase.pay(method);
  if (purchase.phase.value !== "paid") return;
  leaveReceipt(purchase);
  if (sheet.value === purchase) sheet.value = null;
}

export async function cancel(purchase: Purchase): Promise<void> {
  await purchase.cancel();
  if (purchase.phase.value === "over" && sheet.value === purchase) sheet.value = null;
}

/** The receipt stands in the conversation; the resumed run may have written it already. */
function leaveReceipt(purchase: Purchase): void {
  const checkout = purchase.checkout.value;
  if (!checkout?.order_id) return;
  const turn = purchase.answer ?? new Turn("");
  if (purchase.answer === null) {
    turns.value = [...turns.value, turn];
    turn.end("done");
  }
  if (turn.parts.value.some((part) => part.kind === "activity" && part.type === "order")) return;
  const fact: OrderFact = {
    order_id: checkout.order_id,
    state: "placed",
    title: checkout.lines[0]?.title ?? "",
    merchant: checkout.merchant.name,
    total: { amount: checkout.total ?? 0, currency: checkout.currency },
  };
  turn.setActivity(`receipt:${checkout.order_id}`, "order", { items: [{ ...fact, total: { ...fact.total } }] });
}
