// The order in which a ticket is judged without the city. Pure. Whether it is ours and genuine is asked before; here
// validity comes before use, so that a ticket that was taken back is never called a duplicate.
import type { GateList } from "./list.ts";

/** A ticket before the gate. A plain id says nothing of itself. */
export type Shown =
  | { kind: "signed"; ticket: string; validFrom: number | null; validUntil: number | null }
  | { kind: "plain"; ticket: string };

/** The city's words for them. `unverified`: only the city could tell, and it is away. */
export type Reason =
  | "revoked"
  | "not_yet_valid"
  | "expired"
  | "wrong_gate"
  | "duplicate"
  | "unknown_ticket"
  | "unverified"
  | "refused";

/** Where somebody was let in with the ticket before. */
export interface First {
  place: string;
  at: number;
}

/** What this gate knows of the ticket. */
export interface Known {
  list: GateList | null;
  digest: string;
  gate: string;
  /** Now, as the city's clock would have it. */
  now: number;
  /** When this device let somebody in with it. */
  here: First | null;
  /** Where another gate did, as the city told. */
  elsewhere: First | null;
}

export type Judgement =
  | { decision: "admitted" }
  | { decision: "refused"; reason: Reason; first?: First }
  /** Only the city can tell; without it nobody is let in. */
  | { decision: "unsure" };

/** Valid? Taken back? The time and the gate? Used here, used elsewhere? The first that says no is the answer. */
export function judge(shown: Shown, known: Known): Judgement {
  const { list, digest, gate, now } = known;
  if (list?.revoked.includes(digest)) return { decision: "refused", reason: "revoked" };
  if (shown.kind === "signed") {
    const { validFrom, validUntil } = shown;
    if (validFrom !== null && now < validFrom) return { decision: "refused", reason: "not_yet_valid" };
    if (validUntil !== null && validUntil <= now) return { decision: "refused", reason: "expired" };
  }
  const gates = list?.bound.find((bound) => bound.digest === digest)?.gates;
  if (gates !== undefined && !gates.includes(gate)) return { decision: "refused", reason: "wrong_gate" };
  const first = known.here ?? known.elsewhere;
  if (first !== null) return { decision: "refused", reason: "duplicate", first };
  if (shown.kind === "plain" && list?.policy !== "any") return { decision: "unsure" };
  return { decision: "admitted" };
}
