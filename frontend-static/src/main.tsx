/** The address decides which page this is; the chat is the first load, the others come when asked. */

import { render } from "preact";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/frame.css";
import "./styles/shell.css";
import "./styles/conversation.css";
import "./styles/commerce.css";
import { followLanguage, speakPreferred } from "./i18n";
import { ChatPage } from "./pages/chat";

async function pageFor(path: string) {
  const checkout = /^\/checkout\/([^/]+)\/?$/.exec(path);
  if (checkout?.[1] !== undefined) {
    const { CheckoutPage } = await import("./pages/checkout");
    return <CheckoutPage id={decodeURIComponent(checkout[1])} />;
  }
  if (/^\/card\/?$/.test(path)) {
    const { CardPage } = await import("./pages/card");
    return <CardPage />;
  }
  if (/^\/operator\/?$/.test(path)) {
    const { OperatorPage } = await import("./pages/operator");
    return <OperatorPage />;
  }
  if (/^\/merchant\/?$/.test(path)) {
    const { MerchantPage } = await import("./pages/merchant");
    return <MerchantPage />;
  }
  return <ChatPage />;
}

/** A function, not top-level await: the other pages import from this very module's file. */
async function open(root: HTMLElement): Promise<void> {
  await speakPreferred();
  followLanguage();
  render(await pageFor(location.pathname), root);
}

const root = document.getElementById("page");
if (root !== null) void open(root);
