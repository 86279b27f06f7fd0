// What every entry gives; the entries differ only in where they take the wasm from. Importing loads nothing.
import load, { Edge } from "./dist/conch.js";

/** The face of an entry whose own wasm `own` gets when the caller names none. */
export function face(own) {
  let loading;

  const init = (source) => {
    loading ??= load({ module_or_path: source ?? own() }).then(
      () => undefined,
      (error) => {
        // A page that starts without network must be able to try again.
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };

  const openLoaded = Edge.open;
  Edge.open = async (options) => {
    await init();
    return openLoaded.call(Edge, options);
  };

  return { Edge, init };
}

export function isConchError(error) {
  return error instanceof Error && error.name === "ConchError";
}
