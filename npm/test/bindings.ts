// Compiled, never run: the types written by hand against those that wasm-bindgen reads off the real exports. Plain and
// optimized builds are both held against them, because a linker may drop from one what it keeps in the other.
import type * as curated from "conch-edge";
import type * as debug from "./generated/debug.js";
import type * as release from "./generated/release.js";

/** How many arguments a method takes at most. */
type Arity<F> = F extends (...given: infer P) => unknown ? Required<P>["length"] : never;
/** As many arguments, and the real method can stand where the curated one is expected. */
type Fits<Curated, Real> = [Arity<Curated>, Real] extends [Arity<Real>, Curated] ? true : false;
/** The names that only one side has, or that do not fit. */
type Differing<Curated, Real> =
  | Exclude<keyof Real, keyof Curated>
  | {
      [M in keyof Curated]: M extends keyof Real ? (Fits<Curated[M], Real[M]> extends true ? never : M) : M;
    }[keyof Curated];

/** What wasm-bindgen adds to every class; here an outbox ends with `close` or with the page. */
type Methods<T> = Omit<T, "free" | typeof Symbol.dispose>;
/** `open` is the face's: what it gives can be reopened. */
type Statics<T> = Omit<T, "prototype" | "open">;
/** What the face adds to what it takes from wasm, and what it keeps to itself. */
type OfTheFace = "reopen";
type KeptByTheFace = "default" | "initSync" | "faulted" | "__wbg_reset_state";
interface Bindings {
  Edge: { prototype: object };
  Records: { prototype: object };
}
type Differences<Real extends Bindings> =
  | Exclude<keyof Real, keyof Bindings | KeptByTheFace>
  | Differing<Statics<typeof curated.Edge>, Statics<Real["Edge"]>>
  | Differing<Omit<curated.Edge, OfTheFace>, Methods<Real["Edge"]["prototype"]>>
  | Differing<curated.Records, Methods<Real["Records"]["prototype"]>>;

type None<_ extends never> = true;
export type Checked = [None<Differences<typeof debug>>, None<Differences<typeof release>>];
