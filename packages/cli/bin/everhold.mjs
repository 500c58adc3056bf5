#!/usr/bin/env node
// Plain JavaScript without imports, so that even a Node far too old gets as far as the message.
const required = [20, 19];
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < required[0] || (major === required[0] && minor < required[1])) {
  process.stderr.write(
    `everhold: needs Node ${required.join(".")} or newer, found ${process.versions.node}; ` +
      "install a current one from https://nodejs.org\n",
  );
  process.exit(1);
}
import("../dist/main.js").then(
  ({ main }) => main(process.argv),
  (error) => {
    const missing = error?.code === "ERR_MODULE_NOT_FOUND";
    process.stderr.write(
      missing
        ? `everhold: it is not built yet; run: npm run build (${error.message})\n`
        : `everhold: cannot start: ${error?.stack ?? error}\n`,
    );
    process.exitCode = 1;
  },
);
