// What a chart of a flow is made of: its axes and its shape, in hundredths of its width and height. Pure.
import { max, nice, ticks } from "d3-array";
import { area, curveStepAfter } from "d3-shape";
import { utcMinute } from "d3-time";

export interface Chart {
  /** Where the counts are written, from the top. */
  counts: { count: number; y: number }[];
  /** Where the times are written, from the left. */
  times: { at: number; x: number }[];
  /** The steps that are over. */
  over: string;
  /** The last step, which is under way and may still grow. */
  underWay: string;
  /** Events in the last step that is over. */
  latest: number;
  /** The most there were in one step, and when it began. */
  highest: { count: number; at: number };
}

/** About how many parts the axis of counts has: a label each must fit. */
const COUNTS = 2;
/** Five times in ten minutes, which fit on a small phone. */
const everyOther = utcMinute.every(2);

/** Steps as the city counts them: they begin at whole multiples of their length, and the last one is under way. */
export function chartOf(steps: readonly number[], stepMs: number, countedAt: number): Chart {
  const to = (Math.floor(countedAt / stepMs) + 1) * stepMs;
  const from = to - steps.length * stepMs;
  const top = nice(0, Math.max(1, max(steps) ?? 0), COUNTS)[1];
  const x = (at: number): number => (100 * (at - from)) / (to - from);
  const y = (count: number): number => 100 - (100 * count) / top;
  const shape = area<[number, number]>()
    .x(([at]) => x(at))
    .y0(100)
    .y1(([, count]) => y(count))
    .curve(curveStepAfter);
  const points = steps.map((count, place): [number, number] => [from + place * stepMs, count]);
  const over = points.slice(0, -1);
  const highest = points.reduce((most, point) => (point[1] > most[1] ? point : most), [from, 0]);
  return {
    // There is no half of an event.
    counts: ticks(0, top, COUNTS)
      .filter(Number.isInteger)
      .map((count) => ({ count, y: y(count) })),
    times: (everyOther?.range(new Date(from), new Date(to)) ?? []).map((time) => {
      const at = time.getTime();
      return { at, x: x(at) };
    }),
    over: shape(closed(over, to - stepMs)) ?? "",
    underWay: shape(closed(points.slice(-1), to)) ?? "",
    latest: over.at(-1)?.[1] ?? 0,
    highest: { count: highest[1], at: highest[0] },
  };
}

/** With the end of its last step, which else would have no width. */
function closed(points: [number, number][], end: number): [number, number][] {
  return [...points, [end, points.at(-1)?.[1] ?? 0]];
}
