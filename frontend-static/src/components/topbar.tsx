/** The line above the conversation: its title, and on a narrow screen the menu and the allowance. */

import { Menu, SquarePen } from "lucide";
import { t } from "../i18n";
import { drawerOpen, threadId, threads } from "../state";
import { beginThread } from "../thread";
import { Icon } from "./icon";
import { QuotaStrip } from "./quota";

export function TopBar() {
  const current = threads.value.find(({ id }) => id === threadId.value);
  return (
    <header class="topbar">
      <div class="topbar-line">
        <button
          type="button"
          class="round narrow-only"
          aria-label={t("menu")}
          aria-expanded={drawerOpen.value}
          onClick={() => (drawerOpen.value = true)}
        >
          <Icon node={Menu} />
        </button>
        <h1>{current?.title || t("threads.new")}</h1>
        <button type="button" class="round narrow-only" aria-label={t("threads.new")} onClick={beginThread}>
          <Icon node={SquarePen} />
        </button>
      </div>
      <QuotaStrip />
    </header>
  );
}
