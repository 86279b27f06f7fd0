// A run that is cut short leaves no city and no browser behind.
const endings = new Set<() => void>();

process.once("exit", () => {
  for (const end of endings) end();
});
for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const) {
  process.once(signal, () => process.exit(code));
}

/** Remembers how to end something. Gives the way to forget it once it has ended. */
export function endsWithUs(end: () => void): () => void {
  endings.add(end);
  return () => void endings.delete(end);
}
