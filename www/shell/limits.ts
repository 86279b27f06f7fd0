// Every number the pages decide by, with its unit and reason.
export const limits = {
  /** The same code again within this time is one hand movement, not a second visit. */
  sameTicketMs: 5_000,
  /** Keyboard scanners type a code with less than this between two signs; no person does. */
  burstMs: 100,
  /** Rows on screen; more would be scrolled past at a gate. */
  rowsShown: 20,
  /** Rows kept: a whole night, so that a ticket seen hours ago is still known without a connection. */
  rowsKept: 2_000,
  /** One question to the city; longer is a dead connection. */
  askTimeoutMs: 8_000,
  /** Waits between two questions about one outcome; the last one repeats. */
  askAgainMs: [250, 500, 1_000, 2_000, 5_000, 15_000, 30_000],
  /** A further share of each wait, drawn at random, so that a market does not ask in step. */
  askJitter: 0.3,
  /** Waits between two enrolments that found no city; the last one repeats. */
  enrolAgainMs: [2_000, 5_000, 15_000, 30_000],
  /** Keys are 1 to 128 printable characters (the SDK's rule). */
  keyLength: 128,
  /** Dead letters fetched for the sheet. */
  deadShown: 100,
  /** Rows in the file for a supervisor: as many as an outbox may owe. */
  exported: 100_000,
  /** A tap sooner than this after a button appeared was meant for what stood there before: nobody reads and taps faster. */
  meantMs: 500,
  /** How long a told cut matters when nobody says that power is back, in ms: longer than one market night. */
  shedShownMs: 21_600_000,
  /** How long it is told that power is back, in ms. */
  restoredShownMs: 60_000,
  /** So long a page waits for the words of the remembered language; then it starts in Chinese rather than stay blank. */
  wordsMs: 3_000,
  /** Countdown on the status bar. */
  tickMs: 1_000,
} as const;
