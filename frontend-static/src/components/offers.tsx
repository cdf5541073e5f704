/** Offers as cards. Everything on them is a merchant's text: shown, never read as markup. */

import { bookingWords } from "../booking";
import { useSignal } from "@preact/signals";
import { ImageOff } from "lucide";
import { Problem } from "../api";
import { language, maybe, t } from "../i18n";
import { formatMoney } from "../money";
import { wording } from "../purchase";
import { choose } from "../sheet";
import { stop } from "../state";
import type { Offer, Picture } from "../wire";
import { Icon } from "./icon";

export function OfferList({ type, offers }: { type: string; offers: Offer[] }) {
  const title = maybe("offers", type) ?? type;
  return (
    <section class="offers" aria-label={title}>
      <ul>
        {offers.map((offer) => (
          <li key={offer.offer_id}>
            <OfferCard offer={offer} />
          </li>
        ))}
      </ul>
      <p class="quiet">{t("offers.note")}</p>
    </section>
  );
}

function OfferCard({ offer }: { offer: Offer }) {
  const busy = useSignal(false);
  const fault = useSignal("");
  const soldOut = offer.availability === "out_of_stock";
  const take = async () => {
    if (busy.value) return;
    busy.value = true;
    fault.value = "";
    try {
      await choose(offer);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fault.value = wording(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <div class="offer" data-offer={offer.offer_id}>
      <OfferPicture picture={offer.image ?? null} />
      <div class="offer-words">
        <h3>{offer.title}</h3>
        <div class="quiet">{offer.merchant}</div>
        <OfferFacts offer={offer} />
        {offer.why && <p class="offer-why">{offer.why}</p>}
        <div class="offer-price">
          <strong>{formatMoney(offer.price.amount, offer.price.currency)}</strong>
          {offer.availability && (
            <span class={`stock ${offer.availability}`}>
              {maybe("availability", offer.availability) ?? offer.availability}
            </span>
          )}
        </div>
        {offer.disclosure && <p class="quiet small">{offer.disclosure}</p>}
        {fault.value && (
          <p class="notice" role="alert">
            {fault.value}
          </p>
        )}
        <button
          type="button"
          class="button"
          aria-label={t("offer.choose_named", { title: offer.title, merchant: offer.merchant })}
          disabled={soldOut || busy.value || stop.value !== null}
          onClick={() => void take()}
        >
          {busy.value ? t("offer.asking") : t("offer.choose")}
        </button>
      </div>
    </div>
  );
}

/** How well it is rated; for a booking also when, for how many and where. */
function OfferFacts({ offer }: { offer: Offer }) {
  const { date, time, party, nights, ...rest } = offer.attributes ?? {};
  const own = (name: string) => (language.value === "zh" && rest[`${name}_zh`]) || rest[name] || "";
  const quietly = [
    offer.rating ? `★ ${offer.rating.toFixed(1)}` : "",
    own("area"),
    own("city"),
  ];
  return (
    <>
      <div class="offer-when">{bookingWords({ date, time, party, nights })}</div>
      <div class="quiet">{quietly.filter(Boolean).join(" · ")}</div>
    </>
  );
}

/** Pictures come from our own server only: another host would learn who looks at what. */
function OfferPicture({ picture }: { picture: Picture | null }) {
  const broken = useSignal(false);
  const url = picture === null ? null : ownUrl(picture.url);
  return (
    <div class="offer-picture">
      {picture === null || url === null || broken.value ? (
        <span role="img" aria-label={t("offer.no_picture")}>
          <Icon node={ImageOff} size={28} />
        </span>
      ) : (
        <img
          src={url}
          alt={picture.alt ?? ""}
          width={picture.width ?? 320}
          height={picture.height ?? 240}
          loading="lazy"
          decoding="async"
          onError={() => (broken.value = true)}
        />
      )}
    </div>
  );
}

function ownUrl(text: string): string | null {
  if (!URL.canParse(text, location.origin)) return null;
  const url = new URL(text, location.origin);
  return url.origin === location.origin ? url.href : null;
}
