import { connect } from "@everhold/zookeeper";

import { runLoad } from "./load.ts";

const quiet = { error: ignore, warn: ignore, info: ignore, debug: ignore };

/** The load with our client. */
await runLoad(async (servers) => {
  const client = await connect(servers, { sessionTimeout: 30_000, log: quiet });
  return {
    create: (path, data) => client.create(path, data),
    delete: (path) => client.delete(path),
    get: (path) => client.getData(path),
    watch: (path, onChange) => client.getData(path, { watch: () => onChange() }),
    set: (path, data) => client.setData(path, data),
    close: () => client.close(),
  };
});

function ignore(): void {
  // That it connects is nothing to tell.
}
