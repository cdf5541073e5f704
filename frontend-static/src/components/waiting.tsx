/** A payment that waits in the conversation: closing its sheet pays nothing and loses nothing. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { formatMoney } from "../money";
import type { Purchase } from "../purchase";
import { purchaseAt, sheet } from "../sheet";

/** One that an earlier visit left behind: it is read again, since it may be paid or over by now. */
export function StoredPayment({ checkoutId }: { checkoutId: string }) {
  const purchase = useSignal<Purchase | null>(null);
  useEffect(() => {
    void purchaseAt(checkoutId).then((found) => (purchase.value = found));
  }, [checkoutId]);
  return purchase.value && <WaitingPayment purchase={purchase.value} />;
}

export function WaitingPayment({ purchase }: { purchase: Purchase }) {
  const phase = purchase.phase.value;
  const consent = purchase.consent.value;
  const checkout = purchase.checkout.value;
  const merchant = consent?.merchantOfRecord ?? checkout?.merchant.name ?? "";
  const total = consent?.total ?? checkout?.total;
  const currency = consent?.currency ?? checkout?.currency ?? "";
  return (
    <section class="waiting-payment" aria-label={t("consent.waiting")}>
      <div>
        {typeof total === "number" && <strong>{formatMoney(total, currency)} · </strong>}
        {merchant}
        <div class="quiet">{stateWords(purchase)}</div>
      </div>
      {(phase === "review" || phase === "busy") && (
        <button type="button" class="button primary" onClick={() => (sheet.value = purchase)}>
          {t("consent.review")}
        </button>
      )}
    </section>
  );
}

function stateWords(purchase: Purchase): string {
  if (purchase.phase.value === "paid") return t("pay.paid");
  return purchase.notice.value === "" ? t("consent.waiting") : purchase.notice.value;
}
