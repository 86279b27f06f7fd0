// A scan and what the screen says of it. Pure: guard, local knowledge and the meaning of verdicts are decided here.
import type { Verdict } from "conch-edge";
import type { Row } from "../../shell/book.ts";
import type { Ticket } from "../../shell/city.ts";
import type { Tone } from "../../shell/glyph.tsx";

/** `saved`: in the outbox or with the city, no answer yet. `used`: somebody was admitted with this ticket before. */
export type ScanState = "saved" | "admitted" | "used" | "refused" | "given-up";

/** One scan; its key is the event's id. */
export interface Scan extends Row {
  ticket: string;
  state: ScanState;
  /** The city took the event but has not told about the ticket yet. */
  accepted?: boolean;
  /** When this device scanned the same ticket before. */
  earlierAt?: number;
  /** The first admission, for `used`. */
  first?: { place: string; at: number };
  reason?: string;
}

export type Standing = "saved" | "used-here" | "admitted" | "used" | "refused" | "given-up";

export function standingOf(scan: Scan): Standing {
  return scan.state === "saved" && scan.earlierAt !== undefined ? "used-here" : scan.state;
}

/** What covers the screen: a scan on disk, or why there is none. */
export type Result =
  | { kind: "saving"; ticket: string }
  | { kind: "scan"; key: string }
  | { kind: "same"; key: string }
  | { kind: "not-ticket"; code: string }
  | { kind: "error"; ticket: string; code: string };

export const toneOf: Record<Standing | Exclude<Result["kind"], "scan">, Tone> = {
  saving: "calm",
  saved: "wait",
  "used-here": "warn",
  admitted: "good",
  used: "warn",
  refused: "stop",
  "given-up": "calm",
  same: "calm",
  "not-ticket": "stop",
  error: "stop",
};

/** Codes that say that what was read can be no ticket. It may be somebody's bank card: it is not shown again. */
const noTicket: ReadonlySet<string> = new Set(["pii-in-key", "bad-key"]);

export function failedResult(ticket: string, code: string): Result {
  return noTicket.has(code) ? { kind: "not-ticket", code } : { kind: "error", ticket, code };
}

/** The last ticket taken, on the page's own monotonic clock. */
export interface Last {
  ticket: string;
  key: string | null;
  sinceMs: number;
}

/** True for a code that is still in the same hand: it is not a second visit. */
export function isSameMovement(last: Last | null, ticket: string, nowMs: number, guardMs: number): boolean {
  return last !== null && last.ticket === ticket && nowMs - last.sinceMs < guardMs;
}

/** The latest time this device scanned the ticket and it was not turned away. Rows come newest first. */
export function earlierScan(rows: readonly Scan[], ticket: string): number | undefined {
  return rows.find((row) => row.ticket === ticket && row.state !== "refused" && row.state !== "given-up")?.at;
}

export function afterVerdict(scan: Scan, verdict: Verdict): Scan {
  if (scan.state !== "saved") return scan;
  if (verdict.verdict === "refused") return { ...scan, state: "refused", reason: verdict.problem?.type ?? "refused" };
  if (verdict.verdict === "discarded") return { ...scan, state: "given-up" };
  return { ...scan, accepted: true };
}

/** Admitted only when the first admission is this very event. */
export function afterTicket(scan: Scan, ticket: Ticket): Scan {
  if (scan.state !== "saved") return scan;
  if (ticket.eventId === scan.key) return { ...scan, state: "admitted" };
  return { ...scan, state: "used", first: { place: ticket.gateId, at: ticket.at } };
}
