/** How it answers and who: style, warmth and a model of one's own. Kept with the account. */

import { useSignal } from "@preact/signals";
import { call, Problem } from "../api";
import { type Key, maybe, t } from "../i18n";
import { refreshPerson } from "../session";
import { me } from "../state";
import type { Me, Preferences, Style } from "../wire";

const STYLES: Record<Style, Key> = {
  warm: "voice.warm",
  balanced: "voice.balanced",
  neutral: "voice.neutral",
};

/** A model of one's own that can be chosen no more stays in sight until another one is. */
function lost(model: string, { notices = [] }: Me): string {
  const notice = notices.find((one) => one.model === model);
  return maybe("voice", notice?.code, { model, successor: notice?.successor ?? "" }) ?? model;
}

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
      // What is said about the model before it holds no more, and of this one there may be news.
      if (chosen.pinned_model !== undefined) await refreshPerson();
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
          {pinned !== null && !person.models?.includes(pinned) && <option value={pinned}>{lost(pinned, person)}</option>}
        </select>
      </label>
      {refused.value && <p role="alert">{refused.value}</p>}
    </details>
  );
}
