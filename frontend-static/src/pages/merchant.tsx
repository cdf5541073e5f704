/** The merchant's first page: the profile and the orders that came through Emptor, to read. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call, Problem } from "../api";
import { heading } from "../components/columns";
import { KeyForm } from "../components/key";
import { type Row, Rows } from "../components/rows";
import { Shell } from "../components/shell";
import { t } from "../i18n";
import { wording } from "../purchase";
import type { Order, Page } from "../wire";

const access = signal<"asking" | "closed" | "open">("asking");
const profile = signal<Row>({});
const orders = signal<readonly Row[]>([]);
const fault = signal("");

async function load(): Promise<void> {
  fault.value = "";
  try {
    profile.value = await call<Row>("GET", "/merchant/v1/profile");
    access.value = "open";
    orders.value = (await call<Page<Order>>("GET", "/merchant/v1/orders")).data.map(summary);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401 || error.status === 403) access.value = "closed";
    else {
      access.value = "open";
      fault.value = wording(error);
    }
  }
}

function summary({ id, state, merchant_order_id, total, currency, refunded }: Order): Row {
  return { id, state, merchant_order_id, total, refunded, currency };
}

export function MerchantPage() {
  useEffect(() => void load(), []);
  return (
    <Shell title={t("merchant")}>
      <p class="lead">{t("merchant.about")}</p>
      {access.value === "asking" && <p class="quiet">{t("loading")}</p>}
      {access.value === "closed" && <div class="panel"><KeyForm label={t("merchant.key")} entered={load} /></div>}
      {access.value === "open" && <Merchant />}
    </Shell>
  );
}

function Merchant() {
  return (
    <>
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
      <h2>{t("merchant.profile")}</h2>
      <dl class="facts panel">
        {Object.entries(profile.value).map(([name, value]) => (
          <div key={name}>
            <dt>{heading(name)}</dt>
            <dd>{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
          </div>
        ))}
      </dl>
      <h2>{t("merchant.orders")}</h2>
      <Rows rows={orders.value} caption={t("merchant.orders")} none={t("merchant.none")} />
    </>
  );
}
