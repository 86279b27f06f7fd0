// The end of a shift: who went in, who did not, and what came to nothing. Pure.
import { type Scan, type Standing, standingOf } from "./scan.ts";

/** One line of the totals; where a ticket was used before makes no difference to a sum. */
export type Counted = Exclude<Standing, "used-here">;
export type Outcome = "in" | "out" | "void";

/** In the order of the lines. `void`: nobody can say from here whether anybody went in. */
const outcomeOf: Record<Counted, Outcome> = {
  admitted: "in",
  saved: "in",
  doubled: "in",
  "let-in": "in",
  used: "out",
  revoked: "out",
  "too-early": "out",
  expired: "out",
  "wrong-gate": "out",
  unsure: "out",
  denied: "out",
  "not-let-in": "out",
  refused: "void",
  "given-up": "void",
};
const order = Object.keys(outcomeOf) as Counted[];

export interface Part {
  outcome: Outcome;
  count: number;
  /** What there was of it, and no line for what there was not. */
  lines: readonly { word: Counted; count: number }[];
}

export interface Totals {
  all: number;
  letIn: number;
  /** The first scan that is counted; earlier ones may have been trimmed. */
  since: number | null;
  parts: readonly Part[];
}

export function totalsOf(all: readonly Scan[], gate: string): Totals {
  // Who was let in after all counts once.
  const scans = all.filter(({ overruled }) => !overruled);
  const counts = new Map<Counted, number>();
  let since: number | null = null;
  for (const scan of scans) {
    const standing = standingOf(scan, gate);
    const word = standing === "used-here" ? "used" : standing;
    counts.set(word, (counts.get(word) ?? 0) + 1);
    since = Math.min(since ?? scan.at, scan.at);
  }
  const parts = (["in", "out", "void"] as const).map((outcome): Part => {
    const lines = order
      .filter((word) => outcomeOf[word] === outcome && counts.has(word))
      .map((word) => ({ word, count: counts.get(word) ?? 0 }));
    return { outcome, lines, count: lines.reduce((sum, { count }) => sum + count, 0) };
  });
  return { all: scans.length, letIn: parts[0]?.count ?? 0, since, parts: parts.filter(({ count }) => count > 0) };
}
