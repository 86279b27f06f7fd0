// What is none of ours. People hold all sorts of things before a camera: nothing of it is kept but what kind it was and
// how long. The outbox has a guard of its own (src/event/pii.rs) that refuses such keys; this one looks first. Pure.

/** `text`: anything else that can be no ticket of either kind. */
export type Foreign = "card" | "national-id" | "phone" | "email" | "address" | "goods" | "text";

/** Longest plain id; old ticketing's are shorter, and longer texts are other people's codes. */
export const PLAIN_SIGNS_MAX = 40;

const LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO";

function luhn(digits: string): boolean {
  const sum = [...digits].reverse().reduce((total, sign, place) => {
    const digit = Number(sign) * (place % 2 === 0 ? 1 : 2);
    return total + (digit > 9 ? digit - 9 : digit);
  }, 0);
  return sum % 10 === 0;
}

function isCard(text: string): boolean {
  const digits = text.replace(/[ -]/g, "");
  const issued =
    /^(4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|62(\d{14}|\d{17})|65\d{14}|6011\d{12}|3[47]\d{13}|3[689]\d{12}|30[0-5]\d{11}|35(2[89]|[3-8]\d)\d{12}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})$/;
  return issued.test(digits) && luhn(digits);
}

/** Taiwan's: the letter stands for two digits, and the weighted sum divides by ten. */
function isNationalId(text: string): boolean {
  if (!/^[A-Z][1289]\d{8}$/i.test(text)) return false;
  const code = LETTERS.indexOf(text.charAt(0).toUpperCase()) + 10;
  const weights = [8, 7, 6, 5, 4, 3, 2, 1, 1];
  const rest = weights.reduce((sum, weight, place) => sum + Number(text.charAt(place + 1)) * weight, 0);
  return (Math.trunc(code / 10) + (code % 10) * 9 + rest) % 10 === 0;
}

/** The check digit of GS1: EAN-8, UPC-A, EAN-13 and GTIN-14. */
function isGoods(text: string): boolean {
  if (!/^(\d{8}|\d{12,14})$/.test(text)) return false;
  const sum = [...text].reverse().reduce((total, sign, place) => total + Number(sign) * (place % 2 === 0 ? 1 : 3), 0);
  return sum % 10 === 0;
}

/** What kind of foreign thing it is, or null for what may be a plain ticket id. */
export function foreignIn(text: string): Foreign | null {
  const code = text.trim();
  const parts = [code, ...code.split(/[-_.]/)];
  if (/^[a-z][a-z0-9+.-]*:\/\/|^www\./i.test(code)) return "address";
  if (/^[^\s@]+@[^\s@]+\.[^\s@]{2,}$/.test(code.replace(/^mailto:/i, ""))) return "email";
  if (parts.some(isCard)) return "card";
  if (parts.some(isNationalId)) return "national-id";
  if (parts.some((part) => /^(\+886|0)9\d{8}$/.test(part))) return "phone";
  if (isGoods(code)) return "goods";
  const plain = code.length <= PLAIN_SIGNS_MAX && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(code) && /\d/.test(code);
  return plain ? null : "text";
}
