import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/** What an application's bundler makes of the client. */
export interface Bundle {
  /** One module that exports what `@everhold/browser` does. */
  readonly code: string;
  readonly bytes: number;
  /** As it goes over the wire. */
  readonly gzipBytes: number;
}

/** Bundles the client as Vite does for production. @throws Error when anything in it is not for browsers */
export async function bundleClient(): Promise<Bundle> {
  const entry = fileURLToPath(
    new URL("../../../../packages/browser/dist/index.js", import.meta.url),
  );
  const results = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      minify: true,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: "strict",
        output: { format: "es" },
      },
    },
  });
  const [result] = Array.isArray(results) ? results : [results];
  if (result === undefined || !("output" in result)) throw new Error("Vite made nothing");
  const [chunk, ...others] = result.output;
  if (others.length > 0) throw new Error(`Vite made ${others.length + 1} files, expected one`);
  const { code, imports, dynamicImports } = chunk;
  const outside = [...imports, ...dynamicImports];
  if (outside.length > 0 || code.includes("__vite-browser-external")) {
    throw new Error(
      `the bundle needs ${outside.join(", ") || "what Node has"}, expected all inside`,
    );
  }
  return { code, bytes: Buffer.byteLength(code), gzipBytes: gzipSync(code, { level: 9 }).length };
}
