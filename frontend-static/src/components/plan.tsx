/** Moving to a larger plan, and what must be said about the present one. */

import { signal } from "@preact/signals";
import { call, Problem } from "../api";
import { maybe, t } from "../i18n";
import { me } from "../state";
import { formatMoment } from "../time";
import type { Notice } from "../wire";

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

/** In the page's language; a notice that the page does not know, in the server's words. */
function said({ code, text, until = "", model = "", successor = "" }: Notice): string {
  return maybe("notice", code, { moment: formatMoment(until), model, successor }) ?? text;
}

export function Notices() {
  const notices = me.value?.notices ?? [];
  return (
    <>
      {notices.map((notice) => (
        <p key={notice.code + notice.text} class="notice" role="status">
          {said(notice)}{" "}
          {notice.action === "/api/portal" && (
            <button type="button" class="link" onClick={() => void goOn("/api/portal")}>
              {t("plan.manage")}
            </button>
          )}
        </p>
      ))}
    </>
  );
}
