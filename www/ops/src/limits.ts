// Every number the board decides by, with its unit and reason.
export const limits = {
  /** Seconds one question waits for news: the board must soon know that its own link is gone. */
  waitS: 4,
  /** Without an answer for so long, what is shown is called old: one whole question and its answer, twice. */
  staleMs: 10_000,
  /** Waits after questions without an answer; the last one repeats. */
  againMs: [1_000, 2_000, 4_000],
  /** A device listens by long polls of 25 s: one that is there is heard within a minute. */
  quietMs: 60_000,
  /** Silent for so long it is not only out of reach for a moment. */
  silentMs: 600_000,
  /** Rows of a list before the rest is folded away. */
  rows: 8,
  /** The city counts no further where it must look at each row. */
  countedMost: 1_000,
  /** Signs of the end of an order's number by which the city looks it up: at least, at most. */
  endingLength: [4, 128],
  /** Longest reason of a decision, in characters: the city keeps no longer one. */
  reasonLength: 200,
  /** How soon the desk asks again what its levers are. */
  leversEveryMs: 2_000,
  /** The delay the desk's weather imposes, in ms: long enough to see, shorter than a device's patience. */
  delayMs: 3_000,
} as const;
