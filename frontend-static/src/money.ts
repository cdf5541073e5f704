/** Money for reading: integer minor units in, the language's own notation out, exactly. */

import { locale } from "./i18n";

export function formatMoney(amount: number, currency: string, language: string = locale()): string {
  let format: Intl.NumberFormat;
  try {
    format = new Intl.NumberFormat(language, { style: "currency", currency });
  } catch {
    // A code that Intl refuses is shown as it came, in minor units, rather than guessed at.
    return `${amount} ${currency}`;
  }
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(decimal(amount, digits) as Intl.StringNumericLiteral);
}

/** 13400 with two digits is "134.00"; text, because a float cannot hold every sum. */
export function decimal(amount: number, digits: number): string {
  const sign = amount < 0 ? "-" : "";
  const figures = String(Math.abs(amount)).padStart(digits + 1, "0");
  const cut = figures.length - digits;
  return digits === 0 ? sign + figures : `${sign}${figures.slice(0, cut)}.${figures.slice(cut)}`;
}
