// A scan and what the screen says of it. Pure: guard, local knowledge and the meaning of verdicts are decided here.
import type { Verdict } from "conch-edge";
import type { Row } from "../../shell/book.ts";
import type { Ticket } from "../../shell/city.ts";
import type { Tone } from "../../shell/glyph.tsx";
import type { Foreign } from "./foreign.ts";
import type { First, Reason } from "./rules.ts";

/** `saved`: in the outbox or with the city, no answer yet. `used`: somebody else was admitted with this ticket. */
export type ScanState = "saved" | "admitted" | "used" | "refused" | "given-up";

/** Why somebody who was let in was turned away after all. */
export const turnedAway = ["id", "item", "left", "mistake"] as const;
export type TurnedAway = (typeof turnedAway)[number];

/** One scan; its key is the event's id. */
export interface Scan extends Row {
  ticket: string;
  state: ScanState;
  /** What the gate did. Rows of an earlier version of this page have none, and were let in. */
  decision?: "admitted" | "refused";
  /** Why it let nobody in. */
  reason?: Reason;
  /** Where the ticket was used before. */
  first?: First;
  /** The city took the event but has not told about the ticket yet. */
  accepted?: boolean;
  /** Let in, and within a minute not let in after all. */
  notLetIn?: TurnedAway;
  /** Let in by a supervisor's word, after a scan that said no. */
  letIn?: true;
  /** Said no, and a later row let them in. */
  overruled?: true;
  /** Why the city did not take the event. */
  problem?: string;
}

/** What a gate says of a ticket before it. `reason` is the city's word for a judgement, or the gate's own for a person's. */
export function scannedEvent(
  gateId: string,
  { ticket, at, decision, reason, first }: Pick<Scan, "ticket" | "at" | "decision" | "first"> & { reason?: string },
) {
  return {
    topic: "gate.auth.v2",
    type: "scanned",
    key: ticket,
    payload: {
      gateId,
      ticketId: ticket,
      ...(decision && { decision }),
      ...(reason && { reason }),
      scannedAt: at,
      ...(first && { firstGateId: first.place, firstAt: first.at }),
    },
  } as const;
}

/** `saved`: let in by this gate alone. `doubled`: let in, and found out later that it was used elsewhere. */
export type Standing =
  | "saved"
  | "admitted"
  | "doubled"
  | "used-here"
  | "used"
  | "revoked"
  | "too-early"
  | "expired"
  | "wrong-gate"
  | "unsure"
  | "denied"
  | "not-let-in"
  | "let-in"
  | "refused"
  | "given-up";

const standingOfReason: Record<Reason, Standing> = {
  revoked: "revoked",
  not_yet_valid: "too-early",
  expired: "expired",
  wrong_gate: "wrong-gate",
  duplicate: "used",
  unknown_ticket: "denied",
  unverified: "unsure",
  refused: "denied",
};

export function standingOf(scan: Scan, gate: string): Standing {
  if (scan.state === "given-up" || scan.state === "refused") return scan.state;
  if (scan.notLetIn !== undefined) return "not-let-in";
  if (scan.letIn) return "let-in";
  if (scan.decision === "refused") {
    if (scan.reason === "duplicate" && scan.first?.place === gate) return "used-here";
    return standingOfReason[scan.reason ?? "refused"] ?? "denied";
  }
  return scan.state === "used" ? "doubled" : scan.state;
}

/** What is shown: a scan on disk, or why there is none. */
export type Result =
  | { kind: "saving"; ticket: string }
  | { kind: "scan"; key: string }
  | { kind: "same"; key: string }
  | { kind: "not-ticket"; what: Foreign | "forged"; length: number }
  | { kind: "unknown-key" }
  | { kind: "error"; ticket: string; code: string };

