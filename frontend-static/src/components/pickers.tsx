/** The two choices on the way to paying: how it is delivered, and what it is paid with. */

import { t } from "../i18n";
import { formatMoney } from "../money";
import { me } from "../state";
import type { Checkout, Delivery, PaymentMethod } from "../wire";

/** What this person may pay with. The server knows a saved one by this name. */
export function paymentMethods(): readonly PaymentMethod[] {
  const person = me.value;
  if (person?.payment_methods) return person.payment_methods;
  return person?.has_payment_method ? [{ type: "saved", id: "default", label: t("pay.saved") }] : [];
}

interface DeliveryProps {
  checkout: Checkout;
  busy: boolean;
  choose: (option: Delivery) => Promise<void>;
}

/** Another way to receive the goods is another price, and so another confirmation. */
export function DeliveryPicker({ checkout, busy, choose }: DeliveryProps) {
  const options = checkout.fulfilment_options ?? [];
  const groups = [...new Set(options.map(({ group }) => group?.id))];
  return (
    <>
      {groups.map((id) => (
        <OptionPicker
          key={id}
          options={options.filter(({ group }) => group?.id === id)}
          currency={checkout.currency}
          busy={busy}
          choose={choose}
        />
      ))}
    </>
  );
}

interface OptionProps {
  options: readonly Delivery[];
  currency: string;
  busy: boolean;
  choose: (option: Delivery) => Promise<void>;
}

/** The ways of one group of goods. Of the whole basket, a single way is no choice. */
function OptionPicker({ options, currency, busy, choose }: OptionProps) {
  const goods = options[0]?.group?.goods;
  if (options.length < 2 && goods === undefined) return null;
  const pick = (id: string) => options.find((option) => option.id === id);
  return (
    <label class="field">
      <span>{goods ? t("consent.deliveryOf", { goods: goods.join(", ") }) : t("consent.delivery")}</span>
      <select
        value={options.find(({ selected }) => selected)?.id}
        disabled={busy}
        onChange={(event) => {
          const option = pick(event.currentTarget.value);
          if (option) void choose(option);
        }}
      >
        {options.map(({ id, title, amount }) => (
          <option key={id} value={id}>
            {title} · {formatMoney(amount, currency)}
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
