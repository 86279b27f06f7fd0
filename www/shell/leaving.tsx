// The sheet at the end of the work: what the page counted, what is left to do, the hand-over and signing out; and the
// screen that is left then.
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { Glyph, type Tone } from "./glyph.tsx";
import { hindrances, type Owing } from "./hindrances.ts";
import type { Identity } from "./identity.ts";
import { type Desk, exportUnsent, owing, signOut, signOutFailure } from "./leaving.ts";
import { Sheet } from "./sheet.tsx";
import { words, wordsOfError } from "./words/index.ts";

export const leavingShown = signal(false);
const asked = signal(false);

/** The button that opens it, in a quiet place of the page. */
export function LeavingButton({ name, label }: { name: string; label: string }): JSX.Element {
  const show = (): void => {
    asked.value = false;
    signOutFailure.value = null;
    leavingShown.value = true;
  };
  return (
    <button type="button" class="quiet wide" data-testid={name} aria-haspopup="dialog" onClick={show}>
      {label}
    </button>
  );
}

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

function Leave<Own extends string>({ me, desk, why, ask, remedy }: Ways<Own>): JSX.Element {
  const say = words.value.leaving;
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
  const set = (wish: boolean) => (): void => {
    asked.value = wish;
  };
  if (!asked.value) {
    return (
      <button type="button" class="plain wide tall" data-testid="sign-out" onClick={set(true)}>
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
      <button type="button" class="plain wide" data-testid="sign-out-back" onClick={set(false)}>
        {say.back}
      </button>
    </fieldset>
  );
}

/** `name` is the sheet's own, `children` its totals. */
export function LeavingSheet<Own extends string>(
  props: Ways<Own> & { name: string; title: string; children: ComponentChildren },
): JSX.Element {
  const { name, title, children, ...ways } = props;
  const say = words.value.leaving;
  const { unsent, dead } = owing.value;
  return (
    <Sheet open={leavingShown} name={name} title={title} close={say.close}>
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
        <Leave {...ways} />
      </div>
    </Sheet>
  );
}

export function SignedOut({ hint }: { hint: string }): JSX.Element {
  const say = words.value.leaving;
  return (
    <section class="card tone-calm" data-testid="signed-out">
      <div class="card-word">
        <Glyph tone="good" size="large" />
        <p class="word">{say.done}</p>
        <p class="hint" role="status">
          {signOutFailure.value === null ? hint : say.notWiped}
        </p>
      </div>
      <button type="button" class="on-tone wide tall" data-testid="start-again" onClick={() => location.reload()}>
        {say.start}
      </button>
    </section>
  );
}
