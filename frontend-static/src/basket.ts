/** The parts of one sheet, one purchase a merchant: agreed to by one press, each with its own end. */

import { signal } from "@preact/signals";
import { payTogether, type Purchase } from "./purchase";
import { clock, secondsUntil } from "./time";
import type { PaymentMethod, Price } from "./wire";

export class Basket {
  /** Checkouts that the person leaves out of the next press. */
  private readonly left = signal<ReadonlySet<string>>(new Set());

  constructor(readonly parts: readonly Purchase[]) {}

  get id(): string {
    return this.parts.map((part) => part.checkoutId).join();
  }

  /** What the next press agrees to: nothing that is over, run out, paid or left out. */
  get chosen(): readonly Purchase[] {
    return this.parts.filter((part) => canBePaid(part) && !this.left.value.has(part.checkoutId));
  }

  get busy(): boolean {
    return this.parts.some((part) => part.phase.value === "busy");
  }

  get paid(): boolean {
    return this.parts.every((part) => part.phase.value === "paid");
  }

  isChosen(part: Purchase): boolean {
    return !this.left.value.has(part.checkoutId);
  }

  choose(part: Purchase, chosen: boolean): void {
    const left = new Set(this.left.value);
    if (chosen) left.delete(part.checkoutId);
    else left.add(part.checkoutId);
    this.left.value = left;
  }

  /** Pays what is chosen. Each part ends by itself; none is tried twice. */
  async pay(method: PaymentMethod | null): Promise<void> {
    if (this.busy) return;
    const chosen = this.chosen;
    const alone = chosen.filter((part) => !part.asked).map((part) => part.pay(method));
    await Promise.all([payTogether(chosen.filter((part) => part.asked), method), ...alone]);
  }

  async cancel(): Promise<void> {
    // One after the other: a conversation has one run at a time.
    for (const part of this.parts) await part.cancel();
  }
}

/** Whether it waits for consent, and its price still holds. Reads the page's clock. */
export function canBePaid(part: Purchase): boolean {
  const consent = part.consent.value;
  if (part.phase.value !== "review" || consent === null) return false;
  return consent.expiresAt === null || secondsUntil(consent.expiresAt, clock.value) > 0;
}

/** What they come to, one sum for each currency: currencies are never added up. */
export function due(parts: readonly Purchase[]): Price[] {
  const sums = new Map<string, number>();
  for (const { consent } of parts) {
    if (consent.value === null) continue;
    const { currency, total } = consent.value;
    sums.set(currency, (sums.get(currency) ?? 0) + total);
  }
  return [...sums].map(([currency, amount]) => ({ currency, amount }));
}
