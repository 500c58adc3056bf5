import assert from "node:assert/strict";
import { extname } from "node:path";
import { describe, it } from "node:test";
import { readText, repositoryFiles } from "./repository.ts";

const textExtensions = new Set([".ts", ".mjs", ".md", ".json", ".yaml", ".yml", ".txt", ""]);

describe("words", () => {
  it("no file names a folder of one person's machine", () => {
    // A path, so nothing that is part of a URL or of a longer word stands before it.
    const machinePath = /(?<![\w.:/~*-])\/(?:home|root|Users|work|tmp)\/\w+/;
    assert.deepEqual(linesMatching(machinePath), []);
  });

  it("what is left to do names an issue", () => {
    // Written with classes of one letter, or this line would find itself.
    const marker = /\b(?:TO[D]O|FIX[M]E|XX[X])\b(?!\(#\d+\))/;
    assert.deepEqual(linesMatching(marker), []);
  });

  it("no test is skipped, singled out or left for later", () => {
    const shortcut = /\b(?:it|test|describe|suite)\.(?:only|skip|todo)\(/;
    assert.deepEqual(linesMatching(shortcut), []);
  });

  it("no line ends in a space, and every file ends in one line break", () => {
    const wrong = textFiles().filter((file) => {
      const text = readText(file);
      return text !== "" && (/[ \t]$/m.test(text) || !/[^\n]\n$/.test(text));
    });
    assert.deepEqual(wrong, []);
  });
});

function linesMatching(pattern: RegExp): string[] {
  return textFiles().flatMap((file) =>
    readText(file)
      .split("\n")
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [],
      ),
  );
}

function textFiles(): string[] {
  return repositoryFiles().filter(
    (file) =>
      textExtensions.has(extname(file)) && !/(^|\/)(testdata|LICENSE|package-lock)/.test(file),
  );
}
