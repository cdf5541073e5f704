/** Who a purchase is for and where it goes. Sent to our server for the merchant, never to a model. */

import { type Key, t } from "../i18n";
import { me } from "../state";
import type { Checkout } from "../wire";

interface Field {
  name: string;
  label: Key;
  required: boolean;
  autocomplete: string;
  type?: "email" | "tel";
}

const BUYER: Field[] = [
  { name: "first_name", label: "details.first_name", required: true, autocomplete: "given-name" },
  { name: "last_name", label: "details.last_name", required: true, autocomplete: "family-name" },
  { name: "email", label: "details.email", required: true, autocomplete: "email", type: "email" },
  { name: "phone", label: "details.phone", required: false, autocomplete: "tel", type: "tel" },
];

const ADDRESS: Field[] = [
  { name: "line_one", label: "details.line_one", required: true, autocomplete: "address-line1" },
  { name: "line_two", label: "details.line_two", required: false, autocomplete: "address-line2" },
  { name: "postal_code", label: "details.postal_code", required: true, autocomplete: "postal-code" },
  { name: "city", label: "details.city", required: true, autocomplete: "address-level2" },
  { name: "state", label: "details.state", required: false, autocomplete: "address-level1" },
  { name: "country", label: "details.country", required: true, autocomplete: "country" },
];

interface DetailsProps {
  checkouts: readonly Checkout[];
  busy: boolean;
  save: (details: Record<string, unknown>) => Promise<void>;
}

export function DetailsForm({ checkouts, busy, save }: DetailsProps) {
  const goods = checkouts.some(({ kind }) => kind === "purchase");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const buyer = filled(form, BUYER);
    void save(goods ? { buyer, address: addressOf(form, buyer) } : { buyer });
  };
  return (
    <form class="details" onSubmit={submit}>
      <fieldset>
        <legend>{t("details.title")}</legend>
        <p class="quiet">{t("details.about")}</p>
        <div class="grid">
          {(goods ? [...BUYER, ...ADDRESS] : BUYER).map((field) => (
            <FieldInput key={field.name} field={field} value={field.name === "email" ? (me.value?.email ?? "") : ""} />
          ))}
        </div>
      </fieldset>
      <button type="submit" class="button primary wide" disabled={busy}>
        {busy ? t("details.saving") : t("details.save")}
      </button>
    </form>
  );
}

function filled(form: FormData, fields: Field[]): Record<string, string> {
  const pairs = fields.map(({ name }) => [name, String(form.get(name) ?? "").trim()] as const);
  return Object.fromEntries(pairs.filter(([, value]) => value !== ""));
}

function addressOf(form: FormData, buyer: Record<string, string>): Record<string, string> {
  const address = filled(form, ADDRESS);
  return {
    ...address,
    name: [buyer["first_name"], buyer["last_name"]].filter(Boolean).join(" "),
    country: (address["country"] ?? "").toUpperCase(),
  };
}

function FieldInput({ field, value }: { field: Field; value: string }) {
  return (
    <label class="field">
      <span>{t(field.label)}</span>
      <input
        name={field.name}
        type={field.type ?? "text"}
        autocomplete={field.autocomplete}
        list={undefined}
        required={field.required}
        defaultValue={value}
        maxLength={field.name === "country" ? 2 : 200}
      />
    </label>
  );
}
