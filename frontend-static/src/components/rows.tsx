/** Rows of a report as a table. Which columns there are is the server's; sums are shown in their row's currency. */

import { formatMoney } from "../money";
import { heading, named } from "./columns";

export type Row = Record<string, unknown>;

export function Rows({ rows, caption, none }: { rows: readonly Row[]; caption: string; none: string }) {
  if (rows.length === 0) return <p class="quiet">{none}</p>;
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    // A wide table scrolls by itself, and by keyboard too.
    <div class="table" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {heading(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td key={column} class={typeof row[column] === "number" ? "figure" : undefined}>
                  {cell(row, column)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Which columns hold minor units; everything else is shown as it came. */
const MONEY = /^(gross|refunded|fee(_\w+)?|(processor|dispute)_fee|net_revenue|subscription|overage|total|amount)$/;

function cell(row: Row, column: string): string {
  const value = row[column];
  const currency = row["currency"];
  if (typeof value === "number" && typeof currency === "string" && MONEY.test(column)) {
    return formatMoney(value, currency.toUpperCase());
  }
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : named(column, String(value));
}
