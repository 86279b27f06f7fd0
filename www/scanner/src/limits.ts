// Every number this page decides by, with its unit and reason.
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export const gateLimits = {
  /** The same code again within this time is one hand movement, not a second visit. */
  sameTicketMs: 5_000,
  /** A code that the camera lost for longer than this was taken away; until then it is still being held up. */
  stillMs: 1_200,
  /** The city's answer before the gate opens; nobody waits longer at a turnstile, and the local rules are there. */
  claimMs: 300,
  /** After a question that was not answered the city is left alone for so long: nobody pays 300 ms a person. */
  claimRestMs: 10_000,
  /** Between two looks at the city's list. */
  listEveryMs: MINUTE_MS,
  /** One look; longer is a dead connection. */
  listTimeoutMs: 8_000,
  /** From here on the list's age is shown in amber: a ticket taken back since is not known. */
  listOldMs: 15 * MINUTE_MS,
  /** And from here on in red. It never stops the gate. */
  listStaleMs: 4 * HOUR_MS,
  /** A clock further off than this is told: tickets have whole minutes, and the city's Date whole seconds. */
  clockOffMs: 30_000,
  /** Long edge of what the decoder sees, in pixels: a whole 1080p frame costs eight megabytes and finds no more. */
  frameEdge: 960,
  /** Between the starts of two looks at the camera's picture; faster only drains the battery. */
  frameEveryMs: 100,
  /** The same while power is spared: a ticket held up for half a second is still seen twice. */
  frameSparingMs: 250,
  /** From this percentage on somebody should plug in; phones themselves warn from here. */
  batteryLow: 20,
  /** And from here on at once. */
  batteryEmpty: 10,
  /** A camera that gives no picture for so long is started again by a person. */
  frameWatchMs: 5_000,
  /** A result covers the screen for so long, unless the next ticket comes first. */
  resultShownMs: 12_000,
  /** How long "not let in" is offered. */
  notLetInMs: MINUTE_MS,
  /** How long "let in by a supervisor" is offered: one has to be fetched first. */
  letInMs: 10 * MINUTE_MS,
  /** Opened so recently, the gate opens at once after a reload: nobody runs through the checks in a queue. */
  openedMs: 12 * HOUR_MS,
  /** Records of tickets are kept for so long: a night and the morning after. */
  recordsKeptMs: 36 * HOUR_MS,
  /** Old records that leave with one event of the feed. */
  recordsSwept: 20,
} as const;
