/** A way to pay that is not there yet: the payment service's page, and the way back from it. */

import { useEffect } from "preact/hooks";
import { addCard, adding, refused, watchReturn } from "../cards";
import { t } from "../i18n";

export function AddCard({ busy = false }: { busy?: boolean }) {
  useEffect(watchReturn, []);
  return (
    <div class="quiet small">
      <button type="button" class="link" disabled={busy} onClick={() => void addCard()}>
        {t("cards.add")}
      </button>{" "}
      {t("cards.about")}
      {adding.value && <p role="status">{t("cards.waiting")}</p>}
      {refused.value && <p role="alert">{refused.value}</p>}
    </div>
  );
}
