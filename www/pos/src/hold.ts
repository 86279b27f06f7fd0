// An amount held by the bank now, for a capture that may be sent later. It can only be asked for online.

/**
 * `held`: the sale may go on with this reference. `unknown`: no answer that says anything; the same may be asked again
 * and holds nothing twice. `away`: the city was not there at all. The others are definite.
 */
export type HoldAnswer =
  | { kind: "held"; authRef: string }
  | { kind: "declined" | "ended" | "no-acquirer" | "already" | "pending" | "identity" | "reused" | "unknown" | "away" };

/** What an answer means. Only the city's own answer means anything. */
export function readHold(status: number, fromCity: boolean, body: unknown): HoldAnswer {
  if (!fromCity) return { kind: "away" };
  const told = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const problem = typeof told.type === "string" ? told.type.split(":").pop() : undefined;
  if (status === 200 || status === 201) {
    if (told.state === "authorized" && typeof told.authRef === "string") return { kind: "held", authRef: told.authRef };
    if (told.state === "declined") return { kind: "declined" };
    return { kind: told.state === "cancelled" ? "ended" : "unknown" };
  }
  if (status === 501) return { kind: "no-acquirer" };
  if (status === 401 || status === 403) return { kind: "identity" };
  if (status === 409 && problem === "already-paid") return { kind: "already" };
  if (status === 409 && problem === "payment-pending") return { kind: "pending" };
  if (status === 422 && problem === "idempotency-key-reused") return { kind: "reused" };
  return { kind: "unknown" };
}

export interface Wanted {
  order: string;
  intent: string;
  /** Minor units. */
  amount: number;
}

/** Asks the city. Nothing is known when the connection ends without an answer. */
export async function askHold(wanted: Wanted, token: string | null, timeoutMs: number): Promise<HoldAnswer> {
  if (!navigator.onLine) return { kind: "away" };
  try {
    const answer = await fetch("/v1/authorizations", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "idempotency-key": `"${wanted.intent}"`,
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ order: wanted.order, amount: wanted.amount, currency: "TWD" }),
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    return readHold(answer.status, answer.headers.has("conch-city"), await answer.json().catch(() => null));
  } catch {
    return { kind: navigator.onLine ? "unknown" : "away" };
  }
}
