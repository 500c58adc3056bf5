import { connect, GroupMember } from "@everhold/zookeeper";

const servers = process.argv[2] ?? "127.0.0.1:2181";
const [one, other] = await Promise.all([connect(servers), connect(servers)]);

// Each process is a member by an id of its own, and says of itself what the others need.
const anna = new GroupMember(one, "/brokers", "anna", { data: "10.0.0.7:5672" });
const berta = new GroupMember(other, "/brokers", "berta", { data: "10.0.0.8:5672" });
await anna.start();
await berta.start();

await anna.fresh();
for (const { id, data } of [...anna.members().values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
  console.log(id, new TextDecoder().decode(data ?? undefined));
}

const left = new Promise((resolve) => anna.on("left", ({ member }) => resolve(member.id)));
await berta.close();
console.log(await left, "has left");

await anna.close();
await Promise.all([one.close(), other.close()]);
