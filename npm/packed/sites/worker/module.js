import { Edge } from "conch-edge/sw";
import "./answer.js";

addEventListener("message", answering(Edge));
