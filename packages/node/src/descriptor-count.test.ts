import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { descriptorCountMax, parseDescriptorCountMax } from "./descriptor-count.ts";
import { limits } from "./limits.ts";
import { NodeNetwork } from "./network.ts";

const header = "Limit                     Soft Limit           Hard Limit           Units     \n";

describe("the number of descriptors", () => {
  it("is the soft limit that the system names", () => {
    const line = "Max open files            1024                 1048576              files     \n";
    assert.equal(parseDescriptorCountMax(`${header}${line}`), 1024);
  });

  it("is not known where there is no limit, or the system does not say", () => {
    const line = "Max open files            unlimited            unlimited            files     \n";
    assert.equal(parseDescriptorCountMax(`${header}${line}`), undefined);
    assert.equal(parseDescriptorCountMax(""), undefined);
  });

  it("leaves room for files besides the connections", () => {
    const { linkCountMax } = new NodeNetwork();
    const descriptorCount = descriptorCountMax();
    if (descriptorCount === undefined) assert.equal(linkCountMax, undefined);
    else assert.ok(Number(linkCountMax) <= descriptorCount - limits.reservedDescriptorCount / 2);
  });
});
