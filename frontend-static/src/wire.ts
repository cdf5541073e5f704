/** The shapes that the server sends, as far as the pages read them. Unknown fields are ignored. */

export type Effort = "auto" | "low" | "medium" | "high";
export type Kind = "casual" | "complex" | "commercial";

export interface Price {
  /** Integer minor units. */
  amount: number;
  currency: string;
}

export interface Picture {
  url: string;
  alt?: string;
  width?: number;
  height?: number;
}

export interface Offer {
  offer_id: string;
  merchant: string;
  title: string;
  price: Price;
  image?: Picture | null;
  availability?: string;
  why?: string;
  disclosure?: string;
  description?: string;
  rating?: number | null;
  /** The merchant's own words, and for a booking its `date`, `time`, `party` and `nights`. */
  attributes?: Record<string, string>;
}

export interface OrderFact {
  order_id: string;
  state: string;
  title: string;
  merchant: string;
  total: Price;
  placed_at?: string;
}

export interface Route {
  kind?: Kind;
  intent?: Kind;
  sub?: string;
  domain?: string;
  role?: string;
  model?: string;
  requested?: string;
  requested_role?: string;
  cause?: string;
  confidence?: number;
  policy_version?: string;
  downgrade_reason?: string | null;
}

export interface Bucket {
  name: string;
  unit: string;
  policy: string;
  used: number;
  held: number;
  cap: number | null;
  remaining: number | null;
  resets_at?: string | null;
  next_free_at?: string | null;
  fallback?: string | null;
  /** What is left of units on top of the plan, such as a pack's. */
  granted?: number;
  /** The mark that was passed, in percent of the cap: 80 or 95. */
  warning?: number | null;
  /** When it ends at this pace; absent while it lasts. */
  runs_out_at?: string | null;
}

/** What a person may do about a used-up allowance. */
export type Exit =
  | { action: "wait"; until: string }
  | { action: "use_mini"; role: string }
  | { action: "buy_credits"; bucket: string }
  | { action: "upgrade"; plans: string[] };

/** Answers to be had at once, for money. */
export interface Pack {
  name: string;
  title: string;
  price: { amount: number; currency: string };
  bucket: string;
  units?: number;
}

export interface Quota {
  plan: string;
  binding: string | null;
  buckets: Bucket[];
  charged?: Record<string, number>;
  served_role?: string | null;
  requested_role?: string | null;
  downgrade_reason?: string | null;
  exits?: Exit[];
}

export type PaymentMethod =
  | { type: "card"; token: string; label: string }
  | {
      type: "saved";
      id: string;
      label: string;
      /** What is known of a card that was typed in; absent for what an account came with. */
      brand?: string;
      last4?: string;
      exp_month?: number;
      exp_year?: number;
    };

/** Whose keys open a page of their own. Of these, `/api/me` tells the role alone. */
export type BackOffice = "operator" | "merchant";

export interface Me {
  id: string;
  name?: string | null;
  email?: string | null;
  plan: string;
  guest?: boolean;
  /** `timezone` is null until somebody said it. */
  preferences?: Preferences;
  /** The models that the plan lets the person choose. */
  models?: string[];
  has_payment_method?: boolean;
  /** What the person may pay with, the preferred one first. */
  payment_methods?: PaymentMethod[];
  /** What is paid for by the month; absent where nothing is. */
  subscription?: Subscription | null;
  /** What the page must say: a payment that failed, a plan that ends, a model that retires. */
  notices?: Notice[];
}

export interface Subscription {
  plan: string;
  status: string;
  ends_at_period_end: boolean;
  current_period_end?: string | null;
  grace_until?: string | null;
}

export type Style = "warm" | "neutral" | "balanced";

export interface Preferences {
  effort?: Effort;
  timezone?: string | null;
  style?: Style;
  /** 0 to 100. */
  warmth?: number;
  pinned_model?: string | null;
}

