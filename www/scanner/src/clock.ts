// This device's clock against the city's `Date`. Pure.

/** How far the city's clock is ahead, in ms, and how far that may be wrong. */
export interface Skew {
  aheadMs: number;
  doubtMs: number;
}

/** From one answer: `Date` has whole seconds, and it was said some time between asking and hearing. */
export function skewOf(date: string | null, askedAt: number, heardAt: number): Skew | null {
  const said = Date.parse(date ?? "");
  if (Number.isNaN(said) || heardAt < askedAt) return null;
  return { aheadMs: said + 500 - (askedAt + heardAt) / 2, doubtMs: 500 + (heardAt - askedAt) / 2 };
}

/** Whether a person should be told. */
export function isOff(skew: Skew | null, offMs: number): boolean {
  return skew !== null && Math.abs(skew.aheadMs) - skew.doubtMs > offMs;
}

/** Now as the city's clock would have it, so that a wrong clock opens no gate to tomorrow's tickets. */
export function corrected(now: number, skew: Skew | null, offMs: number): number {
  return skew !== null && isOff(skew, offMs) ? now + skew.aheadMs : now;
}
