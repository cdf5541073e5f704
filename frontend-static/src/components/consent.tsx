/** One merchant's part of a sheet before it is paid: the frozen terms, and what they still lack. */

import { useSignal } from "@preact/signals";
import type { Basket } from "../basket";
import { bookingWords } from "../booking";
import type { Consent } from "../consent";
import { t } from "../i18n";
import { formatMoney } from "../money";
import type { Purchase } from "../purchase";
import { clock, secondsUntil } from "../time";
import type { Buyer, Checkout, Line } from "../wire";
import { Lines } from "./lines";
import { DeliveryPicker } from "./pickers";

interface PartProps {
  purchase: Purchase;
  basket: Basket;
}

export function PartView({ purchase, basket }: PartProps) {
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
      {phase === "bank" && <Bank purchase={purchase} />}
      {phase === "review" && consent && <Held consent={consent} />}
      {open && consent && checkout && (
        <DeliveryPicker
          checkout={checkout}
          busy={basket.busy}
          choose={({ id, group }) =>
            purchase.revise(group ? { fulfilment_option_ids: { [group.id]: id } } : { fulfilment_option_id: id })
          }
        />
      )}
      {open && checkout?.handoff_url && <Handoff checkout={checkout} />}
    </>
  );
}

/** A price that no longer holds is said at once; the press then leaves this part out. */
function Held({ consent }: { consent: Consent }) {
  if (consent.expiresAt === null || secondsUntil(consent.expiresAt, clock.value) > 0) return null;
  return (
    <p class="notice" role="alert">
      {t("consent.expired")}
    </p>
  );
}

function Bank({ purchase }: { purchase: Purchase }) {
  const url = purchase.bank.value;
  const asking = useSignal(false);
  const ask = async () => {
    asking.value = true;
    await purchase.learn();
    asking.value = false;
  };
  return (
    <div class="stack">
      {url !== null && /^https?:\/\//.test(url) && (
        <a class="button primary wide" href={url} target="_blank" rel="noopener noreferrer">
          {t("pay.bank")}
        </a>
      )}
      <button type="button" class="button wide" disabled={asking.value} onClick={() => void ask()}>
        {t("pay.bank_done")}
      </button>
    </div>
  );
}

function Terms({ consent }: { consent: Consent }) {
  return (
    <>
      <p class="seller">
        {t("consent.seller")} <strong>{consent.merchantOfRecord}</strong>
      </p>
      {consent.change && (
        <p>
          {t("change.from_to", { before: bookingWords(consent.change.before), after: bookingWords(consent.change.after) })}
        </p>
      )}
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
            {isPriced(line) && <span class="quiet"> {formatMoney(line.amount, checkout.currency)}</span>}
          </li>
        ))}
      </ul>
      <SoFar checkout={checkout} />
      {(checkout.messages ?? []).map(
        (note, index) =>
          note.text && !isAsked(note.path, checkout) && (
            <p key={index} class="quiet">
              {note.text}
            </p>
          ),
      )}
    </>
  );
}

/** Whether the form below asks for it. What was given already and is not taken must be said. */
function isAsked(path: string | null | undefined, { buyer }: Checkout): boolean {
  const [, of, name] = path?.split(".") ?? [];
  return of === "buyer" && name !== undefined && !buyer?.[name as keyof Buyer];
}

/** What it comes to before the merchant knows where it goes; never what is agreed to. */
function SoFar({ checkout }: { checkout: Checkout }) {
  if (checkout.total === null || !checkout.lines.every(isPriced)) return null;
  const total = formatMoney(checkout.total, checkout.currency);
  return <p>{t(checkout.handoff_url ? "consent.listed" : "consent.so_far", { total })}</p>;
}

/** Lines have prices as soon as the merchant has named some. */
function isPriced(line: Line): boolean {
  return Number.isInteger(line.amount);
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
