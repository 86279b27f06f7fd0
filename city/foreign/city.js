// The running city, as a stranger meets it: an address and nothing of ours.
import { randomUUID } from "node:crypto";

const url = process.env.CONCH_CITY_URL;
if (!url) throw new Error("CONCH_CITY_URL is not set: cargo xtask test foreign, or the address of a city with --dev");

export const SINGLE = "application/cloudevents+json";
export const BATCH = "application/cloudevents-batch+json";

/** Asks and returns status, headers and the parsed body; fails where no city answered or one failed. */
export async function ask(method, path, { token, headers = {}, body } = {}) {
  const sent = token ? { ...headers, authorization: `Bearer ${token}` } : headers;
  const answer = await fetch(url + path, { method, headers: sent, body });
  const text = await answer.text();
  if (answer.status >= 500) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  if (!answer.headers.get("conch-city")) throw new Error(`${method} ${path}: not the city's answer`);
  return { status: answer.status, headers: answer.headers, body: text && JSON.parse(text) };
}

/** The token of a device. */
export async function enrol(device, role) {
  const body = JSON.stringify({ device, role });
  const answer = await ask("POST", "/v1/dev/enrol", { headers: { "content-type": "application/json" }, body });
  return answer.body.token;
}

/** Sends one event under its key. */
export function send(token, key, body, headers = { "content-type": SINGLE }) {
  return ask("POST", "/v1/events", { token, headers: { ...headers, "idempotency-key": `"${key}"` }, body });
}

/** A good event on a topic of nobody's, as members. */
export function note(device, members = {}) {
  return {
    specversion: "1.0",
    id: randomUUID(),
    source: `conch://device/${device}/life-1`,
    type: "stall.note.v1.said",
    time: new Date().toISOString(),
    partitionkey: "n-1",
    data: { text: "the ice is out" },
    ...members,
  };
}

/** The verdict on one event, or the code of the problem. */
export function word({ status, body }) {
  if (status >= 400) return body.type.replace("urn:conch:problem:", "");
  const [verdict] = body.verdicts;
  return verdict.problem?.type.replace("urn:conch:problem:", "") ?? verdict.verdict;
}
