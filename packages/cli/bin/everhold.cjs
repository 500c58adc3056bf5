#!/usr/bin/env node
// CommonJS, for Node loads that without its pool of file threads: their number can be chosen until the
// first of them is used. With Node's four, four slow reads would hold up a broker's next journal write.
if (process.argv.includes("run") && !process.env.UV_THREADPOOL_SIZE) {
  process.env.UV_THREADPOOL_SIZE = "16";
}
import("./everhold.mjs").catch((error) => {
  process.stderr.write(`everhold: cannot start: ${error}\n`);
  process.exitCode = 1;
});
