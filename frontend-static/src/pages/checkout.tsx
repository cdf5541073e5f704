/** A checkout on its own page: the same terms and the same button as in the chat's sheet. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call, Problem } from "../api";
import { Basket } from "../basket";
import { BasketView } from "../components/basket";
import { Receipt } from "../components/receipt";
import { Shell } from "../components/shell";
import { type Key, t } from "../i18n";
import { Purchase } from "../purchase";
import { recall } from "../session";
import { door } from "../state";
import type { Checkout, PaymentMethod } from "../wire";

const basket = signal<Basket | null>(null);
const fault = signal<Key | null>(null);

async function open(id: string): Promise<void> {
  fault.value = null;
  if (!(await recall())) {
    fault.value = door.value === "broken" ? "door.broken" : "checkout.sign_in";
    return;
  }
  try {
    const parts = await Promise.all([id, ...beside()].map(read));
    basket.value = new Basket(parts);
    await Promise.all(parts.map(follow));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    fault.value = error.status === 404 ? "checkout.missing" : "error.no_answer";
  }
}

/** The other parts of the same sheet: `?with=chk_2,chk_3`. */
function beside(): string[] {
  const others = new URLSearchParams(location.search).get("with") ?? "";
  return others.split(",").filter(Boolean);
}

async function read(id: string): Promise<Purchase> {
  return Purchase.ofCheckout(await call<Checkout>("GET", `/api/checkouts/${encodeURIComponent(id)}`));
}

async function follow(part: Purchase): Promise<void> {
  if (part.phase.value === "busy") await part.learn();
  if (part.phase.value === "bank") await part.watch();
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
      {basket.value && <CheckoutView basket={basket.value} />}
      {!fault.value && !basket.value && <p class="quiet">{t("loading")}</p>}
      <p>
        <a href="/">{t("checkout.back")}</a>
      </p>
    </Shell>
  );
}

/** Whatever is paid is a receipt; what is not stays to be confirmed. */
function CheckoutView({ basket }: { basket: Basket }) {
  const paid = basket.parts.flatMap((part) => {
    const order = part.checkout.value?.order_id;
    return part.phase.value === "paid" && order ? [order] : [];
  });
  const pay = async (method: PaymentMethod | null) => {
    await basket.pay(method);
    await Promise.all(basket.parts.map(follow));
  };
  return (
    <>
      {paid.length > 0 && <h2>{t("pay.paid")}</h2>}
      {paid.map((id) => (
        <Receipt key={id} fact={{ order_id: id }} />
      ))}
      {!basket.paid && (
        <div class="panel">
          <BasketView basket={basket} pay={pay} cancel={() => basket.cancel()} />
        </div>
      )}
    </>
  );
}
