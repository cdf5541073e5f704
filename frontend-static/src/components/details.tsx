/** Who a purchase is for and where it goes. Sent to our server for the merchant, never to a model. */

import { type Key, t } from "../i18n";
import { me } from "../state";
import type { Buyer, Checkout } from "../wire";

interface Field {
  name: string;
  label: Key;
  required: boolean;
  autocomplete: string;
  type?: "email" | "tel" | "date";
  /** Said when what was typed cannot be right, in the page's own language. */
  wrong?: Key;
  choices?: readonly string[];
  pattern?: string;
}

const BUYER: Field[] = [
  { name: "first_name", label: "details.first_name", required: true, autocomplete: "given-name" },
  { name: "last_name", label: "details.last_name", required: true, autocomplete: "family-name" },
  { name: "email", label: "details.email", required: true, autocomplete: "email", type: "email", wrong: "details.wrong_email" },
  { name: "phone", label: "details.phone", required: false, autocomplete: "tel", type: "tel" },
];

/** What an airline asks beside: as in the passport, and reachable on the day. */
const TRAVELLER: Field[] = [
  { name: "title", label: "details.title_of", required: true, autocomplete: "honorific-prefix", choices: ["mr", "ms", "mrs", "miss", "dr"] },
  { name: "born_on", label: "details.born_on", required: true, autocomplete: "bday", type: "date", wrong: "details.wrong_born_on" },
  { name: "gender", label: "details.gender", required: true, autocomplete: "sex", choices: ["f", "m"] },
];
/** Airlines print names in Latin letters; a number is written with its country's code. */
const ON_TICKETS: Record<string, Partial<Field>> = {
  first_name: { pattern: "[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’ \\-]*", wrong: "details.wrong_name" },
  last_name: { pattern: "[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’ \\-]*", wrong: "details.wrong_name" },
  phone: { label: "details.phone_needed", required: true, pattern: "\\+[0-9][0-9 ]{6,18}", wrong: "details.wrong_phone" },
};
const TRAVELLERS_OWN = new Set(TRAVELLER.map(({ name }) => `$.buyer.${name}`));

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
  const flies = checkouts.some(asksTraveller);
  const goods = checkouts.some((one) => one.kind === "purchase" && !asksTraveller(one));
  const person = flies ? [...BUYER.map(asOnTicket), ...TRAVELLER] : BUYER;
  const fields = goods ? [...person, ...ADDRESS] : person;
  const known = knownBuyer(checkouts);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const buyer = filled(form, person);
    void save(goods ? { buyer, address: addressOf(form, buyer) } : { buyer });
  };
  return (
    <form class="details" onSubmit={submit}>
      <fieldset>
        <legend>{t(flies ? "details.who_flies" : "details.title")}</legend>
        <p class="quiet">{t(flies ? "details.as_in_passport" : "details.about")}</p>
        <div class="grid">
          {fields.map((field) => (
            <FieldInput key={field.name} field={field} value={known[field.name] ?? ""} />
          ))}
        </div>
      </fieldset>
      <button type="submit" class="button primary wide" disabled={busy}>
        {busy ? t("details.saving") : t("details.save")}
      </button>
    </form>
  );
}

/** Whether an airline lacks what only a traveller has. */
function asksTraveller({ messages }: Checkout): boolean {
  return (messages ?? []).some(({ path }) => TRAVELLERS_OWN.has(path ?? ""));
}

function asOnTicket(field: Field): Field {
  return { ...field, ...ON_TICKETS[field.name] };
}

function knownBuyer(checkouts: readonly Checkout[]): Record<string, string> {
  const buyer: Buyer = checkouts.find((one) => one.buyer)?.buyer ?? {};
  return { ...(me.value?.email ? { email: me.value.email } : {}), ...buyer };
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

/** The browser's own words come in its own language; ours come in the page's. */
function inOurWords(wrong: Key | undefined) {
  const of = (event: Event) => event.currentTarget as HTMLInputElement | HTMLSelectElement;
  return {
    onInvalid: (event: Event) => {
      const field = of(event);
      field.setCustomValidity(field.validity.valueMissing || !wrong ? t("details.needed") : t(wrong));
    },
    onInput: (event: Event) => of(event).setCustomValidity(""),
  };
}

function FieldInput({ field, value }: { field: Field; value: string }) {
  return (
    <label class="field">
      <span>{t(field.label)}</span>
      {field.choices ? (
        <select name={field.name} required={field.required} autocomplete={field.autocomplete} defaultValue={value} {...inOurWords(field.wrong)}>
          <option value="">{t("details.choose")}</option>
          {field.choices.map((choice) => (
            <option key={choice} value={choice} selected={choice === value}>
              {t(`details.${field.name}.${choice}` as Key)}
            </option>
          ))}
        </select>
      ) : (
        <input
          name={field.name}
          type={field.type ?? "text"}
          autocomplete={field.autocomplete}
          list={undefined}
          required={field.required}
          pattern={field.pattern}
          min={field.type === "date" ? "1900-01-01" : undefined}
          max={field.type === "date" ? new Date().toISOString().slice(0, 10) : undefined}
          defaultValue={value}
          maxLength={field.name === "country" ? 2 : 200}
          {...inOurWords(field.wrong)}
        />
      )}
    </label>
  );
}
