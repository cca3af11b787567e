import { BlockList, isIP } from "node:net";

interface Entry {
  readonly port: number | undefined;
  covers(host: string): boolean;
}

/**
 * The hosts that are reached without a proxy, as `NO_PROXY` lists them, apart by commas or spaces:
 * `*` for all, `example.org` (`.example.org`, `*.example.org`) for that host and those below it, addresses, and
 * ranges of addresses as `10.0.0.0/8`; each with `:port` where it holds for that port alone. Names are not
 * resolved: a range covers hosts that are given by their address.
 */
export class NoProxy {
  readonly #entries: readonly Entry[];

  constructor(list: string) {
    this.#entries = list
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(entryOf);
  }

  covers(url: URL): boolean {
    const host = bareHost(url.hostname);
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    return this.#entries.some((entry) => (entry.port ?? port) === port && entry.covers(host));
  }
}

function entryOf(text: string): Entry {
  if (text === "*") return { port: undefined, covers: () => true };
  // An IPv6 address has colons of its own: with a port it stands in brackets.
  const [, name = text, port] = isIP(text) === 6 ? [] : (/^(.*?)(?::(\d+))?$/.exec(text) ?? []);
  return { port: port === undefined ? undefined : Number(port), covers: matcher(bareHost(name)) };
}

function matcher(name: string): Entry["covers"] {
  const [address = "", prefix] = name.split("/");
  const family = familyOf(address);
  if (family !== undefined) {
    const bits = Number(prefix ?? (family === "ipv4" ? 32 : 128));
    const range = new BlockList();
    try {
      range.addSubnet(address, bits, family);
    } catch {
      // As `10.0.0.0/99`: covers nothing.
    }
    return (host) => {
      const of = familyOf(host);
      return of !== undefined && range.check(host, of);
    };
  }
  const domain = name.replace(/^\*?\./, "");
  return (host) => host === domain || host.endsWith(`.${domain}`);
}

function familyOf(host: string): "ipv4" | "ipv6" | undefined {
  return ({ 4: "ipv4", 6: "ipv6" } as const)[isIP(host) as 4 | 6];
}

/** Without the brackets of an IPv6 address and the dot that ends a full name. */
function bareHost(host: string): string {
  return host
    .replace(/^\[|\](?=$|\/)/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
}
