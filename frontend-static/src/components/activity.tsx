/** What the assistant shows beside words: offers to choose from, and orders. */

import { t } from "../i18n";
import { lazily } from "../lazily";
import type { ActivityPart } from "../turn";
import type { Offer, OrderFact } from "../wire";
import { OfferList } from "./offers";

const useReceipt = lazily(async () => (await import("./receipt")).Receipt);

const OFFERS = new Set(["product-list", "booking-options", "compare"]);

export function Activity({ part }: { part: ActivityPart }) {
  const items = itemsOf(part.content.value);
  if (part.type === "order") return <Receipts facts={items as OrderFact[]} />;
  if (!OFFERS.has(part.type)) return null;
  return <OfferList type={part.type} offers={items as Offer[]} />;
}

function Receipts({ facts }: { facts: OrderFact[] }) {
  const Receipt = useReceipt();
  if (Receipt === null) return <p class="quiet">{t("loading")}</p>;
  return (
    <>
      {facts.map((fact) => (
        <Receipt key={fact.order_id} fact={fact} />
      ))}
    </>
  );
}

function itemsOf(content: unknown): unknown[] {
  const items = (content as { items?: unknown } | null)?.items;
  return Array.isArray(items) ? items : [];
}
