/** The turns, oldest first; keeps the newest in sight unless the reader has scrolled up. */

import { useEffect, useRef } from "preact/hooks";
import { type Following, follow } from "../follow";
import { type Key, t } from "../i18n";
import { stop, turns } from "../state";
import { ask } from "../thread";
import { TurnView } from "./turn";

export function Conversation() {
  const shown = turns.value;
  const list = useRef<HTMLDivElement>(null);
  const following = useRef<Following | null>(null);
  useEffect(() => {
    if (list.current === null) return undefined;
    following.current = follow(list.current);
    return following.current.stop;
  }, []);
  useEffect(() => following.current?.toEnd(), [shown.length]);
  return (
    <div class="scroll" tabIndex={-1}>
      <div class="turns" ref={list}>
        {shown.length === 0 ? <Empty /> : shown.map((turn) => <TurnView key={turn.key} turn={turn} />)}
      </div>
    </div>
  );
}

const EXAMPLES: Key[] = ["empty.casual", "empty.complex", "empty.purchase", "empty.booking"];

function Empty() {
  return (
    <div class="empty">
      <h2>{t("empty.title")}</h2>
      <p class="lead">{t("empty.about")}</p>
      <ul class="examples">
        {EXAMPLES.map((key) => (
          <li key={key}>
            <button type="button" disabled={stop.value !== null} onClick={() => void ask(t(key))}>
              {t(key)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
