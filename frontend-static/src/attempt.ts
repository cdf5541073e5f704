/** One deed at a time: whether it runs, and why the last one was refused. */

import { useSignal } from "@preact/signals";
import { Problem } from "./api";
import { wording } from "./purchase";

/** `attempt` never throws a `Problem`: its wording is in `fault` then. What runs is not begun twice. */
export function useAttempt() {
  const busy = useSignal(false);
  const fault = useSignal("");
  const attempt = async (deed: () => Promise<void>): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    fault.value = "";
    try {
      await deed();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fault.value = wording(error);
    } finally {
      busy.value = false;
    }
  };
  return { busy, fault, attempt };
}
