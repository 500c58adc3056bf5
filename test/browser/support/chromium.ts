import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Starts the Chromium of this machine without a window. `CHROMIUM` says where it is, if it is elsewhere. */
export function launchChromium(): Promise<Browser> {
  const executablePath = process.env["CHROMIUM"] ?? places.find((place) => existsSync(place));
  if (executablePath === undefined) {
    throw new Error(`found no Chromium, expected one of ${places.join(", ")}, or CHROMIUM set`);
  }
  return chromium.launch({
    executablePath,
    args: [
      // It refuses to run for root otherwise, as whom containers run.
      "--no-sandbox",
      "--disable-dev-shm-usage",
      "--host-resolver-rules=MAP *.example 127.0.0.1",
    ],
  });
}

/** Stops the processes that run pages, until `goOn` is called. */
export async function suspendPages(browser: Browser): Promise<{ goOn: () => void }> {
  const devTools = await browser.newBrowserCDPSession();
  const { processInfo } = await devTools.send("SystemInfo.getProcessInfo");
  await devTools.detach();
  const processIds = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  for (const processId of processIds) process.kill(processId, "SIGSTOP");
  return {
    goOn: () => {
      for (const processId of processIds) process.kill(processId, "SIGCONT");
    },
  };
}
