/** One question and its answer: text, cards, payments that wait, the route, and how it ended. */

import { type Key, t } from "../i18n";
import { wording } from "../purchase";
import { stop } from "../state";
import { askAgain } from "../thread";
import type { Ending, Turn } from "../turn";
import { Activity } from "./activity";
import { Exits } from "./exits";
import { Prose } from "./prose";
import { RouteBadge } from "./route";
import { WaitingPayments } from "./waiting";

const ENDED_BADLY: Partial<Record<Ending, Key>> = {
  stopped: "turn.stopped",
  left: "turn.left",
  cut: "turn.cut",
  failed: "turn.failed",
};

export function TurnView({ turn }: { turn: Turn }) {
  const parts = turn.parts.value;
  const running = turn.ending.value === "running";
  return (
    <article class="turn" aria-busy={running}>
      {turn.question !== "" && (
        <h2 class="question">
          <span class="unseen">{t("turn.you")}: </span>
          {turn.question}
        </h2>
      )}
      {parts.map((part) =>
        part.kind === "text" ? (
          <Prose key={part.id} part={part} running={running} />
        ) : (
          <Activity key={`${part.id}:${part.type}`} part={part} />
        ),
      )}
      {running && parts.length === 0 && <p class="quiet pulse">{t("turn.thinking")}</p>}
      {!running && <WaitingPayments turn={turn} />}
      <BadEnding turn={turn} />
      <RouteBadge turn={turn} />
    </article>
  );
}

function BadEnding({ turn }: { turn: Turn }) {
  const key = ENDED_BADLY[turn.ending.value];
  if (key === undefined) return null;
  const fault = turn.fault.value;
  return (
    <div class="notice" role={turn.ending.value === "stopped" || turn.ending.value === "left" ? "status" : "alert"}>
      {fault ? wording(fault) : t(key)}{" "}
      {turn.question !== "" && (
        <button type="button" class="link" disabled={stop.value !== null} onClick={() => void askAgain(turn)}>
          {t("turn.again")}
        </button>
      )}
      {fault?.code === "insufficient_quota" && <Exits turn={turn} />}
    </div>
  );
}
