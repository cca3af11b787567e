// Which URL goes by which proxy, and what is said of one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { NoProxy } from "../../dist/network/no-proxy.js";
import { ProxyRules } from "../../dist/network/proxy.js";

describe("NO_PROXY", () => {
  for (const [list, covered, others] of [
    ["", [], ["http://a.org"]],
    ["*", ["http://a.org", "https://10.0.0.1", "https://[::1]:8080"], []],
    [
      "a.org",
      ["http://a.org", "https://a.org:8443", "http://x.a.org", "http://A.ORG."],
      ["http://ba.org", "http://a.org.b"],
    ],
    [".a.org", ["http://a.org", "http://x.y.a.org"], ["http://ba.org"]],
    ["*.a.org", ["http://a.org", "http://x.a.org"], ["http://ba.org"]],
    ["A.Org:8080", ["http://a.org:8080", "https://x.a.org:8080"], ["http://a.org", "https://a.org:8081"]],
    ["a.org:443", ["https://a.org"], ["http://a.org"]],
    ["a.org:80", ["http://a.org"], ["https://a.org"]],
    ["a.org, b.org\tc.org,,", ["http://a.org", "http://b.org", "http://c.org"], ["http://d.org"]],
    ["127.0.0.1", ["http://127.0.0.1:9000", "http://127.1"], ["http://127.0.0.2", "http://localhost"]],
    ["localhost", ["http://localhost:1", "http://x.localhost"], ["http://127.0.0.1"]],
    ["10.0.0.0/8", ["https://10.255.0.1", "http://10.0.0.0"], ["http://11.0.0.1", "http://node10.0.0.org"]],
    ["10.0.0.0/8:8080", ["https://10.1.1.1:8080"], ["http://10.1.1.1"]],
    ["192.168.1.0/25", ["http://192.168.1.127"], ["http://192.168.1.128"]],
    ["10.0.0.0/99,a.org", ["http://a.org"], ["http://10.0.0.0"]],
    ["::1", ["http://[::1]:8080", "https://[0:0:0:0:0:0:0:1]"], ["http://[::2]"]],
    ["[::1]:8080", ["http://[::1]:8080"], ["http://[::1]"]],
    ["fd00::/8", ["http://[fd12::1]"], ["http://[fe80::1]"]],
  ]) {
    test(list || "(empty)", () => {
      const noProxy = new NoProxy(list);
      for (const url of covered) assert.equal(noProxy.covers(new URL(url)), true, url);
      for (const url of others) assert.equal(noProxy.covers(new URL(url)), false, url);
    });
  }
});

describe("the proxy of a URL", () => {
  const named = (rules, url) => {
    const proxy = rules.proxyFor(new URL(url));
    return proxy && `${proxy.name} ${proxy.source}`;
  };

  test("by scheme, from the environment; small letters first; empty is none", () => {
    const rules = ProxyRules.of(undefined, {
      HTTP_PROXY: "http://plain:3128",
      https_proxy: "https://secure",
      HTTPS_PROXY: "http://other:1",
      http_proxy: " ",
      NO_PROXY: "wrong.org",
      no_proxy: "near.org",
    });
    assert.equal(named(rules, "http://a.org"), "plain:3128 HTTP_PROXY");
    assert.equal(named(rules, "https://a.org"), "secure:443 https_proxy");
    assert.equal(named(rules, "https://near.org"), undefined);
    assert.equal(named(rules, "https://wrong.org"), "secure:443 https_proxy");
    assert.equal(
      named(ProxyRules.of(undefined, { HTTP_PROXY: "plain:3128" }), "http://a.org"),
      "plain:3128 HTTP_PROXY",
    );
    assert.equal(named(ProxyRules.of(undefined, { HTTP_PROXY: "http://plain" }), "https://a.org"), undefined);
    assert.deepEqual(ProxyRules.of(undefined, {}).proxies, []);
  });

  test("--proxy stands for both, NO_PROXY holds; none turns all off", () => {
    const env = { HTTPS_PROXY: "http://env:1", NO_PROXY: "near.org" };
    const rules = ProxyRules.of("http://[::1]:8080", env);
    assert.equal(named(rules, "http://a.org"), "[::1]:8080 --proxy");
    assert.equal(named(rules, "https://a.org"), "[::1]:8080 --proxy");
    assert.equal(named(rules, "https://near.org"), undefined);
    assert.equal(rules.proxies.length, 1);
    assert.equal(named(ProxyRules.of("none", env), "https://a.org"), undefined);
  });

  test("user and password are in the header alone", () => {
    const [proxy] = ProxyRules.of("http://jo%40hn:s%3Ae%2Fcret@proxy:3128").proxies;
    assert.deepEqual(proxy.headers(), {
      "Proxy-Authorization": `Basic ${Buffer.from("jo@hn:s:e/cret").toString("base64")}`,
    });
    assert.equal(proxy.hasUser, true);
    for (const text of [
      inspect(proxy, { depth: 9, showHidden: true }),
      JSON.stringify(proxy),
      proxy.name,
      proxy.url.href,
    ]) {
      assert.doesNotMatch(text, /cret|jo@|jo%40|Basic/);
    }
    const [token] = ProxyRules.of("http://token@proxy:3128").proxies;
    assert.deepEqual(token.headers(), { "Proxy-Authorization": `Basic ${Buffer.from("token:").toString("base64")}` });
    assert.deepEqual(ProxyRules.of("http://proxy:3128").proxies[0].headers(), {});
  });

  for (const [text, received] of [
    ["socks5://me:secret@proxy:1080", "socks5://proxy:1080"],
    ["http://me:secret@proxy:not-a-port", "no URL"],
    ["http://", "no URL"],
    ["http://me:%zz-secret@proxy", "http://proxy"],
    ["me:secret@:x", "no URL"],
  ]) {
    test(`${text} is refused, and its password is not repeated`, () => {
      for (const of of [() => ProxyRules.of(text, {}), () => ProxyRules.of(undefined, { HTTPS_PROXY: text })]) {
        assert.throws(of, (error) => {
          assert.equal(error.kind, "usage");
          assert.match(error.message, /A proxy must be an http:\/\/ or https:\/\/ URL \(source=(--proxy|HTTPS_PROXY)/);
          assert.equal(error.where.received, received);
          assert.doesNotMatch(inspect(error), /secret/);
          return true;
        });
      }
    });
  }
});
