// Questions to the city and enrolment. An answer without the city's own header is somebody else's and is no answer.
import { nudgedOrAfter, rung } from "./events.ts";
import { limits } from "./limits.ts";

export interface Order {
  key: string;
  state: "captured" | "open" | "pending" | "failed";
  eventId: string;
  device: string;
  amount: number;
  currency: string;
  method: string;
  reason?: string;
  at: number;
}

export interface Ticket {
  key: string;
  state: "admitted";
  eventId: string;
  device: string;
  gateId: string;
  at: number;
  scans: number;
}

export interface Enrolled {
  device: string;
  role: string;
  token: string;
}

/** `unknown`: the city does not know it (yet). `away`: no answer that proves it is the city's. */
export type Answer<T> =
  | { kind: "found"; value: T }
  | { kind: "unknown" }
  | { kind: "refused"; status: number }
  | { kind: "away" };

export async function ask<T>(path: string, init: RequestInit): Promise<Answer<T>> {
  try {
    const answer = await fetch(path, {
      ...init,
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(limits.askTimeoutMs),
    });
    if (!answer.headers.has("conch-city") || answer.status >= 500 || answer.status === 429) return { kind: "away" };
    if (answer.status === 404) return { kind: "unknown" };
    if (!answer.ok) return { kind: "refused", status: answer.status };
    return { kind: "found", value: (await answer.json()) as T };
  } catch {
    return { kind: "away" };
  }
}

export function authorized(token: string | null): { headers?: Record<string, string> } {
  return token === null ? {} : { headers: { authorization: `Bearer ${token}` } };
}

export function askOrder(key: string, token: string | null): Promise<Answer<Order>> {
  return ask(`/v1/orders/${encodeURIComponent(key)}`, authorized(token));
}

export function askTicket(key: string, token: string | null): Promise<Answer<Ticket>> {
  return ask(`/v1/tickets/${encodeURIComponent(key)}`, authorized(token));
}

/** What anybody may know of the market: its stalls and their menus. The page reads it with care. */
export function askMarket(): Promise<Answer<unknown>> {
  return ask("/v1/market", {});
}

export function sent(method: "POST" | "PUT", body: object): RequestInit & { headers: Record<string, string> } {
  return { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

export function enrolWithCode(code: string, device: string): Promise<Answer<Enrolled>> {
  return ask("/v1/enrol", sent("POST", { code, device }));
}

/** Only a city in development answers this with anything but 404. */
export function enrolForDevelopment(device: string, role: string): Promise<Answer<Enrolled>> {
  return ask("/v1/dev/enrol", sent("POST", { device, role }));
}

/** Asks until there is a definite answer: "unknown" and silence are both "not yet". */
export async function askUntilKnown<T>(question: () => Promise<Answer<T>>): Promise<T> {
  for (let step = 0; ; step += 1) {
    const answer = await inTurn(question);
    if (answer.kind === "found") return answer.value;
    await nudgedOrAfter(rung(limits.askAgainMs, step));
  }
}

let last: Promise<unknown> = Promise.resolve();

/** One question at a time: a page with forty open rows must not open forty connections. */
function inTurn<T>(question: () => Promise<T>): Promise<T> {
  const mine = last.then(question);
  last = mine.catch(() => undefined);
  return mine;
}
