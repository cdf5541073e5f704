/** The chat: conversations at the side, the answers, the composer, and the sheet that pays. */

import { useEffect } from "preact/hooks";
import { comeBack } from "../billing";
import { Composer } from "../components/composer";
import { Conversation } from "../components/conversation";
import { Door } from "../components/door";
import { LiveRegion } from "../components/live";
import { News, Notices } from "../components/notices";
import { ConfirmationSheet } from "../components/sheet";
import { Sidebar } from "../components/sidebar";
import { TopBar } from "../components/topbar";
import { t } from "../i18n";
import { recall } from "../session";
import { sheet } from "../sheet";
import { door } from "../state";
import { followAddress, openThread, refreshThreads, threadInAddress } from "../thread";

async function enter(): Promise<void> {
  if (!(await recall())) return;
  void comeBack();
  const id = threadInAddress();
  await Promise.all([refreshThreads(), id === null ? null : openThread(id)]);
}

export function ChatPage() {
  useEffect(() => {
    void enter();
    addEventListener("popstate", followAddress);
    return () => removeEventListener("popstate", followAddress);
  }, []);
  if (door.value === "opening") return <main class="waiting">{t("loading")}</main>;
  if (door.value !== "open") return <Door entered={enter} />;
  return (
    <div class="frame">
      <a class="skip" href="#message">
        {t("skip")}
      </a>
      <Sidebar />
      <div class="stage">
        <TopBar />
        <News />
        <Notices />
        <main class="talk">
          <Conversation />
          <Composer />
        </main>
      </div>
      {sheet.value && <ConfirmationSheet key={sheet.value.id} basket={sheet.value} />}
      <LiveRegion />
    </div>
  );
}
