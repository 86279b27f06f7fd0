// What flows over the bus: one small chart for each topic, drawn anew with each answer of the city and not in between.
import type { JSX } from "preact";
import { briefTimeOf, timeOf } from "../../shell/words/index.ts";
import { type Chart, chartOf } from "./flow.ts";
import { number, Panel, Rows } from "./panel.tsx";
import type { Board, Flow } from "./shapes.ts";
import { words } from "./words/index.ts";

function Axes({ chart }: { chart: Chart }): JSX.Element {
  return (
    <>
      {chart.counts.map(({ count, y }) => (
        <g key={`count ${count}`}>
          <line x2="100%" y1={`${y}%`} y2={`${y}%`} />
          <text x="-6" y={`${y}%`} dy="0.35em" class="chart-count">
            {number(count)}
          </text>
        </g>
      ))}
      {chart.times.map(({ at, x }) => (
        <g key={`time ${at}`}>
          <line x1={`${x}%`} x2={`${x}%`} y2="100%" />
          <text x={`${x}%`} y="100%" dy="1.5em" class="chart-time">
            {briefTimeOf(at)}
          </text>
        </g>
      ))}
    </>
  );
}

function Picture({ chart }: { chart: Chart }): JSX.Element {
  const say = words.value.flow;
  const { latest, highest } = chart;
  const text = highest.count === 0 ? say.still : say.told(number(latest), number(highest.count), timeOf(highest.at));
  return (
    <svg role="img" aria-label={text} class="chart">
      <Axes chart={chart} />
      <svg aria-hidden="true" viewBox="0 0 100 100" preserveAspectRatio="none">
        <path d={chart.over} class="chart-over" />
        <path d={chart.underWay} class="chart-under-way" />
      </svg>
    </svg>
  );
}

export function Throughput({ board }: { board: Board }): JSX.Element {
  const say = words.value.flow;
  const { at, topics, stepSeconds } = board.throughput;
  const topic = (flow: Flow): JSX.Element => (
    <li key={flow.topic} class="topic" data-testid="topic" data-topic={flow.topic} data-count={flow.lastMinute}>
      <span class="topic-name">{flow.topic}</span>
      <span class="topic-count">
        <strong>{number(flow.lastMinute)}</strong> <span class="fine">{say.perMinute}</span>
      </span>
      <Picture chart={chartOf(flow.steps, stepSeconds * 1_000, at)} />
    </li>
  );
  return (
    <Panel id="flow" title={say.title} aside={say.picture}>
      {topics.length === 0 ? <p class="fine">{say.none}</p> : <Rows all={topics} row={topic} />}
    </Panel>
  );
}
