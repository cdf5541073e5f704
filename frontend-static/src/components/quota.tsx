/** The allowance, always in sight: what is left of each bucket and when it is full again. */

import { maybe, t } from "../i18n";
import { formatMoney } from "../money";
import { quota } from "../state";
import { formatMoment } from "../time";
import type { Bucket } from "../wire";

function bucketName(bucket: Bucket): string {
  return maybe("role", bucket.name) ?? bucket.name;
}

function isLow({ warning }: Bucket): boolean {
  return typeof warning === "number";
}

/** From 95 percent on it is nearly over; from 80 it is time to know when. */
function warned({ remaining, warning }: Bucket): string {
  if (remaining === 0) return t("quota.empty");
  return t((warning ?? 0) >= 95 ? "quota.low" : "quota.getting_low");
}

function forecast({ runs_out_at: end }: Bucket): string {
  return end ? ` · ${t("quota.runs_out", { moment: formatMoment(end) })}` : "";
}

function left(bucket: Bucket): string {
  const { remaining, cap } = bucket;
  if (remaining === null || cap === null) return t("quota.unlimited");
  return t("quota.left", { remaining: counted(remaining, bucket), cap: counted(cap, bucket) });
}

/** Turns are a plain number; an allowance of cost is in millionths of a dollar. */
function counted(amount: number, { unit }: Bucket): string {
  return unit === "micro_usd" ? formatMoney(Math.floor(amount / 10_000), "USD") : String(amount);
}

/** A rolling window is never full again at once: it says when it next has room, if it has none. */
function refill({ resets_at: end, next_free_at: room, policy, remaining, cap }: Bucket): string {
  if (remaining === cap) return t("quota.unused");
  if (end) return t("quota.resets", { moment: formatMoment(end) });
  if (room) return t("quota.room", { moment: formatMoment(room) });
  return t(policy === "rolling" ? "quota.rolling" : "quota.unused");
}

function Meter({ bucket }: { bucket: Bucket }) {
  if (bucket.remaining === null || bucket.cap === null) return null;
  return (
    <meter
      class={isLow(bucket) ? "low" : undefined}
      min={0}
      max={bucket.cap}
      value={bucket.remaining}
      aria-label={`${bucketName(bucket)}: ${left(bucket)}`}
    />
  );
}

/** Every bucket with its bar, for the side of a wide screen. */
export function QuotaList() {
  const now = quota.value;
  if (now === null) return null;
  return (
    <section class="quota" aria-labelledby="quota-title">
      <h2 class="label" id="quota-title">
        {t("quota")} <span class="plan">{now.plan}</span>
      </h2>
      <ul>
        {now.buckets.map((bucket) => (
          <li key={bucket.name} class={isLow(bucket) ? "low" : undefined}>
            <div class="quota-line">
              <span>{bucketName(bucket)}</span>
              <span class="figure">{left(bucket)}</span>
            </div>
            <Meter bucket={bucket} />
            <div class="quiet">
              {refill(bucket)}
              {forecast(bucket)}
              {isLow(bucket) && <strong> · {warned(bucket)}</strong>}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A reserve stands in for another bucket; it matters once it has been touched. */
function isIdleReserve(bucket: Bucket, all: readonly Bucket[]): boolean {
  return bucket.used === 0 && bucket.held === 0 && all.some(({ fallback }) => fallback === bucket.name);
}

/** The same in one line under the title of a narrow screen; it unfolds to all of it. */
export function QuotaStrip() {
  const now = quota.value;
  if (now === null) return null;
  return (
    <details class="strip">
      <summary aria-label={t("quota.details")}>
        {now.buckets.filter((bucket) => !isIdleReserve(bucket, now.buckets)).map((bucket) => (
          <span key={bucket.name} class={isLow(bucket) ? "low" : undefined}>
            {bucketName(bucket)} <b>{bucket.remaining === null ? "∞" : counted(bucket.remaining, bucket)}</b>
          </span>
        ))}
      </summary>
      <ul>
        {now.buckets.map((bucket) => (
          <li key={bucket.name}>
            {bucketName(bucket)}: {left(bucket)}, {refill(bucket)}
          </li>
        ))}
      </ul>
    </details>
  );
}
