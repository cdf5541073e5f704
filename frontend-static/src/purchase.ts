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

/** `unsure`: the merchant's answer was lost; the server keeps asking, and never pays twice. */
export type Phase = "review" | "busy" | "unsure" | "paid" | "over";

const POLLS_MAX = 60;
const MOVING: ReadonlySet<CheckoutState> = new Set(["authorising", "placing"]);
const OVER: ReadonlySet<CheckoutState> = new Set(["failed", "canceled", "expired"]);

export class Purchase {
  readonly checkout: Signal<Checkout | null> = signal(null);
  readonly phase = signal<Phase>("review");
  /** The last thing worth saying about this payment, such as why it did not go through. */
  readonly notice = signal("");
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

  /** Pays what is shown, once: while it runs, further calls do nothing. */
  async pay(method: PaymentMethod | null): Promise<void> {
    const consent = this.shown.value;
    if (this.phase.value !== "review" || consent === null) return;
    this.phase.value = "busy";
    this.notice.value = "";
    const payload = {
      confirmation_hash: consent.hash,
      ...(method === null ? {} : { payment_method: reference(method) }),
    };
    if (this.interrupt === null) await this.confirm(payload);
    else await this.resume(this.interrupt, { accept: true, ...payload });
  }

  async cancel(): Promise<void> {
    if (this.phase.value !== "review") return;
    this.phase.value = "busy";
    if (this.interrupt !== null) return this.resume(this.interrupt, null);
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

  private async confirm(body: unknown): Promise<void> {
    try {
      this.see(await call<Checkout>("POST", this.path("/confirm"), { key: this.key, body }));
      if (this.phase.value === "busy") await this.learn();
    } catch (error) {
      await this.explain(error);
    }
  }

  /** `payload` null: the person said no. */
  private async resume(interrupt: Interrupt, payload: unknown): Promise<void> {
    const turn = new Turn("");
    this.answer = turn;
    const entry =
      payload === null
        ? { interruptId: interrupt.id, status: "cancelled" }
        : { interruptId: interrupt.id, status: "resolved", payload };
    const body = {
      threadId: threadId.value,
      runId: randomId(),
      state: {},
      messages: [],
      tools: [],
      context: [],
      forwardedProps: {},
      resume: [entry],
    };
    const started = await start(turn, (abort) =>
      send("POST", "/agui", { key: this.key, body, signal: abort, accept: "text/event-stream" }),
    );
    if (!started) return this.rest("review", t("pay.wait_for_answer"));
    const again = turn.interrupts.value.find(isPayment);
    if (again?.metadata.checkout_id === this.checkoutId) return this.offerAgain(turn, again);
    await this.learn();
    if (payload === null && this.phase.value === "review") return this.rest("over", t("state.canceled"));
    const fault = turn.fault.value;
    if (this.phase.value !== "paid" && fault) this.notice.value = wording(fault);
    if (this.phase.value === "review") this.confirmHenceforth();
  }

  /** The merchant changed something: nothing was charged, and the new terms need a new consent. */
  private offerAgain(turn: Turn, interrupt: Interrupt & { metadata: InterruptMetadata }): void {
    // The open sheet shows it; a second card in the thread would offer the same payment twice.
    turn.interrupts.value = [];
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
