import { afterEach, expect, test } from "vitest";
import { language } from "../i18n";
import { heading, named } from "./columns";

afterEach(() => {
  language.value = "en";
});

test("columns are called by words of the page's language", () => {
  expect([heading("fee_accrued"), heading("latency_ms_p95")]).toEqual(["Fee accrued", "Time, 95 % (ms)"]);
  language.value = "zh";
  expect([heading("fee_accrued"), heading("turns")]).toEqual(["应计佣金", "回答数"]);
});

test("a column that the table lacks keeps its key", () => {
  expect([heading("carbon_g_max"), heading("constructor")]).toEqual(["carbon g max", "constructor"]);
});

test("only names of ours are put into words", () => {
  expect([named("kind", "casual"), named("role", "reasoning"), named("state", "placed")]).toEqual([
    "everyday question",
    "Thinking",
    "Placed",
  ]);
  expect([named("kind", "none"), named("name", "casual")]).toEqual(["none", "casual"]);
});
