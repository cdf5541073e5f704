/** Money for reading: integer minor units in, the language's own notation out, exactly. */

import { locale } from "./i18n";

/** ISO 4217 counts decimals here that browsers leave out, as price tags do: what is charged has them. */
const DIGITS: Record<string, number> = {
  IQD: 3, AFN: 2, ALL: 2, IRR: 2, KPW: 2, LAK: 2, LBP: 2, MGA: 2, MMK: 2, RSD: 2, SLL: 2, SOS: 2, SYP: 2, YER: 2,
};

export function formatMoney(amount: number, currency: string, language: string = locale()): string {
  let format: Intl.NumberFormat;
  const own = DIGITS[currency];
  try {
    format = new Intl.NumberFormat(language, {
      style: "currency",
      currency,
      ...(own === undefined ? {} : { minimumFractionDigits: own, maximumFractionDigits: own }),
    });
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
