/** The turns, oldest first; keeps the newest in sight unless the reader has scrolled up. */

import { useEffect, useRef } from "preact/hooks";
import { type Key, t } from "../i18n";
import { stop, turns } from "../state";
import { ask } from "../thread";
import { TurnView } from "./turn";

/** Nearer to the end than this many pixels counts as reading along. */
const NEAR_END = 120;

export function Conversation() {
  const shown = turns.value;
  const end = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "end" });
  }, [shown.length]);
  useEffect(() => followGrowth(list.current), []);
  return (
    <div class="scroll" tabIndex={-1}>
      <div class="turns" ref={list}>
        {shown.length === 0 ? <Empty /> : shown.map((turn) => <TurnView key={turn.key} turn={turn} />)}
        <div ref={end} class="end" />
      </div>
    </div>
  );
}

/** Scrolls along while the content grows, as long as the reader is at the end. */
function followGrowth(content: HTMLElement | null): (() => void) | undefined {
  const scroller = content?.parentElement;
  if (!content || !scroller) return undefined;
  let atEnd = true;
  let before = { top: 0, height: 0 };
  const look = () => {
    const now = { top: scroller.scrollTop, height: scroller.scrollHeight };
    const near = now.height - now.top - scroller.clientHeight < NEAR_END;
    // Only scrolling up leaves the end. Growth must not, however tall it is, nor must turns that
    // shrink because they left the sight and are no longer laid out.
    const up = now.top < before.top && now.height >= before.height;
    atEnd = near || (atEnd && !up);
    before = now;
  };
  const observer = new ResizeObserver(() => {
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  });
  scroller.addEventListener("scroll", look, { passive: true });
  observer.observe(content);
  return () => {
    scroller.removeEventListener("scroll", look);
    observer.disconnect();
  };
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
