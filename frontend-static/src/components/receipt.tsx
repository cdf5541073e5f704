/** An order, read from the order itself; the card says nothing that its row does not. */

import { useSignal } from "@preact/signals";
import { ExternalLink } from "lucide";
import { useEffect } from "preact/hooks";
import { call, Problem } from "../api";
import { bookingWords } from "../booking";
import { sideTotals } from "../consent";
import { maybe, t } from "../i18n";
import { lazily } from "../lazily";
import { formatMoney } from "../money";
import { orderNews } from "../state";
import type { Order, OrderFact } from "../wire";
import { Cancellation } from "./cancellation";
import { Icon } from "./icon";
import { Lines } from "./lines";

const useChange = lazily(async () => (await import("./change")).Change);

export function Receipt({ fact }: { fact: Pick<OrderFact, "order_id"> }) {
  const order = useSignal<Order | null>(null);
  const fault = useSignal(false);
  useEffect(() => {
    call<Order>("GET", `/api/orders/${encodeURIComponent(fact.order_id)}`)
      .then((read) => (order.value = read))
      .catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        fault.value = true;
      });
  }, [fact.order_id, orderNews.value]);
  return (
    <section class="receipt" aria-label={t("order.number", { id: fact.order_id })}>
      {order.value === null ? (
        <p class="quiet" role={fault.value ? "alert" : undefined}>
          {fault.value ? t("order.unknown") : t("loading")}
        </p>
      ) : (
        <OrderDetails order={order.value} changed={(now) => (order.value = now)} />
      )}
    </section>
  );
}

function OrderDetails({ order, changed }: { order: Order; changed: (order: Order) => void }) {
  const ChangeForm = useChange();
  const link = order.permalink_url && /^https?:\/\//.test(order.permalink_url) ? order.permalink_url : null;
  return (
    <>
      <div class="receipt-top">
        <h3>{order.merchant.name}</h3>
        <span class={`state ${order.state}`}>{maybe("order_state", order.state) ?? order.state}</span>
      </div>
      <Lines
        lines={order.lines.map((line) => ({
          title: line.title,
          quantity: line.quantity,
          unit: line.unit_amount,
          amount: line.amount,
        }))}
        totals={sideTotals(order.totals)}
        total={order.total}
        currency={order.currency}
      />
      <dl class="facts">
        <div>
          <dt>{t("order")}</dt>
          <dd class="mono">{order.id}</dd>
        </div>
        {order.merchant_order_id && (
          <div>
            <dt>{t("order.at_merchant")}</dt>
            <dd class="mono">{order.merchant_order_id}</dd>
          </div>
        )}
        {order.booking && (
          <div>
            <dt>{t("order.booked")}</dt>
            <dd>{bookingWords(order.booking)}</dd>
          </div>
        )}
        {order.part_of && (
          <div>
            <dt>{t("order.part_of")}</dt>
            <dd class="mono">{order.part_of}</dd>
          </div>
        )}
        {order.refunded ? (
          <div>
            <dt>{t("order.refunded")}</dt>
            <dd>{formatMoney(order.refunded, order.currency)}</dd>
          </div>
        ) : null}
      </dl>
      {link && (
        <a href={link} target="_blank" rel="noopener noreferrer">
          {t("order.look")} <Icon node={ExternalLink} size={14} />
        </a>
      )}
      {order.booking && ChangeForm && <ChangeForm order={order} />}
      <Cancellation order={order} changed={changed} />
    </>
  );
}
