/** What is bought, line by line, with the sums beside it and the total at the end. */

import { type ConsentLine, taxIsIncluded } from "../consent";
import { maybe, t } from "../i18n";
import { formatMoney } from "../money";
import type { Total } from "../wire";

interface LinesProps {
  lines: readonly ConsentLine[];
  totals: readonly Total[];
  total: number;
  currency: string;
}

export function Lines({ lines, totals, total, currency }: LinesProps) {
  const money = (amount: number) => formatMoney(amount, currency);
  const included = taxIsIncluded(lines, totals, total);
  return (
    <table class="lines">
      <thead class="unseen">
        <tr>
          <th scope="col">{t("consent.what")}</th>
          <th scope="col">{t("consent.amount")}</th>
        </tr>
      </thead>
      <tbody>
        {lines.map((line, index) => (
          <tr key={index}>
            <th scope="row">
              {line.title}
              {line.quantity !== 1 && (
                <span class="quiet">
                  {" "}
                  {line.quantity} × {t("consent.each", { price: money(line.unit) })}
                </span>
              )}
            </th>
            <td>{money(line.amount)}</td>
          </tr>
        ))}
        {totals.map((one) => (
          <tr key={`${one.type}:${one.label}`} class="side">
            <th scope="row">
              {one.type === "tax" && included
                ? t("consent.included", { label: one.label })
                : (maybe("total", one.type) ?? one.label)}
            </th>
            <td>{money(one.amount)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{t("consent.total")}</th>
          <td>{money(total)}</td>
        </tr>
      </tfoot>
    </table>
  );
}
