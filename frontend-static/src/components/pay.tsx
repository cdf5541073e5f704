/** The one button that pays. It names the act and the sum, and is hard to press by accident. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { due } from "../basket";
import { t } from "../i18n";
import { formatMoney } from "../money";
import type { Purchase } from "../purchase";

/** A click meant for what stood here a moment ago must not pay. */
const ARM_MS = 1000;

interface PayButtonProps {
  label: string;
  busy: boolean;
  pay: () => Promise<void>;
}

export function PayButton({ label, busy, pay }: PayButtonProps) {
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
      {busy ? t("pay.busy") : label}
    </button>
  );
}

/** The act and the sum, for one merchant or for several. */
export function payLabel(parts: readonly Purchase[]): string {
  const sums = due(parts).filter(({ amount }) => amount !== 0);
  const total = sums.map(({ amount, currency }) => formatMoney(amount, currency)).join(" + ");
  const merchant = parts.length === 1 ? (parts[0]?.consent.value?.merchantOfRecord ?? "") : null;
  if (merchant !== null) return total ? t("pay.button", { total, merchant }) : t("pay.free", { merchant });
  const count = parts.length;
  return total ? t("pay.all", { total, count }) : t("pay.all_free", { count });
}
