// The end of a night: totals, what is left to do, the hand-over, and signing out.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { money } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import type { Identity } from "../../shell/identity.ts";
import { words, wordsOfError } from "../../shell/words/index.ts";
import { sales } from "./desk.ts";
import { exportUnsent, left, signOut, signOutFailure } from "./leaving.ts";
import { type Hindrance, hindrances, type Sum, totalsOf } from "./night.ts";
import { toneOf } from "./sale.ts";
import { Sheet } from "./sheet.tsx";
import { doubt, failures } from "./till.ts";
import { wordOf } from "./wording.ts";

const open = signal(false);
const asked = signal(false);

export function showNight(): void {
  asked.value = false;
  signOutFailure.value = null;
  open.value = true;
}

function SumRow({ name, sum, sign }: { name: string; sum: Sum; sign?: JSX.Element }): JSX.Element {
  return (
    <li class="sum">
      {sign}
      <span class="sum-name">{name}</span>
      <span>{words.value.pos.night.count(sum.count)}</span>
      <strong>{money(sum.amount)}</strong>
    </li>
  );
}

function Totals(): JSX.Element {
  const say = words.value.pos;
  const { byStanding, byMethod, all } = totalsOf(sales.value, doubt.value);
  if (sales.value.length === 0) return <p>{say.night.none}</p>;
  return (
    <div class="totals" data-testid="totals">
      <p class="figure" data-testid="total-all">
        {money(all.amount)}
      </p>
      <p class="fine">
        {say.night.all} · {say.night.count(all.count)}
      </p>
      <h3>{say.night.byState}</h3>
      <ul>
        {[...byStanding].map(([standing, sum]) => (
          <SumRow
            key={standing}
            name={wordOf(standing)}
            sum={sum}
            sign={
              <span class={`row-sign ink-${toneOf[standing]}`}>
                <Glyph tone={toneOf[standing]} size="small" />
              </span>
            }
          />
        ))}
      </ul>
      <h3>{say.night.byMethod}</h3>
      <ul>
        {[...byMethod].map(([method, sum]) => (
          <SumRow key={method} name={say.methods[method]} sum={sum} />
        ))}
      </ul>
    </div>
  );
}

function Hindered({ hindered }: { hindered: readonly Hindrance[] }): JSX.Element {
  const say = words.value.pos.night;
  const { unsent, dead, begun } = left.value;
  const why: Record<Hindrance, string> = {
    unsent: say.unsent(unsent),
    dead: say.dead(dead),
    begun: say.begun(begun),
    open: say.opened,
  };
  return (
    <div class="note" role="status" data-testid="hindered" data-why={hindered.join(" ")}>
      <p>
        <strong>{say.hindered}</strong>
      </p>
      {hindered.map((word) => (
        <p key={word}>{why[word]}</p>
      ))}
    </div>
  );
}

function Leave({ me }: { me: Identity }): JSX.Element {
  const say = words.value.pos.night;
  const hindered = hindrances(left.value);
  const failed = failures.value.length;
  const waiting = sales.value.filter(({ state }) => state === "saved").length;
  if (hindered.length > 0) return <Hindered hindered={hindered} />;
  if (!asked.value) {
    return (
      <button
        type="button"
        class="plain wide tall"
        data-testid="sign-out"
        onClick={() => {
          asked.value = true;
        }}
      >
        {say.signOut}
      </button>
    );
  }
  return (
    <fieldset class="question">
      <legend>
        {say.ask} {failed > 0 && say.failed(failed)} {waiting > 0 && say.waiting(waiting)}
      </legend>
      <button type="button" class="tone-stop wide tall" data-testid="sign-out-sure" onClick={() => void signOut(me)}>
        {say.sure}
      </button>
      <button
        type="button"
        class="plain wide"
        data-testid="sign-out-back"
        onClick={() => {
          asked.value = false;
        }}
      >
        {say.back}
      </button>
    </fieldset>
  );
}

export function NightSheet({ me }: { me: Identity }): JSX.Element {
  const say = words.value.pos.night;
  const { unsent, dead } = left.value;
  return (
    <Sheet open={open} name="night" title={say.title} close={say.close}>
      <div class="night">
        <Totals />
        {unsent + dead > 0 && (
          <button type="button" class="plain wide" data-testid="export" onClick={() => void exportUnsent(me)}>
            {say.export}
          </button>
        )}
        <p class="ink-stop" role="alert">
          {signOutFailure.value !== null && `${say.failedTo} ${wordsOfError(signOutFailure.value)}`}
        </p>
        <Leave me={me} />
      </div>
    </Sheet>
  );
}
