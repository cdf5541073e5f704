import { afterEach, expect, test } from "vitest";
import { Purchase } from "./purchase";
import type { Checkout } from "./wire";

const CHECKOUT: Checkout = {
  id: "chk_1",
  state: "awaiting_confirmation",
  revision: 1,
  kind: "booking",
  merchant: { id: "mer_1", name: "Lume" },
  merchant_of_record: "Lume",
  lines: [{ title: "Table", quantity: 1, unit_amount: 2_000, amount: 2_000 }],
  totals: [],
  total: 2_000,
  currency: "EUR",
  confirmation_hash: "ab",
};
const PAID: Checkout = { ...CHECKOUT, state: "completed", confirmation_hash: null, order_id: "ord_1" };

/** A server with a memory: what `confirm` answers in turn, and every confirmation it was sent. */
class Server {
  readonly confirmed: { key: string | null; hash: string }[] = [];
  now = CHECKOUT;

  constructor(private readonly answers: (Response | "lost")[]) {
    globalThis.fetch = (path, request) => this.answer(String(path), request);
  }

  private async answer(path: string, request: RequestInit = {}): Promise<Response> {
    if (!path.endsWith("/confirm")) return Response.json(this.now);
    const body = JSON.parse(String(request.body)) as { confirmation_hash: string };
    this.confirmed.push({ key: new Headers(request.headers).get("idempotency-key"), hash: body.confirmation_hash });
    const answer = this.answers.shift();
    if (answer === undefined || answer === "lost") throw new TypeError("connection lost");
    return answer;
  }
}

const problem = (status: number, code: string, more = {}) => Response.json({ status, code, ...more }, { status });
const fetchBefore = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = fetchBefore;
});

test("paying twice at once asks once", async () => {
  const server = new Server([Response.json(PAID), Response.json(PAID)]);
  const purchase = Purchase.ofCheckout(CHECKOUT);
  await Promise.all([purchase.pay(null), purchase.pay(null)]);
  expect(server.confirmed).toHaveLength(1);
  expect(purchase.phase.value).toBe("paid");
});

test("after a lost answer the next try carries the same key, so that it can only pay once", async () => {
  const server = new Server(["lost", Response.json(PAID)]);
  const purchase = Purchase.ofCheckout(CHECKOUT);
  await purchase.pay(null);
  expect([purchase.phase.value, purchase.notice.value !== ""]).toEqual(["review", true]);
  await purchase.pay(null);
  expect(server.confirmed[1]?.key).toBe(server.confirmed[0]?.key);
  expect(purchase.phase.value).toBe("paid");
});

test("a lost answer that did pay is found out, not asked again", async () => {
  const server = new Server(["lost"]);
  const purchase = Purchase.ofCheckout(CHECKOUT);
  server.now = PAID;
  await purchase.pay(null);
  expect(purchase.phase.value).toBe("paid");
  expect(server.confirmed).toHaveLength(1);
});

test("after a clear no the next try is a new request", async () => {
  const server = new Server([problem(402, "payment_declined"), Response.json(PAID)]);
  const purchase = Purchase.ofCheckout(CHECKOUT);
  await purchase.pay(null);
  expect(purchase.notice.value).toContain("declined");
  await purchase.pay({ type: "card", token: "pm_other", label: "Other" });
  expect(server.confirmed[1]?.key).not.toBe(server.confirmed[0]?.key);
});

test("a changed offer is shown anew and paid only with its own hash", async () => {
  const changed = { ...CHECKOUT, revision: 2, total: 2_500, confirmation_hash: "cd" };
  const server = new Server([problem(409, "offer_changed", { checkout: changed }), Response.json(PAID)]);
  const purchase = Purchase.ofCheckout(CHECKOUT);
  await purchase.pay(null);
  expect([purchase.phase.value, purchase.consent.value?.total]).toEqual(["review", 2_500]);
  await purchase.pay(null);
  expect(server.confirmed.map(({ hash }) => hash)).toEqual(["ab", "cd"]);
});

test("what is over cannot be paid", async () => {
  const server = new Server([Response.json(PAID)]);
  const purchase = Purchase.ofCheckout({ ...CHECKOUT, state: "expired" });
  await purchase.pay(null);
  expect(purchase.phase.value).toBe("over");
  expect(server.confirmed).toEqual([]);
});
