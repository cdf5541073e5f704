import { expect, test } from "vitest";
import { formatCountdown, formatDay, formatMoment, formatWhen, secondsUntil } from "./time";

test("count-downs never go below zero and show hours only when there are any", () => {
  const now = Date.parse("2026-11-21T10:00:00Z");
  expect(secondsUntil("2026-11-21T10:10:05Z", now)).toBe(605);
  expect(secondsUntil("2026-11-21T09:00:00Z", now)).toBe(0);
  expect(secondsUntil("never", now)).toBe(0);
  expect(formatCountdown(605)).toBe("10:05");
  expect(formatCountdown(3_605)).toBe("1:00:05");
});

test("a moment of today is a time, a later one names its day", () => {
  const now = new Date(2026, 10, 21, 10, 0);
  expect(formatMoment(new Date(2026, 10, 21, 14, 30).toISOString(), now)).toBe("14:30");
  expect(formatMoment(new Date(2026, 10, 23, 9, 5).toISOString(), now)).toMatch(/Mon.*09:05/);
  expect(formatMoment("nonsense", now)).toBe("");
});

test("a day is a plain date wherever it is read, a moment has its time", () => {
  const now = new Date(2026, 10, 21, 10, 0);
  expect(formatWhen("2026-11-24", now)).toMatch(/^(24 November|November 24)$/);
  expect(formatWhen("2027-01-03", now)).toMatch(/^(3 January 2027|January 3, 2027)$/);
  expect(formatWhen(new Date(2026, 10, 23, 9, 5).toISOString(), now)).toMatch(/Mon.*09:05/);
  expect([formatWhen("", now), formatWhen("2026-19-99", now)]).toEqual(["", "2026-19-99"]);
  expect(formatDay("2026-11-24")).toMatch(/Tue/);
});
