import load, { Edge } from "./dist/conch.js";

let loading;

export function init(source) {
  if (!loading) {
    loading = load(source === undefined ? undefined : { module_or_path: source }).then(
      () => undefined,
      (error) => {
        // A page that starts without network must be able to try again.
        loading = undefined;
        throw error;
      },
    );
  }
  return loading;
}

export function isConchError(error) {
  return error instanceof Error && error.name === "ConchError";
}

const openLoaded = Edge.open;
Edge.open = async (options) => {
  await init();
  return openLoaded.call(Edge, options);
};

export { Edge };
