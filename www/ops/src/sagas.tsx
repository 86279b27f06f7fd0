// Refunds as the city's own table of states: the lines are the moves it allows, the counts how many stand where.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { money, shortKey } from "../../shell/figures.ts";
import { decideRefund } from "./act.ts";
import { type Choice, Decide } from "./decide.tsx";
import { stageOf } from "./judge.ts";
import { ago, None, Panel, Rows, shownOf } from "./panel.tsx";
import type { Board, Saga, Stage } from "./shapes.ts";
import { words } from "./words/index.ts";

const picked = signal("stuck");

/** Middle points of the states on a ground of 300 by 234; the sheet of styles places the buttons there. */
const places: Record<string, [number, number]> = {
  found: [41, 130],
  commanded: [150, 56],
  refunded: [259, 84],
  settled: [259, 176],
  stuck: [150, 203],
};
/** Half of a button, with the air around it. */
const [WIDE, HIGH] = [43, 31];

function Line({ from, to, both }: { from: string; to: string; both: boolean }): JSX.Element | null {
  const [a, b] = [places[from], places[to]];
  if (a === undefined || b === undefined) return null;
  // A move to itself is a loop above.
  if (from === to) return <path d={`M${a[0] - 22} ${a[1] - HIGH}c0 -24 44 -24 44 -3`} marker-end="url(#tip)" />;
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  const [ux, uy] = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
  // Lines begin and end at the edge of a button, and those that go both ways lie beside each other.
  const edge = 1 / Math.max(Math.abs(ux) / WIDE, Math.abs(uy) / HIGH);
  const beside = both ? 7 : 0;
  const point = ([x, y]: [number, number], by: number): string =>
    `${x + ux * by - uy * beside} ${y + uy * by + ux * beside}`;
  return <path d={`M${point(a, edge)}L${point(b, -edge)}`} marker-end="url(#tip)" />;
}

function Diagram({ board }: { board: Board }): JSX.Element {
  const say = words.value.sagas;
  return (
    <div class="diagram">
      <svg viewBox="0 0 300 234" role="img" aria-label={say.picture}>
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0L8 4L0 8z" class="tip" />
          </marker>
        </defs>
        {board.sagaMoves.map(([from, to]) => (
          <Line
            key={`${from} ${to}`}
            from={from}
            to={to}
            both={board.sagaMoves.some(([other, back]) => other === to && back === from)}
          />
        ))}
      </svg>
      {board.sagas.map((stage) => (
        <State key={stage.state} stage={stage} />
      ))}
    </div>
  );
}

function State({ stage }: { stage: Stage }): JSX.Element {
  const say = words.value.sagas;
  const name = say.states[stage.state] ?? stage.state;
  const alarming = stage.state === "stuck" && stage.total > 0;
  return (
    <button
      type="button"
      class={`state state-${stage.state} ${alarming ? "tone-stop" : "plain"}`}
      aria-pressed={picked.value === stage.state}
      data-testid={`saga-${stage.state}`}
      data-count={stage.total}
      onClick={() => {
        picked.value = stage.state;
      }}
    >
      <span class="state-count">{stage.total}</span>
      <span class="state-name">{name}</span>
    </button>
  );
}

function choicesOf(saga: Saga, state: string): Choice[] {
  const say = words.value.sagas;
  const retry: Choice = {
    name: "retry",
    label: say.retry,
    grave: false,
    take: (reason) => decideRefund(saga.dupTxnId, "retry", reason),
  };
  const settle: Choice = {
    name: "settle",
    label: say.settle,
    grave: true,
    take: (reason) => decideRefund(saga.dupTxnId, "settle", reason),
  };
  if (state === "stuck") return [retry, settle];
  return state === "found" ? [settle] : [];
}

function Row({ saga, state }: { saga: Saga; state: string }): JSX.Element {
  const choices = choicesOf(saga, state);
  return (
    <li class="row-facts" data-testid="saga-row" data-order={saga.order}>
      <span />
      <div>
        <p class="row-title">
          <strong>{saga.currency === "TWD" ? money(saga.amount) : `${saga.amount} ${saga.currency}`}</strong>{" "}
          <span>{shortKey(saga.order)}</span>
        </p>
        <p class="fine facts-line">
          <span>{shortKey(saga.dupTxnId)}</span>
          {saga.attempt > 0 && <span>{words.value.sagas.attempt(saga.attempt)}</span>}
          <span>{ago(saga.at)}</span>
        </p>
        {choices.length > 0 && <Decide id={`saga-${saga.dupTxnId}`} about={shortKey(saga.order)} choices={choices} />}
      </div>
    </li>
  );
}

export function Sagas({ board }: { board: Board }): JSX.Element {
  const say = words.value.sagas;
  const stage = stageOf(board, picked.value);
  const all = board.sagas.reduce((sum, own) => sum + own.total, 0);
  return (
    <Panel id="sagas" title={say.title}>
      <Diagram board={board} />
      <h3>
        {say.states[stage.state] ?? stage.state} <span class="fine">{shownOf(stage.list.length, stage.total)}</span>
      </h3>
      {all === 0 ? (
        <None />
      ) : stage.list.length === 0 ? (
        <p class="fine">{say.empty}</p>
      ) : (
        <Rows all={stage.list} row={(saga) => <Row key={saga.dupTxnId} saga={saga} state={stage.state} />} />
      )}
    </Panel>
  );
}
