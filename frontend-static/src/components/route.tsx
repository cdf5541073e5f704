/** Who answered and why, in words; a step down is said aloud, with the ways out. */

import { useSignal } from "@preact/signals";
import { planName } from "../billing";
import { type Key, maybe, t } from "../i18n";
import { quota } from "../state";
import { formatMoment } from "../time";
import type { Turn } from "../turn";
import type { Exit, Route } from "../wire";
import { Exits, exitsOf } from "./exits";

function named(prefix: string, name: string | undefined): string {
  return maybe(prefix, name) ?? name ?? "";
}

export function RouteBadge({ turn }: { turn: Turn }) {
  const route = turn.route.value;
  // A decision about a payment is a turn too, but no model answered it.
  if (!route?.role) return null;
  const kind = route.kind ?? route.intent;
  return (
    <div class="route">
      <details>
        <summary>{t("badge.by", { role: named("role", route.role), kind: named("kind", kind) })}</summary>
        <dl class="facts">
          <Fact name="badge.model" value={route.model} />
          <Fact name="badge.cause" value={named("cause", route.cause)} />
          <Fact name="badge.confidence" value={percent(route.confidence)} />
          <Fact name="badge.policy" value={route.policy_version} />
        </dl>
      </details>
      {route.downgrade_reason && <Downgrade turn={turn} route={route} />}
    </div>
  );
}

function percent(share: number | undefined): string | undefined {
  return share === undefined ? undefined : `${Math.round(share * 100)} %`;
}

function Fact({ name, value }: { name: Key; value: string | undefined }) {
  if (!value) return null;
  return (
    <div>
      <dt>{t(name)}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** The names of the plans that have more, or nothing. */
function larger(exits: readonly Exit[]): string {
  const plans = exits.flatMap((exit) => (exit.action === "upgrade" ? exit.plans : []));
  return plans.map(planName).join(", ");
}

function Downgrade({ turn, route }: { turn: Turn; route: Route }) {
  const now = quota.value;
  const wanted = route.requested_role ?? now?.requested_role ?? undefined;
  // "allowance_used:reasoning" names the bucket after the reason.
  const [reason = "", bucket = wanted] = (route.downgrade_reason ?? "").split(":");
  const role = named("role", route.role);
  const full = now?.buckets.find(({ name }) => name === bucket);
  const plans = larger(exitsOf(turn));
  const until = full?.resets_at ?? full?.next_free_at;
  return (
    <div class="downgrade">
      {t("badge.downgraded", {
        wanted: named("role", wanted ?? route.role),
        reason: named("downgrade", reason),
        role,
      })}
      {until && ` ${t("badge.until", { moment: formatMoment(until), role })}`}
      {plans && ` ${t("badge.upgrade", { plans })}`}
      <Ways turn={turn} />
    </div>
  );
}

/** What can be done about it, looked up only when somebody wants to know. */
function Ways({ turn }: { turn: Turn }) {
  const open = useSignal(false);
  if (open.value) return <Exits turn={turn} />;
  return (
    <>
      {" "}
      <button type="button" class="link" aria-expanded={false} onClick={() => (open.value = true)}>
        {t("badge.ways")}
      </button>
    </>
  );
}
