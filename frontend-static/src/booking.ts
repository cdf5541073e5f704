/** A booking's facts in words: when, for how many, for how long. */

import { t } from "./i18n";
import { formatDay } from "./time";
import type { Booking } from "./wire";

export function bookingWords({ date, time, party, nights }: { [Fact in keyof Booking]?: string | number | null | undefined }): string {
  const parts = [
    date && formatDay(String(date)),
    time && String(time).slice(0, 5),
    party && t("offer.party", { party }),
    nights && t("offer.nights", { nights }),
  ];
  return parts.filter(Boolean).join(" · ");
}
