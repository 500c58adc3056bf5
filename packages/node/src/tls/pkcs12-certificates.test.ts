import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";

import { readPkcs12Certificates } from "./pkcs12-certificates.ts";

/** What `keytool -importcert -storetype PKCS12` of Java 17 makes: one certificate, and no key. */
const store = Buffer.from(
  [
    "MIIC0gIBAzCCAnwGCSqGSIb3DQEHAaCCAm0EggJpMIICZTCCAmEGCSqGSIb3DQEHBqCCAlIwggJOAgEAMIICRwYJKoZIhvcN",
    "AQcBMGYGCSqGSIb3DQEFDTBZMDgGCSqGSIb3DQEFDDArBBT3x15rrhbP7m+sclB90oulGmQzXwICJxACASAwDAYIKoZIhvcN",
    "AgkFADAdBglghkgBZQMEASoEEMQ+BLDaqTAEF9eJYv1+E3aAggHQ246tWoqIABHtPHrO9LS9DvPnzNxU8EhiblttJRYuvdkQ",
    "SCQQVaidnrceOEDKooeGZXYYGZUMbTb6T89BOwexESOeIyJuzB5SNA77JbI2dl+4PaE/fu8DMOrzY2L9oh+A0myaJJa/SCfg",
    "v6+6hXCKlbG16lAkdiYAr+7EgWFMYOIhJzFKqY6mBbVLkEcV8EeMEMNDjcf9ot2FEotmQezpPmABJcf/zfYrvmGIBCm21mTP",
    "QcJqHLgKox7SQXXMnbi6CBeFlyme5a6vZSnKhkMz3yXBRhHYOZAUdiw0nXcg6IJvzJizT81oQpJwB5mZtRyvNlvxbGAMXyLF",
    "LLkwwSkOMOAnTCYN1F4TqWcxZ5p1GlBBqImE/Sex2Zo/F4B7mhzLEvnJuFhfTA03buVO2ipJyt7osdAHDvQY7Y2L9mROt2li",
    "kc9C0U+/t0nOEnOCvqdc+z0QVKWzQAWHa04VqlIQbc9SZ6nVb9wqfbyjW021DHHHAd1ACb3HBcLnko4Tkdizu6z2zdf6h/hU",
    "TjtJqEs6U8G3GbyDwsRqshOTJ9zT5eNUymc/KhRcH+4/HZYhLPH3kjLFnpCU0VPAbvyaO80az+j9AweidJ/9Y8hzeN04/1ow",
    "TTAxMA0GCWCGSAFlAwQCAQUABCBMwb3YfQnMm/M1ce1NSwb/lUY+o7GYxuOKrx77116h7AQU+HexBurnm93ekrELQeYTUlmf",
    "2fQCAicQ",
  ].join(""),
  "base64",
);

describe("a trust store in PKCS12", () => {
  it("gives its certificates to who knows its password", () => {
    const found = readPkcs12Certificates(store, "changeit");
    assert.deepEqual(
      found.map((der) => new X509Certificate(der).subject),
      ["CN=localhost"],
    );
  });

  it("gives nothing when the password is wrong", () => {
    for (const wrong of ["", "Changeit", "changeit "]) {
      assert.throws(() => readPkcs12Certificates(store, wrong), {
        name: "RangeError",
        message: "its password is wrong, or it is damaged",
      });
    }
  });

  it("is refused where it is cut off, and where a byte of it is another one", () => {
    for (let length = 0; length < store.length; length += 1) {
      assert.throws(
        () => readPkcs12Certificates(store.subarray(0, length), "changeit"),
        RangeError,
      );
    }
    for (let index = 0; index < 64; index += 1) {
      const damaged = Buffer.from(store);
      damaged[index] = (damaged[index] ?? 0) ^ 0x15;
      assert.throws(() => readPkcs12Certificates(damaged, "changeit"), RangeError, `byte ${index}`);
    }
  });
});
