/** What the assistant shows beside words: offers to choose from, and orders. */

import type { ActivityPart } from "../turn";
import type { Offer, OrderFact } from "../wire";
import { OfferList } from "./offers";
import { Receipt } from "./receipt";

const OFFERS = new Set(["product-list", "booking-options", "compare"]);

export function Activity({ part }: { part: ActivityPart }) {
  const items = itemsOf(part.content.value);
  if (part.type === "order") {
    return (
      <>
        {(items as OrderFact[]).map((fact) => (
          <Receipt key={fact.order_id} fact={fact} />
        ))}
      </>
    );
  }
  if (!OFFERS.has(part.type)) return null;
  return <OfferList type={part.type} offers={items as Offer[]} />;
}

function itemsOf(content: unknown): unknown[] {
  const items = (content as { items?: unknown } | null)?.items;
  return Array.isArray(items) ? items : [];
}
