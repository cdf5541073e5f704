/** Signing in with a key: a person's, an operator's or a merchant's. */

import { useSignal } from "@preact/signals";
import { Problem } from "../api";
import { t } from "../i18n";
import { wording } from "../purchase";
import { signIn } from "../session";

export function KeyForm({ label, entered }: { label: string; entered: () => Promise<void> }) {
  const fault = useSignal("");
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get("key");
    if (busy.value || typeof key !== "string" || key.trim() === "") return;
    busy.value = true;
    fault.value = "";
    try {
      await signIn(key.trim());
      await entered();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fault.value = wording(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <form class="stack" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>{label}</span>
        <input name="key" type="password" autocomplete="off" spellcheck={false} required />
      </label>
      <p class="quiet">{t("door.key_hint")}</p>
      <button type="submit" class="button" disabled={busy.value}>
        {t("door.sign_in")}
      </button>
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
    </form>
  );
}
