// The end of a night: totals, what is left to do, the hand-over, and signing out.
import type { JSX } from "preact";
import { money } from "../../shell/figures.ts";
import type { Identity } from "../../shell/identity.ts";
import { Leaving, SumRow } from "../../shell/leave.tsx";
import { sales } from "./desk.ts";
import { tillDesk } from "./leaving.ts";
import { type Sum, totalsOf } from "./night.ts";
import { toneOf } from "./sale.ts";
import { doubt, failures } from "./till.ts";
import { wordOf } from "./wording.ts";
import { words } from "./words/index.ts";

function Figures({ sum }: { sum: Sum }): JSX.Element {
  return (
    <>
      <span>{words.value.night.count(sum.count)}</span>
      <strong>{money(sum.amount)}</strong>
    </>
  );
}

function Totals(): JSX.Element {
  const say = words.value;
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
          <SumRow key={standing} name={wordOf(standing)} tone={toneOf[standing]}>
            <Figures sum={sum} />
          </SumRow>
        ))}
      </ul>
      <h3>{say.night.byMethod}</h3>
      <ul>
        {[...byMethod].map(([method, sum]) => (
          <SumRow key={method} name={say.methods[method]}>
            <Figures sum={sum} />
          </SumRow>
        ))}
      </ul>
    </div>
  );
}

export function Night({ me }: { me: Identity }): JSX.Element {
  const say = words.value.night;
  const failed = failures.value.length;
  const waiting = sales.value.filter(({ state }) => state === "saved").length;
  const ask = (
    <>
      {say.ask} {failed > 0 && say.failed(failed)} {waiting > 0 && say.waiting(waiting)}
    </>
  );
  return (
    <Leaving me={me} desk={tillDesk} why={{ begun: say.begun, open: () => say.opened }} ask={ask}>
      <Totals />
    </Leaving>
  );
}
