/** Signing in: as a guest with one click, or with a key. */

import { useAttempt } from "../attempt";
import { t } from "../i18n";
import { signIn } from "../session";
import { door, me } from "../state";
import { AccountForm } from "./account";
import { KeyForm } from "./key";
import { LanguageSwitch } from "./language";

export function Door({ entered }: { entered: () => Promise<void> }) {
  const { busy, fault, attempt } = useAttempt();
  const enter = () =>
    attempt(async () => {
      await signIn("");
      await entered();
    });
  return (
    <main class="door">
      <div class="door-top">
        <Brand />
        <LanguageSwitch />
      </div>
      <h1>{t("door.title")}</h1>
      <p class="lead">{t("door.about")}</p>
      {(door.value === "operator" || door.value === "merchant") && (
        <p class="notice" role="alert">
          {t(`door.is_${door.value}`)} <a href={`/${door.value}`}>{t(`door.to_${door.value}`)}</a>
        </p>
      )}
      {door.value === "broken" ? (
        <p class="notice" role="alert">
          {t("door.broken")}{" "}
          <button type="button" class="link" onClick={() => void entered()}>
            {t("try_again")}
          </button>
        </p>
      ) : (
        <>
          {me.value?.guest ? (
            <details class="fold" open>
              <summary>{t("account.create")}</summary>
              <AccountForm does="create" entered={entered} />
            </details>
          ) : (
            <button type="button" class="button primary wide" disabled={busy.value} onClick={() => void enter()}>
              {t("door.guest")}
            </button>
          )}
          <details class="fold">
            <summary>{t("door.account")}</summary>
            <AccountForm does="enter" entered={entered} />
          </details>
          <details class="fold">
            <summary>{t("door.key")}</summary>
            <KeyForm label={t("door.key_label")} entered={entered} />
          </details>
          {me.value?.guest && (
            <button type="button" class="link quiet" onClick={() => void entered()}>
              {t("checkout.back")}
            </button>
          )}
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
