<?php

declare(strict_types=1);

namespace App\Reverb;

use Illuminate\Support\Facades\Cache;
use RuntimeException;

/**
 * A WebSocket server in place of laravel/reverb, which only Packagist has: Pusher's protocol 7 for public channels,
 * and of Pusher's HTTP API the one call that publishes events.
 *
 * @see https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/
 */
final class Server
{
    public const RESTART_SIGNAL = 'reverb:restart';
    public const RESTART_INTERVAL = 5;

    private const ACTIVITY_TIMEOUT_SECONDS = 30;
    private const UNKNOWN_APPLICATION = 4001;
    private const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
    private const REASONS = [
        200 => 'OK',
        400 => 'Bad Request',
        401 => 'Unauthorized',
        404 => 'Not Found',
        426 => 'Upgrade Required',
    ];

    /** @var resource */
    private mixed $listener;

    /** @var array<int, Connection> */
    private array $connections = [];

    private bool $stopping = false;

    /**
     * @param array<string, mixed> $config the connection "reverb" of config/broadcasting.php
     */
    public function __construct(private readonly array $config, private readonly string $release)
    {
    }

    /**
     * @throws RuntimeException when the address is taken or not this host's
     */
    public function listen(string $address): void
    {
        $listener = @stream_socket_server("tcp://$address", $code, $reason);

        if ($listener === false) {
            throw new RuntimeException("$address: $reason");
        }

        stream_set_blocking($listener, false);
        $this->listener = $listener;
    }

    public function stop(): void
    {
        $this->stopping = true;
    }

    /**
     * Serve until stop() is called or reverb:restart asks for the end.
     */
    public function run(): void
    {
        $started = microtime(true);
        $checked = $started;

        while (! $this->stopping) {
            $this->serveOnce();

            if (microtime(true) - $checked >= self::RESTART_INTERVAL) {
                $checked = microtime(true);
                $this->stopping = $this->stopping || Cache::get(self::RESTART_SIGNAL, 0) > $started;
            }
        }

        fclose($this->listener);
    }

    private function serveOnce(): void
    {
        $readable = [$this->listener, ...array_map(fn (Connection $c) => $c->socket, $this->connections)];
        $pending = array_filter($this->connections, fn (Connection $c) => $c->hasOutput());
        $writable = array_map(fn (Connection $c) => $c->socket, $pending);
        $except = null;

        // a signal interrupts it with a warning; the loop's condition is what answers a signal
        if (! @stream_select($readable, $writable, $except, 1)) {
            return;
        }

        foreach ($readable as $socket) {
            $socket === $this->listener ? $this->accept() : $this->read(get_resource_id($socket));
        }

        foreach ($this->connections as $id => $connection) {
            if (! $connection->flush()) {
                $this->close($id);
            }
        }
    }

    private function accept(): void
    {
        $socket = @stream_socket_accept($this->listener, 0);

        // false: the client has gone again before it was accepted
        if ($socket !== false) {
            $this->connections[get_resource_id($socket)] = new Connection($socket);
        }
    }

    private function close(int $id): void
    {
        fclose($this->connections[$id]->socket);
        unset($this->connections[$id]);
    }

    private function read(int $id): void
    {
        $connection = $this->connections[$id];

        if (! $connection->receive()) {
            $this->close($id);

            return;
        }

        if (! $connection->upgraded) {
            $this->readRequest($connection);
        }

        if ($connection->upgraded) {
            $this->readFrames($connection);
        }
    }

    private function readRequest(Connection $connection): void
    {
        $request = HttpRequest::parse($connection->input);

        if ($request === null) {
            return;
        }

        $connection->input = '';

        $socket = str_starts_with($request->path, '/app/');
        $events = $request->method === 'POST' && $request->path === "/apps/{$this->config['app_id']}/events";

        match (true) {
            $socket && $request->wantsWebSocket() => $this->upgrade($connection, $request),
            $socket => $this->reply($connection, 426),
            $events => $this->publish($connection, $request),
            $request->path === '/up' => $this->reply($connection, 200, ['status' => 'up', 'release' => $this->release]),
            default => $this->reply($connection, 404),
        };
    }

