import Echo from 'laravel-echo';
import Pusher from 'pusher-js';

// The key is the server's, not the build's: one build serves every stack.
const key = document.querySelector('meta[name="reverb-key"]').content;
const list = document.querySelector('#visits');

window.Pusher = Pusher;

const echo = new Echo({
    broadcaster: 'reverb',
    key,
    wsHost: location.hostname,
    wsPort: location.port || 80,
    wssPort: location.port || 443,
    forceTLS: location.protocol === 'https:',
    enabledTransports: ['ws', 'wss'],
});

if (list) {
    echo.channel('visits').listen('.visit.recorded', ({ token }) => {
        const item = document.createElement('li');
        item.textContent = token;
        list.prepend(item);
    });
}
