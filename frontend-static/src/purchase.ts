/**
 * One payment from review to the end. The hash that was shown goes back with the consent; what
 * truly happened is always read from the checkout, never from the answer's words.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { call, Problem, send } from "./api";
import { type Consent, consentOfCheckout, consentOfInterrupt, isPayment } from "./consent";
import { maybe, t } from "./i18n";
import { randomId } from "./ids";
import { start } from "./run";
import { threadId } from "./state";
import { Turn } from "./turn";
import type { Checkout, CheckoutState, Interrupt, InterruptMetadata, PaymentMethod } from "./wire";

/**
 * `bank`: the bank asks the person to approve it; nothing is charged until then.
 * `unsure`: the merchant's answer was lost; the server keeps asking, and never pays twice.
 */
export type Phase = "review" | "busy" | "bank" | "unsure" | "paid" | "over";

const POLLS_MAX = 60;
const BANK_POLLS_MAX = 300;
const MOVING: ReadonlySet<CheckoutState> = new Set(["authorising", "placing"]);
const OVER: ReadonlySet<CheckoutState> = new Set(["failed", "canceled", "expired"]);

export class Purchase {
  readonly checkout: Signal<Checkout | null> = signal(null);
  readonly phase = signal<Phase>("review");
  /** The last thing worth saying about this payment, such as why it did not go through. */
  readonly notice = signal("");
  /** Where the bank asks for its approval. */
  readonly bank = signal<string | null>(null);
  readonly consent: ReadonlySignal<Consent | null>;
  /** The turn that the resumed run wrote into, when there was one. */
  answer: Turn | null = null;

  private readonly shown: Signal<Consent | null>;
  private key = randomId();
  private interrupt: Interrupt | null = null;

  private constructor(
    readonly checkoutId: string,
    consent: Consent | null,
  ) {
    this.shown = signal(consent);
    this.consent = computed(() => this.shown.value);
  }

  static ofInterrupt(interrupt: Interrupt & { metadata: InterruptMetadata }): Purchase {
    const purchase = new Purchase(interrupt.metadata.checkout_id, consentOfInterrupt(interrupt));
    purchase.interrupt = interrupt;
    return purchase;
  }

  static ofCheckout(checkout: Checkout): Purchase {
    const purchase = new Purchase(checkout.id, null);
    purchase.see(checkout);
    return purchase;
  }

  /** Whether the consent goes back to a run that waits for it, and not to the checkout itself. */
  get asked(): boolean {
    return this.interrupt !== null;
  }

  /** Pays what is shown, once: while it runs, further calls do nothing. */
  async pay(method: PaymentMethod | null): Promise<void> {
    if (this.interrupt !== null) return payTogether([this], method);
    const payload = this.begin(method);
    if (payload !== null) await this.confirm(payload);
  }

  async cancel(): Promise<void> {
    if (this.phase.value !== "review") return;
    this.phase.value = "busy";
    if (this.interrupt !== null) return this.refuse(this.interrupt);
    try {
      this.see(await call<Checkout>("POST", this.path("/cancel"), { key: this.key, body: {} }));
    } catch (error) {
      await this.explain(error);
    }
  }

  /** Who it is for and where it goes: the merchant then says the new total. */
  async revise(details: Record<string, unknown>): Promise<void> {
    this.phase.value = "busy";
    this.notice.value = "";
    try {
      this.see(await call<Checkout>("PUT", this.path(), { body: details }));
      this.confirmHenceforth();
    } catch (error) {
      await this.explain(error);
    }
  }

  /** Asks the server until the checkout rests, at most a minute. */
  async learn(): Promise<void> {
    for (let poll = 0; poll < POLLS_MAX; poll += 1) {
      if (poll > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
      try {
        this.see(await call<Checkout>("GET", this.path()));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.status !== 0 && error.status < 500) return this.rest("over", wording(error));
        continue;
      }
      if (this.phase.value !== "busy") return;
    }
    this.rest("unsure", t("pay.unsure"));
  }

  /** Asks on while the bank waits for the person. Ends as soon as it rests otherwise. */
  async watch(): Promise<void> {
    for (let poll = 0; poll < BANK_POLLS_MAX && this.phase.value === "bank"; poll += 1) {
      await new Promise((resolve) => setTimeout(resolve, 2000));
      await this.learn();
    }
  }

  /** The consent that is given now; null where it is given already or there is none to give. */
  begin(method: PaymentMethod | null): Record<string, unknown> | null {
    const consent = this.shown.value;
    if (this.phase.value !== "review" || consent === null) return null;
    this.phase.value = "busy";
    this.notice.value = "";
    const paidWith = method === null ? {} : { payment_method: reference(method) };
    return { confirmation_hash: consent.hash, ...paidWith };
  }

  /** What the resumed run is told about this payment; null where there is nothing to tell. */
  entry(method: PaymentMethod | null): Entry | null {
    const interrupt = this.interrupt;
    const payload = interrupt === null ? null : this.begin(method);
    if (interrupt === null || payload === null) return null;
    return { interruptId: interrupt.id, status: "resolved", payload: { accept: true, ...payload } };
  }

  /** After a run that could not start. */
  wait(): void {
    this.rest("review", t("pay.wait_for_answer"));
  }

