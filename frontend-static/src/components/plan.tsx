/** The ways between plans, each a press: up, down, out and back, and the payment service's portal. */

import { goOn, planName } from "../billing";
import { t } from "../i18n";
import { me } from "../state";
import { Act } from "./act";

const LARGER: Record<string, string> = { free: "plus", plus: "pro" };
const SMALLER: Record<string, string> = { pro: "plus" };

export function PlanLinks() {
  const person = me.value;
  if (person === null || person.guest) return null;
  const paying = person.subscription;
  const ends = paying?.ends_at_period_end;
  const larger = LARGER[person.plan];
  const smaller = paying ? SMALLER[paying.plan] : undefined;
  return (
    <ul class="plan-links quiet">
      {larger && <PlanLink words={t("plan.upgrade", { plan: planName(larger) })} plan={larger} />}
      {smaller && <PlanLink words={t("plan.change", { plan: planName(smaller) })} plan={smaller} />}
      {paying && <PlanLink words={t("plan.portal")} />}
      {/* One button for out and back, so that the focus stays where it was pressed. */}
      {paying && <PlanLink words={t(ends ? "plan.keep" : "plan.cancel")} plan={ends ? paying.plan : "free"} />}
    </ul>
  );
}

/** Another plan, or the portal when none is named. */
function PlanLink({ words, plan }: { words: string; plan?: string }) {
  const [path, body] = plan === undefined ? ["/api/portal"] : ["/api/plan", { plan }];
  return (
    <li>
      <Act words={words} act={() => goOn(path, body)} />
    </li>
  );
}
