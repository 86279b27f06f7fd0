// A ticket's code as the city writes it (city/src/ticket_code.rs), read here without the city. Pure.

/** What a code says. Whether it is true only its signature shows. */
export interface TicketCode {
  /** Number of the key that signed it. */
  key: number;
  /** The ticket's id. */
  ticket: string;
  /** UTC, whole minutes; null when open. */
  validFrom: number | null;
  validUntil: number | null;
  class: string;
  /** What was signed, and the signature over it. */
  said: Uint8Array<ArrayBuffer>;
  signature: Uint8Array<ArrayBuffer>;
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const VERSION = 1;
/** Bytes before the class, and of the signature. */
const FIXED = 18;
const SIGNATURE = 64;
/** 2025-01-01T00:00:00Z, from which minutes are counted. */
const EPOCH_MS = 1_735_689_600_000;
const MINUTE_MS = 60_000;
export const CODE_SIGNS_MAX = 148;

/** Crockford's base 32 as people type it; null where it is not what an encoder writes. */
export function fromBase32(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const typed of text.toUpperCase()) {
    const sign = typed === "O" ? "0" : typed === "I" || typed === "L" ? "1" : typed;
    const value = ALPHABET.indexOf(sign);
    if (value < 0) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
    }
    held &= (1 << bits) - 1;
  }
  return held === 0 && bits < 5 ? Uint8Array.from(bytes) : null;
}

export function toBase32(bytes: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET.charAt((held << (5 - bits)) & 31) : text;
}

function moment(bytes: Uint8Array): number | null {
  const minutes = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return minutes === 0 ? null : EPOCH_MS + minutes * MINUTE_MS;
}

/** Reads a code, or null for what is none. The signature is not looked at. */
export function readCode(text: string): TicketCode | null {
  const typed = text.trim();
  if (typed.length > CODE_SIGNS_MAX) return null;
  const bytes = fromBase32(typed);
  if (bytes === null || bytes.length <= FIXED + SIGNATURE || bytes[0] !== VERSION) return null;
  const said = bytes.slice(0, bytes.length - SIGNATURE);
  const name = String.fromCharCode(...said.subarray(FIXED));
  if (!/^[a-z0-9-]{1,10}$/.test(name)) return null;
  return {
    key: said[1] ?? 0,
    ticket: `t-${toBase32(said.subarray(2, 12))}`,
    validFrom: moment(said.subarray(12, 15)),
    validUntil: moment(said.subarray(15, FIXED)),
    class: name,
    said,
    signature: bytes.slice(said.length),
  };
}

export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const pairs = text.match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** What a ticket is called where its id must not stand: the first eight bytes of SHA-256 over the id. */
export async function digestOf(ticket: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(ticket));
  return Array.from(new Uint8Array(hash, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
