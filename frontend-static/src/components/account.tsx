/** An account by e-mail and password: made by a guest, or entered by whoever has one. */

import { useSignal } from "@preact/signals";
import { Problem } from "../api";
import { t } from "../i18n";
import { wording } from "../purchase";
import { createAccount, enterAccount } from "../session";

const DOES = { create: createAccount, enter: enterAccount } as const;

interface Props {
  does: keyof typeof DOES;
  entered: () => Promise<void>;
}

export function AccountForm({ does, entered }: Props) {
  const fault = useSignal("");
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy.value) return;
    const data = new FormData(event.currentTarget as HTMLFormElement);
    busy.value = true;
    fault.value = "";
    try {
      await DOES[does](String(data.get("email")).trim(), String(data.get("password")));
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
        <span>{t("account.email")}</span>
        <input name="email" type="email" autocomplete="email" required maxLength={200} />
      </label>
      <label class="field">
        <span>{t("account.password")}</span>
        <input
          name="password"
          type="password"
          autocomplete={does === "create" ? "new-password" : "current-password"}
          required
          minLength={does === "create" ? 8 : 1}
          maxLength={200}
        />
      </label>
      {does === "create" && <p class="quiet">{t("account.create_hint")}</p>}
      <button type="submit" class="button" disabled={busy.value}>
        {t(does === "create" ? "account.create" : "account.enter")}
      </button>
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
    </form>
  );
}
