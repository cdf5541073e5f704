/** Canceling an order: first what it would give back and cost, then the button that does it. */

import { useSignal } from "@preact/signals";
import { call } from "../api";
import { useAttempt } from "../attempt";
import { randomId } from "../ids";
import { t } from "../i18n";
import { formatMoney } from "../money";
import { formatMoment } from "../time";
import type { CancellationQuote, Order } from "../wire";

const CANCELABLE = new Set(["placed", "fulfilled", "partially_refunded"]);

interface Props {
  order: Order;
  changed: (order: Order) => void;
}

export function Cancellation({ order, changed }: Props) {
  const quote = useSignal<CancellationQuote | null>(null);
  const key = useSignal(randomId());
  const { busy, fault, attempt } = useAttempt();
  if (!CANCELABLE.has(order.state)) return null;
  const path = `/api/orders/${encodeURIComponent(order.id)}/cancellation`;
  const ask = () =>
    attempt(async () => {
      key.value = randomId();
      quote.value = await call<CancellationQuote>("POST", path, { body: {} });
    });
  // The same key until there is an answer: asked twice, it is canceled once.
  const confirm = (id: string) =>
    attempt(async () => {
      const where = `${path}/${encodeURIComponent(id)}/confirm`;
      changed(await call<Order>("POST", where, { key: key.value, body: {} }));
      quote.value = null;
    });
  const asked = quote.value;
  return (
    <div class="cancellation">
      {asked === null ? (
        <button type="button" class="link quiet" disabled={busy.value} onClick={() => void ask()}>
          {t("cancel.ask")}
        </button>
      ) : (
        <>
          <p>
            {t("cancel.terms", {
              refund: formatMoney(asked.refund, asked.currency),
              fee: formatMoney(asked.fee, asked.currency),
              moment: formatMoment(asked.expires_at),
            })}
          </p>
          <button type="button" class="button" disabled={busy.value} onClick={() => void confirm(asked.id)}>
            {t("cancel.confirm", { refund: formatMoney(asked.refund, asked.currency) })}
          </button>{" "}
          <button type="button" class="link" disabled={busy.value} onClick={() => (quote.value = null)}>
            {t("cancel.keep")}
          </button>
        </>
      )}
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
    </div>
  );
}
