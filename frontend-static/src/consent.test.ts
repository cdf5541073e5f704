import { expect, test } from "vitest";
import { consentOfCheckout, consentOfInterrupt, isPayment, sideTotals, taxIsIncluded } from "./consent";
import type { Checkout } from "./wire";

const CHECKOUT: Checkout = {
  id: "chk_1",
  state: "awaiting_confirmation",
  revision: 1,
  kind: "purchase",
  merchant: { id: "mer_1", name: "Shop" },
  merchant_of_record: "Shop GmbH",
  lines: [{ title: "Tent", quantity: 2, unit_amount: 5_000, amount: 10_000 }],
  totals: [
    { type: "items_base_amount", label: "Items", amount: 10_000 },
    { type: "discount", label: "Autumn", amount: 500 },
    { type: "tax", label: "VAT", amount: 1_517 },
    { type: "total", label: "Total", amount: 9_500 },
  ],
  total: 9_500,
  currency: "EUR",
  confirmation_hash: "ab",
};

test("a checkout that waits can be consented to, with what it is made of", () => {
  const consent = consentOfCheckout(CHECKOUT);
  expect(consent).toMatchObject({ hash: "ab", merchantOfRecord: "Shop GmbH", total: 9_500 });
  expect(consent?.totals.map(({ amount }) => amount)).toEqual([-500, 1_517]);
});

test.each(["draft", "completed", "expired", "canceled"] as const)("none in state %s", (state) => {
  expect(consentOfCheckout({ ...CHECKOUT, state, confirmation_hash: state === "draft" ? null : "ab" })).toBeNull();
});

test("tax counts as included exactly when the total says so", () => {
  const lines = consentOfCheckout(CHECKOUT)?.lines ?? [];
  const totals = sideTotals(CHECKOUT.totals);
  expect(taxIsIncluded(lines, totals, 9_500)).toBe(true);
  expect(taxIsIncluded(lines, totals, 11_017)).toBe(false);
});

test("an interrupt's lines keep their quantities; other interrupts are no payment", () => {
  const interrupt = {
    id: "int_1",
    reason: "payment_confirmation",
    metadata: {
      checkout_id: "chk_1",
      confirmation: { cancellation_policy: "Free until Monday." },
      confirmation_hash: "cd",
      merchantOfRecord: "Shop GmbH",
      lines: [{ title: "Tent", qty: 2, unit: 5_000 }],
      total: 10_000,
      currency: "EUR",
    },
  };
  if (!isPayment(interrupt)) throw new Error("this is a payment");
  expect(consentOfInterrupt(interrupt)).toMatchObject({
    hash: "cd",
    cancellationPolicy: "Free until Monday.",
    lines: [{ quantity: 2, amount: 10_000 }],
  });
  expect(isPayment({ id: "int_2", reason: "tool_approval" })).toBe(false);
});
