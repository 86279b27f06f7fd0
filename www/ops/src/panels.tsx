// The panels that only show: alerts, tickets used twice, circuits and civic cases.
import type { JSX } from "preact";
import { shortKey } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import { timeOf } from "../../shell/words/index.ts";
import { clearedLater, toneOfCircuit } from "./judge.ts";
import { ago, counted, None, number, Panel, Rows, shownOf, sure } from "./panel.tsx";
import type { Alert, Board, Case, Circuit, Double } from "./shapes.ts";
import { words } from "./words/index.ts";

function AlertRow({ alert, over }: { alert: Alert; over: boolean }): JSX.Element {
  const say = words.value.alerts;
  const tone = sure(alert.kind === "cleared" ? "good" : over ? "calm" : "warn");
  const name = String(alert.data.alert);
  return (
    <li class="row-facts" data-testid="alert" data-alert={name} data-kind={alert.kind} data-over={over}>
      <span class={`ink-${tone}`}>
        <Glyph tone={tone} size="small" />
      </span>
      <div>
        <p class={over ? "fine" : ""}>{say.words[name]?.(alert.data) ?? name}</p>
        <p class="fine facts-line">
          <span>{alert.kind === "cleared" ? say.cleared : over ? say.over : say.raised}</span>
          <time>{timeOf(alert.at)}</time>
          <span>{ago(alert.at)}</span>
        </p>
      </div>
    </li>
  );
}

export function Alerts({ board }: { board: Board }): JSX.Element {
  const over = clearedLater(board.alerts);
  return (
    <Panel id="alerts" title={words.value.alerts.title}>
      {board.alerts.length === 0 ? (
        <None />
      ) : (
        <Rows all={board.alerts} row={(alert) => <AlertRow key={alert.id} alert={alert} over={over.has(alert.id)} />} />
      )}
    </Panel>
  );
}

function DoubleRow({ double }: { double: Double }): JSX.Element {
  const say = words.value.doubles;
  return (
    <li class="row-facts" data-testid="double" data-gates={`${double.firstGateId} ${double.gateId}`}>
      <span class="ink-warn">
        <Glyph tone="warn" size="small" />
      </span>
      <div>
        <p class="row-title">{say.ticket(double.digest)}</p>
        <p>
          <span class="fine">{say.first}</span> {say.at(double.firstGateId, double.firstDevice, timeOf(double.firstAt))}
        </p>
        <p>
          <span class="fine">{say.second}</span> {say.at(double.gateId, double.device, timeOf(double.at))}
        </p>
      </div>
    </li>
  );
}

export function Doubles({ board }: { board: Board }): JSX.Element {
  const { list, total } = board.doubleAdmissions;
  return (
    <Panel id="doubles" title={words.value.doubles.title} aside={shownOf(list.length, total, counted)}>
      {list.length === 0 ? (
        <None />
      ) : (
        <Rows all={list} row={(double) => <DoubleRow key={`${double.device} ${double.at}`} double={double} />} />
      )}
    </Panel>
  );
}

function CircuitRow({ circuit }: { circuit: Circuit }): JSX.Element {
  const say = words.value.circuits;
  const tone = sure(toneOfCircuit(circuit));
  const share = (watts: number): number => Math.min(1, watts / (circuit.limitWatts * 1.25));
  return (
    <li class="circuit" data-testid="circuit" data-circuit={circuit.circuit} data-tone={tone}>
      <p class="row-title facts-line">
        <span class={`ink-${tone}`}>
          <Glyph tone={tone} size="small" />
        </span>
        <strong>{circuit.circuit}</strong>
        <span>{say.load(number(circuit.carriedWatts), number(circuit.limitWatts))}</span>
      </p>
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true" class={`load ink-${tone}`}>
        <rect class="load-ground" width="1" height="1" />
        <rect width={share(circuit.carriedWatts)} height="1" />
        <rect class="load-mark" x={share(circuit.limitWatts) - 0.004} width="0.008" height="1" />
      </svg>
      <p class="fine">{say.shedAbove(number(circuit.shedAboveWatts))}</p>
      <ul>
        {circuit.stalls.map((stall) => (
          <li key={stall.stall} class="facts-line" data-testid="stall" data-shed={stall.shedAt !== null}>
            <span>{stall.stall}</span>
            <span class="fine">{say.draws(number(stall.drawnWatts), ago(stall.at))}</span>
            {stall.shedAt !== null && <span class="ink-wait">{say.shed(ago(stall.shedAt))}</span>}
          </li>
        ))}
      </ul>
    </li>
  );
}

export function Circuits({ board }: { board: Board }): JSX.Element {
  const say = words.value.circuits;
  return (
    <Panel id="circuits" title={say.title}>
      {board.circuits.length === 0 ? (
        <p class="fine">{say.none}</p>
      ) : (
        <Rows all={board.circuits} row={(circuit) => <CircuitRow key={circuit.circuit} circuit={circuit} />} />
      )}
    </Panel>
  );
}

function CaseRow({ own }: { own: Case }): JSX.Element {
  const say = words.value.cases;
  const tone = own.escalated ? "stop" : own.state === "routed" ? "wait" : "calm";
  return (
    <li class="row-facts" data-testid="case" data-overdue={own.escalated}>
      <span class={`ink-${tone}`}>
        <Glyph tone={tone} size="small" />
      </span>
      <p class="facts-line">
        <strong>{own.unit}</strong>
        <span>{own.escalated ? say.overdue : say[own.state]}</span>
        <span class="fine">{shortKey(own.key)}</span>
        <span class="fine">{say.reports(own.reports)}</span>
        <span class="fine">{own.due === null ? say.noDue : say.due(timeOf(own.due))}</span>
      </p>
    </li>
  );
}

export function Cases({ board }: { board: Board }): JSX.Element {
  const say = words.value.cases;
  const { list, total } = board.cases;
  return (
    <Panel id="cases" title={say.title} aside={shownOf(list.length, total)}>
      {board.units.length === 0 ? (
        <None />
      ) : (
        <>
          <table>
            <thead>
              <tr>
                <th scope="col">{say.unit}</th>
                <th scope="col">{say.routed}</th>
                <th scope="col">{say.acknowledged}</th>
                <th scope="col">{say.overdue}</th>
              </tr>
            </thead>
            <tbody>
              {board.units.map((unit) => (
                <tr key={unit.unit} data-testid="unit" data-unit={unit.unit}>
                  <th scope="row">{unit.unit}</th>
                  <td>{unit.routed}</td>
                  <td>{unit.acknowledged}</td>
                  <td class={unit.overdue > 0 ? "ink-stop" : ""}>{unit.overdue}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <Rows all={list} row={(own) => <CaseRow key={own.key} own={own} />} />
        </>
      )}
    </Panel>
  );
}
