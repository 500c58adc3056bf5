import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from "yaml";

import { limits } from "../limits.ts";
import { configError } from "./config-error.ts";
import { originKey, type ConfigPath, type LocatedTree, type Origin } from "./located-tree.ts";

/** A text to be read as YAML, of which JSON is a part. */
export interface ConfigText {
  readonly text: string;
  /** How messages call the file. */
  readonly name: string;
  /** What relative paths in it are relative to. */
  readonly folder: string;
}

/**
 * Reads YAML or JSON and remembers the line and column of every key and value.
 *
 * @throws EverholdError EVH_CONFIG for a syntax error, a key given twice, more than one document, or
 *   more than 10,000 nodes
 */
export function parseConfigDocument(source: ConfigText): LocatedTree {
  const lineCounter = new LineCounter();
  const document = parseDocument(source.text, { lineCounter, prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) {
    throw configError(
      placeOf(source, lineCounter, error.pos[0]),
      `not valid YAML: ${firstLine(error.message)}`,
      error,
    );
  }
  const walk: Walk = { source, lineCounter, document, origins: new Map(), nodeCount: 0 };
  return { value: walkNode(walk, document.contents, []), origins: walk.origins };
}

interface Walk {
  readonly source: ConfigText;
  readonly lineCounter: LineCounter;
  readonly document: Document.Parsed;
  readonly origins: Map<string, Origin>;
  nodeCount: number;
}

function walkNode(walk: Walk, node: unknown, path: ConfigPath): unknown {
  if (++walk.nodeCount > limits.configNodeCountMax) {
    throw configError(
      walk.source.name,
      `more than ${limits.configNodeCountMax} keys and values, the most that a configuration may have`,
    );
  }
  if (path.length > limits.configDepthMax) {
    throw configError(
      originOfPath(walk, path.slice(0, 2)),
      `maps and lists more than ${limits.configDepthMax} deep, the most that a configuration may have`,
    );
  }
  if (isAlias(node)) return walkNode(walk, node.resolve(walk.document), path);
  remember(walk, path, "value", node);
  if (isMap(node)) {
    const entries = node.items.map((pair): [string, unknown] => {
      const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const childPath = [...path, key];
      remember(walk, childPath, "key", pair.key);
      // A key without a value has no node of its own: its place is the key's.
      remember(walk, childPath, "value", pair.key);
      return [key, walkNode(walk, pair.value, childPath)];
    });
    return Object.fromEntries(entries);
  }
  if (isSeq(node)) return node.items.map((item, index) => walkNode(walk, item, [...path, index]));
  return isScalar(node) ? node.value : null;
}

function originOfPath(walk: Walk, path: ConfigPath): string {
  return walk.origins.get(originKey(path, "value"))?.label ?? walk.source.name;
}

function remember(walk: Walk, path: ConfigPath, part: "key" | "value", node: unknown): void {
  if (!isScalar(node) && !isMap(node) && !isSeq(node)) return;
  const offset = node.range?.[0];
  if (offset === undefined) return;
  walk.origins.set(originKey(path, part), {
    label: placeOf(walk.source, walk.lineCounter, offset),
    folder: walk.source.folder,
  });
}

function placeOf(source: ConfigText, lineCounter: LineCounter, offset: number): string {
  const { line, col } = lineCounter.linePos(offset);
  return `${source.name}:${line}:${col}`;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}
