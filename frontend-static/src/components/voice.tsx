/** How it answers and who: style, warmth and a model of one's own. Kept with the account. */

import { useSignal } from "@preact/signals";
import { call, Problem } from "../api";
import { type Key, t } from "../i18n";
import { me } from "../state";
import type { Preferences, Style } from "../wire";

const STYLES: Record<Style, Key> = {
  warm: "voice.warm",
  balanced: "voice.balanced",
  neutral: "voice.neutral",
};

export function Voice() {
  const refused = useSignal("");
  const person = me.value;
  if (person === null) return null;
  const { style = "balanced", warmth = 50, pinned_model: pinned = null } = person.preferences ?? {};
  const keep = async (chosen: Partial<Preferences>) => {
    refused.value = "";
    try {
      const preferences = await call<Preferences>("PUT", "/api/me/preferences", { body: chosen });
      me.value = { ...person, preferences };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      refused.value = error.detail;
    }
  };
  return (
    <details class="fold voice">
      <summary>{t("voice")}</summary>
      <label class="field">
        <span>{t("voice.style")}</span>
        <select value={style} onChange={(event) => void keep({ style: event.currentTarget.value as Style })}>
          {Object.entries(STYLES).map(([value, words]) => (
            <option key={value} value={value}>
              {t(words)}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>{t("voice.warmth")}</span>
        <input
          type="range"
          min={0}
          max={100}
          step={10}
          value={warmth}
          onChange={(event) => void keep({ warmth: event.currentTarget.valueAsNumber })}
        />
      </label>
      <label class="field">
        <span>{t("voice.model")}</span>
        <select
          value={pinned ?? ""}
          onChange={(event) => void keep({ pinned_model: event.currentTarget.value || null })}
        >
          <option value="">{t("voice.routed")}</option>
          {(person.models ?? []).map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {refused.value && <p role="alert">{refused.value}</p>}
    </details>
  );
}
