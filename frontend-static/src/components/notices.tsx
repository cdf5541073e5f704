/** What must be said above the conversation: what became of a payment, and notices about the plan. */

import { X } from "lucide";
import { goOn, news } from "../billing";
import { maybe, t } from "../i18n";
import { me } from "../state";
import { formatWhen } from "../time";
import type { Notice } from "../wire";
import { Act } from "./act";
import { Icon } from "./icon";

/** In the page's language; a notice that the page does not know, in the server's words. */
function said({ code, text, until = "", model = "", successor = "" }: Notice): string {
  return maybe("notice", code, { moment: formatWhen(until), model, successor }) ?? text;
}

export function Notices() {
  const notices = me.value?.notices ?? [];
  return (
    <>
      {notices.map((notice) => (
        <p key={notice.code + notice.text} class="notice" role="status">
          {said(notice)} <Remedy notice={notice} />
        </p>
      ))}
    </>
  );
}

/** The notice's own action, where the page knows what it needs. */
function Remedy({ notice }: { notice: Notice }) {
  const plan = me.value?.subscription?.plan;
  if (notice.action === "/api/portal") return <Act words={t("plan.manage")} act={() => goOn("/api/portal")} />;
  if (notice.code !== "plan_ends" || notice.action === undefined || plan === undefined) return null;
  const { action } = notice;
  const keep = async () => {
    await goOn(action, { plan });
    // The button went with its notice.
    if (!me.value?.subscription?.ends_at_period_end) toComposer();
  };
  return <Act words={t("plan.keep")} act={keep} />;
}

function toComposer(): void {
  document.getElementById("message")?.focus();
}

function hush(): void {
  news.value = null;
  toComposer();
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
