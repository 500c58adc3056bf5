import { connect, Mutex, ReadWriteLock, Semaphore } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

/** Where the work ends up: it refuses a token that is smaller than one that it has seen. */
const store = {
  token: 0n,
  write(token, text) {
    if (token < this.token) throw new Error("somebody else has it by now");
    this.token = token;
    console.log(text);
  },
};

// One at a time, of all processes.
const orders = new Mutex(client, "/locks/orders", { data: "anna" });
await orders.run(async (grant) => {
  for (const step of ["first", "second"]) {
    grant.check(); // asked at the moment of acting
    store.write(grant.token, `${step} step`);
  }
});

// Many to read, or one to write; who writes may read on.
const catalog = new ReadWriteLock(client, "/locks/catalog");
const writing = await catalog.write.acquire({ timeout: 10_000 });
const reading = await catalog.read.acquire({ under: writing });
await writing.release();
console.log("reads:", reading.isHeld(), "writes:", writing.isHeld());
await reading.release();

// Two at a time.
const downloads = new Semaphore(client, "/limits/downloads", { permits: 2 });
const names = ["apples", "pears", "plums"];
const loaded = await Promise.all(names.map((name) => downloads.run(() => `${name} loaded`)));
console.log(loaded.join(", "));

await client.close();
