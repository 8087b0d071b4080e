// node-redis drives filedb-server through all families of commands: node drive.mjs PORT, with both versions of the protocol.
import assert from "node:assert/strict";
import { createClient } from "@redis/client";

const port = Number(process.argv[2]);
const connect = async RESP => {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP });
  client.on("error", error => { throw error; });
  return client.connect();
};

async function strings(client) {
  assert.equal(await client.set("greeting", "hello"), "OK");
  assert.equal(await client.get("greeting"), "hello");
  assert.equal(await client.get("nothing"), null);
  assert.equal(await client.set("greeting", "x", { condition: "NX" }), null);
  assert.equal(await client.set("greeting", "bye", { GET: true }), "hello");
  assert.equal(await client.append("greeting", "!"), 4);
  assert.equal(await client.strLen("greeting"), 4);
  assert.equal(await client.getRange("greeting", 0, 1), "by");
  assert.equal(await client.setRange("greeting", 3, "?"), 4);
  assert.equal(await client.getDel("greeting"), "bye?");
  assert.equal(await client.mSet({ a: "ohmytext", b: "mynewtext" }), "OK");
  assert.deepEqual(await client.mGet(["a", "b", "c"]), ["ohmytext", "mynewtext", null]);
  assert.equal(await client.lcs("a", "b"), "mytext");
  assert.equal(await client.incr("count"), 1);
  assert.equal(await client.incrBy("count", 41), 42);
  assert.equal(await client.decrBy("count", 2), 40);
  assert.equal(await client.incrByFloat("count", 0.5), "40.5");
  await assert.rejects(client.incr("a"), /value is not an integer/);
  const binary = Buffer.from([0, 13, 10, 255, 128]);
  await client.set("binary", binary);
  assert.equal(await client.strLen("binary"), 5);
}

async function bits(client) {
  assert.equal(await client.setBit("bits", 7, 1), 0);
  assert.equal(await client.getBit("bits", 7), 1);
  assert.equal(await client.bitCount("bits"), 1);
  assert.equal(await client.bitPos("bits", 1), 7);
  assert.equal(await client.bitOp("NOT", "inverted", "bits"), 1);
  assert.equal(await client.bitCount("inverted"), 7);
}

async function keys(client) {
  await client.set("key", "v");
  assert.equal(await client.exists(["key", "nothing"]), 1);
  assert.equal(await client.type("key"), "string");
  assert.equal(await client.rename("key", "other"), "OK");
  assert.equal(await client.copy("other", "key"), 1);
  assert.equal(await client.expire("key", 1000), 1);
  const left = await client.ttl("key");
  assert.ok(left > 990 && left <= 1000, `${left}`);
  assert.ok(await client.pTTL("key") > 990_000);
  assert.ok(await client.expireTime("key") > Date.now() / 1000);
  assert.equal(await client.persist("key"), 1);
  assert.equal(await client.ttl("key"), -1);
  const dump = await client.sendCommand(["DUMP", "key"], { typeMapping: { 36: Buffer } });
  assert.equal(await client.sendCommand(["RESTORE", "copy", "0", dump]), "OK");
  assert.equal(await client.get("copy"), "v");
  const found = new Set();
  for await (const some of client.scanIterator({ MATCH: "*", COUNT: 3 })) some.forEach(key => found.add(key));
  assert.deepEqual([...found].sort(), (await client.keys("*")).sort());
  assert.equal(await client.dbSize(), found.size);
  assert.equal(await client.move("copy", 3), 1);
  assert.equal(await client.unlink(["other", "key"]), 2);
}

