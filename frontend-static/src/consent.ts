/** What a person agrees to when they pay, read from an interrupt or from a checkout. */

import type { Booking, Checkout, Interrupt, InterruptMetadata, Total } from "./wire";

export interface ConsentLine {
  title: string;
  quantity: number;
  /** Minor units of the consent's currency. */
  unit: number;
  amount: number;
}

export interface Consent {
  hash: string;
  merchantOfRecord: string;
  lines: readonly ConsentLine[];
  /** Sums beside the lines, such as tax and delivery. Empty where the lines already hold them. */
  totals: readonly Total[];
  total: number;
  currency: string;
  disclosure: string;
  cancellationPolicy: string;
  expiresAt: string | null;
  /** A booking that is moved: how it is, and how it would be. */
  change: { before: Booking; after: Booking } | null;
}

export function isPayment(interrupt: Interrupt): interrupt is Interrupt & { metadata: InterruptMetadata } {
  return interrupt.reason === "payment_confirmation" && Boolean(interrupt.metadata?.confirmation_hash);
}

export function consentOfInterrupt(interrupt: Interrupt & { metadata: InterruptMetadata }): Consent {
  const { metadata } = interrupt;
  return {
    hash: metadata.confirmation_hash,
    merchantOfRecord: metadata.merchantOfRecord,
    lines: metadata.lines.map(({ title, qty, unit }) => ({ title, quantity: qty, unit, amount: qty * unit })),
    totals: [],
    total: metadata.total,
    currency: metadata.currency,
    disclosure: metadata.disclosure ?? "",
    cancellationPolicy: words(metadata.confirmation?.["cancellation_policy"]),
    expiresAt: interrupt.expiresAt ?? null,
    change: changeOf(metadata.confirmation),
  };
}

const CONFIRMABLE = new Set(["quoted", "held", "awaiting_confirmation"]);

/** Null while the checkout cannot be confirmed: details are missing, or it is over. */
export function consentOfCheckout(checkout: Checkout): Consent | null {
  if (!checkout.confirmation_hash || !CONFIRMABLE.has(checkout.state)) return null;
  return {
    hash: checkout.confirmation_hash,
    merchantOfRecord: checkout.merchant_of_record,
    lines: checkout.lines.map((line) => ({
      title: line.title,
      quantity: line.quantity,
      unit: line.unit_amount,
      amount: line.amount,
    })),
    totals: sideTotals(checkout.totals),
    total: checkout.total ?? 0,
    currency: checkout.currency,
    disclosure: checkout.disclosure ?? "",
    cancellationPolicy: checkout.cancellation_policy ?? "",
    expiresAt: checkout.expires_at ?? null,
    change: changeOf(checkout.confirmation),
  };
}

const REDUCTIONS = new Set(["discount", "items_discount", "store_credit", "already_paid"]);
const ADDITIONS = new Set(["fulfillment", "tax", "fee", "gift_wrap", "tip", "refund_due", "change"]);

/** The sums worth a row of their own, not those that repeat the lines. Reductions count down. */
export function sideTotals(totals: readonly Total[]): Total[] {
  return totals
    .filter(({ type, amount }) => (REDUCTIONS.has(type) || ADDITIONS.has(type)) && amount !== 0)
    .map((one) => (REDUCTIONS.has(one.type) ? { ...one, amount: -Math.abs(one.amount) } : one));
}

/** Merchants do not say whether tax is in their prices: it is when the rest alone makes the total. */
export function taxIsIncluded(lines: readonly ConsentLine[], totals: readonly Total[], total: number): boolean {
  const sum = (rows: readonly { amount: number }[]) => rows.reduce((so, { amount }) => so + amount, 0);
  const tax = totals.filter(({ type }) => type === "tax");
  const rest = sum(lines) + sum(totals) - sum(tax);
  return tax.length > 0 && rest === total && sum(tax) !== 0;
}

function words(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function changeOf(confirmation: Record<string, unknown> | null | undefined): Consent["change"] {
  const changes = confirmation?.["changes"] as { booking: Booking } | undefined;
  return changes ? { before: changes.booking, after: confirmation?.["booking"] as Booking } : null;
}
