// How long the parts of a scan took, as the browser's own User Timing, for whoever watches. It keeps the last scan only.
export type Part = "frame" | "read" | "check" | "judge" | "ask" | "write" | "whole";

export function took(part: Part, from: number, to = performance.now()): number {
  const name = `gate:${part}`;
  performance.clearMeasures(name);
  performance.measure(name, { start: from, end: to });
  return to;
}
