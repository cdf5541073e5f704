/** The one button that pays. It names the act and the sum, and is hard to press by accident. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Consent } from "../consent";
import { t } from "../i18n";
import { formatMoney } from "../money";

/** A click meant for what stood here a moment ago must not pay. */
const ARM_MS = 1000;

interface PayButtonProps {
  consent: Consent;
  busy: boolean;
  pay: () => Promise<void>;
}

export function PayButton({ consent, busy, pay }: PayButtonProps) {
  const armed = useSignal(false);
  useEffect(() => {
    const timer = setTimeout(() => (armed.value = true), ARM_MS);
    return () => clearTimeout(timer);
  }, []);
  const ready = armed.value && !busy;
  return (
    <button
      type="button"
      class={ready ? "button primary wide pay" : "button primary wide pay arming"}
      // Not `disabled`: that would throw the keyboard out of the button when it arms.
      aria-disabled={!ready}
      onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
      onClick={() => ready && void pay()}
    >
      {busy ? t("pay.busy") : label(consent)}
    </button>
  );
}

function label({ total, currency, merchantOfRecord: merchant }: Consent): string {
  if (total === 0) return t("pay.free", { merchant });
  return t("pay.button", { total: formatMoney(total, currency), merchant });
}
