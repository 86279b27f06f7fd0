import type { Words } from "./shift.zh-Hant.ts";

export const en: Words = {
  people: (count) => `${count} let in`,
  of: (count, since) => `of ${count} ${count === 1 ? "scan" : "scans"} since ${since}`,
  none: "No scans yet",
  parts: { in: "Let in", out: "Not let in", void: "Not counted" },
  lines: {
    admitted: "Confirmed",
    saved: "Offline, not confirmed",
    doubled: "Used twice, found later",
    "let-in": "By a supervisor's word",
    used: "Already used",
    revoked: "Taken back",
    "too-early": "Too early",
    expired: "Expired",
    "wrong-gate": "Wrong gate",
    unsure: "Could not be looked up",
    denied: "Not valid",
    "not-let-in": "Scanned, did not go in",
    refused: "Not accepted by the city",
    "given-up": "Given up",
  },
  unstored: (count) =>
    `${count} scanned but not stored. Scan again if they are still here; if nobody went in, tap below.`,
  nobody: "Nobody went in, forget it",
  waiting: (count) => `${count} still being looked up: this phone will not show what became of them.`,
  ask: "The sign-in, ticket list and scans on this phone will be erased and cannot be brought back. Sure?",
};