  /** Learns how it went in the run that wrote into `turn`. */
  async conclude(turn: Turn): Promise<void> {
    this.answer = turn;
    const again = turn.interrupts.value.filter(isPayment).find((one) => this.isOf(one.metadata));
    if (again !== undefined) return this.offerAgain(turn, again);
    await this.learn();
    const fault = turn.outcomes.value.find((one) => this.isOf(one) && one.code) ?? turn.fault.value;
    if (this.phase.value !== "paid" && fault?.code) {
      this.notice.value = wording({ code: fault.code, detail: "detail" in fault ? fault.detail : "" });
    }
    if (this.phase.value === "review") this.confirmHenceforth();
  }

  private isOf({ checkout_id }: { checkout_id: string }): boolean {
    return checkout_id === this.checkoutId;
  }

  private async confirm(body: unknown): Promise<void> {
    try {
      this.see(await call<Checkout>("POST", this.path("/confirm"), { key: this.key, body }));
      if (this.phase.value === "busy") await this.learn();
    } catch (error) {
      await this.explain(error);
    }
  }

  private async refuse(interrupt: Interrupt): Promise<void> {
    const turn = new Turn("");
    const entry: Entry = { interruptId: interrupt.id, status: "cancelled" };
    if (!(await resumed(turn, [entry], this.key))) return this.wait();
    await this.conclude(turn);
    if (this.phase.value === "review") this.rest("over", t("state.canceled"));
  }

  /** The merchant changed something: nothing was charged, and the new terms need a new consent. */
  private offerAgain(turn: Turn, interrupt: Interrupt & { metadata: InterruptMetadata }): void {
    // The open sheet shows it; a second card in the thread would offer the same payment twice.
    turn.interrupts.value = turn.interrupts.value.filter((one) => one !== interrupt);
    this.interrupt = interrupt;
    this.key = randomId();
    this.shown.value = consentOfInterrupt(interrupt);
    this.rest("review", t("error.offer_changed"));
  }

  /** A used or outdated interrupt cannot be resumed: the next try goes to the checkout itself. */
  private confirmHenceforth(): void {
    this.interrupt = null;
    this.key = randomId();
  }

  private async explain(error: unknown): Promise<void> {
    if (!(error instanceof Problem)) throw error;
    // Without a clear no, the same key must be used again: it can only ever pay once.
    if (error.status !== 0 && error.status < 500) this.key = randomId();
    const changed = error.document["checkout"] as Checkout | undefined;
    if (changed?.id === this.checkoutId) this.see(changed);
    else await this.learn();
    if (this.phase.value !== "paid") this.notice.value = wording(error);
  }

  private see(checkout: Checkout): void {
    this.checkout.value = checkout;
    const consent = consentOfCheckout(checkout);
    if (checkout.state === "completed") return this.rest("paid", "");
    if (OVER.has(checkout.state)) return this.rest("over", ended(checkout));
    if (checkout.state === "outcome_unknown") return this.rest("unsure", t("pay.unsure"));
    if (MOVING.has(checkout.state)) {
      this.bank.value = checkout.next_action?.redirect_to_url?.url ?? null;
      if (checkout.next_action) return this.rest("bank", t("error.authentication_required"));
      this.phase.value = "busy";
      return;
    }
    this.shown.value = consent;
    this.rest("review", "");
  }

  private rest(phase: Phase, notice: string): void {
    this.notice.value = notice;
    this.phase.value = phase;
  }

  private path(end = ""): string {
    return `/api/checkouts/${encodeURIComponent(this.checkoutId)}${end}`;
  }
}

interface Entry {
  interruptId: string;
  status: "resolved" | "cancelled";
  payload?: unknown;
}

/** One press for all of them: one run is resumed, and each learns its own end from it. */
export async function payTogether(
  purchases: readonly Purchase[],
  method: PaymentMethod | null,
): Promise<void> {
  const said = purchases.map((one) => ({ one, entry: one.entry(method) }));
  const begun = said.flatMap(({ one, entry }) => (entry === null ? [] : [{ one, entry }]));
  if (begun.length === 0) return;
  const turn = new Turn("");
  const entries = begun.map(({ entry }) => entry);
  const started = await resumed(turn, entries, randomId());
  await Promise.all(begun.map(({ one }) => (started ? one.conclude(turn) : one.wait())));
}

function resumed(turn: Turn, resume: readonly Entry[], key: string): Promise<boolean> {
  const body = {
    threadId: threadId.value,
    runId: randomId(),
    state: {},
    messages: [],
    tools: [],
    context: [],
    forwardedProps: {},
    resume,
  };
  return start(turn, (signal) =>
    send("POST", "/agui", { key, body, signal, accept: "text/event-stream" }),
  );
}

/** How a checkout ended without an order, with the reason where the server gives one. */
function ended({ state, failure }: Checkout): string {
  return failure ? wording(failure) : (maybe("state", state) ?? state);
}

function reference(method: PaymentMethod): Record<string, string> {
  return method.type === "card"
    ? { type: method.type, token: method.token }
    : { type: method.type, id: method.id };
}

/** A problem in the reader's language where its code is known, else in the server's words. */
export function wording(problem: { code: string; detail: string }): string {
  return maybe("error", problem.code) ?? (problem.detail || t("error.unknown"));
}
