/** Payments that wait in the conversation: closing their sheet pays nothing and loses nothing. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Basket } from "../basket";
import { t } from "../i18n";
import { formatMoney } from "../money";
import type { Purchase } from "../purchase";
import { basketOf, sheet } from "../sheet";
import type { Turn } from "../turn";

/** What an earlier visit left behind is read again, since it may be paid or over by now. */
export function WaitingPayments({ turn }: { turn: Turn }) {
  const basket = useSignal<Basket | null>(null);
  const asked = turn.interrupts.value;
  useEffect(() => {
    void basketOf(turn).then((found) => (basket.value = found));
  }, [turn, asked]);
  const found = basket.value;
  if (found === null) return null;
  const open = found.parts.some(({ phase }) => ["review", "busy", "bank"].includes(phase.value));
  return (
    <section class="waiting-payment" aria-label={t("consent.waiting")}>
      <div class="stack">
        {found.parts.map((part) => (
          <WaitingPart key={part.checkoutId} purchase={part} />
        ))}
      </div>
      {open && (
        <button type="button" class="button primary" onClick={() => (sheet.value = found)}>
          {t("consent.review")}
        </button>
      )}
    </section>
  );
}

function WaitingPart({ purchase }: { purchase: Purchase }) {
  const consent = purchase.consent.value;
  const checkout = purchase.checkout.value;
  const merchant = consent?.merchantOfRecord ?? checkout?.merchant.name ?? "";
  const total = consent?.total ?? checkout?.total;
  const currency = consent?.currency ?? checkout?.currency ?? "";
  return (
    <div>
      {typeof total === "number" && <strong>{formatMoney(total, currency)} · </strong>}
      {merchant}
      <div class="quiet">{stateWords(purchase)}</div>
    </div>
  );
}

function stateWords(purchase: Purchase): string {
  if (purchase.phase.value === "paid") return t("pay.paid");
  return purchase.notice.value === "" ? t("consent.waiting") : purchase.notice.value;
}
