// The end of a shift: its totals, and what is asked before signing out.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Identity } from "../../shell/identity.ts";
import { Leaving, SumRow } from "../../shell/leave.tsx";
import { bothOf, dayTimeOf } from "../../shell/words/index.ts";
import { dropUnstored, scans, unstored } from "./gate.ts";
import { gateDesk } from "./leaving.ts";
import { standingOf, toneOf } from "./scan.ts";
import { totalsOf } from "./shift.ts";
import { en } from "./words/shift.en.ts";
import { zhHant } from "./words/shift.zh-Hant.ts";

const words = bothOf(zhHant, en);

function Totals({ me }: { me: Identity }): JSX.Element {
  const say = words.value;
  const { all, letIn, since, parts } = totalsOf(scans.value, me.place);
  if (since === null) return <p>{say.none}</p>;
  return (
    <div class="totals" data-testid="totals">
      <p class="figure" data-testid="let-in">
        {say.people(letIn)}
      </p>
      <p class="fine">{say.of(all, dayTimeOf(since))}</p>
      {parts.map(({ outcome, count, lines }) => (
        <section key={outcome}>
          <h3>
            {say.parts[outcome]} · {count}
          </h3>
          <ul>
            {lines.map(({ word, count }) => (
              <SumRow key={word} name={say.lines[word]} tone={toneOf[word]}>
                <strong data-testid={`sum-${word}`}>{count}</strong>
              </SumRow>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

function Unstored(): JSX.Element | null {
  if (unstored.value.size === 0) return null;
  return (
    <button type="button" class="plain wide" data-testid="drop-unstored" onClick={dropUnstored}>
      {words.value.nobody}
    </button>
  );
}

export function Shift({ me }: { me: Identity }): JSX.Element {
  const say = words.value;
  const desk = useMemo(() => gateDesk(me), [me]);
  const waiting = scans.value.filter((scan) => standingOf(scan, me.place) === "saved").length;
  return (
    <Leaving
      me={me}
      desk={desk}
      why={{ unstored: say.unstored }}
      ask={`${say.ask}${waiting > 0 ? ` ${say.waiting(waiting)}` : ""}`}
      remedy={<Unstored />}
    >
      <Totals me={me} />
    </Leaving>
  );
}
