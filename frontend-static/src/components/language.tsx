/** The language switch. Each language is named in itself, so that anybody finds their own. */

import { Languages } from "lucide";
import { chooseLanguage, type Language, language, t } from "../i18n";
import { Icon } from "./icon";

export function LanguageSwitch() {
  return (
    <label class="picker">
      <Icon node={Languages} size={16} />
      <span class="unseen">{t("language")}</span>
      <select
        value={language.value}
        onChange={(event) => void chooseLanguage(event.currentTarget.value as Language)}
      >
        <option value="en" lang="en">
          English
        </option>
        <option value="zh" lang="zh-Hans">
          简体中文
        </option>
      </select>
    </label>
  );
}
