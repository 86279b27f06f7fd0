// What a person does from the board: decisions, and in development the levers of the weather desk.
import { type Answer, ask, authorized, sent } from "../../shell/city.ts";
import { tokenAtHand } from "../../shell/identity.ts";
import { limits } from "./limits.ts";

/** `decided`: somebody was faster, or it goes by itself. */
export type Done = "done" | "decided" | "gone" | "refused" | "away";

function doneOf(answer: Answer<unknown>): Done {
  if (answer.kind === "found") return "done";
  if (answer.kind === "unknown") return "gone";
  if (answer.kind === "away") return "away";
  return answer.status === 409 ? "decided" : answer.status === 410 ? "gone" : "refused";
}

async function send(method: "POST" | "PUT", path: string, body: object): Promise<Done> {
  const { headers, ...init } = sent(method, body);
  const own = { ...init, headers: { ...headers, ...authorized(tokenAtHand()).headers } };
  return doneOf(await ask<unknown>(path, own));
}

export function decideLetter(number: number, what: "redrive" | "discard", reason: string): Promise<Done> {
  return send("POST", `/v1/dead-letters/${number}/${what}`, { reason });
}

export function decideRefund(txn: string, what: "retry" | "settle", reason: string): Promise<Done> {
  return send("POST", `/v1/sagas/${encodeURIComponent(txn)}/${what}`, { reason });
}

export function writeOff(device: string, reason: string): Promise<Done> {
  return send("POST", `/v1/devices/${encodeURIComponent(device)}/write-off`, { reason });
}

export type Sky = "clear" | "drop-request" | "drop-answer" | "delay" | "status-503" | "status-429" | "captive-html";

export interface Levers {
  weather: Record<string, { mode: Sky; count?: number }>;
  /** What goes wrong at the simulated acquirer; null when none is simulated. */
  faults: string | null;
}

/** `known` is kept while the city is not heard; null when it has no levers. */
export async function readLevers(known: Levers | null): Promise<Levers | null> {
  const weather = await ask<Pick<Levers, "weather">>("/v1/dev/weather", authorized(tokenAtHand()));
  const faults = await ask<{ faults: string }>("/v1/dev/acquirer", authorized(tokenAtHand()));
  if (weather.kind === "away" || faults.kind === "away") return known;
  if (weather.kind !== "found") return null;
  return { ...weather.value, faults: faults.kind === "found" ? faults.value.faults : null };
}

export async function setWeather(devices: readonly string[], mode: Sky): Promise<Done> {
  const sky = mode === "delay" ? { mode, delayMs: limits.delayMs } : { mode };
  let worst: Done = "done";
  for (const device of devices) {
    const done = await send("PUT", `/v1/dev/weather/${encodeURIComponent(device)}`, sky);
    if (done !== "done") worst = done;
  }
  return worst;
}

export function setFaults(faults: string): Promise<Done> {
  return send("PUT", "/v1/dev/acquirer", { faults });
}

export function reportLoad(circuit: string, stall: string, watts: number): Promise<Done> {
  return send("POST", "/v1/dev/loads", { circuit, stall, watts });
}