async function lists(client) {
  assert.equal(await client.rPush("list", ["b", "c"]), 2);
  assert.equal(await client.lPush("list", "a"), 3);
  assert.deepEqual(await client.lRange("list", 0, -1), ["a", "b", "c"]);
  assert.equal(await client.lInsert("list", "AFTER", "a", "aa"), 4);
  assert.equal(await client.lSet("list", 0, "z"), "OK");
  assert.equal(await client.lIndex("list", 0), "z");
  assert.equal(await client.lPos("list", "b"), 2);
  assert.equal(await client.lRem("list", 0, "b"), 1);
  assert.equal(await client.lMove("list", "moved", "LEFT", "RIGHT"), "z");
  assert.deepEqual(await client.lPopCount("list", 5), ["aa", "c"]);
  assert.equal(await client.lLen("list"), 0);
  await client.rPush("numbers", ["3", "1", "2"]);
  assert.deepEqual(await client.sort("numbers", { DIRECTION: "DESC" }), ["3", "2", "1"]);
  await assert.rejects(client.get("numbers"), /WRONGTYPE/);
  const waiting = client.duplicate();
  await waiting.connect();
  const popped = waiting.blPop("queue", 0);
  while ((await client.info("clients")).match(/blocked_clients:(\d+)/)[1] !== "1");
  await client.rPush("queue", "job");
  assert.deepEqual({ ...(await popped) }, { key: "queue", element: "job" });
  assert.equal(await waiting.blPop("queue", 0.01), null);
  waiting.destroy();
}

async function transactions(client) {
  assert.deepEqual(await client.multi().set("t", "1").incr("t").lPush("tl", "x").exec(), ["OK", 2, 1]);
  const other = await client.duplicate().connect();
  await client.watch("t");
  await other.set("t", "changed");
  await assert.rejects(client.multi().set("t", "mine").exec(), error => error.constructor.name === "WatchError");
  assert.equal(await client.get("t"), "changed");
  const many = await Promise.all(Array.from({ length: 500 }, (_, n) => client.set(`p${n}`, `${n}`)));
  assert.ok(many.every(reply => reply === "OK"));
  assert.deepEqual(await client.mGet(["p0", "p499"]), ["0", "499"]);
  other.destroy();
}

async function messages(client) {
  const listener = await client.duplicate().connect();
  const came = [];
  await listener.subscribe("news", message => came.push(message));
  await listener.pSubscribe("n*", (message, channel) => came.push(`${channel}: ${message}`));
  assert.deepEqual(await client.pubSubChannels(), ["news"]);
  assert.equal(await client.publish("news", "hello"), 2);
  while (came.length < 2) await new Promise(resolve => setImmediate(resolve));
  assert.deepEqual(came.sort(), ["hello", "news: hello"]);
  await listener.unsubscribe("news");
  await listener.pUnsubscribe("n*");
  assert.equal(String(await listener.ping()), "PONG");
  listener.destroy();
}

async function administration(client) {
  assert.match(await client.info(), /redis_version:/);
  assert.deepEqual({ ...(await client.configGet("maxclients")) }, { maxclients: "10000" });
  assert.equal(await client.configSet("slowlog-max-len", "64"), "OK");
  assert.equal(await client.clientSetName("driver"), "OK");
  assert.equal(await client.clientGetName(), "driver");
  assert.ok((await client.clientList()).some(each => each.name === "driver"));
  assert.ok(await client.clientId() > 0);
  assert.ok(await client.memoryUsage("numbers") > 0);
  assert.ok(await client.commandCount() > 100);
  assert.ok((await client.commandInfo(["get"]))[0].name === "get");
  assert.equal(await client.echo("said"), "said");
  assert.equal(await client.sendCommand(["WAITAOF", "1", "0", "0"]).then(reply => reply[0]), 1);
  await assert.rejects(client.hSet("hash", "field", "value"), /unknown command/);
}

for (const RESP of [2, 3]) {
  const client = await connect(RESP);
  await client.flushAll();
  for (const family of [strings, bits, keys, lists, transactions, messages, administration]) {
    try {
      await family(client);
    } catch (error) {
      error.message = `${family.name}, version ${RESP} of the protocol: ${error.message}`;
      throw error;
    }
  }
  await client.close();
}
