// What a person can do about a sale the city has not taken. Pure: the table of reasons and ways out.
import type { DeadLetter } from "conch-edge";

/**
 * `send-again`: as it is. `other-way`: the same order by another method. `enter-again`: given up, and put together anew
 * under a new number. `void`: given up.
 */
export type Remedy = "send-again" | "other-way" | "enter-again" | "void";
export type Advice = "already" | "enrol" | "unreadable" | "expired" | "failed" | "refused";

export interface Way {
  advice: Advice;
  remedies: readonly Remedy[];
}

/** The order has its money or its promise: whatever is sent for it again is refused again. */
const settled = new Set(["already_paid", "already_promised"]);
/** The device is at fault, not the sale. */
const device = new Set(["role_forbids_topic", "foreign_source"]);
/** Sent again unchanged, the same sale is as unreadable as before. */
const content = new Set([
  "bad_payload",
  "unreadable_event",
  "event_too_large",
  "unknown_version",
  "unknown_type",
  "intent_conflict",
  "intent_mismatch",
  "payload_changed",
]);

export function codeOfProblem(type: string | undefined): string {
  return (type ?? "").split(":").pop()?.replaceAll("-", "_") ?? "";
}

export function wayOut({ reason, problem }: Pick<DeadLetter, "reason" | "problem">): Way {
  // Without an answer it may have arrived: only the very same may go again.
  if (reason === "expired") return { advice: "expired", remedies: ["send-again", "void"] };
  const code = codeOfProblem(problem?.type);
  if (settled.has(code)) return { advice: "already", remedies: ["void"] };
  if (device.has(code)) return { advice: "enrol", remedies: ["send-again", "void"] };
  if (reason === "poison" || content.has(code)) return { advice: "unreadable", remedies: ["enter-again", "void"] };
  return { advice: "refused", remedies: ["send-again", "other-way", "void"] };
}

/** The city took the event and the money could not be taken: a further attempt of the same order may be. */
export function wayOutOfFailure(reason: string | undefined): Way {
  if (settled.has(reason ?? "") || reason === "amount_mismatch") return { advice: "already", remedies: ["void"] };
  return { advice: "failed", remedies: ["other-way", "enter-again", "void"] };
}
