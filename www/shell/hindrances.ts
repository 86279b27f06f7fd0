// What keeps a person from signing out. Pure.

/** What every page may leave behind: events the city has not judged, and dead letters nobody has decided about. */
export type Owing = "unsent" | "dead";

/** How much of what hinders, the gravest first. */
export function hindrances<Word extends string>(left: Readonly<Record<Word, number>>): readonly Word[] {
  return (Object.keys(left) as Word[]).filter((word) => left[word] > 0);
}
