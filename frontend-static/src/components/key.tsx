/** Signing in with a key: a person's, an operator's or a merchant's. */

import { useAttempt } from "../attempt";
import { t } from "../i18n";
import { signIn } from "../session";

export function KeyForm({ label, entered }: { label: string; entered: () => Promise<void> }) {
  const { busy, fault, attempt } = useAttempt();
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get("key");
    if (typeof key !== "string" || key.trim() === "") return;
    await attempt(async () => {
      await signIn(key.trim());
      await entered();
    });
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