    private function upgrade(Connection $connection, HttpRequest $request): void
    {
        $accept = base64_encode(sha1($request->headers['sec-websocket-key'] . self::ACCEPT_SUFFIX, true));
        $connection->write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            . "Sec-WebSocket-Accept: $accept\r\n\r\n"
        );

        if ($request->path !== "/app/{$this->config['key']}") {
            $connection->send($this->error(self::UNKNOWN_APPLICATION, 'Application does not exist'));
            $connection->end();

            return;
        }

        $connection->upgraded = true;
        $connection->input = $request->body;
        // `release` is ours: it shows which code this process runs
        $connection->send($this->message('pusher:connection_established', [
            'socket_id' => $connection->id,
            'activity_timeout' => self::ACTIVITY_TIMEOUT_SECONDS,
            'release' => $this->release,
        ]));
    }

    private function publish(Connection $connection, HttpRequest $request): void
    {
        if (! Signature::accepts('POST', $request->path, $request->query, $request->body, $this->config['secret'])) {
            $this->reply($connection, 401);

            return;
        }

        $event = json_decode($request->body, true);

        if (! isset($event['name'], $event['channels'], $event['data'])) {
            $this->reply($connection, 400);

            return;
        }

        foreach ($event['channels'] as $channel) {
            $this->broadcast($channel, ['event' => $event['name'], 'channel' => $channel, 'data' => $event['data']]);
        }

        $this->reply($connection, 200);
    }

    /**
     * @param array<string, mixed> $message
     */
    private function broadcast(string $channel, array $message): void
    {
        foreach ($this->connections as $subscriber) {
            if (isset($subscriber->channels[$channel])) {
                $subscriber->send($message);
            }
        }
    }

    private function readFrames(Connection $connection): void
    {
        while (($frame = Frame::decode($connection->input)) !== null) {
            $connection->input = substr($connection->input, $frame->length);

            match ($frame->opcode) {
                Frame::TEXT => $this->handle($connection, json_decode($frame->payload, true)),
                Frame::PING => $connection->write(Frame::encode(Frame::PONG, $frame->payload)),
                Frame::PONG => null,
                default => $this->hangUp($connection, $frame),
            };
        }
    }

    private function hangUp(Connection $connection, Frame $frame): void
    {
        $connection->write(Frame::encode(Frame::CLOSE, $frame->opcode === Frame::CLOSE ? $frame->payload : ''));
        $connection->end();
    }

    private function handle(Connection $connection, mixed $message): void
    {
        $channel = $message['data']['channel'] ?? '';

        match (is_string($channel) ? $message['event'] ?? '' : '') {
            'pusher:ping' => $connection->send($this->message('pusher:pong')),
            'pusher:subscribe' => $this->subscribe($connection, $channel),
            'pusher:unsubscribe' => $this->unsubscribe($connection, $channel),
            default => null,
        };
    }

    private function subscribe(Connection $connection, string $channel): void
    {
        if (preg_match('/^(private|presence)-/', $channel)) {
            $connection->send($this->error(null, 'Public channels only'));

            return;
        }

        $connection->channels[$channel] = true;
        $connection->send($this->message('pusher_internal:subscription_succeeded') + ['channel' => $channel]);
    }

    private function unsubscribe(Connection $connection, string $channel): void
    {
        unset($connection->channels[$channel]);
    }

    /**
     * @return array<string, string>
     */
    private function error(?int $code, string $text): array
    {
        return $this->message('pusher:error', ['code' => $code, 'message' => $text]);
    }

    /**
     * @param array<string, mixed> $data
     * @return array<string, string>
     */
    private function message(string $event, array $data = []): array
    {
        return ['event' => $event, 'data' => json_encode((object) $data, JSON_THROW_ON_ERROR)];
    }

    /**
     * @param array<string, mixed> $body
     */
    private function reply(Connection $connection, int $status, array $body = []): void
    {
        $content = json_encode((object) $body, JSON_THROW_ON_ERROR);
        $connection->write(
            "HTTP/1.1 $status " . self::REASONS[$status] . "\r\nContent-Type: application/json\r\n"
            . 'Content-Length: ' . strlen($content) . "\r\nConnection: close\r\n\r\n$content"
        );
        $connection->end();
    }
}
