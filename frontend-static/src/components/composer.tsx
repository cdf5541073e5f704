/** Where one writes. Enter sends, Shift+Enter breaks the line, and one button stops the answer. */

import { useSignal } from "@preact/signals";
import { ArrowUp, Square } from "lucide";
import { useEffect, useRef } from "preact/hooks";
import { type Key, t } from "../i18n";
import { effort, stop, threadId } from "../state";
import { ask } from "../thread";
import type { Effort } from "../wire";
import { Icon } from "./icon";

const EFFORTS: Record<Effort, Key> = {
  auto: "effort.auto",
  low: "effort.low",
  medium: "effort.medium",
  high: "effort.high",
};

export function Composer() {
  const draft = useSignal("");
  const box = useRef<HTMLTextAreaElement>(null);
  const running = stop.value !== null;
  useEffect(() => box.current?.focus(), [threadId.value]);
  const submit = () => {
    const text = draft.value.trim();
    if (text === "" || stop.value !== null) return;
    draft.value = "";
    void ask(text);
  };
  // The button to send stands in the same place a moment later: this click must not be its.
  const halt = (event: MouseEvent) => {
    event.preventDefault();
    stop.value?.();
    box.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter also accepts a word in an input method for Chinese; that must not send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div class="composer-box">
        <textarea
          ref={box}
          id="message"
          rows={1}
          value={draft.value}
          aria-label={t("composer.label")}
          aria-describedby="composer-hint"
          placeholder={t("composer.placeholder")}
          maxLength={32_000}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        <div class="composer-foot">
          <EffortPicker />
          <span class="quiet wide-only" id="composer-hint">
            {t("composer.hint")}
          </span>
          {running ? (
            <button key="stop" type="button" class="round solid" aria-label={t("composer.stop")} onClick={halt}>
              <Icon node={Square} size={15} />
            </button>
          ) : (
            <button
              key="send"
              type="submit"
              class="round solid"
              aria-label={t("composer.send")}
              disabled={draft.value.trim() === ""}
            >
              <Icon node={ArrowUp} />
            </button>
          )}
        </div>
      </div>
    </form>
  );
}

function EffortPicker() {
  return (
    <label class="picker">
      <span>{t("effort")}</span>
      <select value={effort.value} onChange={(event) => (effort.value = event.currentTarget.value as Effort)}>
        {Object.entries(EFFORTS).map(([value, key]) => (
          <option key={value} value={value}>
            {t(key)}
          </option>
        ))}
      </select>
    </label>
  );
}
