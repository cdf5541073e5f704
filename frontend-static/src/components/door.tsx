/** Signing in: as a guest with one click, or with a key. */

import { useSignal } from "@preact/signals";
import { Problem } from "../api";
import { t } from "../i18n";
import { wording } from "../purchase";
import { signIn } from "../session";
import { door } from "../state";
import { LanguageSwitch } from "./language";

export function Door({ entered }: { entered: () => Promise<void> }) {
  const fault = useSignal("");
  const busy = useSignal(false);
  const enter = async (key: string) => {
    if (busy.value) return;
    busy.value = true;
    fault.value = "";
    try {
      await signIn(key);
      await entered();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fault.value = wording(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <main class="door">
      <div class="door-top">
        <Brand />
        <LanguageSwitch />
      </div>
      <h1>{t("door.title")}</h1>
      <p class="lead">{t("door.about")}</p>
      {door.value === "broken" ? (
        <p class="notice" role="alert">
          {t("door.broken")}{" "}
          <button type="button" class="link" onClick={() => void entered()}>
            {t("try_again")}
          </button>
        </p>
      ) : (
        <>
          <button type="button" class="button primary wide" disabled={busy.value} onClick={() => void enter("")}>
            {t("door.guest")}
          </button>
          <KeyForm label={t("door.key_label")} hint={t("door.key_hint")} summary={t("door.key")} enter={enter} />
        </>
      )}
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
    </main>
  );
}

export function Brand() {
  return (
    <span class="brand">
      <img src="/icon.svg" alt="" width="24" height="24" />
      Emptor
    </span>
  );
}

interface KeyFormProps {
  label: string;
  hint: string;
  summary: string;
  enter: (key: string) => Promise<void>;
}

function KeyForm({ label, hint, summary, enter }: KeyFormProps) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get("key");
    if (typeof key === "string" && key.trim() !== "") void enter(key.trim());
  };
  return (
    <details class="fold">
      <summary>{summary}</summary>
      <form class="stack" onSubmit={submit}>
        <label class="field">
          <span>{label}</span>
          <input name="key" type="password" autocomplete="off" spellcheck={false} required />
        </label>
        <p class="quiet">{hint}</p>
        <button type="submit" class="button">
          {t("door.sign_in")}
        </button>
      </form>
    </details>
  );
}
