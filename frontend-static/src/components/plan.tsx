/** Moving to a larger plan, and what must be said about the present one. */

import { X } from "lucide";
import { goOn, news, planName, refused, settling } from "../billing";
import { maybe, t } from "../i18n";
import { me } from "../state";
import { formatMoment } from "../time";
import type { Notice } from "../wire";
import { Icon } from "./icon";

const NEXT: Record<string, string> = { free: "plus", plus: "pro" };

export function PlanLink() {
  const person = me.value;
  const next = person && !person.guest ? NEXT[person.plan] : undefined;
  if (next === undefined) return null;
  return (
    <div class="quiet">
      <button
        type="button"
        class="link"
        disabled={settling.value}
        onClick={() => void goOn("/api/plan", { plan: next })}
      >
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

function hush(): void {
  news.value = null;
  // The button that had the focus is gone.
  document.getElementById("message")?.focus();
}

/** What became of a payment. The region is always there: what appears in it is read aloud. */
export function News() {
  const told = news.value;
  return (
    <div role="status">
      {told && (
        <p class="notice news">
          {t(told.key, { plan: told.plan ?? "" })}
          <button type="button" class="round" aria-label={t("close")} onClick={hush}>
            <Icon node={X} size={16} />
          </button>
        </p>
      )}
    </div>
  );
}
