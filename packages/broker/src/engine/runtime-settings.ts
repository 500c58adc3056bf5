import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import { settingsMatch } from "../settings/address-match.ts";
import { checkSettings, type SettingsByMatch } from "../settings/settings-by-match.ts";
import { readSettings, writeSettings } from "../settings/settings-json.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import type { Engine } from "./engine.ts";

/**
 * Settings of addresses that are given while the broker runs. They are kept in the journal. What is given for a
 * match takes the place of all that the configuration says for the same match, until it is removed; then the
 * configuration is heard again. Source: Artemis, where run time goes before the file as well.
 */
export class RuntimeSettings {
  readonly #engine: Engine;
  readonly #given = new Map<string, SomeSettings>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Takes over what recovery found. Call once, before there are addresses. */
  load(): void {
    const { state, log, config } = this.#engine;
    for (const [match, json] of state.rules.settings) {
      const { settings, unknown } = readSettings(json);
      this.#given.set(match, settings);
      if (unknown.length === 0) continue;
      log.warn("Settings that were given at run time are not understood, and have no effect", {
        match,
        settings: unknown.join(" "),
      });
    }
    if (this.#given.size === 0) return;
    const overridden = Object.keys(config.addressSettings)
      .map((match) => settingsMatch(match).text)
      .filter((match) => this.#given.has(match));
    log.info("Settings of addresses that were given at run time go before the configuration", {
      matches: this.#given.size,
      overridden: overridden.join(" "),
    });
    this.#engine.settings.replace(this.#all());
  }

  /** What was given at run time for a match; `undefined` for nothing. */
  given(match: string): SomeSettings | undefined {
    return this.#given.get(settingsMatch(match).text);
  }

  /** What is said of each match, and whether it was said at run time. */
  list(): {
    readonly match: string;
    readonly settings: SomeSettings;
    readonly atRunTime: boolean;
  }[] {
    return Object.entries(this.#all()).map(([match, settings]) => {
      return { match, settings, atRunTime: this.#given.has(match) };
    });
  }

  /** Gives all that is to hold for a match. @throws EverholdError EVH_CONFIG; then nothing has changed */
  set(match: string, settings: SomeSettings): void {
    checkSettings(match, settings);
    const { text } = settingsMatch(match);
    if (!this.#given.has(text) && this.#given.size >= limits.runtimeSettingsMax) {
      throw new EverholdError(
        "EVH_CONFIG",
        `cannot give settings for "${match}": there are some for ${this.#given.size} matches, which is the limit`,
      );
    }
    this.#engine.state.setSettings(text, writeSettings(settings));
    this.#given.set(text, settings);
    this.#changed();
  }

  /** Takes back what was given for a match; false when there was nothing. @throws EverholdError EVH_CONFIG */
  remove(match: string): boolean {
    const { text } = settingsMatch(match);
    if (!this.#given.delete(text)) return false;
    this.#engine.state.setSettings(text, null);
    this.#changed();
    return true;
  }

  #all(): SettingsByMatch {
    // One spelling for each match: the configuration may have said `a#` where `a.#` was given.
    const configured = Object.entries(this.#engine.config.addressSettings).map(
      ([match, settings]) => [settingsMatch(match).text, settings] as const,
    );
    return Object.fromEntries([...configured, ...this.#given]);
  }

  #changed(): void {
    const { settings, catalog, credits } = this.#engine;
    settings.replace(this.#all());
    catalog.settingsChanged();
    credits.grantWaiting();
  }
}
