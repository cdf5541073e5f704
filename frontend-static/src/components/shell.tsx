/** The frame of every page but the chat: a top line, one heading, one column. */

import type { ComponentChildren } from "preact";
import { Brand } from "./door";
import { LanguageSwitch } from "./language";

export function Shell({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="shell">
      <header class="shell-top">
        <a href="/" class="home">
          <Brand />
        </a>
        <LanguageSwitch />
      </header>
      <main>
        <h1>{title}</h1>
        {children}
      </main>
    </div>
  );
}
