<?php

declare(strict_types=1);

namespace App\Reverb;

use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\BroadcastException;

/**
 * Sends events to the WebSocket server over Pusher's HTTP API. Public channels only: nobody logs in here.
 */
class HttpBroadcaster extends Broadcaster
{
    private const TIMEOUT_SECONDS = 5;

    /**
     * @param array<string, mixed> $config the connection "reverb" of config/broadcasting.php
     */
    public function __construct(private readonly array $config)
    {
    }

    public function auth($request): never
    {
        abort(403);
    }

    public function validAuthenticationResponse($request, $result): never
    {
        abort(403);
    }

    /**
     * @throws BroadcastException when the server does not accept the event
     */
    public function broadcast(array $channels, $event, array $payload = []): void
    {
        unset($payload['socket']);
        $body = json_encode([
            'name' => $event,
            'channels' => $this->formatChannels($channels),
            'data' => json_encode($payload, JSON_THROW_ON_ERROR),
        ], JSON_THROW_ON_ERROR);
        $url = $this->config['url'] . $this->signed("/apps/{$this->config['app_id']}/events", $body);
        $context = stream_context_create(['http' => [
            'method' => 'POST',
            'header' => 'Content-Type: application/json',
            'content' => $body,
            'timeout' => self::TIMEOUT_SECONDS,
        ]]);

        if (@file_get_contents($url, false, $context) === false) {
            $reason = error_get_last()['message'] ?? 'no answer';

            throw new BroadcastException("{$this->config['url']}: $reason");
        }
    }

    private function signed(string $path, string $body): string
    {
        $query = [
            'auth_key' => $this->config['key'],
            'auth_timestamp' => time(),
            'auth_version' => '1.0',
            'body_md5' => md5($body),
        ];
        $query['auth_signature'] = Signature::of('POST', $path, $query, $this->config['secret']);

        return $path . '?' . http_build_query($query);
    }
}
