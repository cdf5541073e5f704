/** Two languages, typed keys. A key that one of them lacks fails the build. */

import { batch, effect, signal } from "@preact/signals";
import en from "./i18n/en.json";
import type zh from "./i18n/zh.json";

export type Key = keyof typeof en;
export type Language = "en" | "zh";

type Catalogue = Record<Key, string>;
type Missing = Exclude<Key, keyof typeof zh> | Exclude<keyof typeof zh, Key>;
/** Does not compile, and names the keys, unless both catalogues have the same ones. */
export type SameKeys<Lacking extends never = Missing> = Lacking;

const CATALOGUES: Record<Language, () => Promise<Catalogue>> = {
  en: () => Promise.resolve(en),
  zh: async () => (await import("./i18n/zh.json")).default,
};
const STORED = "emptor.language";

/** Both change together, once the catalogue has come. */
export const language = signal<Language>("en");
const catalogue = signal<Catalogue>(en);

function preferred(): Language {
  const stored = globalThis.localStorage?.getItem(STORED);
  if (stored === "en" || stored === "zh") return stored;
  return globalThis.navigator?.language?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export async function chooseLanguage(chosen: Language): Promise<void> {
  localStorage.setItem(STORED, chosen);
  await speak(chosen);
}

/** Loads what this browser prefers; called once, before the first paint. */
export function speakPreferred(): Promise<void> {
  return speak(preferred());
}

async function speak(chosen: Language): Promise<void> {
  const loaded = await CATALOGUES[chosen]();
  batch(() => {
    catalogue.value = loaded;
    language.value = chosen;
  });
}

/** Keeps `<html lang>` true, which fonts, hyphenation and screen readers go by. */
export function followLanguage(): void {
  effect(() => {
    document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en";
  });
}

/** How to write dates and sums: the page's language, in the reader's own region of it. */
export function locale(): string {
  const ours = language.value;
  const own = globalThis.navigator?.languages?.find((tag) => tag.toLowerCase().startsWith(ours));
  return own ?? (ours === "zh" ? "zh-Hans" : "en");
}

/** The sentence for `key`, with each `{name}` filled in. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return catalogue.value[key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** The sentence for a name that the server made up, or null when the catalogue lacks it. */
export function maybe(
  prefix: string,
  name: string | null | undefined,
  values: Record<string, string | number> = {},
): string | null {
  const key = `${prefix}.${name ?? ""}`;
  return Object.hasOwn(en, key) ? t(key as Key, values) : null;
}
