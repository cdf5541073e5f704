/** The sheet on which a person pays. A native modal dialog: the page behind it cannot be reached. */

import { X } from "lucide";
import { useEffect, useRef } from "preact/hooks";
import type { Basket } from "../basket";
import { t } from "../i18n";
import { cancel, pay, sheet } from "../sheet";
import { BasketView } from "./basket";
import { Icon } from "./icon";

export function ConfirmationSheet({ basket }: { basket: Basket }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    // Not the pay button: what has the focus must never be what pays.
    heading.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const close = () => {
    if (sheet.value === basket) sheet.value = null;
  };
  return (
    <dialog
      ref={dialog}
      class="sheet"
      aria-labelledby="sheet-title"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="sheet-body">
        <div class="sheet-top">
          <h2 id="sheet-title" ref={heading} tabIndex={-1}>
            {t("consent.title")}
          </h2>
          <button type="button" class="round" aria-label={t("close")} onClick={close}>
            <Icon node={X} />
          </button>
        </div>
        <BasketView basket={basket} pay={(method) => pay(basket, method)} cancel={() => cancel(basket)} />
      </div>
    </dialog>
  );
}
