// Ed25519 (RFC 8032): by the browser where it can, else by a library of our own origin, loaded when first needed.
import { fromHex, type TicketCode } from "./ticket.ts";

/** A key of the city's: its number in the codes, and the public half in hex. */
export interface TicketKey {
  number: number;
  public: string;
}

/** `unknown-key`: nobody here can say; it may be signed by a key that is newer than the list. */
export type Authenticity = "genuine" | "forged" | "unknown-key";

const imported = new Map<string, Promise<CryptoKey | null>>();

/** The browser's own key, or null where it knows no Ed25519. */
function keyOf(hex: string): Promise<CryptoKey | null> {
  const known = imported.get(hex);
  if (known !== undefined) return known;
  const fresh = crypto.subtle.importKey("raw", fromHex(hex), { name: "Ed25519" }, false, ["verify"]).catch(() => null);
  imported.set(hex, fresh);
  return fresh;
}

export async function checkSignature(code: TicketCode, keys: readonly TicketKey[]): Promise<Authenticity> {
  const own = keys.find((key) => key.number === code.key);
  if (own === undefined) return "unknown-key";
  const key = await keyOf(own.public);
  const genuine =
    key === null
      ? await byLibrary(code, own.public)
      : await crypto.subtle.verify({ name: "Ed25519" }, key, code.signature, code.said);
  return genuine ? "genuine" : "forged";
}

export async function byLibrary(code: TicketCode, hex: string): Promise<boolean> {
  const { verifyAsync } = await import("@noble/ed25519");
  // The city's own check is as strict.
  return verifyAsync(code.signature, code.said, fromHex(hex), { zip215: false }).catch(() => false);
}
