import { expect, test } from "vitest";
import { decimal, formatMoney } from "./money";

test.each([
  [13_400, "EUR", "€134.00"],
  [1_500, "JPY", "¥1,500"],
  [12_345, "KWD", "KWD 12.345"],
  [12_345, "ALL", "ALL 123.45"],
  [12_345, "IQD", "IQD 12.345"],
  [5, "USD", "$0.05"],
  [-250, "USD", "-$2.50"],
  [9_007_199_254_740_991, "USD", "$90,071,992,547,409.91"],
])("%i %s reads %s", (amount, currency, text) => {
  expect(formatMoney(amount, currency, "en").replace(/\u00a0/g, " ")).toBe(text);
});

test("Chinese notation is Chinese", () => {
  expect(formatMoney(8_800, "CNY", "zh-Hans")).toBe("¥88.00");
});

test("an impossible currency is shown as it came", () => {
  expect(formatMoney(10, "€", "en")).toBe("10 €");
});

test("decimals are exact", () => {
  expect(decimal(7, 3)).toBe("0.007");
  expect(decimal(-1, 2)).toBe("-0.01");
  expect(decimal(12, 0)).toBe("12");
});
