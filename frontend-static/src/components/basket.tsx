/** A sheet: each merchant's part, the sum of all that will be charged, and the one button for it. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Basket, canBePaid, due } from "../basket";
import { maybe, t } from "../i18n";
import { lazily } from "../lazily";
import { formatMoney } from "../money";
import type { Purchase } from "../purchase";
import { clock, formatCountdown, secondsUntil, watchClock } from "../time";
import type { Checkout, PaymentMethod } from "../wire";
import { AddCard } from "./cards";
import { PartView } from "./consent";
import { PayButton, payLabel } from "./pay";
import { MethodPicker, paymentMethods } from "./pickers";

const useDetails = lazily(async () => (await import("./details")).DetailsForm);

interface BasketProps {
  basket: Basket;
  pay: (method: PaymentMethod | null) => Promise<void>;
  cancel: () => Promise<void>;
}

export function BasketView({ basket, pay, cancel }: BasketProps) {
  useEffect(watchClock, []);
  const several = basket.parts.length > 1;
  return (
    <>
      {several && <p class="quiet">{t("basket.about", { count: basket.parts.length })}</p>}
      {basket.parts.map((part) =>
        several ? (
          <PartOfSeveral key={part.checkoutId} part={part} basket={basket} />
        ) : (
          <PartView key={part.checkoutId} purchase={part} basket={basket} />
        ),
      )}
      <Missing basket={basket} />
      <PayRow basket={basket} pay={pay} cancel={cancel} />
    </>
  );
}

function PartOfSeveral({ part, basket }: { part: Purchase; basket: Basket }) {
  const name = part.consent.value?.merchantOfRecord ?? part.checkout.value?.merchant.name ?? "";
  return (
    <section class="part" aria-label={name}>
      {canBePaid(part) ? (
        <label class="choice">
          <input
            type="checkbox"
            checked={basket.isChosen(part)}
            disabled={basket.busy}
            onChange={(event) => basket.choose(part, event.currentTarget.checked)}
          />
          {t("basket.include")}
        </label>
      ) : (
        <span class={`state ${part.phase.value}`}>{stateOf(part)}</span>
      )}
      <PartView purchase={part} basket={basket} />
    </section>
  );
}

function stateOf(part: Purchase): string {
  const phase = part.phase.value;
  if (phase === "review") {
    return part.checkout.value?.handoff_url ? t("basket.elsewhere") : t("basket.incomplete");
  }
  return maybe("phase", phase) ?? phase;
}

/** Who all of it is for is asked once; each merchant then says its own new total. */
function Missing({ basket }: { basket: Basket }) {
  const DetailsForm = useDetails();
  const lacking = basket.parts.flatMap((part) => {
    const checkout = part.checkout.value;
    const open = part.phase.value === "review" || part.phase.value === "busy";
    return open && part.consent.value === null && checkout && !checkout.handoff_url ? [{ part, checkout }] : [];
  });
  if (lacking.length === 0) return null;
  const save = async (details: Record<string, unknown>) => {
    await Promise.all(lacking.map(({ part, checkout }) => part.revise(fitting(details, checkout))));
  };
  return DetailsForm && <DetailsForm checkouts={lacking.map(({ checkout }) => checkout)} busy={basket.busy} save={save} />;
}

/** An address belongs to goods alone. */
function fitting({ address, ...rest }: Record<string, unknown>, checkout: Checkout): Record<string, unknown> {
  return checkout.kind === "purchase" && address !== undefined ? { ...rest, address } : rest;
}

function PayRow({ basket, pay, cancel }: BasketProps) {
  const methods = paymentMethods();
  const method = useSignal(0);
  // A card that was just added stands first, and is what the person wants to pay with.
  useEffect(() => void (method.value = 0), [methods.length]);
  const open = basket.parts.filter(canBePaid);
  const chosen = basket.chosen;
  if (open.length === 0 && !(basket.busy && basket.parts.some((part) => part.consent.value))) return null;
  const busy = basket.busy;
  // Other terms are another button, which must arm anew; while it pays it stays the same one.
  const meant = busy ? basket.parts.filter((part) => part.phase.value === "busy") : chosen;
  const hashes = meant.map((part) => part.consent.value?.hash).join();
  return (
    <div class="stack">
      {basket.parts.length > 1 && <Sums parts={meant} />}
      {methods.length > 0 && (
        <MethodPicker methods={methods} chosen={method.value} choose={(index) => (method.value = index)} />
      )}
      <AddCard busy={busy} />
      <TimeLeft parts={chosen} />
      {(chosen.length > 0 || busy) && (
        <PayButton
          key={hashes}
          label={payLabel(meant)}
          busy={busy}
          pay={() => pay(methods[method.value] ?? null)}
        />
      )}
      <button type="button" class="button wide" disabled={busy} onClick={() => void cancel()}>
        {t("pay.cancel")}
      </button>
      <p class="quiet small">{t("pay.keys")}</p>
    </div>
  );
}

/** All that the press will charge: each merchant's total, and one sum for each currency. */
function Sums({ parts }: { parts: readonly Purchase[] }) {
  return (
    <table class="lines sums">
      <caption>{t("basket.due")}</caption>
      <tbody>
        {parts.map(({ checkoutId, consent }) => (
          <tr key={checkoutId}>
            <th scope="row">{consent.value?.merchantOfRecord}</th>
            <td>{consent.value && formatMoney(consent.value.total, consent.value.currency)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        {due(parts).map(({ amount, currency }) => (
          <tr key={currency}>
            <th scope="row">{t("basket.sum", { currency })}</th>
            <td>{formatMoney(amount, currency)}</td>
          </tr>
        ))}
      </tfoot>
    </table>
  );
}

/** Until the first of the prices runs out. */
function TimeLeft({ parts }: { parts: readonly Purchase[] }) {
  const ends = parts.flatMap(({ consent }) => consent.value?.expiresAt ?? []);
  if (ends.length === 0) return null;
  const left = Math.min(...ends.map((iso) => secondsUntil(iso, clock.value)));
  return (
    <p class="quiet held" role="timer">
      {t("consent.held", { left: formatCountdown(left) })}
    </p>
  );
}
