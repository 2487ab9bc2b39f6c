// Every step with the npm package `consul`; prints one JSON object: step → result or error.
// Usage: node node_client.js FOLDER_OF_THE_PACKAGE PORT PREFIX
const [folder, port, prefix] = process.argv.slice(2);
const Consul = require(folder);
const client = new Consul({ host: "127.0.0.1", port });

function watch() {
  return new Promise((resolve, reject) => {
    const key = `${prefix}watched`;
    const seen = [];
    const watching = client.watch({ method: client.kv.get, options: { key } });
    watching.on("error", reject);
    watching.on("change", async (entry) => {
      seen.push(entry ? entry.Value : null);
      if (seen.length === 1) await client.kv.set(key, "one");
      if (seen.length === 2) await client.kv.del(key);
      if (seen.length === 3) watching.end();
    });
    watching.on("end", () => resolve(seen));
  });
}

async function lock() {
  const key = `${prefix}lock`;
  const { ID } = await client.session.create({ ttl: "15s", lockdelay: "0s" });
  const taken = await client.kv.set({ key, value: "x", acquire: ID });
  const held = (await client.kv.get(key)).Session === ID;
  await client.session.renew(ID);
  await client.session.destroy(ID);
  return [taken, held, "Session" in (await client.kv.get(key))];
}

const steps = {
  set: () => client.kv.set(`${prefix}a`, "v1"),
  get: async () => (await client.kv.get(`${prefix}a`)).Value,
  keys: () => client.kv.keys(prefix),
  cas: async () => !!(await client.kv.set({ key: `${prefix}a`, value: "v2", cas: "0" })),
  missing: async () => (await client.kv.get(`${prefix}none`)) === undefined,
  lock,
  watch,
  txn: async () => {
    const KV = { Verb: "get", Key: `${prefix}a` };
    return (await client.transaction.create([{ KV }])).Results[0].KV.Value;
  },
  leader: async () => (await client.status.peers()).includes(await client.status.leader()),
  self: async () => (await client.agent.self()).Config.Datacenter,
  members: async () => (await client.agent.members()).map((member) => member.Status),
  services: () => client.agent.service.list(),
  checks: () => client.agent.check.list(),
  datacenters: () => client.catalog.datacenters(),
  nodes: async () => (await client.catalog.node.list()).length,
  catalog: () => client.catalog.service.list(),
  health: async () => (await client.health.state("any")).map((check) => check.CheckID),
  event: async () => (await client.event.fire(`${prefix.slice(0, -1)}`, "v1")).Payload,
  pass: () => client.agent.check.pass("none"),
  acl: () => client.acl.legacy.list(),
  register: () => client.agent.service.register({ name: "web" }),
};

async function main() {
  const results = {};
  const ours = process.argv[5] === "ours";
  for (const [name, step] of Object.entries(steps)) {
    if (name === "register" && !ours) continue;
    try {
      results[name] = await step();
    } catch (error) {
      results[name] = `${error.statusCode}: ${error.response && error.response.body}`;
    }
  }
  console.log(JSON.stringify(results));
}

main();
