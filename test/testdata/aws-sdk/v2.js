// The v2 client: IotShadowClientv2, MQTT 5 over TLS with client certificates, for a classic
// and a named shadow. One line of JSON for each thing that the SDK tells.
const { mqtt5, iot, iotshadow } = require('aws-iot-device-sdk-v2');
const [host, port, ca, cert, key, thingName] = process.argv.slice(2);

const say = (what, more) => console.log(JSON.stringify({ what, ...more }));
const refused = (what) => (e) => say(what, { code: e.modeledError ? e.modeledError.code : String(e) });

async function main() {
  const config = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(host, cert, key)
    .withPort(Number(port)).withCertificateAuthorityFromPath(undefined, ca)
    .withConnectProperties({ clientId: 'sdk-v2', keepAliveIntervalSeconds: 60 }).build();
  const client = new mqtt5.Mqtt5Client(config);
  const connected = new Promise((resolve, reject) => {
    client.on('connectionSuccess', resolve);
    client.on('connectionFailure', (e) => reject(e.error));
  });
  client.start();
  await connected;
  const shadows = iotshadow.IotShadowClientv2.newFromMqtt5(client, {
    maxRequestResponseSubscriptions: 5, maxStreamingSubscriptions: 4, operationTimeoutInSeconds: 20,
  });
  const open = (stream, what, pick) => {
    stream.on('incomingPublish', (e) => say(what, pick(e.message)));
    const subscribed = new Promise((resolve) => stream.on('subscriptionStatus', (e) => resolve(e.status)));
    stream.open();
    return subscribed;
  };
  await open(shadows.createShadowDeltaUpdatedStream({ thingName }), 'delta', (m) => ({ state: m.state }));
  await open(shadows.createShadowUpdatedStream({ thingName }), 'documents', (m) => ({ version: m.current.version, before: Boolean(m.previous) }));

  await shadows.getShadow({ thingName }).catch(refused('no shadow'));
  const made = await shadows.updateShadow({ thingName, state: { desired: { color: 'red' } } });
  say('updated', { state: made.state, version: made.version });
  await shadows.updateShadow({ thingName, state: { reported: { color: 'red' } } });
  const got = await shadows.getShadow({ thingName });
  say('got', { state: got.state, version: got.version });
  await shadows.updateShadow({ thingName, state: { desired: { color: 'blue' } }, version: 1 }).catch(refused('conflict'));
  const named = { thingName, shadowName: 'update' };
  say('named', { version: (await shadows.updateNamedShadow({ ...named, state: { desired: { a: 1 } } })).version });
  say('named got', { state: (await shadows.getNamedShadow(named)).state });
  await shadows.deleteNamedShadow(named);
  say('deleted', { version: (await shadows.deleteShadow({ thingName })).version });
  shadows.close();
  const stopped = new Promise((resolve) => client.on('stopped', resolve));
  client.stop();
  await stopped;
  say('end');
}

main().then(() => process.exit(0)).catch((e) => { say('error', { error: String(e), more: e.modeledError }); process.exit(1); });
