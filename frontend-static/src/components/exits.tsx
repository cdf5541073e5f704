/** The ways out when an allowance is used up: wait, an account, credits, a larger plan. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call, Problem } from "../api";
import { goOn, planName } from "../billing";
import { maybe, t } from "../i18n";
import { formatMoney } from "../money";
import { refreshQuota } from "../session";
import { door, me, quota, turns } from "../state";
import { formatMoment } from "../time";
import type { Turn } from "../turn";
import type { Exit, Pack } from "../wire";
import { Act } from "./act";

const packs = signal<readonly Pack[]>([]);

/** Those that came with the turn, until the next one: then what holds now is all that counts. */
export function exitsOf(turn: Turn): readonly Exit[] {
  const own = turns.value.at(-1) === turn ? turn.exits.value : null;
  return own ?? quota.value?.exits ?? [];
}

async function readPacks(): Promise<void> {
  try {
    packs.value = (await call<{ packs: Pack[] }>("GET", "/api/plans")).packs;
  } catch (error) {
    // Without a price list the other ways remain.
    if (!(error instanceof Problem)) throw error;
  }
}

export function Exits({ turn }: { turn: Turn }) {
  useEffect(() => void Promise.all([refreshQuota(), readPacks()]), []);
  const ways = exitsOf(turn);
  return (
    <ul class="exits">
      {ways.map((way) => (
        <Way key={way.action} way={way} />
      ))}
      {me.value?.guest && (
        <li>
          <button type="button" class="link" onClick={() => (door.value = "closed")}>
            {t("exits.account")}
          </button>
        </li>
      )}
    </ul>
  );
}

function Way({ way }: { way: Exit }) {
  if (way.action === "wait") return <li>{t("exits.wait", { moment: formatMoment(way.until) })}</li>;
  // Credits and plans belong to an account.
  if (way.action === "use_mini" || me.value?.guest) return null;
  if (way.action === "upgrade") {
    return way.plans.map((plan) => (
      <Buy key={plan} words={t("plan.upgrade", { plan: planName(plan) })} path="/api/plan" body={{ plan }} />
    ));
  }
  return packs.value
    .filter(({ bucket }) => bucket === way.bucket)
    .map((pack) => <Buy key={pack.name} words={packWords(pack)} path="/api/credits" body={{ pack: pack.name }} />);
}

function packWords(pack: Pack): string {
  const { amount, currency } = pack.price;
  return t("exits.pack", { title: packTitle(pack), price: formatMoney(amount, currency) });
}

/** The server's title is written once, in one language; of answers by a known role we know the words. */
function packTitle({ bucket, title, units }: Pack): string {
  const counted = quota.value?.buckets.find(({ name }) => name === bucket)?.unit === "turns";
  return (counted && units !== undefined && maybe("pack", bucket, { units })) || title;
}

function Buy({ words, path, body }: { words: string; path: string; body: unknown }) {
  return (
    <li>
      <Act words={words} act={() => goOn(path, body)} />
    </li>
  );
}
