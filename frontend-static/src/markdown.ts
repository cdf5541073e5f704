/** Markdown to safe HTML. A model's or a merchant's HTML is text; nothing remote is ever loaded. */

import DOMPurify from "dompurify";
import { Marked } from "marked";

const markdown = new Marked({ gfm: true, breaks: true });

markdown.use({
  renderer: {
    html: ({ text }) => escape(text),
    // A picture would tell a foreign server who reads what, so only its words are shown.
    image: ({ text, href }) => escape(text === "" ? href : text),
    // The page has the first two levels for itself.
    heading({ tokens, depth }) {
      const level = depth <= 3 ? 3 : 4;
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const ALLOWED_TAGS = [
  "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "hr", "li",
  "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
];

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  const target = linkTarget(node.getAttribute("href"));
  if (target === null) node.removeAttribute("href");
  else if (target === "foreign") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
});

/** Ours, foreign, or nothing to follow: `javascript:`, `data:` and their kin lead nowhere. */
function linkTarget(href: string | null): "ours" | "foreign" | null {
  if (href === null) return null;
  let url: URL;
  try {
    url = new URL(href, location.origin);
  } catch {
    return null;
  }
  if (url.origin === location.origin) return "ours";
  return url.protocol === "https:" || url.protocol === "http:" || url.protocol === "mailto:"
    ? "foreign"
    : null;
}

function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** Safe HTML for one block. */
export function render(source: string): string {
  return DOMPurify.sanitize(markdown.parse(source, { async: false }), {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ["href", "align", "start"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
  });
}
