// A sale and the words for where it stands. Pure: what a verdict or an order means for a sale is decided here.
import type { PaymentMethod, PaymentRequestedV2, Verdict } from "conch-edge";
import type { Row } from "../../shell/book.ts";
import type { Order } from "../../shell/city.ts";
import type { Tone } from "../../shell/glyph.tsx";
import type { Line } from "./cart.ts";

export type Method = PaymentMethod;
export const methods: readonly Method[] = ["cash", "confirmed_elsewhere", "promise", "authorized_online"];

export function isMethod(value: unknown): value is Method {
  return methods.some((method) => method === value);
}

/**
 * `begun`: remembered, not known to be in the outbox. `saved`: in the outbox or with the city, no outcome yet.
 * `paid`, `promised`: the city's books say so. `attention`: the city said no. `given-up`: a person closed it.
 */
export type SaleState = "begun" | "saved" | "paid" | "promised" | "attention" | "given-up";

export interface Sale extends Row {
  amount: number;
  method: Method;
  state: SaleState;
  /** The event that carries it, once stored. */
  eventId?: string;
  sequence?: number;
  /** Code of the problem, for `attention`. */
  reason?: string;
  /** The event was stored by a later opening of the page, because the first one was killed. */
  resumed?: boolean;
  /** The city has it; what becomes of it is not known yet. */
  arrived?: boolean;
  /** The city took the event and the money could not be taken: there is no dead letter. */
  failed?: boolean;
  lines?: readonly Line[];
  /** Where it was made. */
  stall?: string;
  /** Stored while the city was not known to answer. */
  offline?: boolean;
  /** When this device heard that the books have it, by its own clock. The order's time is when it was sold. */
  confirmedAt?: number;
  /** What the bank holds for it. */
  authRef?: string;
  /** Counts what was meant, not deliveries: 2 is another way after a definite failure. */
  attempt?: number;
}

/** What the sale says to the city, the same on every try of an attempt. */
export function payloadOf({ amount, method, authRef, stall }: Sale): PaymentRequestedV2 {
  return {
    amount,
    currency: "TWD",
    method,
    ...(stall === undefined ? {} : { stallId: stall }),
    ...(authRef === undefined ? {} : { authRef }),
  };
}

/** The same order by another method, after the city said definitely no. */
export function anotherWay(failed: Sale, method: Method): Sale {
  const { reason: _, authRef: __, eventId: ___, sequence: ____, arrived: _____, failed: ______, ...sale } = failed;
  return { ...sale, method, state: "begun", attempt: (sale.attempt ?? 1) + 1 };
}

/** What the screen says; `unknown` and `not-saved` depend on more than the row. */
export type Standing = "saving" | "saved" | "unknown" | "paid" | "promised" | "attention" | "not-saved" | "given-up";

export interface Doubt {
  /** Sales up to this sequence may have reached the city without an answer. */
  sequence: number;
  /** Sales whose emit failed while this page was open, by key. */
  failed: ReadonlyMap<string, string>;
}

/** After these the storage itself was interrupted, so the sale may be there all the same. */
const uncertain: ReadonlySet<string> = new Set(["storage-lost", "closed", "aborted", "fault"]);

export function standingOf(sale: Sale, doubt: Doubt): Standing {
  if (sale.state === "begun") {
    const code = doubt.failed.get(sale.key);
    if (code === undefined) return "saving";
    return uncertain.has(code) ? "unknown" : "not-saved";
  }
  if (sale.state === "saved" && sale.sequence !== undefined && sale.sequence <= doubt.sequence) return "unknown";
  return sale.state;
}

export const toneOf: Record<Standing, Tone> = {
  saving: "calm",
  saved: "wait",
  unknown: "doubt",
  paid: "good",
  promised: "good",
  attention: "warn",
  "not-saved": "stop",
  "given-up": "calm",
};

/** The city's verdict on the event. Accepted is not paid: only the order tells. */
export function afterVerdict(sale: Sale, verdict: Verdict): Sale {
  if (sale.eventId !== verdict.id) return sale;
  if (verdict.verdict === "refused") return { ...sale, state: "attention", reason: verdict.problem?.type ?? "refused" };
  if (verdict.verdict === "discarded") return { ...sale, state: "given-up" };
  return { ...sale, arrived: true };
}

/** What the city's books say of the order. Another amount than ours is not our payment. */
export function afterOrder(sale: Sale, order: Order, now: number): Sale {
  if (sale.state !== "saved") return sale;
  // Nobody knows yet whether the bank takes it.
  if (order.state === "pending") return sale;
  if (order.state === "failed") return { ...sale, state: "attention", failed: true, reason: order.reason ?? "refused" };
  if (order.amount !== sale.amount) return { ...sale, state: "attention", failed: true, reason: "amount_mismatch" };
  return { ...sale, state: order.state === "open" ? "promised" : "paid", confirmedAt: now };
}

/** What was last seen of missing answers, and what follows from it. */
export interface Doubted {
  /** Events without an answer, when no request was under way. */
  unknown: number;
  /** Sales up to this sequence are in doubt. */
  sequence: number;
  /** While a request is under way: the highest sequence it can carry. */
  asked: number | null;
}

export const noDoubt: Doubted = { unknown: 0, sequence: 0, asked: null };

export interface Seen {
  /** The outbox's count of events that may have reached the city without an answer. */
  unknown: number;
  /** A request is under way: its answer may still come. */
  asking: boolean;
  /**
   * Nothing can have left the device: it waits for credentials, or the browser says that it has no network. The
   * browser may be wrong when it says that there is one, not when it says that there is none.
   */
  unsent: boolean;
}

/**
 * A request that ended without making the missing answers fewer puts in doubt what it can have carried. What never
 * left cannot have arrived.
 */
export function doubtAfter(before: Doubted, seen: Seen, highest: number): Doubted {
  if (seen.asking) return { ...before, asked: before.asked ?? highest };
  if (seen.unknown === 0) return noDoubt;
  const fruitless = seen.unknown > before.unknown || (before.asked !== null && seen.unknown === before.unknown);
  const raised = fruitless && !seen.unsent ? (before.asked ?? highest) : 0;
  return { unknown: seen.unknown, sequence: Math.max(before.sequence, raised), asked: null };
}
