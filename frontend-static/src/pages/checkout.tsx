/** A checkout on its own page: the same terms and the same button as in the chat's sheet. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call, Problem } from "../api";
import { PurchaseView } from "../components/consent";
import { Receipt } from "../components/receipt";
import { Shell } from "../components/shell";
import { type Key, t } from "../i18n";
import { Purchase } from "../purchase";
import { recall } from "../session";
import { door } from "../state";
import type { Checkout } from "../wire";

const purchase = signal<Purchase | null>(null);
const fault = signal<Key | null>(null);

async function open(id: string): Promise<void> {
  fault.value = null;
  if (!(await recall())) {
    fault.value = door.value === "broken" ? "door.broken" : "checkout.sign_in";
    return;
  }
  try {
    const checkout = await call<Checkout>("GET", `/api/checkouts/${encodeURIComponent(id)}`);
    purchase.value = Purchase.ofCheckout(checkout);
    if (purchase.value.phase.value === "busy") await purchase.value.learn();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    fault.value = error.status === 404 ? "checkout.missing" : "error.no_answer";
  }
}

export function CheckoutPage({ id }: { id: string }) {
  useEffect(() => void open(id), [id]);
  return (
    <Shell title={t("consent.title")}>
      {fault.value && (
        <p class="notice" role="alert">
          {t(fault.value)}
        </p>
      )}
      {purchase.value && <CheckoutView purchase={purchase.value} />}
      {!fault.value && !purchase.value && <p class="quiet">{t("loading")}</p>}
      <p>
        <a href="/">{t("checkout.back")}</a>
      </p>
    </Shell>
  );
}

function CheckoutView({ purchase }: { purchase: Purchase }) {
  const orderId = purchase.checkout.value?.order_id;
  if (purchase.phase.value === "paid" && orderId) {
    return (
      <>
        <h2>{t("pay.paid")}</h2>
        <Receipt fact={{ order_id: orderId }} />
      </>
    );
  }
  return (
    <div class="panel">
      <PurchaseView
        purchase={purchase}
        pay={(method) => purchase.pay(method)}
        cancel={() => purchase.cancel()}
      />
    </div>
  );
}
