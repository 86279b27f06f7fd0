// The id of a scan's event, drawn before the event is stored, because the city is asked under it. A UUIDv7 (RFC 9562).
export function newEventId(now: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const time = now.toString(16).padStart(12, "0");
  for (let place = 0; place < 6; place += 1) bytes[place] = Number.parseInt(time.slice(place * 2, place * 2 + 2), 16);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
