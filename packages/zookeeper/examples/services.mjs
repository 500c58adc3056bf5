import { connect, ServiceRegistry } from "@everhold/zookeeper";

const servers = process.argv[2] ?? "127.0.0.1:2181";
const [shop, customer] = await Promise.all([connect(servers), connect(servers)]);

// Registered for as long as the process lives, and again in the next session when one is over.
const services = new ServiceRegistry(shop, "/services");
await services.register({ name: "orders", address: "10.0.0.7", port: 8080 });
await services.register({ name: "orders", address: "10.0.0.8", port: 8080 });

const found = new ServiceRegistry(customer, "/services");
const orders = found.provider("orders", { strategy: "sticky", errorCountMax: 1 });
await orders.start();
await orders.fresh();
console.log(orders.instances().length, "instances");

const first = orders.pick();
console.log(orders.pick() === first); // the same one for as long as it is there
orders.noteError(first); // it did not answer: another one for the next 30 s
console.log(orders.pick() === first, orders.pick().port);

await found.close();
await services.close();
await Promise.all([shop.close(), customer.close()]);
