// node deployment/ws-check.cjs HOST KEY
//
// The whole way of a message, as a browser sees it: subscribes with pusher-js over wss, queues a job over https and
// waits for the worker's event. Prints the release that the worker runs.
// An authority that Node.js does not know goes into NODE_EXTRA_CA_CERTS.
// Exit code 0: the event came; 1: it did not, with the reason.
const https = require('node:https');
const Pusher = require('pusher-js');

const DEADLINE_MILLISECONDS = 15000;

const [host, key] = process.argv.slice(2);
if (!key) {
    fail('usage: node deployment/ws-check.cjs HOST KEY');
}

const token = `ws-${Date.now()}`;
const pusher = new Pusher(key, {
    wsHost: host,
    wssPort: 443,
    forceTLS: true,
    enabledTransports: ['ws', 'wss'],
    cluster: '',
    disableStats: true,
});

function fail(reason) {
    console.error(`ws-check: ${reason}`);
    process.exit(1);
}

function queueJob() {
    const request = https.request(`https://${host}/api/visits/${token}`, { method: 'POST' }, (response) => {
        if (response.statusCode !== 202) {
            fail(`the job was not accepted: HTTP ${response.statusCode}`);
        }
        response.resume();
    });
    request.on('error', (error) => fail(error.message));
    request.end();
}

pusher.connection.bind('error', (error) => fail(JSON.stringify(error)));

const channel = pusher.subscribe('visits');
channel.bind('pusher:subscription_succeeded', queueJob);
channel.bind('visit.recorded', (visit) => {
    if (visit.token === token) {
        console.log(JSON.stringify(visit));
        process.exit(0);
    }
});

setTimeout(() => fail(`no event within ${DEADLINE_MILLISECONDS / 1000} seconds`), DEADLINE_MILLISECONDS);
