import assert from "node:assert/strict";
import { test } from "node:test";
import { flushesIn } from "./trace.js";

test("a flush lasts from its call to when its caller hears of it, also when threads speak in between", () => {
  const trace = `11 100.500000 fdatasync(3</p/IndexedDB/log>) = 0 (DELAYED) <0.002000>
12 100.600000 fsync(4</p/idb/a.sqlite-wal> <unfinished ...>
13 100.601000 fdatasync(5</p/other>) = 0 <0.001000>
12 100.604000 <... fsync resumed>)        = 0 (DELAYED) <0.004000>
`;
  const whole = ({ file, began, ended }: { file: string; began: number; ended: number }) =>
    `${file} ${Math.round(began)} ${Math.round(ended)}`;
  assert.deepEqual(flushesIn(trace, 40).map(whole), [
    "/p/IndexedDB/log 100500 100542",
    "/p/other 100601 100642",
    "/p/idb/a.sqlite-wal 100600 100644",
  ]);
});

test("a flush that failed or never came back is none", () => {
  const trace = `11 100.500000 fdatasync(3</p/log>) = -1 EIO (Input/output error) (DELAYED) <0.002000>
12 100.600000 fsync(4</p/log> <unfinished ...>
13 100.600000 fsync(4</p/log> <unfinished ...>
13 100.700000 <... fsync resumed>)        = -1 EIO (Input/output error) <0.002000>
`;
  assert.deepEqual(flushesIn(trace, 0), []);
});
