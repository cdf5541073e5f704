/** Moving a booking: what it shall be, then the merchant's quote on the sheet that confirms it. */

import { useSignal } from "@preact/signals";
import { call } from "../api";
import { useAttempt } from "../attempt";
import { t } from "../i18n";
import { showSheet } from "../sheet";
import type { Booking, Checkout, Order } from "../wire";

const CHANGEABLE = new Set(["placed", "partially_refunded"]);

export function Change({ order }: { order: Order }) {
  const open = useSignal(false);
  const { busy, fault, attempt } = useAttempt();
  const booking = order.booking;
  if (!booking || order.part_of || !CHANGEABLE.has(order.state)) return null;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const wanted = differing(booking, new FormData(event.currentTarget as HTMLFormElement));
    void attempt(async () => {
      const path = `/api/orders/${encodeURIComponent(order.id)}/change`;
      showSheet(await call<Checkout>("POST", path, { body: { booking: wanted } }));
      open.value = false;
    });
  };
  return (
    <div class="cancellation">
      <button type="button" class="link quiet" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        {t("change.ask")}
      </button>
      {open.value && (
        <form class="details" onSubmit={submit}>
          <div class="grid">
            <Fact name="date" type="date" value={booking.date} />
            {booking.time && <Fact name="time" type="time" value={booking.time.slice(0, 5)} />}
            {booking.nights && <Fact name="nights" type="number" value={booking.nights} />}
            <Fact name="party" type="number" value={booking.party} />
          </div>
          <p class="quiet small">{t("change.about")}</p>
          <button type="submit" class="button" disabled={busy.value}>
            {busy.value ? t("details.saving") : t("change.quote")}
          </button>
        </form>
      )}
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
    </div>
  );
}

/** Only what is other than it was; the rest stays as it is booked. */
function differing(booking: Booking, form: FormData): Partial<Booking> {
  const said = (name: string) => String(form.get(name) ?? "");
  const wanted: Partial<Booking> = {};
  if (said("date") && said("date") !== booking.date) wanted.date = said("date");
  if (said("time") && said("time") !== booking.time?.slice(0, 5)) wanted.time = said("time");
  if (said("nights") && Number(said("nights")) !== booking.nights) wanted.nights = Number(said("nights"));
  if (said("party") && Number(said("party")) !== booking.party) wanted.party = Number(said("party"));
  return wanted;
}

interface FactProps {
  name: "date" | "time" | "nights" | "party";
  type: "date" | "time" | "number";
  value: string | number;
}

function Fact({ name, type, value }: FactProps) {
  const most = name === "nights" ? 60 : 99;
  const bounds = type === "number" ? { min: 1, max: most } : {};
  return (
    <label class="field">
      <span>{t(`change.${name}`)}</span>
      <input name={name} type={type} required defaultValue={String(value)} {...bounds} />
    </label>
  );
}
