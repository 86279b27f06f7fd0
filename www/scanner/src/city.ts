// What a gate asks the city: whether to let somebody in, and the list for when it cannot ask.
import { gateLimits } from "./limits.ts";
import type { GateList } from "./list.ts";
import type { First, Reason } from "./rules.ts";

/** The city's decision about one ticket. */
export type Claimed = { decision: "admit" } | { decision: "refuse"; reason: Reason; first: First | null };

interface ClaimAnswer {
  decision: "admit" | "refuse";
  reason?: Reason;
  firstGateId?: string;
  firstAt?: number;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** Asks once, under the id of the scan's event. Null when there was no answer in time that is the city's. */
export async function claimTicket(
  claim: { ticket: string; event: string; gate: string; at: number },
  token: string,
): Promise<Claimed | null> {
  try {
    const answer = await fetch(`/v1/tickets/${encodeURIComponent(claim.ticket)}/claim`, {
      method: "POST",
      cache: "no-store",
      redirect: "error",
      headers: {
        ...bearer(token),
        "content-type": "application/json",
        "idempotency-key": `"${claim.event}"`,
        "conch-sent-at": String(Date.now()),
      },
      body: JSON.stringify({ gateId: claim.gate, scannedAt: claim.at }),
      signal: AbortSignal.timeout(gateLimits.claimMs),
    });
    if (!answer.headers.has("conch-city") || !answer.ok) return null;
    const said = (await answer.json()) as ClaimAnswer;
    if (said.decision === "admit") return { decision: "admit" };
    const first = said.firstGateId === undefined ? null : { place: said.firstGateId, at: said.firstAt ?? claim.at };
    return { decision: "refuse", reason: said.reason ?? "refused", first };
  } catch {
    return null;
  }
}

/** `same`: the list at hand still holds. Every answer of the city's also tells its clock. */
export type ListAnswer =
  | { kind: "list"; list: GateList; tag: string | null; date: string | null; askedAt: number; heardAt: number }
  | { kind: "same"; date: string | null; askedAt: number; heardAt: number }
  | { kind: "away" };

export async function askList(token: string, tag: string | null): Promise<ListAnswer> {
  const askedAt = Date.now();
  try {
    const answer = await fetch("/v1/gate", {
      cache: "no-store",
      redirect: "error",
      headers: { ...bearer(token), ...(tag === null ? {} : { "if-none-match": tag }) },
      signal: AbortSignal.timeout(gateLimits.listTimeoutMs),
    });
    const heardAt = Date.now();
    if (!answer.headers.has("conch-city")) return { kind: "away" };
    const date = answer.headers.get("date");
    if (answer.status === 304) return { kind: "same", date, askedAt, heardAt };
    if (!answer.ok) return { kind: "away" };
    const list = (await answer.json()) as GateList;
    return { kind: "list", list, tag: answer.headers.get("etag"), date, askedAt, heardAt };
  } catch {
    return { kind: "away" };
  }
}
