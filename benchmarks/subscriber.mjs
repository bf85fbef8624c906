// Reads incidents with MQTT.js and Node; nothing here knows ropewatch but the contract.
// node subscriber.mjs HOST PORT prints a JSON line for each incident message, once each.
import mqtt from "mqtt";

const [host, port] = process.argv.slice(2);
const client = mqtt.connect(`mqtt://${host}:${port}`, { protocolVersion: 5 });
const seen = new Set();

client.on("connect", () => {
  client.subscribe("ropewatch/v1/+/+/camera/+/incident", { qos: 1 }, (error) => {
    if (error) throw error;
    console.log(JSON.stringify({ ready: true }));
  });
});

client.on("message", (topic, payload, packet) => {
  const event = JSON.parse(payload.toString());
  if (seen.has(event.id)) return;
  seen.add(event.id);
  const { phase, camera, person, end_reason } = event.data;
  const contentType = packet.properties?.contentType;
  console.log(JSON.stringify({ id: event.id, phase, camera, person, end_reason, contentType }));
});
