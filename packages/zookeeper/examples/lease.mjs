import { connect } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

// All of it in one session: in the next one every call in here fails.
await client.inSession(async ({ client: bound, lease }) => {
  // NODEEXISTS: somebody else does it.
  const { path, stat } = await bound.create("/job", "anna", { mode: "ephemeral" });
  const held = await lease({ path, version: stat.version });

  for (const step of ["first", "second"]) {
    // Asked at the moment of acting: that a server answers proves nothing about the session.
    held.check();
    // What a step writes elsewhere carries stat.czxid; who has seen a larger one refuses it.
    console.log(step, "step");
  }
  held.close();
  await bound.delete(path, { expected: stat, guaranteed: true });
});

await client.close();
