// Issuers of certificate cards, made by openssl: keys, certificates and lists of revoked cards.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

function openssl(dir, ...args) {
  const done = spawnSync("openssl", args, { cwd: dir, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`openssl ${args.join(" ")}: ${done.stderr}`);
}

/** An authority in a folder of its own. @param {string} dir @param {string} name */
export function authority(dir, name) {
  const home = join(dir, name);
  mkdirSync(home);
  writeFileSync(join(home, "index.txt"), "");
  writeFileSync(join(home, "crlnumber"), "01\n");
  writeFileSync(
    join(home, "ca.cnf"),
    `[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\ndefault_crl_days = 30\nprivate_key = ca.key\ncertificate = ca.pem\n`,
  );
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(home, "req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", `/CN=${name}`, "-days", "30",
    "-addext", "keyUsage=critical,keyCertSign,cRLSign");
  const at = (file) => join(home, file);
  const list = () => openssl(home, "ca", "-config", "ca.cnf", "-gencrl", "-out", "revoked.crl");
  list();
  /** Issues a certificate and answers where it and its key are. */
  const issue = (file, subject, extensions) => {
    openssl(home, "req", ...key, "-keyout", `${file}.key`, "-out", `${file}.csr`, "-subj", subject);
    writeFileSync(at(`${file}.ext`), extensions);
    openssl(home, "x509", "-req", "-in", `${file}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "10",
      "-extfile", `${file}.ext`, "-out", `${file}.pem`);
    return { cert: at(`${file}.pem`), key: at(`${file}.key`) };
  };
  return {
    certificate: at("ca.pem"),
    revoked: at("revoked.crl"),
    server: () => issue("server", "/CN=localhost", "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n"),
    card: (name) => issue(name, `/CN=${name}`, "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n"),
    revoke: ({ cert }) => {
      openssl(home, "ca", "-config", "ca.cnf", "-revoke", cert);
      list();
    },
    /** A card as a browser context takes it. */
    forBrowser: (origin, { cert, key }) => ({ origin, cert: readFileSync(cert), key: readFileSync(key) }),
  };
}
