<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * An HTTP request as it came over the socket.
 */
final class HttpRequest
{
    /**
     * @param array<string, mixed> $query
     * @param array<string, string> $headers names in lower case
     */
    private function __construct(
        public readonly string $method,
        public readonly string $path,
        public readonly array $query,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }

    /**
     * The request at the start of $bytes, or null while its end has not arrived.
     */
    public static function parse(string $bytes): ?self
    {
        [$head, $body] = explode("\r\n\r\n", $bytes, 2) + [1 => null];

        if ($body === null) {
            return null;
        }

        $lines = explode("\r\n", $head);
        [$method, $target] = explode(' ', (string) array_shift($lines)) + ['', ''];
        $headers = self::headers($lines);

        if (strlen($body) < (int) ($headers['content-length'] ?? 0)) {
            return null;
        }

        parse_str((string) parse_url($target, PHP_URL_QUERY), $query);

        return new self($method, (string) parse_url($target, PHP_URL_PATH), $query, $headers, $body);
    }

    public function wantsWebSocket(): bool
    {
        return strtolower($this->headers['upgrade'] ?? '') === 'websocket'
            && isset($this->headers['sec-websocket-key']);
    }

    /**
     * @param list<string> $lines
     * @return array<string, string>
     */
    private static function headers(array $lines): array
    {
        $headers = [];

        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $headers[strtolower($name)] = trim($value);
        }

        return $headers;
    }
}
