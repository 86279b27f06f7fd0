import * as conch from "/node_modules/conch-edge/dist/inline.js";

globalThis.conch = conch;
