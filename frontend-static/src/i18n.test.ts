import { expect, test } from "vitest";
import en from "./i18n/en.json";
import zh from "./i18n/zh.json";

const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("both languages have the same keys with the same blanks", () => {
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    expect([key, names(zh[key as keyof typeof zh])]).toEqual([key, names(text)]);
  }
});
