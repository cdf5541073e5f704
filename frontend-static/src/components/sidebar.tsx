/** Conversations, the whole allowance and the account. On a narrow screen it slides in. */

import { signal } from "@preact/signals";
import { Plus, X } from "lucide";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { door, drawerOpen, me, threadId, threads } from "../state";
import { signOut } from "../session";
import { beginThread, openThread } from "../thread";
import { Brand } from "./door";
import { Icon } from "./icon";
import { LanguageSwitch } from "./language";
import { PlanLinks } from "./plan";
import { QuotaList } from "./quota";
import { Voice } from "./voice";

const NARROW = matchMedia("(max-width: 860px)");
const narrow = signal(NARROW.matches);
NARROW.addEventListener("change", () => (narrow.value = NARROW.matches));

export function Sidebar() {
  const panel = useRef<HTMLElement>(null);
  const drawer = narrow.value;
  const open = drawerOpen.value;
  useEffect(() => {
    if (drawer && open) panel.current?.querySelector<HTMLElement>("button")?.focus();
  }, [drawer, open]);
  return (
    <>
      <aside
        ref={panel}
        class={open ? "sidebar open" : "sidebar"}
        aria-label={t("menu")}
        inert={drawer && !open}
        onKeyDown={(event) => event.key === "Escape" && (drawerOpen.value = false)}
      >
        <div class="sidebar-top">
          <Brand />
          {drawer && (
            <button type="button" class="round" aria-label={t("menu.close")} onClick={() => (drawerOpen.value = false)}>
              <Icon node={X} />
            </button>
          )}
        </div>
        <button type="button" class="button wide" onClick={beginThread}>
          <Icon node={Plus} size={16} /> {t("threads.new")}
        </button>
        <ThreadList />
        <QuotaList />
        <PlanLinks />
        <Voice />
        <Account />
      </aside>
      {drawer && open && <div class="veil" onClick={() => (drawerOpen.value = false)} />}
    </>
  );
}

function ThreadList() {
  return (
    <nav class="threads" aria-label={t("threads")}>
      <h2 class="label">{t("threads")}</h2>
      {threads.value.length === 0 && <p class="quiet">{t("threads.none")}</p>}
      <ul>
        {threads.value.map(({ id, title }) => (
          <li key={id}>
            <button
              type="button"
              class="thread"
              aria-current={id === threadId.value ? "page" : undefined}
              onClick={() => void openThread(id)}
            >
              {title || t("threads.untitled")}
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

async function leave(): Promise<void> {
  await signOut();
  beginThread();
}

function Account() {
  const person = me.value;
  if (person === null) return null;
  return (
    <div class="account">
      <div>
        <div class="account-name">{person.guest ? t("account.guest") : person.name || person.email || person.id}</div>
        {person.guest ? (
          <button type="button" class="link quiet" onClick={() => (door.value = "closed")}>
            {t("account.create_or_enter")}
          </button>
        ) : (
          <button type="button" class="link quiet" onClick={() => void leave()}>
            {t("account.sign_out")}
          </button>
        )}{" "}
        <a class="quiet" href="/card">
          {t("cards.title")}
        </a>
      </div>
      <LanguageSwitch />
    </div>
  );
}
