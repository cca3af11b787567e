import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A key and a certificate of its own for these host names, good for a day. `path` is what NODE_EXTRA_CA_CERTS wants. */
export function makeCertificate(folder, names) {
  const [key, path] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const alternatives = names.map((name) => `DNS:${name}`).join(",");
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"].concat([
      "-subj",
      `/CN=${names[0]}`,
      "-addext",
      `subjectAltName=${alternatives}`,
      "-keyout",
      key,
      "-out",
      path,
    ]),
    { stdio: "ignore" },
  );
  return { path, key: readFileSync(key), cert: readFileSync(path) };
}
