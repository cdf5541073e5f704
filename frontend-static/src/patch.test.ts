import { expect, test } from "vitest";
import { applyPatch, type Json, PatchError } from "./patch";

const STATE: Json = { route: { role: "light" }, cart: [1, 2], "a/b": { "~": 0 } };

test("adds, replaces and removes without touching the original", () => {
  const before = structuredClone(STATE);
  const after = applyPatch(STATE, [
    { op: "replace", path: "/route/role", value: "agent" },
    { op: "add", path: "/cart/1", value: 9 },
    { op: "add", path: "/cart/-", value: 3 },
    { op: "remove", path: "/cart/0" },
    { op: "replace", path: "/a~1b/~0", value: 1 },
    { op: "add", path: "/quota", value: { plan: "free" } },
  ]);
  expect(after).toEqual({
    route: { role: "agent" },
    cart: [9, 2, 3],
    "a/b": { "~": 1 },
    quota: { plan: "free" },
  });
  expect(STATE).toEqual(before);
});

test("moves, copies and tests", () => {
  const after = applyPatch(STATE, [
    { op: "test", path: "/route", value: { role: "light" } },
    { op: "copy", from: "/cart", path: "/kept" },
    { op: "move", from: "/cart/0", path: "/first" },
  ]);
  expect(after).toMatchObject({ kept: [1, 2], cart: [2], first: 1 });
});

test("replaces the whole document", () => {
  expect(applyPatch(STATE, [{ op: "replace", path: "", value: [] }])).toEqual([]);
});

test.each([
  [{ op: "replace", path: "/nothing", value: 1 }],
  [{ op: "remove", path: "/cart/2" }],
  [{ op: "add", path: "/cart/01", value: 1 }],
  [{ op: "add", path: "/missing/deep", value: 1 }],
  [{ op: "test", path: "/route/role", value: "agent" }],
  [{ op: "add", path: "no-slash", value: 1 }],
] as const)("refuses %o", (operation) => {
  expect(() => applyPatch(STATE, [operation])).toThrow(PatchError);
});

test("a path through __proto__ changes no prototype", () => {
  expect(() => applyPatch({}, [{ op: "add", path: "/__proto__/bad", value: 1 }])).toThrow(PatchError);
  applyPatch({}, [{ op: "add", path: "/__proto__", value: { bad: 1 } }]);
  expect(({} as { bad?: number }).bad).toBeUndefined();
});
