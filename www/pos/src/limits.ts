// Every number the till decides by, with its unit and reason.
export const limits = {
  /** TWD digits on the keypad: 999,999 is above any stall sale and far below an unsafe number. */
  amountDigits: 6,
  /** Amounts typed before that are offered again. They share a row of a narrow phone with the total. */
  typedLately: 2,
  /** The largest of them, in minor units. */
  typedLatelyMax: 99_900,
  /** The largest total beside them, in minor units. */
  besideLatelyMax: 999_900,
  /** Minor units of one sale, lines and all: as much as the keypad takes. */
  saleMax: 99_999_900,
  /** The same amount by the same method within this time may be a second tap and is asked about, in ms. */
  repeatMs: 60_000,
  /** The caps on what is owed without money in hand: one sale without a link, in minor units. */
  capSale: 100_000,
  /** Sales of that kind that may be unsent. */
  capCount: 30,
  /** Their sum, in minor units. */
  capTotal: 1_000_000,
  /** Age of the oldest, in ms: four hours are one market night. */
  capAgeMs: 14_400_000,
  /** From this share of a cap on the gauge warns. */
  gaugeHalf: 0.5,
  gaugeHigh: 0.8,
  /** Unsent rows looked at; more than thirty with a cap never come together. */
  owedRead: 500,
  /** One request for an authorization, in ms: the city itself gives the acquirer ten seconds. */
  holdTimeoutMs: 15_000,
  /** How often the menu is asked for again, in ms: prices change between two evenings, not between two guests. */
  marketAgainMs: 600_000,
  /** Items of a menu on the screen; more is no small menu. */
  menuItems: 60,
} as const;
