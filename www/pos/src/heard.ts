// What the city says to this till on its feed, as records that change in the transaction which remembers the event:
// money that went back, and power that goes. Pure.
import type { Json, Outcome, Put } from "conch-edge";
import { powerPut, saidAt } from "../../shell/cut.ts";

export const REFUNDS = "refunds";

/** `found`: it moved twice. `commanded`: the acquirer was told to give it back. `refunded`: it went back. */
export type RefundState = "found" | "commanded" | "refunded";

export interface Refund {
  order: string;
  state: RefundState;
  /** Minor units, null where the city named none. */
  amount: number | null;
  /** Why, as a code. */
  reason: string;
  /** What a bank or a hotline can look up. */
  reference: string;
  /** When the city said so. */
  at: number;
}

const refundStates: Record<string, RefundState> = {
  duplicate_captured: "found",
  refund_commanded: "commanded",
  refunded: "refunded",
};

function member(payload: Json, name: string): Json | undefined {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload) ? payload[name] : undefined;
}

function text(payload: Json, name: string): string | null {
  const value = member(payload, name);
  return typeof value === "string" ? value : null;
}

function number(payload: Json, name: string): number | null {
  const value = member(payload, name);
  return typeof value === "number" ? value : null;
}

function refundOf(event: Outcome, now: number): { name: string; refund: Refund } | null {
  const state = refundStates[event.type];
  const name = text(event.payload, "dupTxnId");
  if (state === undefined || name === null) return null;
  const refund = {
    order: event.key,
    state,
    amount: number(event.payload, "amount"),
    reason: text(event.payload, "reason") ?? "captured_twice",
    reference: name,
    at: saidAt(event, now),
  };
  return { name, refund };
}

/** What an event of the feed changes. */
export function effectsOf(event: Outcome, now: number): { put: Put<object>[] } | undefined {
  if (event.topic.startsWith("pay.txn.")) {
    const found = refundOf(event, now);
    return found === null ? undefined : { put: [{ collection: REFUNDS, key: found.name, value: found.refund }] };
  }
  const power = powerPut(event, now);
  return power === null ? undefined : { put: [power] };
}
