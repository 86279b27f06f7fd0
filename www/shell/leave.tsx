// What the end of the work shows: what the page counted, what is left to do, the hand-over and signing out.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { Glyph, type Tone } from "./glyph.tsx";
import { exportUnsent } from "./handover.ts";
import { hindrances, type Owing } from "./hindrances.ts";
import type { Identity } from "./identity.ts";
import { type Desk, owing, signOut, signOutFailure } from "./leaving.ts";
import { bothOf, wordsOfError } from "./words/index.ts";
import { en } from "./words/leaving.en.ts";
import { zhHant } from "./words/leaving.zh-Hant.ts";

const words = bothOf(zhHant, en);

/** One line of the totals. */
export function SumRow(props: { tone?: Tone; name: string; children: ComponentChildren }): JSX.Element {
  const { tone, name, children } = props;
  return (
    <li class="sum">
      {tone !== undefined && (
        <span class={`row-sign ink-${tone}`}>
          <Glyph tone={tone} size="small" />
        </span>
      )}
      <span class="sum-name">{name}</span>
      {children}
    </li>
  );
}

/** How a page says what is left of its own, and what it asks before it signs out. */
type Ways<Own extends string> = {
  me: Identity;
  desk: Desk<Own>;
  why: Readonly<Record<Own, (count: number) => string>>;
  ask: ComponentChildren;
  /** What a person can do about what hinders, if the page knows something. */
  remedy?: ComponentChildren;
};

function SignOut<Own extends string>({ me, desk, why, ask, remedy }: Ways<Own>): JSX.Element {
  const [asked, set] = useState(false);
  const say = words.value;
  const left: Readonly<Record<string, number>> = { ...owing.value, ...desk.left.value };
  const hindered = hindrances(left);
  if (hindered.length > 0) {
    const all: Readonly<Record<string, (count: number) => string>> = {
      ...({ unsent: say.unsent, dead: say.dead } satisfies Record<Owing, unknown>),
      ...why,
    };
    return (
      <div class="note" role="status" data-testid="hindered" data-why={hindered.join(" ")}>
        <p>
          <strong>{say.hindered}</strong>
        </p>
        {hindered.map((word) => (
          <p key={word}>{all[word]?.(left[word] ?? 0)}</p>
        ))}
        {remedy}
      </div>
    );
  }
  if (!asked) {
    return (
      <button type="button" class="plain wide tall" data-testid="sign-out" onClick={() => set(true)}>
        {say.signOut}
      </button>
    );
  }
  return (
    <fieldset class="question">
      <legend>{ask}</legend>
      <button
        type="button"
        class="tone-stop wide tall"
        data-testid="sign-out-sure"
        onClick={() => void signOut(me, desk)}
      >
        {say.sure}
      </button>
      <button type="button" class="plain wide" data-testid="sign-out-back" onClick={() => set(false)}>
        {say.back}
      </button>
    </fieldset>
  );
}

/** `children` are the page's totals. */
export function Leaving<Own extends string>(props: Ways<Own> & { children: ComponentChildren }): JSX.Element {
  const { children, ...ways } = props;
  const say = words.value;
  const { unsent, dead } = owing.value;
  return (
    <div class="leaving">
      {children}
      {unsent + dead > 0 && (
        <button
          type="button"
          class="plain wide"
          data-testid="export"
          onClick={() => void exportUnsent(ways.me, ways.desk)}
        >
          {say.export}
        </button>
      )}
      <p class="ink-stop" role="alert">
        {signOutFailure.value !== null && `${say.failedTo} ${wordsOfError(signOutFailure.value)}`}
      </p>
      <SignOut {...ways} />
    </div>
  );
}