export interface Notice {
  code: string;
  text: string;
  /** Where to act: an address of ours that answers with a page. */
  action?: string;
  /** Until when it holds, or a model stays; a date or a moment. */
  until?: string;
  model?: string;
  successor?: string;
}

export interface ThreadSummary {
  id: string;
  title: string | null;
  updated_at?: string;
}

export interface StoredTurn {
  id: string;
  state: "open" | "done" | "failed" | "aborted";
  text: string;
  answer: string | null;
  route?: Route | null;
  activities?: { activity: string; items: unknown[] }[];
  /** Checkouts that this turn asked the person to confirm. */
  checkouts?: string[];
}

export interface Thread extends ThreadSummary {
  turns: StoredTurn[];
}

/** How one decision of a resumed run ended. */
export interface Outcome {
  checkout_id: string;
  state: string;
  code?: string;
}

export interface Interrupt {
  id: string;
  reason: string;
  message?: string | null;
  expiresAt?: string | null;
  metadata?: InterruptMetadata | null;
}

export interface InterruptMetadata {
  checkout_id: string;
  confirmation?: Record<string, unknown>;
  confirmation_hash: string;
  merchantOfRecord: string;
  lines: { title: string; qty: number; unit: number }[];
  total: number;
  currency: string;
  disclosure?: string;
}

export interface Line {
  offer_id?: string;
  title: string;
  quantity: number;
  unit_amount: number;
  amount: number;
}

export interface Total {
  type: string;
  label: string;
  amount: number;
}

export interface Note {
  severity?: string;
  code?: string;
  text?: string;
  /** Where something is missing, such as `$.buyer.born_on`. */
  path?: string | null;
}

export interface Delivery {
  id: string;
  title: string;
  amount: number;
  selected: boolean;
  /** Goods that travel apart from the rest and are chosen for apart; absent: the whole basket. */
  group?: { id: string; goods: string[] };
}

export interface Booking {
  date: string;
  party: number;
  time?: string;
  nights?: number;
}

/** Who it is for. The last three only where an airline asks for them. */
export type Buyer = Partial<
  Record<"first_name" | "last_name" | "email" | "phone" | "born_on" | "gender" | "title", string>
>;

export type CheckoutState =
  | "draft"
  | "quoted"
  | "held"
  | "awaiting_confirmation"
  | "authorising"
  | "placing"
  | "completed"
  | "failed"
  | "outcome_unknown"
  | "canceled"
  | "expired";

export interface Checkout {
  id: string;
  state: CheckoutState;
  revision: number;
  kind: "purchase" | "booking";
  merchant: { id: string; name: string };
  merchant_of_record: string;
  lines: Line[];
  totals: Total[];
  total: number | null;
  currency: string;
  booking?: Booking | null;
  /** What this moves: the order, and its booking as it is until this is confirmed. */
  changes?: { order_id: string; booking: Booking } | null;
  buyer?: Buyer | null;
  fulfilment_options?: Delivery[];
  expires_at?: string | null;
  confirmation?: Record<string, unknown> | null;
  confirmation_hash?: string | null;
  disclosure?: string;
  cancellation_policy?: string;
  handoff_url?: string | null;
  order_id?: string | null;
  /** What the bank asks of the person, while it does. */
  next_action?: { redirect_to_url?: { url: string } | null } | null;
  failure?: { code: string; detail: string } | null;
  messages?: Note[];
}

export interface Order {
  id: string;
  state: string;
  checkout_id: string;
  merchant: { id: string; name: string };
  merchant_order_id?: string | null;
  permalink_url?: string | null;
  lines: Line[];
  totals: Total[];
  total: number;
  currency: string;
  refunded?: number;
  booking?: Booking | null;
  /** The booking whose later change this paid for. */
  part_of?: string | null;
}

/** What canceling would give back and cost; nothing changes until it is confirmed. */
export interface CancellationQuote {
  id: string;
  refund: number;
  fee: number;
  currency: string;
  expires_at: string;
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}
