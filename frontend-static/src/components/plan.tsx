/** Moving to a larger plan, and what must be said about the present one. */

import { signal } from "@preact/signals";
import { call, Problem } from "../api";
import { t } from "../i18n";
import { me } from "../state";

const NEXT: Record<string, string> = { free: "plus", plus: "pro" };
/** Why the last way out was refused, in the server's words. */
export const refused = signal("");

/** As it is written on the price list. */
export function planName(plan: string): string {
  return plan.charAt(0).toUpperCase() + plan.slice(1);
}

/** Leaves for the page where it is paid; nothing is charged before. */
export async function goOn(path: string, body?: unknown): Promise<void> {
  refused.value = "";
  try {
    const { url } = await call<{ url: string }>("POST", path, { body });
    location.assign(url);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    refused.value = error.detail;
  }
}

export function PlanLink() {
  const person = me.value;
  const next = person && !person.guest ? NEXT[person.plan] : undefined;
  if (next === undefined) return null;
  return (
    <div class="quiet">
      <button type="button" class="link" onClick={() => void goOn("/api/plan", { plan: next })}>
        {t("plan.upgrade", { plan: planName(next) })}
      </button>
      {refused.value && <p role="alert">{refused.value}</p>}
    </div>
  );
}

export function Notices() {
  const notices = me.value?.notices ?? [];
  return (
    <>
      {notices.map(({ code, text, action }) => (
        <p key={code + text} class="notice" role="status">
          {text}{" "}
          {action === "/api/portal" && (
            <button type="button" class="link" onClick={() => void goOn(action)}>
              {t("plan.manage")}
            </button>
          )}
        </p>
      ))}
    </>
  );
}
