/** The cards that a person keeps, and where the payment service sends them back to. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { cardsOf, type KeptCard, readMethods, removeCard } from "../cards";
import { AddCard } from "../components/cards";
import { Shell } from "../components/shell";
import { type Key, t } from "../i18n";
import { recall } from "../session";
import { door, me } from "../state";

const fault = signal<Key | null>(null);
const known = signal(false);

async function open(): Promise<void> {
  if (!(await recall())) {
    fault.value = door.value === "broken" ? "door.broken" : "checkout.sign_in";
    return;
  }
  await readMethods();
  known.value = true;
}

export function CardPage() {
  useEffect(() => void open(), []);
  return (
    <Shell title={t("cards.title")}>
      {fault.value && (
        <p class="notice" role="alert">
          {t(fault.value)}
        </p>
      )}
      {known.value && <Cards cards={cardsOf(me.value?.payment_methods)} />}
      {!fault.value && !known.value && <p class="quiet">{t("loading")}</p>}
      <p>
        <a href="/">{t("checkout.back")}</a>
      </p>
    </Shell>
  );
}

function Cards({ cards }: { cards: readonly KeptCard[] }) {
  const came = new URLSearchParams(location.search).get("card");
  // What the address says is only a hint: a card is saved when it is in the list.
  const news: Key | null = came === "canceled" ? "cards.canceled" : came === "added" && cards.length > 0 ? "cards.added" : null;
  return (
    <div class="panel stack">
      {news && <p role="status">{t(news)}</p>}
      {cards.length === 0 && <p class="quiet">{t("cards.none")}</p>}
      <ul class="cards-kept">
        {cards.map((card) => (
          <li key={card.id}>
            {card.label}{" "}
            <span class="quiet">
              {t("cards.expires", { month: String(card.exp_month).padStart(2, "0"), year: card.exp_year ?? "" })}
            </span>{" "}
            <button type="button" class="link" onClick={() => void removeCard(card.id)}>
              {t("cards.remove", { label: card.label })}
            </button>
          </li>
        ))}
      </ul>
      <AddCard />
    </div>
  );
}
