/** Builds every page into `dist`; the server sends a strict CSP, so nothing may be inlined. */
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        // One file for the chat, since one compresses better than three; the rest comes when asked.
        codeSplitting: {
          groups: [{ name: "chat", test: /node_modules|src[\\/](?!pages[\\/](?!chat)|i18n[\\/]zh|components[\\/](?:receipt|cancellation|details|change|rows|columns)\.)/ }],
        },
      },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
