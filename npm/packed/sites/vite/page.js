// Only what a page needs: a bundler that drops the rest must not drop the loading.
import { Edge } from "conch-edge";

globalThis.conch = { Edge };
