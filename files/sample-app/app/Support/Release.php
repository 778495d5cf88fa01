<?php

declare(strict_types=1);

namespace App\Support;

/**
 * The commit that a checkout stands at, read from git's own files: PHP-FPM needs no git for it.
 */
final class Release
{
    private const UNKNOWN = 'unknown';

    /**
     * The full commit id of the checkout at $root, or "unknown" where there is no checkout.
     *
     * Read while the configuration is cached; a process that keeps running after a release keeps the commit it
     * started with, so that stale code can be seen.
     */
    public static function commit(string $root): string
    {
        $git = $root . '/.git';
        $head = self::line($git . '/HEAD');

        if (! str_starts_with($head, 'ref: ')) {
            return $head ?: self::UNKNOWN;
        }

        $reference = substr($head, strlen('ref: '));

        return self::line("$git/$reference") ?: self::packed($git, $reference) ?: self::UNKNOWN;
    }

    private static function line(string $path): string
    {
        return is_readable($path) ? trim((string) file_get_contents($path)) : '';
    }

    private static function packed(string $git, string $reference): string
    {
        preg_match('~^([0-9a-f]{40,}) ' . preg_quote($reference, '~') . '$~m', self::line("$git/packed-refs"), $found);

        return $found[1] ?? '';
    }
}
