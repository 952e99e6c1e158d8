// The v1 API: awsIot.thingShadow, MQTT 3.1.1 over TLS with client certificates. One line of
// JSON for each thing that the SDK tells.
const awsIot = require('aws-iot-device-sdk');
const [host, port, caPath, certPath, keyPath, thing] = process.argv.slice(2);

const say = (what, more) => console.log(JSON.stringify({ what, ...more }));
const shadows = awsIot.thingShadow({ host, port: Number(port), caPath, certPath, keyPath, clientId: 'sdk-v1' });

// Each step begins once the one before it was answered.
const steps = [
  () => shadows.update(thing, { state: { desired: { color: 'red' } } }),
  () => shadows.update(thing, { state: { reported: { color: 'red' } } }),
  () => shadows.get(thing),
  () => shadows.delete(thing),
  () => shadows.get(thing),
];
const next = () => {
  const step = steps.shift();
  if (!step) return shadows.end(false, () => say('end'));
  if (step() === null) say('an operation is still under way');
};

shadows.on('status', (name, stat, token, state) => { say('status', { stat, state }); next(); });
shadows.on('delta', (name, state) => say('delta', { state: state.state }));
shadows.on('timeout', () => { say('timeout'); process.exit(1); });
shadows.on('error', (e) => { say('error', { error: String(e) }); process.exit(1); });
shadows.on('connect', () => shadows.register(thing, { ignoreDeltas: false, enableVersioning: false }, (err) => {
  if (err) { say('error', { error: String(err) }); process.exit(1); }
  next();
}));
