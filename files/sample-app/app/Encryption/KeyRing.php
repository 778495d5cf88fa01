<?php

declare(strict_types=1);

namespace App\Encryption;

use Illuminate\Contracts\Encryption\DecryptException;
use Illuminate\Encryption\Encrypter;

/**
 * Writes with the application's key and reads what older ones wrote, as the framework's own encrypter does from
 * Laravel 11 on.
 */
class KeyRing extends Encrypter
{
    /**
     * @param array<string> $previousKeys
     */
    public function __construct(string $key, string $cipher, private readonly array $previousKeys)
    {
        parent::__construct($key, $cipher);
    }

    /**
     * From the text of the configuration: `base64:…`.
     *
     * @param array<string> $previousKeys
     */
    public static function of(string $key, string $cipher, array $previousKeys): self
    {
        return new self(self::bytes($key), $cipher, array_map(self::bytes(...), $previousKeys));
    }

    public function decrypt($payload, $unserialize = true)
    {
        try {
            return parent::decrypt($payload, $unserialize);
        } catch (DecryptException $error) {
            foreach ($this->previousKeys as $key) {
                try {
                    return (new Encrypter($key, $this->cipher))->decrypt($payload, $unserialize);
                } catch (DecryptException) {
                    // written with yet another key
                }
            }

            throw $error;
        }
    }

    /**
     * @return array<string>
     */
    public function getAllKeys(): array
    {
        return [$this->key, ...$this->previousKeys];
    }

    private static function bytes(string $key): string
    {
        return str_starts_with($key, 'base64:') ? base64_decode(substr($key, 7)) : $key;
    }
}
