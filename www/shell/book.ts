// The page's own list (sales, scans), in IndexedDB: localStorage reaches the disk too late to survive a killed process.
// A row is on disk when `put` or `change` resolves. All tabs of a device share the book and hear of each other's changes.
import { type Signal, signal } from "@preact/signals";
import { limits } from "./limits.ts";

export interface Row {
  /** Unique in the book. */
  key: string;
  /** When it was made, by this device's clock. */
  at: number;
}

const STORE = "rows";
const BY_TIME = "at";

function connect(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "key" }).createIndex(BY_TIME, BY_TIME);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the book could not be opened"));
  });
}

export class Book<R extends Row> {
  /** Newest first. */
  readonly rows: Signal<readonly R[]> = signal([]);
  #name: string;
  #database: Promise<IDBDatabase> | null = null;
  #channel: BroadcastChannel;

  constructor(name: string) {
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = () => void this.load().catch(() => undefined);
  }

  async load(): Promise<void> {
    const database = await this.#open();
    this.rows.value = await new Promise((resolve, reject) => {
      const request: IDBRequest<R[]> = database.transaction(STORE).objectStore(STORE).index(BY_TIME).getAll();
      request.onsuccess = () => resolve(request.result.reverse());
      request.onerror = () => reject(request.error);
    });
  }

  /** Adds a row unless its key is there already. */
  put(row: R): Promise<void> {
    return this.change(row.key, (old) => old ?? row);
  }

  /** Reads, decides and writes in one transaction, so that two tabs never overwrite each other's news. */
  async change(key: string, decide: (old: R | undefined) => R | undefined): Promise<void> {
    await this.#write((store) => {
      const read: IDBRequest<R | undefined> = store.get(key);
      read.onsuccess = () => {
        const next = decide(read.result);
        if (next !== undefined && next !== read.result) store.put(next);
      };
    });
    await this.#announce();
  }

  /** Keeps the newest rows only. Call once at opening. */
  async trim(): Promise<void> {
    const surplus = this.rows.value.slice(limits.rowsKept);
    if (surplus.length === 0) return;
    await this.#write((store) => {
      for (const row of surplus) store.delete(row.key);
    });
    await this.#announce();
  }

  async #announce(): Promise<void> {
    this.#channel.postMessage("changed");
    await this.load();
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= connect(this.#name).then(
      (database) => {
        const forget = (): void => {
          this.#database = null;
        };
        // Browsers drop connections of background tabs; the next call opens a new one.
        database.onclose = forget;
        database.onversionchange = () => {
          database.close();
          forget();
        };
        return database;
      },
      (error) => {
        this.#database = null;
        throw error;
      },
    );
    return this.#database;
  }

  async #write(work: (store: IDBObjectStore) => void): Promise<void> {
    try {
      await this.#writeOnce(work);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "InvalidStateError") throw error;
      this.#database = null;
      await this.#writeOnce(work);
    }
  }

  async #writeOnce(work: (store: IDBObjectStore) => void): Promise<void> {
    const database = await this.#open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("the book could not be written"));
      work(transaction.objectStore(STORE));
    });
  }
}
