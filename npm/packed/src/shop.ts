// A server as people have one already: it takes orders as JSON and knows nothing of outboxes but one header, by which
// it does the same thing once.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import express from "express";

export interface Order {
  table: string;
  dish: string;
}

export class Shop {
  /** So many orders are taken, but their answers are lost on the way. */
  lostAnswers = 0;
  /** Orders as they were taken, each once. */
  readonly orders: Order[] = [];
  /** How many requests came. */
  requests = 0;
  readonly #answers = new Map<string, object>();
  readonly #server: Server;

  private constructor() {
    const app = express();
    app.use((request, response, next) => {
      response.set({ "access-control-allow-origin": "*", "access-control-allow-headers": "*" });
      if (request.method === "OPTIONS") response.sendStatus(204);
      else next();
    });
    app.use(express.json());
    app.post("/orders", (request, response) => {
      this.requests += 1;
      const key = request.get("idempotency-key");
      const order = request.body as Order;
      if (key === undefined) {
        response.status(400).json({ error: "no idempotency key" });
        return;
      }
      if (order.dish === "sold out") {
        response.status(422).json({ error: "sold out", message: "There is no more of this dish." });
        return;
      }
      if (!this.#answers.has(key)) {
        this.#answers.set(key, { number: this.orders.push(order) });
      }
      if (this.lostAnswers > 0) {
        this.lostAnswers -= 1;
        request.socket.destroy();
        return;
      }
      response.status(201).json(this.#answers.get(key));
    });
    this.#server = createServer(app);
  }

  static async open(): Promise<Shop> {
    const shop = new Shop();
    shop.#server.listen(0, "127.0.0.1");
    await once(shop.#server, "listening");
    return shop;
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the shop is closed");
    return `http://127.0.0.1:${address.port}/orders`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
