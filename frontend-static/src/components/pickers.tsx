/** The two choices on the way to paying: how it is delivered, and what it is paid with. */

import { t } from "../i18n";
import { formatMoney } from "../money";
import { me } from "../state";
import type { Checkout, PaymentMethod } from "../wire";

/** What this person may pay with. The server knows a saved one by this name. */
export function paymentMethods(): readonly PaymentMethod[] {
  const person = me.value;
  if (person?.payment_methods) return person.payment_methods;
  return person?.has_payment_method ? [{ type: "saved", id: "default", label: t("pay.saved") }] : [];
}

interface DeliveryProps {
  checkout: Checkout;
  busy: boolean;
  choose: (id: string) => Promise<void>;
}

/** Another way to receive the goods is another price, and so another confirmation. */
export function DeliveryPicker({ checkout, busy, choose }: DeliveryProps) {
  const options = checkout.fulfilment_options ?? [];
  if (options.length < 2) return null;
  return (
    <label class="field">
      <span>{t("consent.delivery")}</span>
      <select
        value={options.find(({ selected }) => selected)?.id}
        disabled={busy}
        onChange={(event) => void choose(event.currentTarget.value)}
      >
        {options.map(({ id, title, amount }) => (
          <option key={id} value={id}>
            {title} · {formatMoney(amount, checkout.currency)}
          </option>
        ))}
      </select>
    </label>
  );
}

interface MethodPickerProps {
  methods: readonly PaymentMethod[];
  chosen: number;
  choose: (index: number) => void;
}

export function MethodPicker({ methods, chosen, choose }: MethodPickerProps) {
  return (
    <label class="field">
      <span>{t("pay.method")}</span>
      <select value={chosen} onChange={(event) => choose(Number(event.currentTarget.value))}>
        {methods.map((method, index) => (
          <option key={index} value={index}>
            {method.label}
          </option>
        ))}
      </select>
    </label>
  );
}
