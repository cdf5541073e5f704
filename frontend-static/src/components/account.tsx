/** An account by e-mail and password: made by a guest, or entered by whoever has one. */

import { useAttempt } from "../attempt";
import { t } from "../i18n";
import { createAccount, enterAccount } from "../session";

const DOES = { create: createAccount, enter: enterAccount } as const;

interface Props {
  does: keyof typeof DOES;
  entered: () => Promise<void>;
}

export function AccountForm({ does, entered }: Props) {
  const { busy, fault, attempt } = useAttempt();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    return attempt(async () => {
      await DOES[does](String(data.get("email")).trim(), String(data.get("password")));
      await entered();
    });
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
