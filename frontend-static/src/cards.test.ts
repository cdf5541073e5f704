import { afterEach, expect, test, vi } from "vitest";
import { addCard, adding, cardsOf, readMethods, refused } from "./cards";
import { me } from "./state";
import type { PaymentMethod } from "./wire";

const TEST: PaymentMethod = { type: "card", token: "pm_card_visa", label: "Test" };
const ON_FILE: PaymentMethod = { type: "saved", id: "default", label: "Saved card" };
const VISA: PaymentMethod = {
  type: "saved", id: "crd_1", label: "Visa •••• 4242", brand: "visa", last4: "4242", exp_month: 1, exp_year: 2031,
};
const fetchBefore = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = fetchBefore;
  vi.unstubAllGlobals();
  adding.value = false;
});

/** A browser's tab, and a server that answers each path. */
function world(answers: Record<string, Response>) {
  const tab = { opener: {} as unknown, closed: false, at: "", close() { this.closed = true; }, location: { replace: (url: string) => { tab.at = url; } } };
  vi.stubGlobal("window", { open: () => tab });
  globalThis.fetch = async (path, request) => answers[`${request?.method ?? "GET"} ${String(path)}`] ?? new Response(null, { status: 500 });
  me.value = { id: "usr_1", plan: "free", payment_methods: [TEST] };
  return tab;
}

test("a card is added on the payment service's page, in a tab of its own", async () => {
  const tab = world({ "POST /api/payment-methods": Response.json({ id: "crd_1", url: "https://pay.example/1" }, { status: 201 }) });
  await addCard();
  expect([tab.at, tab.opener, adding.value]).toEqual(["https://pay.example/1", null, true]);
});

test("when no page can be had, the empty tab closes and the reason is said", async () => {
  const tab = world({ "POST /api/payment-methods": Response.json({ code: "odd", detail: "Try later" }, { status: 503 }) });
  await addCard();
  expect([tab.closed, adding.value, refused.value]).toEqual([true, false, "Try later"]);
});

test("back from the page, the new card stands first and nobody waits any more", async () => {
  world({ "GET /api/payment-methods": Response.json({ data: [VISA, ON_FILE, TEST] }) });
  adding.value = true;
  await readMethods();
  expect(me.value?.payment_methods?.map(({ label }) => label)).toEqual(["Visa •••• 4242", "Saved card", "Test"]);
  expect(adding.value).toBe(false);
});

test("only cards that were typed in can be let go", () => {
  expect(cardsOf([VISA, ON_FILE, TEST])).toEqual([VISA]);
});
