/** A purchase as a person sees it before it is paid: details, the frozen terms, and the button. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Consent } from "../consent";
import { t } from "../i18n";
import type { Purchase } from "../purchase";
import { clock, formatCountdown, secondsUntil, watchClock } from "../time";
import type { Checkout, PaymentMethod } from "../wire";
import { DetailsForm } from "./details";
import { Lines } from "./lines";
import { PayButton } from "./pay";
import { DeliveryPicker, MethodPicker, paymentMethods } from "./pickers";

interface PurchaseProps {
  purchase: Purchase;
  pay: (method: PaymentMethod | null) => Promise<void>;
  cancel: () => Promise<void>;
}

export function PurchaseView({ purchase, pay, cancel }: PurchaseProps) {
  const consent = purchase.consent.value;
  const checkout = purchase.checkout.value;
  const phase = purchase.phase.value;
  const open = phase === "review" || phase === "busy";
  return (
    <>
      {consent ? <Terms consent={consent} /> : checkout && <Draft checkout={checkout} />}
      {purchase.notice.value && (
        <p class="notice" role="alert">
          {purchase.notice.value}
        </p>
      )}
      {open && consent && checkout && (
        <DeliveryPicker
          checkout={checkout}
          busy={phase === "busy"}
          choose={(id) => purchase.revise({ fulfilment_option_id: id })}
        />
      )}
      {open && checkout?.handoff_url && <Handoff checkout={checkout} />}
      {open && consent === null && checkout && !checkout.handoff_url && (
        <DetailsForm checkout={checkout} busy={phase === "busy"} save={(details) => purchase.revise(details)} />
      )}
      {open && consent && <PayRow consent={consent} busy={phase === "busy"} pay={pay} cancel={cancel} />}
    </>
  );
}

function Terms({ consent }: { consent: Consent }) {
  return (
    <>
      <p class="seller">
        {t("consent.seller")} <strong>{consent.merchantOfRecord}</strong>
      </p>
      <Lines {...consent} />
      <dl class="terms">
        {consent.cancellationPolicy && (
          <div>
            <dt>{t("consent.cancellation")}</dt>
            <dd>{consent.cancellationPolicy}</dd>
          </div>
        )}
        {consent.disclosure && (
          <div>
            <dt>{t("consent.disclosure")}</dt>
            <dd>{consent.disclosure}</dd>
          </div>
        )}
      </dl>
    </>
  );
}

/** What is known while the merchant still lacks something. */
function Draft({ checkout }: { checkout: Checkout }) {
  return (
    <>
      <p class="seller">
        {t("consent.seller")} <strong>{checkout.merchant.name}</strong>
      </p>
      <ul class="plain">
        {checkout.lines.map((line, index) => (
          <li key={index}>
            {line.quantity} × {line.title}
          </li>
        ))}
      </ul>
      {(checkout.messages ?? []).map(
        (note, index) =>
          note.text && (
            <p key={index} class="quiet">
              {note.text}
            </p>
          ),
      )}
    </>
  );
}

function Handoff({ checkout }: { checkout: Checkout }) {
  const url = checkout.handoff_url ?? "";
  if (!/^https?:\/\//.test(url)) return null;
  return (
    <div class="stack">
      <p>{t("handoff.about")}</p>
      <a class="button primary wide" href={url} target="_blank" rel="noopener noreferrer">
        {t("handoff.go", { merchant: checkout.merchant.name })}
      </a>
    </div>
  );
}

interface PayRowProps {
  consent: Consent;
  busy: boolean;
  pay: (method: PaymentMethod | null) => Promise<void>;
  cancel: () => Promise<void>;
}

function PayRow({ consent, busy, pay, cancel }: PayRowProps) {
  const methods = paymentMethods();
  const chosen = useSignal(0);
  const left = useTimeLeft(consent.expiresAt);
  if (left === 0) {
    return (
      <p class="notice" role="alert">
        {t("consent.expired")}
      </p>
    );
  }
  return (
    <div class="stack">
      {methods.length > 0 && (
        <MethodPicker methods={methods} chosen={chosen.value} choose={(index) => (chosen.value = index)} />
      )}
      {left !== null && (
        <p class="quiet held" role="timer">
          {t("consent.held", { left: formatCountdown(left) })}
        </p>
      )}
      <PayButton key={consent.hash} consent={consent} busy={busy} pay={() => pay(methods[chosen.value] ?? null)} />
      <button type="button" class="button wide" disabled={busy} onClick={() => void cancel()}>
        {t("pay.cancel")}
      </button>
      <p class="quiet small">{t("pay.keys")}</p>
    </div>
  );
}

/** Seconds until `iso`, ticking; null when there is no end. */
function useTimeLeft(iso: string | null): number | null {
  useEffect(watchClock, []);
  return iso === null ? null : secondsUntil(iso, clock.value);
}