export const toneOf: Record<Standing | Exclude<Result["kind"], "scan">, Tone> = {
  saving: "calm",
  saved: "wait",
  admitted: "good",
  doubled: "warn",
  "used-here": "warn",
  used: "warn",
  revoked: "stop",
  "too-early": "stop",
  expired: "stop",
  "wrong-gate": "stop",
  unsure: "doubt",
  denied: "stop",
  "not-let-in": "calm",
  "let-in": "good",
  refused: "stop",
  "given-up": "calm",
  same: "calm",
  "not-ticket": "stop",
  "unknown-key": "doubt",
  error: "stop",
};

/** What is heard; a person must know it with closed eyes. */
export type Sound = "accepted" | "used" | "stop" | "same";

export function soundOf(standing: Standing): Sound {
  if (standing === "admitted" || standing === "saved" || standing === "let-in") return "accepted";
  return standing === "used" || standing === "used-here" ? "used" : "stop";
}

/** Codes of the outbox that say that what was read can be no ticket. */
const noTicket: ReadonlySet<string> = new Set(["pii-in-key", "bad-key"]);

export function failedResult(ticket: string, code: string): Result {
  const isForeign = noTicket.has(code);
  return isForeign ? { kind: "not-ticket", what: "text", length: ticket.length } : { kind: "error", ticket, code };
}

/** A code that was presented lately, on the page's own monotonic clock. */
export interface Lately {
  /** The event's id, once it is stored. */
  key: string | null;
  /** What was said of it when it was none of ours. */
  answer: Result | null;
  /** When it was presented, and when it was read last. */
  sinceMs: number;
  seenMs: number;
}

export type Movement = "new" | "held" | "same";

/**
 * `held`: the camera still sees the code it has just read, which is no news. `same`: it was taken away and comes again at
 * once, or a scanner was pressed twice; that is no second visit.
 */
export function movementOf(
  lately: Pick<Lately, "sinceMs" | "seenMs"> | undefined,
  seen: { byCamera: boolean; nowMs: number },
  limits: { sameTicketMs: number; stillMs: number },
): Movement {
  if (lately === undefined) return "new";
  if (seen.byCamera && seen.nowMs - lately.seenMs < limits.stillMs) return "held";
  return seen.nowMs - lately.sinceMs < limits.sameTicketMs ? "same" : "new";
}

/** Where this device heard that a ticket was used, if it did. Rows come newest first. */
export function usedElsewhere(rows: readonly Scan[], ticket: string, freedAt: number | null): First | null {
  const row = rows.find((row) => row.ticket === ticket && row.first !== undefined);
  return row?.first === undefined || (freedAt !== null && freedAt > row.at) ? null : row.first;
}

/** Whether a person may still say that nobody went in. */
export function mayTurnAway(scan: Scan, now: number, withinMs: number): boolean {
  const inside = scan.decision === "admitted" && scan.notLetIn === undefined;
  return inside && scan.state !== "refused" && scan.state !== "given-up" && now - scan.at < withinMs;
}

/** Whether a supervisor may still let them in: only they can tell an unknown ticket's owner, or who comes back. */
export function mayLetIn(scan: Scan, now: number, withinMs: number): boolean {
  const askable = scan.decision === "refused" && (scan.reason === "unverified" || scan.reason === "duplicate");
  const stands = scan.state !== "refused" && scan.state !== "given-up" && !scan.overruled;
  return askable && stands && now - scan.at < withinMs;
}

export function afterVerdict(scan: Scan, verdict: Verdict): Scan {
  if (scan.state !== "saved" && scan.state !== "admitted") return scan;
  if (verdict.verdict === "refused") return { ...scan, state: "refused", problem: verdict.problem?.type ?? "refused" };
  if (verdict.verdict === "discarded") return { ...scan, state: "given-up" };
  return { ...scan, accepted: true };
}

/** Admitted only when the first admission is this very event. */
export function afterTicket(scan: Scan, ticket: Ticket): Scan {
  if (scan.state !== "saved") return scan;
  if (ticket.eventId === scan.key) return { ...scan, state: "admitted" };
  return { ...scan, state: "used", first: { place: ticket.gateId, at: ticket.at } };
}
