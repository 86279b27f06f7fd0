// Amounts and keys as people read them. Pure.

/** Minor units of TWD as dollars: 12000 is NT$120. */
export function money(minor: number): string {
  const whole = Math.trunc(minor / 100);
  const rest = minor % 100;
  const grouped = String(whole).replace(/\B(?=(\d{3})+$)/g, ",");
  return rest === 0 ? `NT$${grouped}` : `NT$${grouped}.${String(rest).padStart(2, "0")}`;
}

/** The end of a long key, enough to tell two sales apart on the telephone. */
export function shortKey(key: string): string {
  return key.length <= 12 ? key : `…${key.slice(-8)}`;
}

/** One more digit on the keypad; what does not fit is not taken. */
export function typed(amount: number, digits: string, limit: number): number {
  const next = Number(`${amount}${digits}`);
  return String(next).length > limit ? amount : next;
}

export function erased(amount: number): number {
  return Math.trunc(amount / 10);
}

/** A code as a scanner or a finger gives it, or null when it can be no key. */
export function ticketFrom(input: string, limit: number): string | null {
  const code = input.trim();
  return code.length > 0 && code.length <= limit && /^[\x21-\x7e]+$/.test(code) ? code : null;
}
