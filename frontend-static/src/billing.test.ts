import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { comeBack, news, settling } from "./billing";
import { me, quota } from "./state";
import type { Me, Quota } from "./wire";

const FREE: Me = { id: "usr_1", plan: "free", subscription: null };
const PLUS: Me = { id: "usr_1", plan: "plus", subscription: { plan: "plus", status: "active", ends_at_period_end: false } };
const EMPTY: Quota = { plan: "free", binding: null, buckets: [] };
const pack = (granted: number): Quota => ({
  ...EMPTY,
  buckets: [{ name: "light", unit: "turns", policy: "session", used: 0, held: 0, cap: 40, remaining: 40, granted }],
});

/** A server where a payment arrives after so many looks. */
class Server {
  looks = 0;

  constructor(
    private readonly arrivesAfter: number,
    private readonly later: { me?: Me; quota?: Quota } = {},
  ) {
    globalThis.fetch = async (path) => {
      const person = String(path).endsWith("/me");
      if (person) this.looks += 1;
      const there = this.looks > this.arrivesAfter;
      return Response.json(
        person ? ((there && this.later.me) || FREE) : ((there && this.later.quota) || EMPTY),
      );
    };
  }
}

/** Coming back to `address`, the way a browser does after it was away. */
function arrive(address: string, before?: string): void {
  const url = new URL(address, "http://emptor.test");
  vi.stubGlobal("location", url);
  vi.stubGlobal("history", {
    replaceState: (_state: unknown, _title: string, to: string) => (url.href = new URL(to, url).href),
  });
  const kept = new Map(before === undefined ? [] : [["emptor.before_paying", before]]);
  vi.stubGlobal("sessionStorage", {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  });
}

const fetchBefore = globalThis.fetch;
beforeEach(() => {
  vi.useFakeTimers();
  me.value = FREE;
  quota.value = EMPTY;
  news.value = null;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  globalThis.fetch = fetchBefore;
});

test("a plan that was paid for is waited for, then named, and the address tells it no more", async () => {
  const server = new Server(2, { me: PLUS });
  arrive("/?billing=done");
  const back = comeBack();
  expect([news.value?.key, settling.value]).toEqual(["billing.done", true]);
  await vi.advanceTimersByTimeAsync(4_500);
  await back;
  expect(news.value).toEqual({ key: "billing.ready", plan: "Plus" });
  expect([server.looks, me.value?.plan, settling.value]).toEqual([3, "plus", false]);
  expect(location.href).toBe("http://emptor.test/");
});

test("a pack is there when its units are", async () => {
  new Server(0, { quota: pack(200) });
  quota.value = pack(0);
  arrive("/?billing=done&thread=thr_1");
  const back = comeBack();
  await vi.advanceTimersByTimeAsync(1_500);
  await back;
  expect(news.value).toEqual({ key: "billing.added" });
  expect(location.href).toBe("http://emptor.test/?thread=thr_1");
});

test("what had arrived before the person did is told at once", async () => {
  const server = new Server(0);
  me.value = PLUS;
  arrive("/?billing=done", JSON.stringify(["free", null, []]));
  await comeBack();
  expect([news.value, server.looks]).toEqual([{ key: "billing.ready", plan: "Plus" }, 0]);
});

test("half a minute is enough waiting: it is said that it takes longer", async () => {
  const server = new Server(1_000);
  arrive("/?billing=done");
  const back = comeBack();
  await vi.advanceTimersByTimeAsync(32_000);
  await back;
  expect([news.value?.key, settling.value, location.href]).toEqual(["billing.late", false, "http://emptor.test/"]);
  expect(server.looks).toBeLessThanOrEqual(21);
});

test("who turned back is told that nothing was charged, and nobody waits", async () => {
  const server = new Server(0);
  arrive("/?billing=canceled");
  await comeBack();
  expect([news.value?.key, server.looks, location.href]).toEqual(["billing.canceled", 0, "http://emptor.test/"]);
});

test("the portal may have changed nothing, of which nothing is said", async () => {
  new Server(1_000);
  arrive("/?billing=portal");
  const back = comeBack();
  expect(news.value?.key).toBe("billing.portal");
  await vi.advanceTimersByTimeAsync(12_000);
  await back;
  expect([news.value, location.href]).toEqual([null, "http://emptor.test/"]);
});

test("an ordinary visit says and asks nothing", async () => {
  const server = new Server(0);
  arrive("/?thread=thr_1");
  await comeBack();
  expect([news.value, server.looks, location.href]).toEqual([null, 0, "http://emptor.test/?thread=thr_1"]);
});
