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

/** Makes the requests of a transaction, and may give what it read. */
type Work<T> = (store: IDBObjectStore, give: (value: T) => void) => void;

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
  #running = new Set<IDBTransaction>();
  #channel: BroadcastChannel;

  constructor(name: string) {
    this.#name = name;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      // A tab of another version may not say which rows changed.
      const look = Array.isArray(data) ? this.#look(data) : this.load();
      void look.catch(() => undefined);
    };
    // Before the listeners of the page, which may write.
    addEventListener("pagehide", ({ persisted }) => persisted && this.#stop(), { capture: true });
    // What the others wrote meanwhile it did not hear of.
    addEventListener("pageshow", ({ persisted }) => persisted && void this.load().catch(() => undefined));
  }

  async load(): Promise<void> {
    const all: R[] = await this.#transact("readonly", (store, give) => {
      const read: IDBRequest<R[]> = store.index(BY_TIME).getAll();
      read.onsuccess = () => give(read.result);
    });
    this.rows.value = all.reverse();
  }

  /** Adds a row unless its key is there already. It asks for nothing first, so it lands also when the page is left at once. */
  async put(row: R): Promise<void> {
    try {
      await this.#transact("readwrite", (store) => {
        store.add(row);
        store.transaction.commit();
      });
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "ConstraintError") throw error;
    }
    await this.#announce([row.key]);
  }

  /** Reads, decides and writes in one transaction, so that two tabs never overwrite each other's news. */
  change(key: string, decide: (old: R | undefined) => R | undefined): Promise<void> {
    return this.changeAll([key], ([old]) => [decide(old)]);
  }

  /**
   * The same for rows that belong together: either all of them are on disk or none. What `decide` leaves undefined
   * stays as it is.
   */
  async changeAll(
    keys: readonly string[],
    decide: (olds: readonly (R | undefined)[]) => readonly (R | undefined)[],
  ): Promise<void> {
    await this.#transact("readwrite", (store) => {
      const olds: (R | undefined)[] = [];
      for (const key of keys) {
        const read: IDBRequest<R | undefined> = store.get(key);
        read.onsuccess = () => {
          olds.push(read.result);
          if (olds.length < keys.length) return;
          decide(olds).forEach((next, place) => {
            if (next !== undefined && next !== olds[place]) store.put(next);
          });
        };
      }
    });
    await this.#announce(keys);
  }

  /** Keeps the newest rows only. Call once at opening. */
  async trim(): Promise<void> {
    const surplus = this.rows.value.slice(limits.rowsKept).map((row) => row.key);
    if (surplus.length === 0) return;
    await this.#transact("readwrite", (store) => {
      for (const key of surplus) store.delete(key);
    });
    await this.#announce(surplus);
  }

  /** Forgets every row, in every tab. */
  async wipe(): Promise<void> {
    const all = this.rows.value.map((row) => row.key);
    await this.#transact("readwrite", (store) => {
      store.clear();
    });
    await this.#announce(all);
  }

  async #announce(keys: readonly string[]): Promise<void> {
    this.#channel.postMessage(keys);
    await this.#look(keys);
  }

  /** Reads these rows again. A whole night's list need not be read for one of them. */
  async #look(keys: readonly string[]): Promise<void> {
    const found: R[] = await this.#transact("readonly", (store, give) => {
      const rows: R[] = [];
      give(rows);
      for (const key of keys) {
        const read: IDBRequest<R | undefined> = store.get(key);
        read.onsuccess = () => {
          if (read.result !== undefined) rows.push(read.result);
        };
      }
    });
    const others = this.rows.value.filter((row) => !keys.includes(row.key));
    this.rows.value = [...found, ...others].sort((one, other) => other.at - one.at);
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

  /**
   * The page is left, and kept for the way back. What runs would stand still with it, and WebKit lets everybody else wait
   * (docs/engines.md). What begins from now must open the book first, and hears of that when the page is back.
   */
  #stop(): void {
    for (const transaction of this.#running) {
      try {
        transaction.abort();
      } catch {
        // It is about to complete.
      }
    }
    void this.#database?.then((database) => database.close()).catch(() => undefined);
    this.#database = null;
  }

  /** Runs a transaction, and gives what `work` gave once it has completed. What a closed connection took back runs again. */
  async #transact<T>(mode: IDBTransactionMode, work: Work<T>): Promise<T> {
    const database = this.#open();
    try {
      return await this.#run(await database, mode, work);
    } catch (error) {
      const wasLetGo = this.#database !== database;
      const wasClosed = error instanceof DOMException && error.name === "InvalidStateError";
      if (!wasLetGo && !wasClosed) throw error;
      if (!wasLetGo) this.#database = null;
      return this.#run(await this.#open(), mode, work);
    }
  }

  #run<T>(database: IDBDatabase, mode: IDBTransactionMode, work: Work<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      this.#running.add(transaction);
      let given: T;
      transaction.oncomplete = () => {
        this.#running.delete(transaction);
        resolve(given);
      };
      transaction.onabort = () => {
        this.#running.delete(transaction);
        reject(transaction.error ?? new Error("the book was not written"));
      };
      work(transaction.objectStore(STORE), (value) => {
        given = value;
      });
    });
  }
}
