// What `GET /v1/board` answers. Times are ms since 1970 by the city's clock.

export interface Listed<T> {
  list: T[];
  /** How many there are; the list is bounded. */
  total: number;
}

export interface Device {
  device: string;
  role: "gate" | "vendor" | "ops";
  heardAt: number;
  /** What it owed when it last said so, less what came since; null when it never said. */
  owed: number | null;
  saidAt: number | null;
  lastSequence: number | null;
  missing: number;
  gaps: { first: number; last: number; foundAt: number }[];
  clone: string | null;
}

export interface Letter {
  number: number;
  consumer: string;
  topic: string;
  type: string;
  key: string;
  code: string;
  tries: number;
  blocksKey: boolean;
  at: number;
}

export interface Saga {
  dupTxnId: string;
  order: string;
  amount: number;
  currency: string;
  attempt: number;
  at: number;
}

export interface Stage {
  state: string;
  total: number;
  list: Saga[];
}

export interface Double {
  digest: string;
  firstGateId: string;
  firstDevice: string;
  firstAt: number;
  gateId: string;
  device: string;
  at: number;
}

export interface Circuit {
  circuit: string;
  limitWatts: number;
  shedAboveWatts: number;
  carriedWatts: number;
  total: number;
  stalls: { stall: string; drawnWatts: number; at: number; importance: number; shedAt: number | null }[];
}

export interface Case {
  key: string;
  unit: string;
  state: "routed" | "acknowledged";
  reports: number;
  due: number | null;
  escalated: boolean;
}

export interface Alert {
  id: string;
  kind: "raised" | "cleared";
  key: string;
  at: number;
  data: Record<string, string | number>;
}

export interface Flow {
  topic: string;
  lastMinute: number;
  steps: number[];
}

export interface Board {
  now: number;
  stamp: string;
  city: string;
  /** When the city opened: what is counted in memory began then. */
  since: number;
  development: boolean;
  accepted: number;
  repeated: number;
  refused: number;
  missing: number;
  owed: number;
  /** Counted at `at`, which may be a little older than the answer; the last step of each flow holds that moment. */
  throughput: { at: number; stepSeconds: number; topics: Flow[] };
  bus: { outgoing: number; waiting: { consumer: string; events: number }[]; queued: number };
  devices: Listed<Device>;
  deadLetters: Listed<Letter>;
  sagas: Stage[];
  sagaMoves: [string, string][];
  doubleAdmissions: Listed<Double>;
  circuits: Circuit[];
  units: { unit: string; routed: number; acknowledged: number; overdue: number }[];
  cases: Listed<Case>;
  alerts: Alert[];
}
