<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * Authentication of Pusher's HTTP API: an HMAC over method, path and the sorted query, which holds the body's digest.
 *
 * @see https://pusher.com/docs/channels/library_auth_reference/rest-api/#authentication
 */
final class Signature
{
    /**
     * @param array<string, mixed> $query without auth_signature
     */
    public static function of(string $method, string $path, array $query, string $secret): string
    {
        ksort($query);

        return hash_hmac('sha256', "$method\n$path\n" . http_build_query($query), $secret);
    }

    /**
     * @param array<string, mixed> $query with auth_signature
     */
    public static function accepts(string $method, string $path, array $query, string $body, string $secret): bool
    {
        $given = $query['auth_signature'] ?? '';
        $digest = $query['body_md5'] ?? '';
        unset($query['auth_signature']);

        return is_string($given)
            && is_string($digest)
            && hash_equals(self::of($method, $path, $query, $secret), $given)
            && hash_equals(md5($body), $digest);
    }
}
