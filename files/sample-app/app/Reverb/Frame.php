<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * A WebSocket frame (RFC 6455, section 5.2). Messages in several frames are not supported: Pusher clients send none.
 */
final class Frame
{
    public const TEXT = 0x1;
    public const CLOSE = 0x8;
    public const PING = 0x9;
    public const PONG = 0xA;

    private const FINAL = 0x80;
    private const MASKED = 0x80;

    private function __construct(
        public readonly int $opcode,
        public readonly string $payload,
        public readonly int $length,
    ) {
    }

    /**
     * The frame at the start of $bytes, `length` bytes of them, or null while its end has not arrived.
     */
    public static function decode(string $bytes): ?self
    {
        $marker = ord($bytes[1] ?? "\0") & 0x7F;
        $header = match ($marker) {
            126 => 4,
            127 => 10,
            default => 2,
        };

        if (strlen($bytes) < $header) {
            return null;
        }

        $size = match ($marker) {
            126 => unpack('n', $bytes, 2)[1],
            127 => unpack('J', $bytes, 2)[1],
            default => $marker,
        };
        $mask = ord($bytes[1]) & self::MASKED ? substr($bytes, $header, 4) : '';
        $start = $header + (ord($bytes[1]) & self::MASKED ? 4 : 0);

        // 64 bits may come out negative: such a frame never ends, and the connection meets its limit
        if ($size < 0 || strlen($bytes) < $start + $size) {
            return null;
        }

        $payload = self::unmask(substr($bytes, $start, $size), $mask);

        return new self(ord($bytes[0]) & 0x0F, $payload, $start + $size);
    }

    public static function encode(int $opcode, string $payload): string
    {
        $size = strlen($payload);
        $length = match (true) {
            $size < 126 => chr($size),
            $size < 0x10000 => chr(126) . pack('n', $size),
            default => chr(127) . pack('J', $size),
        };

        return chr(self::FINAL | $opcode) . $length . $payload;
    }

    private static function unmask(string $payload, string $mask): string
    {
        if ($mask === '' || $payload === '') {
            return $payload;
        }

        return $payload ^ substr(str_repeat($mask, intdiv(strlen($payload), 4) + 1), 0, strlen($payload));
    }
}
